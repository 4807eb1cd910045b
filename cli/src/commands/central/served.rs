//! `strongroom central seat` and `credential`: licenses whose seats Central gives itself.

use serde_json::{Value, json};
use vendor::times::Times;
use vendor::{Result, files};

use super::{admin, list, make_secret, told_only, word};
use crate::args::{CredentialVerb, SeatVerb, ServeArgs};
use crate::output::Output;

pub(super) fn seat(verb: &SeatVerb, output: &Output) -> Result<()> {
    match verb {
        SeatVerb::Serve(args) => serve(args, output),
        SeatVerb::Show { id } => {
            let shown: Value = admin()?.get(&format!("/v1/grants/{id}/seats"))?;
            let ends = if shown["open"] == false { "; no more are given" } else { "" };
            let text = format!("{} of {} seats are taken{ends}", shown["in_use"], shown["seats"]);
            output.data("central-seat-show", shown, text);
            Ok(())
        }
        SeatVerb::Unserve { id, yes, dry_run } => {
            if *dry_run {
                let text = format!("{id} would be taken back");
                return told_only(&json!({ "id": id }), "central-seat-unserve", &text, output);
            }
            output.confirm("no seat of it will be given or kept any more: go on?", *yes)?;
            let path = format!("/v1/grants/{id}/unserve");
            let shown: Value = admin()?.post(&path, None, &json!({}))?;
            let text = match word(&shown["place"], "state") {
                "served" => format!(
                    "{id} gives no more seats. Some are still taken: repeat this when they are \
                     free (strongroom central seat show {id})"
                ),
                state => format!("{id} is served no more: {state}"),
            };
            output.data("central-seat-unserve", shown, text);
            Ok(())
        }
    }
}

fn serve(args: &ServeArgs, output: &Output) -> Result<()> {
    let ServeArgs { id, heartbeat, timeout, linger, dry_run } = args;
    let times = Times::here();
    let mut body = json!({
        "heartbeat_s": times.span_s(heartbeat)?, "timeout_s": times.span_s(timeout)?,
    });
    if let Some(linger) = linger {
        body["linger_s"] = times.span_s(linger)?.into();
    }
    if *dry_run {
        let text = format!("{id} would be served");
        return told_only(&body, "central-seat-serve", &text, output);
    }
    let shown: Value = admin()?.post(&format!("/v1/grants/{id}/serve"), None, &body)?;
    let text = format!(
        "{id} is served\nprograms need a credential: strongroom central credential add {id} \
         --out FILE"
    );
    output.data("central-seat-serve", shown, text);
    Ok(())
}

pub(super) fn credential(verb: &CredentialVerb, output: &Output) -> Result<()> {
    match verb {
        CredentialVerb::Add { grant, out, dry_run } => {
            files::check_new(out)?;
            if *dry_run {
                let text = "a credential would be made";
                let body = json!({ "grant": grant });
                return told_only(&body, "central-credential-add", text, output);
            }
            let path = format!("/v1/grants/{grant}/credentials");
            let (id, file) = make_secret((&path, &json!({})), "credential", out)?;
            let data = json!({ "id": id, "file": file });
            output.data("central-credential-add", data, format!("{id} is in {file}"));
            Ok(())
        }
        CredentialVerb::List { grant, list: args } => {
            let path = format!("grants/{grant}/credentials");
            list((&path, "credential-list"), args, output, &|row| {
                let ended = if row["revoked_ms"].is_null() { "" } else { "  revoked" };
                format!("{}  product {}{ended}", word(row, "id"), row["product"])
            })
        }
        CredentialVerb::Revoke { id, yes, dry_run } => {
            if *dry_run {
                let (body, text) = (json!({ "id": id }), format!("{id} would be worth nothing"));
                return told_only(&body, "central-credential-revoke", &text, output);
            }
            output.confirm("whoever has this credential will be refused: go on?", *yes)?;
            let path = format!("/v1/credentials/{id}/revoke");
            let ended: Value = admin()?.post(&path, None, &json!({}))?;
            output.data("central-credential-revoke", ended, format!("{id} is worth nothing now"));
            Ok(())
        }
    }
}
