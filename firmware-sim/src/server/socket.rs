//! The listening socket as a file: private from its first moment, never another's, gone after.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, fchmod, flock};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// A listening Unix socket; its file goes with it.
#[derive(Debug)]
pub(super) struct ListeningSocket {
    pub(super) fd: OwnedFd,
    path: PathBuf,
    /// Device and inode of the file, to know it again.
    file: (u64, u64),
}

impl ListeningSocket {
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // Two servers that start at once must not both find a socket stale. Released on return.
        let guard = File::open(folder)?;
        flock(&guard, FlockOperation::LockExclusive)?;
        let address = SocketAddrUnix::new(path)?;
        remove_stale(path, &address)?;
        let fd = stream_socket()?;
        // Linux makes the file with the mode that the socket has when it is bound.
        fchmod(&fd, Mode::RUSR | Mode::WUSR)?;
        bind(&fd, &address)?;
        let file = identity(path)?;
        let socket = Self { fd, path: path.to_owned(), file };
        listen(&socket.fd, BACKLOG)?;
        Ok(socket)
    }
}

impl Drop for ListeningSocket {
    fn drop(&mut self) {
        // Somebody may have put another file in its place.
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            fs::remove_file(&self.path).ok();
        }
    }
}

fn stream_socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Makes room at `path`, unless somebody listens there or it is not a socket.
fn remove_stale(path: &Path, address: &SocketAddrUnix) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(file) if !file.file_type().is_socket() => {
            let why = format!("{} is there and is not a socket", path.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
        }
        Ok(_) => {}
    }
    match connect(stream_socket()?, address) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path),
        Err(Errno::NOENT) => Ok(()),
        // AGAIN: its queue of connections is full, so somebody has it.
        Ok(()) | Err(Errno::AGAIN) => {
            let why = format!("another simulator serves {}", path.display());
            Err(io::Error::new(io::ErrorKind::AddrInUse, why))
        }
        Err(error) => Err(error.into()),
    }
}
