//! Leases of seats, checked by who was given one, under suite 1 and suite 2.

use std::fs;

use protocol::codec::{self, Fixed};
use protocol::ids::ProductCode;
use protocol::objects::lease::LeaseBody;
use protocol::signed::{Header, Kind};
use vendor::{Passphrase, Secrets, Vendor};

use crate::world::World;

/// No passphrase: the vendor is for tests.
pub(crate) struct NoSecrets;

impl Secrets for NoSecrets {
    fn passphrase(&self, _: protocol::objects::root::Mode) -> vendor::Result<Passphrase> {
        Ok(Passphrase::empty())
    }

    fn pin(&self, _: &str) -> vendor::Result<Passphrase> {
        Ok(Passphrase::empty())
    }
}

/// A lease of a minute for two seats of product 7, signed by a vendor directory as a server does.
pub(crate) fn lease(world: &World, dir: &str) -> Vec<u8> {
    let vendor = Vendor::open(&world.path(dir)).expect("a vendor");
    let keys = vendor.keys(&NoSecrets).expect("its own keys");
    let body = LeaseBody { session: Fixed([1; 16]), product: ProductCode(7), seats: 2 };
    let body = codec::encode(&body);
    let header = Header {
        root_fp: vendor.root.root_fp,
        target: [5; 16],
        seq: 3,
        until_s: vendor::clock::now_s() + 3600,
        ..Header::new(Kind::Lease, &body)
    };
    vendor.issuer().sign_leases(&[(header, &body)], &keys).expect("signed").remove(0)
}

/// Writes it, and says what the command makes of it under a root.
fn shown(world: &World, lease: &[u8], trust: &str) -> crate::world::Outcome {
    fs::write(world.path("lease"), lease).expect("room");
    world.cli(&format!("license lease lease --trust {trust}"))
}

#[test]
fn suite_2_is_turned_on_by_a_rotation_and_containers_go_on_with_suite_1() {
    let world = World::licensed("rtc", "--quantity 2");
    let old = lease(&world, "acme");
    assert!(shown(&world, &old, "acme/root.strgroom").ok().stdout.contains("suite    1"));
    let rotate = "vendor key rotate --vendor acme --suite 2 --yes --role";
    world.cli(&format!("{rotate} protect")).refused(2, &["licensing"]);
    let made = world.cli(&format!("{rotate} licensing"));
    assert!(made.ok().stderr.contains("LEASES ARE OF SUITE 2"));
    let listed = world.cli("vendor key list --vendor acme --json").ok().data();
    let licensing = &listed["roles"][1];
    assert_eq!((&licensing["role"], &licensing["suite"]), (&"licensing".into(), &2.into()));
    assert_eq!(licensing["keys"].as_array().map(Vec::len), Some(2));
    world.cli("vendor key export --vendor acme -o trust").ok();
    let new = lease(&world, "acme");
    shown(&world, &new, "trust").ok();
    let data = world.cli("license lease lease --trust trust --json").ok().data();
    assert_eq!((&data["suite"], &data["seats"], &data["n"]), (&2.into(), &2.into(), &3.into()));
    // Neither under the other root.
    shown(&world, &old, "trust").refused(6, &["S0B49"]);
    shown(&world, &new, "acme/root.strgroom").refused(6, &["S0B49"]);
    let mut forged = new.clone();
    forged[2000] ^= 1;
    shown(&world, &forged, "trust").refused(6, &["S0B48"]);
    // A container takes the root, and updates as before.
    world.context("next");
    world.cli("vendor issue --vendor acme --context next --product 7 --quantity 3 -o update").ok();
    world.cli("update apply update --yes").ok();
    assert!(world.state().contains("\"quantity\":3"));
}
