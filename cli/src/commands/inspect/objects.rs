//! Each kind of object with all that it holds.

use protocol::codec::{self, DecodeError};
use protocol::crypto::hash::sha256;
use protocol::ids::{ArtifactId, ContainerId, ContainerKind};
use protocol::limits::{
    ARTIFACT_BODY_LEN_MAX, DEVICE_BODY_LEN_MAX, REVOCATION_BODY_LEN_MAX, ROOT_BODY_LEN_MAX,
    STATEMENT_BODY_LEN_MAX,
};
use protocol::objects::artifact::{
    ArtifactBody, ArtifactKind, LossPolicy, ProgramOptions, RefusalText, Slot,
};
use protocol::objects::configuration::read_configuration;
use protocol::objects::delegation::DelegationBody;
use protocol::objects::device::{Device, DeviceBody};
use protocol::objects::file::{TIME_REQUEST_LEN, split_time_request};
use protocol::objects::proof::ProofBody;
use protocol::objects::revocation::RevocationBody;
use protocol::objects::root::{NextBody, RoleKeys, Root};
use protocol::objects::statement::{ContextBody, FinalBody, ReceiptBody, TimeInfo, TimeTokenBody};
use protocol::objects::test_root;
use protocol::objects::update::read_ops;
use protocol::objects::usage::{UsageHeadBody, read_entries};
use protocol::signed::{Kind, Proof, UnverifiedObject};
use serde_json::{Value, json};
use vendor::{Shown, times, trust};

use super::fields::Fields;
use super::soft;
use crate::blocks;
use crate::commands::{container, shown, update};

/// Bytes of the key commitment behind the salt of encrypted content.
const COMMITMENT_LEN: usize = content::HEADER_LEN - content::SALT_LEN;

/// All fields of the object, with those of its header behind.
pub(super) fn describe(object: &UnverifiedObject<'_>) -> Fields {
    let shown = match object.body_if_intact() {
        None => Fields::of("damaged: the body is not the one that the header names"),
        Some(body) => match object.header().kind {
            Kind::Root if object.header().seq > 1 => next_root(object, body),
            Kind::Root => root(object),
            Kind::Delegation => delegation(object, body),
            Kind::Revocation => revocation(object, body),
            Kind::Device => device(object, body),
            Kind::Context => context(object, body),
            Kind::Receipt => receipt(object, body),
            Kind::Update => update(Fields::of("update"), object, body),
            Kind::Recovery => update(Fields::of("recovery"), object, body),
            Kind::Artifact => artifact(object, body),
            Kind::TimeToken => time_token(object, body),
            Kind::UsageHead => usage_head(object, body),
            Kind::Proof => proof_of_use(object, body),
            Kind::Final => last(object, body),
            Kind::Enrollment => soft::enrollment(object, body),
            Kind::EnrollmentProof => soft::proof(object, body),
            Kind::UsageAck => place(Fields::of("acknowledgement of a usage log"), object),
            _ => Fields::of("of a newer version"),
        },
    };
    shown.and(header(object))
}

/// What every signed object has.
fn header(object: &UnverifiedObject<'_>) -> Fields {
    let header = object.header();
    let mut fields = Fields::of("header")
        .text("role", format!("{:?}", header.role).to_lowercase())
        .text("key", header.key_id)
        .time("signed", header.issued_s, "time not given")
        .time("until", header.until_s, "no end");
    if header.log_index != 0 {
        fields = fields.number("log_index", header.log_index);
    }
    let (form, text) = proof(object.proof());
    fields
        .number("body_len", header.body_len)
        .hex("body_hash", header.body_hash)
        .both("proof", form, text)
}

fn proof(proof: &Proof) -> (Value, String) {
    match proof {
        Proof::Direct(_) => (json!({ "form": "direct" }), "one signature".into()),
        Proof::Batch(batch) => (
            json!({ "form": "batch", "leaf": batch.index, "leaves": batch.tree_size }),
            format!("leaf {} of a signed tree of {}", batch.index, batch.tree_size),
        ),
        Proof::Threshold(signatures) => {
            let keys: Vec<String> = signatures.iter().map(|(key, _)| key.to_string()).collect();
            let text = format!("signed by {}", keys.join(", "));
            (json!({ "form": "threshold", "keys": keys }), text)
        }
        _ => (json!({ "form": "unknown" }), "of a newer version".into()),
    }
}

fn root(object: &UnverifiedObject<'_>) -> Fields {
    let fields = Fields::of("vendor root");
    match Root::verify_first(object) {
        Ok(root) => fields
            .text("name", &*root.body.name)
            .number("firm_code", root.body.firm_code.0)
            .text("mode", shown::mode(root.body.mode))
            .text("root_fp", root.root_fp)
            .number("version", root.version)
            .list("roles", root.body.roles.iter().map(role).collect()),
        Err(error) => fields.text("refused", error),
    }
}

/// A root that only the one before it can vouch for.
fn next_root(object: &UnverifiedObject<'_>, body: &[u8]) -> Fields {
    let header = object.header();
    let fields = Fields::of("vendor root");
    match codec::decode::<NextBody>(body, ROOT_BODY_LEN_MAX) {
        Ok(NextBody { body, min_epoch }) => fields
            .text("name", &*body.name)
            .number("firm_code", body.firm_code.0)
            .text("mode", shown::mode(body.mode))
            .text("root_fp", header.root_fp)
            .number("version", header.seq)
            .hex("follows", header.state)
            .number("min_epoch", min_epoch)
            .list("roles", body.roles.iter().map(role).collect()),
        Err(error) => unreadable(fields, error),
    }
}

fn delegation(object: &UnverifiedObject<'_>, body: &[u8]) -> Fields {
    let fields = Fields::of("delegation").text("root_fp", object.header().root_fp);
    match codec::decode::<DelegationBody>(body, REVOCATION_BODY_LEN_MAX) {
        Ok(body) => fields
            .text("name", &*body.name)
            .hex("delegate_key", body.key.0)
            .number("first_product", body.scope.products.first.0)
            .number("last_product", body.scope.products.last.0)
            .number("quantity_max", body.scope.quantity_max)
            .number("daily_max", body.scope.daily_max)
            .number("depth", body.scope.depth),
        Err(error) => unreadable(fields, error),
    }
}

fn revocation(object: &UnverifiedObject<'_>, body: &[u8]) -> Fields {
    let header = object.header();
    let fields = Fields::of("revocations")
        .text("root_fp", header.root_fp)
        .number("epoch", header.seq)
        .hex("goes_with", header.state);
    match codec::decode::<RevocationBody>(body, REVOCATION_BODY_LEN_MAX) {
        Ok(body) => {
            let all = trust::revocation_lines(&body).into_iter();
            fields.list("revoked", all.map(|line| (json!(line), line)).collect())
        }
        Err(error) => unreadable(fields, error),
    }
}

fn time_token(object: &UnverifiedObject<'_>, body: &[u8]) -> Fields {
    let header = object.header();
    let fields = Fields::of("time token")
        .text("container", ContainerId::new(header.target))
        .text("root_fp", header.root_fp)
        .hex("nonce", header.state);
    match codec::decode::<TimeTokenBody>(body, STATEMENT_BODY_LEN_MAX) {
        Ok(body) => fields.time("time", body.time_s, "not given").number("radius_s", body.radius_s),
        Err(error) => unreadable(fields, error),
    }
}

fn proof_of_use(object: &UnverifiedObject<'_>, body: &[u8]) -> Fields {
    let fields = place(Fields::of("proof of use"), object);
    match codec::decode::<ProofBody>(body, STATEMENT_BODY_LEN_MAX) {
        Ok(body) => time(
            fields
                .hex("challenge", body.challenge.0)
                .number("purpose", body.purpose)
                .hex("session", body.session.0)
                .text("in_use", shown::requirement_text(&body.requirement))
                .number("entry", body.item.entry.0)
                .time("ends", body.ends_s, "by itself never")
                .number("units", body.units)
                .number("seats", body.seats)
                .number("commits", body.commits)
                .text("firmware", shown::firmware(body.firmware)),
            &body.time,
        ),
        Err(error) => unreadable(fields, error),
    }
}

fn usage_head(object: &UnverifiedObject<'_>, body: &[u8]) -> Fields {
    let fields = place(Fields::of("head of a usage log"), object);
    match codec::decode::<UsageHeadBody>(body, STATEMENT_BODY_LEN_MAX) {
        Ok(body) => time(
            fields
                .hex("nonce", body.nonce.0)
                .number("acknowledged", body.acked_seq)
                .hex("acknowledged_head", body.acked_head.0)
                .number("commits", body.commits),
            &body.time,
        ),
        Err(error) => unreadable(fields, error),
    }
}

fn role(keys: &RoleKeys) -> (Value, String) {
    let name = format!("{:?}", keys.role).to_lowercase();
    let all: Vec<String> = keys.keys.iter().map(|key| format!("{key:?}")).collect();
    let text = format!("{name}: {} of {}", keys.threshold, all.join(", "));
    (json!({ "role": name, "threshold": keys.threshold, "keys": all }), text)
}

fn device(object: &UnverifiedObject<'_>, body: &[u8]) -> Fields {
    let trust = test_root::root().map(|root| Device::verify(object, &root));
    let kind = codec::decode::<DeviceBody>(body, DEVICE_BODY_LEN_MAX).map(|body| body.kind);
    let maker = match (trust, kind) {
        (Some(Ok(_)), _) => "test root: a simulated container",
        (_, Ok(ContainerKind::Tpm)) => "the vendor whose licenses it holds",
        _ => "not known here",
    };
    let id = ContainerId::new(object.header().target);
    let fields = Fields::of("container certificate");
    match codec::decode::<DeviceBody>(body, DEVICE_BODY_LEN_MAX) {
        Ok(body) => fields
            .text("serial", id.serial(body.kind))
            .text("container", id)
            .text("clock", shown::clock(body.clock))
            .text("anchor", shown::anchor(body.anchor))
            .text("maker", maker)
            .text("maker_fp", object.header().root_fp)
            .hex("identity_key", body.identity_key.0)
            .hex("channel_key", body.channel_key.0)
            .hex("sealing_key", body.sealing_key.0)
            .number("batch", body.batch),
        Err(error) => unreadable(fields, error),
    }
}

/// Where a statement or update stands in a firm's chain in a container.
fn place(fields: Fields, object: &UnverifiedObject<'_>) -> Fields {
    let header = object.header();
    fields
        .text("container", ContainerId::new(header.target))
        .text("root_fp", header.root_fp)
        .number("number", header.seq)
        .hex("state", header.state)
}

fn time(fields: Fields, time: &TimeInfo) -> Fields {
    fields
        .time("time", time.now_s, "not known")
        .time("time_floor", time.floor_s, "not known")
        .time("certified", time.certified_s, "never")
        .text("clock", shown::clock(time.class))
}

fn context(object: &UnverifiedObject<'_>, body: &[u8]) -> Fields {
    let fields = place(Fields::of("context"), object);
    match codec::decode::<ContextBody>(body, STATEMENT_BODY_LEN_MAX) {
        Ok(body) => time(fields, &body.time)
            .number("entries", body.entries)
            .number("commits", body.commits)
            .number("root_version", body.root_version)
            .number("revocation_epoch", body.revocation_epoch)
            .text("firmware", shown::firmware(body.firmware))
            .hex("config_hash", body.config_hash.0)
            .hex("nonce", body.nonce.0),
        Err(error) => unreadable(fields, error),
    }
}

fn receipt(object: &UnverifiedObject<'_>, body: &[u8]) -> Fields {
    let fields = place(Fields::of("receipt"), object);
    match codec::decode::<ReceiptBody>(body, STATEMENT_BODY_LEN_MAX) {
        Ok(body) => time(fields, &body.time)
            .number("operation_count", body.ops)
            .number("commits", body.commits)
            .hex("update_hash", body.update_hash.0)
            .hex("config_hash", body.config_hash.0),
        Err(error) => unreadable(fields, error),
    }
}

/// What a container that is decommissioned left.
fn last(object: &UnverifiedObject<'_>, body: &[u8]) -> Fields {
    let fields = place(Fields::of("final statement"), object);
    match codec::decode::<FinalBody>(body, STATEMENT_BODY_LEN_MAX) {
        Ok(body) => time(fields, &body.time)
            .number("entries", body.entries)
            .number("commits", body.commits)
            .number("last_log_entry", body.log_seq)
            .hex("log_head", body.log_head.0)
            .hex("config_hash", body.config_hash.0),
        Err(error) => unreadable(fields, error),
    }
}

/// The records behind the context of an inventory, and whether they are those that it names.
pub(super) fn configuration(bytes: &[u8], signed: Option<&str>) -> Fields {
    let hash = sha256(bytes);
    let fields = Fields::of("configuration").hex("hash", hash);
    let fields = match signed == Some(&*shown::hex(&hash)) {
        true => fields.text("matches", "yes: it is the one that the context names"),
        false => return fields.text("matches", "NO: it was changed, or is of another context"),
    };
    match read_configuration(bytes) {
        Some(records) => {
            let (lines, rows) = container::records(&records);
            let lines = lines.into_iter().map(|line| line.trim_start().to_owned());
            fields.list("records", rows.into_iter().zip(lines).collect())
        }
        None => fields.text("unreadable", "no container writes such records"),
    }
}

fn update(fields: Fields, object: &UnverifiedObject<'_>, body: &[u8]) -> Fields {
    let fields = place(fields, object);
    match read_ops(body) {
        Ok(ops) => {
            let shown = ops.iter().map(|op| {
                let (text, value) = update::describe_op(op, &[]);
                (value, text.trim_start().to_owned())
            });
            fields.list("operations", shown.collect())
        }
        Err(error) => fields.text("unreadable", error),
    }
}

fn artifact(object: &UnverifiedObject<'_>, body: &[u8]) -> Fields {
    let header = object.header();
    let fields = Fields::of("protected content")
        .text("artifact", ArtifactId::new(header.target))
        .text("root_fp", header.root_fp);
    let body = match codec::decode::<ArtifactBody>(body, ARTIFACT_BODY_LEN_MAX) {
        Ok(body) => body,
        Err(error) => return unreadable(fields, error),
    };
    let kind = match body.kind {
        ArtifactKind::File => "file",
        ArtifactKind::Program => "program",
        _ => "of a newer version",
    };
    let fields = fields
        .text("type", kind)
        .text("name", &*body.name)
        .text("vendor", &*body.firm_name)
        .text("mode", shown::mode(body.mode))
        .number("bytes", body.content_len)
        .number("parts", body.parts)
        .list("opens_with", body.slots.iter().map(slot).collect());
    match &body.program {
        Some(options) => program(fields, options),
        None => fields,
    }
}

/// The content behind the objects: `here_len` bytes that begin with `start`, of which the artifact
/// says that they are `content_len` when decrypted.
pub(super) fn content(content_len: Option<u64>, start: &[u8], here_len: u64) -> Fields {
    let mut fields = Fields::of("content, encrypted");
    if let Some((salt, rest)) = start.split_first_chunk::<{ content::SALT_LEN }>() {
        fields = fields.hex("salt", *salt);
        if let Some(commitment) = rest.first_chunk::<COMMITMENT_LEN>() {
            fields = fields.hex("commitment", *commitment);
        }
    }
    let sealed_len = content_len.and_then(|len| content::ciphertext_len(len).ok());
    if let (Some(len), Some(sealed_len)) = (content_len, sealed_len) {
        let chunks = len / content::CHUNK_LEN as u64 + 1;
        fields = fields.number("chunks", chunks).number("sealed_bytes", sealed_len);
        // What stands behind the content of a program fills its last page.
        fields = fields.number("missing_bytes", sealed_len.saturating_sub(here_len));
    }
    fields
}

fn slot(slot: &Slot) -> (Value, String) {
    let mut value = shown::requirement_json(&slot.requirement);
    value["salt"] = json!(format!("{:?}", slot.wrapped.salt));
    value["wrapped_key"] = json!(format!("{:?}", slot.wrapped.ciphertext));
    (value, shown::requirement_text(&slot.requirement))
}

fn program(fields: Fields, options: &ProgramOptions) -> Fields {
    let (loss, text) = match options.loss {
        LossPolicy::Stop => (json!({ "policy": "stop" }), "the program ends".to_owned()),
        LossPolicy::Warn { every_s } => (
            json!({ "policy": "warn", "seconds": every_s }),
            format!("a warning every {every_s} s"),
        ),
        LossPolicy::Grace { for_s } => (
            json!({ "policy": "grace", "seconds": for_s }),
            format!("the program ends after {for_s} s"),
        ),
        _ => (json!({ "policy": "unknown" }), "of a newer version".to_owned()),
    };
    fields
        .both("loss", loss, text)
        .number("allow_preload", options.allow_preload)
        .number("unwatched_forks", options.accept_unwatched_forks)
        .list("refusal_texts", options.refusal_texts.iter().map(refusal_text).collect())
}

fn refusal_text(text: &RefusalText) -> (Value, String) {
    let value = json!({
        "language": &*text.language, "text": &*text.text, "shop": &*text.shop,
        "support": &*text.support,
    });
    let language = if text.language.is_empty() { "all others" } else { &text.language };
    (value, format!("{language}: {:?} {} {}", &*text.text, &*text.shop, &*text.support))
}

pub(super) fn unreadable(fields: Fields, error: DecodeError) -> Fields {
    fields.text("unreadable", error)
}

/// Entries of a usage log, one line each.
pub(super) fn usage_entries(bytes: &[u8]) -> (String, Value) {
    let Some(entries) = read_entries(bytes) else {
        return ("\nentries: unreadable".into(), json!({ "object": "entries: unreadable" }));
    };
    let all = entries.iter().map(|logged| shown::usage_entry(&logged.entry));
    let (lines, rows): (Vec<String>, Vec<Value>) = all.unzip();
    let text = lines.iter().map(|line| format!("\n  {line}")).collect::<String>();
    (format!("\nentries{text}"), json!({ "object": "entries", "entries": rows }))
}

/// What a container asks for the time with.
/// A file's block, without what is in it.
pub(super) fn block(bytes: &[u8]) -> Fields {
    let fields = Fields::of("block");
    match blocks::body(bytes) {
        Ok(block) => fields
            .text("root_fp", block.requirement.root_fp)
            .text("opens_with", shown::requirement_text(&block.requirement))
            .text("key", shown::key_source(block.source))
            .number("bytes", block.bytes.len()),
        Err(failure) => fields.text("unreadable", Shown::from(failure).title(&times::show)),
    }
}

pub(super) fn time_request(bytes: &[u8]) -> Fields {
    let fields = Fields::of("request for the time");
    match <[u8; TIME_REQUEST_LEN]>::try_from(bytes) {
        Ok(bytes) => {
            let (root_fp, nonce) = split_time_request(&bytes);
            fields.text("root_fp", root_fp).hex("nonce", nonce)
        }
        Err(_) => fields.text("unreadable", "not of the length that it has"),
    }
}
