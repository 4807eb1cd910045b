//! Runs the fuzz targets of `tests/fuzz` under libFuzzer and the address sanitizer.

use crate::{Outcome, repo};
use std::path::Path;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Coverage as libFuzzer wants it; `--target` keeps it away from build scripts.
const FLAGS: &str = "--cfg fuzzing -Zsanitizer=address -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1 -Cdebug-assertions";

/// `fuzz [--seconds N] [TARGET]`.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let (seconds, only) = parse(arguments)?;
    let dir = repo::root().join("tests/fuzz");
    let mut names = targets(&dir)?;
    names.retain(|name| only.as_ref().is_none_or(|only| only == name));
    let (mut passed, mut failed) = (0, 0);
    for name in &names {
        match fuzz(&dir, name, seconds) {
            Ok(()) => passed += 1,
            Err(error) => {
                println!("{name}: {error}");
                failed += 1;
            }
        }
    }
    println!("checks: {passed} passed, {failed} failed");
    if failed == 0 { Ok(()) } else { Err(format!("{failed} targets failed").into()) }
}

fn parse(arguments: &[String]) -> Outcome<(u64, Option<String>)> {
    match arguments {
        [] => Ok((60, None)),
        [flag, seconds, rest @ ..] if flag == "--seconds" && rest.len() <= 1 => {
            Ok((seconds.parse()?, rest.first().cloned()))
        }
        [name] if !name.starts_with('-') => Ok((60, Some(name.clone()))),
        _ => Err("expected [--seconds N] [TARGET]".into()),
    }
}

/// One file in `fuzz_targets/` is one target.
fn targets(dir: &Path) -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir.join("fuzz_targets"))? {
        let name = entry?.file_name().into_string().map_err(|_| "a name that is no text")?;
        names.extend(name.strip_suffix(".rs").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// New inputs go to a directory of their own under `target/`, so that the stored corpus changes by
/// hand only.
fn fuzz(dir: &Path, name: &str, seconds: u64) -> Outcome {
    let fresh = repo::target().join("fuzz/fresh").join(name);
    std::fs::create_dir_all(&fresh)?;
    let mut cargo = std::process::Command::new("cargo");
    cargo.current_dir(dir).args(["+nightly", "run", "--release", "--locked", "--target", TARGET]);
    cargo.args(["--package", "strongroom-fuzz", "--bin", name, "--"]);
    cargo.arg(&fresh).arg(dir.join("corpus").join(name));
    cargo.arg(format!("-max_total_time={seconds}")).args(["-timeout=10", "-rss_limit_mb=512"]);
    cargo.arg(format!("-artifact_prefix={}/failed-", fresh.display()));
    cargo.env("RUSTFLAGS", FLAGS).env("CARGO_TARGET_DIR", repo::target().join("fuzz"));
    cargo.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
    repo::succeed(&mut cargo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_or_refused() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(parse(&[]).unwrap(), (60, None));
        assert_eq!(parse(&words("--seconds 5 frame")).unwrap(), (5, Some("frame".into())));
        assert_eq!(parse(&words("frame")).unwrap(), (60, Some("frame".into())));
        assert!(parse(&words("--seconds")).is_err() && parse(&words("--second 5")).is_err());
    }
}
