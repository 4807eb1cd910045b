//! Attack tests and defeat patches come in pairs: `fn sec_p06_…` and `tests/defeat/sec_p06….patch`.
//! A patch may also be for another test, which it names.

use super::{File, Finding};
use crate::source::Function;
use std::collections::HashSet;

const PATCHES: &str = "tests/defeat/";

/// Letter and number of an attack, as in `p06`.
const ID_LEN: usize = 3;

pub(super) fn check(files: &[File], findings: &mut Vec<Finding>) {
    let functions: Vec<(&File, Function)> = files
        .iter()
        .filter(|file| file.is_rust())
        .flat_map(|file| file.source.functions().into_iter().map(move |test| (file, test)))
        .collect();
    let tests = functions.iter().filter(|(_, test)| attack(&test.name).is_some());
    let patches: Vec<&File> = files.iter().filter(|file| patch_name(file).is_some()).collect();
    let mut told = HashSet::new();
    for (file, test) in tests {
        let id = attack(&test.name);
        if told.insert(id) && !patches.iter().any(|patch| patch_name(patch).and_then(attack) == id)
        {
            let what = format!("`{}` has no patch in {PATCHES}", test.name);
            findings.push(file.finding(test.line, what));
        }
    }
    for patch in patches {
        let named = patch.source.text.lines().find_map(|line| line.strip_prefix("Test: "));
        let named = named.unwrap_or_default().rsplit("::").next().unwrap_or_default();
        if named.is_empty() || !functions.iter().any(|(_, test)| test.name.contains(named)) {
            findings.push(patch.finding(1, format!("its test `{named}` is not there")));
        }
    }
}

fn patch_name(file: &File) -> Option<&str> {
    file.path.strip_prefix(PATCHES)?.strip_suffix(".patch")
}

/// The attack in a name like `sec_p06_trailing_bytes`.
fn attack(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("sec_")?;
    let id = rest.get(..ID_LEN)?;
    let numbered = id.as_bytes()[0].is_ascii_lowercase() && id[1..].parse::<u8>().is_ok();
    let ends = rest.as_bytes().get(ID_LEN).is_none_or(|&next| next == b'_');
    (numbered && ends).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(test: &str, patch: &str) -> Vec<String> {
        let test = File::new("a.rs", &format!("fn {test}() {{}}\n"));
        let patch = File::new(&format!("{PATCHES}{patch}.patch"), &format!("Test: {patch}\n"));
        let mut findings = Vec::new();
        check(&[test, patch], &mut findings);
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_pair_is_good() {
        assert!(findings("sec_p06_trailing", "sec_p06").is_empty());
    }

    #[test]
    fn a_patch_may_be_for_a_test_of_another_name() {
        assert!(findings("simulation_of_seats", "simulation_of").is_empty());
        assert_eq!(findings("simulation_of_seats", "simulation_of_units").len(), 1);
    }

    #[test]
    fn one_without_the_other_is_found() {
        let expected =
            ["`sec_p06_trailing` has no patch in tests/defeat/", "its test `sec_s01` is not there"];
        assert_eq!(findings("sec_p06_trailing", "sec_s01"), expected);
    }

    #[test]
    fn a_name_must_have_letter_and_number() {
        assert_eq!(attack("sec_p06"), Some("p06"));
        assert_eq!(attack("sec_p06_x"), Some("p06"));
        for other in ["sec_p061", "sec_p6_x", "sec_", "sec_per_hour", "second"] {
            assert_eq!(attack(other), None, "{other}");
        }
    }
}
