//! A message cut into reports.

use super::packet::Packet;
use super::{CONTINUATION_DATA_LEN, Cid, Command, FIRST_DATA_LEN, MESSAGE_MAX, Report};

/// The message is over [`MESSAGE_MAX`] bytes; its length is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong(pub usize);

impl core::fmt::Display for TooLong {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "a message of {} bytes is over the {MESSAGE_MAX} that one may have", self.0)
    }
}

impl core::error::Error for TooLong {}

/// How many reports a message of `len` bytes takes; `None` if it may not be sent at all.
pub const fn report_count(len: usize) -> Option<usize> {
    if len > MESSAGE_MAX {
        return None;
    }
    Some(1 + len.saturating_sub(FIRST_DATA_LEN).div_ceil(CONTINUATION_DATA_LEN))
}

/// Cuts `message` into the reports that carry it on channel `cid`, in order.
pub fn split(cid: Cid, command: Command, message: &[u8]) -> Result<Reports<'_>, TooLong> {
    match (report_count(message.len()), u16::try_from(message.len())) {
        (Some(count), Ok(len)) => Ok(Reports { cid, command, len, rest: message, next: 0, count }),
        _ => Err(TooLong(message.len())),
    }
}

/// The reports of one message; made by [`split`].
#[derive(Clone, Debug)]
pub struct Reports<'a> {
    cid: Cid,
    command: Command,
    len: u16,
    rest: &'a [u8],
    next: usize,
    count: usize,
}

impl Reports<'_> {
    /// The next bytes of the message, padded with zeros.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, tail) = self.rest.split_at(self.rest.len().min(N));
        self.rest = tail;
        let mut data = [0; N];
        data[..head.len()].copy_from_slice(head);
        data
    }
}

impl Iterator for Reports<'_> {
    type Item = Report;

    fn next(&mut self) -> Option<Report> {
        if self.next == self.count {
            return None;
        }
        let index = self.next;
        self.next += 1;
        if index == 0 {
            let data = &self.take();
            let command = self.command as u8;
            return Some(Packet::First { cid: self.cid, command, len: self.len, data }.to_report());
        }
        // Cannot cut: 69 continuations at most (asserted beside the constants).
        let sequence = (index - 1) as u8;
        let data = &self.take();
        Some(Packet::Continuation { cid: self.cid, sequence, data }.to_report())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.count - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Reports<'_> {}
