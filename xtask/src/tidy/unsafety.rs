//! `unsafe`: forbidden by attribute in every crate but the named ones; there, one SAFETY sentence
//! per block.

use super::config::{Config, covers};
use super::{File, Finding};
use crate::source::words;
use std::collections::HashSet;

const FORBID: &str = "#![forbid(unsafe_code)]";

pub(super) fn check(file: &File, config: &Config, findings: &mut Vec<Finding>) {
    if covers(&config.unsafe_code, &file.path) {
        return sentences(file, findings);
    }
    if is_crate_root(&file.path) && !file.source.code.contains(FORBID) {
        findings.push(file.finding(1, format!("the crate does not say `{FORBID}`")));
    }
    for at in words(&file.source.code, "unsafe") {
        let line = file.source.line_of(at);
        findings
            .push(file.finding(line, "`unsafe` outside the places that tidy.toml names".into()));
    }
}

/// Integration tests, benches and build scripts are small crates of their own; the word is found
/// there anyway.
fn is_crate_root(path: &str) -> bool {
    path.ends_with("src/lib.rs") || path.ends_with("src/main.rs") || path.contains("src/bin/")
}

/// Each unsafe block or impl has a SAFETY comment right above its statement, which no other block
/// uses.
fn sentences(file: &File, findings: &mut Vec<Finding>) {
    let text: Vec<&str> = file.source.text.lines().collect();
    let code: Vec<&str> = file.source.code.lines().collect();
    let mut used = HashSet::new();
    for at in words(&file.source.code, "unsafe") {
        let after = file.source.code[at + "unsafe".len()..].trim_start();
        if !after.starts_with('{') && !after.starts_with("impl") {
            continue; // a declaration; clippy wants its `# Safety` section
        }
        let line = file.source.line_of(at);
        match comment_above(&text, &code, line - 1) {
            Some(comment) if used.insert(comment) => {}
            Some(_) => findings.push(file.finding(line, "shares its SAFETY comment".into())),
            None => findings.push(file.finding(line, "unsafe without a SAFETY comment".into())),
        }
    }
}

/// Index of the line with the SAFETY comment of the statement that holds line `index`.
fn comment_above(text: &[&str], code: &[&str], index: usize) -> Option<usize> {
    let says = |line: usize| text[line].contains("// SAFETY: ");
    if says(index) {
        return Some(index);
    }
    for line in (0..index).rev() {
        if says(line) {
            return Some(line);
        }
        let before = code[line].trim_end();
        let is_comment = before.is_empty() && !text[line].trim().is_empty();
        let ends_a_statement = before.ends_with([';', '{', '}', ',']);
        if !is_comment && (before.is_empty() || ends_a_statement) {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(&File::new(path, text), &Config::for_tests(), &mut findings);
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_crate_must_forbid() {
        let expected = [format!("the crate does not say `{FORBID}`")];
        assert_eq!(findings("a/src/lib.rs", "//! #![forbid(unsafe_code)]"), expected);
        assert!(findings("a/src/lib.rs", FORBID).is_empty());
        assert!(findings("a/src/part.rs", "").is_empty());
    }

    #[test]
    fn the_word_is_found_in_code_only() {
        let expected = ["`unsafe` outside the places that tidy.toml names"];
        assert_eq!(findings("a/tests/b.rs", "fn f() { unsafe { g() } }"), expected);
        assert!(findings("a/tests/b.rs", "// unsafe\nlet a = \"unsafe\";").is_empty());
    }

    #[test]
    fn a_block_needs_its_sentence() {
        let block = "let a = 1;\nlet b =\n    unsafe { c() };";
        assert_eq!(findings("raw/a.rs", block), ["unsafe without a SAFETY comment"]);
        let told = block.replace("let b", "// SAFETY: c has no\n// conditions.\nlet b");
        assert!(findings("raw/a.rs", &told).is_empty());
    }

    #[test]
    fn two_blocks_do_not_share_one_sentence() {
        let text = "// SAFETY: both fine.\nlet a = unsafe { b() } + unsafe { c() };";
        assert_eq!(findings("raw/a.rs", text), ["shares its SAFETY comment"]);
    }

    #[test]
    fn a_sentence_does_not_reach_past_its_statement() {
        let text = "// SAFETY: for b.\nlet b = unsafe { b() };\nlet c = unsafe { c() };";
        assert_eq!(findings("raw/a.rs", text), ["unsafe without a SAFETY comment"]);
    }
}
