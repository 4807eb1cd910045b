//! A vendor with fixed keys, and chance that is the same each time.

use std::io::Read;

use protocol::codec::{Fixed, List, Text};
use protocol::crypto::RandomFailed;
use protocol::crypto::ecdsa::SigningKey;
use protocol::ids::{FirmCode, Generation, ProductCode, RootFp};
use protocol::objects::artifact::{
    LossPolicy, MAIN_PART, ProgramOptions, SecretKey, item_key, part_key, unwrap_content_key,
};
use protocol::objects::license::{AccessMode, Requirement};
use protocol::objects::root::{Mode, NextBody, RoleKeys, Root, RootBody};
use protocol::signed::Role;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use strongroom_protector::artifact::{
    ArtifactHead, ArtifactWriteError, Content, Firm, Protection, Signer, SlotSpec, write_artifact,
};

pub(crate) const ISSUED_S: u64 = 1_750_000_000;

/// Random bytes from a fixed seed.
pub(crate) fn chance(seed: u64) -> impl FnMut(&mut [u8]) -> Result<(), RandomFailed> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    move |out| {
        rng.fill_bytes(out);
        Ok(())
    }
}

pub(crate) struct Vendor {
    pub(crate) firm: Firm,
    pub(crate) licensing: SigningKey,
    pub(crate) protect: SigningKey,
    firm_key: [u8; 32],
}

impl Vendor {
    /// A vendor whose keys all follow from `number`.
    pub(crate) fn new(number: u8) -> Self {
        let key = |role: u8| SigningKey::from_bytes(&[number ^ role; 32]).expect("a small scalar");
        let (root, licensing, protect) = (key(0x10), key(0x20), key(0x30));
        let holds = |role, key: &SigningKey| {
            let keys = vec![Fixed(key.verifying_key().to_bytes())];
            RoleKeys { role, threshold: 1, keys: List::new(keys).expect("one key") }
        };
        let roles = vec![
            holds(Role::Root, &root),
            holds(Role::Licensing, &licensing),
            holds(Role::Protect, &protect),
        ];
        let body = RootBody {
            mode: Mode::Test,
            name: Text::new("Example Ltd").expect("a short name"),
            firm_code: FirmCode(number.into()),
            roles: List::new(roles).expect("three roles"),
        };
        let object = Root::write_first(&body, ISSUED_S, &[&root], &[7; 32]).expect("a small root");
        let firm = Firm::new(&object).expect("a sound root");
        Self { firm, licensing, protect, firm_key: [number; 32] }
    }

    /// The same vendor under its next root, with another key for protecting. With it come the
    /// roots, v1 first.
    pub(crate) fn rotated(number: u8) -> (Self, [Vec<u8>; 2]) {
        let mut vendor = Self::new(number);
        let root = SigningKey::from_bytes(&[number ^ 0x10; 32]).expect("a small scalar");
        vendor.protect = SigningKey::from_bytes(&[number ^ 0x40; 32]).expect("a small scalar");
        let mut roles = vendor.firm.root().body.roles.clone().into_vec();
        let keys = vec![Fixed(vendor.protect.verifying_key().to_bytes())];
        roles[2].keys = List::new(keys).expect("one key");
        let roles = List::new(roles).expect("three roles");
        let body = RootBody { roles, ..vendor.firm.root().body.clone() };
        let next = NextBody { body, min_epoch: 0 };
        let next = vendor.firm.root().write_next(&next, (ISSUED_S, 0), &[&root], &[7; 32]);
        let roots = [vendor.firm.object().to_vec(), next.expect("a small root")];
        vendor.firm = Firm::new(&roots.concat()).expect("sound roots");
        (vendor, roots)
    }

    pub(crate) fn root_fp(&self) -> RootFp {
        self.firm.root().root_fp
    }

    /// What a customer needs for product 7, with every field set.
    pub(crate) fn requirement(&self) -> Requirement {
        Requirement {
            root_fp: self.root_fp(),
            product: ProductCode(7),
            features: 0b101,
            units: 3,
            release_s: ISSUED_S,
            access: AccessMode::UserLimit,
            certified_age_s: 86_400,
            generation: Generation(1),
        }
    }

    pub(crate) fn item_key(&self, of: &Requirement) -> SecretKey {
        item_key(&self.firm_key, of.root_fp, of.product, of.generation)
    }

    pub(crate) fn slot(&self, requirement: Requirement) -> SlotSpec {
        SlotSpec { requirement, item_key: self.item_key(&requirement), is_trap: false }
    }

    pub(crate) fn protection(&self, slots: Vec<SlotSpec>) -> Protection<'_> {
        let name = Text::new("planets.db").expect("a short name");
        Protection { firm: &self.firm, name, slots, issued_s: ISSUED_S }
    }

    /// An artifact with one slot, and chance from `seed`.
    pub(crate) fn artifact(&self, plain: &[u8], seed: u64) -> (ArtifactHead, Vec<u8>) {
        let protection = self.protection(vec![self.slot(self.requirement())]);
        let mut out = Vec::new();
        let content = file_content(plain, plain.len());
        let head = self.write(&protection, content, seed, &mut out).expect("memory to memory");
        (head, out)
    }

    pub(crate) fn write(
        &self,
        protection: &Protection<'_>,
        content: Content<impl Read>,
        seed: u64,
        out: &mut Vec<u8>,
    ) -> Result<ArtifactHead, ArtifactWriteError> {
        let mut random = chance(seed);
        let mut signer = Signer { key: &self.protect, random: &mut random };
        write_artifact(protection, &mut signer, content, out, &mut |_, _| ())
    }

    /// What a container that holds the license of slot `index` would release.
    pub(crate) fn part_key(&self, head: &ArtifactHead, index: usize) -> Option<SecretKey> {
        let slot = &head.body.slots[index];
        let item_key = self.item_key(&slot.requirement);
        let wrapped = &slot.wrapped;
        let key = unwrap_content_key(&item_key, head.artifact_id, &slot.requirement, wrapped)?;
        Some(part_key(&key, MAIN_PART))
    }
}

pub(crate) fn file_content<R>(reader: R, len: usize) -> Content<R> {
    Content { program: None, len_bytes: len as u64, reader }
}

pub(crate) fn program_options() -> ProgramOptions {
    ProgramOptions {
        loss: LossPolicy::Grace { for_s: 60 },
        allow_preload: false,
        accept_unwatched_forks: false,
        refusal_texts: List::default(),
    }
}

/// Bytes that differ from chunk to chunk.
pub(crate) fn plaintext(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}
