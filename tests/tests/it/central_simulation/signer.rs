//! The signer of each firm: the real one with its caps, its journal on a medium that fails, in a
//! process that ends at any step.

use std::fs::File;
use std::io::{Error, Result as IoResult, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use license_central::domain::central::Clock;
use license_central::domain::firm::{Leaf, LocalSigner, Signer, Wanted};
use license_central::domain::journal::{Entry, Head, Part};
use license_central::recovery::Source;
use license_central::signer::caps::{Caps, CapsFile, FIRST};
use license_central::signer::journal::Medium;
use license_central::signer::keeper::Keeper;
use protocol::errors::{ErrorCode, Shown};
use protocol::ids::{KeyId, RootFp};
use tempfile::TempDir;
use vendor::ledger::Issued;

use super::parties::FIRMS;

/// What happens to a signer in the next call of Central.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accident {
    None,
    /// It ends before it hears what is asked as this number from now.
    Gone(u32),
    /// It ends when it has done that, and nobody hears the answer.
    Unheard(u32),
    /// It ends within the write to its medium of this number from now.
    Cut(u32),
    /// Its medium fails from that write on, so many times.
    Medium(u32, u32),
}

/// What becomes of writes to a medium.
#[derive(Default)]
struct Wear {
    /// Writes until it fails, and how often it does then.
    fails: Option<(u32, u32)>,
    /// Whether the process ends with that, and whether it has.
    dies: bool,
    is_dead: bool,
    /// Bytes that were written, and those that are durable.
    len: u64,
    durable: u64,
}

/// A file whose writes fail.
struct Worn {
    file: File,
    wear: Arc<Mutex<Wear>>,
}

/// A signer, or what is left of one.
struct Process {
    keeper: Option<Arc<Keeper>>,
    wear: Arc<Mutex<Wear>>,
    accident: Accident,
    source: (PathBuf, RootFp),
}

/// The signers of all firms.
pub(super) struct Signers {
    dir: TempDir,
    clock: Arc<dyn Clock>,
    all: Mutex<Vec<Process>>,
}

/// What an instance of Central has of a signer.
pub(super) struct Line {
    pub(super) signers: Arc<Signers>,
    pub(super) firm: usize,
}

impl Wear {
    /// One more write.
    fn step(&mut self) -> IoResult<()> {
        let failed = || Err(Error::other("a fault of the simulation"));
        if self.is_dead {
            return failed();
        }
        match &mut self.fails {
            Some((0, 0)) | None => Ok(()),
            Some((0, times)) => {
                *times -= 1;
                self.is_dead = self.dies;
                failed()
            }
            Some((left, _)) => {
                *left -= 1;
                Ok(())
            }
        }
    }
}

impl Medium for Worn {
    fn append(&mut self, bytes: &[u8]) -> IoResult<()> {
        let mut wear = lock(&self.wear);
        if wear.is_dead {
            return wear.step();
        }
        let done = wear.step();
        let part = if done.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        wear.len += part.len() as u64;
        self.file.write_all(part)?;
        done
    }

    fn sync(&mut self) -> IoResult<()> {
        let mut wear = lock(&self.wear);
        wear.step()?;
        wear.durable = wear.len;
        Ok(())
    }

    fn cut(&mut self, len: u64) -> IoResult<()> {
        let mut wear = lock(&self.wear);
        wear.step()?;
        (wear.len, wear.durable) = (len, len);
        self.file.set_len(len)
    }
}

impl Signers {
    /// None of them runs yet.
    pub(super) fn new(clock: Arc<dyn Clock>, firms: &[RootFp]) -> Arc<Self> {
        // In memory where the system has such a place: no test waits for a disk.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let dir = dir.expect("a folder");
        let process = |(at, root_fp): (usize, &RootFp)| Process {
            keeper: None,
            wear: Arc::default(),
            accident: Accident::None,
            source: (dir.path().join(FIRMS[at]), *root_fp),
        };
        let all = Mutex::new(firms.iter().enumerate().map(process).collect());
        Arc::new(Signers { dir, clock, all })
    }

    /// A place for files of this world.
    pub(super) fn folder(&self) -> &Path {
        self.dir.path()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Process>> {
        lock(&self.all)
    }

    /// The power of its machine went away: of what was not durable, `kept` says how much is left.
    /// Whether something is lost.
    pub(super) fn lose(&self, firm: usize, kept: impl FnOnce(u64) -> u64) -> bool {
        let process = &mut self.all()[firm];
        process.keeper = None;
        let wear = lock(&process.wear);
        if wear.len == wear.durable {
            return false;
        }
        let len = wear.durable + kept(wear.len - wear.durable + 1);
        let file = File::options().write(true).open(&process.source.0).expect("its file");
        file.set_len(len).expect("a shorter file");
        len < wear.len
    }

    /// Starts one.
    pub(super) fn start(
        &self,
        firm: usize,
        (signer, caps): (&Arc<LocalSigner>, Caps),
    ) -> Result<(), Shown> {
        let process = &mut self.all()[firm];
        process.keeper = None;
        {
            let mut wear = lock(&process.wear);
            let len = std::fs::metadata(&process.source.0).map_or(0, |data| data.len());
            (wear.is_dead, wear.len, wear.durable) = (false, len, len);
        }
        let ((path, root_fp), wear) = (&process.source, process.wear.clone());
        let medium = |file| -> Box<dyn Medium> { Box::new(Worn { file, wear }) };
        let clock = self.clock.clone();
        let medium = (path.as_path(), medium);
        let opened = Keeper::open_on(signer.clone(), *root_fp, medium, caps, clock);
        process.keeper = opened.map(|keeper| Some(Arc::new(keeper)))?;
        Ok(())
    }

    /// Ends one.
    pub(super) fn stop(&self, firm: usize) {
        self.all()[firm].keeper = None;
    }

    pub(super) fn is_up(&self, firm: usize) -> bool {
        self.all()[firm].keeper.is_some()
    }

    /// What happens to it from now on; [`Accident::None`] ends that.
    pub(super) fn arm(&self, firm: usize, accident: Accident) {
        let process = &mut self.all()[firm];
        process.accident = accident;
        let mut wear = lock(&process.wear);
        (wear.fails, wear.dies) = match accident {
            Accident::Cut(at) => (Some((at, 1)), true),
            Accident::Medium(at, times) => (Some((at, times)), false),
            _ => (None, false),
        };
    }

    /// Whether what was armed has happened.
    pub(super) fn has_happened(&self, firm: usize) -> bool {
        let all = self.all();
        let times = lock(&all[firm].wear).fails;
        match all[firm].accident {
            Accident::None => false,
            Accident::Gone(_) | Accident::Unheard(_) | Accident::Cut(_) => {
                all[firm].keeper.is_none()
            }
            Accident::Medium(_, most) => times.is_some_and(|(_, left)| left < most),
        }
    }

    pub(super) fn set_caps(&self, firm: usize, caps: Caps) {
        if let Some(keeper) = &self.all()[firm].keeper {
            keeper.set_caps(caps);
        }
    }

    /// The journal of a firm, as recovery reads it.
    pub(super) fn source(&self, firm: usize) -> Source {
        let (path, root_fp) = self.all()[firm].source.clone();
        Source::new(&path, root_fp)
    }

    /// What is in the journal of a signer that runs, behind number `after`.
    pub(super) fn entries(&self, firm: usize, after: u64) -> Vec<Entry> {
        let keeper = self.all()[firm].keeper.clone();
        let Some(keeper) = keeper else { return Vec::new() };
        let moved = keeper.head().is_ok_and(|head| head.number > after);
        if moved { keeper.entries(after).expect("its own journal").entries } else { Vec::new() }
    }

    /// Asks one of them, with whatever happens to it.
    fn ask<T>(
        &self,
        firm: usize,
        ask: impl FnOnce(&Keeper) -> Result<T, Shown>,
    ) -> Result<T, Shown> {
        let gone = || Err(ErrorCode::SignerUnavailable.failure().into());
        let (keeper, wear, unheard) = {
            let process = &mut self.all()[firm];
            let mut unheard = false;
            match &mut process.accident {
                Accident::Gone(0) => process.keeper = None,
                Accident::Unheard(0) => unheard = true,
                Accident::Gone(left) | Accident::Unheard(left) => *left -= 1,
                _ => {}
            }
            (process.keeper.clone(), process.wear.clone(), unheard)
        };
        let Some(keeper) = keeper else { return gone() };
        let done = ask(&keeper);
        drop(keeper);
        if unheard || lock(&wear).is_dead {
            self.stop(firm);
            return gone();
        }
        done
    }
}

impl Signer for Line {
    fn draft(&self, wanted: &Wanted<'_>) -> Result<(Leaf, Issued), Shown> {
        self.signers.ask(self.firm, |keeper| keeper.draft(wanted))
    }

    fn key_id(&self) -> Result<KeyId, Shown> {
        self.signers.ask(self.firm, |keeper| keeper.key_id())
    }

    fn sign(&self, leaves: &[Leaf]) -> Result<Vec<Vec<u8>>, Shown> {
        self.signers.ask(self.firm, |keeper| keeper.sign(leaves))
    }

    fn sign_leases(&self, leases: Vec<Leaf>) -> Result<Vec<Vec<u8>>, Shown> {
        self.signers.ask(self.firm, |keeper| keeper.sign_leases(leases))
    }

    fn time_token(&self, certificate: &[u8], nonce: [u8; 32]) -> Result<Vec<u8>, Shown> {
        self.signers.ask(self.firm, |keeper| keeper.time_token(certificate, nonce))
    }

    fn head(&self) -> Result<Head, Shown> {
        self.signers.ask(self.firm, |keeper| keeper.head())
    }

    fn entries(&self, after: u64) -> Result<Part, Shown> {
        self.signers.ask(self.firm, |keeper| keeper.entries(after))
    }

    fn agree(&self, head: Head) -> Result<(), Shown> {
        self.signers.ask(self.firm, |keeper| keeper.agree(head))
    }

    fn agreed(&self) -> Result<(), Shown> {
        self.signers.ask(self.firm, |keeper| keeper.agreed())
    }
}

/// Caps that no world reaches, or with so many updates in a day.
pub(super) fn caps(updates: Option<u64>) -> Caps {
    let text = match updates {
        Some(updates) => FIRST.replace("updates = 20_000", &format!("updates = {updates}")),
        None => FIRST.to_owned(),
    };
    CapsFile::parse(&text).expect("caps").of("")
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
