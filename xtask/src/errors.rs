//! The table of error codes in the guide, made from the one in `protocol`.

use std::fmt::Write;

use protocol::errors::{ErrorCode, ErrorRow, Fault, shown_code};

use crate::{Outcome, repo};

const GUIDE: &str = "docs/guide/errors.md";
const OPEN: &str = "<!-- table: cargo xtask errors -->\n";
const CLOSE: &str = "<!-- end of table -->\n";

/// Subjects of the blocks of 256 numbers.
const BLOCKS: [(u16, &str); 11] = [
    (1, "Messages and files"),
    (2, "Channel"),
    (3, "Refusals of use, in the order of evaluation"),
    (4, "Updates"),
    (5, "Time"),
    (6, "Container"),
    (8, "Finding and opening containers"),
    (9, "Protected programs and files"),
    (10, "Vendor"),
    (0x0B, "License Central"),
    (0x0C, "Soft licenses"),
];

/// `errors [--check]`.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let path = repo::root().join(GUIDE);
    let present = std::fs::read_to_string(&path)?;
    let wanted = with_table(&present)?;
    if present == wanted {
        return Ok(());
    }
    if arguments.iter().any(|argument| argument == "--check") {
        return Err(format!("{GUIDE} is not up to date: `cargo xtask errors`").into());
    }
    std::fs::write(&path, wanted)?;
    println!("{GUIDE}: written");
    Ok(())
}

/// The guide with the table as it should be.
fn with_table(guide: &str) -> Outcome<String> {
    let missing = || format!("{GUIDE} has no lines {:?} and {:?}", OPEN.trim(), CLOSE.trim());
    let (before, rest) = guide.split_once(OPEN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(CLOSE).ok_or_else(missing)?;
    Ok([before, OPEN, &table()?, CLOSE, after].concat())
}

fn table() -> Outcome<String> {
    let mut out = String::new();
    for (block, subject) in BLOCKS {
        write!(out, "\n### {subject}\n\n| code | what happened | what to do | fault | exit |\n")?;
        out.push_str("|---|---|---|---|---|\n");
        let rows = ErrorCode::ALL.iter().map(|code| code.row());
        for row in rows.filter(|row| row.number >> 8 == block) {
            out.push_str(&line(&row));
        }
    }
    out.push('\n');
    let listed = |code: &&ErrorCode| BLOCKS.iter().any(|(block, _)| code.number() >> 8 == *block);
    match ErrorCode::ALL.iter().find(|code| !listed(code)) {
        Some(code) => Err(format!("no subject for the block of {code:?}").into()),
        None => Ok(out),
    }
}

fn line(row: &ErrorRow) -> String {
    let (code, exit) = (shown_code(row.number), row.exit as u8);
    let (title, next) = (plain(row.title), plain(row.next));
    format!("| `{code}` | {title} | {next} | {} | {exit} |\n", fault(row.fault))
}

/// A text with its values as letters.
fn plain(text: &str) -> String {
    let mut out = text.to_owned();
    for (field, shown) in [("{a", "*a"), ("{b", "*b")] {
        for end in ["}", ":x}", ":time}", ":version}", ":country}"] {
            out = out.replace(&format!("{field}{end}"), &format!("{shown}*"));
        }
    }
    out
}

fn fault(fault: Fault) -> &'static str {
    match fault {
        Fault::License => "license",
        Fault::Message => "message",
        Fault::Caller => "caller",
        Fault::Container => "container",
        Fault::Machine => "machine",
        Fault::Vendor => "vendor",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_shows_the_table() {
        run(&["--check".to_owned()]).unwrap();
    }

    #[test]
    fn values_are_shown_as_letters() {
        assert_eq!(plain("{a:x} of {b}, at {a:time}"), "*a* of *b*, at *a*");
    }

    #[test]
    fn a_guide_without_a_place_for_the_table_is_refused() {
        assert!(with_table("# Errors\n").is_err());
    }
}
