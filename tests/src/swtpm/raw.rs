//! TPM commands as bytes over TCP. They cross the wire of swtpm as they are, without a frame.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use super::codes::CommandCode;
use super::ports::loopback;
use super::process::HANG;

/// Tag, size and code: the head of each command and of each response (TCG TPM 2.0 Library, Part 1,
/// 18.2 "Command/Response Header Fields").
const HEAD_LEN: usize = 10;

/// More than any TPM takes.
const MESSAGE_LEN_MAX: usize = 1 << 16;

/// `TPM_ST_NO_SESSIONS` (Part 2, 6.9).
const NO_SESSIONS: u16 = 0x8001;

/// A client's connection to swtpm or to a proxy before it. swtpm serves one at a time, so whoever
/// holds one there keeps all others waiting.
pub struct Connection(TcpStream);

impl Connection {
    /// Connects to a data port.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(loopback(port))?;
        stream.set_read_timeout(Some(HANG))?;
        Ok(Connection(stream))
    }

    /// Sends a command and waits for its response.
    ///
    /// # Errors
    /// The connection broke before the response was complete.
    pub fn transmit(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        self.0.write_all(command)?;
        read_message(&mut self.0)?.ok_or(io::ErrorKind::UnexpectedEof.into())
    }
}

/// Asks for eight random bytes over a connection of its own, and returns the whole response.
///
/// # Errors
/// As [`Connection::transmit`].
pub fn get_random(port: u16) -> io::Result<Vec<u8>> {
    Connection::open(port)?.transmit(&message(CommandCode::GET_RANDOM.0, &[0, 8]))
}

/// A command or a response without sessions.
pub(super) fn message(code: u32, rest: &[u8]) -> Vec<u8> {
    let len = (HEAD_LEN + rest.len()) as u32;
    [&NO_SESSIONS.to_be_bytes()[..], &len.to_be_bytes(), &code.to_be_bytes(), rest].concat()
}

/// The code in the head of a command or a response.
pub(super) fn code_of(message: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(message.get(6..)?.first_chunk().copied()?))
}

/// One command or response from a stream; nothing when it ended before the first byte.
pub(super) fn read_message(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    stream.by_ref().take(HEAD_LEN as u64).read_to_end(&mut message)?;
    if message.is_empty() {
        return Ok(None);
    }
    let size = message.get(2..).and_then(|rest| rest.first_chunk().copied());
    let len = size.map(u32::from_be_bytes).ok_or(io::ErrorKind::UnexpectedEof)? as usize;
    if !(HEAD_LEN..=MESSAGE_LEN_MAX).contains(&len) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    stream.by_ref().take((len - HEAD_LEN) as u64).read_to_end(&mut message)?;
    if message.len() == len { Ok(Some(message)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_into_messages() {
        let (one, two) = (message(0x17b, &[0, 8]), message(0x144, &[]));
        let mut stream = io::Cursor::new([&one[..], &two, &one[..9]].concat());
        assert_eq!(read_message(&mut stream).unwrap(), Some(one));
        assert_eq!(read_message(&mut stream).unwrap(), Some(two));
        assert!(read_message(&mut stream).is_err());
        assert_eq!(read_message(&mut stream).unwrap(), None);
    }

    #[test]
    fn a_size_that_cannot_be_is_refused() {
        for size in [0_u32, 9, u32::MAX] {
            let mut bytes = message(0x17b, &[0, 8]);
            bytes[2..6].copy_from_slice(&size.to_be_bytes());
            assert!(read_message(&mut &bytes[..]).is_err(), "{size}");
        }
    }
}
