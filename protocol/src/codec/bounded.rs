//! Lists, byte strings and texts that carry their bound in the type.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A list of at most `MAX` values. Reserves nothing on the word of a length field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> List<T, MAX> {
    /// Takes `values`, or gives `None` if there are more than `MAX`.
    pub fn new(values: Vec<T>) -> Option<Self> {
        (values.len() <= MAX).then_some(List(values))
    }

    /// The values as a vector.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        List(Vec::new())
    }
}

impl<T, const MAX: usize> core::ops::Deref for List<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Serialize, const MAX: usize> Serialize for List<T, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
    type Value = List<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX} values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        if seq.size_hint().is_some_and(|declared| declared > MAX) {
            return Err(A::Error::custom("too many values"));
        }
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            if values.len() == MAX {
                return Err(A::Error::custom("too many values"));
            }
            values.push(value);
        }
        Ok(List(values))
    }
}

/// At most `MAX` bytes.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Bytes<const MAX: usize>(Vec<u8>);

impl<const MAX: usize> Bytes<MAX> {
    /// Takes `bytes`, or gives `None` if there are more than `MAX`.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Option<Self> {
        let bytes = bytes.into();
        (bytes.len() <= MAX).then_some(Bytes(bytes))
    }
}

impl<const MAX: usize> zeroize::Zeroize for Bytes<MAX> {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl<const MAX: usize> core::ops::Deref for Bytes<MAX> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const MAX: usize> fmt::Debug for Bytes<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({} of {MAX})", self.0.len())
    }
}

impl<const MAX: usize> Serialize for Bytes<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Bytes<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(BytesVisitor)
    }
}

struct BytesVisitor<const MAX: usize>;

impl<const MAX: usize> Visitor<'_> for BytesVisitor<MAX> {
    type Value = Bytes<MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX} bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        if bytes.len() > MAX { Err(E::custom("too many bytes")) } else { Ok(Bytes(bytes.into())) }
    }
}

/// UTF-8 text of at most `MAX` bytes, without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// Takes `text`, or gives `None` if it is longer than `MAX` bytes or holds a control character
    /// other than a line feed (a terminal would obey it).
    pub fn new(text: &str) -> Option<Self> {
        let clean = text.chars().all(|c| c == '\n' || !c.is_control());
        (clean && text.len() <= MAX).then(|| Text(text.into()))
    }
}

impl<const MAX: usize> core::ops::Deref for Text<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> Serialize for Text<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor<const MAX: usize>;

impl<const MAX: usize> Visitor<'_> for TextVisitor<MAX> {
    type Value = Text<MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "text of at most {MAX} bytes without control characters")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Text::new(text).ok_or_else(|| E::custom("text too long, or with control characters"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode, encode};
    use alloc::vec;

    #[test]
    fn a_list_over_its_bound_is_refused() {
        let bytes = encode(&List::<u8, 9>::new(vec![1; 5]).unwrap());
        assert!(decode::<List<u8, 4>>(&bytes, 64).is_err());
        assert!(decode::<List<u8, 5>>(&bytes, 64).is_ok());
    }

    #[test]
    fn a_declared_length_reserves_nothing() {
        // 2^62 elements declared, none there.
        let bytes = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40];
        assert!(decode::<List<u64, { usize::MAX }>>(&bytes, 64).is_err());
    }

    #[test]
    fn control_characters_never_reach_a_terminal() {
        assert!(Text::<16>::new("a\x1b[2J").is_none());
        let bytes = encode("a\x1b[2J");
        assert!(decode::<Text<16>>(&bytes, 64).is_err());
        assert!(Text::<16>::new("two\nlines").is_some());
    }
}
