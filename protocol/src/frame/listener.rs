//! The client's ear: what a report means to whoever waits for an answer on one channel.
//!
//! Shared by the host library and by the watcher inside protected programs, so that both judge a
//! dongle's words alike.

use super::assembler::{Assembler, FrameError, Step};
use super::{Cid, Command, ErrorCode, Packet, Report, STATUS_PROCESSING};

/// What a report means to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// Nothing yet: someone else's, garbage, or a part of the answer.
    Nothing,
    /// The dongle is at work: wait on.
    Working,
    /// The dongle did not begin with the message: send it again after a pause.
    Busy,
    /// The answer.
    Answer(&'a [u8]),
    /// The dongle did not take the message, and the channel is of no more use.
    Refused(ErrorCode),
    /// A part of the answer is lost, and with it the channel.
    Lost(FrameError),
}

/// Listens on one channel with a buffer for the answer.
#[derive(Debug)]
pub struct Listener<B> {
    cid: Cid,
    assembler: Assembler<B>,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Listener<B> {
    /// Listens on channel `cid`; `buffer` bounds the answer.
    pub fn new(cid: Cid, buffer: B) -> Self {
        Self { cid, assembler: Assembler::new(buffer) }
    }

    /// The channel it listens on.
    pub fn cid(&self) -> Cid {
        self.cid
    }

    /// Takes one report at the time `now_ms`.
    pub fn hear(&mut self, report: &Report, now_ms: u64) -> Heard<'_> {
        if self.assembler.expire(now_ms).is_some() {
            return Heard::Lost(FrameError::Timeout);
        }
        if Packet::parse(report).cid() != self.cid {
            return Heard::Nothing;
        }
        let message = match self.assembler.accept(report, now_ms) {
            Ok(Step::Partial) | Err(FrameError::Stray) => return Heard::Nothing,
            Ok(Step::Complete(message)) => message,
            Err(error) => return Heard::Lost(error),
        };
        match (Command::from_byte(message.command), message.payload) {
            (Some(Command::Msg), answer) => Heard::Answer(answer),
            (Some(Command::Keepalive), [STATUS_PROCESSING]) => Heard::Working,
            (Some(Command::Error), [code]) => match ErrorCode::from_byte(*code) {
                ErrorCode::Busy => Heard::Busy,
                code => Heard::Refused(code),
            },
            _ => Heard::Nothing,
        }
    }

    /// Forgets what is half heard; call it before a request is sent.
    pub fn reset(&mut self) {
        self.assembler.cancel(self.cid);
    }

    /// When the answer that has begun is given up.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.assembler.deadline_ms()
    }
}

/// How long a client waits: for a sign of life, and in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    silence_ms: u64,
    end_ms: u64,
    deadline_ms: u64,
}

impl Patience {
    /// Waits `silence_ms` from `now_ms` and from each sign of life on, but `total_ms` at most.
    pub fn begin(now_ms: u64, silence_ms: u64, total_ms: u64) -> Self {
        let end_ms = now_ms.saturating_add(total_ms);
        let deadline_ms = end_ms.min(now_ms.saturating_add(silence_ms));
        Self { silence_ms, end_ms, deadline_ms }
    }

    /// The dongle gave a sign of life.
    pub fn extend(&mut self, now_ms: u64) {
        self.deadline_ms = self.end_ms.min(now_ms.saturating_add(self.silence_ms));
    }

    /// When to give up.
    pub fn deadline_ms(&self) -> u64 {
        self.deadline_ms
    }
}
