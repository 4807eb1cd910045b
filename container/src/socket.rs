//! Messages on a Unix socket, each as one packet: how a home that is a process is reached.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use protocol::errors::ErrorCode;
use protocol::limits::MESSAGE_LEN_MAX;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    send, socket_with,
};

use crate::backend::Channel;
use crate::error::Error;

/// How long an answer may take: a TPM that is busy takes seconds.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A connection to a home.
#[derive(Debug)]
pub struct MessageSocket(OwnedFd);

impl MessageSocket {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// What the system says: `NotFound` and `ConnectionRefused` where nobody serves it.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let address = SocketAddrUnix::new(path)?;
        let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
        let socket = socket_with(AddressFamily::UNIX, kind, flags, None)?;
        for timeout in [Timeout::Send, Timeout::Recv] {
            set_socket_timeout(&socket, timeout, Some(LONGEST_WAIT))?;
        }
        connect(&socket, &address)?;
        Ok(MessageSocket(socket))
    }
}

impl Channel for MessageSocket {
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, Error> {
        if request.len() > MESSAGE_LEN_MAX {
            let (len, max) = (request.len() as u64, MESSAGE_LEN_MAX as u64);
            return Err(ErrorCode::TooLong.with(len, max).into());
        }
        patiently(|| send(&self.0, request, SendFlags::NOSIGNAL))?;
        // One byte more, so that what is too long is not taken for what is not.
        let mut answer = vec![0; MESSAGE_LEN_MAX + 1];
        match patiently(|| recv(&self.0, &mut answer[..], RecvFlags::empty()))?.0 {
            0 => Err(ErrorCode::ChannelDead.failure().into()),
            len if len > MESSAGE_LEN_MAX => Err(ErrorCode::DeviceGarbage.failure().into()),
            len => {
                answer.truncate(len);
                Ok(answer)
            }
        }
    }
}

/// Repeats what a signal interrupted.
fn patiently<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Error> {
    loop {
        match call() {
            Ok(done) => return Ok(done),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Err(ErrorCode::DeviceSilent.failure().into()),
            Err(error) => return Err(Error::new(ErrorCode::ChannelDead, error)),
        }
    }
}
