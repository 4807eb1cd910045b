//! Reports put together into messages: one message at a time, whatever the number of channels.

use super::packet::Packet;
use super::{Cid, ErrorCode, FRAGMENT_TIMEOUT_MS, MESSAGE_MAX, MESSAGE_TIMEOUT_MS, Report};

/// A message that came whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Channel it came on.
    pub cid: Cid,
    /// Number of its command, unjudged.
    pub command: u8,
    /// Its bytes.
    pub payload: &'a [u8],
}

/// What a report did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The message wants more reports.
    Partial,
    /// The message is whole.
    Complete(Message<'a>),
}

/// Why a report did not advance a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The message claims more bytes than the buffer or [`MESSAGE_MAX`] allow; it was dropped.
    TooLong {
        /// Length it claims.
        len: u16,
    },
    /// A report is missing or repeated; the message was dropped.
    OutOfSequence {
        /// Sequence number that was due.
        expected: u8,
        /// Sequence number that came.
        found: u8,
    },
    /// A continuation of nothing that is under way. Ignored: its first report was answered.
    Stray,
    /// Another channel's message is under way. Nothing changed.
    Busy,
    /// The rest did not come in time; the message was dropped.
    Timeout,
}

impl FrameError {
    /// What a dongle says about it on the channel it happened on; nothing to strays.
    pub fn reply(self) -> Option<ErrorCode> {
        match self {
            Self::TooLong { .. } => Some(ErrorCode::InvalidLength),
            Self::OutOfSequence { .. } => Some(ErrorCode::InvalidSequence),
            Self::Stray => None,
            Self::Busy => Some(ErrorCode::Busy),
            Self::Timeout => Some(ErrorCode::Timeout),
        }
    }
}

impl core::fmt::Display for FrameError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooLong { len } => write!(f, "a message claims to be {len} bytes long"),
            Self::OutOfSequence { expected, found } => {
                write!(f, "part {found} of a message came where part {expected} was due")
            }
            Self::Stray => f.write_str("a part of no message came"),
            Self::Busy => f.write_str("another message is under way"),
            Self::Timeout => f.write_str("the rest of a message did not come in time"),
        }
    }
}

impl core::error::Error for FrameError {}

/// The message under way.
#[derive(Clone, Copy, Debug)]
struct Unfinished {
    cid: Cid,
    command: u8,
    len: usize,
    have: usize,
    sequence: u8,
    begun_ms: u64,
    heard_ms: u64,
}

impl Unfinished {
    fn deadline_ms(&self) -> u64 {
        let next = self.heard_ms.saturating_add(FRAGMENT_TIMEOUT_MS);
        next.min(self.begun_ms.saturating_add(MESSAGE_TIMEOUT_MS))
    }
}

/// Puts one message at a time together in the caller's buffer `B`.
///
/// A message longer than the buffer is refused like one over [`MESSAGE_MAX`].
#[derive(Debug)]
pub struct Assembler<B> {
    buffer: B,
    unfinished: Option<Unfinished>,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Assembler<B> {
    /// An assembler with nothing under way.
    pub fn new(buffer: B) -> Self {
        Self { buffer, unfinished: None }
    }

    /// Takes one report at the time `now_ms`.
    ///
    /// Call [`Self::expire`] first to learn of a message that ran out of time: here it only no
    /// longer counts.
    pub fn accept(&mut self, report: &Report, now_ms: u64) -> Result<Step<'_>, FrameError> {
        self.expire(now_ms);
        match Packet::parse(report) {
            Packet::First { cid, command, len, data } => {
                if self.owner().is_some_and(|owner| owner != cid) {
                    return Err(FrameError::Busy);
                }
                self.begin(cid, command, len, now_ms)?;
                self.append(data, now_ms)
            }
            Packet::Continuation { cid, sequence, data } => {
                let Some(unfinished) = self.unfinished.as_mut().filter(|u| u.cid == cid) else {
                    return Err(FrameError::Stray);
                };
                let expected = unfinished.sequence;
                if sequence != expected {
                    self.unfinished = None;
                    return Err(FrameError::OutOfSequence { expected, found: sequence });
                }
                unfinished.sequence += 1;
                self.append(data, now_ms)
            }
        }
    }

    /// Drops the message under way if its time has run out at `now_ms`, and says whose it was.
    pub fn expire(&mut self, now_ms: u64) -> Option<Cid> {
        let unfinished = self.unfinished.filter(|u| u.deadline_ms() <= now_ms)?;
        self.unfinished = None;
        Some(unfinished.cid)
    }

    /// Drops the message under way if it is on channel `cid`.
    pub fn cancel(&mut self, cid: Cid) {
        self.unfinished = self.unfinished.filter(|u| u.cid != cid);
    }

    /// The channel whose message is under way.
    pub fn owner(&self) -> Option<Cid> {
        self.unfinished.map(|u| u.cid)
    }

    /// When the message under way runs out of time.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.unfinished.map(|u| u.deadline_ms())
    }

    fn begin(&mut self, cid: Cid, command: u8, len: u16, now_ms: u64) -> Result<(), FrameError> {
        self.unfinished = None;
        let wanted = usize::from(len);
        if wanted > MESSAGE_MAX.min(self.buffer.as_ref().len()) {
            return Err(FrameError::TooLong { len });
        }
        self.unfinished = Some(Unfinished {
            cid,
            command,
            len: wanted,
            have: 0,
            sequence: 0,
            begun_ms: now_ms,
            heard_ms: now_ms,
        });
        Ok(())
    }

    /// Takes from `data` what the message still wants.
    fn append(&mut self, data: &[u8], now_ms: u64) -> Result<Step<'_>, FrameError> {
        let Some(mut unfinished) = self.unfinished.take() else {
            return Err(FrameError::Stray);
        };
        let Unfinished { cid, command, len, have, .. } = unfinished;
        let end = len.min(have + data.len());
        // In bounds: `begin` held `len` against the buffer, and `end - have` against `data` above.
        self.buffer.as_mut()[have..end].copy_from_slice(&data[..end - have]);
        if end == len {
            let payload = &self.buffer.as_ref()[..len];
            return Ok(Step::Complete(Message { cid, command, payload }));
        }
        unfinished.have = end;
        unfinished.heard_ms = now_ms;
        self.unfinished = Some(unfinished);
        Ok(Step::Partial)
    }
}
