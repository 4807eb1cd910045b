//! A passphrase, from a file or the environment.

use std::path::Path;

use zeroize::Zeroizing;

use crate::{Result, Shown, files};

/// A passphrase, a PIN or another secret that is typed. Wiped on drop, never shown.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// What was typed.
    pub fn new(text: Zeroizing<String>) -> Self {
        Passphrase(text)
    }

    /// None: where nothing is sealed.
    pub fn empty() -> Self {
        Passphrase(Zeroizing::default())
    }

    /// From a file if one is named, else from the environment; none where neither says it.
    pub fn given(path: Option<&Path>, variable: &str) -> Result<Option<Self>> {
        if path.is_some() {
            return Self::empty().of_file(path).map(Some);
        }
        let Some(text) = std::env::var_os(variable) else { return Ok(None) };
        let text = text
            .into_string()
            .map_err(|_| Shown::usage(format!("{variable} is no text in UTF-8"), "Set it anew."))?;
        Ok(Some(Passphrase(Zeroizing::new(text))))
    }

    /// The one in a file of its own, or this one once more.
    pub fn of_file(&self, path: Option<&Path>) -> Result<Self> {
        match path {
            Some(path) => {
                let bytes = Zeroizing::new(files::read(path)?);
                Self::from_file(&bytes).map_err(|error| error.about(path.display()))
            }
            None => Ok(Passphrase(self.0.clone())),
        }
    }

    /// What a passphrase file holds, without the end of its line. Bytes that are no text are
    /// refused: read as replacement characters, many files would open one key store.
    pub fn from_file(bytes: &[u8]) -> Result<Self> {
        let text = files::text(bytes)?.trim_end_matches(['\r', '\n']);
        Ok(Passphrase(Zeroizing::new(text.to_owned())))
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_what_the_file_says_or_is_refused() {
        assert_eq!(*Passphrase::from_file("süß\r\n".as_bytes()).unwrap().0, "süß");
        for other in [b"\xff\n", b"\xfe\n"] {
            assert_eq!(Passphrase::from_file(other).err().map(|error| error.exit()), Some(2));
        }
    }
}
