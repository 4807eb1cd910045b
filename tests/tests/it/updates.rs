//! Updates in the wrong place: replayed, for others, two with one number.

use protocol::codec;
use protocol::command::{Command, Reply};
use protocol::errors::ErrorCode;
use protocol::limits::STATEMENT_BODY_LEN_MAX;
use protocol::objects::statement::ReceiptBody;
use protocol::objects::update::UpdateOp;
use protocol::signed::{Header, Kind, Role, UnverifiedObject};
use strongroom_tests::bench::Bench;
use strongroom_tests::dice::Dice;
use strongroom_tests::samples;
use strongroom_tests::vendor::{Update, Vendor};

fn firm(n: u64) -> Vendor {
    Vendor::new("Acme", &mut Dice::new(n))
}

/// A receipt, checked under the key of the container with this seed.
fn receipt(object: &[u8], seed: u64) -> (Header, ReceiptBody) {
    let (object, rest) = UnverifiedObject::read(object, STATEMENT_BODY_LEN_MAX).expect("a receipt");
    let key = Bench::new(seed).identity_key();
    let verified = object.verify_container(&key).expect("signed by this container");
    assert!(rest.is_empty() && verified.header.kind == Kind::Receipt);
    let body = codec::decode(verified.body, STATEMENT_BODY_LEN_MAX).expect("a receipt's body");
    (verified.header, body)
}

/// Refuses to be anything but a refusal that carries the receipt of `applied`.
fn assert_refused(answer: &Reply, code: ErrorCode, applied: &Update) {
    let Reply::UpdateRefused { failure, receipt: object } = answer else { panic!("not refused") };
    assert_eq!(failure.known(), Some(code));
    assert!(!object.is_empty(), "no receipt with the refusal");
    let (header, body) = receipt(object, 1);
    let after = applied.after();
    assert_eq!((header.seq, header.state), (after.seq - 1, after.state));
    assert_eq!(body.update_hash.0, applied.header.hash(), "the receipt names another update");
}

/// A history of `count` updates, applied.
fn history(bench: &mut Bench, vendor: &Vendor, count: usize) -> Vec<Update> {
    let mut place = vendor.first_place(bench.id());
    let mut updates = Vec::new();
    for n in 0..count {
        let mut item = samples::item();
        item.item.product.0 = n as u32 % 7;
        let update = vendor.update(&place, &[UpdateOp::SetItem(item)]);
        assert!(matches!(bench.apply(&update), Reply::Receipt(_)), "update {n}");
        place = update.after();
        updates.push(update);
    }
    updates
}

#[test]
fn sec_s07_no_update_of_the_past_is_applied_again() {
    let (mut bench, vendor, mut dice) = (Bench::new(1), firm(1), Dice::new(3));
    let updates = history(&mut bench, &vendor, 100);
    let (before, last) = (bench.firm_records(), &updates[99]);
    let mut order: Vec<usize> = (0..100).chain(0..100).collect();
    (1..order.len()).rev().for_each(|at| order.swap(at, dice.below(at + 1)));
    for n in order {
        let answer = bench.apply(&updates[n]);
        assert_refused(&answer, ErrorCode::UpdateOld, last);
    }
    assert_eq!(bench.firm_records(), before, "a replay changed something");
}

#[test]
fn sec_s07_an_update_of_the_future_or_of_another_branch_is_refused() {
    let (mut bench, vendor) = (Bench::new(1), firm(1));
    let last = history(&mut bench, &vendor, 3).remove(2);
    let ahead = vendor.update(&vendor.update(&last.after(), &[]).after(), &[UpdateOp::Nop]);
    assert_refused(&bench.apply(&ahead), ErrorCode::UpdateAhead, &last);
    let mut branch = last.after();
    branch.state[0] ^= 1;
    let other = vendor.update(&branch, &[UpdateOp::Nop]);
    assert_refused(&bench.apply(&other), ErrorCode::UpdateOtherState, &last);
    let next = vendor.update(&last.after(), &[UpdateOp::Nop]);
    assert!(matches!(bench.apply(&next), Reply::Receipt(_)));
}

#[test]
fn sec_s08_an_update_for_another_container_is_refused() {
    let (mut mine, mut other, vendor) = (Bench::new(1), Bench::new(2), firm(1));
    let ops = [UpdateOp::SetItem(samples::item())];
    let update = vendor.update(&vendor.first_place(mine.id()), &ops);
    for _ in 0..2 {
        let answer = other.apply(&update);
        let Reply::UpdateRefused { failure, receipt } = answer else { panic!("not refused") };
        assert_eq!(failure.known(), Some(ErrorCode::UpdateOtherContainer));
        assert!(receipt.is_empty() && other.firm_records().is_empty());
        assert!(matches!(mine.apply(&update), Reply::Receipt(_) | Reply::UpdateRefused { .. }));
    }
    assert_eq!(mine.firm_records().len(), 3);
}

/// An update is retargeted by someone who can sign nothing.
#[test]
fn sec_s08_a_retargeted_update_is_a_forged_one() {
    let (mine, mut other, vendor) = (Bench::new(1), Bench::new(2), firm(1));
    let update = vendor.update(&vendor.first_place(mine.id()), &[UpdateOp::Nop]);
    let place = vendor.first_place(other.id());
    let header = Header { target: *place.container.bytes(), state: place.state, ..update.header };
    let answer = other.apply(&Update { header, ..update });
    let Reply::UpdateRefused { failure, .. } = answer else { panic!("not refused") };
    assert_eq!(failure.known(), Some(ErrorCode::UpdateSignature));
}

/// A firm touches neither the items nor the chain of another, however it names itself.
#[test]
fn sec_s08_an_update_of_another_firm_is_refused() {
    let (mut bench, acme, mallory) = (Bench::new(1), firm(1), firm(2));
    let last = history(&mut bench, &acme, 2).remove(1);
    let before = bench.firm_records();
    let place = last.after();
    let as_acme = mallory.update(&place, &[UpdateOp::RemoveItem(samples::item().item)]);
    // With the own name but the other chain, with the other name, with the other root.
    let renamed = Header { root_fp: acme.fp(), ..as_acme.header };
    let (renamed, proof) = mallory.sign(renamed, Role::Licensing);
    let under_name = Update { header: renamed, proof, ..as_acme.clone() };
    let other_root = Update { root: acme.root_object.clone(), ..as_acme.clone() };
    let no_root = Update { root: Vec::new(), ..as_acme.clone() };
    for (forged, code) in [
        (as_acme, ErrorCode::UpdateAhead),
        (under_name, ErrorCode::UpdateSignature),
        (other_root, ErrorCode::UpdateOtherFirm),
        (no_root, ErrorCode::RootNeeded),
    ] {
        let Reply::UpdateRefused { failure, .. } = bench.apply(&forged) else {
            panic!("not refused");
        };
        assert_eq!(failure.known(), Some(code));
    }
    assert_eq!(bench.firm_records(), before);
}

/// An item key sealed for one firm, number or product opens in no other.
#[test]
fn sec_s08_a_sealed_key_moved_elsewhere_is_refused() {
    let (mut bench, acme, mallory) = (Bench::new(1), firm(1), firm(2));
    let place = acme.first_place(bench.id());
    let key = acme.set_key(&bench.sealing_key(), &place, Default::default());
    let UpdateOp::SetKey(mut sealed) = key.clone() else { unreachable!() };
    sealed.product.0 += 1;
    let elsewhere = [
        mallory.update(&mallory.first_place(bench.id()), std::slice::from_ref(&key)),
        acme.update(&place, &[UpdateOp::SetKey(sealed)]),
    ];
    for update in elsewhere {
        let Reply::UpdateRefused { failure, .. } = bench.apply(&update) else {
            panic!("not refused");
        };
        assert_eq!(failure.known(), Some(ErrorCode::KeySeal));
    }
    let first = acme.update(&place, std::slice::from_ref(&key));
    assert!(matches!(bench.apply(&first), Reply::Receipt(_)));
    let again = acme.update(&first.after(), &[key]);
    let Reply::UpdateRefused { failure, .. } = bench.apply(&again) else { panic!("not refused") };
    assert_eq!(failure.known(), Some(ErrorCode::KeySeal));
}

/// Two updates with one number: the second is answered by the receipt that names the first.
#[test]
fn sec_s14_of_two_updates_with_one_number_the_receipt_names_the_applied_one() {
    let (mut bench, vendor) = (Bench::new(1), firm(1));
    let last = history(&mut bench, &vendor, 2).remove(1);
    let applied = vendor.update(&last.after(), &[UpdateOp::SetItem(samples::item())]);
    let superseding = vendor.update(&last.after(), &[UpdateOp::Nop]);
    assert!(matches!(bench.apply(&applied), Reply::Receipt(_)));
    let before = bench.firm_records();
    for _ in 0..2 {
        assert_refused(&bench.apply(&superseding), ErrorCode::UpdateOld, &applied);
    }
    assert_eq!(bench.firm_records(), before);
    let number = Command::Receipt { firm: vendor.fp(), seq: applied.header.seq };
    let Reply::Receipt(object) = bench.command(number) else { panic!("no receipt") };
    assert_eq!(receipt(&object, 1).1.update_hash.0, applied.header.hash());
    // What was built on the other branch is not taken either.
    let on_dead_branch = vendor.update(&superseding.after(), &[UpdateOp::Nop]);
    assert_refused(&bench.apply(&on_dead_branch), ErrorCode::UpdateOtherState, &applied);
}

/// A host that goes away in the middle keeps nobody else from updating.
#[test]
fn an_update_left_behind_by_a_closed_channel_is_forgotten() {
    let (mut bench, vendor) = (Bench::new(1), firm(1));
    let update = vendor.update(&vendor.first_place(bench.id()), &[UpdateOp::Nop]);
    let begin = update.commands().remove(0);
    assert!(bench.engine().carry_out(77, begin) == Reply::Done);
    assert!(!matches!(bench.apply(&update), Reply::Receipt(_)), "two at a time");
    bench.engine().closed(77);
    assert!(matches!(bench.apply(&update), Reply::Receipt(_)), "the first one is in the way");
}

/// A host that takes no notice of a refusal does not commit the update before it.
#[test]
fn a_refused_update_leaves_nothing_to_commit() {
    let (mut bench, vendor) = (Bench::new(1), firm(1));
    let update = vendor.update(&vendor.first_place(bench.id()), &[UpdateOp::Nop]);
    let mut all = update.commands();
    let commit = all.pop().expect("a commit");
    assert!(all.into_iter().all(|command| bench.command(command) == Reply::Done));
    let ahead = vendor.update(&update.after(), &[UpdateOp::Nop]);
    assert!(matches!(bench.apply(&ahead), Reply::UpdateRefused { .. }));
    assert!(matches!(bench.command(commit), Reply::Failed(_)));
    assert!(bench.firm_records().is_empty());
}
