//! The server's side of the signer: its socket, and the process itself where the server started it.

use std::fmt::Display;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::errors::{ErrorCode, Shown};
use protocol::ids::{ContainerId, KeyId};
use protocol::objects::device::DeviceBody;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use vendor::ledger::Issued;

use super::process::is_own;
use super::wire::{self, Answer, Ask, DraftAsk, LEAVES_MAX, Request, TimeAsk};
use crate::domain::firm::{Leaf, Signer, Wanted};
use crate::domain::journal::{Head, Part};
use crate::domain::trusted::TrustMark;

/// How long an answer may take. A token may be slow, and many are signed at once.
const ANSWER: Duration = Duration::from_secs(20);

/// The way to a signer.
pub struct Link {
    socket: PathBuf,
    idle: Mutex<Vec<UnixStream>>,
    own: Option<Mutex<Own>>,
}

/// The first line of a signer that was started: where it listens, or why it does not.
#[derive(Deserialize)]
struct Said {
    error: Option<Why>,
}

#[derive(Deserialize)]
struct Why {
    code: String,
    title: String,
    hint: String,
}

impl Why {
    /// Its own error, or `other` of its title for one that has no number.
    fn shown(self, other: impl FnOnce(&dyn Display) -> Shown) -> Shown {
        let shown = match (ErrorCode::parse(&self.code), self.code.as_str()) {
            (Some(code), _) => Shown::told(code.failure(), self.title),
            (None, "usage") => Shown::usage(self.title, ""),
            _ => other(&self.title),
        };
        shown.hinting(self.hint)
    }
}

/// A signer that this process started.
struct Own {
    start: Box<dyn Fn() -> Command + Send>,
    child: Option<Child>,
}

/// A signer of one vendor, behind a link.
pub struct RemoteSigner {
    /// The way there.
    pub link: Arc<Link>,
    /// Short name of the vendor.
    pub vendor: String,
}

impl Link {
    /// To a signer that somebody else runs.
    pub fn to(socket: &Path) -> Self {
        Link { socket: socket.to_owned(), idle: Mutex::default(), own: None }
    }

    /// To one that `start` starts, and that ends with this. It is started again when it is gone.
    ///
    /// # Errors
    /// It does not start.
    pub fn starting(
        socket: &Path,
        start: impl Fn() -> Command + Send + 'static,
    ) -> Result<Self, Shown> {
        let mut own = Own { start: Box::new(start), child: None };
        own.ensure()?;
        let own = Some(Mutex::new(own));
        Ok(Link { own, ..Self::to(socket) })
    }

    /// Asks, and asks once more where the signer was gone: nothing that is asked has a second
    /// effect.
    fn call(&self, request: &Request) -> Result<Answer, Shown> {
        let mut last = None;
        for again in [false, true] {
            match self.exchange(request, again) {
                Ok(Answer::Refused(error)) => return Err(error.into()),
                Ok(answer) => return Ok(answer),
                Err(error) => last = Some(error),
            }
        }
        let failed = Shown::from(ErrorCode::SignerUnavailable.failure());
        Err(last.map_or(failed.clone(), |error| {
            tracing::error!(%error, "the signer does not answer");
            failed
        }))
    }

    fn exchange(&self, request: &Request, anew: bool) -> std::io::Result<Answer> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if anew {
            // They lead to a signer that is gone.
            idle().clear();
        }
        let reused = idle().pop();
        let mut stream = reused.map_or_else(|| self.connect(), Ok)?;
        wire::send(&mut stream, request)?;
        let answer = wire::receive(&mut stream)?;
        let answer = answer.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        idle().push(stream);
        Ok(answer)
    }

    fn connect(&self) -> std::io::Result<UnixStream> {
        if let Some(own) = &self.own {
            let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
            own.ensure().map_err(|error| std::io::Error::other(error.title(&|_| String::new())))?;
        }
        let stream = UnixStream::connect(&self.socket)?;
        if !is_own(&stream) {
            return Err(std::io::ErrorKind::PermissionDenied.into());
        }
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        Ok(stream)
    }
}

impl Own {
    /// Starts it where it is not running, and waits until it listens.
    fn ensure(&mut self) -> Result<(), Shown> {
        let ended = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
        if self.child.as_mut().is_some_and(|child| !ended(child)) {
            return Ok(());
        }
        // It ends when this process does: then the other end of its input is closed.
        let mut command = (self.start)();
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let failed = |why: &dyn Display| {
            let failure = Shown::from(ErrorCode::SignerUnavailable.failure());
            failure.detailed(why).hinting("What it said itself stands above, or in the log.")
        };
        let mut child = command.spawn().map_err(|error| failed(&error))?;
        let mut line = String::new();
        let said = child.stdout.take().map(|out| BufReader::new(out).read_line(&mut line));
        let said = said.and_then(Result::ok).and_then(|_| serde_json::from_str::<Said>(&line).ok());
        if said.as_ref().is_none_or(|said| said.error.is_some()) {
            let ended = child.wait().map_err(|error| failed(&error))?;
            return Err(match said.and_then(|said| said.error) {
                Some(why) => why.shown(failed),
                None => failed(&ended),
            });
        }
        tracing::info!(id = child.id(), "the signer runs");
        self.child = Some(child);
        Ok(())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // Whatever it is at, it goes on from there when it is started again.
        if let Ok(None) = child.try_wait() {
            let _ = kill_process(Pid::from_child(&child), Signal::TERM);
            let _ = child.wait();
        }
    }
}

impl RemoteSigner {
    fn ask(&self, ask: Ask) -> Result<Answer, Shown> {
        self.link.call(&Request { vendor: self.vendor.clone(), ask })
    }
}

/// An answer to something else.
fn strange() -> Shown {
    let failure = Shown::from(ErrorCode::SignerUnavailable.failure());
    failure.detailed("it answered something else: it is of another version")
}

impl Signer for RemoteSigner {
    fn draft(&self, wanted: &Wanted<'_>) -> Result<(Leaf, Issued), Shown> {
        match self.ask(Ask::Draft(DraftAsk::new(wanted)))? {
            Answer::Drafted(leaf, issued) => Ok((leaf.try_into()?, issued.into())),
            _ => Err(strange()),
        }
    }

    fn key_id(&self) -> Result<KeyId, Shown> {
        match self.ask(Ask::KeyId)? {
            Answer::KeyId(key_id) => Ok(key_id),
            _ => Err(strange()),
        }
    }

    fn sign(&self, leaves: &[Leaf]) -> Result<Vec<Vec<u8>>, Shown> {
        let mut signed = Vec::with_capacity(leaves.len());
        for leaves in leaves.chunks(LEAVES_MAX) {
            match self.ask(Ask::Sign(leaves.iter().map(Into::into).collect()))? {
                Answer::Signed(objects) if objects.len() == leaves.len() => signed.extend(objects),
                _ => return Err(strange()),
            }
        }
        Ok(signed)
    }

    fn sign_leases(&self, leases: Vec<Leaf>) -> Result<Vec<Vec<u8>>, Shown> {
        let mut signed = Vec::with_capacity(leases.len());
        for leases in leases.chunks(LEAVES_MAX) {
            match self.ask(Ask::SignLeases(leases.iter().map(Into::into).collect()))? {
                Answer::Signed(objects) if objects.len() == leases.len() => signed.extend(objects),
                _ => return Err(strange()),
            }
        }
        Ok(signed)
    }

    fn reread(&self) -> Result<(), Shown> {
        self.ask(Ask::Reread).map(drop)
    }

    fn trusted(&self) -> Result<Option<TrustMark>, Shown> {
        match self.ask(Ask::Trusted)? {
            Answer::Trusted(mark) => Ok(Some(mark)),
            _ => Err(strange()),
        }
    }

    fn time_token(&self, certificate: &[u8], nonce: [u8; 32]) -> Result<Vec<u8>, Shown> {
        let ask = TimeAsk { certificate: certificate.to_vec(), nonce };
        match self.ask(Ask::Time(ask))? {
            Answer::Signed(mut objects) if objects.len() == 1 => Ok(objects.remove(0)),
            _ => Err(strange()),
        }
    }

    fn certify(&self, id: ContainerId, body: &DeviceBody) -> Result<Vec<u8>, Shown> {
        match self.ask(Ask::Certify(id, body.clone()))? {
            Answer::Signed(mut objects) if objects.len() == 1 => Ok(objects.remove(0)),
            _ => Err(strange()),
        }
    }

    fn head(&self) -> Result<Head, Shown> {
        match self.ask(Ask::Head)? {
            Answer::Head(head) => Ok(head),
            _ => Err(strange()),
        }
    }

    fn entries(&self, after: u64) -> Result<Part, Shown> {
        match self.ask(Ask::Entries(after))? {
            Answer::Entries(part) => Ok(part),
            _ => Err(strange()),
        }
    }

    fn agree(&self, head: Head) -> Result<(), Shown> {
        match self.ask(Ask::Agree(head))? {
            Answer::Agreed => Ok(()),
            _ => Err(strange()),
        }
    }

    fn agreed(&self) -> Result<(), Shown> {
        match self.ask(Ask::Agreed)? {
            Answer::Agreed => Ok(()),
            _ => Err(strange()),
        }
    }
}
