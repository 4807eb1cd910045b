//! Removes one defense at a time: the test that guards it must turn red.
//!
//! Each `tests/defeat/*.patch` takes one defense out and names that test. The patched tree is a
//! copy under `target/defeat`; the work tree is never touched.

mod patch;
mod seed;
mod tree;
mod verdict;

use crate::{Outcome, repo};
use patch::Patch;
use verdict::Verdict;

/// `defeat [--all | --tenth [N]]`; without either, all. N counts from 0 and follows the commits by
/// default.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let all = patch::read_all(&repo::root().join("tests/defeat"))?;
    let chosen = choose(&all, arguments)?;
    println!("figure: {} of {} patches", chosen.len(), all.len());
    if chosen.is_empty() {
        println!("checks: 0 passed, 0 failed");
        return Ok(());
    }
    tree::prepare()?;
    let (mut passed, mut failed) = (0, 0);
    for patch in chosen {
        let verdict = verdict::of(patch)?;
        println!("{:24} {verdict}", patch.name);
        if verdict == Verdict::Red { passed += 1 } else { failed += 1 }
    }
    tree::restore()?;
    println!("checks: {passed} passed, {failed} failed");
    if failed == 0 { Ok(()) } else { Err(format!("{failed} patches failed").into()) }
}

fn choose<'a>(all: &'a [Patch], arguments: &[String]) -> Outcome<Vec<&'a Patch>> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let n = match words.as_slice() {
        [] | ["--all"] => return Ok(all.iter().collect()),
        ["--tenth"] => repo::commit_count()?,
        ["--tenth", n] => n.parse()?,
        [name] if !name.starts_with('-') => {
            return Ok(all.iter().filter(|patch| patch.name == *name).collect());
        }
        _ => return Err("expected --all, --tenth [N] or the name of a patch".into()),
    };
    println!("figure: tenth {} (--tenth {} repeats it)", n % 10, n % 10);
    Ok(tenth(all, n % 10))
}

/// Every tenth patch, from number `n` on. With fewer than ten there is still one.
fn tenth(all: &[Patch], n: usize) -> Vec<&Patch> {
    let start = if all.is_empty() { 0 } else { n % all.len().min(10) };
    all.iter().skip(start).step_by(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patches(count: usize) -> Vec<Patch> {
        let text = "Removes: a check\nTarget: --lib\nTest: t\n\n--- a/f\n+++ b/f\n";
        (0..count).map(|n| Patch::parse(&format!("sec_{n}"), text).unwrap()).collect()
    }

    #[test]
    fn ten_tenths_are_all() {
        for count in [10, 23, 30] {
            let all = patches(count);
            let mut seen: Vec<&str> =
                (0..10).flat_map(|n| tenth(&all, n)).map(|patch| patch.name.as_str()).collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), count);
        }
    }

    #[test]
    fn a_tenth_of_few_is_one_and_of_none_is_none() {
        for n in 0..10 {
            assert_eq!(tenth(&patches(3), n).len(), 1);
            assert!(tenth(&patches(0), n).is_empty());
        }
    }

    #[test]
    fn unknown_arguments_are_refused() {
        assert!(choose(&[], &["--some".into()]).is_err());
        assert!(choose(&[], &["--tenth".into(), "x".into()]).is_err());
    }
}
