//! `strongroom restore`: a container was lost, and its licenses come back.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use protocol::errors::Shown;
use protocol::objects::file::{self, FileKind};
use serde_json::{Value, json};
use vendor::{Result, files, times};

use crate::args::RestoreArgs;
use crate::online::Client;
use crate::output::Output;

pub(crate) fn run(command: &RestoreArgs, output: &Output) -> Result<()> {
    let client = Client::of(&command.gateway)?;
    let inventory = command.inventory.as_deref().map(|path| {
        let bytes = files::read_record(path)?;
        file::expect(&bytes, FileKind::Inventory)
            .map_err(|failure| Shown::from(failure).about(path.display()))?;
        Ok::<_, Shown>(BASE64.encode(&bytes))
    });
    let body = json!({
        "ticket": command.ticket, "container": command.lost,
        "inventory": inventory.transpose()?, "to": command.to,
    });
    let lost = command.lost.as_deref().unwrap_or("the container of this inventory");
    if command.dry_run {
        let text = format!("{lost} would be reported as lost");
        output.data("restore", json!({ "lost": command.lost, "dry_run": true }), text);
        return Ok(());
    }
    let question = format!("{lost} will be blocked for good: report it as lost?");
    output.confirm(&question, command.yes)?;
    let told: Value = client.post("/losses", None, &body)?;
    let restored = told["restored"].as_array().cloned().unwrap_or_default();
    let line = |one: &Value| {
        let free_s = one["free_ms"].as_u64().unwrap_or(0) / 1000;
        format!("product {} is free at {}", one["product"], times::show(free_s))
    };
    let text: Vec<String> = restored.iter().map(line).collect();
    output.data("restore", told, text.join("\n"));
    Ok(())
}
