//! Keys of traits, the masks of their shares, and the check value of a bound key.

use argon2::{Algorithm, Argon2, Params, Version};
use protocol::crypto::kdf::{Prk, hkdf};
use zeroize::Zeroizing;

use super::SALT_LEN;
use crate::canon::Value;
use crate::class::TraitClass;
use crate::shamir::Block;

const SHARE_LABEL: &[u8] = b"strongroom/trait-share/v1\0";
const CHECK_LABEL: &[u8] = b"strongroom/trait-check/v1\0";

/// What it costs to try a value: 19 MiB, 2 passes, 1 lane.
pub(super) const COST: Params = match Params::new(19 * 1024, 2, 1, Some(32)) {
    Ok(cost) => cost,
    Err(_) => panic!("allowed parameters of Argon2"),
};

/// There was no memory for Argon2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoMemory;

/// The key of a trait, from its value.
pub(super) fn trait_key(
    cost: &Params,
    value: &Value,
    salt: &[u8; SALT_LEN],
) -> Result<Zeroizing<Block>, NoMemory> {
    let mut key = Zeroizing::new([0; 32]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost.clone());
    // All lengths are allowed, so nothing else can fail.
    argon2.hash_password_into(value.as_bytes(), salt, &mut key[..]).map_err(|_| NoMemory)?;
    Ok(key)
}

/// Masks a share, or takes its mask away.
pub(super) fn masked(
    trait_key: &Block,
    class: TraitClass,
    x: u8,
    share: &Block,
) -> Zeroizing<Block> {
    let info = [SHARE_LABEL, &[class.number(), x]].concat();
    let mut masked = hkdf(trait_key, &[], &info);
    masked.iter_mut().zip(share).for_each(|(byte, of_share)| *byte ^= of_share);
    masked
}

/// What a record knows the key by.
pub(super) fn check(key: &Prk) -> Zeroizing<Block> {
    hkdf(key.as_bytes(), &[], CHECK_LABEL)
}
