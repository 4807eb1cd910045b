//! Ratios against limits measured in the same run, printed as one table: `./dev bench`.
#![forbid(unsafe_code)]

mod central;
mod clock;
mod content;
mod counted;
mod crypto;
mod dongle;
mod engine;
mod function;
mod machine;
mod measure;
mod programs;
mod soft;
mod start;
mod table;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::machine::Machine;
use crate::table::{Row, Verdict};
use crate::world::World;

/// What can go wrong in a measurement: told as it is, and the end of the run.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Measure against the limits and print one table.
#[derive(Parser)]
#[command(name = "bench")]
struct Args {
    /// Write the figures here, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure this part only
    #[arg(long, value_name = "PART")]
    only: Option<String>,
    /// Carry out the commands that are counted, in a container of HOME with so many ENTRIES
    #[arg(long, num_args = 2, value_names = ["HOME", "ENTRIES"], hide = true)]
    counted: Option<Vec<String>>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::from(2)
        }
    }
}

/// Measures everything; whether all bounds were kept.
fn run(args: &Args) -> Result<bool> {
    if let Some([home, entries]) = args.counted.as_deref() {
        counted::carry_out(home, entries.parse()?)?;
        return Ok(true);
    }
    let machine = Machine::look()?;
    println!("{machine}");
    let rows = measure(&machine, args.only.as_deref())?;
    print!("\n{}", table::text(&rows));
    let load = machine::load()?;
    println!("\nload at the end: {load}");
    if let Some(path) = &args.json {
        let rows: Vec<_> = rows.iter().map(Row::json).collect();
        let all = serde_json::json!({ "machine": machine.json(), "load_end": load, "rows": rows });
        std::fs::write(path, format!("{all:#}\n"))?;
    }
    Ok(rows.iter().all(|row| row.verdict() != Verdict::Missed))
}

/// What is measured, by names.
type Part = (&'static str, fn(&Machine) -> Result<Vec<Row>>);
const PARTS: [Part; 15] = [
    ("start", |machine| start::rows(&World::new()?, machine)),
    ("crypto", |_| crypto::rows()),
    ("content", |_| content::rows()),
    ("function", |_| function::rows()),
    ("dongle", |_| dongle::rows()),
    ("engine", |_| engine::rows()),
    ("counted", |_| counted::rows()),
    ("checkout", |_| central::checkout_rows()),
    ("peer", |_| central::peer_rows()),
    ("suite-2", |_| central::suite_2_rows()),
    ("desk", |_| central::scaling::rows()),
    ("signing", |_| central::sign::rows()),
    ("postgresql", |_| central::postgres::rows()),
    ("renewal", |_| central::renewal::rows()),
    ("soft-commit", |_| soft::rows()),
];

/// All parts, or only one.
fn measure(machine: &Machine, only: Option<&str>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, part) in PARTS {
        if only.is_none_or(|only| only == name) {
            eprintln!("measuring {name} ...");
            rows.extend(part(machine)?);
        }
    }
    if rows.is_empty() {
        let names = PARTS.map(|(name, _)| name).join(", ");
        return Err(format!("there is no such part; there are {names}").into());
    }
    Ok(rows)
}
