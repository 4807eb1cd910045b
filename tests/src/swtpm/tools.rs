//! The programs of tpm2-tools, run against a TPM.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::process;

/// A folder to run tools in, and the TPM that they talk to.
pub struct Tools {
    tcti: String,
    dir: TempDir,
}

impl Tools {
    /// Tools for the TPM at `tcti`.
    pub fn new(tcti: &str) -> Self {
        Tools { tcti: tcti.to_owned(), dir: tempfile::tempdir().unwrap() }
    }

    /// Where they run.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Runs a program that must succeed, as "tpm2_getrandom 8". No argument can have a space. Gives
    /// what it wrote to its standard output.
    #[track_caller]
    pub fn ok(&self, line: &str) -> Vec<u8> {
        let output = self.run(line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {}\n{said}", output.status);
        output.stdout
    }

    /// Runs a program that may fail.
    #[track_caller]
    pub fn run(&self, line: &str) -> Output {
        process::run(&mut self.command(line))
    }

    /// A program that is about to be run.
    pub fn command(&self, line: &str) -> Command {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().expect("the name of a program"));
        command.args(words).current_dir(self.dir.path()).env("TPM2TOOLS_TCTI", &self.tcti);
        command
    }
}
