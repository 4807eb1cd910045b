//! One module for each noun.

mod container;
mod demo;
mod explain;
mod inspect;
mod license;
pub(crate) mod protect;
mod shown;
mod sim;
mod update;
mod user;
mod vendor;

use crate::args::{Args, Command};
use crate::error::Result;
use crate::output::Output;

/// Carries a command out.
pub(crate) fn run(args: &Args, output: &Output) -> Result<()> {
    match &args.command {
        Command::Demo(demo) => demo::run(demo, output),
        Command::Explain { code } => explain::run(code, output),
        Command::Inspect { file } => inspect::run(file, output),
        Command::Sim(command) => sim::run(command, output),
        Command::Containers(command) => container::run(command, args, output),
        Command::Vendor(command) => vendor::run(command, output),
        Command::Update(command) => update::run(command, args, output),
        Command::License(command) => license::run(command, args, output),
        Command::Protect(command) => protect::run(command, output),
        Command::User(command) => user::run(command, output),
    }
}
