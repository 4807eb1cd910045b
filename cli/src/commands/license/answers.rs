//! `strongroom license encrypt`, `decrypt` and `prove`: what only a license in use can answer.

use std::path::Path;

use container::{Container, Seat};
use protocol::ids::ArtifactId;
use protocol::objects::file::{self, FileKind};
use protocol::objects::license::Requirement;
use serde_json::json;
use vendor::{Result, files};

use crate::args::{Args, DecryptArgs, EncryptArgs, ProveArgs};
use crate::commands::shown;
use crate::output::Output;
use crate::{blocks, reach};

pub(super) fn encrypt(command: &EncryptArgs, args: &Args, output: &Output) -> Result<()> {
    let source = blocks::source(&command.key)?;
    let plain = blocks::read_plain(&command.input)?;
    let container = reach::one(args)?;
    let requirement = super::requirement(&container, command.product, &command.uses)?;
    let Some(seat) = seat(&container, &requirement, &command.output, command.dry_run)? else {
        would(&container, &requirement, &command.output, "license-encrypt", output);
        return Ok(());
    };
    let block = seat.encrypt(source, &plain)?;
    files::write_new(&command.output, &blocks::write(requirement, source, &block)?)?;
    let about = shown::requirement_text(&requirement);
    let path = command.output.display();
    let text = format!("{} bytes encrypted into {path}; it opens with: {about}", plain.len());
    let data = json!({
        "file": command.output, "bytes": plain.len(), "key": shown::key_source(source),
        "serial": container.serial().to_string(), "use": about, "dry_run": false,
    });
    output.data("license-encrypt", data, text);
    Ok(())
}

pub(super) fn decrypt(command: &DecryptArgs, args: &Args, output: &Output) -> Result<()> {
    let block = blocks::read(&command.input)?;
    let container = reach::one(args)?;
    let requirement = &block.requirement;
    let Some(seat) = seat(&container, requirement, &command.output, command.dry_run)? else {
        would(&container, requirement, &command.output, "license-decrypt", output);
        return Ok(());
    };
    let plain = seat.decrypt(block.source, &block.bytes)?;
    files::write_private(&command.output, &plain)?;
    let data = json!({
        "file": command.output, "bytes": plain.len(), "key": shown::key_source(block.source),
        "serial": container.serial().to_string(), "use": shown::requirement_text(requirement),
        "dry_run": false,
    });
    let text = format!("{} bytes written to {}", plain.len(), command.output.display());
    output.data("license-decrypt", data, text);
    Ok(())
}

pub(super) fn prove(command: &ProveArgs, args: &Args, output: &Output) -> Result<()> {
    let (challenge, purpose) = command.challenge.read()?;
    let container = reach::one(args)?;
    let requirement = super::requirement(&container, command.product, &command.uses)?;
    let Some(seat) = seat(&container, &requirement, &command.output, command.dry_run)? else {
        would(&container, &requirement, &command.output, "license-prove", output);
        return Ok(());
    };
    let proof = seat.prove(challenge, purpose)?;
    let bytes = file::write(FileKind::Proof, &[container.certificate(), &proof]);
    files::write_new(&command.output, &bytes)?;
    let about = shown::requirement_text(&requirement);
    let serial = container.serial().to_string();
    let text =
        format!("{serial} proves in {} that this is in use: {about}", command.output.display());
    let data = json!({
        "file": command.output, "serial": serial, "use": about, "dry_run": false,
    });
    output.data("license-prove", data, text);
    Ok(())
}

/// A seat, or nothing where only its refusal was asked for.
fn seat(
    container: &Container,
    requirement: &Requirement,
    path: &Path,
    dry_run: bool,
) -> Result<Option<Seat>> {
    // Before units are taken for it.
    files::check_new(path)?;
    match dry_run {
        true => container.why(requirement).map(|()| None),
        false => container.open_seat(requirement, ArtifactId::default()).map(Some),
    }
    .map_err(Into::into)
}

fn would(
    container: &Container,
    requirement: &Requirement,
    path: &Path,
    schema: &'static str,
    output: &Output,
) {
    let about = shown::requirement_text(requirement);
    let serial = container.serial().to_string();
    let text = format!("{} would be written: {serial} allows {about}", path.display());
    let data = json!({ "file": path, "serial": serial, "use": about, "dry_run": true });
    output.data(schema, data, text);
}
