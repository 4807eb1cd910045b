//! The helper: a container opened, served, and opened again where its state has to be read anew.

use std::io::Write;
use std::path::Path;

use engine::{Engine, SeatTimes};
use protocol::codec;
use protocol::errors::{ErrorCode, Failure};

use crate::binding::{self, Binding};
use crate::chip::{Hierarchy, Trouble};
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

/// A container that is served. Its folder's lock is held as long.
pub struct Helper {
    settings: Settings,
    directory: Directory,
    served: Served,
    /// Whether the engine is another one than at the last question.
    is_over: bool,
    _lock: Lock,
}

enum Served {
    Open(Box<Engine<Home>>),
    /// Why it is not.
    Shut(Failure),
}

impl Helper {
    /// Opens the container in a folder. One that is locked is served too: it says why.
    ///
    /// # Errors
    /// The folder cannot be used. None where another helper has it.
    pub fn start(folder: &Path, settings: Settings) -> std::io::Result<Option<Self>> {
        let directory = Directory::open(folder)?;
        let Some(lock) = directory.lock()? else { return Ok(None) };
        let served = opened(folder, &settings);
        Ok(Some(Helper { settings, directory, served, is_over: false, _lock: lock }))
    }

    /// Why the container is shut, if it is.
    pub fn refusal(&self) -> Option<Failure> {
        match &self.served {
            Served::Open(_) => None,
            Served::Shut(failure) => Some(*failure),
        }
    }

    /// Says to the container that nobody will use it. Whether it may be left: seats may still be in
    /// use.
    pub fn leave(&mut self) -> bool {
        match &mut self.served {
            Served::Open(engine) => engine.leave().unwrap_or(true),
            Served::Shut(_) => true,
        }
    }

    /// What has to be read again is read again: as if the container had lost its power.
    fn follow(&mut self) {
        let Served::Open(engine) = &mut self.served else { return };
        let Some(lost) = engine.platform().lost() else { return };
        // Its log may be on a full disk.
        let _ = writeln!(std::io::stderr(), "strongroom-tpm: {lost}");
        self.is_over = true;
        // First, since it has the TPM.
        self.served = Served::Shut(ErrorCode::TpmFailed.failure());
        self.served = opened(self.directory.path(), &self.settings);
    }
}

impl Service for Helper {
    fn message(&mut self, peer: Peer, request: &[u8], response: &mut Vec<u8>) {
        match &mut self.served {
            Served::Open(engine) => engine.message(peer.channel, request, response),
            Served::Shut(failure) => {
                response.push(engine::REFUSAL);
                response.extend(codec::encode(failure));
            }
        }
        self.follow();
    }

    fn closed(&mut self, channel: u32) {
        if let Served::Open(engine) = &mut self.served {
            engine.closed(channel);
        }
        self.follow();
    }

    fn is_over(&mut self) -> bool {
        std::mem::take(&mut self.is_over)
    }
}

fn opened(folder: &Path, settings: &Settings) -> Served {
    match open(folder, settings) {
        Ok(engine) => Served::Open(Box::new(engine)),
        Err(failure) => Served::Shut(failure),
    }
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
