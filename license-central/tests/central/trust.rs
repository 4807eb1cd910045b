//! Roots and revocations that a vendor makes while Central runs: what follows is taken over, and
//! nothing else.

use std::path::PathBuf;

use license_central::domain::trusted::TrustMark;
use protocol::errors::{ErrorCode, Shown};
use protocol::ids::ContainerId;
use protocol::objects::root::Mode;
use protocol::signed::Role;
use serde_json::json;
use strongroom_tests::folders;
use tempfile::TempDir;
use vendor::{Home, Passphrase, Revocations, Rotation, Vendor};

use crate::stage::{NoSecrets, Stage};

/// A vendor in a folder, with copies of it.
struct Copies {
    dir: TempDir,
}

impl Copies {
    fn new() -> Self {
        let copies = Copies { dir: tempfile::tempdir().expect("a folder") };
        let own = Passphrase::empty();
        let made = Vendor::init(&copies.path("0"), "Acme", 1, Mode::Test, None, &own);
        made.expect("a vendor");
        copies
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn open(&self, name: &str) -> Vendor {
        Vendor::open(&self.path(name)).expect("a vendor")
    }

    /// Another copy, changed.
    fn next(&self, from: &str, to: &str, change: impl FnOnce(Vendor) -> Vendor) -> Vendor {
        folders::copy(&self.path(from), &self.path(to));
        change(self.open(to))
    }
}

/// Gives a role a new key.
pub(crate) fn rotated(vendor: Vendor, role: Role) -> Vendor {
    let keys = vendor.keys(&NoSecrets).expect("its own keys");
    let rotation =
        Rotation::of(&vendor.root, role, None, None, None, (0, Home::File)).expect("one key");
    vendor.rotate(&rotation, keys, &Passphrase::empty(), None).expect("the next root")
}

/// Revokes a container.
pub(crate) fn revoked(vendor: Vendor, id: u8) -> Vendor {
    let mut next = Revocations::after(&vendor.trust, 0).expect("the next ones");
    next.put_container(ContainerId::new([id; 16]), true).expect("room");
    let keys = vendor.keys(&NoSecrets).expect("its own keys");
    vendor.revoke(&next, &keys).expect("its own revocation")
}

fn mark(vendor: &Vendor) -> TrustMark {
    TrustMark::of(&vendor.trust).expect("a whole directory")
}

fn code<T>(result: Result<T, Shown>) -> Result<T, Option<ErrorCode>> {
    result.map_err(|error| error.failure().and_then(|failure| failure.known()))
}

#[test]
fn what_follows_is_taken_over_and_nothing_older_or_apart() {
    let copies = Copies::new();
    let first = copies.open("0");
    let second = copies.next("0", "1", |vendor| rotated(vendor, Role::Licensing));
    let third = copies.next("1", "2", |vendor| rotated(vendor, Role::Licensing));
    let apart = copies.next("0", "3", |vendor| rotated(vendor, Role::Protect));
    let all = [&first, &second, &third, &apart];
    let follows = |known: usize, next: usize| {
        let taken = code(mark(all[known]).followed_by(&all[next].trust));
        taken.map(|taken| assert_eq!(taken, mark(all[next])))
    };
    for (known, next) in [(0, 0), (0, 1), (0, 2), (1, 2), (0, 3), (2, 2)] {
        assert_eq!(follows(known, next), Ok(()), "{known} {next}");
    }
    for (known, next) in [(1, 0), (2, 1), (2, 0), (2, 3)] {
        assert_eq!(follows(known, next), Err(Some(ErrorCode::RootOlder)), "{known} {next}");
    }
    for (known, next) in [(1, 3), (3, 1), (3, 2)] {
        assert_eq!(follows(known, next), Err(Some(ErrorCode::RootDiffers)), "{known} {next}");
    }
    let [old, new] = [&first, &second].map(|vendor| mark(vendor).licensing_keys);
    assert!(old.len() == 1 && new.len() == 1 && old != new);
}

#[test]
fn revocations_are_not_taken_back_unless_who_signs_them_changed() {
    let copies = Copies::new();
    let none = copies.open("0");
    let first = copies.next("0", "1", |vendor| revoked(vendor, 1));
    let second = copies.next("1", "2", |vendor| revoked(vendor, 2));
    let apart = copies.next("0", "3", |vendor| revoked(vendor, 3));
    let other_keys = copies.next("2", "4", |vendor| rotated(vendor, Role::Revocation));
    let follows = |known: &Vendor, next: &Vendor| code(mark(known).followed_by(&next.trust));
    assert_eq!(follows(&none, &second), Ok(mark(&second)));
    assert_eq!(follows(&first, &second), Ok(mark(&second)));
    assert_eq!(mark(&second).revoked_containers.len(), 2);
    for (known, next) in [(&first, &none), (&second, &first), (&second, &none), (&first, &apart)] {
        assert_eq!(follows(known, next), Err(Some(ErrorCode::RevocationsOlder)));
    }
    assert_eq!(follows(&second, &other_keys), Ok(mark(&other_keys)));
    // A thief who signed the last epoch that there is did so with keys that sign no more.
    let ahead = TrustMark { revocation_epoch: u32::MAX.into(), ..mark(&second) };
    assert_eq!(code(ahead.followed_by(&other_keys.trust)), Ok(mark(&other_keys)));
}

#[test]
fn a_signer_signs_by_no_older_root_also_when_it_is_started_again() {
    let mut stage = Stage::new();
    let old = stage.vendor().trust.clone();
    let known = stage.keeper().mark().expect("a root");
    stage.change_vendor(|vendor| rotated(vendor, Role::Licensing));
    assert!(stage.reread().expect("it follows"));
    let next = stage.keeper().mark().expect("a root");
    assert_eq!((known.root_version, next.root_version), (1, 2));
    assert!(!stage.reread().expect("it is the same"));
    // Sold under the new key, and taken by a container that comes to know the new root with it.
    let (ticket, mut dongle) = (stage.ticket("1", 1), stage.dongle(1));
    stage.activate(&ticket, &mut dongle).ok(200);
    let keys = || stage.vendor().keys(&NoSecrets).expect("its own keys");
    let refused = code(stage.keeper().replace(old.clone(), keys()));
    assert_eq!(refused, Err(Some(ErrorCode::RootOlder)));
    assert_eq!(stage.keeper().mark().expect("a root"), next);
    stage.stop();
    assert_eq!(code(stage.open_keeper_by(old).map(drop)), Err(Some(ErrorCode::RootOlder)));
    stage.start();
    assert_eq!(stage.keeper().mark().expect("a root"), next);
}

#[test]
fn a_running_central_takes_over_what_follows_and_says_so() {
    let mut stage = Stage::new();
    let (ticket, mut dongle) = (stage.ticket("1", 2), stage.dongle(1));
    let got = stage.activate(&ticket, &mut dongle).ok(200);
    assert_eq!(stage.apply(&got, &mut dongle, true), 1);
    let shown = |stage: &Stage| stage.owner(("admin", "GET", "/v1/trust"), &json!({})).ok(200).body;
    assert_eq!(shown(&stage)["server"]["root_version"], 1);
    stage.change_vendor(|vendor| revoked(rotated(vendor, Role::Licensing), 9));
    assert!(stage.reread().expect("it follows"));
    assert_eq!(shown(&stage)["agree"], false, "only the signer knows it yet");
    assert!(stage.take_over().expect("it follows"));
    assert!(!stage.take_over().expect("it is the same"));
    let trust = shown(&stage);
    assert_eq!((&trust["agree"], &trust["server"]), (&json!(true), &trust["signer"]));
    assert_eq!(trust["server"]["root_version"], 2);
    let audit = stage.owner(("admin", "GET", "/v1/audit?limit=200"), &json!({})).ok(200).body;
    let mut rows = audit["rows"].as_array().expect("rows").iter();
    let told = rows.rfind(|row| row["action"] == "vendor.trust").expect("an entry");
    assert_eq!(told["detail"], "root version 2, revocations of epoch 1");
    // A container that gets nothing else is brought it, and asks for nothing more.
    let got = stage.gateway("collections", &mut dongle, json!({})).ok(200);
    assert_eq!(got.body["updates"], json!([]));
    dongle.learn(&got.body["trust"]);
    let got = stage.gateway("collections", &mut dongle, json!({})).ok(200);
    assert_eq!(got.body.get("trust"), None);
    // One that gets an update is brought it with that.
    let mut other = stage.dongle(2);
    let got = stage.activate(&ticket, &mut other).ok(200);
    assert_eq!(got.body.get("trust"), None);
    assert_eq!(stage.updates_objects(&got), ["Root", "Root", "Revocation", "Update"]);
}

#[test]
fn a_central_takes_nothing_older_from_another_copy_of_the_directory() {
    let mut stage = Stage::new();
    let old = stage.vendor().trust.clone();
    stage.change_vendor(|vendor| revoked(vendor, 9));
    stage.reread().expect("it follows");
    stage.take_over().expect("it follows");
    assert_eq!(code(stage.take_over_by(old.clone())), Err(Some(ErrorCode::RevocationsOlder)));
    // Nor does the next one that starts over the same records.
    assert_eq!(code(stage.note_trust(old)), Err(Some(ErrorCode::RevocationsOlder)));
    assert_eq!(code(stage.note_trust(stage.vendor().trust.clone())), Ok(false));
}
