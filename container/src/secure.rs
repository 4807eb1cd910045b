//! The secure channel from this program to the container, and commands through it.

use protocol::codec;
use protocol::command::{Command, ContainerHello, Reply};
use protocol::crypto::RandomFailed;
use protocol::crypto::channel::{Initiator, Transport};
use protocol::crypto::ecdh::PublicKey;
use protocol::errors::{ErrorCode, Failure};
use protocol::limits::{COMMAND_LEN_MAX, MESSAGE_LEN_MAX};
use zeroize::Zeroizing;

use crate::backend::Channel;
use crate::error::Error;

/// First byte of an answer that refuses in clear.
const REFUSAL: u8 = 0;

/// A conversation with a container that nobody else can read or change.
pub(crate) struct Secure {
    channel: Box<dyn Channel>,
    transport: Transport,
}

/// What a container said at first contact.
pub(crate) struct FirstContact {
    pub(crate) secure: Secure,
    pub(crate) hello: ContainerHello,
    /// The static key that it proved to have; the certificate must name it.
    pub(crate) channel_key: PublicKey,
}

impl Secure {
    /// Opens a conversation with a container that is not known yet.
    pub(crate) fn first_contact(mut channel: Box<dyn Channel>) -> Result<FirstContact, Error> {
        let failed = |error| Error::new(ErrorCode::HandshakeFailed, error);
        let mut request = vec![0; MESSAGE_LEN_MAX];
        let (initiator, len) =
            Initiator::start_nx(&mut system_random, &[], &mut request).map_err(failed)?;
        let mut answer = channel.exchange(&request[..len])?;
        check_refusal(&answer)?;
        let established = initiator.finish(&mut answer).map_err(failed)?;
        let hello = codec::decode(established.payload, COMMAND_LEN_MAX)
            .map_err(|error| Error::new(ErrorCode::HandshakeFailed, error))?;
        Ok(FirstContact {
            hello,
            channel_key: established.responder,
            secure: Secure { channel, transport: established.transport },
        })
    }

    /// Names this conversation, for signatures that count in it alone.
    pub(crate) fn handshake_hash(&self) -> &[u8; 32] {
        self.transport.handshake_hash()
    }

    /// Carries out one command. A refusal by the container is an error with the container's own
    /// values.
    pub(crate) fn call(&mut self, command: &Command) -> Result<Reply, Error> {
        let mut message = Zeroizing::new(vec![0; MESSAGE_LEN_MAX]);
        let len = codec::encode_into(command, &mut message)
            .map(<[u8]>::len)
            .ok_or(ErrorCode::TooLong.with(0, COMMAND_LEN_MAX as u64))?;
        let broken = |error| Error::new(ErrorCode::ChannelDead, error);
        let len = self.transport.seal(&mut message, len).map_err(broken)?;
        let mut answer = Zeroizing::new(self.channel.exchange(&message[..len])?);
        check_refusal(&answer)?;
        let len = self.transport.open(&mut answer).map_err(broken)?;
        let reply = codec::decode(&answer[..len], COMMAND_LEN_MAX)
            .map_err(|error| Error::new(ErrorCode::DeviceGarbage, error))?;
        match reply {
            Reply::Failed(failure) => Err(failure.into()),
            reply => Ok(reply),
        }
    }
}

/// A refusal in clear is not authentic, so it is believed only as a reason to give up. No sealed
/// answer is as short as one may be that begins with this byte and decodes, but for a chance of one
/// in 2^100.
fn check_refusal(answer: &[u8]) -> Result<(), Error> {
    if answer.is_empty() {
        return Err(ErrorCode::Interrupted.failure().into());
    }
    let Some((&REFUSAL, rest)) = answer.split_first() else { return Ok(()) };
    match codec::decode::<Failure>(rest, 32) {
        Ok(failure) => Err(failure.into()),
        Err(_) => Ok(()),
    }
}

/// The system's randomness.
pub(crate) fn system_random(out: &mut [u8]) -> Result<(), RandomFailed> {
    getrandom::fill(out).map_err(|_| RandomFailed)
}
