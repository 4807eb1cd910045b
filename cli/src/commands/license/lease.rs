//! `strongroom license lease`: whether a lease that a server gave holds, and what it says.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use protocol::errors::ErrorCode;
use protocol::objects::file::{self, FileKind};
use protocol::objects::lease::VerifiedLease;
use serde_json::json;
use vendor::trust::Trust;
use vendor::{Result, Shown, clock, files, times};

use crate::output::Output;

pub(super) fn run(lease: &Path, trust: &Path, output: &Output) -> Result<()> {
    let trust = read_trust(trust)?;
    let bytes = lease_bytes(files::read(lease)?);
    let held = trust.verify_lease(&bytes, clock::now_s());
    let VerifiedLease { header, body, suite } =
        held.map_err(|error| error.about(lease.display()))?;
    let session = uuid(&body.session.0);
    let data = json!({
        "root_fp": header.root_fp.to_string(), "grant": uuid(&header.target), "session": session,
        "product": body.product.0, "seats": body.seats, "n": header.seq,
        "issued": header.issued_s, "until": header.until_s, "suite": suite,
        "key": header.key_id.to_string(),
    });
    let text = format!(
        "{} seats of product {} until {}\n  session  {session}\n  suite    {suite}, by key {}",
        body.seats,
        body.product,
        times::show(header.until_s),
        header.key_id
    );
    output.data("license-lease", data, text);
    Ok(())
}

/// Whom the vendor trusts: its root, or a file with all roots and revocations.
fn read_trust(path: &Path) -> Result<Trust> {
    let read = |bytes: &[u8]| {
        let (kind, objects) = file::kind(bytes)?;
        if !matches!(kind, FileKind::Root | FileKind::Delegation) {
            file::expect(bytes, FileKind::Trust)?;
        }
        let (trust, rest) = Trust::take(objects)?;
        file::finish(rest)?;
        match trust.root {
            Some(_) => Ok(trust),
            None => Err(ErrorCode::RootRefused.failure()),
        }
    };
    read(&files::read(path)?).map_err(|failure| Shown::from(failure).about(path.display()))
}

/// A lease as the server's answer has it, in base64, or as it is.
fn lease_bytes(bytes: Vec<u8>) -> Vec<u8> {
    let text = std::str::from_utf8(&bytes).ok().map(|text| text.trim().trim_matches('"'));
    text.and_then(|text| BASE64.decode(text).ok()).unwrap_or(bytes)
}

fn uuid(bytes: &[u8; 16]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
