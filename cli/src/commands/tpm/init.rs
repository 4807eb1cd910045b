//! `strongroom tpm init`: a container is made, and its vendor certifies it; over the network, or by
//! files that go to and fro.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use protocol::errors::{ErrorCode, Shown};
use protocol::ids::{ContainerId, RootFp};
use protocol::objects::file::{self, FileKind};
use serde::{Deserialize, Serialize};
use serde_json::json;
use vendor::{Result, files};

use super::{helper, status};
use crate::args::{InitArgs, Tolerance};
use crate::online::{Client, Firm, decoded};
use crate::output::Output;
use crate::reach;

#[derive(Deserialize)]
struct Challenge {
    challenge: String,
}

#[derive(Deserialize)]
struct Certificate {
    certificate: String,
    /// Why what the lost container held does not come by itself.
    waits: Option<Waits>,
}

#[derive(Deserialize, Serialize)]
struct Waits {
    title: String,
    code: String,
    hint: String,
}

pub(super) fn run(command: &InitArgs, output: &Output) -> Result<()> {
    if command.without_tpm && command.tolerance == Some(Tolerance::Off) {
        return Err(ErrorCode::SoftNeedsTraits.failure().into());
    }
    match (&command.gateway, &command.request, &command.response) {
        (Some(gateway), None, None) => online(command, gateway, output),
        (Some(gateway), Some(request), Some(response)) => {
            relay(command, gateway, (request, response), output)
        }
        (_, Some(request), None) => ask(command, request, output),
        (_, request, Some(response)) => take(command, (request.as_deref(), response), output),
        (None, None, None) => {
            let hint = "Name the vendor's Gateway: --gateway URL. Without a way to it: --firm FIRM \
                        --request FILE.";
            Err(Shown::usage("nothing says who is to certify the container", hint))
        }
    }
}

/// All of it over the network.
fn online(command: &InitArgs, gateway: &str, output: &Output) -> Result<()> {
    let client = client(command, gateway)?;
    let firm = Firm::of(&client)?;
    let root_fp = firm.root_fp()?;
    let folder = folder(command, root_fp);
    if command.dry_run {
        let text =
            format!("{} would be asked to certify a container in {}", firm.name, folder.display());
        let data = json!({ "vendor": firm.name, "folder": folder, "dry_run": true });
        output.data("tpm-init", data, text);
        return Ok(());
    }
    output.say(format!("a container for the licenses of {} ({root_fp})", firm.name));
    output.confirm(&format!("make it in {}?", folder.display()), command.yes)?;
    let replaces = set_aside(command, &folder, output)?;
    if !command.without_tpm {
        output.say("asking the TPM who it is; this takes some seconds");
    }
    // A container that is in use is certified anew: whoever has a seat goes on.
    status::end_helper(&folder)?;
    let request = helper::request(&folder, root_fp, replaces, command)?;
    output.say("asking the vendor what is to be proven");
    let challenge = client.post::<Challenge>(
        "/enrollments",
        None,
        &json!({ "request": BASE64.encode(request) }),
    )?;
    output.say("proving it");
    status::end_helper(&folder)?;
    let proof = helper::prove(&folder, &decoded(&challenge.challenge)?)?;
    output.say("asking the vendor for the certificate");
    let answer = client.post::<Certificate>(
        "/enrollments/proofs",
        None,
        &json!({ "proof": BASE64.encode(proof) }),
    )?;
    certify(&folder, &decoded(&answer.certificate)?)?;
    done(&folder, (Some(&firm.name), answer.waits), output)
}

/// Sends what another machine wrote, and writes what comes back.
fn relay(
    command: &InitArgs,
    gateway: &str,
    (request, response): (&Path, &Path),
    output: &Output,
) -> Result<()> {
    let client = client(command, gateway)?;
    let firm = Firm::of(&client)?;
    let sent = files::read(request)?;
    let (kind, _) = file::kind(&sent)?;
    files::check_new(response)?;
    if command.dry_run {
        let text = format!("{} would be sent to {}", request.display(), firm.name);
        output.data("tpm-init", json!({ "vendor": firm.name, "dry_run": true }), text);
        return Ok(());
    }
    let (came, waits) = match kind {
        FileKind::Enrollment => {
            let body = json!({ "request": BASE64.encode(sent) });
            let answer = client.post::<Challenge>("/enrollments", None, &body)?;
            (decoded(&answer.challenge)?, None)
        }
        FileKind::EnrollmentProof => {
            let body = json!({ "proof": BASE64.encode(sent) });
            let answer = client.post::<Certificate>("/enrollments/proofs", None, &body)?;
            (decoded(&answer.certificate)?, answer.waits)
        }
        other => {
            let refused = ErrorCode::OtherFileKind.with(other as u64, FileKind::Enrollment as u64);
            return Err(Shown::from(refused).about(request.display()));
        }
    };
    files::write_new(response, &came)?;
    let mut text = format!(
        "written to {0}: on the container's machine run\n  strongroom tpm init --response {0}{1}",
        response.display(),
        if kind == FileKind::Enrollment { " --request FILE" } else { "" },
    );
    text.push_str(&waits.as_ref().map(told).unwrap_or_default());
    let data = json!({ "vendor": firm.name, "response": response, "waits": waits });
    output.data("tpm-init", data, text);
    Ok(())
}

/// Writes the request.
fn ask(command: &InitArgs, request: &Path, output: &Output) -> Result<()> {
    let named = command.firm.as_deref().ok_or_else(|| {
        Shown::usage("nothing says whose licenses it is for", "Name the vendor: --firm FIRM.")
    })?;
    let root_fp = reach::firm(named, None)?;
    let folder = folder(command, root_fp);
    files::check_new(request)?;
    if !command.dry_run {
        output.confirm(&format!("make a container in {}?", folder.display()), command.yes)?;
        let replaces = set_aside(command, &folder, output)?;
        status::end_helper(&folder)?;
        files::write_new(request, &helper::request(&folder, root_fp, replaces, command)?)?;
    }
    let text = format!(
        "{0} is written. On a machine that reaches the vendor run\n  strongroom tpm init --gateway \
         URL --request {0} --response FILE",
        request.display()
    );
    let data = json!({ "folder": folder, "request": request, "dry_run": command.dry_run });
    output.data("tpm-init", data, text);
    Ok(())
}

/// Takes what came back: a challenge, which is answered, or the certificate.
fn take(
    command: &InitArgs,
    (request, response): (Option<&Path>, &Path),
    output: &Output,
) -> Result<()> {
    let came = files::read(response)?;
    let (kind, _) = file::kind(&came)?;
    let folder = match &command.dir {
        Some(dir) => dir.clone(),
        None => waiting(command)?,
    };
    match (kind, request) {
        (FileKind::Certification, _) => {
            if !command.dry_run {
                certify(&folder, &came)?;
            }
            done(&folder, (None, None), output)
        }
        (FileKind::EnrollmentChallenge, Some(request)) => {
            files::check_new(request)?;
            if !command.dry_run {
                status::end_helper(&folder)?;
                files::write_new(request, &helper::prove(&folder, &came)?)?;
            }
            let text = format!(
                "{0} is written. On a machine that reaches the vendor run\n  strongroom tpm init \
                 --gateway URL --request {0} --response FILE",
                request.display()
            );
            let data = json!({ "folder": folder, "request": request, "dry_run": command.dry_run });
            output.data("tpm-init", data, text);
            Ok(())
        }
        (FileKind::EnrollmentChallenge, None) => {
            let hint = "Say where to write it: --request FILE.";
            Err(Shown::usage("the vendor wants an answer", hint))
        }
        (other, _) => {
            let refused =
                ErrorCode::OtherFileKind.with(other as u64, FileKind::Certification as u64);
            Err(Shown::from(refused).about(response.display()))
        }
    }
}

/// Takes the certificate in; the helper shows it from its next start on.
fn certify(folder: &Path, certificate: &[u8]) -> Result<()> {
    helper::certify(folder, certificate)?;
    status::end_helper(folder)
}

fn done(
    folder: &Path,
    (vendor, waits): (Option<&str>, Option<Waits>),
    output: &Output,
) -> Result<()> {
    let mut text = format!(
        "the container in {} is certified\nput a license into it: strongroom activate TICKET",
        folder.display()
    );
    text.push_str(&waits.as_ref().map(told).unwrap_or_default());
    let data = json!({ "vendor": vendor, "folder": folder, "certified": true, "waits": waits });
    output.data("tpm-init", data, text);
    Ok(())
}

/// What is said of licenses that do not come by themselves.
fn told(waits: &Waits) -> String {
    format!("\n{}: {}\n{}", waits.code, waits.title, waits.hint)
}

/// With `--again`: moves a container that is of no use any more aside. Its id, which the vendor is
/// told; also where it was moved before, and what came after did not succeed.
fn set_aside(command: &InitArgs, folder: &Path, output: &Output) -> Result<Option<ContainerId>> {
    if !command.again {
        return Ok(None);
    }
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    // A folder below is not looked into for containers.
    let old = folder.parent().unwrap_or(Path::new(".")).join("old");
    let aside = |number: u32| old.join(format!("{name}-{number}"));
    let free = (1..).find(|number| !aside(*number).exists()).unwrap_or(u32::MAX);
    if !folder.join("container").is_file() {
        return container_in(&aside(free - 1));
    }
    let id = container_in(folder)?;
    status::end_helper(folder)?;
    std::fs::create_dir_all(&old).map_err(|error| Shown::io(&old, &error))?;
    let beside = aside(free);
    std::fs::rename(folder, &beside).map_err(|error| Shown::io(folder, &error))?;
    output.say(format!("the old container is kept in {}", beside.display()));
    Ok(id)
}

/// The id of the container in a folder, if there is one.
fn container_in(folder: &Path) -> Result<Option<ContainerId>> {
    let file = folder.join("container");
    if !file.is_file() {
        return Ok(None);
    }
    let bytes = files::read(&file)?;
    let body = file::expect(&bytes, FileKind::SoftContainer)?;
    // Its id comes first.
    Ok(body.first_chunk::<16>().map(|id| ContainerId::new(*id)))
}

fn client(command: &InitArgs, gateway: &str) -> Result<Client> {
    Client::new(gateway, command.trust.ca.as_deref(), None)
}

/// Where the container is, or will be: one folder for each vendor.
fn folder(command: &InitArgs, firm: RootFp) -> PathBuf {
    match &command.dir {
        Some(dir) => dir.clone(),
        None => home().join(firm.to_string()),
    }
}

fn home() -> PathBuf {
    backends::homes().into_iter().next().unwrap_or_default()
}

/// The one container that may wait for an answer.
fn waiting(command: &InitArgs) -> Result<PathBuf> {
    if let Some(named) = &command.firm {
        return Ok(home().join(reach::firm(named, None)?.to_string()));
    }
    let folders = std::fs::read_dir(home()).into_iter().flatten().flatten();
    let mut waiting: Vec<PathBuf> = folders
        .map(|entry| entry.path())
        .filter(|path| path.join("enrollment").is_file())
        .collect();
    match (waiting.pop(), waiting.is_empty()) {
        (Some(one), true) => Ok(one),
        (found, _) => {
            let title = match found {
                None => "no container waits for a certificate",
                Some(_) => "several containers wait for a certificate",
            };
            Err(Shown::usage(title, "Name its folder: --dir DIR."))
        }
    }
}
