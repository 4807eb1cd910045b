//! `strongroom central grant`, `device` and `case`: what a vendor decides about what was sold.

use serde_json::{Value, json};
use vendor::{Result, times};

use super::{admin, list, told_only, word};
use crate::args::{CaseVerb, DecideArgs, DecisionArg, DeviceVerb, GrantVerb};
use crate::output::Output;

pub(super) fn grant(verb: &GrantVerb, output: &Output) -> Result<()> {
    match verb {
        GrantVerb::List(args) => list(("grants", "grant-list"), args, output, &grant_line),
        GrantVerb::Show { id } => {
            let shown: Value = admin()?.get(&format!("/v1/grants/{id}"))?;
            let text = decided_line(&shown);
            output.data("central-grant-show", shown, text);
            Ok(())
        }
        GrantVerb::Suspend { id, decide } => {
            let call = (format!("/v1/grants/{id}/suspend"), json!({}));
            carry_out(call, "grant-suspend", decide, "nobody can use it then", output)
        }
        GrantVerb::Reinstate { id, decide } => {
            let call = (format!("/v1/grants/{id}/reinstate"), json!({}));
            carry_out(call, "grant-reinstate", decide, "it can be used again then", output)
        }
        GrantVerb::Withdraw { id, decide } => {
            let call = (format!("/v1/grants/{id}/withdraw"), json!({}));
            carry_out(call, "grant-withdraw", decide, "it is gone for good then", output)
        }
        GrantVerb::WriteOff { id, decide } => {
            let question = "another can have it, though its container may still use it";
            let call = (format!("/v1/grants/{id}/write-off"), json!({}));
            carry_out(call, "grant-write-off", decide, question, output)
        }
        GrantVerb::Assign { id, to, dry_run } => {
            let body = json!({ "container": to });
            if *dry_run {
                let text = format!("{id} would be assigned");
                return told_only(&body, "central-grant-assign", &text, output);
            }
            let shown: Value = admin()?.post(&format!("/v1/grants/{id}/assign"), None, &body)?;
            let text = match to {
                Some(serial) => format!("{id} waits for {serial}: strongroom collect"),
                None => format!("{id} waits for nobody"),
            };
            output.data("central-grant-assign", shown, text);
            Ok(())
        }
    }
}

pub(super) fn device(verb: &DeviceVerb, output: &Output) -> Result<()> {
    match verb {
        DeviceVerb::List(args) => list(("containers", "device-list"), args, output, &|row| {
            let [serial, state] = ["serial", "state"].map(|name| word(row, name));
            let seen_s = row["seen_ms"].as_u64().unwrap_or(0) / 1000;
            format!("{serial}  {state:<8} seen {}", times::show(seen_s))
        }),
        DeviceVerb::Show { id } => {
            let shown: Value = admin()?.get(&format!("/v1/containers/{id}"))?;
            let container = &shown["container"];
            let [serial, state] = ["serial", "state"].map(|name| word(container, name));
            let mut text = format!("{serial} is {state}, id {}", word(container, "id"));
            let rows = |name: &str| shown[name].as_array().cloned().unwrap_or_default();
            for license in rows("licenses") {
                text.push_str(&format!("\n  {}", decided_line(&license)));
            }
            if let Some(machine) = shown["machine"].as_object() {
                text.push_str(&format!("\n  {}", machine_line(&machine.clone().into())));
            }
            if let Some(next) = shown["replaced_by"]["successor"].as_str() {
                text.push_str(&format!("\n  it was lost, and {next} took its place"));
            }
            for case in rows("cases") {
                text.push_str(&format!("\n  {}", case_line(&case)));
            }
            output.data("central-device-show", shown, text);
            Ok(())
        }
        DeviceVerb::Block { id, decide } => {
            let question = "it gets nothing more, and what it has is taken out";
            let call = (format!("/v1/containers/{id}/block"), json!({}));
            carry_out(call, "device-block", decide, question, output)
        }
        DeviceVerb::Unblock { id, decide } => {
            let call = (format!("/v1/containers/{id}/unblock"), json!({}));
            carry_out(call, "device-unblock", decide, "it gets licenses again then", output)
        }
    }
}

pub(super) fn case(verb: &CaseVerb, output: &Output) -> Result<()> {
    match verb {
        CaseVerb::List(args) => list(("cases", "case-list"), args, output, &case_line),
        CaseVerb::Decide { id, decision, decide } => {
            let (word, question) = match decision {
                DecisionArg::Adopt => (
                    "adopt",
                    "what it showed counts, and is written anew; or another takes its place",
                ),
                DecisionArg::Block => ("block", "it gets nothing more"),
                DecisionArg::Dismiss => ("dismiss", "what it showed is left aside"),
            };
            let call = (format!("/v1/cases/{id}/decide"), json!({ "decision": word }));
            carry_out(call, "case-decide", decide, question, output)
        }
    }
}

/// Asks, sends, and tells when it takes effect.
pub(super) fn carry_out(
    (path, mut body): (String, Value),
    schema: &str,
    decide: &DecideArgs,
    question: &str,
    output: &Output,
) -> Result<()> {
    let schema = format!("central-{schema}");
    body["reason"] = decide.reason.as_str().into();
    if decide.dry_run {
        let text = format!("it would be sent to {path}: {question}");
        return told_only(&body, &schema, &text, output);
    }
    output.confirm(&format!("{question}: go on?"), decide.yes)?;
    let shown: Value = admin()?.post(&path, None, &body)?;
    let text = match &shown {
        Value::Array(all) => all.iter().map(decided_line).collect::<Vec<_>>().join("\n"),
        one if one.get("grant").is_some() => decided_line(one),
        one if one.get("decision").is_some() => case_line(one),
        one => format!("{} is {}", word(one, "serial"), word(one, "state")),
    };
    output.data(&schema, shown, text);
    Ok(())
}

fn grant_line(row: &Value) -> String {
    let (place, wanted, proven) = (&row["place"], word(row, "wanted"), word(row, "proven"));
    let standing = match (wanted, wanted == proven) {
        ("active", true) => String::new(),
        (_, true) => wanted.to_owned(),
        (_, false) => format!("{wanted} requested"),
    };
    let waits = row["assigned"].as_str().map(|serial| format!("waits for {serial}"));
    format!(
        "{}  product {:<6} {:<10} {}  {standing}{}",
        word(row, "id"),
        row["product"],
        word(place, "state"),
        word(place, "container"),
        waits.unwrap_or_default()
    )
}

fn decided_line(shown: &Value) -> String {
    let effect = &shown["takes_effect"];
    let when = match word(effect, "when") {
        "now" => "in effect".to_owned(),
        "at-contact-or-lapse" => {
            let lapse_s = effect["lapse_s"].as_u64().unwrap_or(0);
            format!("when the container next asks, and at {} at the latest", times::show(lapse_s))
        }
        _ => "in effect when the container next asks".to_owned(),
    };
    format!("{}: {when}", grant_line(&shown["grant"]).trim_end())
}

/// What binds a soft license's container.
fn machine_line(machine: &Value) -> String {
    let model = word(&machine["maker"], "model");
    match (word(machine, "class"), word(machine, "unproven")) {
        ("tpm", _) => format!("in a TPM {model}").trim_end().to_owned(),
        ("virtual-tpm", _) => format!("in the TPM {model} of a virtual machine"),
        ("unproven-tpm", why) => format!("in a TPM that is not proved: {why}"),
        _ => "bound to traits of its machine".to_owned(),
    }
}

fn case_line(row: &Value) -> String {
    let decision = row["decision"].as_str().unwrap_or("not decided");
    let (id, container) = (word(row, "id"), word(row, "container"));
    if let Some(successor) = row["claim"]["successor"].as_str() {
        let (why, claim) = (word(&row["claim"], "why"), &row["claim"]);
        let (times, allowed) = (&claim["times"], &claim["allowed"]);
        let count = format!("{why}, {times} of {allowed} a year");
        return format!("{id}  {successor} asks for what {container} held ({count}): {decision}");
    }
    format!("{id}  {container} showed number {}, known {}: {decision}", row["shown"], row["known"])
}
