//! Opening a protected data file with the license.

use std::io::{self, Write};
use std::path::Path;

use container::Registry;
use protector::atomic::{AtomicFile, Existing};
use protector::verify::{FileContent, ProtectedFile};
use protocol::errors::ErrorCode;
use protocol::ids::ArtifactId;
use protocol::objects::artifact::MAIN_PART;
use serde_json::json;
use vendor::{Result, Shown, files};
use zeroize::Zeroizing;

use super::verify_error;
use crate::output::Output;

/// Bytes decrypted at once.
const STEP_LEN: usize = 1 << 20;

/// Opens `file` with whatever container within reach allows it, and writes its contents.
pub(in crate::commands) fn open_file(
    registry: &Registry,
    serial: Option<&str>,
    file: &Path,
    path: &Path,
    output: &Output,
) -> Result<()> {
    let to_stdout = to_stdout(path, output)?;
    let protected = ProtectedFile::open(file).map_err(|error| verify_error(file, error))?;
    let artifact = ArtifactId::new(protected.head().header.target);
    let (seat, slot) = registry.open_artifact(serial, artifact, &protected.head().body)?;
    let key = seat.release_key(&slot.wrapped, MAIN_PART)?;
    let content = protected
        .into_content(&key)
        .map_err(|error| Shown::from(ErrorCode::ContentBroken.failure()).about(error))?;
    let total = content.plaintext_len();
    if to_stdout {
        copy(&content, &mut io::stdout(), output, Path::new("stdout"))?;
        return Ok(());
    }
    let mut out = AtomicFile::create(path, 0o600, Existing::Keep)
        .map_err(|error| files::write_error(path, error))?;
    copy(&content, &mut out, output, path)?;
    out.commit().map_err(|error| files::write_error(path, error))?;
    let text = format!("{}: {total} bytes", path.display());
    let data = json!({ "file": path, "bytes": total, "dry_run": false });
    output.data("license-open", data, text);
    Ok(())
}

/// Says whether `file` would be opened, and with which container. No seat is taken, and no usage
/// period begins.
pub(in crate::commands) fn would_open(
    registry: &Registry,
    serial: Option<&str>,
    file: &Path,
    path: &Path,
    output: &Output,
) -> Result<()> {
    if !to_stdout(path, output)? {
        files::check_new(path)?;
    }
    let protected = ProtectedFile::open(file).map_err(|error| verify_error(file, error))?;
    let body = &protected.head().body;
    let (container, slot) = registry.why_artifact(serial, body)?;
    let serial = container.serial().to_string();
    let about = super::shown::requirement_text(&slot.requirement);
    let data = json!({
        "file": path, "bytes": body.content_len, "dry_run": true, "serial": serial, "use": about,
    });
    let text = format!(
        "{} bytes would be written to {}: {serial} allows {about}",
        body.content_len,
        path.display()
    );
    output.data("license-open", data, text);
    Ok(())
}

/// Whether the contents go to stdout, which then has no room for an envelope.
fn to_stdout(path: &Path, output: &Output) -> Result<bool> {
    let wanted = path.as_os_str() == "-";
    if wanted && output.is_json() {
        return Err(Shown::usage(
            "the contents and the JSON envelope cannot both go to stdout",
            "Leave --json out, or name a file with -o FILE.",
        ));
    }
    Ok(wanted)
}

fn copy(content: &FileContent, out: &mut dyn Write, output: &Output, path: &Path) -> Result<()> {
    let total = content.plaintext_len();
    let mut progress = output.progress("decrypting");
    let mut buf = Zeroizing::new(vec![0; STEP_LEN]);
    let mut done = 0;
    while done < total {
        let len = content
            .read_at(done, &mut buf)
            .map_err(|error| Shown::from(ErrorCode::ContentBroken.failure()).about(error))?;
        out.write_all(&buf[..len]).map_err(|error| Shown::io(path, &error))?;
        done += len as u64;
        progress.update(done, total);
    }
    Ok(())
}
