//! What the fuzzer calls and the replay of its corpus repeats: one function for each parser.
//!
//! Each takes any bytes and returns. What it asserts holds for all bytes: nothing panics, what is
//! accepted keeps its bounds, and writing it again gives the very same bytes.
#![forbid(unsafe_code)]

use protocol::codec;
use protocol::command::{Command, Reply};
use protocol::crypto::channel::{Responder, TRANSPORT_LEN, Transport};
use protocol::crypto::ecdh::SoftwareKey;
use protocol::frame::{Assembler, MESSAGE_MAX, Packet, REPORT_LEN, Step};
use protocol::limits::{
    ARTIFACT_BODY_LEN_MAX, COMMAND_LEN_MAX, DEVICE_BODY_LEN_MAX, MESSAGE_LEN_MAX,
    ROOT_BODY_LEN_MAX, STATEMENT_BODY_LEN_MAX, UPDATE_BODY_LEN_MAX,
};
use protocol::objects::artifact::ArtifactBody;
use protocol::objects::device::DeviceBody;
use protocol::objects::root::{Root, RootBody};
use protocol::objects::statement::{ContextBody, ReceiptBody};
use protocol::objects::update::{read_ops, write_ops};
use protocol::objects::{file, test_root};
use protocol::signed::{Role, UnverifiedObject, write_object};
use serde::{Serialize, de::DeserializeOwned};

/// A target: its name, which is that of its corpus, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("artifact", artifact),
    ("command", command),
    ("device", device),
    ("file", file),
    ("handshake", handshake),
    ("object", object),
    ("receipt", receipt),
    ("reply", reply),
    ("report", report),
    ("root", root),
    ("statement", statement),
    ("transport", transport),
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

/// The body of a context.
pub fn statement(bytes: &[u8]) {
    canonical::<ContextBody>(bytes, STATEMENT_BODY_LEN_MAX);
}

/// The body of a receipt.
pub fn receipt(bytes: &[u8]) {
    canonical::<ReceiptBody>(bytes, STATEMENT_BODY_LEN_MAX);
}

/// The body of a root, and a whole root v1.
pub fn root(bytes: &[u8]) {
    canonical::<RootBody>(bytes, ROOT_BODY_LEN_MAX);
    if let Ok((object, _)) = UnverifiedObject::read(bytes, ROOT_BODY_LEN_MAX) {
        let _ = Root::verify_first(&object);
    }
}

/// The body of an update: operations, each behind its length.
pub fn update_ops(bytes: &[u8]) {
    if let Ok(ops) = read_ops(bytes) {
        if bytes.len() <= UPDATE_BODY_LEN_MAX {
            assert_eq!(write_ops(&ops).as_deref(), Ok(bytes), "another encoding is accepted");
        }
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

/// What decodes within its bound encodes to the same bytes.
fn canonical<T: DeserializeOwned + Serialize>(bytes: &[u8], max: usize) {
    if let Ok(value) = codec::decode::<T>(bytes, max) {
        assert_eq!(codec::encode(&value), bytes, "another encoding is accepted");
    }
}
