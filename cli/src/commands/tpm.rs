//! `strongroom tpm`: containers of soft licenses. The helper does what needs the TPM; here is what
//! needs the network, and a person.

mod helper;
mod init;
mod look;
mod rebind;
mod status;

use serde_json::{Value, json};
use vendor::Result;

use crate::args::TpmCommand;
use crate::output::Output;

pub(super) fn run(command: &TpmCommand, output: &Output) -> Result<()> {
    match command {
        TpmCommand::Probe => probe(output),
        TpmCommand::Selftest => selftest(output),
        TpmCommand::Init(command) => init::run(command, output),
        TpmCommand::Status(command) => status::show(command, output),
        TpmCommand::Rebind(command) => rebind::run(command, output),
        TpmCommand::Stop(command) => status::stop(command, output),
    }
}

fn selftest(output: &Output) -> Result<()> {
    output.say("making a container and writing to it; on a real chip this takes some seconds");
    let seen = helper::selftest()?;
    let commit = &seen["commit_ms"];
    let text = [
        "the TPM does all that a container asks of it".to_owned(),
        format!("  make a container  {} ms", seen["create_ms"]),
        format!("  commit            {} ms ({} to {})", commit[1], commit[0], commit[2]),
        format!("  open              {} ms", seen["open_ms"]),
        format!("  quote             {} ms", seen["quote_ms"]),
    ];
    let text = text.join("\n");
    output.data("tpm-selftest", seen, text);
    Ok(())
}

fn probe(output: &Output) -> Result<()> {
    let seen = helper::probe()?;
    let mut lines = Vec::new();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match (&seen["tpm"]["Ok"], &seen["tpm"]["Err"]) {
        (Value::Null, why) => {
            let code = why["code"].as_u64().unwrap_or(0);
            lines.push(format!("no TPM can be used: S{code:04X}, {}", text(&why["detail"])));
        }
        (tpm, _) => {
            let properties = &tpm["properties"];
            let (maker, firmware) =
                (text(&properties["manufacturer"]), text(&properties["firmware"]));
            let is_certified = tpm["is_certified"] == true;
            let certified = if is_certified { "certified by its maker" } else { "not certified" };
            lines.push(format!("TPM 2.0 of {maker}, firmware {firmware}"));
            lines.push(format!("  its key: {}, {certified}", text(&tpm["endorsement"])));
        }
    }
    lines.push("traits of this machine:".into());
    for one in seen["traits"].as_array().into_iter().flatten() {
        let state = one["missing"].as_str().unwrap_or("found");
        lines.push(format!("  {} (counts {}): {state}", text(&one["class"]), one["weight"]));
    }
    let hints: Vec<_> = seen["is_virtual"].as_array().into_iter().flatten().map(text).collect();
    if !hints.is_empty() {
        lines.push(format!("a virtual machine: {}", hints.join(", ")));
    }
    let tells = if seen["tells_generation"] == true { "can" } else { "cannot" };
    lines.push(format!("a copy of this machine {tells} be noticed by its generation"));
    let tpm = if seen["tpm"]["Ok"].is_null() { Value::Null } else { seen["tpm"]["Ok"].clone() };
    let data = json!({
        "tpm": tpm, "unusable": seen["tpm"]["Err"], "traits": seen["traits"],
        "is_virtual": seen["is_virtual"], "tells_generation": seen["tells_generation"],
    });
    output.data("tpm-probe", data, lines.join("\n"));
    Ok(())
}
