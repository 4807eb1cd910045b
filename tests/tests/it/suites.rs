//! Suite 2: both signatures are needed, the trusted root says where, and containers take none.

use protocol::codec::{self, Bytes, Fixed};
use protocol::command::Reply;
use protocol::crypto::hybrid::{HYBRID_KEY_LEN, HybridKey, HybridVerifyingKey};
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::ProductCode;
use protocol::objects::lease::{LeaseBody, VerifiedLease, verify};
use protocol::objects::root::{HYBRID_NAME, RootError, RootKey};
use protocol::objects::update::UpdateOp;
use protocol::signed::hybrid::{HybridProof, sign_hybrid_batch, write_hybrid};
use protocol::signed::{
    BatchProof, HYBRID_SUITE, Header, Kind, Proof, Role, SUITE, sign_batch, write_object,
};
use strongroom_tests::bench::Bench;
use strongroom_tests::dice::Dice;
use strongroom_tests::vendor::{NOW_S, Vendor, commands};

/// A firm, its key of suite 2, and its root that names that.
fn firm(seed: u8) -> (Vendor, HybridKey) {
    let vendor = Vendor::new("Acme", &mut Dice::new(seed.into()));
    let key = HybridKey::from_seed(&[seed; 32]).expect("a seed that gives a key");
    let vendor = vendor.naming(Role::Licensing, &[point(&vendor), key.name()]);
    (vendor.expect("a root that names both"), key)
}

/// What a root says for the licensing key that containers verify.
fn point(vendor: &Vendor) -> RootKey {
    Fixed(vendor.key(Role::Licensing).verifying_key().to_bytes())
}

fn body() -> Vec<u8> {
    codec::encode(&LeaseBody { session: Fixed([9; 16]), product: ProductCode(7), seats: 2 })
}

fn header(vendor: &Vendor, n: u64) -> Header {
    let (root_fp, until_s) = (vendor.fp(), NOW_S + 60);
    Header { root_fp, target: [5; 16], seq: n, until_s, ..Header::new(Kind::Lease, &body()) }
}

/// Three leases of one commit, by this key.
fn leases(vendor: &Vendor, key: &HybridKey) -> Vec<(Header, HybridProof)> {
    let mut headers = [0, 1, 2].map(|n| header(vendor, n));
    let proofs = sign_hybrid_batch(&mut headers, key, key.p256(), &[7; 32]).expect("three leaves");
    headers.into_iter().zip(proofs).collect()
}

fn lease(vendor: &Vendor, key: &HybridKey) -> (Header, HybridProof) {
    leases(vendor, key).swap_remove(1)
}

fn judged(vendor: &Vendor, (header, proof): &(Header, HybridProof)) -> Result<u8, ErrorCode> {
    code(verify(&vendor.root, None, &write_hybrid(header, proof, &body())))
}

fn code(verified: Result<VerifiedLease, Failure>) -> Result<u8, ErrorCode> {
    verified.map(|lease| lease.suite).map_err(|failure| failure.known().expect("a known number"))
}

#[test]
fn leases_of_a_commit_share_both_signatures_and_each_holds_alone() {
    let (vendor, key) = firm(1);
    let leases = leases(&vendor, &key);
    for (n, lease) in (0..).zip(&leases) {
        let bytes = write_hybrid(&lease.0, &lease.1, &body());
        let verified = verify(&vendor.root, None, &bytes).expect("our own lease");
        assert_eq!((verified.suite, verified.header.seq), (HYBRID_SUITE, n));
        assert_eq!((verified.body.seats, verified.body.product), (2, ProductCode(7)));
        assert_eq!((&lease.1.p256, &lease.1.ml_dsa), (&leases[0].1.p256, &leases[0].1.ml_dsa));
        println!("figure: bytes of a lease of suite 2 in a tree of three: {}", bytes.len());
    }
}

/// One half alone, and halves that two keys made.
#[test]
fn sec_s02_half_a_signature_of_suite_2_is_none() {
    let (vendor, key) = firm(1);
    let (header, proof) = lease(&vendor, &key);
    let other = HybridKey::from_seed(&[2; 32]).expect("a seed that gives a key");
    let (_, theirs) = lease(&vendor, &other);
    let forged = |change: &dyn Fn(&mut HybridProof)| {
        let mut proof = proof.clone();
        change(&mut proof);
        (header, proof)
    };
    let refused = Err(ErrorCode::LeaseRefused);
    assert_eq!(judged(&vendor, &forged(&|_| ())), Ok(HYBRID_SUITE));
    let no_p256 = forged(&|proof| proof.p256 = Fixed([0; 64]));
    let no_ml_dsa = forged(&|proof| proof.ml_dsa = Bytes::default());
    let zeros = forged(&|proof| proof.ml_dsa = Bytes::new(vec![0; 3309]).expect("its length"));
    for half in [no_p256, no_ml_dsa, zeros] {
        assert_eq!(judged(&vendor, &half), refused);
    }
    let p256 = forged(&|proof| proof.p256 = theirs.p256);
    let ml_dsa = forged(&|proof| proof.ml_dsa = theirs.ml_dsa.clone());
    let both = forged(&|proof| proof.key = theirs.key.clone());
    for halves in [p256, ml_dsa, both] {
        assert_eq!(judged(&vendor, &halves), refused);
    }
    // Both halves hold, under a key that is put together from two.
    let mixed = [&key.public()[..33], &other.public()[33..]].concat();
    let mixed_key = HybridVerifyingKey::from_bytes(&mixed).expect("two halves");
    let key_id = mixed_key.id();
    let mut headers = [Header { key_id, ..header }];
    let ours = sign_hybrid_batch(&mut headers.clone(), &key, key.p256(), &[7; 32]);
    let theirs = sign_hybrid_batch(&mut headers, &other, other.p256(), &[7; 32]);
    let (ours, theirs) = (ours.expect("one leaf"), theirs.expect("one leaf"));
    let key = Bytes::<HYBRID_KEY_LEN>::new(mixed).expect("its length");
    let mixed = HybridProof { ml_dsa: theirs[0].ml_dsa.clone(), key, ..ours[0].clone() };
    assert_eq!(judged(&vendor, &(Header { key_id, ..header }, mixed)), refused);
}

/// The root wants suite 2: what P-256 alone signed is no lease, whoever's key it was.
#[test]
fn sec_s02_suite_2_is_not_stripped_to_suite_1() {
    let (vendor, key) = firm(1);
    let (header, proof) = lease(&vendor, &key);
    let wants = Err(ErrorCode::LeaseSuite);
    let HybridProof { tree_size, index, path, p256, .. } = proof.clone();
    let half = Proof::Batch(BatchProof { tree_size, index, path, signature: p256 });
    assert_eq!(code(verify(&vendor.root, None, &write_object(&header, &half, &body()))), wants);
    // By the very key that containers trust, and by the P-256 half, over a tree of suite 1.
    for signer in [vendor.key(Role::Licensing), key.p256()] {
        let mut headers = [header];
        let proofs = sign_batch(&mut headers, signer, &[7; 32]).expect("one leaf");
        let object = write_object(&headers[0], &proofs[0], &body());
        assert_eq!(code(verify(&vendor.root, None, &object)), wants);
        // The byte is swapped behind the signature.
        let swapped = [&[HYBRID_SUITE], &object[1..]].concat();
        assert_eq!(code(verify(&vendor.root, None, &swapped)), Err(ErrorCode::Malformed));
    }
    let object = write_hybrid(&header, &proof, &body());
    let swapped = [&[SUITE], &object[1..]].concat();
    assert_eq!(code(verify(&vendor.root, None, &swapped)), wants);
    // Both halves over a tree that says suite 1.
    let mut headers = [header];
    let one = sign_batch(&mut headers, key.p256(), &[7; 32]).expect("one leaf");
    let Proof::Batch(place) = &one[0] else { panic!("a place in a tree") };
    let crossed = HybridProof {
        tree_size: place.tree_size,
        index: place.index,
        path: place.path.clone(),
        p256: place.signature,
        ..proof
    };
    assert_eq!(judged(&vendor, &(header, crossed)), Err(ErrorCode::LeaseRefused));
}

/// And the other way round: a root that has no key of suite 2 takes no lease under it.
#[test]
fn sec_s02_the_root_fixes_the_suite_of_a_lease() {
    let (vendor, key) = firm(1);
    let before = Vendor::new("Acme", &mut Dice::new(1));
    assert_eq!(before.fp(), vendor.fp());
    assert_eq!(judged(&before, &lease(&vendor, &key)), Err(ErrorCode::LeaseSuite));
    let mut headers = [header(&before, 0)];
    let proofs = sign_batch(&mut headers, before.key(Role::Licensing), &[7; 32]);
    let object = write_object(&headers[0], &proofs.expect("one leaf")[0], &body());
    assert_eq!(code(verify(&before.root, None, &object)), Ok(SUITE));
    // Another key of suite 2, and another firm's.
    let other = HybridKey::from_seed(&[3; 32]).expect("a seed that gives a key");
    assert_eq!(judged(&vendor, &lease(&vendor, &other)), Err(ErrorCode::LeaseRefused));
    let (stranger, theirs) = firm(4);
    assert_eq!(judged(&vendor, &lease(&stranger, &theirs)), Err(ErrorCode::LeaseRefused));
    // The firm's own key, over an object of another kind and of another firm.
    let update = Header { kind: Kind::Update, ..header(&vendor, 0) };
    let foreign = Header { root_fp: stranger.fp(), ..header(&vendor, 0) };
    for header in [update, foreign] {
        let mut headers = [header];
        let proofs = sign_hybrid_batch(&mut headers, &key, key.p256(), &[7; 32]);
        let signed = (headers[0], proofs.expect("one leaf")[0].clone());
        assert_eq!(judged(&vendor, &signed), Err(ErrorCode::LeaseRefused));
    }
}

/// A bit in each byte of a lease.
#[test]
fn sec_s02_no_changed_byte_of_a_lease_of_suite_2_is_accepted() {
    let (vendor, key) = firm(1);
    let (header, proof) = lease(&vendor, &key);
    let object = write_hybrid(&header, &proof, &body());
    for at in 0..object.len() {
        let mut forged = object.clone();
        forged[at] ^= 1 << (at % 8);
        assert!(verify(&vendor.root, None, &forged).is_err(), "byte {at}");
        assert!(verify(&vendor.root, None, &object[..at]).is_err(), "cut at {at}");
    }
    println!("figure: forged leases of suite 2 refused: {}", 2 * object.len());
    let longer = [&object[..], &[0]].concat();
    assert!(verify(&vendor.root, None, &longer).is_err());
}

/// Where a root may name a key of suite 2: for licensing, beside one that containers verify.
#[test]
fn a_root_names_suite_2_for_licensing_and_never_alone() {
    let vendor = Vendor::new("Acme", &mut Dice::new(1));
    let name = HybridKey::from_seed(&[1; 32]).expect("a seed that gives a key").name();
    assert_eq!(name.0[0], HYBRID_NAME);
    for role in Vendor::ROLES {
        let own = Fixed(vendor.key(role).verifying_key().to_bytes());
        let root = vendor.naming(role, &[own, name]);
        assert_eq!(root.is_ok(), role == Role::Licensing, "{role:?}");
        let alone = vendor.naming(role, &[name]).err();
        assert!(matches!(alone, Some(RootError::Contents(_))), "{role:?}");
    }
}

/// A container knows the root, applies what P-256 alone signed, and takes nothing of suite 2: not
/// with both signatures, and not with the half that it could verify.
#[test]
fn sec_s02_a_container_takes_nothing_of_suite_2() {
    let (vendor, key) = firm(1);
    let mut bench = Bench::new(1);
    let place = vendor.first_place(bench.id());
    let mut update = vendor.update(&place, &[UpdateOp::Nop]);
    update.trust = [&[vendor.root_object.clone()][..], &vendor.later_roots[..]].concat();
    assert!(matches!(bench.apply(&update), Reply::Receipt(_)), "suite 1 goes on");
    let next = vendor.update(&update.after(), &[UpdateOp::Nop]);
    let before = bench.firm_records();
    let mut refused = |head: &[u8]| {
        let mut answers =
            commands(&[], head, &next.body).into_iter().map(|command| bench.command(command));
        let Some(Reply::UpdateRefused { failure, .. }) =
            answers.find(|answer| !matches!(answer, Reply::Done))
        else {
            panic!("an update of suite 2 is applied")
        };
        failure.known()
    };
    let mut headers = [next.header];
    let proofs = sign_hybrid_batch(&mut headers, &key, key.p256(), &[7; 32]).expect("one leaf");
    let mut head = write_hybrid(&headers[0], &proofs[0], &[]);
    let swapped = [&[HYBRID_SUITE], &next.head()[1..]].concat();
    assert_eq!(refused(&swapped), Some(ErrorCode::SuiteForHosts));
    // As much of it as a command holds.
    head.truncate(1024);
    assert_eq!(refused(&head), Some(ErrorCode::SuiteForHosts));
    // The half that the container could verify, in the form that it takes.
    let HybridProof { tree_size, index, path, p256, .. } = proofs[0].clone();
    let half = Proof::Batch(BatchProof { tree_size, index, path, signature: p256 });
    assert_eq!(refused(&write_object(&headers[0], &half, &[])), Some(ErrorCode::UpdateSignature));
    let mut headers = [next.header];
    let half = sign_batch(&mut headers, key.p256(), &[7; 32]).expect("one leaf");
    let named = Header { key_id: key.id(), ..headers[0] };
    for header in [headers[0], named] {
        let head = write_object(&header, &half[0], &[]);
        assert_eq!(refused(&head), Some(ErrorCode::UpdateSignature));
    }
    assert_eq!(bench.firm_records(), before);
    assert!(matches!(bench.apply(&next), Reply::Receipt(_)), "suite 1 goes on");
}
