//! Stolen keys, and what a firm does about them: rotation, revocation, delegation, recovery.

use protocol::codec::{self, Fixed, List};
use protocol::command::{Command, Reply};
use protocol::crypto::ecdsa::SigningKey;
use protocol::errors::ErrorCode;
use protocol::ids::{KeyId, ProductCode};
use protocol::limits::{STATEMENT_BODY_LEN_MAX, TRUST_KEPT_LEN_MAX};
use protocol::objects::delegation::Scope;
use protocol::objects::license::{Checkpoint, ItemOption, ItemRef, OptionKind, ProductItem};
use protocol::objects::root::{NextBody, RoleKeys, RootBody};
use protocol::objects::statement::ContextBody;
use protocol::objects::update::{ProductRange, UpdateOp};
use protocol::signed::{
    Header, Kind, Proof, Role, UnverifiedObject, sign_batch, sign_threshold, write_object,
};
use strongroom_tests::bench::{BENCH_CHANNEL, Bench};
use strongroom_tests::dice::Dice;
use strongroom_tests::trust::{Reseller, SCOPE, draw_key};
use strongroom_tests::vendor::{NOW_S, Place, Update, Vendor, trust};

/// A dongle that holds one update of a firm, and the place of the next.
fn stage() -> (Bench, Vendor, Place) {
    let (mut bench, vendor) = (Bench::new(1), Vendor::new("Acme", &mut Dice::new(1)));
    let first = vendor.update(&vendor.first_place(bench.id()), &[UpdateOp::SetItem(item(1, 1))]);
    assert!(matches!(bench.apply(&first), Reply::Receipt(_)));
    (bench, vendor, first.after())
}

/// An entry with seats.
fn item(product: u32, quantity: u32) -> ProductItem {
    let item = ItemRef { product: ProductCode(product), entry: Default::default() };
    let options = List::new(vec![ItemOption::LicenseQuantity(quantity)]).expect("one");
    ProductItem { item, options }
}

fn set(product: u32, quantity: u32) -> UpdateOp {
    UpdateOp::SetItem(item(product, quantity))
}

/// The same entry with a checkpoint.
fn lapsing(product: u32) -> UpdateOp {
    let at = Checkpoint { lapse_s: NOW_S + 5, period_s: 9, renew_s: 2, grace_s: 0 };
    let options = vec![ItemOption::LicenseQuantity(2), ItemOption::Checkpoint(at)];
    let options = List::new(options).expect("two");
    UpdateOp::SetItem(ProductItem { options, ..item(product, 2) })
}

/// Brings an object.
fn bring(bench: &mut Bench, object: &[u8]) -> Result<(), Option<ErrorCode>> {
    match bench.command(trust(object)) {
        Reply::Done => Ok(()),
        Reply::Failed(failure) => Err(failure.known()),
        _ => panic!("an answer to something else"),
    }
}

/// Applies an update with all that is brought before it.
fn apply(bench: &mut Bench, update: &Update) -> Result<(), Option<ErrorCode>> {
    for command in update.commands() {
        match bench.command(command) {
            Reply::Done | Reply::Receipt(_) => {}
            Reply::Failed(failure) | Reply::UpdateRefused { failure, .. } => {
                return Err(failure.known());
            }
            _ => panic!("an answer to something else"),
        }
    }
    Ok(())
}

fn refused(code: ErrorCode) -> Result<(), Option<ErrorCode>> {
    Err(Some(code))
}

/// What the container tells a firm: its number and state, root version and epoch.
fn context(bench: &mut Bench, vendor: &Vendor) -> (Place, u32, u32) {
    let context = Command::Context { firm: vendor.fp(), nonce: Default::default() };
    let Reply::Context(object) = bench.command(context) else { panic!("no context") };
    let (object, _) = UnverifiedObject::read(&object, 4096).expect("a context");
    let (header, body) = (*object.header(), object.body_if_intact().expect("our own"));
    let body: ContextBody = codec::decode(body, STATEMENT_BODY_LEN_MAX).expect("our own");
    let place =
        Place { seq: header.seq + 1, state: header.state, ..vendor.first_place(bench.id()) };
    (place, body.root_version, body.revocation_epoch)
}

fn id(key: &SigningKey) -> KeyId {
    key.verifying_key().id()
}

/// A header of a kind for the firm of `vendor`, as it would be accepted, and its body.
fn acceptable(kind: Kind, vendor: &Vendor, place: &Place, dice: &mut Dice) -> (Header, Vec<u8>) {
    let object = match kind {
        Kind::Root => vendor.rotated(&[], 0, dice).newest_root().to_vec(),
        Kind::Revocation => vendor.revocation(1, &[], 0),
        Kind::Delegation => vendor.delegate(SCOPE, 0, dice).chain.remove(0),
        Kind::Recovery => {
            let products = SCOPE.products;
            vendor.recovery(place, &[UpdateOp::Perpetuate(products)]).object()
        }
        other => {
            let update = vendor.update(place, &[UpdateOp::Nop]);
            let header = Header { kind: other, role: other.role(), ..update.header };
            write_object(&header, &update.proof, &update.body)
        }
    };
    let (object, _) = UnverifiedObject::read(&object, 4096).expect("our own object");
    (*object.header(), object.body_if_intact().expect("our own").to_vec())
}

/// `header` under the key of a role, in each form of proof.
fn signed(header: Header, key: &SigningKey) -> [(Header, Proof); 3] {
    let mut batch = [header];
    let proofs = sign_batch(&mut batch, key, &[7; 32]).expect("one leaf");
    let named = Header { key_id: id(key), ..header };
    let direct = Proof::Direct(Fixed(key.sign(&named.preimage(), &[7; 32])));
    let unnamed = Header { key_id: KeyId::default(), ..header };
    let threshold = sign_threshold(&unnamed, &[key], &[7; 32]).expect("one");
    [(batch[0], proofs[0].clone()), (named, direct), (unnamed, threshold)]
}

/// Every role of the firm and of a stranger signs every kind of object, in every form; what is
/// accepted is the kind by its own role of its own firm, and nothing else.
#[test]
fn sec_s03_role_by_kind_by_vendor_only_the_diagonal_is_accepted() {
    let stranger = Vendor::new("Mallory", &mut Dice::new(2));
    let (mut tried, mut accepted) = (0, 0);
    let (mut bench, vendor, place) = stage();
    for kind in Kind::ALL {
        for role in Vendor::ROLES {
            for own in [true, false] {
                let signer = if own { &vendor } else { &stranger };
                let (header, body) = acceptable(kind, &vendor, &place, &mut Dice::new(3));
                for (header, proof) in signed(header, signer.key(role)) {
                    let before = bench.firm_records();
                    let object = write_object(&header, &proof, &body);
                    let taken = match kind {
                        Kind::Update | Kind::Recovery => {
                            let (root, trust) = (Vec::new(), Vec::new());
                            let body = body.clone();
                            apply(&mut bench, &Update { header, proof, body, root, trust }).is_ok()
                        }
                        _ => bring(&mut bench, &object).is_ok(),
                    };
                    let of_container = matches!(
                        kind,
                        Kind::Root
                            | Kind::Update
                            | Kind::Delegation
                            | Kind::Revocation
                            | Kind::Recovery
                    );
                    // A form that is not the kind's is refused though the role is right.
                    let threshold = matches!(proof_form(&object), Proof::Threshold(_));
                    let batch = matches!(proof_form(&object), Proof::Batch(_));
                    let form = if role.has_threshold() { threshold } else { batch };
                    let right = own && role == kind.role() && of_container && form;
                    assert_eq!(taken, right, "{kind:?} by {role:?}, own {own}");
                    if !taken {
                        assert_eq!(bench.firm_records(), before, "{kind:?} by {role:?}");
                    }
                    tried += 1;
                    if taken {
                        accepted += 1;
                        (bench, ..) = stage();
                    }
                }
            }
        }
    }
    println!("figure: objects by role, kind, vendor and form: {tried}, accepted {accepted}");
    assert_eq!((tried, accepted), (Kind::ALL.len() * Vendor::ROLES.len() * 2 * 3, 5));
}

fn proof_form(object: &[u8]) -> Proof {
    UnverifiedObject::read(object, 4096).expect("our own object").0.proof().clone()
}

/// R1: the version that is trusted rises by one, whatever is brought in whatever order.
#[test]
fn sec_s12_a_root_is_taken_in_its_turn_and_no_other() {
    let (mut bench, vendor, _) = stage();
    let mut dice = Dice::new(5);
    let second = vendor.rotated(&[Role::Root], 0, &mut dice);
    let third = second.rotated(&[Role::Root, Role::Licensing], 0, &mut dice);
    let (two, three) = (second.newest_root(), third.newest_root());
    assert_eq!(bring(&mut bench, three), refused(ErrorCode::RootSkipped));
    assert_eq!(context(&mut bench, &vendor).1, 1);
    assert_eq!(bring(&mut bench, two), Ok(()));
    assert_eq!(bring(&mut bench, two), Ok(()), "a lost answer");
    assert_eq!(context(&mut bench, &vendor).1, 2);
    let other = vendor.rotated(&[Role::Root], 0, &mut dice);
    assert_eq!(bring(&mut bench, other.newest_root()), refused(ErrorCode::RootOld));
    assert_eq!(bring(&mut bench, three), Ok(()));
    assert_eq!(bring(&mut bench, two), refused(ErrorCode::RootOld));
    assert_eq!(bring(&mut bench, &vendor.root_object), refused(ErrorCode::RootOld));
    assert_eq!(context(&mut bench, &vendor).1, 3);
    let before = bench.firm_records();
    bench.power_up().expect("flash in order");
    assert_eq!((bench.firm_records(), context(&mut bench, &vendor).1), (before, 3));
}

/// R4, at the container: two of three keys must sign, and one that signs twice is one.
#[test]
fn sec_s12_a_root_that_too_few_keys_signed_is_refused() {
    let (mut bench, vendor, _) = stage();
    let mut dice = Dice::new(6);
    let keys = [(); 3].map(|()| draw_key(&mut dice));
    let points = keys.iter().map(|key| Fixed(key.verifying_key().to_bytes())).collect();
    let mut roles = vendor.root.body.roles.clone().into_vec();
    roles[0] = RoleKeys { threshold: 2, keys: List::new(points).expect("three"), ..roles[0] };
    let body = RootBody { roles: List::new(roles).expect("as before"), ..vendor.root.body.clone() };
    let next = |body: &RootBody, root: &protocol::objects::root::Root, signers: &[&SigningKey]| {
        let body = NextBody { body: body.clone(), min_epoch: 0 };
        root.write_next(&body, (NOW_S, 0), signers, &[7; 32]).expect("a small root")
    };
    let [a, b, c] = &keys;
    let old = vendor.key(Role::Root);
    for signers in
        [&[a, b][..], &[old], &[old, a], &[old, a, a], &[vendor.key(Role::Recovery), a, b]]
    {
        let object = next(&body, &vendor.root, signers);
        assert_eq!(bring(&mut bench, &object), refused(ErrorCode::RootUnsigned));
    }
    let two = next(&body, &vendor.root, &[old, a, c]);
    let (object, _) = UnverifiedObject::read(&two, 4096).expect("our own root");
    let root = vendor.root.verify_next(&object).expect("our own root");
    assert_eq!(bring(&mut bench, &two), Ok(()));
    for signers in [&[b][..], &[b, b], &[old, b]] {
        let object = next(&body, &root, signers);
        assert_eq!(bring(&mut bench, &object), refused(ErrorCode::RootUnsigned));
    }
    assert_eq!(bring(&mut bench, &next(&body, &root, &[b, c])), Ok(()));
    assert_eq!(context(&mut bench, &vendor).1, 3);
}

/// R3 and R5: the licensing key is stolen and used. The root's keys alone take it out of use; then
/// the thief is refused and the vendor goes on from where the container is.
#[test]
fn sec_s10_after_a_theft_the_thief_is_refused_and_the_vendor_goes_on() {
    let (mut bench, vendor, place) = stage();
    let thief = vendor.copy();
    let theft = thief.update(&place, &[set(2, 1000)]);
    assert_eq!(apply(&mut bench, &theft), Ok(()), "until the vendor does something");
    let vendor = vendor.rotated(&[Role::Licensing], 0, &mut Dice::new(7));
    assert_eq!(bring(&mut bench, vendor.newest_root()), Ok(()));
    let again = thief.update(&theft.after(), &[set(3, 1000)]);
    assert_eq!(apply(&mut bench, &again), refused(ErrorCode::UpdateSignature));
    let handed_on = thief.delegate(SCOPE, 0, &mut Dice::new(8));
    let by_friend = handed_on.update(&thief, &theft.after(), &[set(3, 1)]);
    assert_eq!(apply(&mut bench, &by_friend), refused(ErrorCode::DelegationRefused));
    // The chain is not broken: the context names the place.
    let (place, version, _) = context(&mut bench, &vendor);
    assert_eq!((place, version), (theft.after(), 2));
    let undo = vendor.update(&place, &[UpdateOp::RemoveItem(item(2, 0).item)]);
    assert_eq!(apply(&mut bench, &undo), Ok(()));
    // What the vendor signed before the rotation is as dead as what the thief signs.
    let late = thief.update(&undo.after(), &[UpdateOp::Nop]);
    assert_eq!(apply(&mut bench, &late), refused(ErrorCode::UpdateSignature));
}

/// R2: after the epoch is known a revoked key signs nothing, itself or by those that it gave.
#[test]
fn sec_s10_a_revoked_key_signs_nothing() {
    let (mut bench, vendor, place) = stage();
    let mut dice = Dice::new(9);
    let first = vendor.delegate(SCOPE, 0, &mut dice);
    let narrow = Scope { depth: 0, ..SCOPE };
    let second = first.delegate(&vendor.root, narrow, 0, &mut dice);
    let by_second = second.update(&vendor, &place, &[set(3, 1)]);
    assert_eq!(apply(&mut bench, &by_second), Ok(()));
    let place = by_second.after();
    let set_of = |epoch, keys: &[KeyId]| vendor.revocation(epoch, keys, 0);
    // The key in the middle ends itself and what hangs on it.
    assert_eq!(bring(&mut bench, &set_of(1, &[id(&first.key)])), Ok(()));
    for reseller in [&first, &second] {
        let update = reseller.update(&vendor, &place, &[set(3, 1)]);
        assert_eq!(apply(&mut bench, &update), refused(ErrorCode::KeyRevoked));
    }
    let by_vendor = vendor.update(&place, &[UpdateOp::Nop]);
    assert_eq!(apply(&mut bench, &by_vendor), Ok(()));
    let (place, licensing) = (by_vendor.after(), id(vendor.key(Role::Licensing)));
    // An epoch later the first one counts again, and the licensing key does not.
    assert_eq!(bring(&mut bench, &set_of(2, &[licensing])), Ok(()));
    bench.power_up().expect("flash in order");
    let by_vendor = vendor.update(&place, &[UpdateOp::Nop]);
    assert_eq!(apply(&mut bench, &by_vendor), refused(ErrorCode::KeyRevoked));
    let update = first.update(&vendor, &place, &[set(3, 1)]);
    assert_eq!(apply(&mut bench, &update), refused(ErrorCode::KeyRevoked), "by a revoked key");
    // An older set does not bring it back.
    let refusal = refused(ErrorCode::RevocationOld);
    assert_eq!(bring(&mut bench, &set_of(1, &[id(&first.key)])), refusal);
    assert_eq!(bring(&mut bench, &set_of(2, &[])), refusal);
    assert_eq!(bring(&mut bench, &set_of(2, &[licensing])), Ok(()), "a lost answer");
    assert_eq!(context(&mut bench, &vendor).2, 2);
}

/// A revoked key that was judged before the revocation was known signs nothing after it.
#[test]
fn sec_s10_a_revocation_counts_for_what_was_begun_before_it() {
    let (mut bench, vendor, place) = stage();
    let reseller = vendor.delegate(SCOPE, 0, &mut Dice::new(9));
    let update = reseller.update(&vendor, &place, &[set(3, 1)]);
    let mut commands = update.commands();
    let commit = commands.pop().expect("a commit");
    assert!(commands.into_iter().all(|command| bench.command(command) == Reply::Done));
    let revocation = vendor.revocation(1, &[id(&reseller.key)], 0);
    let other = bench.engine().carry_out(77, trust(&revocation));
    let Reply::Failed(failure) = other else { panic!("in the middle of an update") };
    assert_eq!(failure.known(), Some(ErrorCode::UpdateBusy));
    assert_eq!(bring(&mut bench, &revocation), Ok(()));
    assert!(!matches!(bench.command(commit), Reply::Receipt(_)), "applied by a revoked key");
    assert_eq!(apply(&mut bench, &update), refused(ErrorCode::KeyRevoked));
}

/// A stolen revocation key counts as far as numbers go. A root with another one begins anew, and
/// says how much a container must know before somebody else than the vendor issues.
#[test]
fn sec_s10_a_fast_forwarded_epoch_is_taken_back_by_a_rotation() {
    let (mut bench, vendor, place) = stage();
    let mut dice = Dice::new(10);
    let reseller = vendor.delegate(SCOPE, 0, &mut dice);
    let known = vendor.revocation(4, &[id(&reseller.key)], 0);
    assert_eq!(bring(&mut bench, &known), Ok(()));
    let thief = vendor.copy();
    let licensing = id(vendor.key(Role::Licensing));
    assert_eq!(bring(&mut bench, &thief.revocation(u32::MAX, &[licensing], 0)), Ok(()));
    let legitimate = vendor.revocation(5, &[], 0);
    assert_eq!(bring(&mut bench, &legitimate), refused(ErrorCode::RevocationOld));
    // Other keys for another role leave the epoch where it is.
    let vendor = vendor.rotated(&[Role::Protect], 0, &mut dice);
    assert_eq!(bring(&mut bench, vendor.newest_root()), Ok(()));
    assert_eq!(context(&mut bench, &vendor).2, u32::MAX);
    let vendor = vendor.rotated(&[Role::Revocation], 5, &mut dice);
    assert_eq!(bring(&mut bench, vendor.newest_root()), Ok(()));
    assert_eq!(context(&mut bench, &vendor).2, 0);
    let by_vendor = vendor.update(&place, &[UpdateOp::Nop]);
    assert_eq!(apply(&mut bench, &by_vendor), Ok(()), "the thief revoked it");
    // What was revoked does not come back meanwhile.
    let update = reseller.update(&vendor, &by_vendor.after(), &[set(3, 1)]);
    assert_eq!(apply(&mut bench, &update), refused(ErrorCode::RevocationNeeded));
    let mut thief = thief;
    thief.root = vendor.root.clone();
    let refusal = refused(ErrorCode::RevocationRefused);
    assert_eq!(bring(&mut bench, &thief.revocation(u32::MAX, &[], 0)), refusal);
    let low = vendor.revocation(4, &[], 0);
    assert_eq!(bring(&mut bench, &low), refused(ErrorCode::RevocationOld));
    let newest = vendor.revocation(5, &[id(&reseller.key)], 0);
    assert_eq!(bring(&mut bench, &newest), Ok(()));
    assert_eq!(apply(&mut bench, &update), refused(ErrorCode::KeyRevoked));
    let honest = vendor.delegate(SCOPE, 0, &mut dice);
    let update = honest.update(&vendor, &by_vendor.after(), &[set(3, 1)]);
    assert_eq!(apply(&mut bench, &update), Ok(()));
}

/// Roots, revocations and rights of different times do not go together.
#[test]
fn sec_s11_a_mixture_of_old_and_new_is_refused() {
    let (mut bench, vendor, place) = stage();
    let mut dice = Dice::new(11);
    let (old_set, old_right) = (vendor.revocation(7, &[], 0), vendor.delegate(SCOPE, 0, &mut dice));
    let rotated = vendor.rotated(&[Role::Licensing], 0, &mut dice);
    let new_set = rotated.revocation(8, &[], 0);
    let refusal = refused(ErrorCode::RevocationOtherRoot);
    assert_eq!(bring(&mut bench, &new_set), refusal, "a new set with the old root");
    assert_eq!(bring(&mut bench, rotated.newest_root()), Ok(()));
    assert_eq!(bring(&mut bench, &old_set), refusal, "an old set with the new root");
    let update = old_right.update(&rotated, &place, &[set(3, 1)]);
    assert_eq!(apply(&mut bench, &update), refused(ErrorCode::DelegationRefused));
    assert_eq!(context(&mut bench, &vendor).2, 0);
    assert_eq!(bring(&mut bench, &new_set), Ok(()));
    // A right for one update does not wait for the root that comes between.
    let right = rotated.delegate(SCOPE, 0, &mut dice);
    let update = right.update(&rotated, &place, &[set(3, 1)]);
    assert_eq!(bring(&mut bench, &right.chain[0]), Ok(()));
    let later = rotated.rotated(&[Role::Licensing], 0, &mut dice);
    assert_eq!(bring(&mut bench, later.newest_root()), Ok(()));
    let update = Update { trust: Vec::new(), ..update };
    assert_eq!(apply(&mut bench, &update), refused(ErrorCode::UpdateSignature));
}

/// A container has no say in whether a revocation is stale: it cannot know who holds newer ones
/// back. It takes any that is newer than its own.
#[test]
fn sec_s09_a_container_takes_the_newest_it_is_given_however_old() {
    let (mut bench, vendor, place) = stage();
    assert_eq!(bring(&mut bench, &vendor.revocation(1, &[], 1)), Ok(()));
    let update = vendor.update(&place, &[UpdateOp::Nop]);
    assert_eq!(apply(&mut bench, &update), Ok(()));
    assert_eq!(bring(&mut bench, &vendor.revocation(2, &[], NOW_S - 1)), Ok(()));
    assert_eq!(context(&mut bench, &vendor).2, 2);
}

/// What is longer than declared, or declares more than its kind has, is given up at once.
#[test]
fn sec_s13_nothing_is_taken_beyond_its_declared_length() {
    let (mut bench, vendor, place) = stage();
    let malformed = refused(ErrorCode::Malformed);
    let good = vendor.revocation(1, &[], 0);
    for extra in [1, 100] {
        let longer = [&good[..], &vec![0; extra]].concat();
        assert_eq!(bring(&mut bench, &longer), malformed);
    }
    for declared in [1_u32 << 12, 1 << 20, u32::MAX] {
        let mut lying = good.clone();
        lying[108..112].copy_from_slice(&declared.to_be_bytes());
        assert_eq!(bring(&mut bench, &lying), malformed);
    }
    let update = vendor.update_of_bytes(&place, vec![0; 3000]);
    let mut commands = update.commands().into_iter();
    let taken: Vec<_> = commands.by_ref().take(4).map(|c| bench.command(c)).collect();
    assert!(taken.iter().all(|answer| *answer == Reply::Done), "what was declared");
    let records = bench.firm_records();
    for offset in [3000, 3072, 0, u32::MAX] {
        let bytes = codec::Bytes::new(vec![0; 1024]).expect("a chunk's length");
        let Reply::Failed(failure) = bench.command(Command::UpdateChunk { offset, bytes }) else {
            panic!("more than was declared is taken")
        };
        assert_eq!(failure.known(), Some(ErrorCode::ChunkOffset));
    }
    assert_eq!(bench.firm_records(), records);
}

/// A reseller within its range, quantity, time and depth.
#[test]
fn a_delegated_key_issues_what_it_was_given_and_no_more() {
    let (mut bench, vendor, place) = stage();
    let mut dice = Dice::new(12);
    let reseller = vendor.delegate(SCOPE, NOW_S + 50, &mut dice);
    let of =
        |reseller: &Reseller, place: Place, ops: &[UpdateOp]| reseller.update(&vendor, &place, ops);
    let before = bench.firm_records();
    for (ops, code) in [
        (vec![set(10, 1)], ErrorCode::DelegationProduct),
        (vec![set(3, 1), set(3, 4)], ErrorCode::DelegationQuantity),
        (vec![UpdateOp::RemoveItem(item(10, 0).item)], ErrorCode::DelegationProduct),
        (vec![UpdateOp::Perpetuate(SCOPE.products)], ErrorCode::DelegationProduct),
    ] {
        assert_eq!(apply(&mut bench, &of(&reseller, place, &ops)), refused(code), "{ops:?}");
    }
    assert_eq!(bench.firm_records(), before);
    let without_chain = Update { trust: Vec::new(), ..of(&reseller, place, &[set(3, 3)]) };
    assert_eq!(apply(&mut bench, &without_chain), refused(ErrorCode::UpdateSignature));
    let good = of(&reseller, place, &[set(3, 3)]);
    assert_eq!(apply(&mut bench, &good), Ok(()));
    // Its updates say nothing of the time: NOW_S + 1,000,000 would end other licenses.
    bench.ticks.pass_ms(49_000);
    let second = of(&reseller, good.after(), &[set(3, 2)]);
    assert_eq!(apply(&mut bench, &second), Ok(()));
    let wide = reseller.delegate(&vendor.root, SCOPE, 0, &mut dice);
    let refusal = refused(ErrorCode::DelegationRefused);
    assert_eq!(apply(&mut bench, &of(&wide, second.after(), &[set(3, 1)])), refusal);
    let narrow = Scope { quantity_max: 1, depth: 0, ..SCOPE };
    let below = reseller.delegate(&vendor.root, narrow, 0, &mut dice);
    let too_many = refused(ErrorCode::DelegationQuantity);
    assert_eq!(apply(&mut bench, &of(&below, second.after(), &[set(4, 2)])), too_many);
    let third = of(&below, second.after(), &[set(4, 1)]);
    assert_eq!(apply(&mut bench, &third), Ok(()));
    bench.ticks.pass_ms(10_000);
    let over = refused(ErrorCode::DelegationOver);
    assert_eq!(apply(&mut bench, &of(&below, third.after(), &[set(4, 1)])), over);
}

/// A firm that is new to a container comes with all its roots, its revocations and a reseller.
#[test]
fn a_new_firm_comes_in_by_a_reseller_with_all_its_roots() {
    let (mut bench, mut dice) = (Bench::new(1), Dice::new(13));
    let first = Vendor::new("Acme", &mut dice);
    let vendor = first.rotated(&[Role::Licensing], 1, &mut dice);
    let reseller = vendor.delegate(SCOPE, 0, &mut dice);
    let revocation = vendor.revocation(1, &[KeyId::new([9; 8])], 0);
    let update = reseller.update(&vendor, &vendor.first_place(bench.id()), &[set(3, 1)]);
    let (root_one, root_two) = (vendor.root_object.clone(), vendor.later_roots[0].clone());
    let chain = reseller.chain[0].clone();
    for (trust, code) in [
        (vec![root_one.clone(), chain.clone()], ErrorCode::DelegationRefused),
        (vec![root_two.clone()], ErrorCode::RootNeeded),
        (vec![root_one.clone(), root_two.clone(), chain.clone()], ErrorCode::RevocationNeeded),
    ] {
        let update = Update { trust, ..update.clone() };
        assert_eq!(apply(&mut bench, &update), refused(code));
        assert!(bench.firm_records().is_empty());
        bench.engine().closed(BENCH_CHANNEL);
    }
    // Roots that nothing follows leave nothing behind.
    assert_eq!(bring(&mut bench, &root_one), Ok(()));
    bench.engine().closed(BENCH_CHANNEL);
    assert_eq!(bring(&mut bench, &root_two), refused(ErrorCode::RootNeeded));
    let update = Update { trust: vec![root_one, root_two, revocation, chain], ..update };
    assert_eq!(apply(&mut bench, &update), Ok(()));
    assert_eq!(context(&mut bench, &vendor), (update.after(), 2, 1));
}

/// Recovery takes checkpoints away, and does nothing else; nobody else does that.
#[test]
fn recovery_makes_checkpoint_licenses_perpetual_and_nothing_else() {
    let (mut bench, vendor, place) = stage();
    let ops = [lapsing(3), lapsing(4), lapsing(5), set(6, 1)];
    let update = vendor.update(&place, &ops);
    assert_eq!(apply(&mut bench, &update), Ok(()));
    let (place, before) = (update.after(), bench.firm_records());
    let of = |first, last| ProductRange { first: ProductCode(first), last: ProductCode(last) };
    let perpetuate = UpdateOp::Perpetuate(of(4, 6));
    let by_licensing = vendor.update(&place, std::slice::from_ref(&perpetuate));
    assert_eq!(apply(&mut bench, &by_licensing), refused(ErrorCode::RecoveryOp));
    for other in [set(3, 1), UpdateOp::RemoveItem(item(3, 0).item)] {
        let update = vendor.recovery(&place, &[perpetuate.clone(), other]);
        assert_eq!(apply(&mut bench, &update), refused(ErrorCode::RecoveryOp));
    }
    assert_eq!(bench.firm_records(), before);
    let recovery = vendor.recovery(&place, &[perpetuate]);
    assert_eq!(apply(&mut bench, &recovery), Ok(()));
    assert_eq!(context(&mut bench, &vendor).0, recovery.after());
    let Reply::Items(items) = bench.command(Command::Items { firm: vendor.fp(), after: None })
    else {
        panic!("no entries")
    };
    let mut items = items.into_vec();
    let after = items.last().map(|item| item.item);
    let Reply::Items(more) = bench.command(Command::Items { firm: vendor.fp(), after }) else {
        panic!("no entries")
    };
    items.extend(more.into_vec());
    let lapse =
        |item: &ProductItem| item.options.iter().any(|o| o.kind() == OptionKind::Checkpoint);
    let lapsing: Vec<_> =
        items.iter().filter(|item| lapse(item)).map(|item| item.item.product.0).collect();
    assert_eq!(lapsing, [3]);
    assert!(items.iter().all(|item| item.quantity() > 0), "an option was lost");
    assert_eq!(items.len(), 5);
}

/// What a container keeps to know whom a firm trusts stays within a KiB, at its largest.
#[test]
fn trust_of_a_firm_takes_less_than_a_kib() {
    let (mut bench, vendor, _) = stage();
    let mut dice = Dice::new(14);
    let mut roles = vendor.root.body.roles.clone().into_vec();
    for (role, count) in roles.iter_mut().zip([5, 3, 2, 2, 2, 2, 2, 2]) {
        let mut keys = role.keys.clone().into_vec();
        keys.resize_with(count, || Fixed(draw_key(&mut dice).verifying_key().to_bytes()));
        role.keys = List::new(keys).expect("five at most");
    }
    let name = codec::Text::new(&"x".repeat(64)).expect("64 bytes");
    let roles = List::new(roles).expect("as before");
    let body = RootBody { name, roles, ..vendor.root.body.clone() };
    let next = NextBody { body, min_epoch: u32::MAX };
    let signers = [vendor.key(Role::Root)];
    let object = vendor.root.write_next(&next, (NOW_S, 0), &signers, &[7; 32]).expect("bounded");
    let before: usize = bench.firm_records().iter().map(|(_, value)| value.len()).sum();
    let old = codec::encode(&vendor.root.body).len();
    assert_eq!(bring(&mut bench, &object), Ok(()));
    let (object, _) = UnverifiedObject::read(&object, 4096).expect("our own root");
    let root = vendor.root.verify_next(&object).expect("our own root");
    let mut vendor = vendor;
    vendor.root = root;
    let keys: Vec<_> = (0..20).map(|n| KeyId::new([n; 8])).collect();
    assert_eq!(bring(&mut bench, &vendor.revocation(u32::MAX, &keys, 0)), Ok(()));
    let after: usize = bench.firm_records().iter().map(|(_, value)| value.len()).sum();
    let kept = after - before + old;
    println!("figure: bytes kept of a firm's largest root and revocation: {kept}");
    assert!(kept <= TRUST_KEPT_LEN_MAX, "{kept}");
}
