//! A License Central in live mode: real keys under a passphrase, and no simulated containers.

use std::fs;

use crate::central::{on, states};
use crate::world::World;

const PASSPHRASE: &str = "correct horse battery staple";

#[test]
fn live_keys_have_a_passphrase_and_licenses_go_into_no_simulated_container() {
    let mut world = World::new();
    world.init_central("").refused(2, &["passphrase"]);
    fs::write(world.path("phrase"), PASSPHRASE).expect("own folder");
    world.init_central("--passphrase-file phrase").ok();
    world.start_central_with(&[("STRONGROOM_PASSPHRASE", PASSPHRASE)]);
    world.cli("central product add --code 7 --name Editor --quantity 1").ok();
    world.cli("central item add --sku ED-1 --name Editor --product 7").ok();
    let order = world.cli("central order add --number 4711 --sku ED-1 --json").ok().data();
    let ticket = order["code"].as_str().expect("a ticket");
    world.plug("one", "rtc");
    on(&world, "one", &format!("activate {ticket} --yes")).refused(5, &["S0207"]);
    assert_eq!(states(&world), ["pool"]);
    let log = world.stop_central();
    assert!(!log.contains(PASSPHRASE), "{log}");
}
