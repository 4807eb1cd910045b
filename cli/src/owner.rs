//! Showing to be a container's owner: the PIN, where one is set.

use container::Container;
use protocol::errors::ErrorCode;
use vendor::{Result, Shown};

use crate::args::Args;
use crate::secrets::secret;

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
            Ok(container.enter_pin(pin.text())?)
        }
    }
}
