//! One report, taken apart: first report or continuation. Any 64 bytes are one or the other.

use super::{CONTINUATION_DATA_LEN, Cid, FIRST_DATA_LEN, REPORT_LEN, Report};

/// Set in the fifth byte of a first report.
const FIRST_BIT: u8 = 0x80;

/// A report by its parts; the bytes in it are not judged yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Begins a message.
    First {
        /// Channel it is on.
        cid: Cid,
        /// Number of the command, seven bits.
        command: u8,
        /// Length of the whole message in bytes, as claimed.
        len: u16,
        /// The message's first bytes, then padding.
        data: &'a [u8; FIRST_DATA_LEN],
    },
    /// Goes on with one.
    Continuation {
        /// Channel it is on.
        cid: Cid,
        /// Counts from 0 in each message.
        sequence: u8,
        /// The message's next bytes, then padding.
        data: &'a [u8; CONTINUATION_DATA_LEN],
    },
}

impl<'a> Packet<'a> {
    /// Takes a report apart. Every report has a reading.
    pub fn parse(report: &'a Report) -> Self {
        let [c0, c1, c2, c3, tag, rest @ ..] = report;
        let cid = Cid(u32::from_be_bytes([*c0, *c1, *c2, *c3]));
        if tag & FIRST_BIT == 0 {
            return Self::Continuation { cid, sequence: *tag, data: rest };
        }
        let [len_high, len_low, data @ ..] = rest;
        let len = u16::from_be_bytes([*len_high, *len_low]);
        Self::First { cid, command: tag & !FIRST_BIT, len, data }
    }

    /// The channel that the report is on.
    pub fn cid(&self) -> Cid {
        match self {
            Self::First { cid, .. } | Self::Continuation { cid, .. } => *cid,
        }
    }

    /// The report with these parts.
    pub fn to_report(&self) -> Report {
        let mut report = [0; REPORT_LEN];
        report[..4].copy_from_slice(&self.cid().0.to_be_bytes());
        match self {
            Self::First { command, len, data, .. } => {
                report[4] = FIRST_BIT | command;
                report[5..7].copy_from_slice(&len.to_be_bytes());
                report[7..].copy_from_slice(*data);
            }
            Self::Continuation { sequence, data, .. } => {
                report[4] = sequence & !FIRST_BIT;
                report[5..].copy_from_slice(*data);
            }
        }
        report
    }
}
