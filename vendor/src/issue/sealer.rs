//! The operations of changes: what is public as it is, the rest sealed to one container.

use protocol::codec::{Bytes, Fixed};
use protocol::crypto::ecdh::PublicKey;
use protocol::crypto::hpke;
use protocol::errors::ErrorCode;
use protocol::ids::{Generation, ProductCode, RootFp};
use protocol::objects::data::{DataContent, sealed_data_aad, sealed_data_info};
use protocol::objects::device::Device;
use protocol::objects::license::ItemRef;
use protocol::objects::update::{SealedKey, UpdateOp};
use zeroize::Zeroizing;

use super::{Change, Setting};
use crate::Result;
use crate::data::DataInput;
use crate::keys::{KeyRing, SystemRandom};

/// Seals to one container, for one update.
#[derive(Clone, Copy)]
pub struct Sealer<'a> {
    /// The firm.
    pub root_fp: RootFp,
    /// The container.
    pub device: &'a Device,
    /// Number of the update: what is sealed opens in no other.
    pub seq: u64,
    /// Where item keys come from.
    pub keys: &'a KeyRing,
}

impl Sealer<'_> {
    /// The operations of a change.
    ///
    /// # Errors
    /// There is no such item key, or a data field is too long.
    pub fn ops(&self, change: &Change) -> Result<Vec<UpdateOp>> {
        Ok(match change {
            Change::Nothing => vec![UpdateOp::Nop],
            Change::Remove(item) => vec![UpdateOp::RemoveItem(*item)],
            Change::Set(setting) => self.setting(setting)?,
            Change::Unlock => vec![UpdateOp::Unlock],
            Change::Perpetuate(products) => vec![UpdateOp::Perpetuate(*products)],
            Change::Answer(answer) => vec![UpdateOp::Answer(*answer)],
        })
    }

    /// The item key of a product and generation.
    ///
    /// # Errors
    /// It is not in the ring.
    pub fn sealed_key(&self, product: ProductCode, generation: Generation) -> Result<SealedKey> {
        let key = self.keys.item_key(self.root_fp, product, generation)?;
        let info = SealedKey::info(self.root_fp, self.device.id);
        let aad = SealedKey::aad(self.seq, product, generation);
        let (encapsulated, sealed) = self.seal(&info, &aad, &key[..])?;
        let ciphertext: [u8; 48] = sealed.try_into().map_err(|_| ErrorCode::TooLong.failure())?;
        Ok(SealedKey {
            product,
            generation,
            encapsulated: Fixed(encapsulated),
            ciphertext: Fixed(ciphertext),
        })
    }

    fn setting(&self, setting: &Setting) -> Result<Vec<UpdateOp>> {
        let entry = setting.item.item;
        let key = self.sealed_key(entry.product, setting.generation)?;
        let mut ops = vec![UpdateOp::SetItem(setting.item.clone()), UpdateOp::SetKey(key)];
        let units = setting.units.iter();
        ops.extend(units.map(|change| UpdateOp::Units { item: entry, change: *change }));
        for input in &setting.data {
            let content = self.content(input, entry)?;
            ops.push(UpdateOp::SetData { item: entry, field: input.field, content });
        }
        Ok(ops)
    }

    fn content(&self, input: &DataInput, item: ItemRef) -> Result<DataContent> {
        let too_long = ErrorCode::TooLong.failure();
        if !input.field.is_sealed() || input.bytes.is_empty() {
            return Ok(DataContent::Plain(Bytes::new(&input.bytes[..]).ok_or(too_long)?));
        }
        let info = sealed_data_info(self.root_fp, self.device.id);
        let aad = sealed_data_aad(self.seq, item, input.field);
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
        let sealing_key = &self.device.body.sealing_key.0;
        let recipient = PublicKey::from_compressed(sealing_key).map_err(refused)?;
        let mut buf = plain.to_vec();
        buf.resize(plain.len() + 16, 0);
        let (encapsulated, _) =
            hpke::seal(&mut SystemRandom, &recipient, info, aad, &mut buf, plain.len())
                .map_err(refused)?;
        Ok((encapsulated, buf))
    }
}
