//! The end of a container's use: a final statement for each firm, then everything is erased.
//!
//! One commit decides: with it all final statements stand, and from then on nothing else is
//! answered. What is erased behind it may take many commits; a power cut among them is made good at
//! the next start.

use alloc::vec::Vec;

use protocol::codec;
use protocol::command::Reply;
use protocol::errors::{ErrorCode, Failure};
use protocol::objects::statement::FinalBody;
use protocol::signed::Kind;

use crate::engine::{Engine, Locked, Writes, store_failure};
use crate::platform::{Platform, Store};
use crate::power::PowerSession;
use crate::records::{self, Firm, FirmSlot, Retired};
use crate::seats::Seats;
use crate::steps::Statement;
use crate::usage_log::read_log;

/// Records erased in one commit: what is deleted waits in RAM.
const ERASED_PER_COMMIT: usize = 64;

impl<P: Platform> Engine<P> {
    pub(crate) fn decommission(&mut self, channel: u32) -> Result<Reply, Failure> {
        if self.locked != Locked::Decommissioned {
            self.check_unlocked()?;
            self.check_owner(channel)?;
            self.retire()?;
        }
        self.erase()?;
        Ok(Reply::Done)
    }

    /// The signed object, the same for ever.
    pub(crate) fn final_statement(&mut self, at: u8) -> Result<Reply, Failure> {
        if self.locked != Locked::Decommissioned {
            return Err(ErrorCode::NotDecommissioned.failure());
        }
        let found = records::final_at(self.platform.parts().store, at).map_err(store_failure)?;
        Ok(Reply::FinalStatement(found.unwrap_or_default()))
    }

    /// The commit that decides.
    fn retire(&mut self) -> Result<(), Failure> {
        if let Err(failure) = self.write_finals() {
            self.platform.parts().store.abort();
            return Err(failure);
        }
        let committed = self.finish_commit();
        // Asked of the store: it may have committed, and the counter have failed.
        if records::has(self.platform.parts().store, records::RETIRED).map_err(store_failure)? {
            self.locked = Locked::Decommissioned;
            self.seats = Seats::new(self.profile);
            self.power = PowerSession::default();
            (self.staging, self.pending) = (None, None);
        }
        committed
    }

    /// Final statements of all firms, in a transaction that stays open.
    fn write_finals(&mut self) -> Result<(), Failure> {
        let parts = self.platform.parts();
        let ran_s = self.time.ran_s(parts.clock);
        parts.store.begin().map_err(store_failure)?;
        records::write(parts.store, records::RAN, &ran_s).map_err(store_failure)?;
        let (mut finals, mut from) = (0, Some(0));
        while let Some(slot) = from {
            let store = self.platform.parts().store;
            let next = records::next_firm(store, slot).map_err(store_failure)?;
            let Some((slot, firm)) = next else { break };
            let statement = self.state_final(slot, &firm)?;
            let store = self.platform.parts().store;
            records::write(store, records::final_key(slot), &statement).map_err(store_failure)?;
            (finals, from) = (finals + 1, slot.checked_add(1));
        }
        let store = self.platform.parts().store;
        records::write(store, records::RETIRED, &Retired { finals }).map_err(store_failure)
    }

    fn state_final(&mut self, slot: FirmSlot, firm: &Firm) -> Result<Statement, Failure> {
        let parts = self.platform.parts();
        let log = read_log(parts.store, parts.keys, slot, firm.root_fp)?;
        let time = self.time.info(parts.clock, firm);
        let body = FinalBody {
            config_hash: firm.config_hash,
            entries: firm.entries,
            time,
            commits: firm.commits + 1,
            log_seq: log.seq,
            log_head: log.head,
        };
        let (seq, state) = (firm.seq, firm.state.0);
        self.state_signed(Kind::Final, firm.root_fp, seq, state, time.now_s, &codec::encode(&body))
    }

    /// Deletes what is left of firms and owner, in as many commits as it takes.
    pub(crate) fn erase(&mut self) -> Result<(), Failure> {
        loop {
            let store = self.platform.parts().store;
            let (mut writes, mut from) = (Writes::new(), 0);
            while writes.len() < ERASED_PER_COMMIT {
                let next = store.next_key(from).map_err(store_failure)?;
                let Some(key) = next else { break };
                if !records::is_kept_at_the_end(key) {
                    writes.push((key, None::<Vec<u8>>));
                }
                // No key is the last number there is: kinds end far below.
                from = key.saturating_add(1);
            }
            if writes.is_empty() {
                return Ok(());
            }
            self.commit(writes)?;
        }
    }
}
