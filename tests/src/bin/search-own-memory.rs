//! A dongle and a host in one process use a key, close, and look whether it is still there.
#![forbid(unsafe_code)]

use std::io::Read;

use protocol::ids::{ArtifactId, OpId};
use protocol::objects::artifact::{MAIN_PART, WrappedKey};
use protocol::objects::license::Requirement;
use strongroom_tests::bench::Bench;
use strongroom_tests::memory::{Hit, Needle, search};
use strongroom_tests::wire::Socket;

/// Root, head and body of an update, and what to open after it.
type Case = (Vec<u8>, Vec<u8>, Vec<u8>, Requirement, ArtifactId, WrappedKey);

fn main() {
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).expect("a case on stdin");
    let (case, needles, _): (Case, [(String, [u8; 32]); 3], OpId) =
        protocol::codec::decode(&input, 1 << 16).expect("a case on stdin");
    let needles = needles.map(|(name, masked)| Needle::masked(&name, masked));

    let socket = Socket::new(Bench::new(1));
    let container = socket.open().expect("our own dongle");
    let (root, head, body) = (&case.0, &case.1, &case.2);
    container.apply_update(root, head, body, &mut |_, _| ()).expect("an update for this dongle");
    let mut left = find(&needles);
    report("found after the update", &left);
    let seat = container.open_seat(&case.3, case.4).expect("a license for it");
    let key = seat.release_key(&case.5, MAIN_PART).expect("the key of this slot");
    report("found while held", &find(&needles));
    drop(key);
    let dropped = find(&needles);
    report("found after the key was dropped", &dropped);
    drop((seat, container));
    let closed = find(&needles);
    report("found after the session", &closed);
    left.extend(dropped.into_iter().chain(closed));
    println!("left: {}", left.len());
}

fn find(needles: &[Needle]) -> Vec<Hit> {
    search(needles).expect("a process sees its own memory")
}

fn report(when: &str, hits: &[Hit]) {
    for (name, at, mapping) in hits {
        println!("{when}: {name} at {at:#x} in {mapping}");
    }
}
