//! An endorsement key: of one of the templates that certificates are made for.

use aws_lc_rs::agreement::{ParsedPublicKey, UnparsedPublicKey};

use crate::hash::HashAlg;
use crate::public::{Curve, Key, Point, Public, attribute};

/// What is alike in all endorsement keys of one kind.
#[derive(Debug)]
struct Template {
    name_alg: HashAlg,
    attributes: u32,
    policy: &'static [u8],
    aes_bits: u16,
    /// What stands before the key in a certificate (`SubjectPublicKeyInfo`: RFC 3279, 2.3.1, and
    /// RFC 5480, 2), whose lengths are always these.
    spki_head: &'static [u8],
    /// The public exponent, which follows an RSA key there.
    spki_tail: &'static [u8],
}

/// Attributes of the templates of the low range.
const LOW: u32 = attribute::FIXED_TPM
    | attribute::FIXED_PARENT
    | attribute::SENSITIVE_DATA_ORIGIN
    | attribute::ADMIN_WITH_POLICY
    | attribute::RESTRICTED
    | attribute::DECRYPT;

/// `TPM2_PolicySecret` of the endorsement hierarchy, by SHA-256 (TCG EK Credential Profile, B.6.2).
const POLICY_A: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];

/// The same or a policy in NV, by SHA-384 (TCG EK Credential Profile, B.6).
const POLICY_B_SHA384: [u8; 48] = [
    0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc, 0xf5, 0xfd, 0x3a, 0x1a,
    0x07, 0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4, 0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca,
    0xcb, 0x47, 0xba, 0x09, 0x69, 0x96, 0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12,
];

/// Template L-1: RSA-2048 (TCG EK Credential Profile, B.3.3).
static RSA_2048: Template = Template {
    name_alg: HashAlg::Sha256,
    attributes: LOW,
    policy: &POLICY_A,
    aes_bits: 128,
    spki_head: b"\x30\x82\x01\x22\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\
                \x03\x82\x01\x0f\x00\x30\x82\x01\x0a\x02\x82\x01\x01\x00",
    spki_tail: b"\x02\x03\x01\x00\x01",
};

/// Template L-2: P-256 (TCG EK Credential Profile, B.3.4).
static P256: Template = Template {
    name_alg: HashAlg::Sha256,
    attributes: LOW,
    policy: &POLICY_A,
    aes_bits: 128,
    spki_head: b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
                \x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00",
    spki_tail: b"",
};

/// Template H-3: P-384 (TCG EK Credential Profile, B.4).
static P384: Template = Template {
    name_alg: HashAlg::Sha384,
    attributes: LOW | attribute::USER_WITH_AUTH,
    policy: &POLICY_B_SHA384,
    aes_bits: 256,
    spki_head: b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
                \x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00",
    spki_tail: b"",
};

/// An endorsement key that was checked against its template.
#[derive(Debug, Clone)]
pub struct EndorsementKey {
    key: Key,
    template: &'static Template,
}

/// Why a key is not taken for an endorsement key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EkError {
    /// It is named with this hash, the template with another one.
    #[error("the endorsement key is named with {0:?}, unlike its template")]
    NameAlg(HashAlg),
    /// Attributes of the template that it lacks, and those that it has beyond.
    #[error("the endorsement key lacks attributes {0:#x}, and has {1:#x} beyond its template")]
    Attributes(u32, u32),
    /// Another policy than the template's.
    #[error("the endorsement key has another policy than its template")]
    Policy,
    /// What it protects, it does not protect as the template says.
    #[error("the endorsement key protects by another cipher than its template")]
    Cipher,
    /// It is bound to a scheme of signatures.
    #[error("the endorsement key is for signatures")]
    Scheme,
    /// An RSA key with this exponent, not the default one.
    #[error("the endorsement key has the public exponent {0}")]
    Exponent(u32),
    /// Its point is not on the curve.
    #[error("the endorsement key is not a point of its curve")]
    Point,
}

/// Takes an endorsement key that is made by a default template of the TCG: L-1 (RSA-2048), L-2
/// (P-256) or H-3 (P-384). Whether its TPM is a real one, only its certificate says.
///
/// # Errors
/// One of [`EkError`] for each way to differ from the template.
pub fn check_ek(public: &Public) -> Result<EndorsementKey, EkError> {
    let template = match &public.key {
        Key::Rsa { .. } => &RSA_2048,
        Key::Point(Point { curve: Curve::P256, .. }) => &P256,
        Key::Point(Point { curve: Curve::P384, .. }) => &P384,
    };
    if public.name_alg != template.name_alg {
        return Err(EkError::NameAlg(public.name_alg));
    }
    if public.attributes != template.attributes {
        let (has, needs) = (public.attributes, template.attributes);
        return Err(EkError::Attributes(needs & !has, has & !needs));
    }
    if public.policy != template.policy {
        return Err(EkError::Policy);
    }
    if public.aes_bits != Some(template.aes_bits) {
        return Err(EkError::Cipher);
    }
    if public.ecdsa.is_some() {
        return Err(EkError::Scheme);
    }
    match &public.key {
        Key::Rsa { exponent: 0, .. } => {}
        Key::Rsa { exponent, .. } => return Err(EkError::Exponent(*exponent)),
        Key::Point(point) => check_point(point)?,
    }
    Ok(EndorsementKey { key: public.key.clone(), template })
}

impl EndorsementKey {
    /// The key as it stands in a certificate: a `SubjectPublicKeyInfo` in DER.
    pub fn spki(&self) -> Vec<u8> {
        let key = match &self.key {
            Key::Rsa { modulus, .. } => modulus,
            Key::Point(point) => &point.to_uncompressed(),
        };
        [self.template.spki_head, key, self.template.spki_tail].concat()
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn name_alg(&self) -> HashAlg {
        self.template.name_alg
    }

    /// Bytes of a key of the cipher that it protects others by.
    pub(crate) fn aes_key_len(&self) -> usize {
        usize::from(self.template.aes_bits / 8)
    }
}

fn check_point(point: &Point) -> Result<(), EkError> {
    let key = UnparsedPublicKey::new(point.curve.agreement(), point.to_uncompressed());
    ParsedPublicKey::try_from(key).map(|_| ()).map_err(|_| EkError::Point)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn an_endorsement_key_is_of_its_template() {
        for good in samples::ek_publics() {
            let refusal = |change: &dyn Fn(&mut Public)| {
                let mut public = good.clone();
                change(&mut public);
                check_ek(&public).err()
            };
            assert_eq!(refusal(&|_| ()), None);
            for bit in (0..32).map(|at| 1 << at) {
                let differs = EkError::Attributes(good.attributes & bit, !good.attributes & bit);
                assert_eq!(refusal(&|ek| ek.attributes ^= bit), Some(differs));
            }
            assert_eq!(refusal(&|ek| ek.policy[0] ^= 1), Some(EkError::Policy));
            assert_eq!(refusal(&|ek| ek.policy.clear()), Some(EkError::Policy));
            assert_eq!(refusal(&|ek| ek.aes_bits = None), Some(EkError::Cipher));
            let other_bits = |ek: &mut Public| ek.aes_bits = ek.aes_bits.map(|bits| 384 - bits);
            assert_eq!(refusal(&other_bits), Some(EkError::Cipher));
            let signs = |ek: &mut Public| ek.ecdsa = Some(HashAlg::Sha256);
            assert_eq!(refusal(&signs), Some(EkError::Scheme));
            let name_alg = match good.name_alg {
                HashAlg::Sha256 => HashAlg::Sha384,
                HashAlg::Sha384 => HashAlg::Sha256,
            };
            assert_eq!(refusal(&|ek| ek.name_alg = name_alg), Some(EkError::NameAlg(name_alg)));
        }
    }

    #[test]
    fn an_endorsement_key_can_be_encrypted_to() {
        for mut public in samples::ek_publics() {
            let refusal = match &mut public.key {
                Key::Rsa { exponent, .. } => {
                    *exponent = 3;
                    EkError::Exponent(3)
                }
                Key::Point(point) => {
                    point.y = point.x.clone();
                    EkError::Point
                }
            };
            assert_eq!(check_ek(&public).err(), Some(refusal));
        }
    }

    /// Some TPMs leave leading zeros away: the name is over what they wrote, the key is the same.
    #[test]
    fn a_coordinate_without_its_leading_zero_is_the_same_key_by_another_name() {
        let [_, p256, _] = samples::soft();
        let Key::Point(point) = p256.ek.key().clone() else { unreachable!() };
        assert_eq!(point.x[0], 0);
        let key = Key::Point(Point { x: point.x[1..].to_vec(), ..point });
        let short = Public { key, ..p256.public.clone() };
        let short = Public::parse(&short.encode()).unwrap();
        assert_ne!(short.name(), p256.public.name());
        assert_eq!(check_ek(&short).unwrap().spki(), p256.ek.spki());
    }
}
