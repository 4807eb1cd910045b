//! Indices of the TPM's memory: the head, which holds the epoch of a container, and the counter of
//! the machine.

use tss_esapi::Context;
use tss_esapi::constants::NvIndexType;
use tss_esapi::handles::{NvIndexHandle, NvIndexTpmHandle, ObjectHandle, TpmHandle};
use tss_esapi::interface_types::resource_handles::{NvAuth, Provision};
use tss_esapi::structures::{Auth, MaxNvBuffer};
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
        // A wrong authorization would count as a guess where another program has its index now.
        if !self.is_as_ours(index, handle, NvIndexType::Ordinary, HEAD_LEN)? {
            return Ok(false);
        }
        self.context.tr_set_auth(index.into(), Auth::try_from(auth.to_vec())?)?;
        match self.read(index, HEAD_LEN, Purpose::Exchange) {
            // It was defined and never written: the TPM says so to who may read it only.
            Ok(_) | Err(Trouble::Unwritten) => {}
            Err(Trouble::Alien) => return Ok(false),
            Err(trouble) => return Err(trouble),
        }
        let undefine = |context: &mut Context| context.nv_undefine_space(Provision::Owner, index);
        self.talk(Purpose::Exchange, undefine).map_err(by_owner)?;
        Ok(true)
    }

    /// The machine's counter, defined if there is none. Anybody may read and raise it: a counter
    /// that others raise proves no less, and one that is deleted and made again goes on above its
    /// old value (TCG TPM 2.0 Library, Part 3, `TPM2_NV_Increment`).
    ///
    /// # Errors
    /// [`Trouble::NoSpace`], [`Trouble::Taken`] where something else is at its place,
    /// [`Trouble::Password`], and what the TPM says.
    pub fn counter(&mut self) -> Result<(Counter, IndexRecord), Trouble> {
        let (kind, len) = (NvIndexType::Counter, COUNTER_LEN);
        let index = match self.at(COUNTER_HANDLE) {
            Ok(index) if self.is_as_ours(index, COUNTER_HANDLE, kind, len)? => index,
            Ok(_) => return Err(Trouble::Taken),
            Err(Trouble::Missing) => self.define(COUNTER_HANDLE, kind, len, &[])?,
            Err(trouble) => return Err(trouble),
        };
        match self.count(Counter(index)) {
            // It has no value before it was raised once; who defined it may have been killed.
            Err(Trouble::Unwritten) => self.raise(Counter(index))?,
            counted => drop(counted?),
        }
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
        let public = templates::index(handle, kind, len, false)?;
        let defined = self.talk(Purpose::Exchange, |context| {
            let auth = Auth::try_from(auth.to_vec())?;
            context.nv_define_space(Provision::Owner, Some(auth), public.clone())
        });
        defined.map_err(by_owner)
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

    /// Whether an index was defined as we do it, by its public area.
    fn is_as_ours(
        &mut self,
        index: NvIndexHandle,
        handle: u32,
        kind: NvIndexType,
        len: usize,
    ) -> Result<bool, Trouble> {
        let (shown, _) = self.bare(|context| context.nv_read_public(index))?;
        for is_written in [false, true] {
            if shown == templates::index(handle, kind, len, is_written)? {
                return Ok(true);
            }
        }
        Ok(false)
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

/// What a wrong authorization is where it is the owner's.
fn by_owner(trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Alien => Trouble::Password(Hierarchy::Owner),
        trouble => trouble,
    }
}
