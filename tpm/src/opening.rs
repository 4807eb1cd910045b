//! Opening the container in a folder: by its file `container`, or by the one that was about to take
//! its place.

use std::path::Path;

use protocol::errors::ErrorCode;

use crate::binding::{self, Binding, Seal};
use crate::directory::Directory;
use crate::guard::Guard;
use crate::machine_key::Machine;
use crate::refusal::Refusal;
use crate::state::State;
use crate::vault::{AccessOf, Vault};

/// An open container.
pub(crate) struct Opened {
    pub(crate) vault: Vault,
    pub(crate) state: State,
    pub(crate) guard: Guard,
    pub(crate) binding: Binding,
}

/// Opens the container in a folder whose lock is held. What a rebinding left that was killed
/// behind its commit is put in its place.
pub(crate) fn open(folder: &Path, access: AccessOf, machine: &Machine) -> Result<Opened, Refusal> {
    let directory = Directory::open(folder)?;
    let first = read(&directory, binding::NAME)?.ok_or(ErrorCode::SoftDamaged)?;
    let refused = match attempt(folder, &first, access, machine) {
        Ok(opened) => {
            if opened.binding.seal == Seal::Traits {
                // A draft would open an old state some day, since nothing makes it noise.
                directory.remove(binding::OTHER)?;
            }
            return Ok(opened);
        }
        Err(refused) => refused,
    };
    let is_of_another = [ErrorCode::SoftStale, ErrorCode::SoftTraits]
        .into_iter()
        .any(|code| refused.failure.known() == Some(code));
    let other = read(&directory, binding::OTHER).ok().flatten().filter(|_| is_of_another);
    let opened = other.and_then(|other| attempt(folder, &other, access, machine).ok());
    let opened = opened.ok_or(refused)?;
    put_in_place(&directory, &opened.binding, &first)?;
    Ok(opened)
}

/// The same for a container that its vendor certified.
pub(crate) fn certified(
    folder: &Path,
    access: AccessOf,
    machine: &Machine,
) -> Result<Opened, Refusal> {
    let binding = read(&Directory::open(folder)?, binding::NAME)?;
    if binding.ok_or(ErrorCode::SoftDamaged)?.certificate.is_empty() {
        return Err(ErrorCode::SoftUncertified.into());
    }
    open(folder, access, machine)
}

/// Makes a binding the container's, and keeps the one of before where a TPM in software may need it
/// that loses its last write.
pub(crate) fn put_in_place(
    directory: &Directory,
    binding: &Binding,
    before: &Binding,
) -> Result<(), Refusal> {
    let unwritten = |_| ErrorCode::HelperFailed;
    directory.write(binding::NAME, &binding.write()).map_err(unwritten)?;
    match binding.seal {
        Seal::Tpm(_) => directory.write(binding::OTHER, &before.write()).map_err(unwritten)?,
        Seal::Traits => directory.remove(binding::OTHER)?,
    }
    Ok(())
}

/// A binding in a folder, if there is one.
pub(crate) fn read(directory: &Directory, name: &str) -> Result<Option<Binding>, Refusal> {
    let file = directory.read(name, binding::FILE_LEN_MAX)?;
    Ok(file.map(|file| Binding::read(&file)).transpose()?)
}

fn attempt(
    folder: &Path,
    binding: &Binding,
    access: AccessOf,
    machine: &Machine,
) -> Result<Opened, Refusal> {
    let key = machine.open(&binding.traits)?;
    let directory = Directory::open(folder)?;
    let (vault, state) = Vault::open(directory, binding, access()?, &key.key)?;
    let state = State::read(&state).map_err(|_| ErrorCode::SoftDamaged)?;
    let guard = Guard::new(machine, key.drift, &state);
    Ok(Opened { vault, state, guard, binding: binding.clone() })
}
