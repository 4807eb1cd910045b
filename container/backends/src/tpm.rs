//! Soft licenses that a TPM seals: folders, each served by a helper that the first client starts.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use container::{Address, Backend, Channel, Error, Found, MessageSocket};
use protocol::errors::ErrorCode;

use crate::{Source, absolute, elsewhere};

/// What a folder has that holds a container.
const CONTAINER: &str = "container";
/// What its helper listens on.
const SOCKET: &str = "socket";
/// What a helper tells its own user in clear.
const LOOK: &[u8] = b"\0look";
/// The helper's program.
const HELPER: &str = "strongroom-tpm";

/// Containers below some folders, or one of them.
pub(crate) struct Tpm(pub(crate) Option<PathBuf>);

impl Backend for Tpm {
    fn source(&self) -> String {
        Source::Tpm(self.0.clone()).to_string()
    }

    fn list(&self) -> Result<Vec<Found>, Error> {
        let folders = match &self.0 {
            Some(folder) => vec![absolute(folder)],
            None => homes(),
        };
        let containers = folders.iter().flat_map(|folder| containers(folder));
        let found = containers.map(|folder| Found {
            address: Address::MessageSocket(folder.join(SOCKET)),
            hindrance: None,
        });
        Ok(found.collect())
    }

    fn open(&self, found: &Found) -> Result<Box<dyn Channel>, Error> {
        let Address::MessageSocket(socket) = &found.address else {
            return Err(elsewhere(&found.address));
        };
        match MessageSocket::connect(socket) {
            Ok(channel) => return Ok(Box::new(channel)),
            Err(error) if is_unserved(error.kind()) => {}
            Err(error) => return Err(unreachable(socket, &error)),
        }
        start(socket.parent().unwrap_or(Path::new("/")))?;
        let channel =
            MessageSocket::connect(socket).map_err(|error| unreachable(socket, &error))?;
        Ok(Box::new(channel))
    }
}

/// Where containers are looked for: `STRONGROOM_HOME` overrides all; else those of this user come
/// before those of the machine.
pub fn homes() -> Vec<PathBuf> {
    if let Some(home) = std::env::var_os("STRONGROOM_HOME") {
        return vec![PathBuf::from(home).join("tpm")];
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    let user = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(home);
    let user = user.map(|user| user.join("strongroom/tpm"));
    user.into_iter().chain([PathBuf::from("/var/lib/strongroom/tpm")]).collect()
}

/// The folder itself, or those in it, in the order of their names.
fn containers(folder: &Path) -> Vec<PathBuf> {
    let is_one = |folder: &Path| folder.join(CONTAINER).is_file() || folder.join(SOCKET).exists();
    if is_one(folder) {
        return vec![folder.to_owned()];
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| is_one(path)).collect();
    found.sort();
    found
}

/// Starts the helper of a folder, and waits until it serves.
///
/// # Errors
/// [`ErrorCode::HelperMissing`], or [`ErrorCode::HelperFailed`] with what it said.
fn start(folder: &Path) -> Result<(), Error> {
    let helper = helper().ok_or(ErrorCode::HelperMissing.failure())?;
    let mut command = Command::new(helper);
    command.arg("start").arg("--dir").arg(folder).stdin(Stdio::null());
    let failed = |why: &dyn std::fmt::Display| Error::new(ErrorCode::HelperFailed, why);
    let output = command.output().map_err(|error| failed(&error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(&said.trim().lines().last().unwrap_or_default()))
}

/// How the container in a folder stands, as JSON, for the user to whom it belongs.
///
/// # Errors
/// Those of connecting.
pub fn look(folder: &Path) -> Result<Vec<u8>, Error> {
    let address = Address::MessageSocket(absolute(folder).join(SOCKET));
    Tpm(None).open(&Found { address, hindrance: None })?.exchange(LOOK)
}

/// The helper's program: beside this one, else in a folder of `PATH`.
pub fn helper() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.to_owned()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = beside.into_iter().chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join(OsStr::new(HELPER))).find(|program| program.is_file())
}

fn is_unserved(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

fn unreachable(socket: &Path, error: &std::io::Error) -> Error {
    let code = match error.kind() {
        ErrorKind::PermissionDenied => ErrorCode::HelperPrivate,
        _ => ErrorCode::SourceFailed,
    };
    Error::new(code, format!("{}: {error}", socket.display()))
}
