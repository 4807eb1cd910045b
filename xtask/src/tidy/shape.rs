//! Size and head: columns, lines of a function, lines of a file, the opening `//!` line.

use super::config::Limits;
use super::{File, Finding};

pub(super) fn check(file: &File, limits: &Limits, findings: &mut Vec<Finding>) {
    opening(file, findings);
    columns(file, limits, findings);
    functions(file, limits, findings);
    let lines = file.source.text.lines().count();
    if lines > limits.file_lines {
        let limit = limits.file_lines;
        findings.push(file.finding(lines, format!("a file of {lines} lines; {limit} are allowed")));
    }
}

fn opening(file: &File, findings: &mut Vec<Finding>) {
    let first = file.source.text.lines().next().unwrap_or_default();
    if first.strip_prefix("//! ").is_none_or(|said| said.trim().is_empty()) {
        findings.push(file.finding(1, "the file does not open with a `//!` line".into()));
    }
}

/// An address cannot be broken, so a line that holds one may be longer.
fn columns(file: &File, limits: &Limits, findings: &mut Vec<Finding>) {
    for (index, line) in file.source.text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > limits.columns && !line.contains("://") {
            let limit = limits.columns;
            let what = format!("a line of {columns} columns; {limit} are allowed");
            findings.push(file.finding(index + 1, what));
        }
    }
}

fn functions(file: &File, limits: &Limits, findings: &mut Vec<Finding>) {
    for function in file.source.functions() {
        if function.lines > limits.function_lines {
            let (name, lines, limit) = (&function.name, function.lines, limits.function_lines);
            let what = format!("`{name}` has {lines} lines; {limit} are allowed");
            findings.push(file.finding(function.line, what));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Config;
    use super::*;

    fn findings(text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(&File::new("a.rs", text), &Config::for_tests().limits, &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_tidy_file_has_none() {
        assert!(findings("//! A file.\nfn f() {\n    g()\n}\n").is_empty());
    }

    #[test]
    fn a_file_must_say_what_it_is() {
        assert_eq!(findings("//!\n"), ["a.rs:1: the file does not open with a `//!` line"]);
    }

    #[test]
    fn a_long_line_is_found_but_not_an_address() {
        let long = "x".repeat(41);
        let expected = "a.rs:2: a line of 41 columns; 40 are allowed";
        assert_eq!(findings(&format!("//! A file.\n// {}", &long[3..])), [expected]);
        assert!(findings(&format!("//! A file.\n// https://{long}")).is_empty());
    }

    #[test]
    fn a_long_function_is_found() {
        let expected = "a.rs:2: `f` has 5 lines; 4 are allowed";
        assert_eq!(findings("//! A file.\nfn f() {\n\n\n\n}\n"), [expected]);
    }

    #[test]
    fn a_long_file_is_found() {
        let text = format!("//! A file.\n{}", "\n".repeat(8));
        assert_eq!(findings(&text), ["a.rs:9: a file of 9 lines; 8 are allowed"]);
    }
}
