//! The program `strongroom`: all of it is in the library, where the fuzzer reaches its parsers.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    strongroom_cli::main()
}
