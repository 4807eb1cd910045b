//! The waist: bytes out, bytes back. A new operation is a new command, never a new method here.

use std::path::PathBuf;

use crate::error::Error;

/// A way to reach containers.
pub trait Backend {
    /// The source as people name it, such as `usb` or `sim:/run/dongle`.
    fn source(&self) -> String;

    /// What is there. Things that are no containers are left out; a container that cannot be used
    /// is not.
    ///
    /// # Errors
    /// The source as a whole cannot be asked.
    fn list(&self) -> Result<Vec<Found>, Error>;

    /// Opens a channel to something that [`Backend::list`] found.
    ///
    /// # Errors
    /// It is gone, or this user may not.
    fn open(&self, found: &Found) -> Result<Box<dyn Channel>, Error>;
}

/// A request and its answer. After an error the channel is dead: open another one.
pub trait Channel: Send {
    /// Sends `request`, at most [`protocol::limits::MESSAGE_LEN_MAX`] bytes, and waits for the
    /// answer.
    ///
    /// # Errors
    /// No answer, or none that makes sense.
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, Error>;
}

/// Something that may be a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub address: Address,
    /// What keeps this user from using it, if anything.
    pub hindrance: Option<Error>,
}

/// Where a container is, for those who connect by themselves: the part of a protected program that
/// renews its seat, and forked children.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A Unix stream socket that carries reports.
    ReportSocket(PathBuf),
    /// A raw HID device.
    HidRaw(PathBuf),
    /// A Unix socket that carries messages, each as one packet.
    MessageSocket(PathBuf),
}
