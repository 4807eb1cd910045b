//! Whether a container would take an update, asked without sending it: for `--dry-run`.

use container::Container;
use protocol::errors::ErrorCode;
use vendor::Result;

use super::{Update, UpdateFile};
use crate::reach;

/// Compares the update's place in the vendor's chain with the one that the container states.
/// Whether the vendor signed it is the container's to judge.
pub(super) fn check(update: &UpdateFile, container: &Container) -> Result<()> {
    // Roots and revocations alone have no place in the chain; their numbers are the container's.
    let Some(Update { header, .. }) = &update.update else { return Ok(()) };
    if &header.target != container.device().id.bytes() {
        return Err(ErrorCode::UpdateOtherContainer.failure().into());
    }
    if let Some(root) = &update.trust.root {
        container.check_firm(root.root_fp, root.body.mode)?;
    }
    let (context, body) = reach::context(container, header.root_fp)?;
    if body.root_version == 0 && update.trust.root.is_none() {
        return Err(ErrorCode::RootNeeded.failure().into());
    }
    let (seq, state) = (context.seq, context.state);
    if header.seq <= seq {
        return Err(ErrorCode::UpdateOld.with(seq, header.seq).into());
    }
    if header.seq > seq + 1 {
        return Err(ErrorCode::UpdateAhead.with(seq + 1, header.seq).into());
    }
    if header.state != state {
        return Err(ErrorCode::UpdateOtherState.with(header.seq, 0).into());
    }
    let now_s = body.time.now_s;
    if header.until_s != 0 && now_s > header.until_s {
        return Err(ErrorCode::UpdateLate.with(header.until_s, now_s).into());
    }
    Ok(())
}
