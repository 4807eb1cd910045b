//! The one way to write a value, and the values that name no machine.
//!
//! Both are a rule with a version, which a record keeps: a later rule must not make the same
//! machine look like another.

use zeroize::Zeroizing;

use crate::traits::Why;

/// A value as it was read: one part, or those of a set.
pub(crate) type Raw = Vec<Zeroizing<Vec<u8>>>;

/// A value as it goes into a key.
pub(crate) type Value = Zeroizing<String>;

/// Bytes of a part at most.
const PART_LEN_MAX: usize = 256;

/// A version of the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Canon {
    /// Each part printable ASCII (what firmware has beside it is noise, so nothing else counts),
    /// without spaces around it, with single ones within, in capitals. Parts that are placeholders,
    /// or have no digit, are left out; the others sorted, one a line.
    V1,
    /// As it was read, to test that records outlive rules.
    #[cfg(test)]
    AsRead,
}

impl Canon {
    /// What is bound now.
    pub(crate) const NEWEST: Canon = Canon::V1;

    /// The rule that a record names.
    pub(crate) fn from_number(number: u8) -> Option<Canon> {
        match number {
            #[cfg(test)]
            0 => Some(Canon::AsRead),
            1 => Some(Canon::V1),
            _ => None,
        }
    }

    /// Its version.
    pub(crate) fn number(self) -> u8 {
        match self {
            #[cfg(test)]
            Canon::AsRead => 0,
            Canon::V1 => 1,
        }
    }

    /// The value by this rule, or why there is none.
    pub(crate) fn value(self, raw: &Raw) -> Result<Value, Why> {
        let part: fn(&[u8]) -> Result<Value, Why> = match self {
            #[cfg(test)]
            Canon::AsRead => |part: &[u8]| Ok(String::from_utf8_lossy(part).into_owned().into()),
            Canon::V1 => part_v1,
        };
        let (mut parts, mut why) = (Vec::new(), Why::Absent);
        for bytes in raw {
            match part(bytes) {
                Ok(part) => parts.push(part),
                Err(refused) => why = refused,
            }
        }
        if parts.is_empty() {
            return Err(why);
        }
        parts.sort_by(|one, other| one.as_str().cmp(other));
        let len = parts.iter().map(|part| part.len() + 1).sum();
        let mut value = Zeroizing::new(String::with_capacity(len));
        for part in &parts {
            value.push_str(part);
            value.push('\n');
        }
        Ok(value)
    }
}

fn part_v1(bytes: &[u8]) -> Result<Value, Why> {
    let bytes = bytes.trim_ascii();
    if bytes.is_empty() {
        return Err(Why::Absent);
    }
    if bytes.len() > PART_LEN_MAX || !bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(Why::NotPlain);
    }
    let mut value = Zeroizing::new(String::with_capacity(bytes.len()));
    for word in bytes.split(|byte| *byte == b' ').filter(|word| !word.is_empty()) {
        if !value.is_empty() {
            value.push(' ');
        }
        value.extend(word.iter().map(|byte| char::from(byte.to_ascii_uppercase())));
    }
    if is_placeholder(&value) { Err(Why::Placeholder) } else { Ok(value) }
}

/// Whether a value names no machine, or many.
fn is_placeholder(value: &str) -> bool {
    let prefixes = ["0X", "EUI.", "NAA."];
    let rest = prefixes.iter().find_map(|prefix| value.strip_prefix(prefix)).unwrap_or(value);
    // All zeros, all Fs.
    let mut digits = rest.bytes().filter(u8::is_ascii_alphanumeric);
    let first = digits.next();
    let is_uniform = digits.all(|digit| Some(digit) == first);
    // "None", "Default string", "To Be Filled By O.E.M.": words. What numbers things has digits.
    let is_words = !value.bytes().any(|byte| byte.is_ascii_digit());
    is_uniform || is_words || PLACEHOLDERS.contains(&value)
}

/// Those that have digits. Of rule 1, and so frozen with it.
const PLACEHOLDERS: [&str; 18] = [
    "TYPE2 - BOARD SERIAL NUMBER",
    "SERNUM0",
    "SERNUM1",
    "SERNUM2",
    "SERNUM3",
    "12345678",
    "123456789",
    "1234567890",
    "0123456789",
    "01234567890123456789",
    "0123456789ABCDEF",
    // UUIDs that makers left in the firmware of many boards.
    "03000200-0400-0500-0006-000700080009",
    "00020003-0004-0005-0006-000700080009",
    "01020304-0506-0708-090A-0B0C0D0E0F10",
    "12345678-1234-5678-90AB-CDDEEFAABBCC",
    "12345678-1234-5678-1234-567812345678",
    "FFFFFF00-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
    "00112233-4455-6677-8899-AABBCCDDEEFF",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(parts: &[&[u8]]) -> Raw {
        parts.iter().map(|part| Zeroizing::new(part.to_vec())).collect()
    }

    /// Frozen: another result here is another machine for all records of rule 1.
    #[test]
    fn rule_1_is_what_it_was() {
        let of = |parts: &[&[u8]]| Canon::V1.value(&raw(parts)).unwrap().to_string();
        assert_eq!(of(&[b"S4EWNX0M  \n"]), "S4EWNX0M\n");
        assert_eq!(of(&[b" t10.ATA     Disk  ab12 "]), "T10.ATA DISK AB12\n");
        assert_eq!(of(&[b"f0:9F:c2:00:11:22\n"]), "F0:9F:C2:00:11:22\n");
        assert_eq!(of(&[b"b1", b"None", b"a2"]), "A2\nB1\n");
        assert_eq!(of(&[b"/7XQ2/CN1296/"]), "/7XQ2/CN1296/\n");
    }

    #[test]
    fn what_is_not_plain_text_is_no_value() {
        let long = [b'a'; PART_LEN_MAX + 1];
        for bytes in [&b"S4\x07EW"[..], b"a\tb", b"S4\xffEW", "Ü123".as_bytes(), b"a\0b", &long] {
            assert_eq!(Canon::V1.value(&raw(&[bytes])), Err(Why::NotPlain));
        }
        assert_eq!(Canon::V1.value(&raw(&[b" \n"])), Err(Why::Absent));
        assert_eq!(Canon::V1.value(&raw(&[])), Err(Why::Absent));
    }

    #[test]
    fn placeholders_are_no_values() {
        let placeholders = [
            "To Be Filled By O.E.M.",
            "to be  filled by o.e.m.\n",
            "Default string",
            "None",
            "Not Specified",
            "N/A",
            "uninitialized",
            "overlayblk",
            "SerNum1",
            "0123456789",
            "0",
            "........",
            "0x00000000",
            "eui.0000000000000000",
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "00:00:00:00:00:00",
            "03000200-0400-0500-0006-000700080009",
        ];
        for placeholder in placeholders {
            let refused = Canon::V1.value(&raw(&[placeholder.as_bytes()]));
            assert_eq!(refused, Err(Why::Placeholder), "{placeholder}");
        }
        for value in ["PF0X0000", "00000000-0000-0000-0000-ac1f6b000001", "0x0000f001"] {
            assert!(Canon::V1.value(&raw(&[value.as_bytes()])).is_ok(), "{value}");
        }
    }

    #[test]
    fn every_placeholder_can_be_met() {
        for placeholder in PLACEHOLDERS {
            assert_eq!(part_v1(placeholder.as_bytes()), Err(Why::Placeholder), "{placeholder}");
            assert_eq!(placeholder, placeholder.to_ascii_uppercase());
        }
    }
}
