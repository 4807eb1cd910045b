//! The helper: a container opened, served, and opened again where its state has to be read anew.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use engine::{Engine, SeatTimes};
use protocol::codec;
use protocol::errors::{ErrorCode, Failure};

use crate::binding::{self, Binding};
use crate::chip::{Hierarchy, Trouble};
use crate::clock::Stopwatch;
use crate::directory::{Directory, Lock};
use crate::home::Home;
use crate::server::{Peer, Service};
use crate::state::State;
use crate::vault::{Access, Reason, Shut, Vault};

/// How a container is served.
pub struct Settings {
    /// The way to the TPM.
    pub access: fn() -> Result<Access, Trouble>,
    /// Heartbeats.
    pub seats: SeatTimes,
}

/// Milliseconds for which a container that did not open is not tried again, unless its file is
/// another one.
const SHUT_MS: u64 = 1000;

/// A container that is served.
pub struct Helper {
    settings: Settings,
    folder: PathBuf,
    served: Served,
    /// Whether the engine is another one than at the last question.
    is_over: bool,
}

enum Served {
    /// The folder's lock is held as long.
    Open(Box<Engine<Home>>, Lock),
    /// Why it is not, since when that is known, and of which file. Nothing is held, so that it can
    /// be mended.
    Shut(Failure, Stopwatch, Option<FileId>),
}

impl Helper {
    /// Opens the container in a folder. One that is locked is served too: it says why.
    ///
    /// # Errors
    /// The folder cannot be used. None where another helper has it.
    pub fn start(folder: &Path, settings: Settings) -> std::io::Result<Option<Self>> {
        let Some(lock) = Directory::open(folder)?.lock()? else { return Ok(None) };
        let served = opened(folder, &settings, lock);
        let folder = folder.to_owned();
        Ok(Some(Helper { settings, folder, served, is_over: false }))
    }

    /// Why the container is shut, if it is.
    pub fn refusal(&self) -> Option<Failure> {
        match &self.served {
            Served::Open(..) => None,
            Served::Shut(failure, ..) => Some(*failure),
        }
    }

    /// Says to the container that nobody will use it. Whether it may be left: seats may still be in
    /// use.
    pub fn leave(&mut self) -> bool {
        match &mut self.served {
            Served::Open(engine, _) => engine.leave().unwrap_or(true),
            Served::Shut(..) => true,
        }
    }

    /// What has to be read again is read again: as if the container had lost its power.
    fn follow(&mut self) {
        let Served::Open(engine, _) = &mut self.served else { return };
        let Some(lost) = engine.platform().lost() else { return };
        // Its log may be on a full disk.
        let _ = writeln!(std::io::stderr(), "strongroom-tpm: {lost}");
        self.is_over = true;
        let shut = Served::Shut(ErrorCode::TpmFailed.failure(), Stopwatch::start(), None);
        if let Served::Open(engine, lock) = std::mem::replace(&mut self.served, shut) {
            // First, since it has the TPM.
            drop(engine);
            self.served = opened(&self.folder, &self.settings, lock);
        }
    }

    /// What did not open a while ago is tried again: it may be mended.
    fn retry(&mut self) {
        let Served::Shut(_, since, tried) = &self.served else { return };
        if since.ms() < SHUT_MS && file_id(&self.folder) == *tried {
            return;
        }
        let lock = Directory::open(&self.folder).and_then(|directory| directory.lock());
        if let Ok(Some(lock)) = lock {
            self.served = opened(&self.folder, &self.settings, lock);
        }
    }
}

impl Service for Helper {
    fn message(&mut self, peer: Peer, request: &[u8], response: &mut Vec<u8>) {
        self.retry();
        match &mut self.served {
            Served::Open(engine, _) => engine.message(peer.channel, request, response),
            Served::Shut(failure, ..) => {
                response.push(engine::REFUSAL);
                response.extend(codec::encode(failure));
            }
        }
        self.follow();
    }

    fn closed(&mut self, channel: u32) {
        if let Served::Open(engine, _) = &mut self.served {
            engine.closed(channel);
        }
        self.follow();
    }

    fn is_over(&mut self) -> bool {
        std::mem::take(&mut self.is_over)
    }
}

fn opened(folder: &Path, settings: &Settings, lock: Lock) -> Served {
    let tried = file_id(folder);
    match open(folder, settings) {
        Ok(engine) => Served::Open(Box::new(engine), lock),
        Err(failure) => Served::Shut(failure, Stopwatch::start(), tried),
    }
}

/// Tells a file from the one that takes its place: number, and when it was written.
type FileId = (u64, i64, i64);

fn file_id(folder: &Path) -> Option<FileId> {
    let data = std::fs::symlink_metadata(folder.join(binding::NAME)).ok()?;
    Some((data.ino(), data.mtime(), data.mtime_nsec()))
}

fn open(folder: &Path, settings: &Settings) -> Result<Engine<Home>, Failure> {
    let failed = |_| ErrorCode::SoftDamaged.failure();
    let directory = Directory::open(folder).map_err(failed)?;
    let file = directory.read(binding::NAME, binding::FILE_LEN_MAX).map_err(failed)?;
    let binding = Binding::read(&file.ok_or(ErrorCode::SoftDamaged.failure())?)?;
    if binding.certificate.is_empty() {
        return Err(ErrorCode::SoftUncertified.failure());
    }
    let access = (settings.access)().map_err(trouble)?;
    let (vault, state) = Vault::open(directory, &binding, access, &[0; 32]).map_err(shut)?;
    let damaged = ErrorCode::SoftDamaged.failure();
    let state = State::read(&state).map_err(|_| damaged)?;
    let home = Home::new(vault, state, &binding).map_err(|_| damaged)?;
    home.start(&binding, settings.seats).map_err(|_| ErrorCode::StoreFailed.failure())
}

/// What a vault that does not open is to the outside.
pub fn shut(shut: Shut) -> Failure {
    match shut {
        Shut::Locked(reason) => locked(reason),
        Shut::Tpm(reason) => trouble(reason),
        Shut::Files(_) | Shut::Damaged => ErrorCode::SoftDamaged.failure(),
        Shut::Unwritten(_) => ErrorCode::HelperFailed.failure(),
    }
}

fn locked(reason: Reason) -> Failure {
    let code = match reason {
        Reason::Stale => ErrorCode::SoftStale,
        Reason::Foreign => ErrorCode::SoftForeign,
        Reason::Gone => ErrorCode::SoftGone,
        Reason::Alien => ErrorCode::SoftAlien,
        Reason::CounterBack => ErrorCode::SoftCounterBack,
        Reason::Traits => ErrorCode::SoftTraits,
    };
    code.failure()
}

/// What a TPM's trouble is to the outside.
pub fn trouble(trouble: Trouble) -> Failure {
    let code = match trouble {
        Trouble::Absent => ErrorCode::TpmAbsent,
        Trouble::Password(hierarchy) => {
            let which = u64::from(hierarchy == Hierarchy::Endorsement);
            return ErrorCode::TpmPassword.with(which, 0);
        }
        Trouble::Busy | Trouble::Interrupted => ErrorCode::TpmBusy,
        Trouble::Lockout => ErrorCode::TpmLockout,
        Trouble::NoSpace | Trouble::Taken => ErrorCode::TpmFull,
        Trouble::Disabled => ErrorCode::TpmDisabled,
        Trouble::Exhausted => ErrorCode::TpmExhausted,
        _ => ErrorCode::TpmFailed,
    };
    code.failure()
}
