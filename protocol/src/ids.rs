//! Identifiers, each a type of its own.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::codec::Fixed;

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        pub struct $name(pub Fixed<$len>);

        impl $name {
            /// Wraps the bytes.
            pub const fn new(bytes: [u8; $len]) -> Self {
                $name(Fixed(bytes))
            }

            /// The bytes.
            pub const fn bytes(&self) -> &[u8; $len] {
                &self.0.0
            }

            /// Parses lower- or upper-case hexadecimal of the exact length.
            pub fn from_hex(text: &str) -> Option<Self> {
                parse_hex(text).map($name::new)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(f, self.bytes())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

byte_id!(
    /// A firm, everywhere in formats and keys: the first 16 bytes of SHA-256 over the preimage of
    /// its root v1.
    RootFp,
    16
);
byte_id!(
    /// A container. Its serial is a display form of it ([`ContainerId::serial`]).
    ContainerId,
    16
);
byte_id!(
    /// One protected program or file.
    ArtifactId,
    16
);
byte_id!(
    /// A public key, by the first 8 bytes of SHA-256 over its compressed SEC 1 form.
    KeyId,
    8
);
byte_id!(
    /// A client-drawn number of a command that changes something; repeating it repeats the answer
    /// only.
    OpId,
    16
);
byte_id!(
    /// A key that a vendor keeps in a container, drawn at random by the one who makes it.
    KeyName,
    7
);
byte_id!(
    /// The secret that lets another session join or resume a seat.
    SeatToken,
    16
);

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $repr:ty) => {
        $(#[$doc])*
        #[derive(
            Debug,
            Clone,
            Copy,
            PartialEq,
            Eq,
            PartialOrd,
            Ord,
            Hash,
            Default,
            Serialize,
            Deserialize,
        )]
        pub struct $name(pub $repr);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number_id!(
    /// What a vendor is called by people. Two firms may show the same number; trust never follows
    /// it.
    FirmCode,
    u32
);
number_id!(
    /// A product of one firm.
    ProductCode,
    u32
);
number_id!(
    /// Number of a Product Item within its firm and product, chosen by the vendor: two entries may
    /// carry one
    /// Product Code.
    EntryNumber,
    u16
);
number_id!(
    /// Generation of an item key: raised to lock out what an earlier key opened.
    Generation,
    u16
);
number_id!(
    /// A seat entry within its session.
    SeatHandle,
    u32
);

/// Home of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ContainerKind {
    /// A dongle, or its simulation under the test root.
    Dongle,
    /// A soft license bound to a TPM.
    Tpm,
    /// Hosted by License Central.
    Cloud,
}

impl ContainerKind {
    /// The first part of a serial.
    pub const fn prefix(self) -> &'static str {
        match self {
            ContainerKind::Dongle => "DONGLE",
            ContainerKind::Tpm => "TPM",
            ContainerKind::Cloud => "CLOUD",
        }
    }
}

/// Crockford's base 32 alphabet: no I, L, O, U.
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// How a container is shown: `KIND-XXXX-XXXX-XXXX`, the last 60 bits of the id in Crockford's base
/// 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial {
    kind: &'static str,
    digits: [u8; 12],
}

impl ContainerId {
    /// The serial of this container.
    pub fn serial(&self, kind: ContainerKind) -> Serial {
        let mut low = [0; 8];
        low.copy_from_slice(&self.bytes()[8..]);
        let mut bits = u64::from_be_bytes(low);
        let mut digits = [0; 12];
        for digit in digits.iter_mut().rev() {
            *digit = CROCKFORD[(bits & 31) as usize];
            bits >>= 5;
        }
        Serial { kind: kind.prefix(), digits }
    }
}

impl Serial {
    /// Whether `typed` names this serial: case, hyphens and the look-alikes O/0, I/1, L/1 are
    /// forgiven.
    pub fn matches(&self, typed: &str) -> bool {
        let Some(rest) = typed.trim().to_uppercase_prefix(self.kind) else { return false };
        let typed = rest.bytes().filter(|b| *b != b'-' && *b != b' ').map(|b| {
            match b.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            }
        });
        typed.eq(self.digits.iter().copied())
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        for (i, digit) in self.digits.iter().enumerate() {
            if i % 4 == 0 {
                f.write_str("-")?;
            }
            write!(f, "{}", *digit as char)?;
        }
        Ok(())
    }
}

trait StripPrefixIgnoringCase {
    fn to_uppercase_prefix(&self, prefix: &str) -> Option<&str>;
}

impl StripPrefixIgnoringCase for str {
    fn to_uppercase_prefix(&self, prefix: &str) -> Option<&str> {
        let head = self.get(..prefix.len())?;
        head.eq_ignore_ascii_case(prefix).then(|| &self[prefix.len()..])
    }
}

/// Writes `bytes` as lower-case hexadecimal.
pub fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// `bytes` as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half & 0x0f)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Parses hexadecimal of exactly `N` bytes.
pub fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        let high = (pair[0] as char).to_digit(16)?;
        let low = (pair[1] as char).to_digit(16)?;
        *byte = (high << 4 | low) as u8;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_serial_is_typed_back_with_the_usual_slips() {
        let id = ContainerId::new([0xA5; 16]);
        let serial = id.serial(ContainerKind::Dongle);
        let shown = serial.to_string();
        assert_eq!(shown.len(), "DONGLE-XXXX-XXXX-XXXX".len());
        assert!(serial.matches(&shown) && serial.matches(&shown.to_lowercase()));
        let zero = ContainerId::new([0; 16]).serial(ContainerKind::Tpm);
        assert!(zero.matches("tpm-OOOO0000oooo") && !zero.matches("DONGLE-0000-0000-0000"));
        assert!(!zero.matches("") && !zero.matches("TPM") && !zero.matches("TPM-0000-0000-000"));
    }

    #[test]
    fn hexadecimal_is_exact() {
        assert_eq!(
            KeyId::from_hex("0011223344556677").map(|k| k.to_string()).as_deref(),
            Some("0011223344556677")
        );
        assert!(
            KeyId::from_hex("00112233445566").is_none()
                && KeyId::from_hex("zz11223344556677").is_none()
        );
    }
}
