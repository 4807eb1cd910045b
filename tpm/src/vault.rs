//! The vault: a state that is read by its TPM only, and of which there is one, the latest.
//!
//! A commit writes the new state as a file that nobody can open, and then replaces the key in the
//! TPM's index: that one write is the commit. Whatever is on the disk before it is a draft, and
//! whatever was current is noise after it, also where two drafts of one epoch were made, since each
//! has a key of its own.

use std::io;

use protocol::codec::Bytes;
use protocol::crypto::hash::{Hash32, sha256};
use protocol::ids::{ContainerId, RootFp};
use protocol::objects::enrollment::{Attested, attestation_unique};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::binding::{Binding, Intent, Seal, TpmSeal};
use crate::chip::{Blob, Chip, HEAD_LEN, Head, Passwords, StorageKey, Tcti, Trouble};
use crate::clock;
use crate::directory::Directory;
use crate::machine_key::{Machine, MachineKey};
use crate::state_file::{self, EpochKeys, Position, STATE_LEN_MAX};

/// Tries of a commit that somebody else's use of the TPM interrupts: some seconds, for one who does
/// much at a time. Against one who never stops, whose next command always waits, no number helps.
const COMMIT_TRIES: u32 = 200;
/// Newest epochs whose files are kept: a TPM in software may lose its last write with the power.
const FILES_KEPT: u64 = 3;
/// Version of an index's content.
const HEAD_VERSION: u16 = 1;

/// A key. Wiped on drop.
type Key = Zeroizing<[u8; 32]>;
/// Hash of a file, and the state in it.
type Found = ([u8; 32], Zeroizing<Vec<u8>>);

/// The way to a TPM, and what its administrator set.
pub struct Access {
    /// The way.
    pub tcti: Tcti,
    /// Passwords of its hierarchies.
    pub passwords: Passwords,
}

/// The way to a TPM, asked for each time that it is taken.
pub type AccessOf = fn() -> Result<Access, Trouble>;

/// Why a container cannot be used until the vendor helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Reason {
    /// No file opens under the key in the TPM: an old state was put back, or the TPM went back.
    #[error("the files are not the latest that this container had")]
    Stale,
    /// Another TPM made the blob.
    #[error("the container belongs to another TPM")]
    Foreign,
    /// The TPM was cleared, or its index deleted.
    #[error("what the container keeps in the TPM is gone: it was cleared")]
    Gone,
    /// The index was made again by somebody else.
    #[error("what the container keeps in the TPM was replaced")]
    Alien,
    /// The machine's counter is lower than it was.
    #[error("the counter of the TPM went back")]
    CounterBack,
    /// The machine is another one, by its traits.
    #[error("this is not the machine that the container is bound to")]
    Traits,
}

/// Why a vault does not open.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Shut {
    /// It is locked.
    #[error("{0}")]
    Locked(Reason),
    /// The TPM cannot be used.
    #[error(transparent)]
    Tpm(Trouble),
    /// The files cannot be read.
    #[error(transparent)]
    Files(#[from] io::Error),
    /// The files of a new container cannot be written.
    #[error("the files cannot be written: {0}")]
    Unwritten(io::Error),
    /// The file `container` is not one.
    #[error("the file `container` is damaged")]
    Damaged,
}

/// Why a commit was not made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NotCommitted {
    /// The old state holds, and the next commit may work.
    #[error("the state could not be kept: {0}")]
    Kept(String),
    /// What holds is not known here: the vault is to be opened again.
    #[error("the state has to be read again: {0}")]
    Lost(Trouble),
}

impl From<Trouble> for Shut {
    fn from(trouble: Trouble) -> Self {
        Shut::Tpm(trouble)
    }
}

/// A root key that is not in use yet, and what will open it.
pub struct Resealed {
    root: Key,
    /// For the container's binding.
    pub seal: Seal,
}

/// An open vault.
pub struct Vault {
    directory: Directory,
    container: ContainerId,
    root: Zeroizing<[u8; 32]>,
    anchor: Anchor,
    epoch: u64,
    /// SHA-256 of the file of this epoch.
    hash: [u8; 32],
}

enum Anchor {
    Tpm(Box<Tpm>),
    /// Nothing keeps an old file from coming back.
    None,
}

struct Tpm {
    /// None while another part of this program has the connection.
    chip: Option<Chip>,
    head: Head,
    seal: TpmSeal,
    access: Access,
    auth: Zeroizing<[u8; 32]>,
    content: HeadContent,
    /// From the TPM's generator: a system's that is weak makes no weak key.
    random: Zeroizing<[u8; 32]>,
}

/// What the index holds. Wiped on drop.
#[derive(Clone)]
struct HeadContent(Zeroizing<[u8; HEAD_LEN]>);

impl HeadContent {
    fn new(container: ContainerId, epoch: u64, key: &[u8; 32], counter: u64) -> Self {
        let mut bytes = Zeroizing::new([0; HEAD_LEN]);
        bytes[..2].copy_from_slice(&HEAD_VERSION.to_be_bytes());
        bytes[8..16].copy_from_slice(&epoch.to_be_bytes());
        bytes[16..48].copy_from_slice(key);
        bytes[48..56].copy_from_slice(&container.bytes()[..8]);
        bytes[56..].copy_from_slice(&counter.to_be_bytes());
        HeadContent(bytes)
    }

    fn epoch(&self) -> u64 {
        u64::from_be_bytes(self.part(8))
    }

    fn key(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.part(16))
    }

    /// The machine's counter when this was written.
    fn counter(&self) -> u64 {
        u64::from_be_bytes(self.part(56))
    }

    fn is_of(&self, container: ContainerId) -> bool {
        self.part(0) == HEAD_VERSION.to_be_bytes() && self.part::<8>(48) == container.bytes()[..8]
    }

    fn part<const N: usize>(&self, at: usize) -> [u8; N] {
        core::array::from_fn(|index| self.0[at + index])
    }
}

impl PartialEq for HeadContent {
    fn eq(&self, other: &Self) -> bool {
        self.0[..].ct_eq(&other.0[..]).into()
    }
}

impl Vault {
    /// Opens the vault of a container, and its state. `auth` is the key that the machine gives;
    /// without a TPM it is all that opens.
    ///
    /// # Errors
    /// [`Shut`], with the reason and what to do about it.
    pub fn open(
        directory: Directory,
        binding: &Binding,
        access: Access,
        auth: &[u8; 32],
    ) -> Result<(Self, Zeroizing<Vec<u8>>), Shut> {
        let container = binding.container;
        match &binding.seal {
            Seal::Tpm(seal) => {
                let (tpm, root) = Tpm::open(container, seal, access, auth)?;
                let (epoch, key) = (tpm.content.epoch(), tpm.content.key());
                let (hash, state) = read_state(&directory, container, epoch, &root, &key)?
                    .ok_or(Shut::Locked(Reason::Stale))?;
                let anchor = Anchor::Tpm(Box::new(tpm));
                Ok((Vault { directory, container, root, anchor, epoch, hash }, state))
            }
            Seal::Traits => {
                let root = Zeroizing::new(*auth);
                for (epoch, _) in files(&directory)? {
                    let found = read_state(&directory, container, epoch, &root, &[0; 32])?;
                    let Some((hash, state)) = found else { continue };
                    let anchor = Anchor::None;
                    return Ok((Vault { directory, container, root, anchor, epoch, hash }, state));
                }
                Err(Shut::Locked(Reason::Stale))
            }
        }
    }

    /// Makes the vault of a new container, with its first state. Nothing counts before the caller
    /// writes the binding that is returned.
    ///
    /// # Errors
    /// [`Shut`]. What was left in the TPM is named by the file `intent`, for [`Vault::clear`].
    pub fn create(
        directory: Directory,
        container: ContainerId,
        access: Option<Access>,
        machine: &MachineKey,
        state: &[u8],
    ) -> Result<(Self, Seal), Shut> {
        let (anchor, root, seal) = match access {
            Some(access) => {
                let (tpm, root) = Tpm::create(&directory, container, access, machine)?;
                let seal = Seal::Tpm(tpm.seal.clone());
                (Anchor::Tpm(Box::new(tpm)), root, seal)
            }
            None => (Anchor::None, machine.key.clone(), Seal::Traits),
        };
        let mut vault = Vault { directory, container, root, anchor, epoch: 0, hash: [0; 32] };
        let key = vault.epoch_key();
        vault.hash = vault.draft(0, [0; 32], &key, state).map_err(Shut::Unwritten)?;
        Ok((vault, seal))
    }

    /// Takes away what a container that was never finished left in the TPM.
    ///
    /// # Errors
    /// [`Shut`].
    pub fn clear(
        directory: &Directory,
        access: impl FnOnce() -> Result<Access, Trouble>,
        machine: &Machine,
    ) -> Result<(), Shut> {
        let Some(bytes) = directory.read(Intent::NAME, crate::binding::FILE_LEN_MAX)? else {
            return Ok(());
        };
        let cleared = Intent::read(&bytes).map_or(Ok(()), |intent| {
            let key = machine.open(&intent.traits).map_err(|_| Shut::Locked(Reason::Traits))?.key;
            let mut chip = connected(&access()?, &intent.storage_key())?;
            let (_, index_auth) = opened(&mut chip, &intent.blob(), &key)?;
            chip.undefine_head(intent.handle, &index_auth)?;
            Ok(())
        });
        match cleared {
            // Of another TPM, or of this one before it was cleared, which took all of it away; or
            // of another machine, on which nobody knows what opens it.
            Ok(()) | Err(Shut::Locked(Reason::Foreign | Reason::Gone | Reason::Traits)) => {}
            Err(shut) => return Err(shut),
        }
        Ok(directory.remove(Intent::NAME)?)
    }

    /// The folder.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The TPM, where one keeps it and is connected.
    pub fn chip(&mut self) -> Option<&mut Chip> {
        match &mut self.anchor {
            Anchor::Tpm(tpm) => tpm.chip.as_mut(),
            Anchor::None => None,
        }
    }

    /// What the TPM certifies of the machine's counter over a hash, once that rose; none where no
    /// TPM keeps the container.
    ///
    /// # Errors
    /// What the TPM says.
    pub fn attest(&mut self, firm: RootFp, over: &Hash32) -> Result<Option<Attested>, Trouble> {
        let Anchor::Tpm(tpm) = &mut self.anchor else { return Ok(None) };
        let chip = tpm.chip.as_mut().ok_or(Trouble::Absent)?;
        let record = tpm.seal.counter();
        let counter = chip.known_counter(&record)?;
        chip.raise(counter)?;
        let (passwords, unique) = (&tpm.access.passwords, attestation_unique(firm));
        let made = chip.certify_counter(passwords, unique, &record, over)?;
        let (attest, signature) = (Bytes::new(made.attest), Bytes::new(made.signature));
        let (attest, signature) = attest.zip(signature).ok_or(Trouble::Garbled)?;
        Ok(Some(Attested { attest, signature }))
    }

    /// Commits made so far.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// SHA-256 of the file of the present state.
    pub fn state_hash(&self) -> [u8; 32] {
        self.hash
    }

    /// What opens the vault once [`Vault::commit_under`] made it so: another root key, sealed so
    /// that another `auth` opens it. What opened it before opens no state then.
    ///
    /// # Errors
    /// [`Shut`].
    pub fn reseal(&mut self, auth: &[u8; 32]) -> Result<Resealed, Shut> {
        let Anchor::Tpm(tpm) = &mut self.anchor else {
            return Ok(Resealed { root: Zeroizing::new(*auth), seal: Seal::Traits });
        };
        let root = mixed(&tpm.random)?;
        let chip = tpm.chip.as_mut().ok_or(Shut::Tpm(Trouble::Absent))?;
        let blob = chip.seal(&payload(&root, &tpm.auth)[..], auth)?;
        let seal = tpm.seal.with(&blob).ok_or(Shut::Tpm(Trouble::Garbled))?;
        Ok(Resealed { root, seal: Seal::Tpm(seal) })
    }

    /// Makes a state the present one, durably, which the new root key opens and the old does not.
    ///
    /// # Errors
    /// [`NotCommitted`].
    pub fn commit_under(&mut self, resealed: Resealed, state: &[u8]) -> Result<(), NotCommitted> {
        let old = std::mem::replace(&mut self.root, resealed.root);
        let committed = self.commit(state);
        match (&committed, &mut self.anchor, resealed.seal) {
            (Err(NotCommitted::Kept(_)), ..) => self.root = old,
            (Ok(()), Anchor::Tpm(tpm), Seal::Tpm(seal)) => tpm.seal = seal,
            _ => {}
        }
        committed
    }

    /// Makes a state the present one, durably.
    ///
    /// # Errors
    /// [`NotCommitted`].
    pub fn commit(&mut self, state: &[u8]) -> Result<(), NotCommitted> {
        let kept = |why: &dyn std::fmt::Display| NotCommitted::Kept(why.to_string());
        if state.len() > STATE_LEN_MAX {
            return Err(kept(&format!("{} bytes are more than fit", state.len())));
        }
        let epoch = self.epoch + 1;
        let key = match &self.anchor {
            Anchor::Tpm(tpm) => tpm.fresh_key().map_err(|_| kept(&"no random numbers"))?,
            Anchor::None => Zeroizing::new([0; 32]),
        };
        let hash = self.draft(epoch, self.hash, &key, state).map_err(|error| kept(&error))?;
        if let Anchor::Tpm(tpm) = &mut self.anchor {
            let counter = tpm.content.counter();
            let replaced = tpm.replace(HeadContent::new(self.container, epoch, &key, counter));
            if matches!(replaced, Err(NotCommitted::Kept(_))) {
                // It takes room, and nothing will ever open it.
                let _ = self.directory.remove(&state_file::name(epoch, &hash));
            }
            replaced?;
        }
        (self.epoch, self.hash) = (epoch, hash);
        // Old files take room and open nothing; they may as well go with the next commit.
        let _ = self.sweep();
        Ok(())
    }

    /// Writes the file of an epoch; its hash.
    fn draft(
        &self,
        epoch: u64,
        previous: [u8; 32],
        key: &[u8; 32],
        state: &[u8],
    ) -> io::Result<[u8; 32]> {
        let mut nonce = [0; 12];
        getrandom::fill(&mut nonce).map_err(io::Error::other)?;
        let at = Position { container: self.container, epoch, previous };
        let keys = EpochKeys { root: &self.root, epoch: key };
        let bytes = state_file::seal(&at, &keys, &nonce, state);
        let hash = sha256(&bytes);
        self.directory.write(&state_file::name(epoch, &hash), &bytes)?;
        Ok(hash)
    }

    fn epoch_key(&self) -> Zeroizing<[u8; 32]> {
        match &self.anchor {
            Anchor::Tpm(tpm) => tpm.content.key(),
            Anchor::None => Zeroizing::new([0; 32]),
        }
    }

    /// Removes what opens nothing any more. Drafts beyond the present epoch may be those of a
    /// commit that is under way elsewhere.
    fn sweep(&self) -> io::Result<()> {
        let current = state_file::name(self.epoch, &self.hash);
        for (epoch, name) in files(&self.directory)? {
            let is_old = epoch.saturating_add(FILES_KEPT) <= self.epoch;
            if is_old || (epoch == self.epoch && name != current) {
                self.directory.remove(&name)?;
            }
        }
        Ok(())
    }
}

impl Tpm {
    fn open(
        container: ContainerId,
        seal: &TpmSeal,
        access: Access,
        auth: &[u8; 32],
    ) -> Result<(Self, Zeroizing<[u8; 32]>), Shut> {
        let locked = |reason| move |_| Shut::Locked(reason);
        let mut chip = connected(&access, &seal.storage_key())?;
        let random = chip.random()?;
        let (root, index_auth) = opened(&mut chip, &seal.blob(), auth)?;
        let counter = chip.known_counter(&seal.counter()).map_err(missing_or_alien)?;
        let head = chip.head(&seal.head(), &index_auth).map_err(missing_or_alien)?;
        let count = chip.count(counter)?;
        let content = HeadContent(chip.load_head(head).map_err(missing_or_alien)?);
        if !content.is_of(container) {
            return Err(locked(Reason::Alien)(()));
        }
        if count < content.counter() {
            return Err(locked(Reason::CounterBack)(()));
        }
        let seal = seal.clone();
        let tpm = Tpm { chip: Some(chip), head, seal, access, auth: index_auth, content, random };
        Ok((tpm, root))
    }

    fn create(
        directory: &Directory,
        container: ContainerId,
        access: Access,
        machine: &MachineKey,
    ) -> Result<(Self, Zeroizing<[u8; 32]>), Shut> {
        let mut chip = Chip::open(&access.tcti, None, &access.passwords)?;
        let random = chip.random()?;
        let (mut root, mut index_auth) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        for (secret, other) in [(&mut root, &random), (&mut index_auth, &chip.random()?)] {
            **secret = *mixed(other)?;
        }
        let blob = chip.seal(&payload(&root, &index_auth)[..], &machine.key)?;
        let (counter, counter_record) = chip.counter()?;
        let count = chip.count(counter)?;
        let random = chip.random()?;
        let content = HeadContent::new(container, 0, &*mixed(&random)?, count);
        let handle = chip.free_head()?;
        let too_long = || Shut::Tpm(Trouble::Garbled);
        let opens = (&blob, &machine.record);
        let intent = Intent::new(container, handle, chip.storage_key(), opens);
        let intent = intent.ok_or_else(too_long)?.write();
        directory.write(Intent::NAME, &intent).map_err(Shut::Unwritten)?;
        let (head, head_record) = chip.define_head(handle, &index_auth, &content.0)?;
        let seal = TpmSeal::new(chip.storage_key(), &blob, &head_record, &counter_record);
        let seal = seal.ok_or_else(too_long)?;
        let auth = index_auth;
        Ok((Tpm { chip: Some(chip), head, seal, access, auth, content, random }, root))
    }

    /// The key of a new epoch.
    fn fresh_key(&self) -> io::Result<Zeroizing<[u8; 32]>> {
        mixed(&self.random)
    }

    /// Replaces the index's content, if it is still what it was.
    fn replace(&mut self, next: HeadContent) -> Result<(), NotCommitted> {
        for _ in 0..COMMIT_TRIES {
            let chip = self.chip.as_mut().ok_or(NotCommitted::Lost(Trouble::Absent))?;
            let found = match chip.load_head(self.head) {
                Ok(found) => HeadContent(found),
                // Nothing was written yet: what holds is known.
                Err(trouble) => return self.settle(&next, trouble),
            };
            if found != self.content {
                return Err(NotCommitted::Lost(Trouble::Interrupted));
            }
            match chip.store_head(self.head, &next.0) {
                Ok(()) => {
                    self.content = next;
                    return Ok(());
                }
                Err(Trouble::Interrupted) => clock::pause_ms(jitter_ms()),
                Err(trouble) => return self.settle(&next, trouble),
            }
        }
        // A write that was held back, and not refused by the TPM, is void after other commands.
        self.settle(&next, Trouble::Interrupted)
    }

    /// After an answer that was lost: whether the write was made, by what is there.
    fn settle(&mut self, next: &HeadContent, trouble: Trouble) -> Result<(), NotCommitted> {
        let found = self.reconnect().and_then(|()| {
            let chip = self.chip.as_mut().ok_or(Trouble::Absent)?;
            chip.load_head(self.head).map(HeadContent)
        });
        match found {
            Ok(found) if found == *next => {
                self.content = found;
                Ok(())
            }
            Ok(found) if found == self.content => Err(NotCommitted::Kept(trouble.to_string())),
            Ok(_) => Err(NotCommitted::Lost(Trouble::Interrupted)),
            Err(trouble) => {
                self.chip = None;
                Err(NotCommitted::Lost(trouble))
            }
        }
    }

    /// A new connection and session in place of the old.
    fn reconnect(&mut self) -> Result<(), Trouble> {
        // First, since some TPMs serve one connection at a time.
        self.chip = None;
        let (pinned, access) = (self.seal.storage_key(), &self.access);
        let mut chip = Chip::open(&access.tcti, Some(&pinned), &access.passwords)?;
        self.head = chip.head(&self.seal.head(), &self.auth)?;
        self.chip = Some(chip);
        Ok(())
    }
}

/// A connection to the TPM that has this storage key.
fn connected(access: &Access, pinned: &StorageKey) -> Result<Chip, Shut> {
    match Chip::open(&access.tcti, Some(pinned), &access.passwords) {
        // Another owner's seed makes another key.
        Err(Trouble::Alien) => Err(Shut::Locked(Reason::Foreign)),
        Err(Trouble::Missing) => Err(Shut::Locked(Reason::Gone)),
        opened => Ok(opened?),
    }
}

/// What is sealed in a blob.
fn payload(root: &Key, index_auth: &Key) -> Zeroizing<[u8; 64]> {
    let mut payload = Zeroizing::new([0; 64]);
    payload[..32].copy_from_slice(&root[..]);
    payload[32..].copy_from_slice(&index_auth[..]);
    payload
}

/// Root key and authorization of the index, from the blob.
fn opened(chip: &mut Chip, blob: &Blob, auth: &[u8; 32]) -> Result<(Key, Key), Shut> {
    let payload = chip.unseal(blob, auth).map_err(|trouble| match trouble {
        Trouble::Foreign => Shut::Locked(Reason::Foreign),
        Trouble::Alien => Shut::Locked(Reason::Traits),
        trouble => Shut::Tpm(trouble),
    })?;
    let (root, auth) = payload.split_at_checked(32).ok_or(Shut::Tpm(Trouble::Garbled))?;
    let take = |part: &[u8]| {
        let part: [u8; 32] = part.try_into().map_err(|_| Shut::Tpm(Trouble::Garbled))?;
        Ok::<_, Shut>(Zeroizing::new(part))
    };
    Ok((take(root)?, take(auth)?))
}

fn missing_or_alien(trouble: Trouble) -> Shut {
    match trouble {
        Trouble::Missing | Trouble::Unwritten => Shut::Locked(Reason::Gone),
        Trouble::Alien => Shut::Locked(Reason::Alien),
        trouble => Shut::Tpm(trouble),
    }
}

/// The state of an epoch, if one of its files opens, with the hash of that.
fn read_state(
    directory: &Directory,
    container: ContainerId,
    epoch: u64,
    root: &[u8; 32],
    key: &[u8; 32],
) -> io::Result<Option<Found>> {
    let keys = EpochKeys { root, epoch: key };
    for (_, name) in files(directory)?.into_iter().filter(|(of, _)| *of == epoch) {
        let Some(bytes) = directory.read(&name, state_file::FILE_LEN_MAX)? else { continue };
        if let Some((_, state)) = state_file::open(container, epoch, &keys, &bytes) {
            return Ok(Some((sha256(&bytes), state)));
        }
    }
    Ok(None)
}

/// Files of states with their epochs, the newest first.
fn files(directory: &Directory) -> io::Result<Vec<(u64, String)>> {
    let with_epoch = |name: String| Some((state_file::epoch_of(&name)?, name));
    let mut files: Vec<_> = directory.names()?.into_iter().filter_map(with_epoch).collect();
    files.sort_unstable_by(|a, b| b.cmp(a));
    Ok(files)
}

/// 32 bytes that neither the system nor the TPM could foresee alone.
fn mixed(from_tpm: &[u8; 32]) -> io::Result<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut bytes[..]).map_err(io::Error::other)?;
    bytes.iter_mut().zip(from_tpm).for_each(|(byte, other)| *byte ^= other);
    Ok(bytes)
}

/// Neighbors that met once shall not meet again.
fn jitter_ms() -> u64 {
    let mut byte = [0; 1];
    let _ = getrandom::fill(&mut byte);
    u64::from(byte[0] % 4)
}
