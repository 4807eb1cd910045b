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
use zeroize::Zeroizing;

use super::verify_error;
use crate::error::{CliError, Result};
use crate::files;
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
    let protected = ProtectedFile::open(file).map_err(|error| verify_error(file, error))?;
    let artifact = ArtifactId::new(protected.head().header.target);
    let (seat, slot) = registry.open_artifact(serial, artifact, &protected.head().body)?;
    let key = seat.release_key(&slot.wrapped, MAIN_PART)?;
    let content = protected
        .into_content(&key)
        .map_err(|error| CliError::from(ErrorCode::ContentBroken.failure()).about(error))?;
    let total = content.plaintext_len();
    if path.as_os_str() == "-" {
        copy(&content, &mut io::stdout(), output, Path::new("stdout"))?;
        return Ok(());
    }
    let mut out = AtomicFile::create(path, 0o600, Existing::Keep)
        .map_err(|error| files::write_error(path, error))?;
    copy(&content, &mut out, output, path)?;
    out.commit().map_err(|error| files::write_error(path, error))?;
    let text = format!("{}: {total} bytes", path.display());
    output.data("license-open", json!({ "file": path, "bytes": total }), text);
    Ok(())
}

fn copy(content: &FileContent, out: &mut dyn Write, output: &Output, path: &Path) -> Result<()> {
    let total = content.plaintext_len();
    let mut progress = output.progress("decrypting");
    let mut buf = Zeroizing::new(vec![0; STEP_LEN]);
    let mut done = 0;
    while done < total {
        let len = content
            .read_at(done, &mut buf)
            .map_err(|error| CliError::from(ErrorCode::ContentBroken.failure()).about(error))?;
        out.write_all(&buf[..len]).map_err(|error| CliError::io(path, &error))?;
        done += len as u64;
        progress.update(done, total);
    }
    Ok(())
}
