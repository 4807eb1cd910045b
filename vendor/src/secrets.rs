//! Who is asked for what opens private keys.

use std::path::{Path, PathBuf};

use protocol::objects::root::Mode;

use crate::passphrase::Passphrase;
use crate::token::Desk;
use crate::{Result, Shown};

/// What opens private keys, from whoever can be asked: a server has files and variables, the
/// command line a person too. Each is asked for only when it is needed.
pub trait Secrets {
    /// The passphrase of a vendor directory of this mode.
    ///
    /// # Errors
    /// Nobody says it.
    fn passphrase(&self, mode: Mode) -> Result<Passphrase>;

    /// The PIN of a token.
    ///
    /// # Errors
    /// Nobody says it.
    fn pin(&self, token: &str) -> Result<Passphrase>;

    /// Other files with private keys, each with the file of its passphrase; the directory's counts
    /// where there is none.
    fn key_files(&self) -> Vec<(&Path, Option<&Path>)> {
        Vec::new()
    }

    /// Shares of private keys, as many as are needed.
    fn shares(&self) -> &[PathBuf] {
        &[]
    }

    /// The passphrase of the share at this place among [`Secrets::shares`].
    ///
    /// # Errors
    /// Nobody says it.
    fn share_passphrase(&self, at: usize, mode: Mode) -> Result<Passphrase> {
        let _ = mode;
        Err(Shown::not_found(format!("nobody has the passphrase of share {}", at + 1), "Name it."))
    }

    /// The dongle of this serial, which keeps keys for vendors of this mode and takes the PIN.
    ///
    /// # Errors
    /// It is not within reach, is another kind, or refuses.
    fn dongle(&self, serial: &str, pin: &Passphrase, mode: Mode) -> Result<Box<dyn Desk>> {
        let _ = (pin, mode);
        let title =
            format!("the keys are in the dongle {serial}, and no dongle is reached from here");
        Err(Shown::not_found(title, "Use the command line, where it is plugged in."))
    }
}
