//! All that a container keeps: its keys, the engine's records, and what the home itself remembers.

use std::collections::BTreeMap;

use engine::Answered;
use engine::platform::{Random, RecordKey};
use protocol::codec::{self, DecodeError, Fixed};
use protocol::crypto::ecdh::{SoftwareKey, StaticKey};
use protocol::crypto::{CryptoError, RandomFailed};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::binding::PublicKeys;
use crate::state_file::STATE_LEN_MAX;
use crate::watch::Watch;

/// A state, in memory. Wiped on drop, but for the engine's records, whose secrets are sealed.
#[derive(Serialize, Deserialize)]
pub struct State {
    /// The container's own keys.
    pub secrets: Secrets,
    /// The engine's count of commits.
    pub counter: u64,
    /// The latest that the machine's clock showed, Unix seconds UTC.
    pub seen_s: u64,
    /// What is remembered of the machine.
    pub watch: Watch,
    /// The last answer of the vendor's server: a checkpoint that was passed.
    pub answered: Answered,
    /// Records of the engine.
    pub records: BTreeMap<RecordKey, Vec<u8>>,
}

/// Private keys, each 32 bytes. Wiped on drop.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Secrets {
    /// Signs statements. P-256.
    pub identity: [u8; 32],
    /// Static key of the channel. P-256.
    pub channel: [u8; 32],
    /// Item keys are sealed to it. P-256.
    pub sealing: [u8; 32],
    /// Seals what is in records.
    pub storage: [u8; 32],
}

impl Secrets {
    /// New keys.
    ///
    /// # Errors
    /// The random source failed.
    pub fn draw(random: &mut impl Random) -> Result<Self, RandomFailed> {
        let mut key = || -> Result<Zeroizing<[u8; 32]>, RandomFailed> {
            let key = SoftwareKey::generate(random).map_err(|_| RandomFailed)?;
            Ok(Zeroizing::new(*key.to_secret_bytes()))
        };
        let (identity, channel, sealing) = (key()?, key()?, key()?);
        let mut secrets =
            Secrets { identity: *identity, channel: *channel, sealing: *sealing, storage: [0; 32] };
        random.fill(&mut secrets.storage)?;
        Ok(secrets)
    }
}

impl Secrets {
    /// Their public halves.
    ///
    /// # Errors
    /// A key is none.
    pub fn public(&self) -> Result<PublicKeys, CryptoError> {
        let point = |secret: &[u8; 32]| -> Result<Fixed<33>, CryptoError> {
            Ok(Fixed(SoftwareKey::from_bytes(secret)?.public().to_compressed()))
        };
        Ok(PublicKeys {
            identity: point(&self.identity)?,
            channel: point(&self.channel)?,
            sealing: point(&self.sealing)?,
        })
    }
}

impl State {
    /// Of a new container.
    pub fn new(secrets: Secrets, watch: Watch) -> Self {
        let (counter, seen_s, answered) = (0, watch.bound_s, Answered::default());
        State { secrets, counter, seen_s, watch, answered, records: BTreeMap::new() }
    }

    /// Certified time of the last checkpoint that was passed, Unix seconds UTC.
    pub fn checkpoint_s(&self) -> Option<u64> {
        Some(self.answered.at_s).filter(|at_s| *at_s != 0)
    }

    /// Reads a state.
    ///
    /// # Errors
    /// It is not one.
    pub fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, STATE_LEN_MAX)
    }

    /// Its bytes.
    pub fn write(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(codec::encode(self))
    }
}
