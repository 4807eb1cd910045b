//! The simulator's face: raw 64-byte reports on a Unix stream socket. One connection, one plug.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use protocol::frame::REPORT_LEN;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    send, socket_with,
};

use super::{LONGEST_WAIT, PipeError, Report, ReportPipe};

/// How long one report may take to be sent.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection to a simulated dongle.
#[derive(Debug)]
pub struct UnixPipe {
    socket: OwnedFd,
    /// The report that is coming in, and how much of it is here.
    incoming: Report,
    have: usize,
    /// A report was sent in part: what follows would be misread.
    torn: bool,
}

impl UnixPipe {
    /// Connects to the socket at `path`; does not wait if nobody takes the connection.
    pub fn connect(path: &Path) -> Result<Self, PipeError> {
        let open = || -> Result<OwnedFd, Errno> {
            let address = SocketAddrUnix::new(path)?;
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            connect(&socket, &address)?;
            Ok(socket)
        };
        match open() {
            Ok(socket) => Ok(Self::over(socket)),
            // The simulator's queue of connections is full.
            Err(Errno::AGAIN) => Err(PipeError::TimedOut),
            Err(error) => Err(PipeError::at_open(error.into(), path.to_owned())),
        }
    }

    /// A pipe over a connected, non-blocking stream socket.
    fn over(socket: OwnedFd) -> Self {
        Self { socket, incoming: [0; REPORT_LEN], have: 0, torn: false }
    }

    /// Waits for `flags`, `TimedOut` after `deadline`.
    fn wait(&self, flags: PollFlags, deadline: Instant) -> Result<(), PipeError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(PipeError::TimedOut);
            }
            let timeout = Timespec::try_from(left).ok();
            match poll(&mut [PollFd::new(&self.socket, flags)], timeout.as_ref()) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(PipeError::in_use(error.into())),
            }
        }
    }

    fn send_all(&mut self, report: &Report, deadline: Instant) -> Result<(), PipeError> {
        let mut rest = &report[..];
        while !rest.is_empty() {
            // NOSIGNAL: a simulator that ends must not end the program that uses it.
            match send(&self.socket, rest, SendFlags::NOSIGNAL) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.torn = rest.len() != REPORT_LEN;
                    self.wait(PollFlags::OUT, deadline)?;
                }
                Err(error) => return Err(PipeError::in_use(error.into())),
            }
        }
        self.torn = false;
        Ok(())
    }
}

impl ReportPipe for UnixPipe {
    fn send(&mut self, report: &Report) -> Result<(), PipeError> {
        if self.torn {
            return Err(PipeError::Gone);
        }
        self.send_all(report, Instant::now() + SEND_TIMEOUT)
    }

    fn receive(&mut self, timeout: Duration) -> Result<Report, PipeError> {
        let deadline = Instant::now() + timeout.min(LONGEST_WAIT);
        loop {
            match recv(&self.socket, &mut self.incoming[self.have..], RecvFlags::empty()) {
                Ok((0, _)) => return Err(PipeError::Gone),
                Ok((count, _)) => self.have += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::IN, deadline)?,
                Err(error) => return Err(PipeError::in_use(error.into())),
            }
            if self.have == REPORT_LEN {
                self.have = 0;
                return Ok(self.incoming);
            }
        }
    }
}
