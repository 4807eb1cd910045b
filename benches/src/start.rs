//! The start of protected programs over the floor, and the memory that it takes.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::clock::wall_s;
use crate::machine::Machine;
use crate::measure::{against, in_turn};
use crate::table::Row;
use crate::world::World;
use crate::{Result, programs};

const ROUNDS: usize = 21;
const MIB: f64 = 1024.0 * 1024.0;
/// A second of wall time in milliseconds.
const MS: (&str, f64) = ("ms", 1e3);

/// Start to exit, key release by the simulated dongle included; files are in the page cache.
pub(crate) fn rows(world: &World, machine: &Machine) -> Result<Vec<Row>> {
    let floor = programs::floor(world.dir())?;
    let mut rows = Vec::new();
    for (size, bound) in [(100, Some(machine.start_bound())), (10, None)] {
        let program = programs::large(world.dir(), size * 1_000_000)?;
        let protected = world.protect(&program)?;
        let pairs = against(bound, || {
            let ours = || start(&mut world.command(&protected));
            let limit = || start(world.command(&floor).arg(&program));
            in_turn(ROUNDS, ours, limit)
        })?;
        let name = format!("protected start, {size} MB / floor");
        rows.push(Row::of_pairs(name, &pairs, bound, MS, ("protected", "floor")));
        rows.push(peak(world, size, &program, &protected)?);
    }
    rows.push(smallest(world)?);
    Ok(rows)
}

/// What every start costs, whatever the program: the way to the dongle and back.
fn smallest(world: &World) -> Result<Row> {
    let program = Path::new("/bin/true");
    let protected = world.protect(program)?;
    let ours = || start(&mut world.command(&protected));
    let limit = || start(&mut world.command(program));
    let pair = in_turn(3 * ROUNDS, ours, limit)?;
    let name = "protected start, /bin/true / plain";
    Ok(Row::of_pairs(name, &[pair], None, MS, ("protected", "plain")))
}

/// Seconds from start to exit.
fn start(command: &mut Command) -> Result<f64> {
    command.stdout(Stdio::null());
    wall_s(|| match command.status()? {
        status if status.success() => Ok(()),
        status => Err(format!("{:?} ended with {status}", command.get_program()).into()),
    })
}

/// The most memory that a protected program ever had, as it says of itself.
fn peak(world: &World, size: usize, program: &Path, protected: &Path) -> Result<Row> {
    let (most, plain) = (peak_mib(world, protected)?, peak_mib(world, program)?);
    let len_mib = std::fs::metadata(program)?.len() as f64 / MIB;
    Ok(Row {
        name: format!("peak memory, {size} MB program"),
        values: vec![most],
        unit: "MiB",
        bound: Some(2.1 * len_mib + 4.0),
        beside: format!(
            "program {len_mib:.1} MiB, so {:.2} x; plain {plain:.1} MiB",
            most / len_mib
        ),
    })
}

fn peak_mib(world: &World, program: &Path) -> Result<f64> {
    let done = world.command(program).arg("peak").output()?;
    let said = String::from_utf8(done.stdout)?;
    let kib = said.strip_prefix("VmHWM:").and_then(|rest| rest.trim().strip_suffix(" kB"));
    let kib: f64 = kib.ok_or("no peak memory was told")?.trim().parse()?;
    Ok(kib / 1024.0)
}
