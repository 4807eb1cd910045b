//! Sessions: the secure channel of each client, and how commands come out of it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use protocol::codec::{self, Bytes, Fixed};
use protocol::command::{Command, ContainerHello, Reply};
use protocol::crypto::Random;
use protocol::crypto::channel::{Pattern, Responder, Transport};
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::OpId;
use protocol::limits::{COMMAND_LEN_MAX, MESSAGE_LEN_MAX};
use protocol::objects::license::Client;
use zeroize::{Zeroize, Zeroizing};

use crate::platform::Keys;
use crate::time::Known;

/// First byte of a message that refuses in clear: no channel version has this number.
pub const REFUSAL: u8 = 0;

/// Sessions of a power session, by channel, each with the turn in which it was used last.
pub(crate) struct Sessions {
    by_channel: BTreeMap<u32, (u64, Session)>,
    turn: u64,
    max: usize,
}

/// Who speaks on which channel, as far as they said so.
#[derive(Default)]
pub(crate) struct Clients(Vec<(u32, Asker)>);

/// Who asks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asker {
    /// As the host says.
    pub client: Client,
    /// The host's clock.
    pub host: Known,
    /// The user's key, whose private half was proven to be there.
    pub user_key: Option<Fixed<33>>,
    /// Whether the owner's PIN was entered.
    pub is_owner: bool,
    /// The command that asks: the token of a seat, for those who held one when the power went.
    pub op: OpId,
}

impl Clients {
    /// What is known of who speaks on a channel.
    pub(crate) fn of(&self, channel: u32) -> Asker {
        let said = self.0.iter().find(|(known, _)| *known == channel);
        said.map(|(_, asker)| *asker).unwrap_or_default()
    }

    /// The same, to be added to.
    pub(crate) fn entry(&mut self, channel: u32) -> &mut Asker {
        let at = self.0.iter().position(|(known, _)| *known == channel).unwrap_or_else(|| {
            self.0.push((channel, Asker::default()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    /// Nobody has entered the PIN any more.
    pub(crate) fn forget_owners(&mut self) {
        self.0.iter_mut().for_each(|(_, asker)| asker.is_owner = false);
    }

    pub(crate) fn forget(&mut self, channel: u32) {
        self.0.retain(|(known, _)| *known != channel);
    }
}

impl Sessions {
    pub(crate) fn new(max: usize) -> Self {
        Sessions { by_channel: BTreeMap::new(), turn: 0, max }
    }

    pub(crate) fn take(&mut self, channel: u32) -> Option<Session> {
        self.by_channel.remove(&channel).map(|(_, session)| session)
    }

    pub(crate) fn put(&mut self, channel: u32, session: Session) {
        self.turn += 1;
        self.by_channel.insert(channel, (self.turn, session));
    }

    /// Makes room for one more: the session longest unused that is in no use goes, and its channel
    /// is returned.
    pub(crate) fn make_room(
        &mut self,
        in_use: impl Fn(u32) -> bool,
    ) -> Result<Option<u32>, Failure> {
        if self.by_channel.len() < self.max {
            return Ok(None);
        }
        let idle = self.by_channel.iter().filter(|(channel, _)| !in_use(**channel));
        let oldest = idle.min_by_key(|(_, (turn, _))| *turn).map(|(channel, _)| *channel);
        let gone = oldest.ok_or(ErrorCode::TooManySessions.with(self.max as u64, 0))?;
        self.by_channel.remove(&gone);
        Ok(Some(gone))
    }
}

/// One client's channel.
pub(crate) struct Session(Transport);

impl Session {
    /// Names this channel to whoever signs for it.
    pub(crate) fn handshake_hash(&self) -> &[u8; 32] {
        self.0.handshake_hash()
    }

    /// Opens a message. `Err(dead)`: it was not authentic, and whether the channel is dead by now.
    /// An authentic message that is no command is a failure inside the channel.
    pub(crate) fn open(&mut self, request: &[u8]) -> Result<Result<Command, Failure>, bool> {
        let mut message = Zeroizing::new(Vec::from(request));
        let len = self.0.open(&mut message).map_err(|_| self.0.is_dead())?;
        let command = codec::decode(&message[..len], COMMAND_LEN_MAX);
        Ok(command.map_err(|_| ErrorCode::Malformed.failure()))
    }

    /// Seals a reply.
    pub(crate) fn seal(&mut self, mut reply: Reply, response: &mut Vec<u8>) -> Result<(), ()> {
        response.resize(MESSAGE_LEN_MAX, 0);
        let len = codec::encode_into(&reply, response).map(<[u8]>::len);
        let sealed = len.and_then(|len| self.0.seal(response, len).ok());
        if let Reply::Seat(protocol::command::SeatReply::Key(key)) = &mut reply {
            key.zeroize();
        }
        match sealed {
            Some(len) => {
                response.truncate(len);
                Ok(())
            }
            None => {
                response.zeroize();
                Err(())
            }
        }
    }
}

/// What a container says at first.
pub(crate) struct Hello<'a> {
    pub boot: [u8; 16],
    pub firmware: u32,
    pub certificate: &'a [u8],
}

impl Hello<'_> {
    /// Answers the first message of a handshake.
    pub(crate) fn answer(
        &self,
        keys: &impl Keys,
        random: &mut dyn Random,
        request: &[u8],
        response: &mut Vec<u8>,
    ) -> Result<Session, Failure> {
        let failed = |_| ErrorCode::HandshakeFailed.failure();
        let mut request = Vec::from(request);
        let (responder, _) = Responder::accept(keys.channel_key(), &mut request).map_err(failed)?;
        let certificate = match responder.pattern() {
            Pattern::Nx => self.certificate,
            _ => &[],
        };
        let hello = ContainerHello {
            boot: Fixed(self.boot),
            firmware: self.firmware,
            certificate: Bytes::new(certificate).ok_or(ErrorCode::CertificateRefused.failure())?,
        };
        response.resize(MESSAGE_LEN_MAX, 0);
        let (transport, len) =
            responder.reply(random, &codec::encode(&hello), response).map_err(failed)?;
        response.truncate(len);
        Ok(Session(transport))
    }
}

/// A refusal outside any channel: not authentic, for messages to people only.
pub(crate) fn refuse(failure: Failure, response: &mut Vec<u8>) {
    response.clear();
    response.push(REFUSAL);
    response.extend_from_slice(&codec::encode(&failure));
}
