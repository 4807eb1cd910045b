//! The helper's one-shot commands: what it does with the TPM for the container in a folder.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use protocol::codec;
use protocol::errors::{ErrorCode, Failure, Shown};
use protocol::ids::{ContainerId, RootFp};
use serde_json::Value;
use vendor::Result;

use crate::args::InitArgs;

/// Exit code of a command whose output is the encoded failure.
const REFUSED: i32 = 3;

/// What this machine has.
pub(super) fn probe() -> Result<Value> {
    let seen = call(&mut command("probe")?, &[])?;
    serde_json::from_slice(&seen).map_err(failed)
}

/// How long the TPM takes for what a container asks of it.
pub(super) fn selftest() -> Result<Value> {
    let folder = std::env::temp_dir().join(format!("strongroom-tpm-{}", std::process::id()));
    let seen = call(on(&mut command("selftest")?, &folder), &[])?;
    serde_json::from_slice(&seen).map_err(failed)
}

/// The request of the container in a folder for a firm's certificate; makes the container, as it is
/// asked for.
pub(super) fn request(
    folder: &Path,
    firm: RootFp,
    replaces: Option<ContainerId>,
    asked: &InitArgs,
) -> Result<Vec<u8>> {
    let mut command = command("request")?;
    on(&mut command, folder).args(["--firm", &firm.to_string()]);
    command.args(asked.without_tpm.then_some("--without-tpm"));
    let tolerance = asked.tolerance.map(|tolerance| tolerance.to_string());
    command.args(tolerance.iter().flat_map(|tolerance| ["--tolerance", tolerance]));
    command.args(replaces.iter().flat_map(|id| ["--replaces".to_owned(), id.to_string()]));
    call(&mut command, &[])
}

/// The answer to a challenge.
pub(super) fn prove(folder: &Path, challenge: &[u8]) -> Result<Vec<u8>> {
    call(on(&mut command("prove")?, folder), challenge)
}

/// Takes a certificate in.
pub(super) fn certify(folder: &Path, certificate: &[u8]) -> Result<()> {
    call(on(&mut command("certify")?, folder), certificate).map(drop)
}

/// How the container in a folder stands that nobody serves.
pub(super) fn look(folder: &Path) -> Result<Vec<u8>> {
    call(on(&mut command("look")?, folder), &[])
}

/// Binds the container in a folder anew; with which tolerance.
pub(super) fn rebind(folder: &Path, tolerance: Option<&str>) -> Result<String> {
    let mut command = command("rebind")?;
    on(&mut command, folder);
    command.args(tolerance.iter().flat_map(|tolerance| ["--tolerance", tolerance]));
    serde_json::from_slice(&call(&mut command, &[])?).map_err(failed)
}

fn command(verb: &str) -> Result<Command> {
    let helper = backends::helper().ok_or(ErrorCode::HelperMissing.failure())?;
    let mut command = Command::new(helper);
    command.arg(verb);
    Ok(command)
}

fn on<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    command.arg("--dir").arg(folder)
}

fn call(command: &mut Command, input: &[u8]) -> Result<Vec<u8>> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not want it all says why.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output().map_err(failed)?;
    match output.status.code() {
        Some(0) => Ok(output.stdout),
        Some(REFUSED) => {
            let refused: Failure = codec::decode(&output.stdout, 64).map_err(failed)?;
            let said = String::from_utf8_lossy(&output.stderr);
            Err(Shown::from(refused).detailed(said.trim()))
        }
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(failed(said.trim().lines().last().unwrap_or_default()))
        }
    }
}

fn failed(why: impl std::fmt::Display) -> Shown {
    Shown::from(ErrorCode::HelperFailed.failure()).detailed(why)
}
