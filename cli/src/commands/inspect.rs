//! `strongroom inspect FILE`: what any Strongroom file holds. Shows; does not vouch.

mod fields;
mod objects;
mod soft;

use std::path::Path;

use protocol::limits::{
    ARTIFACT_BODY_LEN_MAX, DEVICE_BODY_LEN_MAX, REVOCATION_BODY_LEN_MAX, ROOT_BODY_LEN_MAX,
    STATEMENT_BODY_LEN_MAX, UPDATE_BODY_LEN_MAX,
};
use protocol::objects::file::{self, FileKind};
use protocol::signed::{Header, Kind};
use serde_json::{Value, json};
use vendor::{Result, Shown, files};

use crate::output::Output;

/// Objects of one file that are shown.
const OBJECTS_MAX: usize = 64;

pub(super) fn run(path: &Path, output: &Output) -> Result<()> {
    let (mut bytes, all) = super::protect::head_of(path)?;
    if matches!(file::kind(&bytes), Ok((FileKind::Inventory, _))) {
        bytes = files::read_record(path)?;
    }
    let (kind, mut rest) =
        file::kind(&bytes).map_err(|failure| Shown::from(failure).about(path.display()))?;
    let (mut objects, mut last) = (Vec::new(), None);
    let mut text = format!("{}: {}", path.display(), kind.name());
    while objects.len() < OBJECTS_MAX && goes_on(kind, last, rest) {
        let (object, behind) = file::next_object(rest, body_len_max(rest))
            .map_err(|failure| Shown::from(failure).about(path.display()))?;
        let shown = objects::describe(&object);
        text.push_str(&format!("\n{}", shown.lines()));
        objects.push(shown.into_json());
        last = Some(object.header().kind);
        rest = behind;
    }
    let rest = match kind {
        FileKind::UsageLog => {
            let (shown, entries) = objects::usage_entries(rest);
            text.push_str(&shown);
            objects.push(entries);
            &[]
        }
        FileKind::Inventory => {
            let signed = objects.last().and_then(|context: &Value| context["config_hash"].as_str());
            let shown = objects::configuration(rest, signed);
            text.push_str(&format!("\n{}", shown.lines()));
            objects.push(shown.into_json());
            &[]
        }
        FileKind::TimeRequest
        | FileKind::Block
        | FileKind::EnrollmentChallenge
        | FileKind::SoftContainer
        | FileKind::SoftState => {
            let shown = match kind {
                FileKind::Block => objects::block(rest),
                FileKind::EnrollmentChallenge => soft::challenge(rest),
                FileKind::SoftContainer => soft::binding(rest),
                FileKind::SoftState => soft::state(rest),
                _ => objects::time_request(rest),
            };
            text.push_str(&format!("\n{}", shown.lines()));
            objects.push(shown.into_json());
            &[]
        }
        _ => rest,
    };
    let mut data = json!({ "kind": kind.name(), "objects": objects });
    if kind == FileKind::Artifact {
        let head_len = (bytes.len() - rest.len()) as u64;
        let content_len = data["objects"].as_array().and_then(|objects| objects.last());
        let content_len = content_len.and_then(|artifact| artifact["bytes"].as_u64());
        let content = objects::content(content_len, rest, all.saturating_sub(head_len));
        text.push_str(&format!("\n{}", content.lines()));
        data["content"] = content.into_json();
    } else if !rest.is_empty() {
        data["left_over"] = json!(rest.len());
        text.push_str(&format!("\n{} bytes are left over: no command takes this file", rest.len()));
    }
    output.data("inspect", data, text);
    Ok(())
}

/// Whether an object follows the last one, or should.
fn goes_on(file: FileKind, last: Option<Kind>, rest: &[u8]) -> bool {
    match (file, last) {
        (
            FileKind::Block
            | FileKind::EnrollmentChallenge
            | FileKind::SoftContainer
            | FileKind::SoftState,
            _,
        ) => false,
        (FileKind::Artifact, Some(Kind::Artifact))
        | (FileKind::UsageLog, Some(Kind::UsageHead))
        | (FileKind::TimeRequest, Some(Kind::Device))
        | (FileKind::Inventory, Some(Kind::Context)) => false,
        (_, None) => !rest.is_empty(),
        _ => Header::from_bytes(rest).is_ok(),
    }
}

/// The bound of the body that comes next, by its kind.
fn body_len_max(bytes: &[u8]) -> usize {
    match Header::from_bytes(bytes).map(|header| header.kind) {
        Ok(Kind::Root) => ROOT_BODY_LEN_MAX,
        Ok(Kind::Device) => DEVICE_BODY_LEN_MAX,
        Ok(
            Kind::Context
            | Kind::Receipt
            | Kind::UsageHead
            | Kind::UsageAck
            | Kind::TimeToken
            | Kind::Proof
            | Kind::Final,
        ) => STATEMENT_BODY_LEN_MAX,
        Ok(Kind::Artifact) => ARTIFACT_BODY_LEN_MAX,
        Ok(Kind::Revocation | Kind::Delegation) => REVOCATION_BODY_LEN_MAX,
        _ => UPDATE_BODY_LEN_MAX,
    }
}
