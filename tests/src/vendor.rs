//! A vendor in a few lines: keys, a root, signed updates, sealed item keys. It exists to be forged.

use protocol::codec::{self, Bytes, Fixed, List, Text};
use protocol::command::Command;
use protocol::crypto::ecdh::PublicKey;
use protocol::crypto::ecdsa::SigningKey;
use protocol::crypto::hpke;
use protocol::ids::{
    ArtifactId, ContainerId, ContainerKind, FirmCode, Generation, ProductCode, RootFp,
};
use protocol::limits::{ROLES_MAX, UPDATE_CHUNK_LEN_MAX};
use protocol::objects::artifact::{SecretKey, WrappedKey, item_key, wrap_content_key};
use protocol::objects::device::{AnchorClass, ClockClass, DeviceBody};
use protocol::objects::file::{self, FileKind};
use protocol::objects::license::{AccessMode, Requirement};
use protocol::objects::root::{Mode, RoleKeys, Root, RootBody};
use protocol::objects::statement::{genesis_hash, next_state_hash};
use protocol::objects::update::{SealedKey, UpdateOp, write_ops};
use protocol::signed::{Header, Kind, Proof, Role, UnverifiedObject, sign_batch, write_object};

use crate::dice::Dice;

/// What a vendor's clock shows.
pub const NOW_S: u64 = 1_800_000_000;

/// A firm in test mode, with one key for each role of a root.
pub struct Vendor {
    pub(crate) keys: Vec<(Role, SigningKey)>,
    pub(crate) firm_key: [u8; 32],
    /// Its newest root, verified.
    pub root: Root,
    /// Its root v1 as an object.
    pub root_object: Vec<u8>,
    /// Its roots of version 2 and up, as objects.
    pub later_roots: Vec<Vec<u8>>,
}

/// Where in a container's chain the next update of a firm goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The container.
    pub container: ContainerId,
    /// Number of the next update.
    pub seq: u64,
    /// State hash before it.
    pub state: [u8; 32],
}

/// A signed update.
#[derive(Clone)]
pub struct Update {
    /// Header.
    pub header: Header,
    /// Its proof.
    pub proof: Proof,
    /// Its body.
    pub body: Vec<u8>,
    /// The firm's root v1 that goes along.
    pub root: Vec<u8>,
    /// Roots, revocations and delegations that are brought before it.
    pub trust: Vec<Vec<u8>>,
}

impl Vendor {
    /// Roles that a vendor has keys for.
    pub const ROLES: [Role; 8] = [
        Role::Root,
        Role::Licensing,
        Role::Protect,
        Role::Device,
        Role::Time,
        Role::Revocation,
        Role::Log,
        Role::Recovery,
    ];

    /// A new firm with all roles.
    pub fn new(name: &str, dice: &mut Dice) -> Self {
        Vendor::with_roles(name, &Self::ROLES, dice)
    }

    /// A new firm with some roles, that of the root first.
    pub fn with_roles(name: &str, roles: &[Role], dice: &mut Dice) -> Self {
        let mut random = |out: &mut [u8]| {
            out.iter_mut().for_each(|byte| *byte = dice.number() as u8);
            Ok(())
        };
        let mut draw = || SigningKey::generate(&mut random).expect("a stream that does not fail");
        let keys: Vec<_> = roles.iter().map(|role| (*role, draw())).collect();
        let body = RootBody {
            mode: Mode::Test,
            name: Text::new(name).expect("a short name"),
            firm_code: FirmCode(5_000_000),
            roles: one_key_each(&keys),
        };
        let root_object = Root::write_first(&body, NOW_S, &[&keys[0].1], &[7; 32]);
        let root_object = root_object.expect("a small root");
        let (object, _) = UnverifiedObject::read(&root_object, 4096).expect("our own root");
        let root = Root::verify_first(&object).expect("our own root");
        Vendor { keys, firm_key: dice.bytes(), root, root_object, later_roots: Vec::new() }
    }

    /// The firm.
    pub fn fp(&self) -> RootFp {
        self.root.root_fp
    }

    /// The key of a role.
    pub fn key(&self, role: Role) -> &SigningKey {
        &self.keys.iter().find(|(own, _)| *own == role).expect("a role of a root").1
    }

    /// Where the first update for a container goes.
    pub fn first_place(&self, container: ContainerId) -> Place {
        Place { container, seq: 1, state: genesis_hash(self.fp(), container) }
    }

    /// Signs an update.
    pub fn update(&self, place: &Place, ops: &[UpdateOp]) -> Update {
        self.update_of_bytes(place, write_ops(ops).expect("operations within their bounds"))
    }

    /// Signs an update whose body may be anything.
    pub fn update_of_bytes(&self, place: &Place, body: Vec<u8>) -> Update {
        let header = Header {
            root_fp: self.fp(),
            target: *place.container.bytes(),
            seq: place.seq,
            state: place.state,
            issued_s: NOW_S + place.seq,
            ..Header::new(Kind::Update, &body)
        };
        let (header, proof) = self.sign(header, Role::Licensing);
        Update { header, proof, body, root: self.root_object.clone(), trust: Vec::new() }
    }

    /// Signs a header with the key of `role`, whatever the header says.
    pub fn sign(&self, header: Header, role: Role) -> (Header, Proof) {
        let mut headers = [header];
        let proofs = sign_batch(&mut headers, self.key(role), &[7; 32]).expect("one leaf");
        (headers[0], proofs[0].clone())
    }

    /// The file by which a soft license's container learns that its keys are certified: identity,
    /// channel and sealing key, in this order.
    pub fn certification(
        &self,
        container: ContainerId,
        anchor: AnchorClass,
        [identity_key, channel_key, sealing_key]: [Fixed<33>; 3],
    ) -> Vec<u8> {
        let body = codec::encode(&DeviceBody {
            kind: ContainerKind::Tpm,
            clock: ClockClass::Host,
            anchor,
            identity_key,
            channel_key,
            sealing_key,
            batch: 0,
        });
        let header = Header {
            root_fp: self.fp(),
            target: *container.bytes(),
            ..Header::new(Kind::Device, &body)
        };
        let (header, proof) = self.sign(header, Role::Device);
        let certificate = write_object(&header, &proof, &body);
        file::write(FileKind::Certification, &[&self.root_object, &certificate])
    }

    /// The operation that gives a container the item key of a product.
    pub fn set_key(
        &self,
        to: &PublicKey,
        place: &Place,
        (product, generation): (ProductCode, Generation),
    ) -> UpdateOp {
        let mut sealed = [0; 48];
        sealed[..32].copy_from_slice(&self.item_key(product, generation)[..]);
        let info = SealedKey::info(self.fp(), place.container);
        let aad = SealedKey::aad(place.seq, product, generation);
        let mut random = |out: &mut [u8]| {
            out.fill(place.seq as u8 | 1);
            Ok(())
        };
        let (encapsulated, _) = hpke::seal(&mut random, to, &info, &aad, &mut sealed, 32)
            .expect("room for the tag is there");
        UpdateOp::SetKey(SealedKey {
            product,
            generation,
            encapsulated: Fixed(encapsulated),
            ciphertext: Fixed(sealed),
        })
    }

    /// The item key of a product.
    pub fn item_key(&self, product: ProductCode, generation: Generation) -> SecretKey {
        item_key(&self.firm_key, self.fp(), product, generation)
    }

    /// Wraps a content key for a slot.
    pub fn wrap(
        &self,
        requirement: &Requirement,
        artifact: ArtifactId,
        content_key: &[u8; 32],
    ) -> WrappedKey {
        let item_key = self.item_key(requirement.product, requirement.generation);
        wrap_content_key(&item_key, [9; 16], artifact, requirement, content_key)
    }

    /// The least that a program can require of a product.
    pub fn requirement(&self, product: ProductCode) -> Requirement {
        Requirement {
            root_fp: self.fp(),
            product,
            features: 0,
            units: 0,
            release_s: 0,
            access: AccessMode::UserLimit,
            certified_age_s: 0,
            generation: Generation(0),
        }
    }
}

impl Update {
    /// The update without its body.
    pub fn head(&self) -> Vec<u8> {
        write_object(&self.header, &self.proof, &[])
    }

    /// The update as an object.
    pub fn object(&self) -> Vec<u8> {
        write_object(&self.header, &self.proof, &self.body)
    }

    /// Where the next one goes once this one is applied.
    pub fn after(&self) -> Place {
        Place {
            container: ContainerId::new(self.header.target),
            seq: self.header.seq + 1,
            state: next_state_hash(&self.header.state, &self.header.hash()),
        }
    }

    /// What a host sends to apply it.
    pub fn commands(&self) -> Vec<Command> {
        let trust = self.trust.iter().map(|object| trust(object));
        trust.chain(commands(&self.root, &self.head(), &self.body)).collect()
    }
}

/// Each role with the one key that holds it.
pub(crate) fn one_key_each(keys: &[(Role, SigningKey)]) -> List<RoleKeys, ROLES_MAX> {
    let roles = keys.iter().map(|(role, key)| RoleKeys {
        role: *role,
        threshold: 1,
        keys: List::new(vec![Fixed(key.verifying_key().to_bytes())]).expect("one key"),
    });
    List::new(roles.collect()).expect("no more roles than there are")
}

/// What a host sends to bring a root, a revocation or a delegation.
pub fn trust(object: &[u8]) -> Command {
    Command::Trust { object: Bytes::new(object).expect("an object within its bound") }
}

/// What a host sends to apply an update of these bytes.
pub fn commands(root: &[u8], head: &[u8], body: &[u8]) -> Vec<Command> {
    let root = Bytes::new(root).expect("a root within its bound");
    let head = Bytes::new(head).expect("a head within its bound");
    let chunk = |(at, chunk): (usize, &[u8])| Command::UpdateChunk {
        offset: (at * UPDATE_CHUNK_LEN_MAX) as u32,
        bytes: Bytes::new(chunk).expect("a chunk of this length"),
    };
    let chunks = body.chunks(UPDATE_CHUNK_LEN_MAX).enumerate().map(chunk);
    let begin = std::iter::once(Command::UpdateBegin { root, head });
    begin.chain(chunks).chain([Command::UpdateCommit]).collect()
}
