//! The signature of a commit against the library below.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use license_central::domain::firm::{Firm, Grounds, Leaf, Wanted};
use protocol::signed::{Header, Kind};
use strongroom_tests::device::Device;
use vendor::Change;
use vendor::ledger::Point;

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
    let body = vec![7; 22];
    let mut header = Header::new(Kind::Lease, &body);
    header.root_fp = firm.trust.root.as_ref().ok_or("no root")?.root_fp;
    against_bare("signing a lease / bare aws-lc", || {
        let body = body.clone();
        let leaf = Leaf { header, body, claims: Vec::new(), grounds: Grounds::default() };
        firm.signer.sign_leases(vec![leaf]).map(drop).map_err(ours::told)
    })
}

/// An update as a renewal is one, to be signed.
pub(super) fn update(firm: &Firm) -> Result<Leaf> {
    let root_fp = firm.trust.root.as_ref().ok_or("no root")?.root_fp;
    let device = Device::new(1, root_fp);
    let before = Point { seq: 0, state: device.genesis() };
    let changes = [Change::Nothing];
    let certificate = device.certificate();
    let wanted = Wanted { certificate, before, changes: &changes, issued_s: 1_800_000_000 };
    Ok(firm.signer.draft(&wanted).map_err(ours::told)?.0)
}

/// Signing against the library's signature of 256 bytes.
pub(super) fn against_bare(name: &str, sign: impl Fn() -> Result<()>) -> Result<Row> {
    let bare = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let random = SystemRandom::new();
    let bound = Some(1.05);
    let pairs = against(bound, || {
        in_turn(
            15,
            || cpu_s(|| (0..TIMES).try_for_each(|_| sign())),
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
    Ok(Row::of_pairs(name, &pairs, bound, US, ("ours", "bare")))
}
