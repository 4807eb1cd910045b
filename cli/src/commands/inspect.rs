//! `strongroom inspect FILE`: what any Strongroom file holds. Shows; does not vouch.

use std::path::Path;

use protocol::codec;
use protocol::ids::{ArtifactId, ContainerId};
use protocol::limits::{
    ARTIFACT_BODY_LEN_MAX, DEVICE_BODY_LEN_MAX, REVOCATION_BODY_LEN_MAX, ROOT_BODY_LEN_MAX,
    STATEMENT_BODY_LEN_MAX, UPDATE_BODY_LEN_MAX,
};
use protocol::objects::artifact::ArtifactBody;
use protocol::objects::delegation::DelegationBody;
use protocol::objects::device::{Device, DeviceBody};
use protocol::objects::file::{self, FileKind};
use protocol::objects::revocation::RevocationBody;
use protocol::objects::root::{NextBody, RoleKeys, Root};
use protocol::objects::statement::{ContextBody, ReceiptBody};
use protocol::objects::test_root;
use protocol::objects::update::read_ops;
use protocol::signed::{Kind, UnverifiedObject};
use serde_json::{Value, json};

use super::shown;
use crate::error::{CliError, Result};
use crate::output::Output;
use crate::times;
use crate::trust::{delegation_text, revocation_lines, role_name};

/// Objects of one file that are shown.
const OBJECTS_MAX: usize = 64;

const PROTECTED: &str = "protected content";

pub(super) fn run(path: &Path, output: &Output) -> Result<()> {
    let bytes = super::protect::head_of(path)?;
    let (kind, mut rest) =
        file::kind(&bytes).map_err(|failure| CliError::from(failure).about(path.display()))?;
    let mut objects = Vec::new();
    let mut text = format!("{}: {}", path.display(), kind.name());
    while !rest.is_empty() && objects.len() < OBJECTS_MAX && !is_last(kind, &objects) {
        let (object, behind) = file::next_object(rest, body_len_max(rest))
            .map_err(|failure| CliError::from(failure).about(path.display()))?;
        let shown = describe(&object);
        text.push_str(&format!("\n{}", lines(&shown)));
        objects.push(shown);
        rest = behind;
    }
    if kind == FileKind::Artifact {
        text.push_str("\ncontent: encrypted");
    }
    output.data("inspect", json!({ "kind": kind.name(), "objects": objects }), text);
    Ok(())
}

/// Whether what follows is no object any more: encrypted content.
fn is_last(kind: FileKind, objects: &[Value]) -> bool {
    let last = objects.last().map(|object| object["object"] == json!(PROTECTED));
    kind == FileKind::Artifact && last == Some(true)
}

/// The bound of the body that comes next, by its kind.
fn body_len_max(bytes: &[u8]) -> usize {
    match protocol::signed::Header::from_bytes(bytes).map(|header| header.kind) {
        Ok(Kind::Root) => ROOT_BODY_LEN_MAX,
        Ok(Kind::Device) => DEVICE_BODY_LEN_MAX,
        Ok(Kind::Context | Kind::Receipt) => STATEMENT_BODY_LEN_MAX,
        Ok(Kind::Artifact) => ARTIFACT_BODY_LEN_MAX,
        Ok(Kind::Revocation | Kind::Delegation) => REVOCATION_BODY_LEN_MAX,
        _ => UPDATE_BODY_LEN_MAX,
    }
}

fn describe(object: &UnverifiedObject<'_>) -> Value {
    let header = object.header();
    let mut shown = match object.body_if_intact() {
        None => json!({ "object": "damaged: the body is not the one that the header names" }),
        Some(body) => match header.kind {
            Kind::Root if header.seq > 1 => next_root(object, body),
            Kind::Root => root(object),
            Kind::Delegation => delegation(object, body),
            Kind::Revocation => revocation(object, body),
            Kind::Device => device(object, body),
            Kind::Context => context(object, body),
            Kind::Receipt => receipt(object, body),
            Kind::Update | Kind::Recovery => update(object, body),
            Kind::Artifact => artifact(object, body),
            _ => json!({ "object": "of a newer version" }),
        },
    };
    if header.issued_s != 0 {
        shown["signed"] = json!(times::show(header.issued_s));
    }
    if header.until_s != 0 {
        shown["until"] = json!(times::show(header.until_s));
    }
    shown
}

fn root(object: &UnverifiedObject<'_>) -> Value {
    match Root::verify_first(object) {
        Ok(root) => json!({
            "object": "vendor root", "name": &*root.body.name, "number": root.body.firm_code.0,
            "mode": shown::mode(root.body.mode), "fingerprint": root.root_fp.to_string(),
            "roles": root.body.roles.iter().map(|r| format!("{:?}", r.role)).collect::<Vec<_>>(),
        }),
        Err(error) => json!({ "object": "vendor root", "refused": error.to_string() }),
    }
}

/// A root that only the one before it can vouch for.
fn next_root(object: &UnverifiedObject<'_>, body: &[u8]) -> Value {
    let header = object.header();
    match codec::decode::<NextBody>(body, ROOT_BODY_LEN_MAX) {
        Ok(NextBody { body, min_epoch }) => json!({
            "object": "vendor root", "version": header.seq, "name": &*body.name,
            "mode": shown::mode(body.mode), "fingerprint": header.root_fp.to_string(),
            "epoch": min_epoch, "roles": body.roles.iter().map(role_text).collect::<Vec<_>>(),
        }),
        Err(error) => unreadable("vendor root", error),
    }
}

fn role_text(role: &RoleKeys) -> String {
    format!("{} {} of {}", role_name(role.role), role.threshold, role.keys.len())
}

fn delegation(object: &UnverifiedObject<'_>, body: &[u8]) -> Value {
    let header = object.header();
    match codec::decode::<DelegationBody>(body, REVOCATION_BODY_LEN_MAX) {
        Ok(body) => json!({
            "object": "delegation", "vendor": header.root_fp.to_string(),
            "by key": header.key_id.to_string(), "to": delegation_text(&body, header.until_s),
            "each day": body.scope.daily_max, "depth": body.scope.depth,
        }),
        Err(error) => unreadable("delegation", error),
    }
}

fn revocation(object: &UnverifiedObject<'_>, body: &[u8]) -> Value {
    let header = object.header();
    match codec::decode::<RevocationBody>(body, REVOCATION_BODY_LEN_MAX) {
        Ok(body) => json!({
            "object": "revocations", "vendor": header.root_fp.to_string(), "epoch": header.seq,
            "revoked": revocation_lines(&body),
        }),
        Err(error) => unreadable("revocations", error),
    }
}

fn device(object: &UnverifiedObject<'_>, body: &[u8]) -> Value {
    let trust = test_root::root().map(|root| Device::verify(object, &root));
    let maker = match trust {
        Some(Ok(_)) => "test root: a simulated container",
        _ => "not known here",
    };
    let id = ContainerId::new(object.header().target);
    match codec::decode::<DeviceBody>(body, DEVICE_BODY_LEN_MAX) {
        Ok(body) => json!({
            "object": "container certificate", "serial": id.serial(body.kind).to_string(),
            "clock": shown::clock(body.clock), "anchor": shown::anchor(body.anchor),
            "maker": maker,
        }),
        Err(error) => unreadable("container certificate", error),
    }
}

fn context(object: &UnverifiedObject<'_>, body: &[u8]) -> Value {
    let header = object.header();
    match codec::decode::<ContextBody>(body, STATEMENT_BODY_LEN_MAX) {
        Ok(body) => json!({
            "object": "context", "container": ContainerId::new(header.target).to_string(),
            "vendor": header.root_fp.to_string(), "number": header.seq,
            "entries": body.entries, "time": times::show(body.time.now_s),
            "firmware": shown::firmware(body.firmware),
        }),
        Err(error) => unreadable("context", error),
    }
}

fn receipt(object: &UnverifiedObject<'_>, body: &[u8]) -> Value {
    let header = object.header();
    match codec::decode::<ReceiptBody>(body, STATEMENT_BODY_LEN_MAX) {
        Ok(body) => json!({
            "object": "receipt", "container": ContainerId::new(header.target).to_string(),
            "vendor": header.root_fp.to_string(), "number": header.seq,
            "operations": body.ops, "applied": times::show(body.time.now_s),
        }),
        Err(error) => unreadable("receipt", error),
    }
}

fn update(object: &UnverifiedObject<'_>, body: &[u8]) -> Value {
    let header = object.header();
    let operations = match read_ops(body) {
        Ok(ops) => json!(ops.len()),
        Err(error) => json!(error.to_string()),
    };
    let what = if header.kind == Kind::Recovery { "recovery" } else { "update" };
    json!({
        "object": what, "container": ContainerId::new(header.target).to_string(),
        "vendor": header.root_fp.to_string(), "number": header.seq, "operations": operations,
    })
}

fn artifact(object: &UnverifiedObject<'_>, body: &[u8]) -> Value {
    let id = ArtifactId::new(object.header().target);
    match codec::decode::<ArtifactBody>(body, ARTIFACT_BODY_LEN_MAX) {
        Ok(body) => json!({
            "object": PROTECTED, "name": &*body.name, "id": id.to_string(),
            "vendor": &*body.firm_name, "mode": shown::mode(body.mode),
            "bytes": body.content_len, "opens with": body.slots.iter()
                .map(|slot| shown::requirement_text(&slot.requirement)).collect::<Vec<_>>(),
        }),
        Err(error) => unreadable(PROTECTED, error),
    }
}

fn unreadable(what: &str, error: codec::DecodeError) -> Value {
    json!({ "object": what, "unreadable": error.to_string() })
}

/// One line for each field, the object's name first.
fn lines(object: &Value) -> String {
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let all: Vec<String> =
                values.iter().map(|v| v.as_str().map_or(v.to_string(), str::to_owned)).collect();
            all.join("; ")
        }
        other => other.to_string(),
    };
    let mut text = plain(&object["object"]);
    for (name, value) in object.as_object().into_iter().flatten().filter(|(n, _)| *n != "object") {
        text.push_str(&format!("\n  {name:<12} {}", plain(value)));
    }
    text
}
