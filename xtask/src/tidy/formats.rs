//! A format's document names its sources with a hash each, so that neither changes without the
//! other.
//!
//! In `docs/formats/NN-name.md` a comment of this shape, kept up to date by `cargo xtask tidy
//! --bless`:
//!
//! ```text
//! <!-- sources
//! protocol/src/frame.rs 0123456789abcdef
//! -->
//! ```
//!
//! The hash is over the code alone: comments and white space may change freely.

use super::{File, Finding};
use crate::Outcome;
use sha2::{Digest, Sha256};
use std::path::Path;

const OPEN: &str = "<!-- sources";
const CLOSE: &str = "-->";
const FIX: &str = "bring the document up to date, then `cargo xtask tidy --bless`";

pub(super) fn check(files: &[File], findings: &mut Vec<Finding>) {
    for document in files.iter().filter(|file| is_format(&file.path)) {
        let sources = sources(&document.source.text);
        if sources.is_empty() {
            let what = format!("no source files named between `{OPEN}` and `{CLOSE}`");
            findings.push(document.finding(1, what));
        }
        for (line, path, recorded) in sources {
            match files.iter().find(|file| file.path == path) {
                None => findings.push(document.finding(line, format!("{path} is not there"))),
                Some(file) if hash(file) == recorded => {}
                Some(_) => findings.push(document.finding(line, format!("{path} changed: {FIX}"))),
            }
        }
    }
}

/// Records the present hashes in all documents.
pub(super) fn bless(root: &Path, files: &[File]) -> Outcome {
    for document in files.iter().filter(|file| is_format(&file.path)) {
        let blessed = blessed(document, files);
        if blessed != document.source.text {
            std::fs::write(root.join(&document.path), blessed)?;
            println!("{}: recorded", document.path);
        }
    }
    Ok(())
}

fn blessed(document: &File, files: &[File]) -> String {
    let text = &document.source.text;
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    for (line, path, _) in sources(text) {
        if let Some(file) = files.iter().find(|file| file.path == path) {
            lines[line - 1] = format!("{path} {}", hash(file));
        }
    }
    lines.join("\n")
}

/// `docs/formats/NN-name.md`.
fn is_format(path: &str) -> bool {
    let name = path.strip_prefix("docs/formats/").and_then(|name| name.strip_suffix(".md"));
    name.is_some_and(|name| name.as_bytes().first().is_some_and(u8::is_ascii_digit))
}

/// Line, path and recorded hash of each source. A source without a hash has an empty one.
fn sources(document: &str) -> Vec<(usize, &str, &str)> {
    let lines = document.lines().enumerate();
    let inside = lines.skip_while(|(_, line)| line.trim() != OPEN).skip(1);
    let rows = inside.take_while(|(_, line)| line.trim() != CLOSE);
    rows.filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            let (path, hash) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
            (index + 1, path, hash.trim())
        })
        .collect()
}

/// First 16 hexadecimal digits of SHA-256 over the code, white space left out.
fn hash(file: &File) -> String {
    let code: String = file.source.uncommented.split_whitespace().collect();
    let digest = Sha256::digest(code.as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(rows: &str) -> File {
        let text = format!("# Frames\n\n{OPEN}\n{rows}{CLOSE}\n\nText.\n");
        File::new("docs/formats/01-frame.md", &text)
    }

    fn findings(files: &[File]) -> Vec<String> {
        let mut findings = Vec::new();
        check(files, &mut findings);
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_blessed_document_stays_good_until_the_code_changes() {
        let code = File::new("protocol/src/frame.rs", "const A: u8 = 1; // one");
        let files = [document("protocol/src/frame.rs\n"), code];
        let blessed = File::new("docs/formats/01-frame.md", &blessed(&files[0], &files));
        let code = File::new("protocol/src/frame.rs", "const A: u8 =\n 1; // uno");
        assert!(findings(&[blessed, code]).is_empty());
        let changed = File::new("protocol/src/frame.rs", "const A: u8 = 2;");
        let expected = [format!("protocol/src/frame.rs changed: {FIX}")];
        assert_eq!(findings(&[document("protocol/src/frame.rs 00\n"), changed]), expected);
    }

    #[test]
    fn a_document_without_sources_is_found() {
        assert_eq!(findings(&[document("")]).len(), 1);
        assert_eq!(findings(&[document("gone.rs 00\n")]), ["gone.rs is not there"]);
    }

    #[test]
    fn only_numbered_documents_are_formats() {
        assert!(is_format("docs/formats/01-frame.md"));
        assert!(!is_format("docs/formats/README.md") && !is_format("docs/01-frame.md"));
    }
}
