//! Instructions that a command takes in the engine, and reports of 64 bytes that it takes on the
//! way, with few entries in the container and with many.
//!
//! Instructions are counted, not timed: this program starts itself again under callgrind, which
//! counts between entry and return of [`counted`] and writes one file for each call.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use ::engine::platform::Store;
use protocol::command::Reply;
use strongroom_tests::costs::{Subject, on_dongle, on_host};

use crate::Result;
use crate::central::sign;
use crate::table::Row;

/// Where containers are, with their numbers of entries. A dongle has no room for more.
const HOMES: [(&str, &[u32]); 2] = [("host", &[10, 1_000, 100_000]), ("dongle", &[10, 1_000])];

/// Not a home: signing, against the library below.
pub(crate) const SIGNING: &str = "signing";

/// The function that callgrind looks for. By a pattern it would find it for one of two purposes.
const FUNCTION: &str = "strongroom_benches::counted::counted";

/// What is looked up by a tree or a sorted list takes a few steps more among more entries.
const LOOKUP_GROWTH_MAX: f64 = 1.05;
/// This one is little else than lookups, of each field that an entry may have.
const STATE: &str = "item state";
const STATE_GROWTH_MAX: f64 = 1.5;
/// The commit of an update hashes all entries: at most in proportion to them.
const COMMIT: &str = "update commit";

/// What one command takes with each number of entries.
struct Counts {
    command: String,
    instructions: Vec<u64>,
    /// Out and back.
    reports: Vec<(usize, usize)>,
}

/// One row for each command and home.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (home, sizes) in HOMES {
        let mut all: Vec<Counts> = Vec::new();
        for entries in sizes {
            let reports = reports(home, *entries)?;
            let counts = count(home, *entries)?.into_iter().zip(reports);
            for (at, ((command, count), reports)) in counts.enumerate() {
                if at == all.len() {
                    all.push(Counts { command, instructions: Vec::new(), reports: Vec::new() });
                }
                all[at].instructions.push(count);
                all[at].reports.push(reports);
            }
        }
        rows.extend(all.iter().map(|counts| counts.row(home, sizes)));
    }
    Ok(rows)
}

/// Carries out all commands in a container of this home, or what is compared of signing: what runs
/// under callgrind. Prints their names.
pub(crate) fn carry_out(home: &str, entries: u32) -> Result<()> {
    match home {
        "host" => carry_out_in(on_host(entries)),
        "dongle" => carry_out_in(on_dongle(entries)),
        SIGNING => sign::carry_out(),
        _ => Err("no such home".into()),
    }
}

fn carry_out_in<S: Store>(mut subject: Subject<S>) -> Result<()> {
    for (name, command) in subject.commands() {
        match counted(|| subject.carry_out(command)) {
            Reply::Failed(failure) => return Err(format!("{name}: {failure:?}").into()),
            Reply::UpdateRefused { failure, .. } => {
                return Err(format!("{name}: {failure:?}").into());
            }
            _ => println!("{name}"),
        }
    }
    Ok(())
}

/// Reports out and back of each command, through the channel.
fn reports(home: &str, entries: u32) -> Result<Vec<(usize, usize)>> {
    match home {
        "host" => Ok(reports_in(on_host(entries))),
        "dongle" => Ok(reports_in(on_dongle(entries))),
        _ => Err("no such home".into()),
    }
}

fn reports_in<S: Store>(mut subject: Subject<S>) -> Vec<(usize, usize)> {
    let commands = subject.commands();
    commands.iter().map(|(_, command)| subject.exchange(command).0).collect()
}

/// Does what is counted.
#[inline(never)]
pub(crate) fn counted<T>(work: impl FnOnce() -> T) -> T {
    // Without it the call would be a jump, from which callgrind sees no return.
    black_box(work())
}

/// Instructions of each command, by callgrind.
pub(crate) fn count(home: &str, entries: u32) -> Result<Vec<(String, u64)>> {
    let dir = tempfile::tempdir()?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind", "--collect-atstart=no"]);
    valgrind.arg(format!("--toggle-collect={FUNCTION}"));
    valgrind.arg(format!("--dump-after={FUNCTION}"));
    valgrind.arg(format!("--callgrind-out-file={}", dir.path().join("out").display()));
    valgrind.arg(std::env::current_exe()?).args(["--counted", home, &entries.to_string()]);
    let done = valgrind.output().map_err(|error| format!("valgrind: {error}"))?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned().into());
    }
    let names = String::from_utf8(done.stdout)?;
    let named = (1..).zip(names.lines());
    named.map(|(at, name)| Ok((name.to_owned(), total(dir.path(), at)?))).collect()
}

/// The sum in callgrind's file of this number.
fn total(dir: &Path, number: usize) -> Result<u64> {
    let text = fs::read_to_string(dir.join(format!("out.{number}")))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    match total.ok_or("no total")?.trim().parse()? {
        0 => Err("nothing was counted".into()),
        count => Ok(count),
    }
}

impl Counts {
    fn row(&self, home: &str, sizes: &[u32]) -> Row {
        let (few, many) = (sizes[0], sizes[sizes.len() - 1]);
        let growth = |at: usize| self.instructions[at] as f64 / self.instructions[0] as f64;
        let bound = match self.command.as_str() {
            COMMIT => f64::from(many / few),
            STATE => STATE_GROWTH_MAX,
            _ => LOOKUP_GROWTH_MAX,
        };
        let beside = sizes.iter().zip(&self.instructions).map(|(size, count)| {
            format!("{}k with {}", thousands(count / 1000), thousands(u64::from(*size)))
        });
        let mut reports: Vec<String> =
            self.reports.iter().map(|(out, back)| format!("{out} and {back}")).collect();
        reports.dedup();
        let beside = std::iter::once(format!("reports {}", reports.join(", then "))).chain(beside);
        let (command, many) = (&self.command, thousands(many.into()));
        Row {
            name: format!("{command}, {home}, instructions, {many} entries / {few}"),
            values: vec![growth(sizes.len() - 1)],
            unit: "x",
            bound: Some(bound),
            beside: beside.collect::<Vec<_>>().join(", "),
        }
    }
}

/// A number with commas between thousands.
fn thousands(n: u64) -> String {
    match n {
        0..1000 => n.to_string(),
        _ => format!("{},{:03}", thousands(n / 1000), n % 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_growth_and_all_counts() {
        let counts = |command: &str| Counts {
            command: command.into(),
            instructions: vec![2_000_000, 2_500_000, 4_000_000],
            reports: vec![(1, 2), (1, 2), (1, 3)],
        };
        let row = counts("why").row("host", &[10, 1_000, 100_000]);
        assert_eq!((row.values.as_slice(), row.bound), (&[2.0][..], Some(LOOKUP_GROWTH_MAX)));
        let counted = "2,000k with 10, 2,500k with 1,000, 4,000k with 100,000";
        assert_eq!(row.beside, format!("reports 1 and 2, then 1 and 3, {counted}"));
        assert_eq!(counts(COMMIT).row("dongle", &[10, 1_000]).bound, Some(100.0));
    }
}
