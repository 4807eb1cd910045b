//! The usage log of a firm: written with what it books, shown under a signed head, pruned when the
//! firm has acknowledged it and not before.

use alloc::vec::Vec;

use protocol::codec::{self, Fixed, List};
use protocol::command::Reply;
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{OpId, RootFp};
use protocol::limits::{LOG_ENTRIES_MAX, LOG_ENTRIES_PER_REPLY, STATEMENT_BODY_LEN_MAX};
use protocol::objects::license::ItemRef;
use protocol::objects::usage::{
    UsageEntry, UsageHeadBody, UsageKind, UsageLeaf, genesis_head, next_head, subject,
};
use protocol::signed::Kind;

use crate::engine::{Engine, Writes, store_failure};
use crate::platform::{Keys, Platform, Random, Store};
use crate::records::{self, Firm, FirmSlot, Log};
use crate::steps::Statement;

/// Something to be booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Booking {
    pub kind: UsageKind,
    pub units: u64,
    pub left: u64,
}

/// Entries that are kept free so that what was begun can be ended.
const RESERVED_ENTRIES: u64 = 2 * protocol::limits::RESERVATIONS_MAX as u64;

impl<P: Platform> Engine<P> {
    /// Whether another use can be booked to its end.
    pub(crate) fn has_log_room(&mut self, slot: FirmSlot) -> Result<bool, Failure> {
        let store = self.platform.parts().store;
        let log: Option<Log> =
            records::read(store, records::log_key(slot)).map_err(store_failure)?;
        let waiting = log.map_or(0, |log| log.seq - log.acked_seq);
        Ok(waiting + RESERVED_ENTRIES < LOG_ENTRIES_MAX)
    }

    /// Adds entries to what a step writes.
    #[expect(clippy::too_many_arguments, reason = "what a leaf says, each of another type")]
    pub(crate) fn book(
        &mut self,
        slot: FirmSlot,
        firm: &Firm,
        item: ItemRef,
        op: OpId,
        user: Fixed<16>,
        bookings: &[Booking],
        writes: &mut Writes,
    ) -> Result<(), Failure> {
        if bookings.is_empty() {
            return Ok(());
        }
        let parts = self.platform.parts();
        let at_s = self.time.now_s(parts.clock, firm);
        let mut log = read_log(parts.store, parts.keys, slot, firm.root_fp)?;
        for booking in bookings {
            let leaf = UsageLeaf {
                at_s,
                kind: booking.kind,
                item,
                units: booking.units,
                left: booking.left,
                op,
                subject: subject(firm.root_fp, user),
            };
            let entry = append(&mut log, leaf, parts.random)?;
            let key = records::log_entry_key(slot, log.seq);
            writes.push((key, Some(codec::encode(&entry))));
        }
        writes.push((records::log_key(slot), Some(codec::encode(&log))));
        Ok(())
    }

    /// The signed head.
    pub(crate) fn usage_head(
        &mut self,
        root_fp: RootFp,
        nonce: Fixed<32>,
    ) -> Result<Statement, Failure> {
        let (slot, firm) = self.firm(root_fp)?;
        let parts = self.platform.parts();
        let log = read_log(parts.store, parts.keys, slot, root_fp)?;
        let time = self.time.info(parts.clock, &firm);
        let body = UsageHeadBody {
            nonce,
            acked_seq: log.acked_seq,
            acked_head: log.acked_head,
            time,
            commits: firm.commits,
        };
        let body = codec::encode(&body);
        self.state_signed(Kind::UsageHead, root_fp, log.seq, log.head.0, time.now_s, &body)
    }

    pub(crate) fn usage_entries(&mut self, root_fp: RootFp, after: u64) -> Result<Reply, Failure> {
        let (slot, _) = self.firm(root_fp)?;
        let parts = self.platform.parts();
        let log = read_log(parts.store, parts.keys, slot, root_fp)?;
        if after < log.acked_seq {
            return Err(ErrorCode::UsageEntriesGone.with(after, log.acked_seq));
        }
        let mut entries = Vec::new();
        for seq in after.saturating_add(1)..=log.seq {
            if entries.len() == LOG_ENTRIES_PER_REPLY {
                break;
            }
            entries.push(read_entry(parts.store, slot, seq)?);
        }
        Ok(Reply::UsageEntries(List::new(entries).unwrap_or_default()))
    }

    /// Deletes what the firm has. The firm's word must name the head that this log had there.
    pub(crate) fn usage_ack(&mut self, object: &[u8]) -> Result<Reply, Failure> {
        self.check_unlocked()?;
        let failed = ErrorCode::AckSignature.failure();
        let (header, _) =
            self.firm_object(object, Kind::UsageAck, STATEMENT_BODY_LEN_MAX, failed)?;
        let (slot, mut firm) = self.firm(header.root_fp)?;
        let parts = self.platform.parts();
        let mut log = read_log(parts.store, parts.keys, slot, header.root_fp)?;
        if header.seq <= log.acked_seq {
            return Ok(Reply::Done);
        }
        if header.seq > log.seq {
            return Err(ErrorCode::AckFork.with(header.seq, log.seq));
        }
        let mut head = log.acked_head.0;
        let first = log.acked_seq + 1;
        let mut writes = Writes::new();
        for seq in first..=header.seq {
            head = next_head(&head, seq, &read_entry(parts.store, slot, seq)?);
            // A transaction has its bound: the rest goes when the word is given again.
            if seq - first < LOG_ENTRIES_MAX {
                (log.acked_seq, log.acked_head) = (seq, Fixed(head));
                writes.push((records::log_entry_key(slot, seq), None));
            }
        }
        if head != header.state {
            return Err(ErrorCode::AckFork.with(header.seq, log.seq));
        }
        firm.commits += 1;
        writes.push((records::log_key(slot), Some(codec::encode(&log))));
        writes.push((records::firm_key(slot), Some(codec::encode(&firm))));
        self.commit(writes)?;
        Ok(Reply::Done)
    }
}

/// A firm's log, or an empty one.
pub(crate) fn read_log(
    store: &mut impl Store,
    keys: &impl Keys,
    slot: FirmSlot,
    root_fp: RootFp,
) -> Result<Log, Failure> {
    let log: Option<Log> = records::read(store, records::log_key(slot)).map_err(store_failure)?;
    let genesis = || Fixed(genesis_head(root_fp, keys.id()));
    Ok(log.unwrap_or_else(|| Log { seq: 0, head: genesis(), acked_seq: 0, acked_head: genesis() }))
}

/// Chains one more entry.
pub(crate) fn append(
    log: &mut Log,
    leaf: UsageLeaf,
    random: &mut impl Random,
) -> Result<UsageEntry, Failure> {
    let mut salt = [0; 16];
    random.fill(&mut salt).map_err(|_| ErrorCode::RandomFailed.failure())?;
    let entry = UsageEntry { salt: Fixed(salt), leaf };
    log.seq += 1;
    log.head = Fixed(next_head(&log.head.0, log.seq, &entry));
    Ok(entry)
}

fn read_entry(store: &mut impl Store, slot: FirmSlot, seq: u64) -> Result<UsageEntry, Failure> {
    let entry = records::read(store, records::log_entry_key(slot, seq)).map_err(store_failure)?;
    entry.ok_or(ErrorCode::StoreFailed.failure())
}
