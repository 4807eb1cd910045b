//! The dongle's side of the report layer: channels, one message at a time, keepalives, errors.
//!
//! Pure: reports in, reports out, and the caller says what time it is. A *port* is one plug: a real
//! dongle has one, the simulator's server one per connection. Channels belong to the port that they
//! were opened through, and end with it.

#[cfg(test)]
mod bus_tests;
mod channels;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use protocol::frame::{
    Allocation, Assembler, Cid, Command, ErrorCode, FRAME_VERSION, KEEPALIVE_INTERVAL_MS,
    MESSAGE_MAX, NONCE_LEN, Packet, Report, STATUS_PROCESSING, Step, split,
};

use channels::ChannelTable;
pub use channels::{CHANNEL_IDLE_MS, CHANNELS_MAX};

/// One plug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u64);

/// Works on whole messages: the engine and its secure channels.
pub trait MessageHandler {
    /// Carries out the request that came on channel `cid` and writes the response, which must not
    /// be longer than [`MESSAGE_MAX`], into the empty `response`.
    fn message(&mut self, cid: u32, request: &[u8], response: &mut Vec<u8>);

    /// Channel `cid` is no more; its number will not come again.
    fn closed(&mut self, cid: u32);
}

/// The data path of a device, as a server sees it. Fault control wraps it.
pub trait DeviceSide {
    /// Takes a report that came through `port` at `now_ms`.
    fn receive(&mut self, port: PortId, report: &Report, now_ms: u64);

    /// Does what is due at `now_ms`.
    fn tick(&mut self, now_ms: u64);

    /// When [`Self::tick`] is due next, if at all.
    fn wake_ms(&self) -> Option<u64>;

    /// The next report to be sent, and the port it leaves by.
    fn next_report(&mut self) -> Option<(PortId, Report)>;

    /// `port` was unplugged.
    fn detach(&mut self, port: PortId);

    /// Power is gone, and with it every channel and whatever was under way.
    fn power_lost(&mut self);

    /// Whether the device runs. One that lost power by itself is unplugged by its server.
    fn is_powered(&self) -> bool {
        true
    }
}

/// An answer that is being worked on.
#[derive(Debug)]
struct Work {
    cid: Cid,
    answer: Vec<u8>,
    done_ms: u64,
    keepalive_ms: u64,
}

/// The report layer of a dongle around a [`MessageHandler`].
#[derive(Debug)]
pub struct ReportDevice<H> {
    handler: H,
    channels: ChannelTable,
    assembler: Assembler<Vec<u8>>,
    work: Option<Work>,
    work_ms: u64,
    out: VecDeque<(PortId, Report)>,
}

impl<H: MessageHandler> ReportDevice<H> {
    /// A device just powered up. `first_cid`, drawn at random, is where its channel numbers begin,
    /// so that a number from before does not fit after.
    pub fn new(handler: H, first_cid: u32) -> Self {
        Self {
            handler,
            channels: ChannelTable::new(first_cid),
            assembler: Assembler::new(vec![0; MESSAGE_MAX]),
            work: None,
            work_ms: 0,
            out: VecDeque::new(),
        }
    }

    /// Lets every message take `work_ms` from its arrival to its answer, as on a slow chip. It is
    /// carried out at once: what is pulled out meanwhile has been done and not been answered.
    pub fn set_work_ms(&mut self, work_ms: u64) {
        self.work_ms = work_ms;
    }

    /// The handler.
    pub fn handler(&self) -> &H {
        &self.handler
    }

    /// The handler, to be changed.
    pub fn handler_mut(&mut self) -> &mut H {
        &mut self.handler
    }

    /// Hands out a channel. It takes one report and is never refused as busy.
    fn broadcast(&mut self, port: PortId, packet: Packet<'_>, now_ms: u64) {
        let Packet::First { command, len, data, .. } = packet else { return };
        if command != Command::Init as u8 {
            return self.refuse(port, Cid::BROADCAST, ErrorCode::InvalidCommand);
        }
        let (Some(nonce), true) = (data.first_chunk(), usize::from(len) == NONCE_LEN) else {
            return self.refuse(port, Cid::BROADCAST, ErrorCode::InvalidLength);
        };
        let active = self.assembler.owner().or(self.work.as_ref().map(|work| work.cid));
        let cid = match self.channels.allocate(port, now_ms, active) {
            None => Cid::NONE,
            Some((cid, reclaimed)) => {
                if let Some(old) = reclaimed {
                    self.handler.closed(old.0);
                }
                cid
            }
        };
        let answer = Allocation { nonce: *nonce, cid, version: FRAME_VERSION, capabilities: 0 };
        self.say(port, Cid::BROADCAST, Command::Init, &answer.to_bytes());
    }

    /// Takes a report on a channel that is known to be `port`'s.
    fn on_channel(&mut self, port: PortId, report: &Report, now_ms: u64) {
        let packet = Packet::parse(report);
        let cid = packet.cid();
        if let Packet::First { command, len, .. } = packet {
            match (Command::from_byte(command), len) {
                (Some(Command::Msg), _) if self.work.is_some() => {
                    return self.refuse(port, cid, ErrorCode::Busy);
                }
                (Some(Command::Msg), _) => {}
                (Some(Command::Cancel), 0) => return self.cancel(cid),
                (Some(Command::Close), 0) => return self.close(cid),
                (Some(Command::Cancel | Command::Close), _) => {
                    self.assembler.cancel(cid);
                    return self.refuse(port, cid, ErrorCode::InvalidLength);
                }
                _ => {
                    self.assembler.cancel(cid);
                    return self.refuse(port, cid, ErrorCode::InvalidCommand);
                }
            }
        }
        self.assemble(port, cid, report, now_ms);
    }

    fn assemble(&mut self, port: PortId, cid: Cid, report: &Report, now_ms: u64) {
        match self.assembler.accept(report, now_ms) {
            Ok(Step::Partial) => {}
            Ok(Step::Complete(message)) => {
                let mut answer = Vec::new();
                self.handler.message(cid.0, message.payload, &mut answer);
                self.channels.touch(cid, now_ms);
                let (done_ms, keepalive_ms) =
                    (now_ms.saturating_add(self.work_ms), now_ms + KEEPALIVE_INTERVAL_MS);
                self.work = Some(Work { cid, answer, done_ms, keepalive_ms });
                self.work_on(now_ms);
            }
            Err(error) => {
                if let Some(code) = error.reply() {
                    self.refuse(port, cid, code);
                }
            }
        }
    }

    /// Lets the answer out when it is due, and a sign of life before.
    fn work_on(&mut self, now_ms: u64) {
        let Some(mut work) = self.work.take() else { return };
        let Some(port) = self.channels.port(work.cid) else { return };
        if work.done_ms <= now_ms {
            return self.say(port, work.cid, Command::Msg, &work.answer);
        }
        if work.keepalive_ms <= now_ms {
            work.keepalive_ms = now_ms + KEEPALIVE_INTERVAL_MS;
            self.say(port, work.cid, Command::Keepalive, &[STATUS_PROCESSING]);
        }
        self.work = Some(work);
    }

    /// Drops what is under way on channel `cid`.
    fn cancel(&mut self, cid: Cid) {
        self.assembler.cancel(cid);
        if self.work.as_ref().is_some_and(|work| work.cid == cid) {
            self.work = None;
        }
    }

    fn close(&mut self, cid: Cid) {
        self.cancel(cid);
        self.channels.remove(cid);
        self.handler.closed(cid.0);
    }

    fn refuse(&mut self, port: PortId, cid: Cid, code: ErrorCode) {
        self.say(port, cid, Command::Error, &[code as u8]);
    }

    fn say(&mut self, port: PortId, cid: Cid, command: Command, payload: &[u8]) {
        match split(cid, command, payload) {
            Ok(reports) => self.out.extend(reports.map(|report| (port, report))),
            Err(_) => self.refuse(port, cid, ErrorCode::Other),
        }
    }
}

impl<H: MessageHandler> DeviceSide for ReportDevice<H> {
    fn receive(&mut self, port: PortId, report: &Report, now_ms: u64) {
        self.tick(now_ms);
        let packet = Packet::parse(report);
        if packet.cid() == Cid::BROADCAST {
            self.broadcast(port, packet, now_ms);
        } else if self.channels.port(packet.cid()) == Some(port) {
            self.on_channel(port, report, now_ms);
        } else if matches!(packet, Packet::First { .. }) {
            self.refuse(port, packet.cid(), ErrorCode::InvalidChannel);
        }
    }

    fn tick(&mut self, now_ms: u64) {
        let late = self.assembler.expire(now_ms);
        if let Some((cid, port)) = late.and_then(|cid| Some((cid, self.channels.port(cid)?))) {
            self.refuse(port, cid, ErrorCode::Timeout);
        }
        self.work_on(now_ms);
    }

    fn wake_ms(&self) -> Option<u64> {
        let work_ms = self.work.as_ref().map(|work| work.done_ms.min(work.keepalive_ms));
        self.assembler.deadline_ms().into_iter().chain(work_ms).min()
    }

    fn next_report(&mut self) -> Option<(PortId, Report)> {
        self.out.pop_front()
    }

    fn detach(&mut self, port: PortId) {
        for cid in self.channels.of_port(port) {
            self.close(cid);
        }
        self.out.retain(|(to, _)| *to != port);
    }

    fn power_lost(&mut self) {
        for cid in self.channels.all() {
            self.close(cid);
        }
        self.out.clear();
    }
}
