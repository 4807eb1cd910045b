//! `strongroom container time`: what a container believes of time, and certified time, from the
//! vendor's Gateway or by file.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use container::Container;
use protocol::errors::ErrorCode;
use protocol::ids::RootFp;
use protocol::limits::STATEMENT_BODY_LEN_MAX;
use protocol::objects::file::{self, FileKind};
use protocol::objects::statement::TimeInfo;
use serde::Deserialize;
use serde_json::{Value, json};
use vendor::files::NewFile;
use vendor::{Result, Shown, files, times};

use crate::args::{Args, TimeArgs};
use crate::commands::shown;
use crate::online::{Client, Firm, decoded};
use crate::output::Output;
use crate::reach;

/// The Gateway's answer.
#[derive(Deserialize)]
struct Told {
    token: String,
}

pub(super) fn run(command: &TimeArgs, args: &Args, output: &Output) -> Result<()> {
    if let Some(gateway) = &command.gateway {
        return online(gateway, command, args, output);
    }
    let container = reach::one(args)?;
    let firm = command.firm.as_deref().map(|named| reach::firm(named, Some(&container)));
    match (&command.ask, &command.apply, firm.transpose()?) {
        (Some(path), _, Some(firm)) => ask(&container, firm, path, command.dry_run, output),
        (_, Some(path), _) => apply(&container, path, command.dry_run, output),
        (_, _, firm) => show(&container, firm, output),
    }
}

/// Asks the Gateway: for the container that is here, or by files for one that is elsewhere.
fn online(gateway: &str, command: &TimeArgs, args: &Args, output: &Output) -> Result<()> {
    let client = Client::new(gateway, command.trust.ca.as_deref(), None)?;
    if let (Some(request), Some(response)) = (&command.request, &command.response) {
        return by_files(&client, (request, response), command.dry_run, output);
    }
    let container = reach::one(args)?;
    let (firm, serial) = (Firm::of(&client)?, container.serial().to_string());
    if command.dry_run {
        let data = json!({ "serial": serial, "dry_run": true });
        let text = format!("{} would be asked what time it is for {serial}", firm.name);
        output.data("container-time-apply", data, text);
        return Ok(());
    }
    applied(&fetch(&client, &container, firm.root_fp()?)?, &serial, output);
    Ok(())
}

/// Has the Gateway answer a nonce that the container draws, and gives the container the answer.
pub(in crate::commands) fn fetch(
    client: &Client,
    container: &Container,
    firm: RootFp,
) -> Result<TimeInfo> {
    let token = answer(client, &request(container, firm)?)?;
    Ok(container.time_token(read_token(&token)?)?)
}

/// What the Gateway answers to a request.
fn answer(client: &Client, request: &[u8]) -> Result<Vec<u8>> {
    let told: Told = client.post("/time", None, &json!({ "request": BASE64.encode(request) }))?;
    decoded(&told.token)
}

fn by_files(
    client: &Client,
    (path, response): (&Path, &Path),
    dry_run: bool,
    output: &Output,
) -> Result<()> {
    let request = files::read(path)?;
    file::expect(&request, FileKind::TimeRequest)
        .map_err(|failure| Shown::from(failure).about(path.display()))?;
    files::check_new(response)?;
    let data = json!({ "file": response, "dry_run": dry_run });
    if dry_run {
        let text = format!("an answer would be written to {}", response.display());
        output.data("container-time-answer", data, text);
        return Ok(());
    }
    let mut out = NewFile::begin(response)?;
    out.write(&answer(client, &request)?)?;
    out.commit()?;
    let text = format!(
        "the vendor's answer is written to {}: within two minutes of the request run, on the \
         container's machine,\n  strongroom container time --apply {}",
        response.display(),
        response.display()
    );
    output.data("container-time-answer", data, text);
    Ok(())
}

fn show(container: &Container, firm: Option<RootFp>, output: &Output) -> Result<()> {
    let (serial, info) = (container.serial().to_string(), container.info()?);
    let mut text = format!("{serial}: clock of class {}", shown::clock(info.time.class));
    text.push_str(&match info.time.now_s {
        0 => ", which knows no time by itself".into(),
        now_s => format!(", which says {}", times::show(now_s)),
    });
    let mut rows = Vec::new();
    for known in container.firms()?.iter().filter(|f| firm.is_none_or(|fp| fp == f.root_fp)) {
        let (_, body) = reach::context(container, known.root_fp)?;
        text.push_str(&format!("\n  {}\n    {}", &*known.name, time_lines(&body.time)));
        let mut row = time_json(&body.time);
        row["root_fp"] = json!(known.root_fp.to_string());
        rows.push(row);
    }
    let data = json!({ "serial": serial, "clock": time_json(&info.time), "vendors": rows });
    output.data("container-time", data, text);
    Ok(())
}

fn time_lines(time: &TimeInfo) -> String {
    let at = |at_s: u64| if at_s == 0 { "never".into() } else { times::show(at_s) };
    let now = if time.now_s == 0 { "not known".into() } else { times::show(time.now_s) };
    format!("now        {now}\n    certified  {}", at(time.certified_s))
}

fn time_json(time: &TimeInfo) -> Value {
    json!({
        "class": shown::clock(time.class), "now": time.now_s, "floor": time.floor_s,
        "certified": time.certified_s,
    })
}

fn ask(
    container: &Container,
    firm: RootFp,
    path: &Path,
    dry_run: bool,
    output: &Output,
) -> Result<()> {
    let serial = container.serial().to_string();
    let data = json!({ "serial": serial, "file": path, "dry_run": dry_run });
    if dry_run {
        files::check_new(path)?;
        let text = format!("a request of {serial} would be written to {}", path.display());
        output.data("container-time-ask", data, text);
        return Ok(());
    }
    files::write_new(path, &request(container, firm)?)?;
    let text = format!(
        "request of {serial} written to {}: the vendor's answer must come within two minutes, \
         while the container stays plugged in",
        path.display()
    );
    output.data("container-time-ask", data, text);
    Ok(())
}

/// A request under a nonce that the container draws for it.
fn request(container: &Container, firm: RootFp) -> Result<Vec<u8>> {
    let nonce = container.time_nonce(firm)?;
    Ok(file::write(FileKind::TimeRequest, &[container.certificate(), firm.bytes(), &nonce]))
}

fn apply(container: &Container, path: &Path, dry_run: bool, output: &Output) -> Result<()> {
    let bytes = files::read(path)?;
    let token = read_token(&bytes).map_err(|error| error.about(path.display()))?;
    let serial = container.serial().to_string();
    if dry_run {
        let data = json!({ "serial": serial, "dry_run": true });
        output.data("container-time-apply", data, format!("{serial} would be told the time"));
        return Ok(());
    }
    applied(&container.time_token(token)?, &serial, output);
    Ok(())
}

fn applied(time: &TimeInfo, serial: &str, output: &Output) {
    let mut data = time_json(time);
    data["serial"] = json!(serial);
    data["dry_run"] = json!(false);
    let text = format!("{serial} knows certified time: {}", times::show(time.now_s));
    output.data("container-time-apply", data, text);
}

/// The token in a file. Whether the vendor signed it is for the container to judge.
fn read_token(bytes: &[u8]) -> Result<&[u8]> {
    let token = file::expect(bytes, FileKind::TimeToken)?;
    let (_, rest) = file::next_object(token, STATEMENT_BODY_LEN_MAX)?;
    file::finish(rest)?;
    match token.is_empty() {
        true => Err(Shown::from(ErrorCode::CutShort.with(1, 0))),
        false => Ok(token),
    }
}
