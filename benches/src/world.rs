//! A vendor, a simulated dongle with a license, protected programs: made by the commands that a
//! user would type.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::Result;

/// Everything is in one folder, which goes with it.
pub(crate) struct World {
    dir: TempDir,
    strongroom: PathBuf,
    dongle: Option<Child>,
}

impl World {
    /// Makes vendor and dongle, and brings a license into the dongle.
    pub(crate) fn new() -> Result<Self> {
        let strongroom = std::env::current_exe()?.with_file_name("strongroom");
        if !strongroom.exists() {
            return Err(format!("{} is not built", strongroom.display()).into());
        }
        let mut world = World { dir: tempfile::tempdir()?, strongroom, dongle: None };
        world.run("vendor init acme --name Acme --test")?;
        world.run("vendor product add 7 --name Editor --vendor acme")?;
        world.plug_in()?;
        world.run("container context --firm acme -o dongle.context")?;
        world.run(
            "vendor issue --vendor acme --context dongle.context --product 7 --expires +30d \
             --quantity 100 -o dongle.update",
        )?;
        world.run("update apply dongle.update --receipt dongle.receipt --yes")?;
        Ok(world)
    }

    /// Its folder.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Protects a program for the product that the dongle has a license for.
    pub(crate) fn protect(&self, program: &Path) -> Result<PathBuf> {
        let name = program.file_name().ok_or("a program without a name")?.to_string_lossy();
        let output = self.dir().join(format!("{name}-protected"));
        let (from, to) = (program.display(), output.display());
        self.run(&format!("protect app {from} -o {to} --vendor acme --product 7"))?;
        Ok(output)
    }

    /// How a program is started in this world.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let socket = self.dir().join("port");
        command.current_dir(self.dir()).env("STRONGROOM_SOURCES", format!("sim:{}", show(&socket)));
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command line without quotes.
    fn run(&self, line: &str) -> Result<()> {
        let done = self.command(&self.strongroom).args(line.split(' ')).output()?;
        if done.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        Err(format!("`strongroom {line}` ended with {}: {said}", done.status).into())
    }

    /// Starts the dongle and waits until it says that it is ready.
    fn plug_in(&mut self) -> Result<()> {
        let mut command = self.command(&self.strongroom);
        command.args("sim run --state dongle --socket port".split(' ')).stdout(Stdio::piped());
        let dongle = self.dongle.insert(command.spawn()?);
        let stdout = dongle.stdout.take().ok_or("a pipe was asked for")?;
        let mut line = String::new();
        match BufReader::new(stdout).read_line(&mut line)? {
            0 => Err("the simulated dongle did not start".into()),
            _ => Ok(()),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut dongle) = self.dongle.take() {
            // Our own child; if it has ended by itself there is nothing to stop.
            kill_process(Pid::from_child(&dongle), Signal::TERM).ok();
            dongle.wait().ok();
        }
    }
}

fn show(path: &Path) -> String {
    path.display().to_string()
}
