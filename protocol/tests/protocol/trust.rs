//! Roots that follow one another, rights handed on, and what counts no more.

use strongroom_protocol::codec::{self, Fixed, List, Text};
use strongroom_protocol::crypto::ecdsa::SigningKey;
use strongroom_protocol::ids::{ContainerId, EntryNumber, FirmCode, KeyId, ProductCode, RootFp};
use strongroom_protocol::objects::delegation::{
    Delegate, DelegationBody, DelegationError, Scope, ScopeError,
};
use strongroom_protocol::objects::license::{ItemOption, ItemRef, ProductItem, Version};
use strongroom_protocol::objects::revocation::{
    FirmwareRange, Freshness, Revocation, RevocationBody, RevocationError, StalePolicy,
};
use strongroom_protocol::objects::root::{Mode, NextBody, RoleKeys, Root, RootBody, RootError};
use strongroom_protocol::objects::update::{ProductRange, UpdateOp};
use strongroom_protocol::signed::{
    Header, Kind, Proof, Role, UnverifiedObject, sign_threshold, write_object,
};

const NONE: [u8; 32] = [0; 32];

fn key(byte: u8) -> SigningKey {
    SigningKey::from_bytes(&[byte; 32]).expect("below the group order")
}

fn keys(bytes: &[u8]) -> Vec<SigningKey> {
    bytes.iter().copied().map(key).collect()
}

/// Keys of a role, by the bytes of their scalars.
fn role(role: Role, threshold: u8, bytes: &[u8]) -> RoleKeys {
    let points = keys(bytes).iter().map(|key| Fixed(key.verifying_key().to_bytes())).collect();
    RoleKeys { role, threshold, keys: List::new(points).expect("few keys") }
}

fn body(roles: Vec<RoleKeys>) -> RootBody {
    RootBody {
        mode: Mode::Test,
        name: Text::new("Acme").expect("short"),
        firm_code: FirmCode(1),
        roles: List::new(roles).expect("few roles"),
    }
}

/// Two of three keys of the root, one for licenses, two of two for revocations.
fn first_body() -> RootBody {
    body(vec![
        role(Role::Root, 2, &[1, 2, 3]),
        role(Role::Licensing, 1, &[11]),
        role(Role::Revocation, 2, &[21, 22]),
    ])
}

fn read(bytes: &[u8]) -> UnverifiedObject<'_> {
    UnverifiedObject::read(bytes, 4096).expect("our own object").0
}

fn write_first(body: &RootBody, signers: &[u8]) -> Vec<u8> {
    let signers = keys(signers);
    let signers: Vec<_> = signers.iter().collect();
    Root::write_first(body, 5, &signers, &NONE).expect("a small root")
}

fn first() -> Root {
    Root::verify_first(&read(&write_first(&first_body(), &[1, 2]))).expect("two keys signed")
}

fn write_next(root: &Root, body: RootBody, signers: &[u8]) -> Vec<u8> {
    let signers = keys(signers);
    let signers: Vec<_> = signers.iter().collect();
    let body = NextBody { body, min_epoch: 0 };
    root.write_next(&body, (6, 0), &signers, &NONE).expect("a small root")
}

/// The same with other keys for the root: 4, 5, 6.
fn second_body() -> RootBody {
    let mut roles = first_body().roles.into_vec();
    roles[0] = role(Role::Root, 2, &[4, 5, 6]);
    body(roles)
}

fn threshold(found: u8, needed: u8) -> RootError {
    RootError::Threshold { found, needed }
}

#[test]
fn sec_s06_a_key_that_signs_twice_counts_once() {
    let body = first_body();
    for (signers, found) in
        [(&[1, 1][..], 1), (&[2, 2, 2, 2], 1), (&[1], 1), (&[], 0), (&[9, 8], 0)]
    {
        let refused = Root::verify_first(&read(&write_first(&body, signers)));
        assert_eq!(refused, Err(threshold(found, 2)), "{signers:?}");
    }
    for signers in [&[1, 2][..], &[3, 1], &[2, 3, 1], &[1, 1, 2]] {
        assert!(Root::verify_first(&read(&write_first(&body, signers))).is_ok(), "{signers:?}");
    }
}

#[test]
fn sec_s06_a_key_that_is_listed_twice_is_refused() {
    let twice = body(vec![role(Role::Root, 2, &[1, 1])]);
    let refused = Root::verify_first(&read(&write_first(&twice, &[1, 1])));
    assert_eq!(refused, Err(RootError::Contents("a key is listed twice")));
}

/// The id of a key is computed from the key, so a signature under an invented id counts for none.
#[test]
fn sec_s06_a_signature_under_another_id_counts_for_no_key() {
    let bytes = codec::encode(&first_body());
    let header = Header { seq: 1, ..Header::new(Kind::Root, &bytes) };
    let signature = Fixed(key(1).sign(&header.preimage(), &NONE));
    let ids = [key(1).verifying_key().id(), key(2).verifying_key().id(), KeyId::new([7; 8])];
    let list = List::new(ids.map(|id| (id, signature)).to_vec()).expect("three");
    let object = write_object(&header, &Proof::Threshold(list), &bytes);
    assert_eq!(Root::verify_first(&read(&object)), Err(threshold(1, 2)));
}

#[test]
fn a_threshold_belongs_to_roles_that_sign_objects_themselves() {
    let refused = |roles| body(roles).check().is_err();
    assert!(refused(vec![role(Role::Root, 1, &[1]), role(Role::Licensing, 2, &[2, 3])]));
    assert!(refused(vec![role(Role::Root, 3, &[1, 2])]));
    assert!(refused(vec![role(Role::Root, 0, &[1])]));
    assert!(refused(vec![role(Role::Licensing, 1, &[1])]));
    // A key that signs trees signs nothing else.
    assert!(refused(vec![role(Role::Root, 1, &[1]), role(Role::Licensing, 1, &[1])]));
    assert!(!refused(vec![role(Role::Root, 2, &[1, 2]), role(Role::Recovery, 2, &[3, 4])]));
    let many = (0..5).map(|n| [10 * n + 1, 10 * n + 2, 10 * n + 3, 10 * n + 4, 10 * n + 5]);
    let roles = [Role::Root, Role::Licensing, Role::Protect, Role::Device, Role::Time];
    let many = many.zip(roles).map(|(bytes, of)| role(of, 1, &bytes)).collect();
    assert!(refused(many), "25 keys");
}

#[test]
fn sec_s12_the_next_root_is_signed_by_both_thresholds() {
    let root = first();
    for (signers, refusal) in [
        (&[1, 2][..], threshold(0, 2)),
        (&[4, 5], threshold(0, 2)),
        (&[1, 2, 4], threshold(1, 2)),
        (&[1, 4, 5], threshold(1, 2)),
        (&[1, 1, 4, 5], threshold(1, 2)),
        (&[1, 2, 4, 4], threshold(1, 2)),
        (&[21, 22, 4, 5], threshold(0, 2)),
    ] {
        let next = write_next(&root, second_body(), signers);
        assert_eq!(root.verify_next(&read(&next)), Err(refusal), "{signers:?}");
    }
    let next = write_next(&root, second_body(), &[1, 3, 5, 6]);
    let next = root.verify_next(&read(&next)).expect("two of each");
    assert_eq!((next.version, next.root_fp, next.body), (2, root.root_fp, second_body()));
}

#[test]
fn sec_s12_no_root_is_skipped_or_repeated() {
    let root = first();
    let (two, second_signers) = (write_next(&root, second_body(), &[1, 2, 4, 5]), &[4, 5]);
    let second = root.verify_next(&read(&two)).expect("the second");
    let three = write_next(&second, second_body(), second_signers);
    let not_next = |found, needed| Err(RootError::NotNext { found, needed });
    assert_eq!(root.verify_next(&read(&three)), not_next(3, 2));
    assert_eq!(second.verify_next(&read(&two)), not_next(2, 3));
    let third = second.verify_next(&read(&three)).expect("the third");
    assert_eq!(third.verify_next(&read(&three)), not_next(3, 4));
    // Another root of version 2, signed as well as the first one, leads to other thirds.
    let other = write_next(&root, first_body(), &[1, 2]);
    let other = root.verify_next(&read(&other)).expect("a second one");
    let refused = other.verify_next(&read(&three));
    assert!(matches!(refused, Err(RootError::Contents(_))), "{refused:?}");
    assert!(Root::verify_first(&read(&two)).is_err());
}

#[test]
fn a_root_of_another_vendor_or_mode_does_not_follow() {
    let root = first();
    let stranger = Root { root_fp: RootFp::new([9; 16]), ..root.clone() };
    let next = write_next(&stranger, second_body(), &[1, 2, 4, 5]);
    assert!(root.verify_next(&read(&next)).is_err());
    let live = RootBody { mode: Mode::Live, ..second_body() };
    let next = write_next(&root, live, &[1, 2, 4, 5]);
    assert!(root.verify_next(&read(&next)).is_err(), "a test vendor goes live");
}

const SCOPE: Scope = Scope {
    products: ProductRange { first: ProductCode(10), last: ProductCode(19) },
    quantity_max: 5,
    daily_max: 50,
    depth: 1,
};

fn delegation(to: u8, scope: Scope, until_s: u64, by: u8) -> Vec<u8> {
    let point = Fixed(key(to).verifying_key().to_bytes());
    let body = DelegationBody { name: Text::new("R").expect("short"), key: point, scope };
    body.write(first().root_fp, (7, until_s), &key(by), &NONE).expect("one leaf")
}

fn hand_on(bytes: &[u8]) -> Result<Delegate, DelegationError> {
    let root = first();
    Delegate::first(root.root_fp, &root.body, &read(bytes))
}

#[test]
fn a_delegation_is_made_by_a_licensing_key_and_narrows_from_there() {
    let first = hand_on(&delegation(31, SCOPE, 1000, 11)).expect("by the licensing key");
    assert_eq!((first.scope, first.until_s, first.issued_s), (SCOPE, 1000, 7));
    for by in [1, 21, 31] {
        assert_eq!(hand_on(&delegation(31, SCOPE, 0, by)), Err(DelegationError::Signature));
    }
    let deep = Scope { depth: 2, ..SCOPE };
    assert_eq!(hand_on(&delegation(31, deep, 0, 11)), Err(DelegationError::Wider));
    let narrow = Scope { depth: 0, ..SCOPE };
    let of = |first, last| ProductRange { first: ProductCode(first), last: ProductCode(last) };
    for wider in [
        Scope { products: of(9, 19), ..narrow },
        Scope { products: of(10, 20), ..narrow },
        Scope { quantity_max: 6, ..narrow },
        Scope { daily_max: 51, ..narrow },
        SCOPE,
    ] {
        let refused = first.next(&read(&delegation(32, wider, 0, 31)));
        assert_eq!(refused, Err(DelegationError::Wider), "{wider:?}");
    }
    let second = first.next(&read(&delegation(32, narrow, 2000, 31))).expect("narrower");
    assert_eq!((second.until_s, second.scope), (1000, narrow), "the end is the earlier one");
    assert_eq!(second.chain(), [11, 31, 32].map(|byte| key(byte).verifying_key().id()));
    assert_eq!(first.next(&read(&delegation(32, narrow, 0, 11))), Err(DelegationError::Signature));
    let third = Scope { depth: 0, ..narrow };
    let refused = second.next(&read(&delegation(33, third, 0, 32)));
    assert_eq!(refused, Err(DelegationError::Wider), "handed on for the third time");
    let none = Scope { products: of(12, 11), ..narrow };
    assert_eq!(hand_on(&delegation(31, none, 0, 11)), Err(DelegationError::Body));
}

#[test]
fn a_delegate_issues_within_its_scope() {
    let delegate = hand_on(&delegation(31, SCOPE, 0, 11)).expect("by the licensing key");
    let item = |product, quantity| {
        let item = ItemRef { product: ProductCode(product), entry: EntryNumber(0) };
        let options = List::new(vec![ItemOption::LicenseQuantity(quantity)]).expect("one");
        UpdateOp::SetItem(ProductItem { item, options })
    };
    assert_eq!(delegate.allows(&item(10, 5)), Ok(()));
    assert_eq!(delegate.allows(&item(19, 0)), Ok(()));
    assert_eq!(delegate.allows(&item(19, 6)), Err(ScopeError::Quantity(6)));
    assert_eq!(delegate.allows(&item(20, 1)), Err(ScopeError::Product));
    assert_eq!(delegate.allows(&item(9, 1)), Err(ScopeError::Product));
    let perpetual = UpdateOp::Perpetuate(SCOPE.products);
    assert_eq!(delegate.allows(&perpetual), Err(ScopeError::Product));
    assert_eq!(delegate.allows(&UpdateOp::Nop), Ok(()));
}

fn revoked() -> RevocationBody {
    RevocationBody {
        keys: List::new(vec![KeyId::new([1; 8]), KeyId::new([2; 8])]).expect("two"),
        containers: List::new(vec![ContainerId::new([3; 16])]).expect("one"),
        firmware: List::new(vec![FirmwareRange { first: Version(5), last: Version(7) }])
            .expect("one"),
    }
}

fn revocation(root: &Root, epoch: u32, until_s: u64, signers: &[u8]) -> Vec<u8> {
    let signers = keys(signers);
    let signers: Vec<_> = signers.iter().collect();
    Revocation::write(root, epoch, &revoked(), (8, until_s), &signers, &NONE).expect("small")
}

#[test]
fn a_revocation_is_signed_by_its_roles_threshold() {
    let root = first();
    let of = |signers: &[u8]| Revocation::verify(&root, &read(&revocation(&root, 3, 9, signers)));
    let good = of(&[21, 22]).expect("both signed");
    assert_eq!((good.epoch, good.until_s, good.body), (3, 9, revoked()));
    let body = revoked();
    assert!(body.names_firmware(Version(6)) && !body.names_firmware(Version(8)));
    for signers in [&[21][..], &[21, 21], &[1, 2], &[11, 21]] {
        assert!(matches!(of(signers), Err(RevocationError::Signed(_))), "{signers:?}");
    }
    let unordered = List::new(vec![KeyId::new([2; 8]), KeyId::new([1; 8])]).expect("two");
    let body = RevocationBody { keys: unordered, ..revoked() };
    let nobody: [&SigningKey; 0] = [];
    assert!(Revocation::write(&root, 3, &body, (8, 0), &nobody, &NONE).is_none());
}

/// A list made for one root does not go with another, older or newer.
#[test]
fn sec_s11_a_revocation_goes_with_one_root() {
    let root = first();
    let next = write_next(&root, second_body(), &[1, 2, 4, 5]);
    let second = root.verify_next(&read(&next)).expect("the second");
    let (old, new) = (revocation(&root, 3, 0, &[21, 22]), revocation(&second, 4, 0, &[21, 22]));
    assert!(Revocation::verify(&root, &read(&old)).is_ok());
    assert!(Revocation::verify(&second, &read(&new)).is_ok());
    assert_eq!(Revocation::verify(&second, &read(&old)), Err(RevocationError::OtherRoot));
    assert_eq!(Revocation::verify(&root, &read(&new)), Err(RevocationError::OtherRoot));
}

/// Numbers have an end, and a root says where they begin.
#[test]
fn sec_s10_an_epoch_stays_within_its_bounds() {
    let root = Root { min_epoch: 5, ..first() };
    let bytes = codec::encode(&revoked());
    let of = |epoch: u64| {
        let header = Header {
            root_fp: root.root_fp,
            seq: epoch,
            state: root.hash,
            ..Header::new(Kind::Revocation, &bytes)
        };
        let (a, b) = (key(21), key(22));
        let proof = sign_threshold(&header, &[&a, &b], &NONE).expect("two");
        Revocation::verify(&root, &read(&write_object(&header, &proof, &bytes))).map(|r| r.epoch)
    };
    for epoch in [0, 4, 1 << 32, (1 << 63) - 1, u64::MAX] {
        assert_eq!(of(epoch), Err(RevocationError::Epoch(epoch)));
    }
    assert_eq!((of(5), of(u32::MAX.into())), (Ok(5), Ok(u32::MAX)));
}

#[test]
fn sec_s09_a_stale_revocation_warns_then_refuses() {
    let root = first();
    let read = |until_s| {
        let object = revocation(&root, 1, until_s, &[21, 22]);
        Revocation::verify(&root, &read(&object)).expect("both signed")
    };
    let (policy, lenient) =
        (StalePolicy { refuse_after_s: Some(100) }, StalePolicy { refuse_after_s: None });
    let dated = read(1000);
    for (now_s, strict, mild) in [
        (0, Freshness::Fresh, Freshness::Fresh),
        (1000, Freshness::Fresh, Freshness::Fresh),
        (1001, Freshness::Stale(1), Freshness::Stale(1)),
        (1100, Freshness::Stale(100), Freshness::Stale(100)),
        (1101, Freshness::Refused(101), Freshness::Stale(101)),
        (u64::MAX, Freshness::Refused(u64::MAX - 1000), Freshness::Stale(u64::MAX - 1000)),
    ] {
        assert_eq!(dated.freshness(now_s, policy), strict, "{now_s}");
        assert_eq!(dated.freshness(now_s, lenient), mild, "{now_s}");
    }
    assert_eq!(read(0).freshness(u64::MAX, policy), Freshness::Fresh);
}

/// Every role signs every kind as well as it can; only the kind's own role is believed.
#[test]
fn sec_s03_a_kind_is_believed_from_its_own_role_only() {
    let roles: Vec<_> = [Role::Root, Role::Licensing, Role::Revocation, Role::Recovery].into();
    let listed = (1..).zip(&roles).map(|(byte, of)| role(*of, 1, &[byte])).collect();
    let body = body(listed);
    for kind in Kind::ALL {
        for (byte, signer) in (1..).zip(&roles) {
            let header = Header { seq: 1, ..Header::new(kind, b"body") };
            let signer_key = key(byte);
            let proof = sign_threshold(&header, &[&signer_key], &NONE).expect("one");
            for asked in &roles {
                let believed = body.check_signed(&header, &proof, *asked).is_ok();
                let own = kind.role() == *asked && signer == asked && asked.has_threshold();
                assert_eq!(believed, own, "{kind:?} by {signer:?} as {asked:?}");
            }
        }
    }
}
