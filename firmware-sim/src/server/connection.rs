//! One connection: whole reports in, a bounded queue of reports out.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use protocol::frame::{REPORT_LEN, Report};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::usb::PortId;

/// Reports kept for a connection that does not read, beyond what the system keeps; as many as the
/// Linux kernel keeps for a reader of a raw HID device.
const QUEUE_MAX: usize = 64;
/// Reports taken from a connection before others have their turn.
const TURN_MAX: usize = 16;

/// A client's connection, non-blocking.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) port: PortId,
    socket: OwnedFd,
    /// The report that is coming in, and how much of it is here.
    incoming: Report,
    have: usize,
    out: VecDeque<Report>,
    /// Bytes of the first report in `out` that are sent already.
    sent: usize,
    dropped: u64,
    alive: bool,
}

impl Connection {
    pub(super) fn new(port: PortId, socket: OwnedFd) -> Self {
        let incoming = [0; REPORT_LEN];
        let out = VecDeque::new();
        Self { port, socket, incoming, have: 0, out, sent: 0, dropped: 0, alive: true }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.alive
    }

    pub(super) fn poll_fd(&self) -> PollFd<'_> {
        let waits = if self.out.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        PollFd::new(&self.socket, PollFlags::IN | waits)
    }

    /// The reports that are here, as many as one turn allows.
    pub(super) fn read(&mut self) -> Vec<Report> {
        let mut reports = Vec::new();
        while self.alive && reports.len() < TURN_MAX {
            match recv(&self.socket, &mut self.incoming[self.have..], RecvFlags::empty()) {
                Ok((0, _)) => self.alive = false,
                Ok((count, _)) => self.have += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => self.alive = false,
            }
            if self.have == REPORT_LEN {
                self.have = 0;
                reports.push(self.incoming);
            }
        }
        reports
    }

    /// Sends a report as soon as the client takes it; drops it if too many wait already.
    pub(super) fn queue(&mut self, report: &Report) {
        if self.out.len() >= QUEUE_MAX {
            self.dropped += 1;
            return;
        }
        self.out.push_back(*report);
        self.flush();
    }

    /// Sends what the client takes now. A report that was begun is always finished.
    pub(super) fn flush(&mut self) {
        while let (true, Some(report)) = (self.alive, self.out.front()) {
            match send(&self.socket, &report[self.sent..], SendFlags::NOSIGNAL) {
                Ok(count) => self.sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.alive = false,
            }
            if self.sent == REPORT_LEN {
                self.sent = 0;
                self.out.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    fn pair() -> (Connection, OwnedFd) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        (Connection::new(PortId(1), ours), theirs)
    }

    fn numbered(n: u64) -> Report {
        let mut report = [0xee; REPORT_LEN];
        report[..8].copy_from_slice(&n.to_be_bytes());
        report
    }

    #[test]
    fn reports_for_who_does_not_read_are_dropped_whole_and_the_newest_first() {
        let (mut connection, theirs) = pair();
        for n in 0..20_000 {
            connection.queue(&numbered(n));
        }
        assert_eq!(connection.out.len(), QUEUE_MAX);
        let kept = 20_000 - connection.dropped;
        for n in 0..kept {
            let mut report = [0; REPORT_LEN];
            let mut have = 0;
            while have < REPORT_LEN {
                match recv(&theirs, &mut report[have..], RecvFlags::empty()) {
                    Ok((count, _)) => have += count,
                    Err(Errno::AGAIN) => connection.flush(),
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!(report, numbered(n));
        }
        assert!(connection.out.is_empty() && connection.is_alive());
    }

    #[test]
    fn reports_come_whole_however_they_are_cut() {
        let (mut connection, theirs) = pair();
        let bytes = [numbered(1), numbered(2), numbered(3)].concat();
        let mut got = Vec::new();
        for piece in bytes.chunks(50) {
            assert_eq!(send(&theirs, piece, SendFlags::NOSIGNAL), Ok(piece.len()));
            got.extend(connection.read());
        }
        assert_eq!(got.concat(), bytes);
        drop(theirs);
        assert!(connection.read().is_empty() && !connection.is_alive());
        connection.queue(&numbered(4));
    }

    #[test]
    fn one_turn_takes_no_more_than_its_share() {
        let (mut connection, theirs) = pair();
        let bytes = [0x11; REPORT_LEN * 40];
        assert_eq!(send(&theirs, &bytes, SendFlags::NOSIGNAL), Ok(bytes.len()));
        let turns: Vec<usize> = (0..4).map(|_| connection.read().len()).collect();
        assert_eq!(turns, [16, 16, 8, 0]);
    }
}
