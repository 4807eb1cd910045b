//! What the fuzzer calls and the replay of its corpus repeats: one function for each parser.
//!
//! Each takes any bytes and returns. What it asserts holds for all bytes: nothing panics, what is
//! accepted keeps its bounds, and writing it again gives the very same bytes.
#![forbid(unsafe_code)]

mod texts;
mod tpm;

use std::io::Write;

use engine::journal::{Flash, FlashError, Geometry, Journal, Layout, WriteKind};
use engine::platform::{RECORD_LEN_MAX, Store};
use protocol::codec;
use protocol::command::{Command, Reply};
use protocol::crypto::channel::{Responder, TRANSPORT_LEN, Transport};
use protocol::crypto::ecdh::SoftwareKey;
use protocol::frame::{Assembler, MESSAGE_MAX, Packet, REPORT_LEN, Step};
use protocol::limits::{
    ARTIFACT_BODY_LEN_MAX, COMMAND_LEN_MAX, DELEGATION_BODY_LEN_MAX, DEVICE_BODY_LEN_MAX,
    MESSAGE_LEN_MAX, REVOCATION_BODY_LEN_MAX, ROOT_BODY_LEN_MAX, SEALED_BLOCK_FILE_LEN_MAX,
    STATEMENT_BODY_LEN_MAX, UPDATE_BODY_LEN_MAX,
};
use protocol::objects::artifact::ArtifactBody;
use protocol::objects::block::SealedBlock;
use protocol::objects::delegation::{Delegate, DelegationBody};
use protocol::objects::device::DeviceBody;
use protocol::objects::proof::ProofBody;
use protocol::objects::revocation::{Revocation, RevocationBody};
use protocol::objects::root::{NextBody, Root, RootBody};
use protocol::objects::statement::{ContextBody, FinalBody, ReceiptBody};
use protocol::objects::update::{read_ops, write_ops};
use protocol::objects::{file, test_root};
use protocol::signed::{Role, UnverifiedObject, write_object};
use serde::{Serialize, de::DeserializeOwned};

pub use texts::*;
pub use tpm::*;

/// A target: its name, which is that of its corpus, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("arguments", arguments),
    ("artifact", artifact),
    ("bundle", bundle),
    ("command", command),
    ("configuration", configuration),
    ("content", content),
    ("delegation", delegation),
    ("device", device),
    ("elf", elf),
    ("fault", fault),
    ("file", file),
    ("handshake", handshake),
    ("inventory", inventory),
    ("journal", journal),
    ("key_store", key_store),
    ("ledger", ledger),
    ("object", object),
    ("products", products),
    ("receipt", receipt),
    ("refusal_texts", refusal_texts),
    ("reply", reply),
    ("report", report),
    ("revocation", revocation),
    ("root", root),
    ("share", share),
    ("sim_identity", sim_identity),
    ("sources", sources),
    ("statement", statement),
    ("store", store),
    ("template", template),
    ("time", time),
    ("tpm_attest", tpm_attest),
    ("tpm_certificate", tpm_certificate),
    ("tpm_public", tpm_public),
    ("transport", transport),
    ("trust", trust),
    ("update_ops", update_ops),
];

/// A command to a container.
pub fn command(bytes: &[u8]) {
    canonical::<Command>(bytes, COMMAND_LEN_MAX);
}

/// A container's reply.
pub fn reply(bytes: &[u8]) {
    canonical::<Reply>(bytes, COMMAND_LEN_MAX);
}

/// The body of an artifact header.
pub fn artifact(bytes: &[u8]) {
    canonical::<ArtifactBody>(bytes, ARTIFACT_BODY_LEN_MAX);
}

/// The body of a device certificate.
pub fn device(bytes: &[u8]) {
    canonical::<DeviceBody>(bytes, DEVICE_BODY_LEN_MAX);
}

/// The body of a context and of a proof, and a block.
pub fn statement(bytes: &[u8]) {
    canonical::<ContextBody>(bytes, STATEMENT_BODY_LEN_MAX);
    canonical::<ProofBody>(bytes, STATEMENT_BODY_LEN_MAX);
    canonical::<SealedBlock>(bytes, SEALED_BLOCK_FILE_LEN_MAX);
}

/// The body of a receipt, or of a final statement.
pub fn receipt(bytes: &[u8]) {
    canonical::<ReceiptBody>(bytes, STATEMENT_BODY_LEN_MAX);
    canonical::<FinalBody>(bytes, STATEMENT_BODY_LEN_MAX);
}

/// The body of a root, a whole root v1, and a root that would follow the test root.
pub fn root(bytes: &[u8]) {
    canonical::<RootBody>(bytes, ROOT_BODY_LEN_MAX);
    canonical::<NextBody>(bytes, ROOT_BODY_LEN_MAX);
    if let Ok((object, _)) = UnverifiedObject::read(bytes, ROOT_BODY_LEN_MAX) {
        let _ = Root::verify_first(&object);
        let root = test_root::root().expect("the test root");
        if let Ok(next) = root.verify_next(&object) {
            assert_eq!((next.version, next.root_fp), (2, root.root_fp));
        }
    }
}

/// The body of a delegation, and a whole one under a root that made none.
pub fn delegation(bytes: &[u8]) {
    canonical::<DelegationBody>(bytes, DELEGATION_BODY_LEN_MAX);
    let root = test_root::root().expect("the test root");
    if let Ok((object, _)) = UnverifiedObject::read(bytes, DELEGATION_BODY_LEN_MAX) {
        let delegate = Delegate::first(root.root_fp, &root.body, &object);
        assert!(delegate.is_err(), "the test root hands nothing on");
    }
}

/// The body of a revocation, and a whole one under a root that made none.
pub fn revocation(bytes: &[u8]) {
    canonical::<RevocationBody>(bytes, REVOCATION_BODY_LEN_MAX);
    let root = test_root::root().expect("the test root");
    if let Ok((object, _)) = UnverifiedObject::read(bytes, REVOCATION_BODY_LEN_MAX) {
        assert!(Revocation::verify(&root, &object).is_err(), "the test root revokes nothing");
    }
}

/// The body of an update: operations, each behind its length.
pub fn update_ops(bytes: &[u8]) {
    if let Ok(ops) = read_ops(bytes)
        && bytes.len() <= UPDATE_BODY_LEN_MAX
    {
        assert_eq!(write_ops(&ops).as_deref(), Ok(bytes), "another encoding is accepted");
    }
}

/// A signed object. No key of this target ever signed one, so none may verify but the test root's.
pub fn object(bytes: &[u8]) {
    let Ok((object, rest)) = UnverifiedObject::read(bytes, UPDATE_BODY_LEN_MAX) else { return };
    let taken = &bytes[..bytes.len() - rest.len()];
    let key = test_root::device_key().expect("a constant key").verifying_key();
    let _ = object.verify_container(&key);
    if let Ok(verified) = object.verify_role(Role::Device, &key) {
        assert_eq!(write_object(&verified.header, object.proof(), verified.body), taken);
    }
}

/// A file: its kind, then objects to its end.
pub fn file(bytes: &[u8]) {
    let Ok((_, mut rest)) = file::kind(bytes) else { return };
    while let Ok((_, behind)) = file::next_object(rest, UPDATE_BODY_LEN_MAX) {
        assert!(behind.len() < rest.len(), "an object of no bytes");
        rest = behind;
    }
    let _ = file::finish(rest);
}

/// Reports as they come from the other side of the cable.
pub fn report(bytes: &[u8]) {
    let mut assembler = Assembler::new([0; MESSAGE_MAX]);
    for (now_ms, chunk) in (0..).zip(bytes.chunks_exact(REPORT_LEN)) {
        let report: &[u8; REPORT_LEN] = chunk.try_into().expect("chunks of this length");
        assert_eq!(Packet::parse(report).to_report(), *report, "a report reads back differently");
        if let Ok(Step::Complete(message)) = assembler.accept(report, now_ms) {
            assert!(message.payload.len() <= MESSAGE_MAX, "a message over its bound");
        }
    }
}

/// The first message of a channel.
pub fn handshake(bytes: &[u8]) {
    let key = SoftwareKey::from_bytes(&[1; 32]).expect("a constant key");
    let mut message = bytes.to_vec();
    let Ok((responder, _)) = Responder::accept(&key, &mut message) else { return };
    let mut random = |out: &mut [u8]| {
        out.fill(2);
        Ok(())
    };
    let mut answer = [0; MESSAGE_LEN_MAX];
    let _ = responder.reply(&mut random, &[], &mut answer);
}

/// A message in a channel: a refused one leaves no plaintext behind.
pub fn transport(bytes: &[u8]) {
    let mut channel = Transport::from_bytes(&mut [0; TRANSPORT_LEN]);
    let mut message = bytes.to_vec();
    match channel.open(&mut message) {
        Ok(len) => assert!(len <= bytes.len()),
        Err(_) => assert!(message.iter().all(|&byte| byte == 0), "a refused message is kept"),
    }
}

/// A protected file: its head, and content under a key that nobody sealed it with.
pub fn content(bytes: &[u8]) {
    if let Ok(head) = content::artifact::parse_artifact_head(bytes) {
        assert!(head.content_offset <= bytes.len() as u64, "a head behind the end");
    }
    assert!(content::RandomAccess::open(&[1; 32], &[], bytes).is_err(), "a key that fits anything");
}

/// A program to be protected, by its headers.
pub fn elf(bytes: &[u8]) {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("room for a small file");
    let _ = protector::elf::examine_file(&file).expect("a readable file");
}

/// What stands in a flash memory: a journal mounts or refuses, and what it shows can be read.
pub fn journal(bytes: &[u8]) {
    let layout = Layout { first_block: 0, blocks: 3, blocks_per_segment: 1 };
    let Ok(mut journal) = Journal::mount(Chip::holding(bytes), layout) else { return };
    let mut value = [0; RECORD_LEN_MAX];
    let mut from = 0;
    while let Ok(Some(key)) = journal.next_key(from) {
        let _ = journal.read(key, &mut value);
        let Some(next) = key.checked_add(1) else { return };
        from = next;
    }
}

/// A flash memory of three blocks.
struct Chip([u8; 3 * Chip::BLOCK_LEN]);

impl Chip {
    const BLOCK_LEN: usize = 4096;

    /// `bytes`, and erased cells behind them.
    fn holding(bytes: &[u8]) -> Self {
        let mut cells = [0xff; 3 * Self::BLOCK_LEN];
        let len = bytes.len().min(cells.len());
        cells[..len].copy_from_slice(&bytes[..len]);
        Chip(cells)
    }
}

impl Flash for Chip {
    fn geometry(&self) -> Geometry {
        Geometry { block_len: Self::BLOCK_LEN as u32, blocks: 3, word_len: 4 }
    }

    fn read(&mut self, at: u32, out: &mut [u8]) -> Result<(), FlashError> {
        out.copy_from_slice(&self.0[at as usize..at as usize + out.len()]);
        Ok(())
    }

    fn program(&mut self, at: u32, words: &[u8], _: WriteKind) -> Result<(), FlashError> {
        self.0[at as usize..at as usize + words.len()].copy_from_slice(words);
        Ok(())
    }

    fn erase(&mut self, block: u32) -> Result<(), FlashError> {
        self.0[block as usize * Self::BLOCK_LEN..][..Self::BLOCK_LEN].fill(0xff);
        Ok(())
    }
}

/// What decodes within its bound encodes to the same bytes.
fn canonical<T: DeserializeOwned + Serialize>(bytes: &[u8], max: usize) {
    if let Ok(value) = codec::decode::<T>(bytes, max) {
        assert_eq!(codec::encode(&value), bytes, "another encoding is accepted");
    }
}
