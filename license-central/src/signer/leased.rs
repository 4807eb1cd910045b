//! Until when leases last that the signer signed, in a file beside the journal: after the database
//! was put back, seats wait until they are over. It is ahead by a minute, so that hardly any lease
//! waits for the medium.

use std::path::{Path, PathBuf};

use protocol::errors::Shown;
use serde::{Deserialize, Serialize};
use vendor::files;

/// Seconds that it is ahead.
const AHEAD_S: u64 = 60;

/// Until when.
pub struct Leased {
    path: PathBuf,
    until_s: u64,
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noted {
    /// The last second of any lease, Unix.
    until_s: u64,
}

/// Where it is, by the place of the vendor's journal.
pub fn path_beside(journal: &Path) -> PathBuf {
    journal.with_extension("leases")
}

/// The last second of any lease that was signed; none where there is no file.
///
/// # Errors
/// It cannot be read, or was changed.
pub fn read(path: &Path) -> Result<Option<u64>, Shown> {
    if !path.exists() {
        return Ok(None);
    }
    let noted: Noted = serde_json::from_slice(&files::read(path)?).map_err(|error| {
        let hint = "Take the file away when no program holds a seat any more.";
        Shown::conflict(format!("{}: {error}", path.display()), hint)
    })?;
    Ok(Some(noted.until_s))
}

impl Leased {
    /// Reads the file; one that is not there begins anew.
    ///
    /// # Errors
    /// As [`read`].
    pub fn open(path: &Path) -> Result<Self, Shown> {
        Ok(Leased { path: path.to_owned(), until_s: read(path)?.unwrap_or(0) })
    }

    /// Before a lease is signed that lasts until `until_s`: it is noted, and durable.
    ///
    /// # Errors
    /// The medium failed.
    pub fn cover(&mut self, until_s: u64) -> Result<(), Shown> {
        if until_s > self.until_s {
            let until_s = until_s.saturating_add(AHEAD_S);
            let text = serde_json::to_vec(&Noted { until_s }).unwrap_or_default();
            files::replace(&self.path, &text, 0o600)?;
            self.until_s = until_s;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lease_is_covered_also_over_a_restart_and_few_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = path_beside(&dir.path().join("acme.journal"));
        assert_eq!(read(&path).unwrap(), None);
        let mut leased = Leased::open(&path).unwrap();
        let mut written = Vec::new();
        for until_s in [1000, 999, 1060, 1061, 5, 1121] {
            leased.cover(until_s).unwrap();
            written.extend(read(&path).unwrap().filter(|now_s| written.last() != Some(now_s)));
            assert!(written.last() >= Some(&until_s));
        }
        assert_eq!(written, [1060, 1121]);
        Leased::open(&path).unwrap().cover(1100).unwrap();
        assert_eq!(read(&path).unwrap(), Some(1121));
    }

    #[test]
    fn a_file_that_was_changed_is_not_taken_for_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("acme.leases");
        for text in ["", "{}", "{\"until_s\":-1}", "{\"until_s\":1,\"x\":3}"] {
            std::fs::write(&path, text).unwrap();
            assert!(Leased::open(&path).is_err(), "{text}");
        }
    }
}
