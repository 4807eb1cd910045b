//! Forged updates, and signatures used for what they were not made for.

use container::{Channel, Container, Error};
use protocol::codec;
use protocol::command::{ContainerHello, Reply};
use protocol::crypto::channel::Responder;
use protocol::crypto::ecdh::SoftwareKey;
use protocol::errors::ErrorCode;
use protocol::ids::KeyId;
use protocol::objects::root::Root;
use protocol::objects::update::UpdateOp;
use protocol::signed::{
    Header, HeaderError, Kind, Proof, Role, UnverifiedObject, VerifyError, verify_batch,
    verify_direct, write_object,
};
use strongroom_tests::bench::{Bench, new_keys};
use strongroom_tests::dice::Dice;
use strongroom_tests::mutate::flipped_bits;
use strongroom_tests::samples;
use strongroom_tests::vendor::{Update, Vendor, commands};

/// Applies an update of any bytes, and returns the first answer that is not a mere "go on".
fn apply(bench: &mut Bench, root: &[u8], head: &[u8], body: &[u8]) -> Reply {
    let mut answers = commands(root, head, body).into_iter().map(|command| bench.command(command));
    answers.find(|answer| !matches!(answer, Reply::Done)).unwrap_or(Reply::Done)
}

/// A dongle that holds one update of a firm, and the firm's next one.
fn stage() -> (Bench, Vendor, Update) {
    let (mut bench, vendor) = (Bench::new(1), Vendor::new("Acme", &mut Dice::new(1)));
    let first = vendor.first_place(bench.id());
    let key = vendor.set_key(&bench.sealing_key(), &first, Default::default());
    let update = vendor.update(&first, &[UpdateOp::SetItem(samples::item()), key]);
    assert!(matches!(bench.apply(&update), Reply::Receipt(_)));
    let next = vendor.update(&update.after(), &samples::ops()[..2]);
    (bench, vendor, next)
}

#[test]
fn sec_s01_no_changed_bit_of_an_update_is_accepted() {
    let (mut bench, _, update) = stage();
    let (head, before) = (update.head(), bench.firm_records());
    for forged in flipped_bits(&head) {
        let answer = apply(&mut bench, &[], &forged, &update.body);
        assert!(matches!(answer, Reply::UpdateRefused { .. }), "a forged head is accepted");
    }
    assert_eq!(bench.firm_records(), before, "a forged head changed something");
    for at in 0..update.body.len() {
        let mut body = update.body.clone();
        body[at] ^= 0xff;
        let answer = apply(&mut bench, &[], &head, &body);
        assert!(matches!(answer, Reply::UpdateRefused { .. }), "a forged body is accepted");
    }
    assert_eq!(bench.firm_records(), before, "a forged body changed something");
    println!("figure: forged updates refused: {}", head.len() * 8 + update.body.len());
    assert!(matches!(bench.apply(&update), Reply::Receipt(_)), "the true one is refused");
}

#[test]
fn sec_s01_no_changed_bit_of_a_first_update_lets_a_firm_in() {
    let (mut bench, vendor) = (Bench::new(1), Vendor::new("Acme", &mut Dice::new(1)));
    let update = vendor.update(&vendor.first_place(bench.id()), &[UpdateOp::Nop]);
    for root in flipped_bits(&update.root) {
        let answer = apply(&mut bench, &root, &update.head(), &update.body);
        assert!(matches!(answer, Reply::UpdateRefused { .. }), "a forged root is accepted");
    }
    for head in flipped_bits(&update.head()) {
        let answer = apply(&mut bench, &update.root, &head, &update.body);
        assert!(matches!(answer, Reply::UpdateRefused { .. }), "a forged head is accepted");
    }
    assert!(bench.firm_records().is_empty(), "a firm came in");
    assert!(matches!(bench.apply(&update), Reply::Receipt(_)), "the true one is refused");
}

/// A body that is shorter or longer than the one that was signed.
#[test]
fn sec_s01_a_cut_or_lengthened_body_is_refused() {
    let (mut bench, _, update) = stage();
    let (head, before) = (update.head(), bench.firm_records());
    for len in 0..update.body.len() {
        let answer = apply(&mut bench, &[], &head, &update.body[..len]);
        assert!(!matches!(answer, Reply::Receipt(_)), "a cut body is accepted");
    }
    let longer = [&update.body[..], &[0]].concat();
    assert!(!matches!(apply(&mut bench, &[], &head, &longer), Reply::Receipt(_)));
    assert_eq!(bench.firm_records(), before);
}

/// Every role of the firm and of a stranger signs an update; only `licensing` of the firm may.
#[test]
fn sec_s02_only_the_declared_key_signs_an_update() {
    let (mut bench, vendor, update) = stage();
    let stranger = Vendor::new("Mallory", &mut Dice::new(2));
    let before = bench.firm_records();
    for signer in [&stranger, &vendor] {
        for role in Vendor::ROLES {
            for claimed in [signer.key(role), vendor.key(Role::Licensing)] {
                let (_, proof) = signer.sign(update.header, role);
                let header = Header { key_id: claimed.verifying_key().id(), ..update.header };
                let forged = Update { header, proof, ..update.clone() };
                if forged.head() == update.head() {
                    continue;
                }
                let answer = bench.apply(&forged);
                let Reply::UpdateRefused { failure, .. } = answer else {
                    panic!("an update signed by {role:?} is applied");
                };
                assert_eq!(failure.known(), Some(ErrorCode::UpdateSignature), "{role:?}");
            }
        }
    }
    assert_eq!(bench.firm_records(), before);
    assert!(matches!(bench.apply(&update), Reply::Receipt(_)));
}

/// Verified as any role with any key, a signature holds for one pair only.
#[test]
fn sec_s02_a_signature_holds_for_one_role_and_one_key() {
    let vendor = Vendor::new("Acme", &mut Dice::new(1));
    for kind in [Kind::Device, Kind::Update, Kind::Artifact] {
        let header = Header { root_fp: vendor.fp(), ..Header::new(kind, b"body") };
        let (header, proof) = vendor.sign(header, kind.role());
        for role in Role::ALL {
            for holder in Vendor::ROLES {
                let key = vendor.key(holder).verifying_key();
                // Even a message that names the key it is tried with.
                for key_id in [header.key_id, key.id()] {
                    let header = Header { key_id, ..header };
                    let holds = verify_batch(&header, &proof, role, &key).is_ok();
                    let declared = role == kind.role() && holder == kind.role();
                    assert_eq!(holds, declared, "{kind:?} as {role:?} by the key of {holder:?}");
                }
            }
        }
    }
}

#[test]
fn sec_s02_the_message_does_not_choose_the_suite() {
    let (mut bench, _, update) = stage();
    for suite in (0..=u8::MAX).filter(|suite| *suite != 1) {
        let mut head = update.head();
        head[0] = suite;
        let read = UnverifiedObject::read(&head, 0).map(drop);
        let unknown = protocol::signed::ObjectError::Header(HeaderError::Suite(suite));
        assert_eq!(read, Err(unknown));
        let answer = apply(&mut bench, &[], &head, &update.body);
        assert!(matches!(answer, Reply::UpdateRefused { .. }));
    }
}

/// A form of proof belongs to a kind: a container's own signature is no tree, and none is a root's.
#[test]
fn sec_s02_the_message_does_not_choose_the_form_of_its_proof() {
    let (mut bench, vendor, update) = stage();
    let key = vendor.key(Role::Licensing);
    let signature = codec::Fixed(key.sign(&update.header.preimage(), &[7; 32]));
    let signatures = vec![(key.verifying_key().id(), signature)];
    let list = codec::List::new(signatures).expect("one signature");
    for proof in [Proof::Direct(signature), Proof::Threshold(list)] {
        let answer = bench.apply(&Update { proof, ..update.clone() });
        let Reply::UpdateRefused { failure, .. } = answer else { panic!("accepted") };
        assert_eq!(failure.known(), Some(ErrorCode::UpdateSignature));
    }
}

/// The signature over one kind of object is put under every other kind with the same fields.
#[test]
fn sec_s04_no_kind_takes_the_signature_of_another() {
    let vendor = Vendor::new("Acme", &mut Dice::new(1));
    // One key for all, as if roles were not apart: only the kinds are.
    let key = vendor.key(Role::Licensing).verifying_key();
    for made_for in Kind::ALL {
        let header = Header { root_fp: vendor.fp(), ..Header::new(made_for, b"body") };
        let (header, batch) = vendor.sign(header, Role::Licensing);
        let signature = vendor.key(Role::Licensing).sign(&header.preimage(), &[7; 32]);
        let direct = Proof::Direct(codec::Fixed(signature));
        for used_as in Kind::ALL {
            let other = Header { kind: used_as, role: used_as.role(), ..header };
            let batch = verify_batch(&other, &batch, used_as.role(), &key);
            assert_eq!(batch.is_ok(), made_for == used_as, "{made_for:?} as {used_as:?}");
            let direct = verify_direct(&other, &direct, &key).is_ok();
            let own = made_for == used_as && used_as.role() == Role::Container;
            assert_eq!(direct, own, "{made_for:?} as {used_as:?}, directly");
        }
    }
}

/// A kind signs under its own role: a `licensing` key makes no artifact, whatever its header says.
#[test]
fn sec_s04_a_key_of_one_role_makes_no_object_of_another() {
    let vendor = Vendor::new("Acme", &mut Dice::new(1));
    for kind in [Kind::Device, Kind::Artifact, Kind::Context, Kind::Receipt, Kind::Root] {
        let header = Header { root_fp: vendor.fp(), ..Header::new(kind, b"body") };
        let (header, proof) = vendor.sign(header, Role::Licensing);
        let key = vendor.key(Role::Licensing).verifying_key();
        let refused = verify_batch(&header, &proof, Role::Licensing, &key);
        assert_eq!(refused, Err(VerifyError::Form), "{kind:?}");
    }
}

/// Labels differ, so two preimages differ before their headers begin; and the length follows them.
#[test]
fn sec_s04_preimages_of_two_kinds_differ_in_their_labels() {
    let start = |kind: Kind| {
        let preimage = Header::new(kind, b"").preimage();
        preimage[..preimage.len() - 144].to_vec()
    };
    for (i, a) in Kind::ALL.into_iter().enumerate() {
        assert!(start(a).ends_with(&[0, 0, 0, 0, 144]));
        for b in &Kind::ALL[..i] {
            assert!(!start(a).starts_with(&start(*b)[..start(*b).len() - 4]), "{a:?}, {b:?}");
        }
    }
}

/// An update wrapped as a root, and a root as an update.
#[test]
fn sec_s04_a_root_is_no_update_and_an_update_no_root() {
    let (mut bench, vendor, update) = stage();
    let object = update.object();
    let (unverified, _) = UnverifiedObject::read(&object, 4096).expect("our own update");
    assert!(Root::verify_first(&unverified).is_err());
    let (root, _) = UnverifiedObject::read(&vendor.root_object, 4096).expect("our own root");
    let head = write_object(root.header(), root.proof(), &[]);
    let answer = apply(&mut bench, &[], &head, &update.body);
    assert!(matches!(answer, Reply::UpdateRefused { .. }));
    assert_eq!(root.header().key_id, KeyId::default());
}

/// What answers without being a dongle: always the same bytes, or a handshake with its own key.
enum StandIn {
    Same(Vec<u8>),
    Handshake { key: SoftwareKey, certificate: Vec<u8> },
}

impl Channel for StandIn {
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, Error> {
        let (key, certificate) = match self {
            StandIn::Same(answer) => return Ok(answer.clone()),
            StandIn::Handshake { key, certificate } => (key, certificate),
        };
        let hello = ContainerHello {
            boot: Default::default(),
            firmware: 1,
            certificate: codec::Bytes::new(certificate.clone()).expect("a certificate's length"),
        };
        let mut request = request.to_vec();
        let (responder, _) = Responder::accept(key, &mut request).expect("a first message");
        let mut answer = vec![0; 4096];
        let mut random = |out: &mut [u8]| {
            out.fill(3);
            Ok(())
        };
        let done = responder.reply(&mut random, &codec::encode(&hello), &mut answer);
        answer.truncate(done.expect("a large buffer").1);
        Ok(answer)
    }
}

/// What says yes to everything has no certificate; with a copied certificate it lacks the key.
#[test]
fn sec_k02_a_stand_in_for_the_dongle_opens_nothing() {
    let certificate = engine::platform::Keys::certificate(&*new_keys(1)).to_vec();
    let done = codec::encode(&Reply::Done);
    let key = SoftwareKey::from_bytes(&[1; 32]).expect("a number below the order");
    let same = [done, vec![1; 300], certificate.clone(), vec![0; 4096]].map(StandIn::Same);
    let copied = StandIn::Handshake { key, certificate };
    for stand_in in same.into_iter().chain([copied]) {
        let address = container::Address::ReportSocket("nowhere".into());
        let makers = container::Makers::standard();
        let opened = Container::open(Box::new(stand_in), address, &makers);
        assert!(opened.is_err(), "a stand-in is taken for a container");
    }
}
