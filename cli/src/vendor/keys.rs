//! A vendor's private keys, in a file under a passphrase. For development; real ones belong in
//! hardware.

use std::io::{IsTerminal, Write};
use std::path::Path;

use argon2::Argon2;
use protocol::codec::{self, Fixed};
use protocol::crypto::aead;
use protocol::crypto::ecdsa::SigningKey;
use protocol::crypto::{Random, RandomFailed};
use protocol::errors::ErrorCode;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::args::KeyStoreArgs;
use crate::error::{CliError, Result};
use crate::files;

const MAGIC: &[u8; 8] = b"STRGKEYS";
const VERSION: u8 = 1;
const LEN_MAX: usize = 1024;

/// The private keys of a firm. Wiped on drop.
pub(crate) struct VendorKeys {
    /// Signs roots.
    pub(crate) root: SigningKey,
    /// Signs updates.
    pub(crate) licensing: SigningKey,
    /// Signs artifacts.
    pub(crate) protect: SigningKey,
    /// Item keys are derived from it.
    pub(crate) firm_key: Zeroizing<[u8; 32]>,
}

/// A passphrase. Wiped on drop, never shown.
pub(crate) struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// From a file, the environment, or the terminal. A test vendor has an empty one unless told
    /// otherwise.
    pub(crate) fn obtain(args: &KeyStoreArgs, test: bool, new: bool) -> Result<Self> {
        if let Some(path) = &args.passphrase_file {
            let bytes = Zeroizing::new(files::read(path)?);
            return Self::from_file(&bytes).map_err(|error| error.about(path.display()));
        }
        if let Some(text) = std::env::var_os("STRONGROOM_PASSPHRASE") {
            let text = text.into_string().map_err(|_| {
                CliError::usage("STRONGROOM_PASSPHRASE is no text in UTF-8", "Set it anew.")
            })?;
            return Ok(Passphrase(Zeroizing::new(text)));
        }
        if test {
            return Ok(Passphrase(Zeroizing::default()));
        }
        if !std::io::stdin().is_terminal() {
            return Err(CliError::usage(
                "the key store's passphrase is needed",
                "Name the file that holds it with --passphrase-file, or set STRONGROOM_PASSPHRASE.",
            ));
        }
        let first = ask("Passphrase: ")?;
        if new && *first != *ask("Once more: ")? {
            return Err(CliError::usage("the two differ", "Try again."));
        }
        if new && first.is_empty() {
            return Err(CliError::usage("an empty passphrase protects nothing", "Choose one."));
        }
        Ok(Passphrase(first))
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
    typed.map(Zeroizing::new).map_err(|error| CliError::io(Path::new("terminal"), &error))
}

/// The file's contents. The cost of opening it is no field: nobody chooses it for us.
#[derive(Serialize, Deserialize)]
pub(crate) struct Sealed {
    salt: Fixed<16>,
    nonce: Fixed<12>,
    sealed: Fixed<{ 4 * 32 + 16 }>,
}

impl Sealed {
    /// Takes a file's bytes apart.
    pub(crate) fn parse(file: &[u8]) -> Result<Self> {
        let damaged = || CliError::from(ErrorCode::Malformed.failure());
        let rest = file.strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix(&[VERSION]));
        codec::decode(rest.ok_or_else(damaged)?, LEN_MAX).map_err(|_| damaged())
    }

    /// The file's bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        file.push(VERSION);
        file.extend_from_slice(&codec::encode(self));
        file
    }
}

impl VendorKeys {
    /// New keys.
    pub(crate) fn generate() -> Result<Self> {
        let mut random = SystemRandom;
        let mut key =
            || SigningKey::generate(&mut random).map_err(|_| ErrorCode::RandomFailed.failure());
        let (root, licensing, protect) = (key()?, key()?, key()?);
        Ok(VendorKeys { root, licensing, protect, firm_key: Zeroizing::new(entropy()?) })
    }

    /// Writes the keys, readable by their owner only.
    pub(crate) fn write(&self, path: &Path, passphrase: &Passphrase) -> Result<()> {
        let mut sealed =
            Sealed { salt: Fixed::default(), nonce: Fixed::default(), sealed: Fixed::default() };
        fill(&mut sealed.salt.0)?;
        fill(&mut sealed.nonce.0)?;
        let bytes = &mut sealed.sealed.0;
        for (place, key) in
            bytes.chunks_exact_mut(32).zip([&self.root, &self.licensing, &self.protect])
        {
            place.copy_from_slice(&key.to_secret_bytes()[..]);
        }
        bytes[96..128].copy_from_slice(&self.firm_key[..]);
        let key = stretch(passphrase, &sealed.salt.0)?;
        let tag = aead::seal_in_place(&key, &sealed.nonce.0, MAGIC, &mut bytes[..128]);
        bytes[128..].copy_from_slice(&tag);
        files::replace(path, &sealed.to_bytes(), 0o600)
    }

    /// Reads them back.
    pub(crate) fn read(path: &Path, passphrase: &Passphrase) -> Result<Self> {
        let damaged = || CliError::from(ErrorCode::Malformed.failure()).about(path.display());
        let mut sealed =
            Sealed::parse(&files::read(path)?).map_err(|error| error.about(path.display()))?;
        let key = stretch(passphrase, &sealed.salt.0)?;
        let (bytes, tag) = sealed.sealed.0.split_at_mut(128);
        let tag: &[u8; 16] = (&*tag).try_into().map_err(|_| damaged())?;
        aead::open_in_place(&key, &sealed.nonce.0, MAGIC, bytes, tag)
            .map_err(|_| ErrorCode::VendorPassphrase.failure())?;
        let part = |at: usize| -> Zeroizing<[u8; 32]> {
            let mut key = Zeroizing::new([0; 32]);
            key.copy_from_slice(&bytes[at..at + 32]);
            key
        };
        let signing = |at| SigningKey::from_bytes(&part(at)).map_err(|_| damaged());
        let keys = VendorKeys {
            root: signing(0)?,
            licensing: signing(32)?,
            protect: signing(64)?,
            firm_key: part(96),
        };
        bytes.zeroize();
        Ok(keys)
    }
}

/// Argon2id (RFC 9106) with the library's recommended cost.
fn stretch(passphrase: &Passphrase, salt: &[u8; 16]) -> Result<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    Argon2::default()
        .hash_password_into(passphrase.0.as_bytes(), salt, &mut key[..])
        .map_err(|error| CliError::usage(error, "Use another passphrase."))?;
    Ok(key)
}

/// The system's randomness.
pub(crate) struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, out: &mut [u8]) -> std::result::Result<(), RandomFailed> {
        getrandom::fill(out).map_err(|_| RandomFailed)
    }
}

/// 32 fresh bytes.
pub(crate) fn entropy() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    fill(&mut bytes)?;
    Ok(bytes)
}

fn fill(out: &mut [u8]) -> Result<()> {
    Ok(SystemRandom.fill(out).map_err(|_| ErrorCode::RandomFailed.failure())?)
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
