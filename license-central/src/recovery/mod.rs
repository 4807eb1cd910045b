//! What keeps account when something was lost: a backup of the records, their restore, and the
//! comparison of the records with the signer's journal.

pub mod backup;
pub mod check;
pub mod repair;
pub mod restore;
pub mod seats;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use protocol::errors::Shown;
use protocol::ids::RootFp;

use crate::domain::journal::{Entry, Head};
use crate::signer::journal::{Journal, Reader};
use crate::signer::leased;

/// The journal of one vendor, to be read.
pub struct Source {
    path: PathBuf,
    root_fp: RootFp,
}

impl Source {
    /// The file `path`, which may be missing: then nothing was ever signed.
    pub fn new(path: &Path, root_fp: RootFp) -> Self {
        Source { path: path.to_owned(), root_fp }
    }

    /// Keeps any signer from writing until what is returned is dropped.
    ///
    /// # Errors
    /// A signer runs, or the journal is damaged.
    pub fn hold(&self) -> Result<Option<Journal>, Shown> {
        let is_there = self.path.exists();
        is_there.then(|| Journal::open(&self.path, self.root_fp, |_| Ok(()))).transpose()
    }

    /// Until when any lease lasts that was signed, Unix seconds; none where that is not known.
    ///
    /// # Errors
    /// What says it is damaged.
    pub fn leased_s(&self) -> Result<Option<u64>, Shown> {
        leased::read(&leased::path_beside(&self.path))
    }

    /// Shows each entry, with the head behind it, until `see` has seen enough; then how far it was.
    ///
    /// # Errors
    /// It is damaged, or `see` failed.
    pub fn each<E: From<Shown>>(
        &self,
        mut see: impl FnMut(&Entry, Head) -> Result<(), E>,
    ) -> Result<Head, E> {
        if !self.path.exists() {
            return Ok(Head::BEGIN);
        }
        let mut reader = Reader::open(&self.path, self.root_fp)?;
        while let Some(entry) = reader.next_entry()? {
            see(&entry, reader.head())?;
        }
        Ok(reader.head())
    }
}
