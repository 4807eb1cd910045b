//! The signer's process: a Unix socket for its own user, and one thread for each that connects.

use std::collections::BTreeMap;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use protocol::errors::{ErrorCode, Shown};
use rustix::fs::Mode;
use rustix::net::sockopt::socket_peercred;
use rustix::process::{geteuid, umask};
use tokio::signal::unix::{SignalKind, signal};
use vendor::KeyRing;
use vendor::trust::Trust;

use super::caps::CapsFile;
use super::keeper::Keeper;
use super::wire::{self, Answer, Ask, LEAVES_MAX, Request, TimeAsk};
use crate::domain::firm::{Leaf, Signer};
use crate::domain::trusted::TrustMark;

/// Connections at a time.
const CONNECTIONS_MAX: usize = 64;

/// The signer of all vendors.
pub struct SignerProcess {
    vendors: BTreeMap<String, Keeper>,
    caps_path: PathBuf,
    reopen: Reopen,
    open: AtomicUsize,
}

/// Reads roots, revocations and keys of the vendor of this name again.
pub type Reopen = Box<dyn Fn(&str) -> Result<(Trust, KeyRing), Shown> + Send + Sync>;

impl SignerProcess {
    /// For these vendors, whose caps are in the file `caps_path`.
    pub fn new(vendors: BTreeMap<String, Keeper>, caps_path: PathBuf, reopen: Reopen) -> Self {
        SignerProcess { vendors, caps_path, reopen, open: AtomicUsize::new(0) }
    }

    /// Listens at `socket`, where only its own user reaches it. A socket that nobody listens at is
    /// taken over: the journals say that there is no other signer.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn listen(self: &Arc<Self>, socket: &Path) -> Result<(), Shown> {
        let failed = |error: std::io::Error| Shown::io(socket, &error);
        if let Err(error) = std::fs::remove_file(socket)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(failed(error));
        }
        let before = umask(Mode::XUSR | Mode::RWXG | Mode::RWXO);
        let bound = UnixListener::bind(socket).map_err(failed);
        umask(before);
        let (listener, own) = (bound?, self.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                own.clone().accept(stream);
            }
        });
        Ok(())
    }

    /// Waits until it is told to end (SIGTERM, SIGINT). SIGHUP reads caps, keys, roots and
    /// revocations again.
    ///
    /// # Errors
    /// Signals cannot be waited for.
    pub async fn wait(&self) -> Result<(), Shown> {
        let failed = |error: std::io::Error| Shown::conflict(error, "Repeat the command.");
        let mut term = signal(SignalKind::terminate()).map_err(failed)?;
        let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
        loop {
            tokio::select! {
                _ = term.recv() => return Ok(()),
                _ = int.recv() => return Ok(()),
                _ = hangup.recv() => {
                    self.reread();
                    for vendor in self.vendors.keys() {
                        // What stood in the way is in the log.
                        let _ = self.reread_keys(vendor);
                    }
                }
            }
        }
    }

    /// Takes the caps of the file. The old ones stay where it is wrong.
    pub fn reread(&self) {
        match CapsFile::read(&self.caps_path) {
            Ok(file) => {
                self.vendors.iter().for_each(|(id, keeper)| keeper.set_caps(file.of(id)));
                tracing::info!("caps were read again");
            }
            Err(error) => {
                let why = error.title(&|at_s| at_s.to_string());
                tracing::error!(why, "caps stay as they were");
            }
        }
    }

    /// Takes over what the vendor's directory says: keys, roots and revocations. The old ones stay
    /// where it is older, or cannot be read.
    ///
    /// # Errors
    /// As said.
    pub fn reread_keys(&self, vendor: &str) -> Result<TrustMark, Shown> {
        let keeper = self.keeper(vendor)?;
        let taken = (self.reopen)(vendor).and_then(|(trust, keys)| keeper.replace(trust, keys));
        match taken {
            Ok(is_new) => tracing::info!(vendor, is_new, "keys and roots were read again"),
            Err(error) => {
                let why = error.title(&|at_s| at_s.to_string());
                tracing::error!(
                    vendor,
                    code = error.code(),
                    why,
                    "keys and roots stay as they were"
                );
                return Err(error);
            }
        }
        keeper.mark()
    }

    fn keeper(&self, vendor: &str) -> Result<&Keeper, Shown> {
        self.vendors.get(vendor).ok_or_else(|| {
            let missing = Shown::from(ErrorCode::RecordMissing.failure());
            missing.about(format!("vendor {vendor:?}"))
        })
    }

    fn accept(self: Arc<Self>, stream: UnixStream) {
        if !is_own(&stream) {
            tracing::warn!("another user's connection was refused");
            return;
        }
        if self.open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
            self.open.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!("a connection too many was refused");
            return;
        }
        std::thread::spawn(move || {
            if let Err(error) = self.serve(stream) {
                tracing::warn!(%error, "a connection ended");
            }
            self.open.fetch_sub(1, Ordering::Relaxed);
        });
    }

    fn serve(&self, mut stream: UnixStream) -> std::io::Result<()> {
        while let Some(request) = wire::receive::<Request>(&mut stream)? {
            let answer = self.answer(request).unwrap_or_else(|refused| {
                tracing::warn!(code = refused.code(), "refused");
                Answer::Refused(refused.into())
            });
            wire::send(&mut stream, &answer)?;
        }
        Ok(())
    }

    fn answer(&self, request: Request) -> Result<Answer, Shown> {
        let vendor = self.keeper(&request.vendor)?;
        Ok(match request.ask {
            Ask::Draft(wanted) => {
                let (leaf, issued) = wanted.with(|wanted| vendor.draft(wanted))?;
                Answer::Drafted((&leaf).into(), issued.into())
            }
            Ask::Sign(leaves) | Ask::SignLeases(leaves) if leaves.len() > LEAVES_MAX => {
                let (count, most) = (leaves.len() as u64, LEAVES_MAX as u64);
                return Err(ErrorCode::TooLong.with(count, most).into());
            }
            Ask::Sign(leaves) => {
                let leaves = leaves.into_iter().map(Leaf::try_from);
                Answer::Signed(vendor.sign(&leaves.collect::<Result<Vec<_>, _>>()?)?)
            }
            Ask::SignLeases(leases) => {
                let leases = leases.into_iter().map(Leaf::try_from);
                Answer::Signed(vendor.sign_leases(leases.collect::<Result<Vec<_>, _>>()?)?)
            }
            Ask::Reread => Answer::Trusted(self.reread_keys(&request.vendor)?),
            Ask::Trusted => Answer::Trusted(vendor.mark()?),
            Ask::KeyId => Answer::KeyId(vendor.key_id()?),
            Ask::Time(TimeAsk { certificate, nonce }) => {
                Answer::Signed(vec![vendor.time_token(&certificate, nonce)?])
            }
            Ask::Certify(id, body) => Answer::Signed(vec![vendor.certify(id, &body)?]),
            Ask::Head => Answer::Head(vendor.head()?),
            Ask::Entries(after) => Answer::Entries(vendor.entries(after)?),
            Ask::Agree(head) => {
                vendor.agree(head)?;
                Answer::Agreed
            }
            Ask::Agreed => {
                vendor.agreed()?;
                Answer::Agreed
            }
        })
    }
}

/// Whether the other side is this user, or root.
pub fn is_own(stream: &UnixStream) -> bool {
    socket_peercred(stream).is_ok_and(|peer| peer.uid == geteuid() || peer.uid.is_root())
}
