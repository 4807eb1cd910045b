//! Showing to be a container's owner: the PIN, where one is set.

use std::io::IsTerminal;
use std::path::Path;

use container::Container;
use protocol::errors::ErrorCode;
use zeroize::Zeroizing;

use crate::args::Args;
use crate::error::{Result, Shown};
use crate::{files, vendor};

/// Enters the PIN where the container has one.
pub(crate) fn unlock(container: &Container, args: &Args) -> Result<()> {
    match container.info()?.pin_tries {
        None => Ok(()),
        Some(0) => {
            let most = protocol::limits::PIN_TRIES.into();
            Err(ErrorCode::PinLocked.with(most, 0).into())
        }
        Some(_) => {
            let pin = secret(args.pin_file.as_deref(), "STRONGROOM_CONTAINER_PIN", "PIN: ")?;
            let pin = pin.ok_or_else(|| Shown::from(ErrorCode::PinNeeded.failure()))?;
            Ok(container.enter_pin(&pin)?)
        }
    }
}

/// A secret from a file, the environment, or the terminal; none where there is nobody to ask.
pub(crate) fn secret(
    file: Option<&Path>,
    variable: &str,
    prompt: &str,
) -> Result<Option<Zeroizing<String>>> {
    if let Some(path) = file {
        let bytes = Zeroizing::new(files::read(path)?);
        let text = files::text(&bytes).map_err(|error| error.about(path.display()))?;
        return Ok(Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())));
    }
    if let Ok(text) = std::env::var(variable) {
        return Ok(Some(Zeroizing::new(text)));
    }
    match std::io::stdin().is_terminal() {
        true => vendor::ask(prompt).map(Some),
        false => Ok(None),
    }
}
