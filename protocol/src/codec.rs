//! The one encoding: postcard, made strict.
//!
//! postcard alone accepts trailing bytes and over-long varints. Here a value is accepted only if
//! its length is within the caller's bound, nothing is left over, and encoding it again gives the
//! very same bytes. No type of this crate is recursive, so nesting cannot exhaust a stack.

mod bounded;
mod fixed;

pub use bounded::{Bytes, List, Text};
pub use fixed::Fixed;

use alloc::vec::Vec;

use postcard::ser_flavors::Flavor;
use serde::{Serialize, de::DeserializeOwned};

/// Why bytes were not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(thiserror::Error))]
#[non_exhaustive]
pub enum DecodeError {
    /// Longer than the bound of this kind of object.
    #[cfg_attr(feature = "std", error("{len} bytes, where at most {max} are allowed"))]
    TooLong {
        /// Bytes given.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Ends too early, or holds a value that the type does not have.
    #[cfg_attr(feature = "std", error("cut short, or not a value of this type"))]
    Malformed,
    /// Bytes are left over.
    #[cfg_attr(feature = "std", error("bytes are left over behind the value"))]
    Trailing,
    /// Not the one encoding of its value.
    #[cfg_attr(feature = "std", error("not the canonical encoding of its value"))]
    NotCanonical,
}

/// Decodes `bytes`, of at most `max`, as exactly one canonical `T`.
pub fn decode<T: DeserializeOwned + Serialize>(bytes: &[u8], max: usize) -> Result<T, DecodeError> {
    if bytes.len() > max {
        return Err(DecodeError::TooLong { len: bytes.len(), max });
    }
    #[cfg(feature = "testing")]
    crate::testing::note::<T>();
    let (value, rest) =
        postcard::take_from_bytes::<T>(bytes).map_err(|_| DecodeError::Malformed)?;
    if !rest.is_empty() {
        return Err(DecodeError::Trailing);
    }
    let left = postcard::serialize_with_flavor(&value, Compare { left: bytes })
        .map_err(|_| DecodeError::NotCanonical)?;
    if left.is_empty() { Ok(value) } else { Err(DecodeError::NotCanonical) }
}

/// Encodes `value` into a new vector.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    // Writing to a vector cannot fail, and no type of this crate refuses to be serialized.
    postcard::to_allocvec(value).unwrap_or_default()
}

/// Encodes `value` behind what `out` has.
pub fn append<T: Serialize + ?Sized>(value: &T, out: Vec<u8>) -> Vec<u8> {
    // As for `encode`.
    postcard::to_extend(value, out).unwrap_or_default()
}

/// Encodes `value` into `out` without a heap and returns the part written, or `None` if it does not
/// fit.
pub fn encode_into<'a, T: Serialize + ?Sized>(value: &T, out: &'a mut [u8]) -> Option<&'a [u8]> {
    postcard::to_slice(value, out).ok().map(|part| &*part)
}

/// A sink that compares what is written with what is expected, so that canonicity costs no memory.
struct Compare<'a> {
    left: &'a [u8],
}

impl<'a> Flavor for Compare<'a> {
    type Output = &'a [u8];

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.try_extend(&[data])
    }

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        match self.left.strip_prefix(data) {
            Some(rest) => {
                self.left = rest;
                Ok(())
            }
            None => Err(postcard::Error::SerializeBufferFull),
        }
    }

    fn finalize(self) -> postcard::Result<&'a [u8]> {
        Ok(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn sec_p06_only_the_canonical_encoding_is_accepted() {
        assert_eq!(decode::<u32>(&[0x01], 8), Ok(1));
        assert_eq!(decode::<u32>(&[0x81, 0x00], 8), Err(DecodeError::NotCanonical));
        assert_eq!(decode::<u32>(&[0x80, 0x00], 8), Err(DecodeError::NotCanonical));
        assert_eq!(decode::<u32>(&[0x01, 0x00], 8), Err(DecodeError::Trailing));
        assert_eq!(decode::<u32>(&[0x80], 8), Err(DecodeError::Malformed));
        assert_eq!(decode::<bool>(&[2], 8), Err(DecodeError::Malformed));
    }

    #[test]
    fn a_bound_is_checked_before_anything_else() {
        let long = vec![0u8; 9];
        assert_eq!(decode::<Bytes<64>>(&long, 8), Err(DecodeError::TooLong { len: 9, max: 8 }));
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let value =
            (7u64, Text::<16>::new("abc").unwrap(), List::<u16, 4>::new(vec![1, 2]).unwrap());
        let bytes = encode(&value);
        assert_eq!(decode(&bytes, 64), Ok(value));
    }

    #[test]
    fn encoding_into_a_short_buffer_is_refused() {
        assert!(encode_into(&u64::MAX, &mut [0u8; 4]).is_none());
        assert_eq!(encode_into(&300u32, &mut [0u8; 4]), Some(&[0xac, 0x02][..]));
    }
}
