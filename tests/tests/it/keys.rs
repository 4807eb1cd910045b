//! Keys of slots: whoever changes the conditions, the artifact or the wrapped bytes gets no key.

use protocol::codec::Fixed;
use protocol::errors::ErrorCode;
use protocol::ids::ArtifactId;
use protocol::objects::artifact::{
    ArtifactBody, MAIN_PART, Slot, WrappedKey, part_key, unwrap_content_key,
};
use protocol::objects::license::{AccessMode, ItemOption, Requirement};
use protocol::objects::update::UpdateOp;
use protocol::signed::{Header, Kind, Role, UnverifiedObject, write_object};
use protocol::{codec, limits};
use strongroom_tests::bench::Bench;
use strongroom_tests::dice::Dice;
use strongroom_tests::mutate::flipped_bits;
use strongroom_tests::samples;
use strongroom_tests::vendor::Vendor;
use strongroom_tests::wire::Socket;

const ARTIFACT: ArtifactId = ArtifactId::new([6; 16]);
const CONTENT_KEY: [u8; 32] = [5; 32];

/// A dongle with a license for everything that a requirement of [`weaker`] can ask.
fn licensed() -> (Socket, Vendor, Requirement) {
    let (mut bench, vendor) = (Bench::new(1), Vendor::new("Acme", &mut Dice::new(1)));
    let place = vendor.first_place(bench.id());
    let mut item = samples::item();
    item.options = codec::List::new(vec![ItemOption::FeatureMap(0b111)]).expect("one option");
    let mut ops = vec![UpdateOp::SetItem(item.clone())];
    for generation in [0, 1] {
        let generation = protocol::ids::Generation(generation);
        ops.push(vendor.set_key(&bench.sealing_key(), &place, (item.item.product, generation)));
    }
    let update = vendor.update(&place, &ops);
    assert!(matches!(bench.apply(&update), protocol::command::Reply::Receipt(_)));
    let requirement = Requirement { features: 0b11, ..vendor.requirement(item.item.product) };
    (Socket::new(bench), vendor, requirement)
}

/// Requirements that ask less, or other things, and are fulfilled as well.
fn weaker(of: &Requirement) -> Vec<Requirement> {
    vec![
        Requirement { features: 0b01, ..*of },
        Requirement { features: 0, ..*of },
        Requirement { release_s: 1, ..*of },
        Requirement { access: AccessMode::NoUserLimit, ..*of },
        Requirement { certified_age_s: u32::MAX, ..*of },
        Requirement { generation: protocol::ids::Generation(1), ..*of },
    ]
}

#[test]
fn sec_k06_other_conditions_give_another_key() {
    let (socket, vendor, requirement) = licensed();
    let wrapped = vendor.wrap(&requirement, ARTIFACT, &CONTENT_KEY);
    let container = socket.open().expect("our own dongle");
    for requirement in weaker(&requirement) {
        let seat = container.open_seat(&requirement, ARTIFACT).expect("fulfilled as well");
        let refused = seat.release_key(&wrapped, MAIN_PART).expect_err("weaker conditions");
        assert!(refused.is(ErrorCode::KeyMismatch), "{refused}");
    }
    let seat = container.open_seat(&requirement, ARTIFACT).expect("licensed");
    let key = seat.release_key(&wrapped, MAIN_PART).expect("the key of this slot");
    assert_eq!(**key, *part_key(&CONTENT_KEY, MAIN_PART));
}

#[test]
fn sec_k06_a_slot_of_another_artifact_or_with_a_changed_bit_gives_no_key() {
    let (socket, vendor, requirement) = licensed();
    let wrapped = vendor.wrap(&requirement, ARTIFACT, &CONTENT_KEY);
    let container = socket.open().expect("our own dongle");
    let other = container.open_seat(&requirement, ArtifactId::new([7; 16])).expect("licensed");
    assert!(other.release_key(&wrapped, MAIN_PART).is_err_and(|e| e.is(ErrorCode::KeyMismatch)));
    let seat = container.open_seat(&requirement, ARTIFACT).expect("licensed");
    for forged in flipped_bits(&codec::encode(&wrapped)) {
        let forged: WrappedKey = codec::decode(&forged, 64).expect("bytes of fixed length");
        let refused = seat.release_key(&forged, MAIN_PART).expect_err("a changed bit");
        assert!(refused.is(ErrorCode::KeyMismatch), "{refused}");
    }
}

/// The header of an artifact is signed, so no slot is added, and none is exchanged.
#[test]
fn sec_k06_no_changed_bit_of_an_artifact_header_is_accepted() {
    let vendor = Vendor::new("Acme", &mut Dice::new(1));
    let requirement = vendor.requirement(samples::item().item.product);
    let wrapped = vendor.wrap(&requirement, ARTIFACT, &CONTENT_KEY);
    let slots = codec::List::new(vec![Slot { requirement, wrapped }]).expect("one slot");
    let body = codec::encode(&ArtifactBody { slots, ..samples::artifact() });
    let header = Header {
        root_fp: vendor.fp(),
        target: *ARTIFACT.bytes(),
        ..Header::new(Kind::Artifact, &body)
    };
    let (header, proof) = vendor.sign(header, Role::Protect);
    let key = vendor.key(Role::Protect).verifying_key();
    let verify = |bytes: &[u8]| {
        let (object, _) = UnverifiedObject::read(bytes, limits::ARTIFACT_BODY_LEN_MAX).ok()?;
        object.verify_role(Role::Protect, &key).ok().map(|object| object.body.len())
    };
    let object = write_object(&header, &proof, &body);
    assert_eq!(verify(&object), Some(body.len()));
    assert!(flipped_bits(&object).all(|forged| verify(&forged).is_none()));
}

/// A yes opens nothing: without the item key there is no content key, whoever asks.
#[test]
fn sec_k02_conditions_that_hold_are_not_enough_without_the_item_key() {
    let (_, vendor, requirement) = licensed();
    let stranger = Vendor::new("Mallory", &mut Dice::new(2));
    let wrapped = vendor.wrap(&requirement, ARTIFACT, &CONTENT_KEY);
    let product = (requirement.product, requirement.generation);
    let own = vendor.item_key(product.0, product.1);
    let foreign = stranger.item_key(product.0, product.1);
    for key in [[0; 32], *foreign, CONTENT_KEY] {
        assert!(unwrap_content_key(&key, ARTIFACT, &requirement, &wrapped).is_none());
    }
    let zero = WrappedKey { salt: wrapped.salt, ciphertext: Fixed([0; 48]) };
    assert!(unwrap_content_key(&own, ARTIFACT, &requirement, &zero).is_none());
    assert!(unwrap_content_key(&own, ARTIFACT, &requirement, &wrapped).is_some());
}
