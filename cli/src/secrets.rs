//! Secrets that open keys and containers: from a file, the environment or the terminal.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use protocol::objects::root::Mode;
use vendor::store::TokenPlace;
use vendor::token::Desk;
use vendor::{Passphrase, Result, Secrets, Shown, Token};
use zeroize::Zeroizing;

use crate::args::{KeyStoreArgs, NewKeyArgs, StoreArg};
use crate::security_box::SecurityBox;

impl Secrets for KeyStoreArgs {
    fn passphrase(&self, mode: Mode) -> Result<Passphrase> {
        passphrase(self, mode, false)
    }

    fn pin(&self, token: &str) -> Result<Passphrase> {
        let prompt = format!("PIN of the token {token:?}: ");
        let pin = secret(self.pin_file.as_deref(), "STRONGROOM_PIN", &prompt)?;
        pin.ok_or_else(|| {
            Shown::usage(
                format!("the PIN of the token {token:?} is needed"),
                "Name the file that holds it with --pin-file, or set STRONGROOM_PIN.",
            )
        })
    }

    fn key_files(&self) -> Vec<(&Path, Option<&Path>)> {
        let own = |at| self.key_passphrase_file.get(at).map(PathBuf::as_path);
        self.key_file.iter().enumerate().map(|(at, path)| (path.as_path(), own(at))).collect()
    }

    fn shares(&self) -> &[PathBuf] {
        &self.share
    }

    fn share_passphrase(&self, at: usize, mode: Mode) -> Result<Passphrase> {
        let path = self.share_passphrase_file.get(at).map(PathBuf::as_path);
        of_share(path, &self.share[at], mode, false)
    }

    fn dongle(&self, serial: &str, pin: &Passphrase, mode: Mode) -> Result<Box<dyn Desk>> {
        Ok(Box::new(SecurityBox::open(serial, pin, &self.source, mode)?))
    }
}

/// The passphrase of a key store; a `new` one is typed twice. A test vendor has an empty one unless
/// told otherwise.
pub(crate) fn passphrase(args: &KeyStoreArgs, mode: Mode, new: bool) -> Result<Passphrase> {
    let given = Passphrase::given(args.passphrase_file.as_deref(), "STRONGROOM_PASSPHRASE")?;
    if let Some(passphrase) = given {
        return Ok(passphrase);
    }
    if mode == Mode::Test {
        return Ok(Passphrase::empty());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Shown::usage(
            "the key store's passphrase is needed",
            "Name the file that holds it with --passphrase-file, or set STRONGROOM_PASSPHRASE.",
        ));
    }
    let first = ask("Passphrase: ")?;
    if new && first.text() != ask("Once more: ")?.text() {
        return Err(Shown::usage("the two differ", "Try again."));
    }
    if new && first.text().is_empty() {
        return Err(Shown::usage("an empty passphrase protects nothing", "Choose one."));
    }
    Ok(first)
}

/// The passphrase of a share: from a file or the terminal. Those of a test vendor have an empty one
/// unless told otherwise.
pub(crate) fn of_share(
    path: Option<&Path>,
    share: &Path,
    mode: Mode,
    new: bool,
) -> Result<Passphrase> {
    if path.is_some() || mode == Mode::Test {
        return Passphrase::empty().of_file(path);
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
    if new && (first.text().is_empty() || first.text() != ask("Once more: ")?.text()) {
        return Err(Shown::usage("it is empty, or the two differ", "Try again."));
    }
    Ok(first)
}

/// A secret from a file, the environment, or the terminal; none where there is nobody to ask.
pub(crate) fn secret(
    file: Option<&Path>,
    variable: &str,
    prompt: &str,
) -> Result<Option<Passphrase>> {
    match Passphrase::given(file, variable)? {
        Some(given) => Ok(Some(given)),
        None if std::io::stdin().is_terminal() => ask(prompt).map(Some),
        None => Ok(None),
    }
}

/// Asks for a secret at the terminal.
pub(crate) fn ask(prompt: &str) -> Result<Passphrase> {
    let _ = write!(anstream::stderr(), "{prompt}");
    let _ = anstream::stderr().flush();
    match rpassword::read_password() {
        Ok(typed) => Ok(Passphrase::new(Zeroizing::new(typed))),
        Err(error) => Err(Shown::io(Path::new("terminal"), &error)),
    }
}

/// The token that is named for new keys, if one is.
pub(crate) fn named_token(
    new: &NewKeyArgs,
    args: &KeyStoreArgs,
    mode: Mode,
) -> Result<Option<Token>> {
    let Some(token) = &new.token else { return Ok(None) };
    let module = match (new.store, &new.module) {
        (Some(StoreArg::Pkcs11), Some(module)) => {
            // Not the file behind a link: that changes with every update of the module.
            Some(std::path::absolute(module).map_err(|error| Shown::io(module, &error))?)
        }
        (Some(StoreArg::Dongle), None) => None,
        (Some(StoreArg::Pkcs11), None) => {
            return Err(Shown::usage("by which module is not said", "Name it with --module."));
        }
        (Some(StoreArg::Dongle), Some(_)) => {
            return Err(Shown::usage("a dongle has no module", "Leave --module out."));
        }
        _ => {
            let hint = "Say --store pkcs11 or --store dongle, or leave --token out.";
            return Err(Shown::usage("a token is named, and no keys go into it", hint));
        }
    };
    let place = TokenPlace { module, token: token.clone(), firm_key: None, keys: Vec::new() };
    Token::open(place, args, mode).map(Some)
}
