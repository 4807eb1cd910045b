//! The passphrase of a key store: from a file, the environment or the terminal.

use std::io::{IsTerminal, Write};
use std::path::Path;

use zeroize::Zeroizing;

use crate::args::KeyStoreArgs;
use crate::error::{Result, Shown};
use crate::files;

/// A passphrase. Wiped on drop, never shown.
pub(crate) struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// From a file, the environment, or the terminal. A test vendor has an empty one unless told
    /// otherwise.
    pub(crate) fn obtain(args: &KeyStoreArgs, test: bool, new: bool) -> Result<Self> {
        let given = Self::given(args.passphrase_file.as_deref(), "STRONGROOM_PASSPHRASE")?;
        if let Some(passphrase) = given {
            return Ok(passphrase);
        }
        if test {
            return Ok(Self::empty());
        }
        if !std::io::stdin().is_terminal() {
            return Err(Shown::usage(
                "the key store's passphrase is needed",
                "Name the file that holds it with --passphrase-file, or set STRONGROOM_PASSPHRASE.",
            ));
        }
        let first = ask("Passphrase: ")?;
        if new && *first != *ask("Once more: ")? {
            return Err(Shown::usage("the two differ", "Try again."));
        }
        if new && first.is_empty() {
            return Err(Shown::usage("an empty passphrase protects nothing", "Choose one."));
        }
        Ok(Passphrase(first))
    }

    /// The PIN of a token: from a file, the environment, or the terminal.
    pub(crate) fn pin(args: &KeyStoreArgs, token: &str) -> Result<Self> {
        if let Some(pin) = Self::given(args.pin_file.as_deref(), "STRONGROOM_PIN")? {
            return Ok(pin);
        }
        if !std::io::stdin().is_terminal() {
            return Err(Shown::usage(
                format!("the PIN of the token {token:?} is needed"),
                "Name the file that holds it with --pin-file, or set STRONGROOM_PIN.",
            ));
        }
        ask(&format!("PIN of the token {token:?}: ")).map(Passphrase)
    }

    /// The passphrase of a share: from a file or the terminal. Those of a test vendor have an empty
    /// one unless told otherwise.
    pub(crate) fn of_share(
        path: Option<&Path>,
        share: &Path,
        test: bool,
        new: bool,
    ) -> Result<Self> {
        if path.is_some() || test {
            return Self::empty().of_file(path);
        }
        let share = share.display();
        if !std::io::stdin().is_terminal() {
            let flag = if new { "--new-passphrase-file" } else { "--share-passphrase-file" };
            return Err(Shown::usage(
                format!("the passphrase of the share {share} is needed"),
                format!("Name the file that holds it with {flag}, once for each share."),
            ));
        }
        let first = ask(&format!("Passphrase of {share}: "))?;
        if new && (first.is_empty() || *first != *ask("Once more: ")?) {
            return Err(Shown::usage("it is empty, or the two differ", "Try again."));
        }
        Ok(Passphrase(first))
    }

    /// None: where nothing is sealed.
    pub(crate) fn empty() -> Self {
        Passphrase(Zeroizing::default())
    }

    fn given(path: Option<&Path>, variable: &str) -> Result<Option<Self>> {
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
    pub(crate) fn of_file(&self, path: Option<&Path>) -> Result<Self> {
        match path {
            Some(path) => {
                let bytes = Zeroizing::new(files::read(path)?);
                Self::from_file(&bytes).map_err(|error| error.about(path.display()))
            }
            None => Ok(Passphrase(self.0.clone())),
        }
    }

    /// Its text.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// What a passphrase file holds, without the end of its line. Bytes that are no text are
    /// refused: read as replacement characters, many files would open one key store.
    pub(crate) fn from_file(bytes: &[u8]) -> Result<Self> {
        let text = files::text(bytes)?.trim_end_matches(['\r', '\n']);
        Ok(Passphrase(Zeroizing::new(text.to_owned())))
    }
}

/// Asks for a secret at the terminal.
pub(crate) fn ask(prompt: &str) -> Result<Zeroizing<String>> {
    let _ = write!(anstream::stderr(), "{prompt}");
    let _ = anstream::stderr().flush();
    let typed = rpassword::read_password();
    typed.map(Zeroizing::new).map_err(|error| Shown::io(Path::new("terminal"), &error))
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
