//! What a software TPM made, and keys whose private halves are known (`tests/vectors/README.md`).

use protocol::crypto::ecdh::PublicKey;
use protocol::crypto::ecdsa::SigningKey;

use crate::keys::{AttestationKey, EndorsementKey, check_ak, check_ek};
use crate::nv::NvPublic;
use crate::public::{Curve, Key, Point, Public};

/// An endorsement key with its private half.
pub(crate) struct Soft {
    pub(crate) public: Public,
    pub(crate) ek: EndorsementKey,
    /// PKCS #8, or a scalar.
    pub(crate) private: &'static [u8],
}

/// RSA-2048, P-256 and P-384.
pub(crate) fn soft() -> [Soft; 3] {
    let all: [(&[u8], &[u8]); 3] = [
        (
            include_bytes!("../tests/vectors/soft-rsa2048.public"),
            include_bytes!("../tests/vectors/soft-rsa2048.key"),
        ),
        (
            include_bytes!("../tests/vectors/soft-p256.public"),
            include_bytes!("../tests/vectors/soft-p256.key"),
        ),
        (
            include_bytes!("../tests/vectors/soft-p384.public"),
            include_bytes!("../tests/vectors/soft-p384.key"),
        ),
    ];
    all.map(|(public, private)| {
        let public = Public::parse_sized(public).unwrap();
        Soft { ek: check_ek(&public).unwrap(), public, private }
    })
}

/// Endorsement keys of the TPM: RSA-2048, P-256 and P-384.
pub(crate) fn ek_publics() -> [Public; 3] {
    let all: [&[u8]; 3] = [
        include_bytes!("../tests/vectors/ek-rsa2048.public"),
        include_bytes!("../tests/vectors/ek-p256.public"),
        include_bytes!("../tests/vectors/ek-p384.public"),
    ];
    all.map(|bytes| Public::parse_sized(bytes).unwrap())
}

/// The attestation key of the TPM.
pub(crate) fn ak_public() -> Public {
    Public::parse_sized(include_bytes!("../tests/vectors/ak.public")).unwrap()
}

/// It, checked.
pub(crate) fn ak() -> AttestationKey {
    check_ak(&ak_public()).unwrap()
}

/// An attestation key with its private half.
pub(crate) fn soft_ak() -> (AttestationKey, SigningKey) {
    let signing = SigningKey::from_bytes(&[7; 32]).unwrap();
    let point = PublicKey::from_compressed(&signing.verifying_key().to_bytes()).unwrap();
    let point = point.to_uncompressed();
    let (x, y) = point[1..].split_at(32);
    let key = Key::Point(Point { curve: Curve::P256, x: x.to_vec(), y: y.to_vec() });
    (check_ak(&Public { key, ..ak_public() }).unwrap(), signing)
}

/// The counter of the TPM, once it counted.
pub(crate) fn counter() -> NvPublic {
    use crate::nv::attribute::*;

    let attributes = AUTH_READ | AUTH_WRITE | NO_DA | COUNTER | WRITTEN;
    NvPublic { handle: 0x0184_c000, attributes, policy: None, data_len: 8 }
}

/// In lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
