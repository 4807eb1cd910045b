//! `strongroom-tpm`: serves a container that is sealed to a TPM, and makes such containers.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    tpm::chip::quiet();
    tpm::command::run()
}
