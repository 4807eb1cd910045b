//! Issuing without files, as a server does.

use protocol::codec::{Fixed, List, Text};
use protocol::crypto::ecdh::{SoftwareKey, StaticKey};
use protocol::crypto::hpke;
use protocol::ids::{ContainerId, ContainerKind, EntryNumber, FirmCode, ProductCode, RootFp};
use protocol::limits::{ROOT_BODY_LEN_MAX, UPDATE_BODY_LEN_MAX};
use protocol::objects::device::{AnchorClass, ClockClass, DeviceBody};
use protocol::objects::root::{Mode, RoleKeys, Root, RootBody};
use protocol::objects::statement::next_state_hash;
use protocol::objects::update::{SealedKey, UpdateOp, read_ops};
use protocol::signed::{Proof, UnverifiedObject};

use super::*;
use crate::keys::{Home, SystemRandom};
use crate::ledger::Ledger;
use crate::trust::Trust;

const BEFORE: Point = Point { seq: 4, state: [4; 32] };

/// A firm in memory: no file is anywhere.
fn firm() -> (Trust, KeyRing) {
    let mut keys = KeyRing::generate(None).unwrap();
    let roles = [Role::Root, Role::Licensing, Role::Time, Role::Recovery].map(|role| RoleKeys {
        role,
        threshold: 1,
        keys: List::new(vec![Fixed(keys.draw(role, Home::File).unwrap())]).unwrap(),
    });
    let name = Text::new("Example").unwrap();
    let roles = List::new(roles.to_vec()).unwrap();
    let body = RootBody { mode: Mode::Test, name, firm_code: FirmCode(1), roles };
    let signers = keys.signers(&body, Role::Root).unwrap();
    let object = Root::write_first(&body, 1, &signers, &entropy().unwrap()).unwrap();
    assert!(object.len() <= ROOT_BODY_LEN_MAX);
    let (trust, rest) = Trust::take(&object).unwrap();
    assert!(rest.is_empty());
    (trust, keys)
}

fn device(number: u8) -> (Device, SoftwareKey) {
    let sealing = SoftwareKey::generate(&mut SystemRandom).unwrap();
    let body = DeviceBody {
        kind: ContainerKind::Dongle,
        clock: ClockClass::Rtc,
        anchor: AnchorClass::Hardware,
        identity_key: Fixed([0; 33]),
        channel_key: Fixed([0; 33]),
        sealing_key: Fixed(sealing.public().to_compressed()),
        batch: 0,
    };
    let id = ContainerId::new([number; 16]);
    (Device { id, maker: RootFp::default(), body }, sealing)
}

fn item(product: u32) -> ItemRef {
    ItemRef { product: ProductCode(product), entry: EntryNumber(0) }
}

fn set(product: u32) -> Change {
    let item = ProductItem { item: item(product), options: List::default() };
    let generation = Generation(2);
    Change::Set(Box::new(Setting { item, generation, units: Vec::new(), data: Vec::new() }))
}

/// The operations, once the signature held.
fn verified(trust: &Trust, update: &Update) -> Vec<UpdateOp> {
    let (object, _) = UnverifiedObject::read(&update.object, UPDATE_BODY_LEN_MAX).unwrap();
    let key = trust.root.as_ref().unwrap().key(Role::Licensing, object.header().key_id).unwrap();
    read_ops(object.verify_role(Role::Licensing, &key).unwrap().body).unwrap()
}

#[test]
fn several_changes_are_one_update_whose_keys_the_container_opens() {
    let (trust, keys) = firm();
    let issuer = Issuer::of(&trust).unwrap();
    let (device, sealing) = device(1);
    let changes = [set(7), Change::Remove(item(8)), set(9)];
    let draft = issuer.draft(&device, BEFORE, &changes, (100, 0), &keys).unwrap();
    assert_eq!(
        draft.what,
        "set product 7 entry 0, remove product 8 entry 0, set product 9 entry 0"
    );
    let update = issuer.sign_alone(draft, &keys).unwrap();
    let ops = verified(&trust, &update);
    let [UpdateOp::SetItem(_), UpdateOp::SetKey(_), UpdateOp::RemoveItem(_), _, last] = &ops[..]
    else {
        panic!("{ops:?}")
    };
    let UpdateOp::SetKey(SealedKey { product, generation, encapsulated, ciphertext }) = last else {
        panic!("{last:?}")
    };
    let root_fp = issuer.root.root_fp;
    let info = SealedKey::info(root_fp, device.id);
    let aad = SealedKey::aad(BEFORE.seq + 1, *product, *generation);
    let mut opened = ciphertext.0;
    let len = hpke::open(&sealing, &encapsulated.0, &info, &aad, &mut opened).unwrap();
    let wanted = keys.item_key(root_fp, ProductCode(9), Generation(2)).unwrap();
    assert_eq!(opened[..len], wanted[..]);
}

#[test]
fn updates_for_many_containers_share_one_signature() {
    let (trust, keys) = firm();
    let issuer = Issuer::of(&trust).unwrap();
    let draft = |number| {
        let (device, _) = device(number);
        issuer.draft(&device, BEFORE, &[set(7)], (100, 0), &keys).unwrap()
    };
    let updates = issuer.sign((1..=5).map(draft).collect(), &keys).unwrap();
    let signatures = updates.iter().map(|update| {
        assert_eq!(verified(&trust, update).len(), 2);
        let (object, _) = UnverifiedObject::read(&update.object, UPDATE_BODY_LEN_MAX).unwrap();
        match object.proof() {
            Proof::Batch(batch) => (batch.tree_size, batch.signature.0),
            other => panic!("{other:?}"),
        }
    });
    let signatures: Vec<_> = signatures.collect();
    assert!(signatures.iter().all(|one| *one == signatures[0] && one.0 == 5));
}

#[test]
fn what_was_signed_goes_into_the_record_and_the_next_follows_it() {
    let (trust, keys) = firm();
    let issuer = Issuer::of(&trust).unwrap();
    let (device, _) = device(1);
    let mut ledger = Ledger::new(device.serial().to_string(), BEFORE);
    for seq in [5, 6] {
        let before = ledger.next(None).unwrap();
        let draft = issuer.draft(&device, before, &[Change::Unlock], (100, 200), &keys).unwrap();
        let update = issuer.sign_alone(draft, &keys).unwrap();
        let (object, _) = UnverifiedObject::read(&update.object, UPDATE_BODY_LEN_MAX).unwrap();
        let header = object.header();
        assert_eq!((header.seq, header.state, header.until_s), (seq, before.state, 200));
        assert_eq!(update.issued.after.state, next_state_hash(&before.state, &header.hash()));
        ledger.add(update.issued);
    }
    let shown = ledger.outstanding[1].after;
    assert_eq!(ledger.follow(shown, None, false).unwrap(), shown);
}

#[test]
fn what_turns_licenses_perpetual_is_signed_alone_and_by_its_own_keys() {
    let (trust, keys) = firm();
    let issuer = Issuer::of(&trust).unwrap();
    let (device, _) = device(1);
    let range = ProductRange { first: ProductCode(1), last: ProductCode(9) };
    let draft = |changes: &[Change]| issuer.draft(&device, BEFORE, changes, (100, 0), &keys);
    let mixed = draft(&[set(7), Change::Perpetuate(range)]);
    assert_eq!(mixed.map(drop).unwrap_err().exit(), 2);
    assert_eq!(draft(&[]).map(drop).unwrap_err().exit(), 2);
    let perpetual = draft(&[Change::Perpetuate(range)]).unwrap();
    let update = issuer.sign_alone(perpetual.clone(), &keys).unwrap();
    let (object, _) = UnverifiedObject::read(&update.object, UPDATE_BODY_LEN_MAX).unwrap();
    let root = issuer.root;
    root.body.check_signed(object.header(), object.proof(), Role::Recovery).unwrap();
    assert!(issuer.sign(vec![perpetual, draft(&[set(7)]).unwrap()], &keys).is_err());
}
