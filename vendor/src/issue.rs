//! Making an update: where it follows, what it does, one signature, and the record before the file.

use std::path::Path;

use protocol::codec::{Bytes, Fixed};
use protocol::crypto::ecdh::PublicKey;
use protocol::crypto::hpke;
use protocol::errors::ErrorCode;
use protocol::ids::{Generation, ProductCode};
use protocol::objects::data::{DataContent, sealed_data_aad, sealed_data_info};
use protocol::objects::delegation::ScopeError;
use protocol::objects::file::{self, FileKind};
use protocol::objects::license::{ItemRef, ProductItem};
use protocol::objects::statement::{ContextBody, next_state_hash};
use protocol::objects::update::{ProductRange, SealedKey, UnitsChange, UpdateOp, write_ops};
use protocol::signed::{Header, Kind, Proof, Role, sign_batch, sign_threshold, write_object};
use zeroize::Zeroizing;

use crate::clock;
use crate::context::VerifiedStatement;
use crate::context::read_statement;
use crate::data::DataInput;
use crate::directory::Vendor;
use crate::keys::{KeyRing, SystemRandom, entropy};
use crate::ledger::{Issued, Ledger, Point};
use crate::trust::Part;
use crate::{Result, Shown};

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

impl Change {
    /// In words.
    fn what(&self) -> String {
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
        }
    }

    fn kind(&self) -> Kind {
        if let Change::Perpetuate(_) = self { Kind::Recovery } else { Kind::Update }
    }
}

/// An update in the making.
pub struct Issue<'a> {
    /// Who issues.
    pub vendor: &'a Vendor,
    /// For which container.
    pub context: VerifiedStatement<ContextBody>,
    /// The record of that container.
    ledger: Ledger,
    /// Where the update follows.
    pub before: Point,
}

impl<'a> Issue<'a> {
    /// Reads the context, settles the record by it, and finds the place of the next update.
    pub fn begin(
        vendor: &'a Vendor,
        context: &Path,
        supersede: Option<u64>,
        adopt: bool,
    ) -> Result<Self> {
        let (root_fp, mode) = (vendor.root.root_fp, vendor.root.body.mode);
        let context: VerifiedStatement<ContextBody> =
            read_statement(context, FileKind::Context, root_fp, mode)?;
        let shown = Point { seq: context.header.seq, state: context.header.state };
        let device = &context.device;
        let serial = device.id.serial(device.body.kind).to_string();
        let mut ledger = Ledger::load(&vendor.containers_dir(), device.id, serial, shown)?;
        ledger.check_alive()?;
        match ledger.settle(shown) {
            Err(_) if adopt => ledger.adopt(shown)?,
            settled => settled?,
        }
        let before = ledger.next(supersede)?;
        Ok(Issue { vendor, context, ledger, before })
    }

    /// Signs the update and returns the file. It may go out once it is recorded.
    pub fn sign(&mut self, change: Change, until_s: u64, keys: &KeyRing) -> Result<Vec<u8>> {
        let device = &self.context.device;
        let root_fp = self.vendor.root.root_fp;
        let seq = self.before.seq + 1;
        let (what, kind) = (change.what(), change.kind());
        let ops = match change {
            Change::Nothing => vec![UpdateOp::Nop],
            Change::Remove(item) => vec![UpdateOp::RemoveItem(item)],
            Change::Set(setting) => self.setting(*setting, seq, keys)?,
            Change::Unlock => vec![UpdateOp::Unlock],
            Change::Perpetuate(products) => vec![UpdateOp::Perpetuate(products)],
        };
        self.vendor.check_scope(&ops)?;
        let body = write_ops(&ops).map_err(|error| {
            Shown::usage(error, "Nothing was issued. Change the options and try again.")
        })?;
        let issued_s = clock::now_s();
        let header = Header {
            root_fp,
            target: *device.id.bytes(),
            seq,
            state: self.before.state,
            issued_s,
            until_s,
            ..Header::new(kind, &body)
        };
        let (header, proof) = self.vendor.sign_update(header, keys)?;
        let update = write_object(&header, &proof, &body);
        let trust = self.vendor.lacking(&self.context.body);
        let state = next_state_hash(&self.before.state, &header.hash());
        let issued = Issued {
            before: self.before,
            after: Point { seq, state },
            what,
            issued_s,
            superseded: false,
        };
        self.ledger.add(issued);
        Ok(file::write(FileKind::Update, &[&trust, &update]))
    }

    fn setting(&self, setting: Setting, seq: u64, keys: &KeyRing) -> Result<Vec<UpdateOp>> {
        let Setting { item, generation, units, data } = setting;
        let entry = item.item;
        let key = self.sealed_key(keys, seq, entry.product, generation)?;
        let mut ops = vec![UpdateOp::SetItem(item), UpdateOp::SetKey(key)];
        ops.extend(units.into_iter().map(|change| UpdateOp::Units { item: entry, change }));
        for input in &data {
            let content = self.content(input, entry, seq)?;
            ops.push(UpdateOp::SetData { item: entry, field: input.field, content });
        }
        Ok(ops)
    }

    fn content(&self, input: &DataInput, item: ItemRef, seq: u64) -> Result<DataContent> {
        let too_long = ErrorCode::TooLong.failure();
        if !input.field.is_sealed() || input.bytes.is_empty() {
            return Ok(DataContent::Plain(Bytes::new(&input.bytes[..]).ok_or(too_long)?));
        }
        let root_fp = self.vendor.root.root_fp;
        let info = sealed_data_info(root_fp, self.context.device.id);
        let aad = sealed_data_aad(seq, item, input.field);
        let mut plain = Zeroizing::new(input.access_code.to_be_bytes().to_vec());
        plain.extend_from_slice(&input.bytes);
        let (encapsulated, ciphertext) = self.seal(&info, &aad, &plain)?;
        let ciphertext = Bytes::new(ciphertext).ok_or(too_long)?;
        Ok(DataContent::Sealed { encapsulated: Fixed(encapsulated), ciphertext })
    }

    /// Seals something to the container by HPKE: the encapsulated key, and what is sealed with its
    /// tag.
    fn seal(&self, info: &[u8], aad: &[u8], plain: &[u8]) -> Result<([u8; 65], Vec<u8>)> {
        let refused = |_| ErrorCode::CertificateRefused.failure();
        let sealing_key = &self.context.device.body.sealing_key.0;
        let recipient = PublicKey::from_compressed(sealing_key).map_err(refused)?;
        let mut buf = plain.to_vec();
        buf.resize(plain.len() + 16, 0);
        let (encapsulated, _) =
            hpke::seal(&mut SystemRandom, &recipient, info, aad, &mut buf, plain.len())
                .map_err(refused)?;
        Ok((encapsulated, buf))
    }

    /// Records what was signed.
    pub fn record(self) -> Result<()> {
        self.ledger.save(&self.vendor.containers_dir(), self.context.device.id)
    }

    fn sealed_key(
        &self,
        keys: &KeyRing,
        seq: u64,
        product: ProductCode,
        generation: Generation,
    ) -> Result<SealedKey> {
        let root_fp = self.vendor.root.root_fp;
        let key = keys.item_key(root_fp, product, generation)?;
        let info = SealedKey::info(root_fp, self.context.device.id);
        let aad = SealedKey::aad(seq, product, generation);
        let (encapsulated, sealed) = self.seal(&info, &aad, &key[..])?;
        let ciphertext: [u8; 48] = sealed.try_into().map_err(|_| ErrorCode::TooLong.failure())?;
        Ok(SealedKey {
            product,
            generation,
            encapsulated: Fixed(encapsulated),
            ciphertext: Fixed(ciphertext),
        })
    }
}

impl Vendor {
    /// What a container lacks of roots and revocations, and by what right a reseller issues.
    fn lacking(&self, known: &ContextBody) -> Vec<u8> {
        let (version, epoch) = (u64::from(known.root_version), u64::from(known.revocation_epoch));
        let new_root = self.root.version > version;
        let wanted = |part: &&Part| match part.header.kind {
            Kind::Root => part.header.seq > version,
            Kind::Revocation => part.header.seq > epoch || new_root,
            _ => true,
        };
        let parts = self.trust.objects().filter(wanted);
        parts.flat_map(|part| part.bytes.iter().copied()).collect()
    }

    /// Refuses operations that a reseller's directory may not issue, before they are signed.
    fn check_scope(&self, ops: &[UpdateOp]) -> Result<()> {
        let Some(delegate) = &self.trust.delegate else { return Ok(()) };
        for (at, op) in ops.iter().enumerate() {
            delegate.allows(op).map_err(|why| match why {
                ScopeError::Product => ErrorCode::DelegationProduct.with(at as u64, 0),
                ScopeError::Quantity(seats) => {
                    let most = delegate.scope.quantity_max;
                    ErrorCode::DelegationQuantity.with(seats.into(), most.into())
                }
            })?;
        }
        Ok(())
    }

    fn sign_update(&self, header: Header, keys: &KeyRing) -> Result<(Header, Proof)> {
        let refused = ErrorCode::Malformed.failure();
        if header.kind == Kind::Recovery {
            let signers = keys.signers(&self.root.body, Role::Recovery)?;
            let proof = sign_threshold(&header, &signers, &entropy()?);
            return Ok((header, proof.ok_or_else(|| keys.refusal(refused))?));
        }
        let mut headers = [header];
        let proofs = sign_batch(&mut headers, self.issuer_key(keys)?, &entropy()?);
        let proof = proofs.and_then(|proofs| proofs.into_iter().next());
        let proof = proof.ok_or_else(|| keys.refusal(refused))?;
        Ok((headers[0], proof))
    }
}
