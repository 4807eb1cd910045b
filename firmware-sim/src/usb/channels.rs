//! The table of channels, and the rule by which one is taken back for a newcomer.

use protocol::frame::Cid;

use super::PortId;

/// Channels that a dongle keeps at once.
pub const CHANNELS_MAX: usize = 64;

/// A channel that carried messages may be taken back after this long without one. It is twice the
/// longest pause that a client with an open session makes between its heartbeats.
pub const CHANNEL_IDLE_MS: u64 = 120_000;

#[derive(Clone, Copy, Debug)]
struct Channel {
    cid: Cid,
    port: PortId,
    /// Has carried a message, so it may hold a session.
    used: bool,
    heard_ms: u64,
}

/// All open channels, the least recently used first.
///
/// When the table is full, a newcomer gets the place of the first of these that there is:
///
/// 1. the least recently used channel that never carried a message, those of the newcomer's own
///    port first: its client has asked and gone, or asks too often;
/// 2. the least recently used channel without a message for [`CHANNEL_IDLE_MS`]: its session has
///    missed its heartbeats and is over.
///
/// Otherwise the newcomer is refused: a channel that may hold a living session is never taken, nor
/// one whose message is under way. A number comes again only after all others.
#[derive(Debug)]
pub(super) struct ChannelTable {
    channels: Vec<Channel>,
    next: u32,
}

impl ChannelTable {
    pub(super) fn new(first_cid: u32) -> Self {
        Self { channels: Vec::with_capacity(CHANNELS_MAX), next: first_cid }
    }

    /// A new channel for `port` and, if one had to give way, the one that is no more. `active` is
    /// the channel whose message is under way.
    pub(super) fn allocate(
        &mut self,
        port: PortId,
        now_ms: u64,
        active: Option<Cid>,
    ) -> Option<(Cid, Option<Cid>)> {
        let reclaimed = match self.channels.len() < CHANNELS_MAX {
            true => None,
            false => Some(self.channels.remove(self.dispensable(port, now_ms, active)?).cid),
        };
        let cid = self.fresh();
        self.channels.push(Channel { cid, port, used: false, heard_ms: now_ms });
        Some((cid, reclaimed))
    }

    fn dispensable(&self, port: PortId, now_ms: u64, active: Option<Cid>) -> Option<usize> {
        let first = |fits: &dyn Fn(&Channel) -> bool| {
            self.channels.iter().position(|c| Some(c.cid) != active && fits(c))
        };
        let idle = |c: &Channel| now_ms.saturating_sub(c.heard_ms) >= CHANNEL_IDLE_MS;
        first(&|c| !c.used && c.port == port)
            .or_else(|| first(&|c| !c.used))
            .or_else(|| first(&idle))
    }

    fn fresh(&mut self) -> Cid {
        loop {
            let cid = Cid(self.next);
            self.next = self.next.wrapping_add(1);
            if cid != Cid::NONE && cid != Cid::BROADCAST && self.port(cid).is_none() {
                return cid;
            }
        }
    }

    /// Notes that channel `cid` carried a message.
    pub(super) fn touch(&mut self, cid: Cid, now_ms: u64) {
        if let Some(index) = self.channels.iter().position(|c| c.cid == cid) {
            let channel = self.channels.remove(index);
            self.channels.push(Channel { used: true, heard_ms: now_ms, ..channel });
        }
    }

    /// The port that channel `cid` belongs to, if it is open.
    pub(super) fn port(&self, cid: Cid) -> Option<PortId> {
        self.channels.iter().find(|c| c.cid == cid).map(|c| c.port)
    }

    pub(super) fn remove(&mut self, cid: Cid) {
        self.channels.retain(|c| c.cid != cid);
    }

    pub(super) fn of_port(&self, port: PortId) -> Vec<Cid> {
        self.channels.iter().filter(|c| c.port == port).map(|c| c.cid).collect()
    }

    pub(super) fn all(&self) -> Vec<Cid> {
        self.channels.iter().map(|c| c.cid).collect()
    }
}
