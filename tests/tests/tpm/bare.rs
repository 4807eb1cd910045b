//! A vault without a container around it: its state is a number.

use std::path::PathBuf;

use protocol::codec::{Bytes, Fixed, List};
use protocol::errors::ErrorCode;
use protocol::ids::{ContainerId, RootFp};
use strongroom_tests::swtpm::Swtpm;
use tempfile::TempDir;
use tpm::binding::{Binding, PublicKeys, Seal, TpmSeal};
use tpm::chip::{Blob, Chip, Passwords};
use tpm::directory::Directory;
use tpm::helper;
use tpm::machine_key::MachineKey;
use tpm::vault::{Access, NotCommitted, Shut, Vault};
use zeroize::Zeroizing;

use crate::files;

/// What a vault asks for where traits are not.
const AUTH: [u8; 32] = [0; 32];

/// A vault that is not open.
pub(crate) struct Bare {
    binding: Binding,
    folder: PathBuf,
    _dir: TempDir,
}

/// What a vault keeps in the TPM, as its owner alone can read it.
pub(crate) struct Secrets {
    /// Key of the container.
    pub(crate) root: [u8; 32],
    /// Authorization of the index.
    pub(crate) auth: [u8; 32],
    /// What the index holds.
    pub(crate) content: [u8; 64],
}

impl Secrets {
    /// Key of the epoch.
    pub(crate) fn epoch_key(&self) -> [u8; 32] {
        self.content[16..48].try_into().expect("32 bytes")
    }

    /// The epoch.
    pub(crate) fn epoch(&self) -> u64 {
        u64::from_be_bytes(self.content[8..16].try_into().expect("8 bytes"))
    }
}

impl Bare {
    /// A new vault, open, with state 0.
    pub(crate) fn new(tcti: &str) -> (Bare, Vault) {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("bare");
        let directory = Directory::create(&folder).expect("room");
        let container = ContainerId::new([7; 16]);
        let machine = MachineKey::none();
        let made = Vault::create(directory, container, Some(access(tcti)), &machine, &bytes(0));
        let (vault, seal) = made.expect("a TPM with room");
        let key = Fixed([2; 33]);
        let binding = Binding {
            container,
            firm: RootFp::new([1; 16]),
            keys: PublicKeys { identity: key, channel: key, sealing: key },
            seal,
            traits: machine.record,
            certificate: Bytes::default(),
            roots: List::default(),
        };
        (Bare { binding, folder, _dir: dir }, vault)
    }

    /// The same vault in another folder, as a copy of its files.
    pub(crate) fn copied(&self) -> Bare {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("bare");
        files::put_back(&folder, &files::read(&self.folder));
        Bare { binding: self.binding.clone(), folder, _dir: dir }
    }

    /// Opens it: the vault and its number.
    pub(crate) fn open(&self, tcti: &str) -> Result<(Vault, u64), Shut> {
        open(&self.binding, &self.folder, tcti).map(|(vault, state)| (vault, number(&state)))
    }

    /// Why it does not open, as users are told.
    pub(crate) fn refusal(&self, tcti: &str) -> ErrorCode {
        match self.open(tcti) {
            Err(shut) => helper::shut(shut).known().expect("a row of the table"),
            Ok((_, number)) => panic!("it opens, and holds {number}"),
        }
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// What it has in the TPM.
    pub(crate) fn seal(&self) -> &TpmSeal {
        seal(&self.binding)
    }

    /// What it keeps there.
    pub(crate) fn secrets(&self, tpm: &Swtpm) -> Secrets {
        secrets(&self.binding, tpm)
    }
}

/// Opens the vault of a container.
pub(crate) fn open(
    binding: &Binding,
    folder: &std::path::Path,
    tcti: &str,
) -> Result<(Vault, Zeroizing<Vec<u8>>), Shut> {
    let directory = Directory::open(folder).expect("our own folder");
    Vault::open(directory, binding, access(tcti), &AUTH)
}

/// Makes a number the state of a vault.
pub(crate) fn commit(vault: &mut Vault, number: u64) -> Result<(), NotCommitted> {
    vault.commit(&bytes(number))
}

/// What a container keeps in a TPM.
pub(crate) fn secrets(binding: &Binding, tpm: &Swtpm) -> Secrets {
    let seal = seal(binding);
    let tcti = tpm.tcti().parse().expect("a TPM of tests");
    let mut chip = Chip::open(&tcti, Some(&seal.storage_key()), &Passwords::default()).unwrap();
    let payload = chip.unseal(&seal.blob(), &AUTH).expect("its own TPM");
    let half = |at: usize| payload[at..at + 32].try_into().expect("32 bytes");
    let (root, auth) = (half(0), half(32));
    let head = chip.head(&seal.head(), &auth).expect("its own TPM");
    let content = *chip.load_head(head).expect("its own TPM");
    Secrets { root, auth, content }
}

/// The sealed blob of a container, and where its index is.
pub(crate) fn parts(binding: &Binding) -> (Blob, u32) {
    (seal(binding).blob(), seal(binding).head().handle)
}

fn seal(binding: &Binding) -> &TpmSeal {
    match &binding.seal {
        Seal::Tpm(seal) => seal,
        Seal::Traits => panic!("it is bound to a TPM"),
    }
}

pub(crate) fn access(tcti: &str) -> Access {
    Access { tcti: tcti.parse().expect("a TPM of tests"), passwords: Passwords::default() }
}

fn bytes(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

fn number(state: &[u8]) -> u64 {
    u64::from_be_bytes(state.try_into().expect("a number"))
}
