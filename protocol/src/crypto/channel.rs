//! The channel between a program and a container: Noise NX at first contact, NK afterwards.
//!
//! P-256, AES-256-GCM, SHA-256, after the Noise specification, revision 34; public keys travel
//! uncompressed, so DHLEN is 65 for keys and 32 for shared secrets. The initiator is the program
//! and stays anonymous, the responder is the container. `docs/formats/20-channel.md` has the bytes.
//! A handshake consumes itself step by step and ends in a [`Transport`], which owns its message
//! counters and cannot be cloned: a nonce repeats neither by a caller's mistake nor across a
//! restart, since a channel is never stored and a new one has new keys.

mod cipher;
mod handshake;
mod symmetric;
mod transport;

pub use handshake::{Established, Initiator, Responder};
pub use transport::{FAILURES_MAX, REKEY_MESSAGES, TRANSPORT_LEN, Transport};

use super::CryptoError;
use super::aead::TAG_LEN;
use super::ecdh::UNCOMPRESSED_LEN;

/// Version of the suite, first byte of each handshake message.
pub const VERSION: u8 = 1;

/// Label of the prologue; `0x00`, version and pattern follow it.
pub const PROLOGUE_LABEL: &str = "strongroom/channel/v1";

/// Bytes of a handshake or transport message at most (Noise, section 3).
pub const MESSAGE_LEN_MAX: usize = 65_535;

/// Bytes in front of the first key of a handshake message: version and pattern.
const PREFIX_LEN: usize = 2;

/// Which handshake. The discriminant is the byte on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Pattern {
    /// First contact: the responder sends its static key, to be checked against its certificate.
    Nx = 1,
    /// The initiator knows the responder's static key.
    Nk = 2,
}

impl Pattern {
    /// Name of the protocol, which every key depends on.
    pub const fn protocol_name(self) -> &'static str {
        match self {
            Pattern::Nx => "Noise_NX_P256_AESGCM_SHA256",
            Pattern::Nk => "Noise_NK_P256_AESGCM_SHA256",
        }
    }

    /// Bytes that the first message has beside its payload.
    pub const fn message_1_overhead_len(self) -> usize {
        PREFIX_LEN
            + match self {
                Pattern::Nx => UNCOMPRESSED_LEN,
                Pattern::Nk => UNCOMPRESSED_LEN + TAG_LEN,
            }
    }

    /// Bytes that the second message has beside its payload.
    pub const fn message_2_overhead_len(self) -> usize {
        PREFIX_LEN
            + match self {
                Pattern::Nx => 2 * (UNCOMPRESSED_LEN + TAG_LEN),
                Pattern::Nk => UNCOMPRESSED_LEN + TAG_LEN,
            }
    }

    fn from_byte(byte: u8) -> Result<Pattern, ChannelError> {
        match byte {
            1 => Ok(Pattern::Nx),
            2 => Ok(Pattern::Nk),
            other => Err(ChannelError::Pattern(other)),
        }
    }
}

/// Why the channel did not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(thiserror::Error))]
#[non_exhaustive]
pub enum ChannelError {
    /// A handshake message of a version that is not known here.
    #[cfg_attr(feature = "std", error("channel version {0} is not known here"))]
    Version(u8),
    /// A handshake pattern that is not known, or not the one begun.
    #[cfg_attr(feature = "std", error("handshake pattern {0} is not known, or not the one begun"))]
    Pattern(u8),
    /// A message too short for its fixed parts, or longer than [`MESSAGE_LEN_MAX`]; a buffer
    /// without room.
    #[cfg_attr(feature = "std", error("a message or buffer of an unusable length"))]
    Length,
    /// Not authentic, repeated, out of order, or made for another channel. The message was zeroed.
    #[cfg_attr(feature = "std", error("the message is not the next one of this channel"))]
    Refused,
    /// Too many messages were refused; the keys are wiped. Only a new handshake helps.
    #[cfg_attr(feature = "std", error("the channel is closed after refused messages"))]
    Dead,
    /// The counter of messages is used up. Only a new handshake helps.
    #[cfg_attr(feature = "std", error("the channel has used up its message counter"))]
    Exhausted,
    /// A key that is no point of the curve, or a failed source of randomness or home of a key.
    #[cfg_attr(feature = "std", error("{0}"))]
    Crypto(CryptoError),
}

impl From<CryptoError> for ChannelError {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::Tag => ChannelError::Refused,
            CryptoError::Length => ChannelError::Length,
            other => ChannelError::Crypto(other),
        }
    }
}
