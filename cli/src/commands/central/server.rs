//! `strongroom central serve`, `init`, `migrate`, `backup`, `restore`, `check`: other names of the
//! same commands of `license-central`, which takes this process over.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use protocol::errors::Shown;
use vendor::Result;

use crate::args::ServerArgs;
use crate::output::Output;

/// File name of the server beside this program.
const SERVER: &str = "license-central";

pub(super) fn run(verb: &str, args: &ServerArgs, output: &Output) -> Result<()> {
    let found = places().into_iter().find(|path| path.is_file());
    let server = found.ok_or_else(|| {
        let looked: Vec<String> = places().iter().map(|path| path.display().to_string()).collect();
        let title = format!("{SERVER} is not here: looked for {}", looked.join(" and "));
        Shown::not_found(title, "Install it beside strongroom; it comes with the same package.")
    })?;
    let mut command = Command::new(&server);
    command.arg(verb).args(&args.arguments);
    if output.is_json() && !args.arguments.iter().any(|own| own == "--json") {
        command.arg("--json");
    }
    // Where it goes well, nothing comes back.
    Err(Shown::io(&server, &command.exec()))
}

/// Where it is looked for: beside this program, and where packages put it.
fn places() -> Vec<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(SERVER)));
    let packaged = PathBuf::from("/usr/lib/strongroom").join(SERVER);
    beside.into_iter().chain([packaged]).collect()
}
