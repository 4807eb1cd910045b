//! License Central over encrypted connections, with an authority of the firm's own.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::central::on;
use crate::world::World;

/// A certificate for this machine, which is its own authority, in `ca.pem`; the key in `tls.key`.
fn certify(world: &World) -> [String; 2] {
    let names = ["127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let files = [("ca.pem", made.cert.pem()), ("tls.key", made.signing_key.serialize_pem())];
    files.map(|(name, text)| {
        let path = world.path(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("its mode");
        path.to_str().expect("text").to_owned()
    })
}

#[test]
fn who_trusts_the_authority_logs_in_and_activates() {
    let mut world = World::new();
    world.found_central();
    world.stop_central();
    let [cert, key] = certify(&world);
    let tls = [("STRONGROOM_CENTRAL_TLS_CERT", &*cert), ("STRONGROOM_CENTRAL_TLS_KEY", &*key)];
    world.run_central(&tls);
    assert!(world.face("gateway").starts_with("https://127.0.0.1:"));
    let (admin, sales) = (world.face("admin"), world.face("sales"));
    let login =
        format!("central login --admin {admin} --sales {sales} --key-file central/owner.key");
    world.cli(&login).refused(8, &["S0B14", "--ca"]);
    world.cli(&format!("{login} --ca central/owner.key")).refused(2, &["owner.key", "PEM"]);
    world.cli(&format!("{login} --ca ca.pem")).ok();
    world.cli("central product add --code 7 --name Editor --quantity 1").ok();
    world.cli("central item add --sku ED-1 --name Editor --product 7").ok();
    let order = "central order add --number 4711 --sku ED-1 --json";
    let order = world.cli(order).ok().data();
    let ticket = order["code"].as_str().expect("a ticket");
    world.plug("one", "rtc");
    on(&world, "one", &format!("activate {ticket} --yes")).refused(8, &["S0B14", "--ca"]);
    on(&world, "one", &format!("activate {ticket} --yes --ca ca.pem")).ok();
    let listed = on(&world, "one", "license list").ok().stdout;
    assert!(listed.contains("product 7"), "{listed}");
}

#[test]
fn an_address_elsewhere_must_be_encrypted() {
    let world = World::new();
    let line = "central login --admin http://central.example.com --sales http://127.0.0.1:1 \
        --key-file none";
    fs::write(world.path("none"), "a.b").expect("a file");
    world.cli(line).refused(2, &["http://central.example.com", "https://HOST"]);
}
