//! A defeat patch: a head of `Key: value` lines, then a diff as git writes it.
//!
//! ```text
//! Removes: the comparison of the firm's sequence number
//! Target: --test attacks
//! Test: sec_s07
//! ```
//!
//! `Target` and `Test` go to `cargo test TARGET -- TEST`, of the whole workspace. `Programs: yes`
//! builds `strongroom` and the loader too, patched.

use crate::Outcome;
use std::path::{Path, PathBuf};

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Patch {
    /// Name of its file, without `.patch`.
    pub(super) name: String,
    pub(super) file: PathBuf,
    /// The defense, in words.
    pub(super) removes: String,
    /// Arguments of cargo that choose the test program.
    pub(super) target: Vec<String>,
    /// Filter of the test that must turn red.
    pub(super) test: String,
    /// Whether the test runs the built programs.
    pub(super) programs: bool,
}

impl Patch {
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let starts_diff = |line: &&str| line.starts_with("diff ") || line.starts_with("--- ");
        let mut patch = Self { name: name.to_owned(), ..Self::default() };
        for line in text.lines().take_while(|line| !starts_diff(line)) {
            if !line.trim().is_empty() {
                patch.set(line)?;
            }
        }
        patch.complete(text.lines().any(|line| starts_diff(&line)))?;
        Ok(patch)
    }

    fn set(&mut self, line: &str) -> Result<(), String> {
        let name = &self.name;
        let (key, value) =
            line.split_once(": ").ok_or(format!("{name}: not a head line: {line}"))?;
        let value = value.trim().to_owned();
        match key {
            "Removes" => self.removes = value,
            "Target" => self.target = value.split_whitespace().map(str::to_owned).collect(),
            "Test" => self.test = value,
            "Programs" => self.programs = value == "yes",
            _ => return Err(format!("{name}: unknown head line: {line}")),
        }
        Ok(())
    }

    fn complete(&self, has_diff: bool) -> Result<(), String> {
        let wanted = [
            ("Removes", self.removes.is_empty()),
            ("Target", self.target.is_empty()),
            ("Test", self.test.is_empty()),
        ];
        if let Some((key, _)) = wanted.iter().find(|(_, missing)| *missing) {
            return Err(format!("{}: no `{key}:` line", self.name));
        }
        if has_diff { Ok(()) } else { Err(format!("{}: no diff", self.name)) }
    }
}

/// All patches of a directory, by name. None where the directory is absent.
pub(super) fn read_all(dir: &Path) -> Outcome<Vec<Patch>> {
    let mut patches = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let file = entry?.path();
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(name) = name.strip_suffix(".patch") else { continue };
        let patch = Patch::parse(name, &std::fs::read_to_string(&file)?)?;
        patches.push(Patch { file: file.clone(), ..patch });
    }
    patches.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(patches)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Removes: the check of a\nTarget: --test attacks\n\
        Test: sec_x01\nPrograms: yes\n\n--- a/f\n+++ b/f\n@@ -1 +1 @@\nKey: not a head line\n";

    #[test]
    fn the_head_says_what_to_run() {
        let patch = Patch::parse("sec_x01", GOOD).unwrap();
        assert_eq!(patch.target, ["--test", "attacks"]);
        assert_eq!(patch.test, "sec_x01");
        assert!(patch.programs);
    }

    #[test]
    fn a_head_that_lacks_something_is_refused_by_name() {
        for (line, key) in [("Removes", "Removes"), ("Target", "Target"), ("Test", "Test")] {
            let bad: String =
                GOOD.lines().filter(|l| !l.starts_with(line)).map(|l| format!("{l}\n")).collect();
            let said = Patch::parse("sec_x01", &bad).unwrap_err();
            assert_eq!(said, format!("sec_x01: no `{key}:` line"));
        }
    }

    #[test]
    fn unknown_lines_and_a_missing_diff_are_refused() {
        assert!(
            Patch::parse("a", "Tests: x\n--- a/f\n").unwrap_err().contains("unknown head line")
        );
        assert!(Patch::parse("a", "text\n--- a/f\n").unwrap_err().contains("not a head line"));
        let head = GOOD.split("---").next().unwrap();
        assert_eq!(Patch::parse("a", head).unwrap_err(), "a: no diff");
    }
}
