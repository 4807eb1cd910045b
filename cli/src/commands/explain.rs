//! `strongroom explain`: what a code means, or which codes there are.

use protocol::errors::{ErrorCode, ErrorRow, Fault, shown_code, without_values};
use serde_json::{Value, json};
use vendor::{Result, Shown};

use crate::output::Output;

pub(super) fn run(code: Option<&str>, output: &Output) -> Result<()> {
    match code {
        Some(code) => one(code, output),
        None => {
            all(output);
            Ok(())
        }
    }
}

fn one(code: &str, output: &Output) -> Result<()> {
    let code = ErrorCode::parse(code).ok_or_else(|| {
        Shown::not_found(
            format!("{code:?} is no known code"),
            "Codes look like S0380, and strongroom explain lists them; newer versions know more.",
        )
    })?;
    let row = code.row();
    let text = format!(
        "{} {}\n  what    {}\n  why     {}\n  next    {}\n  where   {}\n  exit    {}",
        shown_code(row.number),
        row.name,
        without_values(row.title),
        row.likely,
        without_values(row.next),
        fault(row.fault),
        row.exit as u8
    );
    output.data("explain", row_json(&row), text);
    Ok(())
}

/// All codes, block by block.
fn all(output: &Output) {
    let mut blocks: Vec<(u16, Vec<ErrorRow>)> = Vec::new();
    let mut rows: Vec<ErrorRow> = ErrorCode::ALL.iter().map(|code| code.row()).collect();
    rows.sort_by_key(|row| row.number);
    for row in rows {
        let number = row.number >> 8;
        match blocks.last_mut() {
            Some((last, rows)) if *last == number => rows.push(row),
            _ => blocks.push((number, vec![row])),
        }
    }
    let mut lines = Vec::new();
    let mut data = Vec::new();
    for (number, rows) in blocks {
        lines.push(subject(number).to_owned());
        lines.extend(rows.iter().map(|row| {
            format!("  {} {:<22} {}", shown_code(row.number), row.name, without_values(row.title))
        }));
        let codes: Vec<Value> = rows.iter().map(row_json).collect();
        data.push(json!({ "block": number, "subject": subject(number), "codes": codes }));
    }
    output.data("explain-list", json!({ "blocks": data }), lines.join("\n"));
}

/// What the codes of a block are about, as in the guide to them.
fn subject(block: u16) -> &'static str {
    match block {
        1 => "Messages and files",
        2 => "Channel",
        3 => "Refusals of use, in the order of evaluation",
        4 => "Updates",
        5 => "Time",
        6 => "Container",
        7 => "Server",
        8 => "Finding and opening containers",
        9 => "Protected programs and files",
        10 => "Vendor",
        11 => "License Central",
        12 => "Soft licenses",
        _ => "Other",
    }
}

fn row_json(row: &ErrorRow) -> Value {
    json!({
        "code": shown_code(row.number), "name": row.name, "title": without_values(row.title),
        "likely": row.likely, "next": without_values(row.next), "fault": fault(row.fault),
        "exit": row.exit as u8,
    })
}

fn fault(fault: Fault) -> &'static str {
    match fault {
        Fault::License => "license",
        Fault::Message => "message or file",
        Fault::Caller => "calling program",
        Fault::Container => "container",
        Fault::Machine => "this machine",
        Fault::Vendor => "vendor",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_has_a_subject() {
        for code in ErrorCode::ALL {
            let row = code.row();
            assert_ne!(subject(row.number >> 8), "Other", "{}", row.name);
        }
    }
}
