//! The open channel: messages in order, each with the next number, in both directions.

use zeroize::Zeroize;

use super::cipher::Cipher;
use super::{ChannelError, MESSAGE_LEN_MAX};
use crate::crypto::hash::Hash32;

/// Refused messages after which a channel wipes its keys.
pub const FAILURES_MAX: u8 = 3;

/// Messages after which a direction changes its key by itself, at both ends alike.
pub const REKEY_MESSAGES: u64 = 1 << 20;

/// Bytes of a channel handed over by [`Transport::into_bytes`].
pub const TRANSPORT_LEN: usize = 32 + 32 + 8 + 8 + 32 + 1;

/// An open channel. Cannot be cloned, so that its counters never run twice:
///
/// ```compile_fail
/// fn twice(channel: strongroom_protocol::crypto::channel::Transport) {
///     let _ = channel.clone();
/// }
/// ```
///
/// Nor may its memory be: after `fork` only one process goes on with it, the other opens its own.
pub struct Transport {
    send: Cipher,
    recv: Cipher,
    handshake_hash: Hash32,
    failures: u8,
}

impl Transport {
    pub(super) fn new(send: Cipher, recv: Cipher, handshake_hash: Hash32) -> Self {
        Transport { send, recv, handshake_hash, failures: 0 }
    }

    /// Hash of the whole handshake: equal at both ends, different for each channel. Sign it to bind
    /// a signature to this channel.
    pub fn handshake_hash(&self) -> &Hash32 {
        &self.handshake_hash
    }

    /// Messages sealed so far.
    pub fn sent(&self) -> u64 {
        self.send.next
    }

    /// Messages opened so far.
    pub fn received(&self) -> u64 {
        self.recv.next
    }

    /// Whether the keys are wiped.
    pub fn is_dead(&self) -> bool {
        self.failures >= FAILURES_MAX
    }

    /// Encrypts the first `plaintext_len` bytes of `buf` in place, appends the tag, and returns the
    /// length of the message.
    ///
    /// # Errors
    /// [`ChannelError::Length`] where there is no room for the tag, [`ChannelError::Dead`],
    /// [`ChannelError::Exhausted`]. Nothing is used up then.
    pub fn seal(&mut self, buf: &mut [u8], plaintext_len: usize) -> Result<usize, ChannelError> {
        self.check_alive()?;
        let usable_len = buf.len().min(MESSAGE_LEN_MAX);
        let len = self.send.seal(&[], &mut buf[..usable_len], plaintext_len)?;
        rekey_when_due(&mut self.send);
        Ok(len)
    }

    /// Decrypts `message` in place and returns the length of the plaintext at its beginning.
    ///
    /// # Errors
    /// [`ChannelError::Refused`] for anything but the next message; `message` is zeroed and the
    /// same next message is still awaited. The [`FAILURES_MAX`]th refusal, of all in this channel's
    /// life, wipes the keys; every call is then answered by [`ChannelError::Dead`].
    pub fn open(&mut self, message: &mut [u8]) -> Result<usize, ChannelError> {
        if let Err(error) = self.check_alive() {
            message.zeroize();
            return Err(error);
        }
        match self.recv.open(&[], message) {
            Ok(len) => {
                rekey_when_due(&mut self.recv);
                Ok(len)
            }
            Err(error) => {
                if error == ChannelError::Refused {
                    self.count_failure();
                }
                Err(error)
            }
        }
    }

    /// Changes the key of what is sent. The other end must call [`Transport::rekey_recv`] between
    /// the same two messages. Besides this, keys change by themselves every [`REKEY_MESSAGES`].
    pub fn rekey_send(&mut self) {
        if !self.is_dead() {
            self.send.rekey();
        }
    }

    /// Changes the key of what is received; see [`Transport::rekey_send`].
    pub fn rekey_recv(&mut self) {
        if !self.is_dead() {
            self.recv.rekey();
        }
    }

    /// Moves the channel into `out`, for an owner in memory that this one cannot name (a part of
    /// the program that was linked on its own). The bytes are the channel: hand them on once, and
    /// keep no copy.
    pub fn into_bytes(self, out: &mut [u8; TRANSPORT_LEN]) {
        let (keys, rest) = out.split_at_mut(64);
        let (counters, rest) = rest.split_at_mut(16);
        keys[..32].copy_from_slice(&self.send.key[..]);
        keys[32..].copy_from_slice(&self.recv.key[..]);
        counters[..8].copy_from_slice(&self.send.next.to_be_bytes());
        counters[8..].copy_from_slice(&self.recv.next.to_be_bytes());
        rest[..32].copy_from_slice(&self.handshake_hash);
        rest[32] = self.failures;
    }

    /// Takes over a channel from [`Transport::into_bytes`] and wipes `bytes`, so that it is there
    /// once.
    pub fn from_bytes(bytes: &mut [u8; TRANSPORT_LEN]) -> Transport {
        let mut reader = Reader { bytes: &bytes[..] };
        let (mut send, mut recv) = (Cipher::new(reader.take()), Cipher::new(reader.take()));
        send.next = u64::from_be_bytes(reader.take());
        recv.next = u64::from_be_bytes(reader.take());
        let handshake_hash = reader.take();
        let [failures] = reader.take();
        bytes.zeroize();
        Transport { send, recv, handshake_hash, failures }
    }

    fn check_alive(&self) -> Result<(), ChannelError> {
        if self.is_dead() { Err(ChannelError::Dead) } else { Ok(()) }
    }

    fn count_failure(&mut self) {
        self.failures += 1;
        if self.is_dead() {
            self.send.key.zeroize();
            self.recv.key.zeroize();
        }
    }
}

fn rekey_when_due(cipher: &mut Cipher) {
    if cipher.next.is_multiple_of(REKEY_MESSAGES) {
        cipher.rekey();
    }
}

/// Takes fields of fixed width off a slice that is as long as all of them together.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut field = [0; N];
        let (head, rest) = self.bytes.split_at(N);
        field.copy_from_slice(head);
        self.bytes = rest;
        field
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Transport, Transport) {
        let ends = |send, recv| Transport::new(Cipher::new(send), Cipher::new(recv), [9; 32]);
        (ends([1; 32], [2; 32]), ends([2; 32], [1; 32]))
    }

    #[test]
    fn the_last_counter_value_is_never_used() {
        let (mut program, mut container) = pair();
        program.send.next = u64::MAX - 1;
        container.recv.next = u64::MAX - 1;
        let mut buf = [7; 32];
        assert_eq!(program.seal(&mut buf, 16), Ok(32));
        assert_eq!(container.open(&mut buf), Ok(16));
        assert_eq!(program.seal(&mut buf, 16), Err(ChannelError::Exhausted));
        assert_eq!(container.open(&mut buf), Err(ChannelError::Exhausted));
        assert_eq!(buf, [0; 32]);
        assert_eq!(program.sent(), u64::MAX);
    }

    #[test]
    fn both_ends_change_a_key_after_the_same_message() {
        let (mut program, mut container) = pair();
        program.send.next = REKEY_MESSAGES - 2;
        container.recv.next = REKEY_MESSAGES - 2;
        for changed in [false, true, true] {
            let mut buf = [7; 32];
            assert_eq!(program.seal(&mut buf, 16), Ok(32));
            assert_eq!(container.open(&mut buf), Ok(16));
            assert_eq!(*program.send.key != [1; 32], changed);
            assert_eq!(*program.send.key, *container.recv.key);
        }
        assert_eq!((*program.recv.key, *container.send.key), ([2; 32], [2; 32]));
    }

    #[test]
    fn the_keys_are_wiped_with_the_last_refusal() {
        let (_, mut container) = pair();
        for _ in 0..FAILURES_MAX {
            assert_ne!((*container.send.key, *container.recv.key), ([0; 32], [0; 32]));
            assert_eq!(container.open(&mut [0xAA; 40]), Err(ChannelError::Refused));
        }
        assert_eq!((*container.send.key, *container.recv.key), ([0; 32], [0; 32]));
        container.rekey_send();
        assert_eq!(*container.send.key, [0; 32]);
    }
}
