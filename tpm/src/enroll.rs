//! How a container comes into being: its keys are drawn and sealed, and a firm certifies them.

use std::path::Path;

use protocol::codec::{Bytes, List};
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{ContainerId, ContainerKind, RootFp};
use protocol::limits::{DEVICE_BODY_LEN_MAX, ROOT_BODY_LEN_MAX};
use protocol::objects::device::{ClockClass, Device};
use protocol::objects::root::Root;
use protocol::signed::UnverifiedObject;

use crate::binding::{self, Binding, Intent, PublicKeys};
use crate::directory::Directory;
use crate::helper;
use crate::home::System;
use crate::state::{Secrets, State};
use crate::vault::{Access, Vault};

/// Makes a container for the licenses of one firm in a folder that has none. It is of no use before
/// the firm certified it ([`certify`]).
///
/// # Errors
/// Those of the folder and the TPM; [`ErrorCode::AlreadyThere`] where a container is there.
pub fn create(folder: &Path, firm: RootFp, access: Access) -> Result<Binding, Failure> {
    let failed = |_| ErrorCode::HelperFailed.failure();
    let directory = Directory::create(folder).map_err(failed)?;
    let lock = directory.lock().map_err(failed)?.ok_or(ErrorCode::AlreadyThere.failure())?;
    if directory.read(binding::NAME, binding::FILE_LEN_MAX).map_err(failed)?.is_some() {
        return Err(ErrorCode::AlreadyThere.failure());
    }
    let auth = [0; 32];
    Vault::clear(&directory, &access, &auth).map_err(helper::shut)?;
    let random = ErrorCode::RandomFailed.failure();
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_| random)?;
    let container = ContainerId::new(id);
    let secrets = Secrets::draw(&mut System).map_err(|_| random)?;
    let keys = secrets.public().map_err(|_| random)?;
    let state = State::new(secrets).write();
    let (vault, seal) =
        Vault::create(directory, container, Some(access), &auth, &state).map_err(helper::shut)?;
    let binding = Binding {
        container,
        firm,
        keys,
        seal,
        traits: Bytes::default(),
        certificate: Bytes::default(),
        roots: List::default(),
    };
    vault.directory().write(binding::NAME, &binding.write()).map_err(failed)?;
    vault.directory().remove(Intent::NAME).map_err(failed)?;
    drop(lock);
    Ok(binding)
}

/// Takes a firm's certificate in, with the firm's roots from the first to the one whose key
/// certified.
///
/// # Errors
/// [`ErrorCode::CertificateRefused`] for one that does not hold, or is of another container.
pub fn certify(folder: &Path, certificate: &[u8], roots: &[Vec<u8>]) -> Result<(), Failure> {
    let damaged = |_| ErrorCode::SoftDamaged.failure();
    let refused = ErrorCode::CertificateRefused.failure();
    let directory = Directory::open(folder).map_err(damaged)?;
    let file = directory.read(binding::NAME, binding::FILE_LEN_MAX).map_err(damaged)?;
    let mut binding = Binding::read(&file.ok_or(ErrorCode::SoftDamaged.failure())?)?;
    let root = newest(roots).filter(|root| root.root_fp == binding.firm).ok_or(refused)?;
    let (object, rest) =
        UnverifiedObject::read(certificate, DEVICE_BODY_LEN_MAX).map_err(|_| refused)?;
    let device = Device::verify(&object, &root).map_err(|_| refused)?;
    let body = &device.body;
    let keys = PublicKeys {
        identity: body.identity_key,
        channel: body.channel_key,
        sealing: body.sealing_key,
    };
    let is_ours = device.id == binding.container && keys == binding.keys && rest.is_empty();
    let is_soft = body.kind == ContainerKind::Tpm
        && body.clock == ClockClass::Host
        && body.anchor == binding.anchor();
    if !is_ours || !is_soft {
        return Err(refused);
    }
    binding.certificate = Bytes::new(certificate).ok_or(refused)?;
    let roots: Option<Vec<_>> = roots.iter().map(|root| Bytes::new(root.clone())).collect();
    binding.roots = roots.and_then(List::new).ok_or(refused)?;
    directory.write(binding::NAME, &binding.write()).map_err(damaged)
}

/// The last of a chain of roots that begins with a firm's first.
fn newest(roots: &[Vec<u8>]) -> Option<Root> {
    let mut newest: Option<Root> = None;
    for object in roots {
        let (object, rest) = UnverifiedObject::read(object, ROOT_BODY_LEN_MAX).ok()?;
        let root = match &newest {
            None => Root::verify_first(&object),
            Some(root) => root.verify_next(&object),
        };
        newest = Some(root.ok().filter(|_| rest.is_empty())?);
    }
    newest
}
