//! Puts a backup into an empty database: all of it, or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use protocol::errors::{ErrorCode, Shown};

use super::backup::{self, Contents};
use super::seats;
use crate::domain::env::{Env, SystemRandom};
use crate::domain::keys::SYSTEM;
use crate::domain::refusal::Refusal;
use crate::domain::work::Work;
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

/// Restores the backup that was previewed. `leased_s` says until when any lease of a tenant lasts
/// that was signed, Unix seconds, where that is known: no backup has the seats that were taken.
///
/// # Errors
/// The database has records, the file has changed, or the database fails.
pub fn run(
    store: &dyn Store,
    path: &Path,
    (contents, tenants): &(Contents, BTreeSet<String>),
    (now_ms, leased_s): (i64, &BTreeMap<String, u64>),
) -> Result<(), Shown> {
    let mut refused = None;
    let env = Env::new(now_ms, &SystemRandom, SYSTEM);
    let done = store.transact(Purpose::Write, &mut |open| {
        refused = fill(open, path, contents, tenants)
            .and_then(|()| {
                tenants.iter().try_for_each(|tenant| hold(open, &env, (tenant, leased_s)))
            })
            .err();
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

/// In the same transaction as the records: no seat is given between both.
fn hold(
    open: &mut dyn Transaction,
    env: &Env<'_>,
    (tenant, leased_s): (&str, &BTreeMap<String, u64>),
) -> Result<(), Refusal> {
    let mut work = Work::new(open, tenant);
    seats::hold(&mut work, env, leased_s.get(tenant).copied())?;
    let (writes, _, changes) = work.finish();
    if !writes.is_empty() {
        open.apply(&writes)?;
    }
    if !changes.is_empty() {
        open.change_seats(&changes)?;
    }
    Ok(())
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
