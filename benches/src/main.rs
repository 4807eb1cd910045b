//! Ratios against limits measured in the same run, printed as one table: `./dev bench`.
#![forbid(unsafe_code)]

mod clock;
mod content;
mod crypto;
mod dongle;
mod engine;
mod machine;
mod measure;
mod programs;
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
    let machine = Machine::look()?;
    println!("{machine}");
    let rows = measure_all(&machine)?;
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

fn measure_all(machine: &Machine) -> Result<Vec<Row>> {
    eprintln!("measuring the start of protected programs ...");
    let mut rows = start::rows(&World::new()?, machine)?;
    eprintln!("measuring ciphers, dongle and engine ...");
    rows.extend(crypto::rows()?);
    rows.extend(content::rows()?);
    rows.extend(dongle::rows()?);
    rows.extend(engine::rows()?);
    Ok(rows)
}
