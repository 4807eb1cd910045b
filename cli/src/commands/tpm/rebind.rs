//! `strongroom tpm rebind`: a container is bound anew to this machine as it is.

use std::path::PathBuf;

use backends::Source;
use container::Address;
use protocol::errors::{ErrorCode, Shown};
use serde_json::json;
use vendor::{Result, times};

use super::look::{Look, Machine};
use super::{helper, status};
use crate::args::RebindArgs;
use crate::output::Output;

pub(super) fn run(command: &RebindArgs, output: &Output) -> Result<()> {
    let folder = folder(command)?;
    let look = Look::at(&folder).ok_or(ErrorCode::NoPermission.with(1, 0))?;
    let tolerance = command.tolerance.map(|tolerance| tolerance.to_string());
    let refused = match &look.machine {
        Some(machine) => machine.refuses(tolerance.as_deref().unwrap_or(&machine.tolerance)),
        // What is locked for that alone is for the helper to judge.
        None => look.standing.refusal().filter(|why| !why.is(ErrorCode::SoftGraceOver)),
    };
    let lines = look.machine.as_ref().map(Machine::lines).unwrap_or_default().join("\n");
    if command.dry_run {
        let may = match &refused {
            None => "it may be bound anew".to_owned(),
            Some(refused) => format!("it is not bound anew: {}", refused.title(&times::show)),
        };
        let data = json!({
            "folder": folder, "machine": look.machine.as_ref().map(Machine::data),
            "refused": refused.map(|refused| refused.code()), "dry_run": true,
        });
        output.data("tpm-rebind", data, format!("{}\n{lines}\n{may}", folder.display()));
        return Ok(());
    }
    if let Some(refused) = refused {
        return Err(refused);
    }
    output.say(format!("{}\n{lines}", folder.display()));
    output.confirm("bind it to this machine as it is?", command.yes)?;
    status::end_helper(&folder)?;
    let bound = helper::rebind(&folder, tolerance.as_deref())?;
    let text = match bound.as_str() {
        "off" => format!("the container in {} is bound to the TPM alone", folder.display()),
        _ => format!("the container in {} is bound to this machine, {bound}", folder.display()),
    };
    output.data("tpm-rebind", json!({ "folder": folder, "tolerance": bound }), text);
    Ok(())
}

/// The one container that can be meant.
fn folder(command: &RebindArgs) -> Result<PathBuf> {
    let backend = backends::backend(&Source::Tpm(command.dir.clone()));
    let mut folders: Vec<PathBuf> = backend
        .list()?
        .into_iter()
        .filter_map(|found| match found.address {
            Address::MessageSocket(socket) => socket.parent().map(PathBuf::from),
            _ => None,
        })
        .collect();
    match (folders.pop(), folders.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => {
            let hint = "Name its folder: --dir DIR.";
            Err(Shown::usage("several containers are on this machine", hint))
        }
        (None, _) => {
            let hint = "Make one: strongroom tpm init --gateway URL.";
            Err(Shown::not_found("no container of soft licenses is on this machine", hint))
        }
    }
}
