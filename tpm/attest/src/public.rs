//! Public areas of keys (`TPMT_PUBLIC`; TCG TPM 2.0 Library, Part 2, "Public Area Structures").

use aws_lc_rs::agreement;

use crate::hash::{ALG_NULL, HashAlg, Name};
use crate::wire::{Reader, WireError, Writer};

/// Bytes of a public area that are read at most: an RSA key with a policy has 314.
pub const PUBLIC_LEN_MAX: usize = 512;

const ALG_RSA: u16 = 0x0001;
const ALG_AES: u16 = 0x0006;
const ALG_ECDSA: u16 = 0x0018;
const ALG_ECC: u16 = 0x0023;
const ALG_CFB: u16 = 0x0043;
const MODULUS_LEN: usize = 256;

/// Bits of `TPMA_OBJECT` (Part 2, 8.3).
pub mod attribute {
    /// The key never leaves its TPM.
    pub const FIXED_TPM: u32 = 1 << 1;
    /// The key never leaves its parent.
    pub const FIXED_PARENT: u32 = 1 << 4;
    /// The TPM made it.
    pub const SENSITIVE_DATA_ORIGIN: u32 = 1 << 5;
    /// Its authorization value suffices to use it.
    pub const USER_WITH_AUTH: u32 = 1 << 6;
    /// Only its policy serves an administrator.
    pub const ADMIN_WITH_POLICY: u32 = 1 << 7;
    /// Guessing its authorization value does not lock the TPM.
    pub const NO_DA: u32 = 1 << 10;
    /// It signs only what the TPM made, and decrypts only structures of the TPM.
    pub const RESTRICTED: u32 = 1 << 16;
    /// It decrypts.
    pub const DECRYPT: u32 = 1 << 17;
    /// It signs.
    pub const SIGN: u32 = 1 << 18;
}

/// A public area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Public {
    /// What its name is made with.
    pub name_alg: HashAlg,
    /// Bits of [`attribute`].
    pub attributes: u32,
    /// Policy digest; empty where there is none.
    pub policy: Vec<u8>,
    /// AES in CFB mode with a key of this many bits, of a key that protects others.
    pub aes_bits: Option<u16>,
    /// ECDSA over this hash, of a key that signs by nothing else.
    pub ecdsa: Option<HashAlg>,
    /// The key.
    pub key: Key,
}

/// The key of a public area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// RSA of 2,048 bits.
    Rsa {
        /// 0 stands for 65,537.
        exponent: u32,
        /// Big-endian, 256 bytes, without leading zeros.
        modulus: Vec<u8>,
    },
    /// A point of a curve. Whether it is one was not looked at.
    Point(Point),
}

/// A point, as a TPM wrote it: some leave leading zeros away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The curve.
    pub curve: Curve,
    /// At most as many bytes as [`Curve::coordinate_len`] says.
    pub x: Vec<u8>,
    /// As `x`.
    pub y: Vec<u8>,
}

/// A NIST curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// P-256.
    P256,
    /// P-384.
    P384,
}

impl Curve {
    /// Bytes of a coordinate.
    pub const fn coordinate_len(self) -> usize {
        match self {
            Curve::P256 => 32,
            Curve::P384 => 48,
        }
    }

    /// Its `TPM_ECC_CURVE` (Part 2, 6.4).
    pub const fn id(self) -> u16 {
        match self {
            Curve::P256 => 0x0003,
            Curve::P384 => 0x0004,
        }
    }

    pub(crate) fn agreement(self) -> &'static agreement::Algorithm {
        match self {
            Curve::P256 => &agreement::ECDH_P256,
            Curve::P384 => &agreement::ECDH_P384,
        }
    }
}

impl Point {
    /// The uncompressed form (SEC 1, 2.3.3).
    pub fn to_uncompressed(&self) -> Vec<u8> {
        [&[4], &self.padded(&self.x)[..], &self.padded(&self.y)].concat()
    }

    /// x with all its leading zeros.
    pub(crate) fn padded_x(&self) -> Vec<u8> {
        self.padded(&self.x)
    }

    fn padded(&self, coordinate: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; self.curve.coordinate_len().saturating_sub(coordinate.len())];
        bytes.extend_from_slice(coordinate);
        bytes
    }
}

impl Public {
    /// Reads a public area of a `TPM2B_PUBLIC`, that is, with its length in front.
    ///
    /// # Errors
    /// As [`Public::parse`].
    pub fn parse_sized(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let public = Self::parse(reader.sized(PUBLIC_LEN_MAX)?)?;
        reader.finish()?;
        Ok(public)
    }

    /// Reads a `TPMT_PUBLIC`: RSA of 2,048 bits, P-256 or P-384.
    ///
    /// # Errors
    /// It is cut short, too long, of a kind that is not used here, or not in its one form.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let kind = reader.u16()?;
        let name_alg = HashAlg::from_id(reader.u16()?)?;
        let attributes = reader.u32()?;
        let policy = reader.sized(name_alg.hash_len())?.to_vec();
        let aes_bits = read_symmetric(&mut reader)?;
        let ecdsa = read_scheme(&mut reader, kind)?;
        let key = match kind {
            ALG_RSA => read_rsa(&mut reader)?,
            ALG_ECC => read_point(&mut reader)?,
            other => return Err(WireError::Value("type of the key", other.into())),
        };
        reader.finish()?;
        let public = Public { name_alg, attributes, policy, aes_bits, ecdsa, key };
        if public.encode() == bytes { Ok(public) } else { Err(WireError::Form) }
    }

    /// The `TPMT_PUBLIC`.
    pub fn encode(&self) -> Vec<u8> {
        let kind = match self.key {
            Key::Rsa { .. } => ALG_RSA,
            Key::Point(_) => ALG_ECC,
        };
        let head = Writer::new().u16(kind).u16(self.name_alg.id()).u32(self.attributes);
        let head = head.sized(&self.policy);
        let head = match self.aes_bits {
            Some(bits) => head.u16(ALG_AES).u16(bits).u16(ALG_CFB),
            None => head.u16(ALG_NULL),
        };
        let head = match self.ecdsa {
            Some(hash) => head.u16(ALG_ECDSA).u16(hash.id()),
            None => head.u16(ALG_NULL),
        };
        let all = match &self.key {
            Key::Rsa { exponent, modulus } => {
                head.u16(8 * MODULUS_LEN as u16).u32(*exponent).sized(modulus)
            }
            Key::Point(Point { curve, x, y }) => {
                head.u16(curve.id()).u16(ALG_NULL).sized(x).sized(y)
            }
        };
        all.finish()
    }

    /// Its name.
    pub fn name(&self) -> Name {
        Name::of(self.name_alg, &[&self.encode()])
    }
}

/// `TPMT_SYM_DEF_OBJECT`.
fn read_symmetric(reader: &mut Reader<'_>) -> Result<Option<u16>, WireError> {
    match reader.u16()? {
        ALG_NULL => Ok(None),
        ALG_AES => {
            let bits = reader.u16()?;
            let mode = reader.u16()?;
            match (bits, mode) {
                (128 | 256, ALG_CFB) => Ok(Some(bits)),
                (128 | 256, _) => Err(WireError::Value("mode of the cipher", mode.into())),
                _ => Err(WireError::Value("bits of the cipher", bits.into())),
            }
        }
        other => Err(WireError::Value("cipher", other.into())),
    }
}

/// `TPMT_RSA_SCHEME` or `TPMT_ECC_SCHEME`.
fn read_scheme(reader: &mut Reader<'_>, kind: u16) -> Result<Option<HashAlg>, WireError> {
    match reader.u16()? {
        ALG_NULL => Ok(None),
        ALG_ECDSA if kind == ALG_ECC => Ok(Some(HashAlg::from_id(reader.u16()?)?)),
        other => Err(WireError::Value("scheme", other.into())),
    }
}

fn read_rsa(reader: &mut Reader<'_>) -> Result<Key, WireError> {
    let bits = reader.u16()?;
    if usize::from(bits) != 8 * MODULUS_LEN {
        return Err(WireError::Value("bits of the key", bits.into()));
    }
    let exponent = reader.u32()?;
    let modulus = reader.sized(MODULUS_LEN)?;
    let has_all_bits = modulus.len() == MODULUS_LEN && modulus.first() >= Some(&0x80);
    if !has_all_bits {
        return Err(WireError::Value("length of the modulus", modulus.len() as u32));
    }
    Ok(Key::Rsa { exponent, modulus: modulus.to_vec() })
}

fn read_point(reader: &mut Reader<'_>) -> Result<Key, WireError> {
    let id = reader.u16()?;
    let curve = [Curve::P256, Curve::P384].into_iter().find(|curve| curve.id() == id);
    let curve = curve.ok_or(WireError::Value("curve", id.into()))?;
    let derivation = reader.u16()?;
    if derivation != ALG_NULL {
        return Err(WireError::Value("key derivation", derivation.into()));
    }
    let x = reader.sized(curve.coordinate_len())?.to_vec();
    let y = reader.sized(curve.coordinate_len())?.to_vec();
    Ok(Key::Point(Point { curve, x, y }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn all() -> Vec<Vec<u8>> {
        let [rsa, p256, p384] = samples::ek_publics();
        [rsa, p256, p384, samples::ak_public()].iter().map(Public::encode).collect()
    }

    #[test]
    fn names_are_those_that_the_tpm_gives() {
        let names = [
            "000b24259018d0d59aa441a483c9646500a3947e1821de5f0d5bebe2c3136a489f29",
            "000bac262a9f9662fa597b5e55629b270828b3a993e55bfa7cd9e36ad1507ceffbe6",
            "000cca91390fd0fddd51955f4c3b496c5eef59a61a3e47435cf021bc32938a84a80fe77aea43409a6d88\
             ddd0d8613cd10fef",
        ];
        for (ek, name) in samples::ek_publics().iter().zip(names) {
            assert_eq!(samples::hex(ek.name().as_bytes()), name);
        }
    }

    #[test]
    fn each_cut_and_each_byte_more_is_refused() {
        for bytes in all() {
            for len in 0..bytes.len() {
                assert_eq!(Public::parse(&bytes[..len]), Err(WireError::Short), "{len}");
            }
            let longer = [&bytes[..], &[0]].concat();
            assert_eq!(Public::parse(&longer), Err(WireError::Remainder(1)));
            let sized = Writer::new().sized(&bytes).finish();
            assert!(Public::parse_sized(&sized).is_ok());
            let longer = [&sized[..], &[0]].concat();
            assert_eq!(Public::parse_sized(&longer), Err(WireError::Remainder(1)));
            let inner = Writer::new().sized(&[&bytes[..], &[0]].concat()).finish();
            assert_eq!(Public::parse_sized(&inner), Err(WireError::Remainder(1)));
        }
    }

    #[test]
    fn what_is_not_used_here_is_refused_by_name() {
        let [rsa, p256, _, ak] = all().try_into().unwrap();
        let refusal = |bytes: &[u8], at: usize, with: u16| {
            let mut changed = bytes.to_vec();
            changed[at..at + 2].copy_from_slice(&with.to_be_bytes());
            Public::parse(&changed).err()
        };
        let refused = |what, value| Some(WireError::Value(what, value));
        // A symmetric key, SHA-1, and behind a policy of 32 bytes: 3DES, 192 bits, OFB, RSAES.
        assert_eq!(refusal(&rsa, 0, 0x0025), refused("type of the key", 0x0025));
        assert_eq!(refusal(&rsa, 2, 0x0004), refused("hash", 0x0004));
        assert_eq!(refusal(&rsa, 42, 0x0003), refused("cipher", 0x0003));
        assert_eq!(refusal(&rsa, 44, 192), refused("bits of the cipher", 192));
        assert_eq!(refusal(&rsa, 46, 0x0041), refused("mode of the cipher", 0x0041));
        assert_eq!(refusal(&rsa, 48, 0x0015), refused("scheme", 0x0015));
        assert_eq!(refusal(&rsa, 48, ALG_ECDSA), refused("scheme", 0x0018));
        assert_eq!(refusal(&rsa, 50, 3_072), refused("bits of the key", 3_072));
        assert_eq!(refusal(&rsa, 58, 0x7fff), refused("length of the modulus", 256));
        // P-521, KDF2; and a key that signs by ECDAA.
        assert_eq!(refusal(&p256, 50, 0x0005), refused("curve", 0x0005));
        assert_eq!(refusal(&p256, 52, 0x0021), refused("key derivation", 0x0021));
        assert_eq!(refusal(&ak, 12, 0x001a), refused("scheme", 0x001a));
        assert_eq!(refusal(&p256, 54, 33), Some(WireError::Long(33, 32)));
    }

    #[test]
    fn each_bit_counts() {
        for bytes in all() {
            let whole = Public::parse(&bytes).unwrap();
            for bit in 0..8 * bytes.len() {
                let mut changed = bytes.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                if let Ok(public) = Public::parse(&changed) {
                    assert_ne!(public, whole, "bit {bit}");
                    assert_ne!(public.name(), whole.name(), "bit {bit}");
                    assert_eq!(public.encode(), changed, "bit {bit}");
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_refused_or_kept(
            kind in 0..4_usize,
            at in 0..400_usize,
            with in proptest::collection::vec(0..=255_u8, 0..8),
        ) {
            let mut bytes = all().swap_remove(kind);
            let at = at.min(bytes.len());
            let end = (at + with.len()).min(bytes.len());
            bytes.splice(at..end, with);
            if let Ok(public) = Public::parse(&bytes) {
                assert_eq!(public.encode(), bytes);
            }
        }
    }
}
