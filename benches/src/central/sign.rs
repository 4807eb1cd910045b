//! The signature of a commit against the library below.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use license_central::domain::firm::{Grounds, Leaf};
use protocol::signed::{Header, Kind};

use super::ours;
use crate::Result;
use crate::clock::cpu_s;
use crate::measure::{against, in_turn};
use crate::table::Row;

const TIMES: usize = 50;
const US: (&str, f64) = ("us", 1e6 / TIMES as f64);

/// One lease, signed alone: nothing is shared with others.
pub(super) fn row() -> Result<Row> {
    let dir = tempfile::tempdir()?;
    let firm = ours::firm(&dir.path().join("acme"))?;
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let bare = EcdsaKeyPair::generate(algorithm)?;
    let random = SystemRandom::new();
    let body = vec![7; 22];
    let mut header = Header::new(Kind::Lease, &body);
    header.root_fp = firm.trust.root.as_ref().ok_or("no root")?.root_fp;
    let bound = Some(1.05);
    let pairs = against(bound, || {
        in_turn(
            15,
            || {
                cpu_s(|| {
                    for _ in 0..TIMES {
                        let body = body.clone();
                        let leaf =
                            Leaf { header, body, claims: Vec::new(), grounds: Grounds::default() };
                        let signed = firm.signer.sign_leases(vec![leaf]);
                        std::hint::black_box(signed.map_err(|error| format!("{error:?}"))?);
                    }
                    Ok(())
                })
            },
            || {
                cpu_s(|| {
                    for _ in 0..TIMES {
                        std::hint::black_box(bare.sign(&random, &[0x5a; 256])?);
                    }
                    Ok(())
                })
            },
        )
    })?;
    Ok(Row::of_pairs("signing a lease / bare aws-lc", &pairs, bound, US, ("ours", "bare")))
}
