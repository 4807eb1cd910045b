//! `strongroom container time`: what a container believes of time, and certified time by file.

use std::path::Path;

use container::Container;
use protocol::errors::ErrorCode;
use protocol::ids::RootFp;
use protocol::limits::STATEMENT_BODY_LEN_MAX;
use protocol::objects::file::{self, FileKind};
use protocol::objects::statement::TimeInfo;
use serde_json::{Value, json};
use vendor::{Result, Shown, files, times};

use crate::args::{Args, TimeArgs};
use crate::commands::shown;
use crate::output::Output;
use crate::reach;

pub(super) fn run(command: &TimeArgs, args: &Args, output: &Output) -> Result<()> {
    let container = reach::one(args)?;
    let firm = command.firm.as_deref().map(|named| reach::firm(named, Some(&container)));
    match (&command.ask, &command.apply, firm.transpose()?) {
        (Some(path), _, Some(firm)) => ask(&container, firm, path, command.dry_run, output),
        (_, Some(path), _) => apply(&container, path, command.dry_run, output),
        (_, _, firm) => show(&container, firm, output),
    }
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
    let nonce = container.time_nonce(firm)?;
    let request =
        file::write(FileKind::TimeRequest, &[container.certificate(), firm.bytes(), &nonce]);
    files::write_new(path, &request)?;
    let text = format!(
        "request of {serial} written to {}: the vendor's answer must come within two minutes, \
         while the container stays plugged in",
        path.display()
    );
    output.data("container-time-ask", data, text);
    Ok(())
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
    let time = container.time_token(token)?;
    let mut data = time_json(&time);
    data["serial"] = json!(serial);
    data["dry_run"] = json!(false);
    let text = format!("{serial} knows certified time: {}", times::show(time.now_s));
    output.data("container-time-apply", data, text);
    Ok(())
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
