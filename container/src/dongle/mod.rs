//! Dongles from the host's side: pipes that carry reports, and the link that makes them messages.
//!
//! ```text
//! DongleLink        a channel of one's own, request and response   framing.rs
//!   ReportPipe      64-byte reports, shared with others
//!     HidPipe       a dongle on USB                                hid.rs
//!     UnixPipe      the simulator's socket                         unix.rs
//! ```
//!
//! Nothing a device says is trusted here: every wait has an end, and the worst it can do is to make
//! a link fail. What the messages hold is the secure channel's matter.

pub mod framing;
pub mod hid;
pub mod ticks;
pub mod unix;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use framing::{DongleLink, LinkError, LinkTimes};
pub use protocol::frame::Report;

/// Carries reports to and from one dongle. Others may use the same dongle: their reports show up
/// here too, and reports may be missing.
pub trait ReportPipe {
    /// Hands one report to the dongle, within a time of the pipe's own.
    fn send(&mut self, report: &Report) -> Result<(), PipeError>;

    /// The next report from the dongle; [`PipeError::TimedOut`] if none comes for `timeout` or
    /// somewhat less, at once if that is zero.
    fn receive(&mut self, timeout: Duration) -> Result<Report, PipeError>;
}

/// Why a pipe carried nothing. After anything but `TimedOut` from `receive` it is of no more use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipeError {
    /// No report came, or none could be sent, in time.
    #[error("the dongle did not react in time")]
    TimedOut,
    /// The dongle was pulled out, or its simulator ended.
    #[error("the dongle is no longer there")]
    Gone,
    /// Nothing answers at this place.
    #[error("there is no dongle at {}", .0.display())]
    Absent(PathBuf),
    /// A dongle is there, but this user may not use it.
    #[error("there is a dongle at {}, but this user may not read and write it", .0.display())]
    Denied(PathBuf),
    /// Anything else the system says.
    #[error("the system could not reach the dongle")]
    Io(#[source] io::Error),
}

impl PipeError {
    /// Judges an error met while using an open pipe.
    fn in_use(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected, UnexpectedEof};
        match (error.kind(), error.raw_os_error()) {
            (BrokenPipe | ConnectionReset | NotConnected | UnexpectedEof, _) => Self::Gone,
            // What the kernel says of a device that was pulled out.
            (_, Some(EIO | ENXIO | ENODEV)) => Self::Gone,
            _ => Self::Io(error),
        }
    }

    /// Judges an error met while opening the pipe at `path`.
    fn at_open(error: io::Error, path: PathBuf) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Self::Absent(path),
            io::ErrorKind::PermissionDenied => Self::Denied(path),
            _ => Self::Io(error),
        }
    }
}

/// Longer waits end after this; it keeps deadlines within what the system's clock can say.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

const EIO: i32 = rustix::io::Errno::IO.raw_os_error();
const ENXIO: i32 = rustix::io::Errno::NXIO.raw_os_error();
const ENODEV: i32 = rustix::io::Errno::NODEV.raw_os_error();
