//! Indices of the TPM's memory: the head, which holds the epoch of a container, and the counter of
//! the machine.

use tss_esapi::constants::NvIndexType;
use tss_esapi::handles::{NvIndexHandle, NvIndexTpmHandle, ObjectHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::resource_handles::{NvAuth, Provision};
use tss_esapi::structures::{Auth, MaxNvBuffer, NvPublicBuilder};
use zeroize::Zeroizing;

use super::{Chip, Hierarchy, Purpose, Trouble, templates};

/// The counter of the machine, in the part of the owner's indices that is ours.
const COUNTER_HANDLE: u32 = 0x0184_c000;
/// The first index of a container.
const HEAD_HANDLE: u32 = 0x0184_c001;
/// Containers on a TPM, at most.
const HEADS_MAX: u32 = 127;
/// Bytes of a head.
pub(crate) const HEAD_LEN: usize = 64;
const COUNTER_LEN: usize = 8;

/// An index, to be known again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexRecord {
    /// Where it is.
    pub handle: u32,
    /// Its Name once it was written.
    pub name: Vec<u8>,
}

/// The index of one container, opened.
#[derive(Debug, Clone, Copy)]
pub struct Head(NvIndexHandle);

/// The counter, opened.
#[derive(Debug, Clone, Copy)]
pub struct Counter(NvIndexHandle);

impl Chip {
    /// The first place that is free for the index of a container.
    ///
    /// # Errors
    /// [`Trouble::NoSpace`] where all are taken, and what the TPM says.
    pub fn free_head(&mut self) -> Result<u32, Trouble> {
        for handle in HEAD_HANDLE..HEAD_HANDLE + HEADS_MAX {
            if self.name_at(handle)?.is_none() {
                return Ok(handle);
            }
        }
        Err(Trouble::NoSpace)
    }

    /// Defines the index of a new container at a place that is free, with its first content. It is
    /// read and written with `auth`.
    ///
    /// # Errors
    /// [`Trouble::NoSpace`], [`Trouble::Password`], and what the TPM says.
    pub fn define_head(
        &mut self,
        handle: u32,
        auth: &[u8; 32],
        content: &[u8; HEAD_LEN],
    ) -> Result<(Head, IndexRecord), Trouble> {
        let index = self.define(handle, NvIndexType::Ordinary, HEAD_LEN, auth)?;
        // The library took the authorization over with the definition.
        self.write(index, content, Purpose::Exchange)?;
        let name = self.context.tr_get_name(index.into())?.value().to_vec();
        Ok((Head(index), IndexRecord { handle, name }))
    }

    /// Opens the index of a container.
    ///
    /// # Errors
    /// [`Trouble::Missing`] where nothing is there, [`Trouble::Alien`] where something else is.
    pub fn head(&mut self, record: &IndexRecord, auth: &[u8; 32]) -> Result<Head, Trouble> {
        let index = self.index(record)?;
        self.context.tr_set_auth(index.into(), Auth::try_from(auth.to_vec())?)?;
        Ok(Head(index))
    }

    /// Reads a head, and begins what [`Chip::store_head`] ends.
    ///
    /// # Errors
    /// [`Trouble::Alien`] where its authorization is not ours: it was made again by somebody else.
    pub fn load_head(&mut self, head: Head) -> Result<Zeroizing<[u8; HEAD_LEN]>, Trouble> {
        let bytes = self.read(head.0, HEAD_LEN, Purpose::Load)?;
        let mut content = Zeroizing::new([0; HEAD_LEN]);
        content.copy_from_slice(bytes.get(..HEAD_LEN).ok_or(Trouble::Garbled)?);
        Ok(content)
    }

    /// Writes a head, if nothing else was done with the TPM since [`Chip::load_head`].
    ///
    /// # Errors
    /// [`Trouble::Interrupted`]: nothing was written. After any other error it may have been.
    pub fn store_head(&mut self, head: Head, content: &[u8; HEAD_LEN]) -> Result<(), Trouble> {
        self.write(head.0, content, Purpose::Store)
    }

    /// Takes away what a container that was never finished left at `handle`: an index that opens
    /// with `auth`, and no other. Whether there was one.
    ///
    /// # Errors
    /// What the TPM says.
    pub fn undefine_head(&mut self, handle: u32, auth: &[u8; 32]) -> Result<bool, Trouble> {
        let index = match self.at(handle) {
            Ok(index) => index,
            Err(Trouble::Missing) => return Ok(false),
            Err(trouble) => return Err(trouble),
        };
        self.context.tr_set_auth(index.into(), Auth::try_from(auth.to_vec())?)?;
        match self.read(index, HEAD_LEN, Purpose::Exchange) {
            // It was defined and never written: the TPM says so to who may read it only.
            Ok(_) | Err(Trouble::Unwritten) => {}
            Err(Trouble::Alien) => return Ok(false),
            Err(trouble) => return Err(trouble),
        }
        self.talk(Purpose::Exchange, |context| context.nv_undefine_space(Provision::Owner, index))?;
        Ok(true)
    }

    /// The machine's counter, defined if there is none. Anybody may read and raise it: a counter
    /// that others raise proves no less, and one that is deleted and made again goes on above its
    /// old value (TCG TPM 2.0 Library, Part 3, `TPM2_NV_Increment`).
    ///
    /// # Errors
    /// [`Trouble::NoSpace`], [`Trouble::Password`], and what the TPM says.
    pub fn counter(&mut self) -> Result<(Counter, IndexRecord), Trouble> {
        let index = match self.name_at(COUNTER_HANDLE)? {
            Some(_) => self.at(COUNTER_HANDLE)?,
            None => {
                let none = [0; 0];
                let made = self.define(COUNTER_HANDLE, NvIndexType::Counter, COUNTER_LEN, &none)?;
                // It has no value before it was raised once.
                self.raise(Counter(made))?;
                made
            }
        };
        let name = self.context.tr_get_name(index.into())?.value().to_vec();
        Ok((Counter(index), IndexRecord { handle: COUNTER_HANDLE, name }))
    }

    /// Opens the counter that is known.
    ///
    /// # Errors
    /// [`Trouble::Missing`] where nothing is there, [`Trouble::Alien`] where something else is.
    pub fn known_counter(&mut self, record: &IndexRecord) -> Result<Counter, Trouble> {
        self.index(record).map(Counter)
    }

    /// Raises the counter by one.
    ///
    /// # Errors
    /// What the TPM says. After a lost answer it may have been raised.
    pub fn raise(&mut self, counter: Counter) -> Result<(), Trouble> {
        let Counter(index) = counter;
        self.talk(Purpose::Exchange, |context| context.nv_increment(NvAuth::NvIndex(index), index))
    }

    /// The counter's value.
    ///
    /// # Errors
    /// What the TPM says.
    pub fn count(&mut self, counter: Counter) -> Result<u64, Trouble> {
        let bytes = self.read(counter.0, COUNTER_LEN, Purpose::Exchange)?;
        let bytes: [u8; COUNTER_LEN] = bytes[..].try_into().map_err(|_| Trouble::Garbled)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn define(
        &mut self,
        handle: u32,
        kind: NvIndexType,
        len: usize,
        auth: &[u8],
    ) -> Result<NvIndexHandle, Trouble> {
        let public = NvPublicBuilder::new()
            .with_nv_index(NvIndexTpmHandle::new(handle)?)
            .with_index_name_algorithm(HashingAlgorithm::Sha256)
            .with_index_attributes(templates::index(kind)?)
            .with_data_area_size(len)
            .build()?;
        let defined = self.talk(Purpose::Exchange, |context| {
            let auth = Auth::try_from(auth.to_vec())?;
            context.nv_define_space(Provision::Owner, Some(auth), public.clone())
        });
        defined.map_err(|trouble| match trouble {
            Trouble::Alien => Trouble::Password(Hierarchy::Owner),
            trouble => trouble,
        })
    }

    fn read(
        &mut self,
        index: NvIndexHandle,
        len: usize,
        purpose: Purpose,
    ) -> Result<Zeroizing<Vec<u8>>, Trouble> {
        let len = u16::try_from(len).map_err(|_| Trouble::Garbled)?;
        let read =
            self.talk(purpose, |context| context.nv_read(NvAuth::NvIndex(index), index, len, 0))?;
        Ok(Zeroizing::new(read.value().to_vec()))
    }

    fn write(
        &mut self,
        index: NvIndexHandle,
        bytes: &[u8],
        purpose: Purpose,
    ) -> Result<(), Trouble> {
        self.talk(purpose, |context| {
            let bytes = MaxNvBuffer::try_from(bytes.to_vec())?;
            context.nv_write(NvAuth::NvIndex(index), index, bytes, 0)
        })
    }

    /// The index of this Name at its place.
    fn index(&mut self, record: &IndexRecord) -> Result<NvIndexHandle, Trouble> {
        let index = self.at(record.handle)?;
        let name = self.context.tr_get_name(index.into())?;
        if name.value() == record.name { Ok(index) } else { Err(Trouble::Alien) }
    }

    /// The Name of what is at a place, if anything is.
    fn name_at(&mut self, handle: u32) -> Result<Option<Vec<u8>>, Trouble> {
        match self.at(handle) {
            Ok(index) => {
                let name = self.context.tr_get_name(index.into())?.value().to_vec();
                self.context.tr_close(&mut ObjectHandle::from(index))?;
                Ok(Some(name))
            }
            Err(Trouble::Missing) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    pub(super) fn at(&mut self, handle: u32) -> Result<NvIndexHandle, Trouble> {
        let handle = TpmHandle::NvIndex(NvIndexTpmHandle::new(handle)?);
        Ok(self.bare(|context| context.tr_from_tpm_public(handle))?.into())
    }
}
