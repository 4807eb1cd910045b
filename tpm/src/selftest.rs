//! Whether this machine's TPM does all that a container asks of it, and how long it takes: a
//! container is made, written and opened in a folder that goes away, and nothing of it stays.

use std::path::Path;

use protocol::codec::Bytes;
use protocol::ids::{ContainerId, RootFp};
use serde::Serialize;

use crate::binding::{Binding, PublicKeys};
use crate::chip::{Chip, Trouble};
use crate::clock::Stopwatch;
use crate::directory::Directory;
use crate::home::System;
use crate::machine_key::{Machine, MachineKey};
use crate::state::Secrets;
use crate::vault::{Access, Shut, Vault};

/// Commits that are measured.
const COMMITS: usize = 9;

/// What was measured, in milliseconds.
#[derive(Serialize)]
pub struct Selftest {
    /// Making a container's part in the TPM.
    pub create_ms: u64,
    /// One commit: the shortest, the median and the longest.
    pub commit_ms: [u64; 3],
    /// Opening a container.
    pub open_ms: u64,
    /// Proving who the TPM is: a quote.
    pub quote_ms: u64,
}

/// Tests the TPM in a folder that is made and removed.
///
/// # Errors
/// What did not work.
pub fn selftest(
    folder: &Path,
    access: impl Fn() -> Result<Access, Trouble>,
) -> Result<Selftest, Shut> {
    let done = test(folder, &access);
    // Also where it failed in the middle: what is left in the TPM is named there.
    let cleared = Directory::open(folder)
        .map_err(Shut::Files)
        .and_then(|directory| Vault::clear(&directory, access, &Machine::this()));
    let removed = std::fs::remove_dir_all(folder);
    let done = done?;
    cleared?;
    removed?;
    Ok(done)
}

fn test(folder: &Path, access: &impl Fn() -> Result<Access, Trouble>) -> Result<Selftest, Shut> {
    let since = Stopwatch::start();
    let directory = Directory::create(folder)?;
    let container = ContainerId::new([0; 16]);
    let machine = MachineKey::none();
    let made = Vault::create(directory, container, Some(access()?), &machine, b"0");
    let (mut vault, seal) = made?;
    let create_ms = since.ms();
    let mut commits = [0; COMMITS];
    for took_ms in &mut commits {
        let since = Stopwatch::start();
        vault.commit(b"1").map_err(|error| Shut::Files(std::io::Error::other(error)))?;
        *took_ms = since.ms();
    }
    drop(vault);
    commits.sort_unstable();
    let since = Stopwatch::start();
    let keys = Secrets::draw(&mut System).ok().and_then(|secrets| secrets.public().ok());
    let keys: PublicKeys = keys.ok_or(Shut::Damaged)?;
    let binding = Binding {
        container,
        firm: RootFp::default(),
        keys,
        seal,
        traits: machine.record,
        certificate: Bytes::default(),
        roots: Default::default(),
    };
    drop(Vault::open(Directory::open(folder)?, &binding, access()?, &machine.key)?);
    let open_ms = since.ms();
    let since = Stopwatch::start();
    let Access { tcti, passwords } = access()?;
    Chip::open(&tcti, None, &passwords)?.quote([0; 32], &[0; 32])?;
    let commit_ms = [commits[0], commits[COMMITS / 2], commits[COMMITS - 1]];
    Ok(Selftest { create_ms, commit_ms, open_ms, quote_ms: since.ms() })
}
