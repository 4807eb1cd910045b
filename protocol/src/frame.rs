//! Frames: how a message of up to 4,096 bytes travels in 64-byte reports between host and dongle.
//!
//! Both sides of the USB cable use this file, and so does the simulator's socket: it carries the
//! same raw reports. Nothing here is secret and nothing here is trusted; what a message says is
//! protected by the secure channel inside it. Byte table: `docs/formats/21-reports.md`.
//!
//! A message is one *first report* and up to 69 *continuations*:
//!
//! ```text
//! first         cid u32 | 0x80 + command u8 | length u16 | data[57]
//! continuation  cid u32 | sequence u8, 0..=127           | data[59]
//! ```
//!
//! Integers are big-endian; what is left of the last report is zero and is not looked at.
//!
//! - A dongle works on one message at a time. Meanwhile other channels hear [`ErrorCode::Busy`];
//!   their message was not begun, so they may send the very same bytes again.
//! - A first report on a channel drops that channel's unfinished message.
//! - A message whose next report does not come for [`FRAGMENT_TIMEOUT_MS`], or which is not whole
//!   after [`MESSAGE_TIMEOUT_MS`], is dropped.
//! - Channels are handed out on [`Cid::BROADCAST`] ([`Command::Init`] and a nonce, so that of all
//!   who listen only the asker takes the answer). `Init`, `Cancel` and `Close` fit into one report
//!   and never meet `Busy`. `Cancel` and `Close` have no answer.
//! - A channel that lost an answer is dead. Its client opens another one.
//!
//! No heap and no clock: the buffer and the time (milliseconds of any steady clock) are the
//! caller's.

mod assembler;
mod control;
mod listener;
mod packet;
mod split;
#[cfg(test)]
mod tests;

pub use assembler::{Assembler, FrameError, Message, Step};
pub use control::{Allocation, NONCE_LEN, Nonce, allocation_request, hear_allocation};
pub use listener::{Heard, Listener, Patience};
pub use packet::Packet;
pub use split::{Reports, TooLong, report_count, split};

/// Bytes in every report, both ways.
pub const REPORT_LEN: usize = 64;
/// Bytes of a message that the first report carries.
pub const FIRST_DATA_LEN: usize = 57;
/// Bytes of a message that each continuation carries.
pub const CONTINUATION_DATA_LEN: usize = 59;
/// The longest message, in bytes.
pub const MESSAGE_MAX: usize = 4096;
/// The longest wait for the next report of a message begun, in milliseconds.
pub const FRAGMENT_TIMEOUT_MS: u64 = 500;
/// The longest time a message may take to arrive, so that no client holds the dongle by dripping.
pub const MESSAGE_TIMEOUT_MS: u64 = 2_000;
/// A dongle at work says so this often, in milliseconds.
pub const KEEPALIVE_INTERVAL_MS: u64 = 100;
/// Version of this layer, sent with every channel handed out.
pub const FRAME_VERSION: u8 = 1;
/// HID usage page of the dongle's interface, in the vendor range.
pub const USAGE_PAGE: u16 = 0xff53;
/// HID usage of the dongle's interface.
pub const USAGE: u16 = 0x0052;

/// One report as it crosses the cable.
pub type Report = [u8; REPORT_LEN];

/// The number of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cid(pub u32);

impl Cid {
    /// Everyone's channel: carries nothing but [`Command::Init`].
    pub const BROADCAST: Self = Self(0xffff_ffff);
    /// Never a channel. In the answer to `Init` it says that none is free.
    pub const NONE: Self = Self(0);
}

/// What a message is for. The numbers are permanent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Command {
    /// Hand out a channel.
    Init = 0x01,
    /// One request in, one response out; the content belongs to the secure channel.
    Msg = 0x02,
    /// Drop my unfinished message, or the answer that you are working on.
    Cancel = 0x03,
    /// The dongle is still at work.
    Keepalive = 0x04,
    /// I am done with this channel.
    Close = 0x05,
    /// The dongle did not take the message: one byte, an [`ErrorCode`].
    Error = 0x3f,
}

impl Command {
    /// The command of a number, if there is one.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x01 => Self::Init,
            0x02 => Self::Msg,
            0x03 => Self::Cancel,
            0x04 => Self::Keepalive,
            0x05 => Self::Close,
            0x3f => Self::Error,
            _ => return None,
        })
    }
}

/// The only status a keepalive carries so far: processing.
pub const STATUS_PROCESSING: u8 = 1;

/// Why the dongle did not take a message. The numbers are permanent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ErrorCode {
    /// The command is unknown, or not for this channel or direction.
    InvalidCommand = 0x01,
    /// The length is over [`MESSAGE_MAX`], or not the command's.
    InvalidLength = 0x03,
    /// A continuation came out of order: a report was lost.
    InvalidSequence = 0x04,
    /// The rest of the message did not come in time.
    Timeout = 0x05,
    /// Another message is under way; this one was not begun and may be sent again.
    Busy = 0x06,
    /// The dongle does not know this channel (any more).
    InvalidChannel = 0x0b,
    /// Anything else.
    Other = 0x7f,
}

impl ErrorCode {
    /// The code of a number; unknown numbers read as [`ErrorCode::Other`].
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            0x01 => Self::InvalidCommand,
            0x03 => Self::InvalidLength,
            0x04 => Self::InvalidSequence,
            0x05 => Self::Timeout,
            0x06 => Self::Busy,
            0x0b => Self::InvalidChannel,
            _ => Self::Other,
        }
    }
}

impl core::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::InvalidCommand => "the dongle does not know this command",
            Self::InvalidLength => "the dongle refused the length of a message",
            Self::InvalidSequence => "the dongle missed a part of a message",
            Self::Timeout => "the dongle waited in vain for the rest of a message",
            Self::Busy => "the dongle is busy",
            Self::InvalidChannel => "the dongle has closed this channel",
            Self::Other => "the dongle could not answer",
        })
    }
}

// Sequence numbers have seven bits; the longest message must not run out of them.
const _: () = assert!(FIRST_DATA_LEN + 128 * CONTINUATION_DATA_LEN >= MESSAGE_MAX);
