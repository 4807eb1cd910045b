//! `strongroom-tpm`: serves a container that is sealed to a TPM, and makes such containers.

use std::process::ExitCode;

fn main() -> ExitCode {
    tpm::chip::quiet();
    tpm::command::run()
}
