//! `strongroom central soft` and `authority`: what a vendor allows of soft licenses, and whose TPMs
//! count.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde_json::{Value, json};
use vendor::{Result, files};

use super::{admin, list, told_only, word};
use crate::args::{AuthorityVerb, SoftSetArgs, SoftVerb};
use crate::output::Output;

pub(super) fn rules(verb: &SoftVerb, output: &Output) -> Result<()> {
    match verb {
        SoftVerb::Show => {
            let rules: Value = admin()?.get("/v1/soft-rules")?;
            let text = rules_text(&rules);
            output.data("central-soft-show", rules, text);
            Ok(())
        }
        SoftVerb::Set(args) => set(args, output),
    }
}

fn set(args: &SoftSetArgs, output: &Output) -> Result<()> {
    let body = json!({
        "same_machine_a_year": args.same_machine,
        "elsewhere_a_year": args.elsewhere,
        "physical_tpm": args.physical_tpm.map(|own| own.is_on()),
        "allow_vm": args.allow_vm.map(|own| own.is_on()),
        "copies": args.copies.map(|rule| rule.word()),
        "grace_days": args.grace,
    });
    if args.dry_run {
        return told_only(&body, "central-soft-set", "these rules would be changed", output);
    }
    let rules: Value = admin()?.post("/v1/soft-rules", None, &body)?;
    let text = rules_text(&rules);
    output.data("central-soft-set", rules, text);
    Ok(())
}

fn rules_text(rules: &Value) -> String {
    let said = |name: &str, yes: &str, no: &str| {
        if rules[name] == true { yes.to_owned() } else { no.to_owned() }
    };
    [
        "what a lost container held goes by itself to a new one, in 365 days:".to_owned(),
        format!("  on the same machine  {} times", rules["same_machine_a_year"]),
        format!("  elsewhere            {} times", rules["elsewhere_a_year"]),
        said(
            "physical_tpm",
            "licenses without an end need a physical TPM",
            "licenses without an end go into any TPM",
        ),
        said(
            "allow_vm",
            "virtual machines without a TPM are certified",
            "virtual machines without a TPM are refused",
        ),
        match word(rules, "copies") {
            "newest" => "of two copies the first goes on, and a person decides".to_owned(),
            "notify" => "of two copies the first goes on".to_owned(),
            _ => "of two copies neither goes on until a person decided".to_owned(),
        },
        format!("a machine that changed is borne for {} days", rules["grace_days"]),
    ]
    .join("\n")
}

pub(super) fn authority(verb: &AuthorityVerb, output: &Output) -> Result<()> {
    match verb {
        AuthorityVerb::List(args) => {
            list(("tpm-authorities", "authority-list"), args, output, &|row| {
                format!("{}  {}", word(row, "id"), word(row, "name"))
            })
        }
        AuthorityVerb::Add { name, certificate, dry_run } => {
            let bytes = files::read(certificate)?;
            let text = match bytes.trim_ascii_start().starts_with(b"-----BEGIN") {
                true => files::text(&bytes)?.to_owned(),
                false => BASE64.encode(&bytes),
            };
            let body = json!({ "name": name, "certificate": text });
            if *dry_run {
                let text = format!("TPMs of {name} would be believed");
                return told_only(&body, "central-authority-add", &text, output);
            }
            let made: Value = admin()?.post("/v1/tpm-authorities", None, &body)?;
            let text = format!("TPMs of {name} are believed: {}", word(&made, "id"));
            output.data("central-authority-add", made, text);
            Ok(())
        }
        AuthorityVerb::Remove { id, yes, dry_run } => {
            if *dry_run {
                let text = format!("{id} would be believed no more");
                return told_only(&json!({ "id": id }), "central-authority-remove", &text, output);
            }
            output.confirm("its TPMs count as unproven from now on: go on?", *yes)?;
            let gone: Value = admin()?.delete(&format!("/v1/tpm-authorities/{id}"))?;
            let text = format!("{} is believed no more", word(&gone, "name"));
            output.data("central-authority-remove", gone, text);
            Ok(())
        }
    }
}
