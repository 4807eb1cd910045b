//! What the engine needs from its home: five capabilities, bundled.
//!
//! A *home* (dongle, TPM, cloud) says where state is kept, which key signs and which counter cannot
//! go back. The engine says everything else. [`crate::testing`] holds a bundle for tests.

use protocol::crypto::CryptoError;
pub use protocol::crypto::Random;
use protocol::crypto::ecdh::StaticKey;
use protocol::crypto::hash::Hash32;
use protocol::ids::{ContainerId, KeyId, RootFp};
use protocol::objects::enrollment::Attested;

/// The five capabilities, bundled so that one type parameter is enough.
pub trait Platform {
    /// Where records are kept.
    type Store: Store;
    /// Who signs and agrees on keys.
    type Keys: Keys;
    /// What cannot go back.
    type Counter: Counter;
    /// What time it may be.
    type Clock: Clock;
    /// Unpredictable bytes.
    type Random: Random;

    /// All five at once, so that a step can hold several.
    fn parts(&mut self) -> Parts<'_, Self>;

    /// What the anchor certifies over a hash: that it rose, where it can do so; none where it
    /// cannot.
    ///
    /// # Errors
    /// It failed.
    fn attest(&mut self, over: &Hash32) -> Result<Option<Attested>, StoreError> {
        let _ = over;
        Ok(None)
    }
}

/// The capabilities of a platform, borrowed one by one.
pub struct Parts<'a, P: Platform + ?Sized> {
    /// Records.
    pub store: &'a mut P::Store,
    /// Keys.
    pub keys: &'a P::Keys,
    /// Counter.
    pub counter: &'a mut P::Counter,
    /// Clock.
    pub clock: &'a mut P::Clock,
    /// Randomness.
    pub random: &'a mut P::Random,
}

/// Key of a record. The engine partitions the space in `records.rs`; a store only orders keys.
pub type RecordKey = u64;

/// Bytes of a record's value, at most.
pub const RECORD_LEN_MAX: usize = 2048;

/// Records one transaction may write or delete, at most.
pub const TRANSACTION_RECORDS_MAX: usize = 640;

/// Atomic, durable records.
///
/// At most one transaction is open. Reads see the writes of the open transaction. After
/// [`Store::commit`] returned `Ok`, its writes survive any power cut; a cut before that leaves
/// either all of them or none. Writing outside a transaction is an error of the caller
/// (`StoreError::Misuse`).
pub trait Store {
    /// Copies the value of `key` into `buf` and returns its length, or `None` where there is no
    /// record. `buf` shorter than the value is `StoreError::Misuse`.
    fn read(&mut self, key: RecordKey, buf: &mut [u8]) -> Result<Option<usize>, StoreError>;

    /// The smallest key that is at least `from`. Sees the open transaction.
    fn next_key(&mut self, from: RecordKey) -> Result<Option<RecordKey>, StoreError>;

    /// Opens a transaction. One that is already open is dropped first.
    fn begin(&mut self) -> Result<(), StoreError>;

    /// Writes a record, at most [`RECORD_LEN_MAX`] bytes, in the open transaction.
    fn put(&mut self, key: RecordKey, value: &[u8]) -> Result<(), StoreError>;

    /// Deletes a record in the open transaction. Deleting what is absent is no error.
    fn delete(&mut self, key: RecordKey) -> Result<(), StoreError>;

    /// Makes the open transaction durable. After an error the old state holds, or, if the medium
    /// died in the middle, whichever of the two a restart finds.
    fn commit(&mut self) -> Result<(), StoreError>;

    /// Forgets the open transaction.
    fn abort(&mut self);
}

/// Why a store refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// No room, even after reclaim.
    Full,
    /// The medium failed, or its content is not one that this store wrote.
    Medium,
    /// The caller broke the contract.
    Misuse,
}

/// A count that never goes back, in a place that a copy of the store does not bring along.
pub trait Counter {
    /// The present value.
    fn value(&mut self) -> Result<u64, StoreError>;

    /// Raises the value to `to`, durably. `to` not above the present value is no error and does
    /// nothing.
    fn advance_to(&mut self, to: u64) -> Result<(), StoreError>;
}

/// A container's keys, wherever they live.
pub trait Keys {
    /// The container's id.
    fn id(&self) -> ContainerId;

    /// The device certificate, as an object.
    fn certificate(&self) -> &[u8];

    /// The root of this version, as an object, of the firm that certified this container; none
    /// where a maker did, whom everybody knows.
    fn root(&self, version: u8) -> Option<&[u8]> {
        let _ = version;
        None
    }

    /// The one firm whose licenses this container takes; none where it takes those of all.
    fn only_firm(&self) -> Option<RootFp> {
        None
    }

    /// Signs a preimage with the identity key. `entropy` is fresh.
    ///
    /// # Errors
    /// [`CryptoError::KeyHome`] where the key's home does not answer.
    fn sign(&self, preimage: &[u8], entropy: &[u8; 32]) -> Result<[u8; 64], CryptoError>;

    /// The identity key's public half, by its id.
    fn identity_id(&self) -> KeyId;

    /// Static key of the channel.
    fn channel_key(&self) -> &dyn StaticKey;

    /// The key that item keys are sealed to.
    fn sealing_key(&self) -> &dyn StaticKey;

    /// Protects item keys where records can be read out. Never leaves the home.
    fn storage_key(&self) -> &[u8; 32];
}

/// Time as the home knows it. The engine decides what to believe (`time.rs`).
pub trait Clock {
    /// Milliseconds of running time since this power-up. Never falls while powered.
    fn ticks_ms(&mut self) -> u64;

    /// Unix seconds UTC from a battery-backed clock, if the home has one that runs.
    fn rtc_s(&mut self) -> Option<u64>;
}
