//! The rules of style that no compiler checks, one module per kind.

mod attacks;
mod config;
mod formats;
mod shape;
mod unsafety;
mod words;

use crate::source::Source;
use crate::{Outcome, repo};
use config::Config;
use std::fmt;
use std::path::Path;

/// One place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// A file under the rules: its path relative to the root, and its parts.
pub(crate) struct File {
    path: String,
    source: Source,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), source: Source::new(text) }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn finding(&self, line: usize, what: String) -> Finding {
        Finding { path: self.path.clone(), line, what }
    }
}

/// `tidy [--bless]`.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let config = Config::read(&repo::root())?;
    let files = read_all(&repo::root())?;
    if arguments.iter().any(|a| a == "--bless") {
        return formats::bless(&repo::root(), &files);
    }
    let findings = check(&files, &config);
    for finding in &findings {
        println!("{finding}");
    }
    println!("{} files, {} findings", files.len(), findings.len());
    if findings.is_empty() { Ok(()) } else { Err("the tree is not tidy".into()) }
}

fn check(files: &[File], config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        if file.is_rust() {
            shape::check(file, &config.limits, &mut findings);
            unsafety::check(file, config, &mut findings);
            words::check_code(file, config, &mut findings);
        }
        words::check_text(file, config, &mut findings);
    }
    formats::check(files, &mut findings);
    attacks::check(files, &mut findings);
    findings
}

/// All text files of the repository. What is not UTF-8 is no text.
fn read_all(root: &Path) -> Outcome<Vec<File>> {
    let mut files = Vec::new();
    for path in repo::files()? {
        let bytes = std::fs::read(root.join(&path))?;
        if let (Ok(text), Some(path)) = (std::str::from_utf8(&bytes), path.to_str()) {
            files.push(File::new(path, text));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_names_file_line_and_rule() {
        let file = File::new("a/b.rs", "fn f() {}\n");
        let config = Config::for_tests();
        let findings = check(&[file], &config);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].to_string(), "a/b.rs:1: the file does not open with a `//!` line");
    }

    #[test]
    fn the_configuration_of_this_repository_reads() {
        let config = Config::read(&repo::root()).unwrap();
        assert_eq!(config.limits.columns, 100);
    }
}
