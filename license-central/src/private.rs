//! Whether files and folders are this server's own: whoever else may change them runs it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use protocol::errors::Shown;

/// Refuses what others own or may write.
pub fn check(path: &Path) -> Result<(), Shown> {
    let data = look(path)?;
    if data.mode() & 0o022 != 0 || data.file_type().is_symlink() {
        let title = format!("{} may be written by others, or is a link", path.display());
        return Err(Shown::usage(title, "Take their right away: chmod go-w."));
    }
    check_owner(path, &data)
}

/// Refuses what others may also read.
pub fn check_secret(path: &Path) -> Result<(), Shown> {
    check(path)?;
    if look(path)?.mode() & 0o077 != 0 {
        let title = format!("{} may be read by others", path.display());
        return Err(Shown::usage(title, "Take their right away: chmod go=."));
    }
    Ok(())
}

/// [`check`], also for all folders above: whoever may write one of them can put another folder in
/// its place. A sticky one, such as /tmp, lets nobody rename what is another's.
pub fn check_with_parents(path: &Path) -> Result<(), Shown> {
    check(path)?;
    let real = path.canonicalize().map_err(|error| Shown::io(path, &error))?;
    for parent in real.ancestors().skip(1) {
        let data = look(parent)?;
        let is_sticky = data.mode() & 0o1000 != 0;
        if data.mode() & 0o022 != 0 && !is_sticky {
            let title = format!("{} may be written by others", parent.display());
            let hint = "Take their right away (chmod go-w), or use a folder elsewhere.";
            return Err(Shown::usage(title, hint));
        }
        check_owner(parent, &data)?;
    }
    Ok(())
}

fn look(path: &Path) -> Result<Metadata, Shown> {
    std::fs::symlink_metadata(path).map_err(|error| Shown::io(path, &error))
}

fn check_owner(path: &Path, data: &Metadata) -> Result<(), Shown> {
    let own = rustix::process::geteuid().as_raw();
    if data.uid() != 0 && data.uid() != own {
        let title = format!("{} belongs to user {}, not to this one", path.display(), data.uid());
        return Err(Shown::usage(title, "Give it to the user who runs the server: chown."));
    }
    Ok(())
}
