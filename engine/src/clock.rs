//! Time from outside: nonces, and the tokens that answer them.

use alloc::vec::Vec;

use protocol::codec::{self, Fixed};
use protocol::command::Reply;
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::RootFp;
use protocol::limits::{STATEMENT_BODY_LEN_MAX, TIME_NONCE_S};
use protocol::objects::statement::TimeTokenBody;
use protocol::signed::Kind;

use crate::engine::{Engine, Writes};
use crate::platform::Platform;
use crate::records;

impl<P: Platform> Engine<P> {
    pub(crate) fn time_nonce(&mut self, root_fp: RootFp) -> Result<Reply, Failure> {
        let (slot, _) = self.firm(root_fp)?;
        let nonce = Fixed(self.entropy()?);
        self.time.ask(self.platform.parts().clock, slot, nonce);
        Ok(Reply::Nonce(nonce))
    }

    /// A token counts from when its nonce was drawn, so however long it was on its way, time does
    /// not stand still meanwhile.
    pub(crate) fn time_token(&mut self, object: &[u8]) -> Result<Reply, Failure> {
        self.check_unlocked()?;
        let failed = ErrorCode::TokenSignature.failure();
        let (header, body) =
            self.firm_object(object, Kind::TimeToken, STATEMENT_BODY_LEN_MAX, failed)?;
        let body: TimeTokenBody =
            codec::decode(&body, STATEMENT_BODY_LEN_MAX).map_err(|_| failed)?;
        let (slot, mut firm) = self.firm(header.root_fp)?;
        let parts = self.platform.parts();
        let asked = self.time.asked_ms_ago(parts.clock, slot, &header.state);
        let age_ms = asked.ok_or(ErrorCode::NonceUnknown.with(TIME_NONCE_S, 0))?;
        let latest_s = body.time_s.saturating_add(body.radius_s.into());
        if latest_s < firm.certified_s {
            return Err(ErrorCode::TokenEarlier.with(body.time_s, firm.certified_s));
        }
        let (reach_s, ran_s) =
            (self.time.reach_s(parts.clock, &firm), self.time.ran_s(parts.clock));
        firm.certify(body.time_s, age_ms / 1000, reach_s, ran_s);
        firm.commits += 1;
        self.commit(Vec::from([
            (records::firm_key(slot), Some(codec::encode(&firm))),
            (records::RAN, Some(codec::encode(&ran_s))),
        ]))?;
        self.time.answered(slot);
        Ok(Reply::Time(self.time.info(self.platform.parts().clock, &firm)))
    }

    /// Makes running time durable, now and then.
    pub(crate) fn keep_running_time(&mut self) -> Result<(), Failure> {
        let ran_s = self.time.ran_to_keep(self.platform.parts().clock);
        let Some(ran_s) = ran_s else { return Ok(()) };
        self.check_unlocked()?;
        self.commit(Writes::from([(records::RAN, Some(codec::encode(&ran_s)))]))?;
        self.time.kept(ran_s);
        Ok(())
    }
}
