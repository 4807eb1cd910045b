//! The folder of a container: files that are its owner's alone, whole or not at all.
//!
//! Everything goes through the folder's descriptor and follows no link, so that nobody who may
//! write beside it leads the helper elsewhere.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, fchmod, flock, fstat, fsync, mkdir, open,
    openat, renameat, unlinkat,
};
use rustix::io::Errno;

/// Begins the name of a file that is not in its place yet.
const DRAFT: &str = ".draft";
/// Held by the one process that serves the folder.
const LOCK: &str = "lock";

/// A container's folder, opened.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    fd: OwnedFd,
}

/// The right to serve a folder, given back on drop.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not used")] OwnedFd);

impl Directory {
    /// Opens a folder that belongs to this user and that nobody else may change.
    ///
    /// # Errors
    /// What the system says; `PermissionDenied` for one that is another's or open to others.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = open(path, flags, Mode::empty())?;
        check_own(&fd, FileType::Directory, 0o022)?;
        Ok(Directory { path: path.to_owned(), fd })
    }

    /// Makes the folder, mode 0700, where it is missing, and opens it.
    ///
    /// # Errors
    /// See [`Directory::open`].
    pub fn create(path: &Path) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        match mkdir(path, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => Self::open(path),
            Err(error) => Err(error.into()),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets every user of the machine through to what in it is open to them. Nobody else may list
    /// it, and its files stay closed.
    ///
    /// # Errors
    /// What the system says.
    pub fn let_through(&self) -> io::Result<()> {
        let mode = fstat(&self.fd)?.st_mode | 0o011;
        Ok(fchmod(&self.fd, Mode::from_raw_mode(mode & 0o7777))?)
    }

    /// The right to serve it, if nobody has it.
    ///
    /// # Errors
    /// What the system says.
    pub fn lock(&self) -> io::Result<Option<Lock>> {
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.fd, LOCK, flags, Mode::from_raw_mode(0o600))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock(file))),
            Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a file of at most `len_max` bytes; none where there is none.
    ///
    /// # Errors
    /// What the system says; `PermissionDenied` for what is another's, open to others, or no plain
    /// file; `InvalidData` for one that is too long.
    pub fn read(&self, name: &str, len_max: usize) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        check_own(&fd, FileType::RegularFile, 0o077)?;
        let mut bytes = Vec::new();
        std::fs::File::from(fd).take(len_max as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > len_max {
            let why = format!("{name} has more than {len_max} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(Some(bytes))
    }

    /// Writes a file whole or not at all, durably, in place of what was there.
    ///
    /// # Errors
    /// What the system says. The old file is there then, or, where the folder alone could not be
    /// made durable, perhaps the new one.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let draft = format!("{DRAFT}.{name}");
        self.remove(&draft)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o600);
        let written =
            openat(&self.fd, &*draft, flags, mode).map_err(io::Error::from).and_then(|fd| {
                // Whatever the process takes away from new files.
                fchmod(&fd, mode)?;
                let mut file = std::fs::File::from(fd);
                file.write_all(bytes)?;
                file.sync_all()
            });
        let placed = written.and_then(|()| {
            renameat(&self.fd, &*draft, &self.fd, name)?;
            Ok(fsync(&self.fd)?)
        });
        if placed.is_err() {
            // It takes room, and is worth nothing.
            let _ = self.remove(&draft);
        }
        placed
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Names of the files in it.
    ///
    /// # Errors
    /// What the system says.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(self.fd.as_fd())? {
            if let Ok(name) = entry?.file_name().to_str() {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }
}

/// Refuses what is not of this kind, belongs to somebody else, or gives others one of `rights`.
fn check_own(fd: &OwnedFd, kind: FileType, rights: u32) -> io::Result<()> {
    let stat = fstat(fd)?;
    let own = rustix::process::geteuid().as_raw();
    let refused = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    if FileType::from_raw_mode(stat.st_mode) != kind {
        return refused(format!("it is not a {kind:?}"));
    }
    if stat.st_uid != own {
        return refused(format!("it belongs to user {}, not to user {own}", stat.st_uid));
    }
    let open = stat.st_mode & rights;
    if open != 0 {
        return refused(format!("others have rights to it (mode {:04o})", stat.st_mode & 0o7777));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn folder() -> (tempfile::TempDir, Directory) {
        let temp = tempfile::tempdir().unwrap();
        let directory = Directory::create(&temp.path().join("container")).unwrap();
        (temp, directory)
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else_is_left() {
        let (_temp, directory) = folder();
        assert_eq!(directory.read("state", 10).unwrap(), None);
        directory.write("state", b"first").unwrap();
        directory.write("state", b"second").unwrap();
        assert_eq!(directory.read("state", 10).unwrap().unwrap(), b"second");
        let mut names = directory.names().unwrap();
        names.retain(|name| !name.starts_with('.'));
        assert_eq!(names, ["state"]);
        assert!(directory.read("state", 5).is_err(), "longer than it may be");
    }

    #[test]
    fn links_and_files_that_others_reach_are_refused() {
        let (temp, directory) = folder();
        let secret = temp.path().join("secret");
        std::fs::write(&secret, b"of somebody else").unwrap();
        symlink(&secret, directory.path().join("state")).unwrap();
        assert!(directory.read("state", 100).is_err());
        // A draft that was put there as a link is not written through.
        symlink(&secret, directory.path().join(".draft.other")).unwrap();
        directory.write("other", b"ours").unwrap();
        assert_eq!(std::fs::read(&secret).unwrap(), b"of somebody else");
        let open = directory.path().join("other");
        std::fs::set_permissions(&open, PermissionsExt::from_mode(0o644)).unwrap();
        let refused = directory.read("other", 100).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o770)).unwrap();
        assert!(Directory::open(directory.path()).is_err());
        assert!(Directory::open(&temp.path().join("link")).is_err());
    }

    #[test]
    fn one_process_serves_a_folder() {
        let (_temp, directory) = folder();
        let held = directory.lock().unwrap();
        assert!(held.is_some() && directory.lock().unwrap().is_none());
        drop(held);
        assert!(directory.lock().unwrap().is_some());
    }
}
