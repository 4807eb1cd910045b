//! The messages of this layer itself: handing out a channel.

use super::packet::Packet;
use super::{Cid, Command, FIRST_DATA_LEN, FRAME_VERSION, Report};

/// Bytes in a nonce.
pub const NONCE_LEN: usize = 8;
/// What a client draws to know the answer to its own `Init` among everyone's.
pub type Nonce = [u8; NONCE_LEN];

/// The dongle's answer to `Init`: 14 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// The asker's nonce.
    pub nonce: Nonce,
    /// The new channel, or [`Cid::NONE`] if none is free.
    pub cid: Cid,
    /// The dongle's [`FRAME_VERSION`].
    pub version: u8,
    /// One bit per thing that a dongle may be able to do; none is defined yet, unknown ones are
    /// ignored.
    pub capabilities: u8,
}

impl Allocation {
    /// Length of the encoding.
    pub const LEN: usize = NONCE_LEN + 6;

    /// The answer's bytes.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.nonce);
        bytes[8..12].copy_from_slice(&self.cid.0.to_be_bytes());
        bytes[12] = self.version;
        bytes[13] = self.capabilities;
        bytes
    }

    /// Reads an answer. Of a newer version only the parts up to the version are certain, and a
    /// longer answer is let pass.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (fields, rest) = bytes.split_first_chunk::<{ Self::LEN }>()?;
        let [nonce @ .., c0, c1, c2, c3, version, capabilities] = *fields;
        let cid = Cid(u32::from_be_bytes([c0, c1, c2, c3]));
        if version == FRAME_VERSION && !rest.is_empty() || cid == Cid::BROADCAST {
            return None;
        }
        Some(Self { nonce, cid, version, capabilities })
    }
}

/// The report that asks for a channel.
pub fn allocation_request(nonce: &Nonce) -> Report {
    let mut data = [0; FIRST_DATA_LEN];
    data[..NONCE_LEN].copy_from_slice(nonce);
    let command = Command::Init as u8;
    Packet::First { cid: Cid::BROADCAST, command, len: NONCE_LEN as u16, data: &data }.to_report()
}

/// What `report` says to the client that asked with `nonce`; `None` if it is not its answer.
pub fn hear_allocation(report: &Report, nonce: &Nonce) -> Option<Allocation> {
    let Packet::First { cid: Cid::BROADCAST, command, len, data } = Packet::parse(report) else {
        return None;
    };
    if command != Command::Init as u8 {
        return None;
    }
    let answer = Allocation::from_bytes(data.get(..usize::from(len))?)?;
    (answer.nonce == *nonce).then_some(answer)
}
