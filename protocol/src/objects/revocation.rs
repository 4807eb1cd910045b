//! A revocation: keys, containers and firmware that count no more.
//!
//! Signed by the threshold of the `revocation` role, for one root: `state` of the header is that
//! root's hash, so lists of different times cannot be mixed. Its number, the epoch, only rises. A
//! container minds the keys; containers and firmware are for hosts and vendors.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::option::Version;
use super::root::{Root, RootError};
use crate::codec::{self, List};
use crate::crypto::ecdsa::Sign;
use crate::ids::{ContainerId, KeyId, RootFp};
use crate::limits::{
    REVOCATION_BODY_LEN_MAX, REVOKED_CONTAINERS_MAX, REVOKED_FIRMWARE_MAX, REVOKED_KEYS_MAX,
};
use crate::signed::{Header, Kind, Role, UnverifiedObject, sign_threshold, write_object};

/// The body of a revocation. Each list is in rising order, without repetition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationBody {
    /// Keys that sign no update and no delegation any more.
    pub keys: List<KeyId, REVOKED_KEYS_MAX>,
    /// Containers that get nothing any more.
    pub containers: List<ContainerId, REVOKED_CONTAINERS_MAX>,
    /// Firmware that gets nothing any more.
    pub firmware: List<FirmwareRange, REVOKED_FIRMWARE_MAX>,
}

/// Versions of firmware, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FirmwareRange {
    /// First version.
    pub first: Version,
    /// Last version.
    pub last: Version,
}

/// A revocation that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The firm.
    pub root_fp: RootFp,
    /// Its number.
    pub epoch: u32,
    /// SHA-256 of its preimage.
    pub hash: [u8; 32],
    /// Last second in which it tells the present; 0 = no end.
    pub until_s: u64,
    /// Contents.
    pub body: RevocationBody,
}

/// Why a revocation was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(thiserror::Error))]
#[non_exhaustive]
pub enum RevocationError {
    /// Made for another root than the one that is trusted.
    #[cfg_attr(feature = "std", error("made for another root than the one that is known"))]
    OtherRoot,
    /// Not signed by the role's threshold, or not readable.
    #[cfg_attr(feature = "std", error(transparent))]
    Signed(RootError),
    /// An epoch below the least that the root allows, or above what there is.
    #[cfg_attr(feature = "std", error("epoch {0} does not fit the root"))]
    Epoch(u64),
    /// The lists are not in order.
    #[cfg_attr(feature = "std", error("a list is not in rising order"))]
    Order,
}

/// What to do with a revocation whose time is over: an attacker may hold newer ones back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StalePolicy {
    /// Seconds after its end in which one is warned; then it is refused. `None`: warned for ever.
    pub refuse_after_s: Option<u64>,
}

/// How far the present is behind a revocation's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Within its time, or without an end.
    Fresh,
    /// Over for so many seconds: warn.
    Stale(u64),
    /// Over for so many seconds: refuse.
    Refused(u64),
}

impl Revocation {
    /// Verifies a revocation under the root that is trusted.
    pub fn verify(root: &Root, object: &UnverifiedObject<'_>) -> Result<Self, RevocationError> {
        let header = object.header();
        if header.kind != Kind::Revocation || header.root_fp != root.root_fp {
            let error = RootError::Contents("not a revocation of this vendor");
            return Err(RevocationError::Signed(error));
        }
        root.body
            .check_signed(header, object.proof(), Role::Revocation)
            .map_err(RevocationError::Signed)?;
        if header.state != root.hash {
            return Err(RevocationError::OtherRoot);
        }
        let epoch = u32::try_from(header.seq).ok().filter(|epoch| *epoch >= root.min_epoch.max(1));
        let epoch = epoch.ok_or(RevocationError::Epoch(header.seq))?;
        let checked =
            object.checked().map_err(|e| RevocationError::Signed(RootError::Object(e)))?;
        let body: RevocationBody = codec::decode(checked.body, REVOCATION_BODY_LEN_MAX)
            .map_err(|error| RevocationError::Signed(RootError::Body(error)))?;
        body.check()?;
        let hash = header.hash();
        Ok(Revocation { root_fp: root.root_fp, epoch, hash, until_s: header.until_s, body })
    }

    /// Signs and writes a revocation for `root`.
    pub fn write(
        root: &Root,
        epoch: u32,
        body: &RevocationBody,
        (issued_s, until_s): (u64, u64),
        signers: &[&(impl Sign + ?Sized)],
        entropy: &[u8; 32],
    ) -> Option<Vec<u8>> {
        body.check().ok()?;
        let bytes = codec::encode(body);
        let header = Header {
            root_fp: root.root_fp,
            seq: epoch.into(),
            state: root.hash,
            issued_s,
            until_s,
            ..Header::new(Kind::Revocation, &bytes)
        };
        let proof = sign_threshold(&header, signers, entropy)?;
        Some(write_object(&header, &proof, &bytes))
    }

    /// How it stands with its time at `now_s`.
    pub fn freshness(&self, now_s: u64, policy: StalePolicy) -> Freshness {
        freshness(self.until_s, now_s, policy)
    }
}

/// How something that ends at `until_s` (0 = never) stands with its time at `now_s`.
pub fn freshness(until_s: u64, now_s: u64, policy: StalePolicy) -> Freshness {
    if until_s == 0 || now_s <= until_s {
        return Freshness::Fresh;
    }
    let over_s = now_s - until_s;
    match policy.refuse_after_s {
        Some(refuse_after_s) if over_s > refuse_after_s => Freshness::Refused(over_s),
        _ => Freshness::Stale(over_s),
    }
}

impl RevocationBody {
    /// Whether firmware of this version is named.
    pub fn names_firmware(&self, version: Version) -> bool {
        self.firmware.iter().any(|range| (range.first..=range.last).contains(&version))
    }

    fn check(&self) -> Result<(), RevocationError> {
        let rises = rises(&self.keys) && rises(&self.containers) && rises(&self.firmware);
        if rises { Ok(()) } else { Err(RevocationError::Order) }
    }
}

fn rises<T: PartialOrd>(values: &[T]) -> bool {
    values.windows(2).all(|pair| pair[0] < pair[1])
}
