//! The two messages of NX and NK, from both ends.
//!
//! ```text
//! NX: -> e                     NK: <- s (known before)
//!     <- e, ee, s, es              -> e, es
//!                                  <- e, ee
//! ```

use super::symmetric::Symmetric;
use super::transport::Transport;
use super::{ChannelError, MESSAGE_LEN_MAX, PREFIX_LEN, Pattern, VERSION};
use crate::crypto::Random;
use crate::crypto::aead::TAG_LEN;
use crate::crypto::ecdh::{PublicKey, SoftwareKey, StaticKey, UNCOMPRESSED_LEN};

/// The program's end, between its message and the answer.
pub struct Initiator {
    pattern: Pattern,
    ephemeral: SoftwareKey,
    responder: Option<PublicKey>,
    state: Symmetric,
}

/// What a handshake gave the program's end.
pub struct Established<'m> {
    /// The channel.
    pub transport: Transport,
    /// The responder's static key. After NX it is what the responder claims: check it against its
    /// certificate.
    pub responder: PublicKey,
    /// The payload of the answer.
    pub payload: &'m [u8],
}

impl Initiator {
    /// Begins first contact. Writes the first message to `out` and returns its length. `payload`
    /// travels in the clear, though no change to it goes unnoticed.
    ///
    /// # Errors
    /// [`ChannelError::Length`] where `out` is too small, [`ChannelError::Crypto`] where the random
    /// source fails.
    pub fn start_nx(
        random: &mut dyn Random,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<(Initiator, usize), ChannelError> {
        Initiator::start(Pattern::Nx, None, random, payload, out)
    }

    /// Begins with a responder whose static key is known. `payload` can be read by it alone, but
    /// also by whoever learns its private key later, and it can be replayed to it: put no secret
    /// and no command there.
    ///
    /// # Errors
    /// As [`Initiator::start_nx`].
    pub fn start_nk(
        responder: &PublicKey,
        random: &mut dyn Random,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<(Initiator, usize), ChannelError> {
        Initiator::start(Pattern::Nk, Some(*responder), random, payload, out)
    }

    fn start(
        pattern: Pattern,
        responder: Option<PublicKey>,
        random: &mut dyn Random,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<(Initiator, usize), ChannelError> {
        let mut state = Symmetric::new(pattern);
        let ephemeral = SoftwareKey::generate(random)?;
        let mut writer = Writer::new(out, pattern)?;
        if let Some(responder) = &responder {
            state.mix_hash(&responder.to_uncompressed());
        }
        writer.key(&mut state, &ephemeral)?;
        if let Some(responder) = &responder {
            state.mix_key(&ephemeral.diffie_hellman(responder)?);
        }
        writer.encrypted(&mut state, payload)?;
        Ok((Initiator { pattern, ephemeral, responder, state }, writer.len))
    }

    /// Takes the answer. The handshake ends here either way: after an error begin a new one.
    ///
    /// # Errors
    /// [`ChannelError::Version`], [`ChannelError::Pattern`], [`ChannelError::Length`];
    /// [`ChannelError::Refused`] where the responder is not the one, or anything was changed on the
    /// way.
    pub fn finish<'m>(self, message: &'m mut [u8]) -> Result<Established<'m>, ChannelError> {
        let Initiator { pattern, ephemeral, responder, mut state } = self;
        let (found, rest) = read_prefix(message)?;
        if found != pattern {
            return Err(ChannelError::Pattern(found as u8));
        }
        let (theirs, rest) = read_key(&mut state, rest)?;
        state.mix_key(&ephemeral.diffie_hellman(&theirs)?);
        let (responder, rest) = match responder {
            Some(responder) => (responder, rest),
            None => {
                let (responder, rest) = read_encrypted_key(&mut state, rest)?;
                state.mix_key(&ephemeral.diffie_hellman(&responder)?);
                (responder, rest)
            }
        };
        let payload = read_encrypted(&mut state, rest)?;
        let (send, recv, hash) = state.split();
        Ok(Established { transport: Transport::new(send, recv, hash), responder, payload })
    }
}

/// The container's end, between the message and its answer.
pub struct Responder<'k> {
    pattern: Pattern,
    key: &'k dyn StaticKey,
    initiator: PublicKey,
    state: Symmetric,
}

impl<'k> Responder<'k> {
    /// Takes the first message, and returns its payload as well. Who sent it is not known, and it
    /// may be a replay: act on it only once the channel carries a message.
    ///
    /// # Errors
    /// [`ChannelError::Version`], [`ChannelError::Pattern`], [`ChannelError::Length`];
    /// [`ChannelError::Refused`] where it was made for another key, or changed;
    /// [`ChannelError::Crypto`] where the key does not answer.
    pub fn accept<'m>(
        key: &'k dyn StaticKey,
        message: &'m mut [u8],
    ) -> Result<(Responder<'k>, &'m [u8]), ChannelError> {
        let (pattern, rest) = read_prefix(message)?;
        let mut state = Symmetric::new(pattern);
        if pattern == Pattern::Nk {
            state.mix_hash(&key.public().to_uncompressed());
        }
        let (initiator, rest) = read_key(&mut state, rest)?;
        if pattern == Pattern::Nk {
            state.mix_key(&key.diffie_hellman(&initiator)?);
        }
        let payload = read_encrypted(&mut state, rest)?;
        Ok((Responder { pattern, key, initiator, state }, payload))
    }

    /// The handshake that was begun.
    pub fn pattern(&self) -> Pattern {
        self.pattern
    }

    /// Writes the answer to `out` and returns the channel and the answer's length.
    ///
    /// # Errors
    /// [`ChannelError::Length`] where `out` is too small, [`ChannelError::Crypto`] where the random
    /// source or the key fails.
    pub fn reply(
        self,
        random: &mut dyn Random,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<(Transport, usize), ChannelError> {
        let Responder { pattern, key, initiator, mut state } = self;
        let ephemeral = SoftwareKey::generate(random)?;
        let mut writer = Writer::new(out, pattern)?;
        writer.key(&mut state, &ephemeral)?;
        state.mix_key(&ephemeral.diffie_hellman(&initiator)?);
        if pattern == Pattern::Nx {
            writer.encrypted(&mut state, &key.public().to_uncompressed())?;
            state.mix_key(&key.diffie_hellman(&initiator)?);
        }
        writer.encrypted(&mut state, payload)?;
        let len = writer.len;
        let (recv, send, hash) = state.split();
        Ok((Transport::new(send, recv, hash), len))
    }
}

/// A handshake message as it grows.
struct Writer<'a> {
    buf: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    fn new(buf: &'a mut [u8], pattern: Pattern) -> Result<Self, ChannelError> {
        let usable_len = buf.len().min(MESSAGE_LEN_MAX);
        let mut writer = Writer { buf: &mut buf[..usable_len], len: 0 };
        writer.put(&[VERSION, pattern as u8])?;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), ChannelError> {
        let place = self.buf.get_mut(self.len..).and_then(|rest| rest.get_mut(..bytes.len()));
        place.ok_or(ChannelError::Length)?.copy_from_slice(bytes);
        self.len += bytes.len();
        Ok(())
    }

    fn key(&mut self, state: &mut Symmetric, key: &SoftwareKey) -> Result<(), ChannelError> {
        let bytes = key.public().to_uncompressed();
        state.mix_hash(&bytes);
        self.put(&bytes)
    }

    fn encrypted(&mut self, state: &mut Symmetric, bytes: &[u8]) -> Result<(), ChannelError> {
        let start = self.len;
        self.put(bytes)?;
        self.len = start + state.encrypt(&mut self.buf[start..], bytes.len())?;
        Ok(())
    }
}

fn read_prefix(message: &mut [u8]) -> Result<(Pattern, &mut [u8]), ChannelError> {
    if message.len() > MESSAGE_LEN_MAX {
        return Err(ChannelError::Length);
    }
    let (prefix, rest) =
        message.split_first_chunk_mut::<PREFIX_LEN>().ok_or(ChannelError::Length)?;
    let [version, pattern] = *prefix;
    // The version is judged first: what a later one puts behind it is not known here.
    if version != VERSION {
        return Err(ChannelError::Version(version));
    }
    Ok((Pattern::from_byte(pattern)?, rest))
}

fn read_key<'m>(
    state: &mut Symmetric,
    rest: &'m mut [u8],
) -> Result<(PublicKey, &'m mut [u8]), ChannelError> {
    let (bytes, rest) =
        rest.split_first_chunk_mut::<UNCOMPRESSED_LEN>().ok_or(ChannelError::Length)?;
    state.mix_hash(bytes);
    Ok((PublicKey::from_uncompressed(bytes)?, rest))
}

fn read_encrypted_key<'m>(
    state: &mut Symmetric,
    rest: &'m mut [u8],
) -> Result<(PublicKey, &'m mut [u8]), ChannelError> {
    let (sealed, rest) = rest
        .split_first_chunk_mut::<{ UNCOMPRESSED_LEN + TAG_LEN }>()
        .ok_or(ChannelError::Length)?;
    state.decrypt(sealed)?;
    let bytes = sealed.first_chunk::<UNCOMPRESSED_LEN>().ok_or(ChannelError::Length)?;
    Ok((PublicKey::from_uncompressed(bytes)?, rest))
}

fn read_encrypted<'m>(state: &mut Symmetric, rest: &'m mut [u8]) -> Result<&'m [u8], ChannelError> {
    let len = state.decrypt(rest)?;
    Ok(&rest[..len])
}
