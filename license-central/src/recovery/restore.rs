//! Puts a backup into an empty database: all of it, or nothing.

use std::collections::BTreeSet;
use std::path::Path;

use protocol::errors::{ErrorCode, Shown};

use super::backup::{self, Contents};
use crate::domain::keys::SYSTEM;
use crate::domain::refusal::Refusal;
use crate::store::{Filter, Page, Purpose, Store, StoreError, Transaction, Write, tables};

/// Rows that are written at a time.
const BATCH: usize = 500;

/// What a backup holds, and whose records; read to its end.
///
/// # Errors
/// It is damaged.
pub fn preview(path: &Path) -> Result<(Contents, BTreeSet<String>), Shown> {
    let mut tenants = BTreeSet::new();
    let contents = backup::read(path, &mut |write| {
        if write.tenant != SYSTEM {
            tenants.insert(write.tenant);
        }
        Ok(())
    })?;
    Ok((contents, tenants))
}

/// Restores the backup that was previewed.
///
/// # Errors
/// The database has records, the file has changed, or the database fails.
pub fn run(
    store: &dyn Store,
    path: &Path,
    (contents, tenants): &(Contents, BTreeSet<String>),
) -> Result<(), Shown> {
    let mut refused = None;
    let done = store.transact(Purpose::Write, &mut |open| {
        refused = fill(open, path, contents, tenants).err();
        match refused.take() {
            None => Ok(()),
            // What was loaded goes with the transaction.
            Some(Refusal::Store(error)) => Err(error),
            Some(Refusal::Told(error)) => {
                refused = Some(Refusal::Told(error));
                Err(StoreError::Unavailable("the backup was refused".into()))
            }
        }
    });
    match (refused, done) {
        (Some(refused), _) => Err(refused.shown()),
        (None, Err(error)) => Err(Refusal::from(error).shown()),
        (None, Ok(())) => Ok(()),
    }
}

fn fill(
    open: &mut dyn Transaction,
    path: &Path,
    contents: &Contents,
    tenants: &BTreeSet<String>,
) -> Result<(), Refusal> {
    for tenant in tenants.iter().map(String::as_str).chain([SYSTEM]) {
        for table in tables::ALL {
            let page = Page { after: None, limit: 1 };
            if !open.find(tenant, table, &Filter::All, &page)?.is_empty() {
                return Err(ErrorCode::StoreFilled.into());
            }
        }
    }
    let mut batch: Vec<Write> = Vec::with_capacity(BATCH);
    let mut failed = None;
    let read = backup::read(path, &mut |write| {
        batch.push(write);
        if batch.len() < BATCH {
            return Ok(());
        }
        let loaded = open.load(&std::mem::take(&mut batch));
        failed = loaded.as_ref().err().cloned();
        loaded
    });
    if let Some(error) = failed {
        return Err(error.into());
    }
    if read? != *contents {
        return Err(Shown::conflict("the backup was changed meanwhile", "Repeat it.").into());
    }
    Ok(open.load(&batch)?)
}
