//! Whether a container would take an update, asked without sending it: for `--dry-run`.

use container::Container;
use protocol::codec;
use protocol::errors::ErrorCode;
use protocol::limits::STATEMENT_BODY_LEN_MAX;
use protocol::objects::file;
use protocol::objects::statement::ContextBody;

use super::{Update, UpdateFile};
use crate::error::Result;
use crate::vendor::fresh_nonce;

/// Compares the update's place in the vendor's chain with the one that the container states.
/// Whether the vendor signed it is the container's to judge.
pub(super) fn check(update: &UpdateFile, container: &Container) -> Result<()> {
    // Roots and revocations alone have no place in the chain; their numbers are the container's.
    let Some(Update { header, .. }) = &update.update else { return Ok(()) };
    if &header.target != container.device().id.bytes() {
        return Err(ErrorCode::UpdateOtherContainer.failure().into());
    }
    if let Some(root) = &update.trust.root {
        container.check_mode(root.body.mode)?;
    }
    let context = container.context(header.root_fp, fresh_nonce()?)?;
    let (context, _) = file::next_object(&context, STATEMENT_BODY_LEN_MAX)?;
    let refused = ErrorCode::ContextRefused.failure();
    let body = context.body_if_intact().ok_or(refused)?;
    let body: ContextBody = codec::decode(body, STATEMENT_BODY_LEN_MAX).map_err(|_| refused)?;
    if body.root_version == 0 && update.trust.root.is_none() {
        return Err(ErrorCode::RootNeeded.failure().into());
    }
    let (seq, state) = (context.header().seq, context.header().state);
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
