//! What the server's commands do that keep account when something was lost, and what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};

use protocol::errors::{Exit, Shown, write_utc};
use serde_json::{Value, json};
use vendor::Vendor;

use crate::args::{BackupArgs, CheckArgs, PlaceArgs, RestoreArgs};
use crate::domain::central::Central;
use crate::domain::keys::SYSTEM;
use crate::domain::records;
use crate::domain::refusal::Refusal;
use crate::place;
use crate::recovery::repair::{self, Repaired};
use crate::recovery::{Source, backup, check, restore};
use crate::signer::journal;
use crate::store::Filter;

/// What a command has to say.
pub struct Said {
    /// Name of the JSON.
    pub schema: &'static str,
    /// For programs.
    pub data: Value,
    /// For people.
    pub text: String,
    /// The exit code.
    pub exit: u8,
}

impl Said {
    fn new(schema: &'static str, data: Value, text: String) -> Self {
        Said { schema, data, text, exit: 0 }
    }
}

/// Compares, or puts right.
pub fn check(args: &CheckArgs) -> Result<Said, Shown> {
    let central = place::open_records(&args.place)?;
    let sources = sources(&args.place)?;
    if args.accept_journal {
        confirm("Go on with a journal that lacks what was signed last?", args.yes)?;
        return accept(&central, &sources);
    }
    if args.repair {
        confirm("Take in from the journal what the database lost?", args.yes)?;
        return repaired(&central, &sources);
    }
    let mut reports = Vec::new();
    for (vendor, source) in &sources {
        reports.push(check::check(&central, vendor, source).map_err(Refusal::shown)?);
    }
    let text: Vec<String> = reports.iter().map(check::text).collect();
    let finds = reports.iter().any(|report| !report.findings.is_empty());
    let exit = if finds { Exit::Conflict as u8 } else { 0 };
    let said =
        Said::new("strongroom.central-check/v1", json!({ "vendors": reports }), text.join("\n"));
    Ok(Said { exit, ..said })
}

fn accept(central: &Central, sources: &[(String, Source)]) -> Result<Said, Shown> {
    let mut text = Vec::new();
    let mut rows = Vec::new();
    for (vendor, source) in sources {
        let head = repair::accept(central, vendor, source).map_err(Refusal::shown)?;
        text.push(format!("{vendor}: goes on behind number {}", head.number));
        rows.push(json!({ "vendor": vendor, "number": head.number }));
    }
    Ok(Said::new("strongroom.central-check-accept/v1", json!({ "vendors": rows }), text.join("\n")))
}

fn repaired(central: &Central, sources: &[(String, Source)]) -> Result<Said, Shown> {
    let done = repair_all(central, sources)?;
    let text: Vec<String> = done.iter().map(repair::text).collect();
    Ok(Said::new("strongroom.central-check-repair/v1", json!({ "vendors": done }), text.join("\n")))
}

fn repair_all(central: &Central, sources: &[(String, Source)]) -> Result<Vec<Repaired>, Shown> {
    let each = sources.iter().map(|(vendor, source)| repair::repair(central, vendor, source));
    each.collect::<Result<_, _>>().map_err(Refusal::shown)
}

/// Writes a backup.
pub fn backup(args: &BackupArgs) -> Result<Said, Shown> {
    let central = place::open_records(&args.place)?;
    // Those with records, and those with keys that have none yet.
    let rows = central.read(SYSTEM, |work| work.all::<records::Vendor>(&Filter::All));
    let rows = rows.map_err(Refusal::shown)?.into_iter().map(|row| row.record.id);
    let folders = place::vendors(&args.place)?.into_iter().map(|(id, _)| id);
    let tenants: BTreeSet<String> = rows.chain(folders).chain([SYSTEM.to_owned()]).collect();
    let tenants: Vec<String> = tenants.into_iter().collect();
    let made = backup::make(central.store(), &tenants, &args.out, central.now_ms())?;
    let text = format!(
        "{} records in {}\nIt has no keys: keep secret.key, vendors and the journal elsewhere too",
        made.rows,
        args.out.display()
    );
    Ok(Said::new("strongroom.central-backup/v1", json!(made), text))
}

/// Restores one, and takes in what was signed after it.
pub fn restore(args: &RestoreArgs) -> Result<Said, Shown> {
    let held = restore::preview(&args.file)?;
    let (contents, tenants) = &held;
    let mut made = String::new();
    // Writing to a string cannot fail.
    let _ = write_utc(u64::try_from(contents.made_ms / 1000).unwrap_or(0), &mut made);
    let whose: Vec<&str> = tenants.iter().map(String::as_str).collect();
    let preview = json!({ "backup": contents, "vendors": whose });
    let text = format!("{} records of {}, made {made}", contents.rows, whose.join(", "));
    if args.dry_run {
        return Ok(Said::new("strongroom.central-restore-preview/v1", preview, text));
    }
    if !args.json {
        eprintln!("{text}");
    }
    confirm("Restore it?", args.yes)?;
    // Keys and journals are looked for before anything is changed.
    let (central, sources) = (place::open_records(&args.place)?, sources(&args.place)?);
    for (_, source) in &sources {
        // A signer that runs on would go on by what it was shown of the records before.
        let held = source.hold();
        drop(held.map_err(|held| held.hinting("Stop the servers and the signer first."))?);
    }
    let mut leased_s = BTreeMap::new();
    for (vendor, source) in &sources {
        leased_s.extend(source.leased_s()?.map(|until_s| (vendor.clone(), until_s)));
    }
    restore::run(central.store(), &args.file, &held, (central.now_ms(), &leased_s))?;
    let done = repair_all(&central, &sources)?;
    let lines: Vec<String> = done.iter().map(repair::text).collect();
    let data = json!({ "backup": contents, "vendors": done });
    let text = format!("restored\n{}", lines.join("\n"));
    Ok(Said::new("strongroom.central-restore/v1", data, text))
}

/// The journals of all vendors.
fn sources(place: &PlaceArgs) -> Result<Vec<(String, Source)>, Shown> {
    let dir = place.journal_dir();
    let mut sources = Vec::new();
    for (id, path) in place::vendors(place)? {
        let root_fp = Vendor::open(&path)?.root.root_fp;
        let source = Source::new(&journal::path_of(&dir, &id), root_fp);
        sources.push((id, source));
    }
    Ok(sources)
}

/// Asks at a terminal; elsewhere `--yes` says it.
fn confirm(question: &str, yes: bool) -> Result<(), Shown> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Shown::usage("nobody is there to ask", "Say --yes if it is meant."));
    }
    eprint!("{question} [y/N] ");
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    if read.is_ok() && matches!(line.trim(), "y" | "yes") {
        return Ok(());
    }
    Err(Shown::conflict("nothing was changed", "Say y if it is meant."))
}
