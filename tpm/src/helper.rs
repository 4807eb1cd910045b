//! The helper: a container opened, served, and opened again where its state has to be read anew.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use engine::{Engine, SeatTimes};
use protocol::codec;
use protocol::errors::{ErrorCode, Failure};

use crate::binding;
use crate::chip::{Hierarchy, Trouble};
use crate::clock::Stopwatch;
use crate::directory::{Directory, Lock};
use crate::home::Home;
use crate::look::{LOOK, Look};
use crate::machine_key::Machine;
use crate::opening;
use crate::refusal::Refusal;
use crate::server::{Peer, Service};
use crate::vault::{AccessOf, Reason, Shut};

/// How a container is served.
pub struct Settings {
    /// The way to the TPM.
    pub access: AccessOf,
    /// What the container is bound to.
    pub machine: Machine,
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
    Shut(Refusal, Stopwatch, Option<FileId>),
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
            Served::Shut(refusal, ..) => Some(refusal.failure),
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

    /// What has to be read again is read again: as if the container had lost its power. So is what
    /// may not be used any more.
    fn follow(&mut self) {
        let Served::Open(engine, _) = &mut self.served else { return };
        let home = engine.platform();
        let why = match (home.lost(), home.standing()) {
            (Some(lost), _) => lost.to_string(),
            (None, Err(failure)) => failure.shown_code(),
            (None, Ok(_)) => return,
        };
        // Its log may be on a full disk.
        let _ = writeln!(std::io::stderr(), "strongroom-tpm: {why}");
        self.is_over = true;
        let shut = Served::Shut(ErrorCode::TpmFailed.into(), Stopwatch::start(), None);
        if let Served::Open(engine, lock) = std::mem::replace(&mut self.served, shut) {
            // First, since it has the TPM.
            drop(engine);
            self.served = opened(&self.folder, &self.settings, lock);
        }
    }

    /// What its own user, and root, are told in clear.
    fn look(&mut self, peer: Peer) -> Option<Vec<u8>> {
        let is_own = [0, rustix::process::geteuid().as_raw()].contains(&peer.uid);
        let look = match &mut self.served {
            Served::Open(engine, _) => engine.platform().look(),
            Served::Shut(refusal, ..) => Look::shut(refusal),
        };
        is_own.then(|| look.answer())
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
        // Its time may have come since the last message.
        self.follow();
        if request == LOOK {
            response.extend(self.look(peer).unwrap_or_default());
            return;
        }
        match &mut self.served {
            Served::Open(engine, _) => engine.message(peer.channel, request, response),
            Served::Shut(refusal, ..) => {
                response.push(engine::REFUSAL);
                response.extend(codec::encode(&refusal.failure));
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
        Err(refusal) => Served::Shut(refusal, Stopwatch::start(), tried),
    }
}

/// Tells a file from the one that takes its place: number, and when it was written.
type FileId = (u64, i64, i64);

fn file_id(folder: &Path) -> Option<FileId> {
    let data = std::fs::symlink_metadata(folder.join(binding::NAME)).ok()?;
    Some((data.ino(), data.mtime(), data.mtime_nsec()))
}

fn open(folder: &Path, settings: &Settings) -> Result<Engine<Home>, Refusal> {
    let mut opened = opening::certified(folder, settings.access, &settings.machine)?;
    opened.guard.look(&mut opened.state);
    opened.guard.standing(&opened.state)?;
    let home = Home::new(opened).map_err(|_| ErrorCode::SoftDamaged)?;
    Ok(home.start(settings.seats).map_err(|_| ErrorCode::StoreFailed)?)
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
