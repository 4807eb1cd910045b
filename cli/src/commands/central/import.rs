//! `strongroom central import`: customers, orders and existing licenses from CSV, with a preview.

use std::path::Path;

use protocol::crypto::hash::sha256;
use protocol::errors::Shown;
use protocol::ids::hex;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use vendor::{Result, files};
use zeroize::Zeroizing;

use super::sales;
use crate::args::{ImportArgs, ImportVerb};
use crate::online::Client;
use crate::output::Output;

/// Rows of one request.
const ROWS: usize = 100;

/// Refusals that are shown; the rest is counted.
const SHOWN_MAX: usize = 20;

/// A row of the file.
struct Row {
    line: u64,
    fields: Value,
}

/// What became of a row, or would.
#[derive(Deserialize)]
struct RowResult {
    result: String,
    ticket: Option<String>,
    title: Option<String>,
}

#[derive(Deserialize)]
struct Results {
    results: Vec<RowResult>,
}

pub(super) fn run(verb: &ImportVerb, output: &Output) -> Result<()> {
    match verb {
        ImportVerb::Customers { import } => carry_out("customers", import, None, output),
        ImportVerb::Orders { import, out } => carry_out("orders", import, Some(out), output),
    }
}

fn carry_out(
    what: &str,
    import: &ImportArgs,
    tickets: Option<&Path>,
    output: &Output,
) -> Result<()> {
    let mut rows = read(&import.file)?;
    tickets.map(files::check_new).transpose()?;
    let client = sales()?;
    let path = format!("/v1/{what}/bulk");
    let would = send((&client, &path, "looking"), &rows, true, output)?;
    let count = |name: &str| would.iter().filter(|one| one.result == name).count();
    let [new, known, refused] = ["created", "known", "refused"].map(count);
    let text = format!("{new} {what} are new, {known} are there already, {refused} are refused");
    output.say(&text);
    let refusals = rows.iter().zip(&would).filter(|(_, one)| one.result == "refused");
    for (row, one) in refusals.take(SHOWN_MAX) {
        let title = one.title.as_deref().unwrap_or_default();
        output.say(format!("  line {}: {title}", row.line));
    }
    let data = json!({ "new": new, "known": known, "refused": refused, "dry_run": import.dry_run });
    if import.dry_run {
        output.data(&format!("central-import-{what}"), data, text);
        return Ok(());
    }
    if refused > 0 && !import.skip_refused {
        let hint = "Correct those lines, or leave them out with --skip-refused.";
        return Err(Shown::usage(format!("{refused} rows are refused; nothing was kept"), hint));
    }
    output.confirm(&format!("bring {new} {what} in?"), import.yes)?;
    let mut results = would.iter();
    rows.retain(|_| results.next().is_some_and(|one| one.result != "refused"));
    let done = send((&client, &path, "bringing in"), &rows, false, output)?;
    if let Some(out) = tickets {
        files::write_private(out, &ticket_list(&rows, &done)?)?;
    }
    let made = done.iter().filter(|one| one.result == "created").count();
    output.data(&format!("central-import-{what}"), data, format!("{made} {what} are brought in"));
    Ok(())
}

/// Sends rows part by part. A part that is sent again has one effect, and the same answer.
fn send(
    (client, path, doing): (&Client, &str, &str),
    rows: &[Row],
    preview: bool,
    output: &Output,
) -> Result<Vec<RowResult>> {
    let mut progress = output.progress(doing);
    let mut results = Vec::new();
    for part in rows.chunks(ROWS) {
        let fields: Vec<&Value> = part.iter().map(|row| &row.fields).collect();
        let body = json!({ "rows": fields, "preview": preview });
        let once = hex(&sha256(body.to_string().as_bytes()));
        let answer: Results = client.post(path, Some(&once), &body)?;
        results.extend(answer.results);
        progress.update(results.len() as u64, rows.len() as u64);
    }
    Ok(results)
}

/// The new tickets, which are told only once.
fn ticket_list(rows: &[Row], done: &[RowResult]) -> Result<Zeroizing<Vec<u8>>> {
    let failed = |error: csv::Error| Shown::conflict(error, "Import the file again.");
    let mut list = csv::Writer::from_writer(Vec::new());
    list.write_record(["number", "line", "period", "ticket"]).map_err(failed)?;
    for (row, one) in rows.iter().zip(done) {
        let Some(ticket) = &one.ticket else { continue };
        let text = |name: &str| row.fields[name].as_str().unwrap_or_default().to_owned();
        let line = row.fields["line"].as_u64().unwrap_or(1).to_string();
        let record = [text("number"), line, text("period"), ticket.clone()];
        list.write_record(&record).map_err(failed)?;
    }
    let bytes = list.into_inner().map_err(|error| Shown::conflict(error, "Import it again."))?;
    Ok(Zeroizing::new(bytes))
}

/// The rows of a CSV file, as the server takes them. Empty cells say nothing.
fn read(path: &Path) -> Result<Vec<Row>> {
    let bytes = files::read_record(path)?;
    let refused = |error: csv::Error| {
        let hint =
            "It is CSV in UTF-8, with a first line of names: strongroom central import --help.";
        Shown::usage(error, hint).about(path.display())
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes.as_slice());
    let names = reader.headers().map_err(refused)?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(refused)?;
        let line = record.position().map_or(0, csv::Position::line);
        let mut fields = Map::new();
        for (name, cell) in names.iter().zip(&record).filter(|(_, cell)| !cell.is_empty()) {
            place(&mut fields, name, cell);
        }
        rows.push(Row { line, fields: fields.into() });
    }
    if rows.is_empty() {
        let title = format!("{} has no rows", path.display());
        return Err(Shown::usage(title, "Behind the line of names stands a line for each row."));
    }
    Ok(rows)
}

/// Puts a cell where its column says. `terms.expires` is a field of the terms; lists are told apart
/// by semicolons.
fn place(fields: &mut Map<String, Value>, name: &str, cell: &str) {
    let value = |name: &str| match name {
        "line" | "entry" | "quantity" | "units" | "unit-reserve" | "transfer-depth" => {
            cell.parse::<u64>().map_or_else(|_| json!(cell), Value::from)
        }
        "region" | "deny-mode" | "transfer" | "transfer-to" | "held-before" => {
            cell.split(';').map(str::trim).collect()
        }
        _ => json!(cell),
    };
    match name.strip_prefix("terms.") {
        Some(term) => {
            let terms = fields.entry("terms").or_insert_with(|| json!({}));
            terms[term] = value(term);
        }
        None => {
            fields.insert(name.replace('-', "_"), value(name));
        }
    }
}
