//! By files both ways: a request goes up for a container that is elsewhere, and what comes back is
//! written to be applied there.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use protocol::errors::Shown;
use protocol::objects::file::{self, FileKind};
use serde_json::{Value, json};
use vendor::files::NewFile;
use vendor::trust::Trust;
use vendor::{Result, files};

use super::{Done, Updates};
use crate::args::DeliverArgs;
use crate::online::{Client, Firm, decoded};
use crate::output::Output;

/// Sends a context file, and writes what comes back.
pub(super) fn by_files(
    (path, mut body): (&str, Value),
    (request, response): (&Path, &Path),
    command: &DeliverArgs,
) -> Result<Done> {
    let client = Client::of(&command.gateway)?;
    let firm = Firm::of(&client)?;
    let context = files::read(request)?;
    file::expect(&context, FileKind::Context)
        .map_err(|failure| Shown::from(failure).about(request.display()))?;
    files::check_new(response)?;
    if command.dry_run {
        let text = format!("{} would be asked what it has for the container", firm.name);
        return Ok(Done { data: json!({ "vendor": firm.name, "dry_run": true }), text });
    }
    let mut out = NewFile::begin(response)?;
    body["context"] = BASE64.encode(&context).into();
    let waiting: Updates = client.post(path, None, &body)?;
    let mut what: Vec<&str> = waiting.updates.iter().map(|update| update.what.as_str()).collect();
    if what.is_empty() && waiting.trust.is_some() {
        what.push("roots and revocations of the vendor");
    }
    let data = json!({ "vendor": firm.name, "updates": what, "file": response });
    if what.is_empty() {
        return Ok(Done { data, text: "nothing waits for the container".into() });
    }
    let text = format!(
        "{}\nwritten to {}: on the container's machine run\n  strongroom update apply {} --receipt \
         FILE\nand here again, with that file\n  strongroom collect --receipt FILE",
        what.join("\n"),
        response.display(),
        response.display()
    );
    out.write(&bundle(&waiting)?)?;
    out.commit()?;
    Ok(Done { data, text })
}

/// All updates in one file, behind what the first brings along.
fn bundle(waiting: &Updates) -> Result<Vec<u8>> {
    if let (true, Some(trust)) = (waiting.updates.is_empty(), &waiting.trust) {
        return decoded(trust);
    }
    let mut objects: Vec<Vec<u8>> = Vec::new();
    for update in &waiting.updates {
        let bytes = decoded(&update.file)?;
        let own = file::expect(&bytes, FileKind::Update)?;
        let (_, update) = Trust::take(own)?;
        let kept = if objects.is_empty() { own } else { update };
        objects.push(kept.to_vec());
    }
    let objects: Vec<&[u8]> = objects.iter().map(Vec::as_slice).collect();
    Ok(file::write(FileKind::Updates, &objects))
}

/// Sends a receipt that was written on another machine.
pub(super) fn hand_in(path: &Path, command: &DeliverArgs, output: &Output) -> Result<()> {
    let client = Client::of(&command.gateway)?;
    let receipt = files::read(path)?;
    file::expect(&receipt, FileKind::Receipt)
        .map_err(|failure| Shown::from(failure).about(path.display()))?;
    if command.dry_run {
        let data = json!({ "file": path, "dry_run": true });
        output.data("deliver", data, format!("{} would be sent", path.display()));
        return Ok(());
    }
    let taken: Value =
        client.post("/receipts", None, &json!({ "receipt": BASE64.encode(receipt) }))?;
    let number = taken["number"].as_u64().unwrap_or(0);
    let data = json!({ "file": path, "number": number, "receipts_sent": 1 });
    output.data("deliver", data, format!("the vendor has the receipt of update {number}"));
    Ok(())
}
