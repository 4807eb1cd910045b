//! Whom a vendor trusts, as it was seen last: a root that follows takes the place of the one
//! before, and nothing older is taken back.

use protocol::codec;
use protocol::crypto::hash::sha256;
use protocol::errors::{ErrorCode, Shown};
use protocol::ids::hex;
use protocol::signed::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vendor::Issuer;
use vendor::trust::Trust;

use super::refusal::Outcome;
use super::work::{Record, Stored, Work};
use crate::store::{Table, Value, tables};

/// A root and its revocations, by what tells them from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustMark {
    /// Version of the newest root.
    pub root_version: u64,
    /// SHA-256 of what is signed of it, hexadecimal.
    pub root_hash: String,
    /// Its last second, Unix seconds; 0 = no end.
    pub until_s: u64,
    /// Epoch of its revocations; 0 = none.
    pub revocation_epoch: u64,
    /// SHA-256 of what is signed of them, hexadecimal; empty = none.
    pub revocation_hash: String,
    /// Hash over who signs them: with others the epoch begins anew.
    pub revocation_role: String,
    /// Ids of the keys that may sign licenses.
    pub licensing_keys: Vec<String>,
    /// Ids of keys that sign none any more, whatever roots say.
    pub revoked_keys: Vec<String>,
    /// Ids of containers that get nothing any more.
    pub revoked_containers: Vec<String>,
}

impl Record for TrustMark {
    const TABLE: &'static Table = &tables::JOURNAL_MARK;

    fn id(&self) -> String {
        Self::ID.to_owned()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

impl TrustMark {
    /// There is one for each vendor.
    pub const ID: &'static str = "trust";

    /// Of what a vendor's directory says.
    ///
    /// # Errors
    /// Its revocations go with another root.
    pub fn of(trust: &Trust) -> Result<Self, Shown> {
        let issuer = Issuer::of(trust)?;
        let (root, revocation) = (issuer.root, issuer.revocation()?);
        let keys = root
            .keys(Role::Licensing)
            .filter_map(|point| protocol::crypto::ecdsa::VerifyingKey::from_bytes(&point.0).ok());
        let body = revocation.as_ref().map(|one| one.body.clone()).unwrap_or_default();
        Ok(TrustMark {
            root_version: root.version,
            root_hash: hex(&root.hash),
            until_s: root.until_s,
            revocation_epoch: revocation.as_ref().map_or(0, |one| one.epoch.into()),
            revocation_hash: revocation.map(|one| hex(&one.hash)).unwrap_or_default(),
            revocation_role: hex(&sha256(&codec::encode(&root.body.role(Role::Revocation)))),
            licensing_keys: keys.map(|key| key.id().to_string()).collect(),
            revoked_keys: body.keys.iter().map(ToString::to_string).collect(),
            revoked_containers: body.containers.iter().map(ToString::to_string).collect(),
        })
    }

    /// Takes what a directory says, where it follows this. Each of its roots was verified by the
    /// one before; here it is seen that this one is among them.
    ///
    /// # Errors
    /// It is older, or another branch.
    pub fn followed_by(&self, trust: &Trust) -> Result<Self, Shown> {
        let next = Self::of(trust)?;
        if next.root_version < self.root_version {
            return Err(ErrorCode::RootOlder.with(next.root_version, self.root_version).into());
        }
        let known = trust.roots.iter().find(|part| part.header.seq == self.root_version);
        if known.map(|part| hex(&part.header.hash())).as_ref() != Some(&self.root_hash) {
            return Err(ErrorCode::RootDiffers.with(self.root_version, 0).into());
        }
        let begins_anew = next.revocation_role != self.revocation_role;
        let (epoch, before) = (next.revocation_epoch, self.revocation_epoch);
        let is_same = next.revocation_hash == self.revocation_hash;
        if !begins_anew && (epoch < before || (epoch == before && !is_same)) {
            return Err(ErrorCode::RevocationsOlder.with(epoch, before).into());
        }
        Ok(next)
    }
}

/// Takes over what a vendor's directory says, and notes it in the records and the audit. Whether
/// anything is new.
pub fn take(work: &mut Work<'_>, trust: &Trust) -> Outcome<bool> {
    let known = work.find::<TrustMark>(TrustMark::ID)?;
    let next = match &known {
        Some(known) => known.record.followed_by(trust)?,
        None => TrustMark::of(trust)?,
    };
    if known.as_ref().is_some_and(|known| known.record == next) {
        return Ok(false);
    }
    let (version, epoch) = (next.root_version, next.revocation_epoch);
    let what = format!("root version {version}, revocations of epoch {epoch}");
    work.note("vendor.trust", work.tenant().to_owned(), what);
    match known {
        Some(known) => work.update(&Stored { record: next, ..known })?,
        None => work.insert(&next)?,
    }
    Ok(true)
}

/// What was taken over last.
pub fn known(work: &mut Work<'_>) -> Outcome<Option<TrustMark>> {
    Ok(work.find::<TrustMark>(TrustMark::ID)?.map(|known| known.record))
}
