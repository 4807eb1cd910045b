//! Making an update: where it follows, what it does, one signature, and the record before the file.
//!
//! [`Issuer::draft`] and [`Issuer::sign`] need no files: a server keeps [`crate::ledger::Ledger`]
//! where it likes. [`Issue`] does the same from a vendor directory.

mod recorded;
mod sealer;

use protocol::errors::ErrorCode;
use protocol::ids::Generation;
use protocol::objects::device::Device;
use protocol::objects::file::{self, FileKind};
use protocol::objects::license::{ItemRef, ProductItem};
use protocol::objects::request::Answer;
use protocol::objects::update::{ProductRange, UnitsChange, write_ops};
use protocol::signed::{Header, Kind, Proof, Role, sign_threshold, write_object};

use crate::data::DataInput;
use crate::issuer::Issuer;
use crate::keys::{KeyRing, entropy};
use crate::ledger::{Issued, Point};
use crate::{Result, Shown};

pub use recorded::Issue;
pub use sealer::Sealer;

/// What an update changes.
pub enum Change {
    /// Nothing: cancels what it supersedes.
    Nothing,
    /// Sets an entry with all that belongs to it.
    Set(Box<Setting>),
    /// Removes an entry.
    Remove(ItemRef),
    /// Opens the licenses again that a trap locked.
    Unlock,
    /// Makes entries perpetual.
    Perpetuate(ProductRange),
    /// Answers the container's request.
    Answer(Answer),
}

/// An entry as it shall be.
pub struct Setting {
    /// The entry.
    pub item: ProductItem,
    /// Generation of its item key, which goes along.
    pub generation: Generation,
    /// Changes of its units.
    pub units: Vec<UnitsChange>,
    /// Data fields that are written.
    pub data: Vec<DataInput>,
}

/// An update that nobody has signed yet.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Its header, still without the key that signs.
    pub header: Header,
    /// Its operations.
    pub body: Vec<u8>,
    /// What it does, for people.
    pub what: String,
}

/// A signed update.
#[derive(Debug, Clone)]
pub struct Update {
    /// The object as containers take it.
    pub object: Vec<u8>,
    /// What the container's record says of it, with the state that it leads to.
    pub issued: Issued,
}

impl Change {
    /// In words.
    pub fn what(&self) -> String {
        match self {
            Change::Nothing => "cancel".into(),
            Change::Set(setting) => {
                let item = setting.item.item;
                format!("set product {} entry {}", item.product, item.entry)
            }
            Change::Remove(item) => format!("remove product {} entry {}", item.product, item.entry),
            Change::Unlock => "unlock".into(),
            Change::Perpetuate(ProductRange { first, last }) => {
                format!("make products {first} to {last} perpetual")
            }
            Change::Answer(_) => "answer".into(),
        }
    }
}

impl Issuer<'_> {
    /// Makes one update of `changes` for a container, issued and to be applied until `times`.
    ///
    /// # Errors
    /// There is no such item key, they do not fit one update, or a reseller may not do that.
    pub fn draft(
        &self,
        device: &Device,
        before: Point,
        changes: &[Change],
        (issued_s, until_s): (u64, u64),
        keys: &KeyRing,
    ) -> Result<Draft> {
        let (root_fp, kind) = (self.root.root_fp, kind(changes)?);
        let seq = before.seq.checked_add(1).ok_or(ErrorCode::TooLong.failure())?;
        let sealer = Sealer { root_fp, device, seq, keys };
        let mut ops = Vec::new();
        for change in changes {
            ops.extend(sealer.ops(change)?);
        }
        self.check_scope(&ops)?;
        let body = write_ops(&ops).map_err(|error| {
            Shown::usage(error, "Nothing was issued. Change the options and try again.")
        })?;
        let header = Header {
            root_fp,
            target: *device.id.bytes(),
            seq,
            state: before.state,
            issued_s,
            until_s,
            ..Header::new(kind, &body)
        };
        let what: Vec<String> = changes.iter().map(Change::what).collect();
        Ok(Draft { header, body, what: what.join(", ") })
    }

    /// Signs updates, for as many containers as there are: one signature for all of them, or one
    /// of each of the keys that turn licenses perpetual for each.
    ///
    /// # Errors
    /// The keys are not in the ring, do not sign, or the drafts are of both kinds.
    pub fn sign(&self, drafts: Vec<Draft>, keys: &KeyRing) -> Result<Vec<Update>> {
        let mut headers: Vec<Header> = drafts.iter().map(|draft| draft.header).collect();
        let proofs = self.proofs(&mut headers, keys)?;
        let signed = drafts.into_iter().zip(headers).zip(proofs);
        Ok(signed.map(|((draft, header), proof)| draft.signed(&header, &proof)).collect())
    }

    /// The same of headers and bodies of one kind, also of leases: the objects alone.
    ///
    /// # Errors
    /// As there.
    pub fn sign_objects(
        &self,
        objects: &[(Header, &[u8])],
        keys: &KeyRing,
    ) -> Result<Vec<Vec<u8>>> {
        let mut headers: Vec<Header> = objects.iter().map(|(header, _)| *header).collect();
        let proofs = self.proofs(&mut headers, keys)?;
        let signed = headers.iter().zip(&proofs).zip(objects);
        Ok(signed.map(|((header, proof), (_, body))| write_object(header, proof, body)).collect())
    }

    /// [`Issuer::sign`] for one.
    ///
    /// # Errors
    /// As there.
    pub fn sign_alone(&self, draft: Draft, keys: &KeyRing) -> Result<Update> {
        let signed = self.sign(vec![draft], keys)?.pop();
        Ok(signed.ok_or(ErrorCode::Malformed.failure())?)
    }

    fn proofs(&self, headers: &mut [Header], keys: &KeyRing) -> Result<Vec<Proof>> {
        let recovers = |header: &Header| header.kind == Kind::Recovery;
        if !headers.iter().any(recovers) {
            return keys.sign_batch(headers, self.key(keys)?);
        }
        let refused = ErrorCode::Malformed.failure();
        if !headers.iter().all(recovers) {
            return Err(refused.into());
        }
        let signers = keys.signers(&self.root.body, Role::Recovery)?;
        let proof = |header: &Header| {
            let proof = sign_threshold(header, &signers, &entropy()?);
            proof.ok_or_else(|| keys.refusal(refused))
        };
        headers.iter().map(proof).collect()
    }
}

impl Draft {
    fn signed(self, header: &Header, proof: &Proof) -> Update {
        Update {
            object: write_object(header, proof, &self.body),
            issued: Issued::of(header, self.what),
        }
    }
}

impl Update {
    /// The file, with what its container lacks of roots and revocations: [`Issuer::lacking`].
    pub fn file(&self, lacking: &[u8]) -> Vec<u8> {
        file::write(FileKind::Update, &[lacking, &self.object])
    }
}

/// The kind of the update. What turns licenses perpetual is signed by keys of its own, and nothing
/// else is signed by them.
fn kind(changes: &[Change]) -> Result<Kind> {
    let perpetuates = |change: &Change| matches!(change, Change::Perpetuate(_));
    match changes.iter().filter(|change| perpetuates(change)).count() {
        _ if changes.is_empty() => {
            Err(Shown::usage("an update of no changes", "Say what it changes."))
        }
        0 => Ok(Kind::Update),
        count if count == changes.len() => Ok(Kind::Recovery),
        _ => Err(Shown::usage(
            "licenses turn perpetual by an update of their own",
            "Make two updates of it.",
        )),
    }
}

#[cfg(test)]
mod tests;
