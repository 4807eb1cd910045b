//! JSON as a request may have it, whatever type it is read as: no key twice in an object, whole
//! numbers that fit 64 bits with a sign, text without U+0000, and not deeper than a bound.
//!
//! Readers of JSON differ where a text is odd, and what a proxy reads one way a server reads
//! another. What no two readers could differ about is all that is taken.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Levels of the deepest request.
pub const DEPTH_MAX: u32 = 16;

/// Refuses what is not so; the reason is for people.
pub fn check(bytes: &[u8]) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Level(DEPTH_MAX).deserialize(&mut reader)?;
    reader.end()
}

/// Whether a text can be kept by every store.
pub fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}

/// A value, with so many levels left.
#[derive(Clone, Copy)]
struct Level(u32);

impl Level {
    fn inner<E: Error>(self) -> Result<Self, E> {
        let left = self.0.checked_sub(1);
        left.map(Level).ok_or_else(|| E::custom(format!("it is deeper than {DEPTH_MAX} levels")))
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value of JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        let fits = i64::try_from(number).is_ok();
        if fits { Ok(()) } else { Err(E::custom(format!("{number} is too large a number"))) }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        Err(E::custom(format!("{number} is no whole number of 64 bits")))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let why = "text with the character U+0000";
        if is_storable(text) { Ok(()) } else { Err(E::custom(why)) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while list.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            inner.visit_str::<A::Error>(&key)?;
            map.next_value_seed(inner)?;
            if let Some(twice) = seen.replace(key) {
                return Err(A::Error::custom(format!("the key {twice:?} comes twice")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_json_is_taken() {
        for text in ["null", "true", "-1", "9223372036854775807", "\"x\"", "[]", "{}"] {
            check(text.as_bytes()).unwrap();
        }
        check(br#" {"a": {"a": [1, {"b": null}]}, "b": "\u00e4\ud83d\ude00"} "#).unwrap();
    }

    #[test]
    fn depth_has_a_bound_and_the_bound_itself_is_taken() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        check(nested(DEPTH_MAX as usize).as_bytes()).unwrap();
        check(nested(DEPTH_MAX as usize + 1).as_bytes()).unwrap_err();
        let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        check(objects(DEPTH_MAX as usize).as_bytes()).unwrap();
        check(objects(DEPTH_MAX as usize + 1).as_bytes()).unwrap_err();
    }

    #[test]
    fn what_readers_differ_about_is_refused() {
        let odd: [&[u8]; 17] = [
            b"",
            b"{\"a\":1,\"a\":1}",
            b"[{\"b\":{\"a\":1,\"\\u0061\":2}}]",
            b"9223372036854775808",
            b"-9223372036854775809",
            b"1.0",
            b"1e2",
            b"-0.0",
            b"NaN",
            b"\"\\ud800\"",
            b"{\"\\udc00\":1}",
            b"\"\xff\"",
            b"\"\xc0\x80\"",
            b"\"\\u0000\"",
            b"\xef\xbb\xbf{}",
            b"{} {}",
            b"[1,]",
        ];
        for text in odd {
            assert!(check(text).is_err(), "{}", String::from_utf8_lossy(text));
        }
    }
}
