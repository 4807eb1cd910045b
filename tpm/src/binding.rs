//! What a container is bound to: the file `container` of its folder. Nothing in it is secret, and
//! nothing in it is believed: what is changed in it does not open, or its signatures do not hold.

use protocol::codec::{self, Bytes, Fixed, List};
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{ContainerId, RootFp};
use protocol::limits::{ARTIFACT_ROOTS_MAX, ROOT_OBJECT_LEN_MAX, STATEMENT_LEN_MAX};
use protocol::objects::device::AnchorClass;
use protocol::objects::file::{self, FileKind};
use serde::{Deserialize, Serialize};

use crate::chip::{Blob, IndexRecord, StorageKey};

/// Name of the file.
pub const NAME: &str = "container";
/// Name of the file that takes its place when the container is bound anew, and of what was there
/// before.
pub const OTHER: &str = "container.other";
/// Bytes of the file, at most.
pub const FILE_LEN_MAX: usize = 64 * 1024;
/// Bytes of a Name of a TPM: its algorithm and a hash of up to 48 bytes.
const NAME_LEN_MAX: usize = 50;
/// Bytes of a part of a sealed blob.
const BLOB_LEN_MAX: usize = 512;
/// Bytes of a record of the machine's traits.
pub(crate) const TRAITS_LEN_MAX: usize = 4096;

/// A container and what opens it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The container.
    pub container: ContainerId,
    /// The one firm whose licenses it holds.
    pub firm: RootFp,
    /// Its public keys.
    pub keys: PublicKeys,
    /// What keeps its state.
    pub seal: Seal,
    /// The machine's traits, as `machine::Record`; empty where they are not asked for.
    pub traits: Bytes<TRAITS_LEN_MAX>,
    /// The firm's certificate for its keys; empty until the firm gave it.
    pub certificate: Bytes<STATEMENT_LEN_MAX>,
    /// The firm's roots, the first first, up to the one whose key certified.
    pub roots: List<Bytes<ROOT_OBJECT_LEN_MAX>, ARTIFACT_ROOTS_MAX>,
}

/// A container's public keys, compressed points of P-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKeys {
    /// Signs statements.
    pub identity: Fixed<33>,
    /// Static key of the channel.
    pub channel: Fixed<33>,
    /// Item keys are sealed to it.
    pub sealing: Fixed<33>,
}

/// What keeps a state from being read elsewhere, and an old one from coming back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seal {
    /// A TPM, both.
    Tpm(TpmSeal),
    /// The machine's traits alone, and nothing against an old state.
    Traits,
}

/// What a container has in a TPM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TpmSeal {
    /// Name of the storage key that its sessions are salted to.
    storage_key: Bytes<NAME_LEN_MAX>,
    /// Whether that is kept in the TPM.
    is_persistent: bool,
    public: Bytes<BLOB_LEN_MAX>,
    private: Bytes<BLOB_LEN_MAX>,
    head: Index,
    counter: Index,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Index {
    handle: u32,
    name: Bytes<NAME_LEN_MAX>,
}

impl Binding {
    /// Reads the file.
    ///
    /// # Errors
    /// It is not one.
    pub fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let body = file::expect(bytes, FileKind::SoftContainer)?;
        codec::decode(body, FILE_LEN_MAX).map_err(|_| ErrorCode::Malformed.failure())
    }

    /// The file.
    pub fn write(&self) -> Vec<u8> {
        codec::append(self, file::prefix(FileKind::SoftContainer).to_vec())
    }

    /// What keeps its state from going back.
    pub fn anchor(&self) -> AnchorClass {
        match self.seal {
            Seal::Tpm(_) => AnchorClass::Tpm,
            Seal::Traits => AnchorClass::None,
        }
    }
}

impl TpmSeal {
    /// None where a TPM gave something longer than any TPM has.
    pub fn new(
        key: &StorageKey,
        blob: &Blob,
        head: &IndexRecord,
        counter: &IndexRecord,
    ) -> Option<Self> {
        Some(TpmSeal {
            storage_key: Bytes::new(key.name.clone())?,
            is_persistent: key.persistent,
            public: Bytes::new(blob.public.clone())?,
            private: Bytes::new(blob.private.clone())?,
            head: Index::new(head)?,
            counter: Index::new(counter)?,
        })
    }

    /// The same with another blob; none where that is longer than any TPM's.
    pub fn with(&self, blob: &Blob) -> Option<Self> {
        let (public, private) =
            (Bytes::new(blob.public.clone())?, Bytes::new(blob.private.clone())?);
        Some(TpmSeal { public, private, ..self.clone() })
    }

    /// The storage key.
    pub fn storage_key(&self) -> StorageKey {
        StorageKey { name: self.storage_key.to_vec(), persistent: self.is_persistent }
    }

    /// The sealed blob.
    pub fn blob(&self) -> Blob {
        Blob { public: self.public.to_vec(), private: self.private.to_vec() }
    }

    /// The index with the epoch.
    pub fn head(&self) -> IndexRecord {
        self.head.record()
    }

    /// The machine's counter.
    pub fn counter(&self) -> IndexRecord {
        self.counter.record()
    }
}

impl Index {
    fn new(record: &IndexRecord) -> Option<Self> {
        Some(Index { handle: record.handle, name: Bytes::new(record.name.clone())? })
    }

    fn record(&self) -> IndexRecord {
        IndexRecord { handle: self.handle, name: self.name.to_vec() }
    }
}

/// Where a container that is not finished lies: the file `intent`, so that nothing of it stays in
/// the TPM when it never is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The container.
    pub container: ContainerId,
    /// Where its index is defined.
    pub handle: u32,
    /// Name of the storage key, and whether it is kept in the TPM.
    storage_key: (Bytes<NAME_LEN_MAX>, bool),
    blob: (Bytes<BLOB_LEN_MAX>, Bytes<BLOB_LEN_MAX>),
    /// The machine's traits, whose key opens the blob.
    pub traits: Bytes<TRAITS_LEN_MAX>,
    /// Keeps the type apart from others of its length.
    version: Fixed<1>,
}

impl Intent {
    /// Name of the file.
    pub const NAME: &str = "intent";

    /// None where a TPM gave something longer than any TPM has.
    pub fn new(
        container: ContainerId,
        handle: u32,
        key: &StorageKey,
        (blob, traits): (&Blob, &Bytes<TRAITS_LEN_MAX>),
    ) -> Option<Self> {
        Some(Intent {
            container,
            handle,
            storage_key: (Bytes::new(key.name.clone())?, key.persistent),
            blob: (Bytes::new(blob.public.clone())?, Bytes::new(blob.private.clone())?),
            traits: traits.clone(),
            version: Fixed([2]),
        })
    }

    /// Reads the file; none if it is not one.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        codec::decode(bytes, FILE_LEN_MAX).ok()
    }

    /// The file.
    pub fn write(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The storage key.
    pub fn storage_key(&self) -> StorageKey {
        StorageKey { name: self.storage_key.0.to_vec(), persistent: self.storage_key.1 }
    }

    /// The sealed blob.
    pub fn blob(&self) -> Blob {
        Blob { public: self.blob.0.to_vec(), private: self.blob.1.to_vec() }
    }
}
