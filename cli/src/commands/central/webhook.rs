//! `strongroom central webhook`: where a vendor's own servers hear of what was done.

use serde_json::{Value, json};
use vendor::{Result, files, times};

use super::{admin, list, make_secret, told_only, word};
use crate::args::WebhookVerb;
use crate::output::Output;

pub(super) fn run(verb: &WebhookVerb, output: &Output) -> Result<()> {
    match verb {
        WebhookVerb::List(args) => list(("webhooks", "webhook-list"), args, output, &|row| {
            let events = row["events"].as_array().into_iter().flatten();
            let events: Vec<&str> = events.filter_map(Value::as_str).collect();
            let events = if events.is_empty() { "all".to_owned() } else { events.join(", ") };
            format!("{}  {}  {events}", word(row, "id"), word(row, "url"))
        }),
        WebhookVerb::Messages(args) => {
            list(("webhook-messages", "webhook-messages"), args, output, &message)
        }
        WebhookVerb::Add { url, event, out, dry_run } => {
            files::check_new(out)?;
            let body = json!({ "url": url, "events": event });
            if *dry_run {
                let text = format!("messages would go to {url}");
                return told_only(&body, "central-webhook-add", &text, output);
            }
            let (id, file) = make_secret(("/v1/webhooks", &body), "secret", out)?;
            let text = format!("{id} sends to {url}; its secret is in {file}");
            output.data("central-webhook-add", json!({ "id": id, "file": file }), text);
            Ok(())
        }
        WebhookVerb::Remove { id, yes, dry_run } => {
            if *dry_run {
                let text = format!("nothing more would be sent by {id}");
                return told_only(&json!({ "id": id }), "central-webhook-remove", &text, output);
            }
            output.confirm("what waits for it is given up: go on?", *yes)?;
            let gone: Value = admin()?.delete(&format!("/v1/webhooks/{id}"))?;
            output.data("central-webhook-remove", gone, format!("{id} is removed"));
            Ok(())
        }
        WebhookVerb::Replay { id, dry_run } => {
            if *dry_run {
                let text = format!("{id} would be sent again");
                return told_only(&json!({ "id": id }), "central-webhook-replay", &text, output);
            }
            let path = format!("/v1/webhook-messages/{id}/replay");
            let sent: Value = admin()?.post(&path, None, &json!({}))?;
            output.data("central-webhook-replay", sent, format!("{id} is sent again"));
            Ok(())
        }
    }
}

fn message(row: &Value) -> String {
    let [id, event, state, last] = ["id", "event", "state", "last"].map(|name| word(row, name));
    let due = row["due_ms"].as_u64().map(|due_ms| format!("next {}", times::show(due_ms / 1000)));
    let (tries, due) = (&row["tries"], due.unwrap_or_default());
    format!("{id}  {event}  {state}  {tries} tries  {due}  {last}").trim_end().to_owned()
}
