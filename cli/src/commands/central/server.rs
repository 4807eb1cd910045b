//! `strongroom central serve`, `init`, `migrate`, `backup`, `restore`, `check`: other names of the
//! same commands of `license-central`, which takes this process over.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use protocol::errors::Shown;
use vendor::Result;

use crate::args::ServerArgs;
use crate::beside;
use crate::output::Output;

/// File name of the server beside this program.
const SERVER: &str = "license-central";

pub(super) fn run(verb: &str, args: &ServerArgs, output: &Output) -> Result<()> {
    let server = path()?;
    let mut command = Command::new(&server);
    command.arg(verb).args(&args.arguments);
    if output.is_json() && !args.arguments.iter().any(|own| own == "--json") {
        command.arg("--json");
    }
    // Where it goes well, nothing comes back.
    Err(Shown::io(&server, &command.exec()))
}

/// Where the server is.
pub(in crate::commands) fn path() -> Result<PathBuf> {
    beside::find(SERVER).ok_or_else(|| {
        let looked = beside::places(SERVER);
        let looked: Vec<String> = looked.iter().map(|path| path.display().to_string()).collect();
        let title = format!("{SERVER} is not here: looked for {}", looked.join(" and "));
        Shown::not_found(title, "Install it beside strongroom; it comes with the same package.")
    })
}
