//! The signature of a commit against the library below, by instructions.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use license_central::domain::firm::{Firm, Grounds, Leaf, Wanted};
use protocol::signed::{Header, Kind};
use strongroom_tests::device::Device;
use vendor::Change;
use vendor::ledger::Point;

use super::ours;
use crate::Result;
use crate::counted::{SIGNING, count, counted};
use crate::measure::{Pair, median};
use crate::table::Row;

/// How often each is signed.
const TIMES: usize = 5;

const LEASE: &str = "lease";
const RENEWAL: &str = "renewal";
const BARE: &str = "bare";

/// One lease, and one renewal, each signed alone: nothing is shared with others.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let counts = count(SIGNING, 0)?;
    let of = |name: &str| {
        let own = counts.iter().filter(|(own, _)| own == name);
        median(own.map(|(_, count)| *count as f64).collect())
    };
    let row = |name: &str| {
        let pair = Pair { ours_s: of(name), limit_s: of(BARE) };
        let unit = ("k", 1e-3);
        let name = format!("signing a {name} / bare aws-lc, instructions");
        Row::of_pairs(name, &[pair], Some(1.05), unit, ("ours", "bare"))
    };
    Ok([LEASE, RENEWAL].map(row).into())
}

/// Signs, and prints what: what runs under callgrind.
pub(crate) fn carry_out() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let firm = ours::firm(&dir.path().join("acme"))?;
    let (lease, update) = (lease(&firm)?, update(&firm)?);
    let bare = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let random = SystemRandom::new();
    let sign_lease = || firm.signer.sign_leases(vec![lease.clone()]).map(drop).map_err(ours::told);
    let sign_update =
        || firm.signer.sign(std::slice::from_ref(&update)).map(drop).map_err(ours::told);
    let sign_bare = || {
        std::hint::black_box(bare.sign(&random, &[0x5a; 256])?);
        Ok(())
    };
    let all: [(&str, &dyn Fn() -> Result<()>); 3] =
        [(LEASE, &sign_lease), (RENEWAL, &sign_update), (BARE, &sign_bare)];
    for (name, sign) in all {
        // What is made once is not counted.
        sign()?;
        for _ in 0..TIMES {
            counted(sign)?;
            println!("{name}");
        }
    }
    Ok(())
}

fn lease(firm: &Firm) -> Result<Leaf> {
    let body = vec![7; 22];
    let mut header = Header::new(Kind::Lease, &body);
    header.root_fp = firm.trust.root.as_ref().ok_or("no root")?.root_fp;
    Ok(Leaf { header, body, claims: Vec::new(), grounds: Grounds::default() })
}

/// An update as a renewal is one, to be signed.
fn update(firm: &Firm) -> Result<Leaf> {
    let root_fp = firm.trust.root.as_ref().ok_or("no root")?.root_fp;
    let device = Device::new(1, root_fp);
    let before = Point { seq: 0, state: device.genesis() };
    let changes = [Change::Nothing];
    let certificate = device.certificate();
    let wanted = Wanted { certificate, before, changes: &changes, issued_s: 1_800_000_000 };
    Ok(firm.signer.draft(&wanted).map_err(ours::told)?.0)
}
