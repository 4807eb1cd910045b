//! NV indices: their names, and whether they are guarded as a license needs it.

use protocol::crypto::hash::Hash32;

use crate::hash::{HashAlg, Name};
use crate::wire::Writer;

/// Bytes of a counter.
pub const COUNTER_LEN: u16 = 8;

/// Bits of `TPMA_NV` (TCG TPM 2.0 Library, Part 2, 13.4).
pub mod attribute {
    /// Its authorization value writes it.
    pub const AUTH_WRITE: u32 = 1 << 2;
    /// It only counts up (`TPM_NT_COUNTER`).
    pub const COUNTER: u32 = 1 << 4;
    /// The owner of the TPM reads it.
    pub const OWNER_READ: u32 = 1 << 17;
    /// Its authorization value reads it.
    pub const AUTH_READ: u32 = 1 << 18;
    /// Guessing its authorization value does not lock the TPM.
    pub const NO_DA: u32 = 1 << 25;
    /// It has been written.
    pub const WRITTEN: u32 = 1 << 29;
}

/// What an index is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It holds data.
    Data,
    /// It counts.
    Counter,
}

/// The public area of an index that is named with SHA-256, as a customer says that it is: the name
/// proves it, since a TPM only attests an index under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NvPublic {
    /// Its handle.
    pub handle: u32,
    /// Bits of [`attribute`] and others. [`attribute::WRITTEN`] belongs to the name.
    pub attributes: u32,
    /// Its policy, if any.
    pub policy: Option<Hash32>,
    /// Bytes that it holds.
    pub data_len: u16,
}

/// An index that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    name: Name,
    data_len: u16,
}

/// Why an index is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NvError {
    /// Attributes that it lacks, and those that it has beyond.
    #[error("the index lacks attributes {0:#x}, and has {1:#x} too many")]
    Attributes(u32, u32),
    /// It has a policy, which is one more way to it.
    #[error("the index has a policy")]
    Policy,
    /// A counter of this many bytes.
    #[error("the counter has {0} bytes")]
    CounterLen(u16),
}

impl NvPublic {
    /// The name (Part 1, "Names"; Part 2, `TPMS_NV_PUBLIC`).
    pub fn name(&self) -> Name {
        let policy = self.policy.as_ref().map_or(&[][..], |policy| policy);
        let public = Writer::new()
            .u32(self.handle)
            .u16(HashAlg::Sha256.id())
            .u32(self.attributes)
            .sized(policy)
            .u16(self.data_len);
        Name::of(HashAlg::Sha256, &[&public.finish()])
    }

    /// Takes an index to which its authorization value is the only way. Anybody else who reads or
    /// writes it, such as the owner of the TPM, could put in what the customer likes.
    ///
    /// # Errors
    /// As [`NvError`] says.
    pub fn check(&self, purpose: Purpose) -> Result<Index, NvError> {
        let always = attribute::AUTH_READ | attribute::AUTH_WRITE | attribute::NO_DA;
        let needs = match purpose {
            Purpose::Data => always,
            Purpose::Counter => always | attribute::COUNTER,
        };
        let has = self.attributes & !attribute::WRITTEN;
        if has != needs {
            return Err(NvError::Attributes(needs & !has, has & !needs));
        }
        if self.policy.is_some() {
            return Err(NvError::Policy);
        }
        if purpose == Purpose::Counter && self.data_len != COUNTER_LEN {
            return Err(NvError::CounterLen(self.data_len));
        }
        Ok(Index { name: self.name(), data_len: self.data_len })
    }
}

impl Index {
    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Bytes that it holds.
    pub fn data_len(&self) -> u16 {
        self.data_len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_name_is_the_one_that_the_tpm_gives() {
        let name = "000bd6c36fe0d97784e373a17b084548d18c4644c7ff91f74cc0081ca4e243a8e6e9";
        let index = samples::counter().check(Purpose::Counter).unwrap();
        assert_eq!(samples::hex(index.name().as_bytes()), name);
        // What it is called before it was written, with a policy, and so on, is not that.
        let counter = samples::counter();
        let others = [
            NvPublic { handle: counter.handle + 1, ..counter },
            NvPublic { attributes: counter.attributes ^ attribute::WRITTEN, ..counter },
            NvPublic { policy: Some([0; 32]), ..counter },
            NvPublic { data_len: 9, ..counter },
        ];
        for other in others {
            assert_ne!(other.name(), counter.name(), "{other:?}");
        }
    }

    #[test]
    fn only_the_authorization_value_may_lead_to_it() {
        let counter = samples::counter();
        let data = NvPublic {
            attributes: counter.attributes ^ attribute::COUNTER,
            data_len: 64,
            ..counter
        };
        for (good, purpose) in [(counter, Purpose::Counter), (data, Purpose::Data)] {
            assert_eq!(good.check(purpose).map(|index| index.name), Ok(good.name()));
            for bit in (0..32).map(|at| 1 << at) {
                let changed = NvPublic { attributes: good.attributes ^ bit, ..good };
                let refused = match bit {
                    attribute::WRITTEN => None,
                    _ => Some(NvError::Attributes(good.attributes & bit, !good.attributes & bit)),
                };
                assert_eq!(changed.check(purpose).err(), refused, "{bit:#x}");
            }
            let open = NvPublic { policy: Some([0; 32]), ..good };
            assert_eq!(open.check(purpose), Err(NvError::Policy));
        }
        let owner = NvPublic { attributes: counter.attributes | attribute::OWNER_READ, ..counter };
        let refused = Err(NvError::Attributes(0, attribute::OWNER_READ));
        assert_eq!(owner.check(Purpose::Counter), refused);
        let short = NvPublic { data_len: 7, ..counter };
        assert_eq!(short.check(Purpose::Counter), Err(NvError::CounterLen(7)));
        assert!(counter.check(Purpose::Data).is_err() && data.check(Purpose::Counter).is_err());
    }
}
