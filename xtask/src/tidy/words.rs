//! Texts that may not stand: calls in code, words anywhere.

use super::config::{Config, covers};
use super::{File, Finding};

/// Where the rules themselves are written down and tested.
const OWN: &str = "xtask/";

/// Where clocks are read.
const CLOCK_FILE: &str = "clock.rs";

pub(super) fn check_code(file: &File, config: &Config, findings: &mut Vec<Finding>) {
    for banned in config.banned.iter().filter(|banned| !covers(&banned.allowed, &file.path)) {
        if banned.text.ends_with("::now") && file.path.ends_with(CLOCK_FILE) {
            continue;
        }
        for (at, text) in file.source.code.match_indices(&banned.text) {
            let line = file.source.line_of(at);
            findings.push(file.finding(line, format!("`{text}`: {}", banned.why)));
        }
    }
}

pub(super) fn check_text(file: &File, config: &Config, findings: &mut Vec<Finding>) {
    if file.path.starts_with(OWN) || file.path.ends_with(".lock") {
        return;
    }
    let lower = file.source.text.to_lowercase();
    for word in config.word.iter().filter(|word| !covers(&word.allowed, &file.path)) {
        for (at, _) in lower.match_indices(&word.text.to_lowercase()) {
            let before = lower[..at].chars().next_back();
            let quoted = file.path.ends_with(".md") && before.is_some_and(|c| "\"'`*“".contains(c));
            if !before.is_some_and(char::is_alphanumeric) && !quoted {
                let line = lower[..at].matches('\n').count() + 1;
                findings.push(file.finding(line, format!("\"{}\": {}", word.text, word.why)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{Exception, Text};
    use super::*;

    fn text(text: &str) -> Text {
        let allowed = vec![Exception { path: "open.rs".into(), why: "tests".into() }];
        Text { text: text.into(), why: "no".into(), allowed }
    }

    fn lines(path: &str, content: &str) -> Vec<usize> {
        let mut config = Config::for_tests();
        config.banned = vec![text("dbg!"), text("Instant::now")];
        config.word = vec![text("colour")];
        let (file, mut findings) = (File::new(path, content), Vec::new());
        check_code(&file, &config, &mut findings);
        check_text(&file, &config, &mut findings);
        findings.into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_banned_call_is_found_in_code_only() {
        assert_eq!(lines("a.rs", "// dbg!\nlet a = \"dbg!\";\ndbg!(a);"), [3]);
        assert!(lines("open.rs", "dbg!(a);").is_empty());
    }

    #[test]
    fn clocks_are_read_in_their_own_file() {
        assert_eq!(lines("a.rs", "Instant::now()"), [1]);
        assert!(lines("a/clock.rs", "Instant::now()").is_empty());
    }

    #[test]
    fn a_word_is_found_anywhere_but_quoted_in_a_document() {
        assert_eq!(lines("a.md", "the\nColours"), [2]);
        assert_eq!(lines("a.rs", "// colour"), [1]);
        assert!(lines("a.md", "the word \"colour\", discoloured").is_empty());
    }
}
