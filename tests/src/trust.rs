//! What a vendor does with its keys: rotate, revoke, hand on, and turn licenses perpetual.

use protocol::codec::{Fixed, List, Text};
use protocol::crypto::ecdsa::SigningKey;
use protocol::ids::{KeyId, ProductCode};
use protocol::objects::delegation::{DelegationBody, Scope};
use protocol::objects::revocation::{Revocation, RevocationBody};
use protocol::objects::root::{NextBody, Root, RootBody, RootError, RootKey};
use protocol::objects::update::{ProductRange, UpdateOp, write_ops};
use protocol::signed::{Header, Kind, Role, UnverifiedObject, sign_batch, sign_threshold};

use crate::dice::Dice;
use crate::vendor::{NOW_S, Place, Update, Vendor, one_key_each};

/// A key that somebody was given, and the delegations that lead to it.
pub struct Reseller {
    /// The key.
    pub key: SigningKey,
    /// Delegations, the root's own first.
    pub chain: Vec<Vec<u8>>,
}

/// A new key.
pub fn draw_key(dice: &mut Dice) -> SigningKey {
    let mut random = |out: &mut [u8]| {
        out.iter_mut().for_each(|byte| *byte = dice.number() as u8);
        Ok(())
    };
    SigningKey::generate(&mut random).expect("a stream that does not fail")
}

/// Products 0 to 9, three seats, one step more.
pub const SCOPE: Scope = Scope {
    products: ProductRange { first: ProductCode(0), last: ProductCode(9) },
    quantity_max: 3,
    daily_max: 100,
    depth: 1,
};

impl Vendor {
    /// The same firm under its next root, which names these keys for a role.
    pub fn naming(&self, role: Role, names: &[RootKey]) -> Result<Vendor, RootError> {
        let keys: Vec<_> = self.keys.iter().map(|(role, key)| (*role, copy(key))).collect();
        let mut roles = self.root.body.roles.clone().into_vec();
        let own = roles.iter_mut().find(|keys| keys.role == role).expect("a role of a root");
        own.keys = List::new(names.to_vec()).expect("a few keys");
        let roles = List::new(roles).expect("as many as before");
        let body = RootBody { roles, ..self.root.body.clone() };
        let body = NextBody { body, min_epoch: self.root.min_epoch };
        let object = self.root.write_next(&body, (NOW_S, 0), &[self.key(Role::Root)], &[7; 32]);
        let object = object.expect("a small root");
        let root = self.root.verify_next(&read(&object))?;
        let mut later_roots = self.later_roots.clone();
        later_roots.push(object);
        let (firm_key, root_object) = (self.firm_key, self.root_object.clone());
        Ok(Vendor { keys, firm_key, root, root_object, later_roots })
    }

    /// The same firm under its next root, with new keys for `roles`.
    pub fn rotated(&self, roles: &[Role], min_epoch: u32, dice: &mut Dice) -> Vendor {
        let keys: Vec<_> = self
            .keys
            .iter()
            .map(|(role, key)| match roles.contains(role) {
                true => (*role, draw_key(dice)),
                false => (*role, copy(key)),
            })
            .collect();
        let body = RootBody { roles: one_key_each(&keys), ..self.root.body.clone() };
        let body = NextBody { body, min_epoch };
        let signers = [self.key(Role::Root), &keys[0].1];
        let object = self.root.write_next(&body, (NOW_S, 0), &signers, &[7; 32]);
        let object = object.expect("a small root");
        let root = self.root.verify_next(&read(&object)).expect("our own root");
        let mut later_roots = self.later_roots.clone();
        later_roots.push(object);
        let (firm_key, root_object) = (self.firm_key, self.root_object.clone());
        Vendor { keys, firm_key, root, root_object, later_roots }
    }

    /// The same firm, as somebody else has it.
    pub fn copy(&self) -> Vendor {
        Vendor {
            keys: self.keys.iter().map(|(role, key)| (*role, copy(key))).collect(),
            firm_key: self.firm_key,
            root: self.root.clone(),
            root_object: self.root_object.clone(),
            later_roots: self.later_roots.clone(),
        }
    }

    /// The newest root as an object, from version 2 on.
    pub fn newest_root(&self) -> &[u8] {
        self.later_roots.last().expect("a root of version 2 or up")
    }

    /// A revocation of these keys, for the newest root.
    pub fn revocation(&self, epoch: u32, keys: &[KeyId], until_s: u64) -> Vec<u8> {
        let mut keys = keys.to_vec();
        keys.sort();
        let body = RevocationBody {
            keys: List::new(keys).expect("few keys"),
            ..RevocationBody::default()
        };
        let signers = [self.key(Role::Revocation)];
        Revocation::write(&self.root, epoch, &body, (NOW_S, until_s), &signers, &[7; 32])
            .expect("a small revocation")
    }

    /// Hands a part of the right to issue on.
    pub fn delegate(&self, scope: Scope, until_s: u64, dice: &mut Dice) -> Reseller {
        let (key, licensing) = (draw_key(dice), self.key(Role::Licensing));
        let chain = vec![delegation(&self.root, licensing, &key, scope, until_s)];
        Reseller { key, chain }
    }

    /// An update that makes the licenses of some products perpetual.
    pub fn recovery(&self, place: &Place, ops: &[UpdateOp]) -> Update {
        let update = self.update(place, ops);
        let header = Header { issued_s: NOW_S, ..update.header };
        let header = Header { kind: Kind::Recovery, role: Role::Recovery, ..header };
        let header = Header { key_id: KeyId::default(), ..header };
        let proof = sign_threshold(&header, &[self.key(Role::Recovery)], &[7; 32]);
        Update { header, proof: proof.expect("one signature"), ..update }
    }
}

impl Reseller {
    /// Hands a part of it on.
    pub fn delegate(&self, root: &Root, scope: Scope, until_s: u64, dice: &mut Dice) -> Reseller {
        let key = draw_key(dice);
        let mut chain = self.chain.clone();
        chain.push(delegation(root, &self.key, &key, scope, until_s));
        Reseller { key, chain }
    }

    /// Signs an update in the name of the firm, with what leads to the key beside it.
    pub fn update(&self, vendor: &Vendor, place: &Place, ops: &[UpdateOp]) -> Update {
        let body = write_ops(ops).expect("operations within their bounds");
        let mut headers = [Header {
            root_fp: vendor.fp(),
            target: *place.container.bytes(),
            seq: place.seq,
            state: place.state,
            issued_s: NOW_S + 1_000_000,
            ..Header::new(Kind::Update, &body)
        }];
        let mut proofs = sign_batch(&mut headers, &self.key, &[7; 32]).expect("one leaf");
        let trust = self.chain.clone();
        Update { header: headers[0], proof: proofs.remove(0), body, root: Vec::new(), trust }
    }
}

fn delegation(
    root: &Root,
    by: &SigningKey,
    to: &SigningKey,
    scope: Scope,
    until_s: u64,
) -> Vec<u8> {
    let point = Fixed(to.verifying_key().to_bytes());
    let body = DelegationBody { name: Text::new("Reseller").expect("short"), key: point, scope };
    body.write(root.root_fp, (NOW_S, until_s), by, &[7; 32]).expect("one leaf")
}

fn copy(key: &SigningKey) -> SigningKey {
    SigningKey::from_bytes(&key.to_secret_bytes()).expect("a key that was one")
}

fn read(bytes: &[u8]) -> UnverifiedObject<'_> {
    UnverifiedObject::read(bytes, 4096).expect("our own object").0
}
