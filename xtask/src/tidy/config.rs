//! `xtask/tidy.toml`: limits, exceptions and the texts that are looked for.

use crate::Outcome;
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) unsafe_code: Vec<Exception>,
    #[serde(default)]
    pub(super) banned: Vec<Text>,
    #[serde(default)]
    pub(super) word: Vec<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) columns: usize,
    pub(super) function_lines: usize,
    pub(super) file_lines: usize,
}

/// A text that may not stand, and where it may after all.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) why: String,
    #[serde(default)]
    pub(super) allowed: Vec<Exception>,
}

/// A file, or with a `/` at its end a directory, that a rule leaves out, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exception {
    pub(super) path: String,
    pub(super) why: String,
}

impl Config {
    pub(super) fn read(root: &Path) -> Outcome<Self> {
        let config: Self = toml::from_str(&std::fs::read_to_string(root.join("xtask/tidy.toml"))?)?;
        let unexplained = config.exceptions().find(|exception| exception.why.trim().is_empty());
        if let Some(Exception { path, .. }) = unexplained {
            return Err(format!("tidy.toml: no reason for {path}").into());
        }
        Ok(config)
    }

    fn exceptions(&self) -> impl Iterator<Item = &Exception> {
        let texts = self.banned.iter().chain(&self.word);
        self.unsafe_code.iter().chain(texts.flat_map(|text| &text.allowed))
    }
}

/// Whether one of the exceptions covers `path`.
pub(super) fn covers(exceptions: &[Exception], path: &str) -> bool {
    exceptions.iter().any(|exception| {
        exception.path == path || exception.path.ends_with('/') && path.starts_with(&exception.path)
    })
}

#[cfg(test)]
impl Config {
    /// Small limits, one exception.
    pub(super) fn for_tests() -> Self {
        Self {
            limits: Limits { columns: 40, function_lines: 4, file_lines: 8 },
            unsafe_code: vec![Exception { path: "raw/".into(), why: "tests".into() }],
            banned: Vec::new(),
            word: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_slash_covers_what_is_below() {
        let exception = |path: &str| vec![Exception { path: path.into(), why: "tests".into() }];
        assert!(covers(&exception("a/"), "a/b.rs"));
        assert!(covers(&exception("a/b.rs"), "a/b.rs"));
        assert!(!covers(&exception("a"), "a/b.rs"));
        assert!(!covers(&exception("a/"), "ab/c.rs"));
    }
}
