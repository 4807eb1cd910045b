//! One module for each noun.

mod activate;
mod central;
mod completions;
mod container;
mod demo;
pub(crate) mod doctor;
mod explain;
mod inspect;
mod license;
mod man;
pub(crate) mod protect;
mod shown;
mod sim;
mod tpm;
mod update;
mod user;
mod vendor;

use ::vendor::Result;

use crate::args::{Args, Command};
use crate::output::Output;

/// Carries a command out; the exit code of one that did not fail is 0, but for what `doctor` found.
pub(crate) fn run(args: &Args, output: &Output) -> Result<u8> {
    match &args.command {
        Command::Demo(demo) => demo::run(demo, output),
        Command::Doctor(doctor) => return doctor::run(doctor, args, output),
        Command::Explain { code } => explain::run(code.as_deref(), output),
        Command::Inspect { file } => inspect::run(file, output),
        Command::Sim(command) => sim::run(command, output),
        Command::Tpm(command) => tpm::run(command, output),
        Command::Containers(command) => container::run(command, args, output),
        Command::Vendor(command) => vendor::run(command, output),
        Command::Update(command) => update::run(command, args, output),
        Command::License(command) => license::run(command, args, output),
        Command::Activate(command) => activate::activate(command, args, output),
        Command::Wizard(command) => activate::wizard(command, args, output),
        Command::Renew(command) | Command::Collect(command) => {
            activate::collect(command, args, output)
        }
        Command::Release(command) => activate::release(command, args, output),
        Command::Restore(command) => activate::restore(command, output),
        Command::Move(command) => activate::relocate(command, args, output),
        Command::Central(command) => central::run(command, output),
        Command::Protect(command) => protect::run(command, output),
        Command::User(command) => user::run(command, output),
        Command::Completions(shell) => completions::run(shell, output),
        Command::Man(man) => man::run(man, output),
    }?;
    Ok(0)
}
