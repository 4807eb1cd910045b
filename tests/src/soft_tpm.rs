//! What of a TPM a server sees, in software: an attestation key that certifies a counter.

use std::sync::{Arc, Mutex, PoisonError};

use attest::keys::check_ak;
use attest::nv::{NvPublic, attribute};
use attest::public::{Curve, Key, Point, Public};
use protocol::codec::{Bytes, List};
use protocol::crypto::ecdh::{SoftwareKey, StaticKey};
use protocol::crypto::ecdsa::SigningKey;
use protocol::crypto::hash::Hash32;
use protocol::objects::enrollment::{Attested, TpmIdentity};

/// Where the counter lies.
const COUNTER: u32 = 0x0184_c000;

/// A TPM. Clones are the same one.
#[derive(Clone)]
pub struct SoftTpm {
    key: [u8; 32],
    now: Arc<Mutex<Now>>,
}

/// What goes back where a TPM is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Resets since it was cleared.
    pub resets: u32,
    /// Milliseconds that it ran.
    pub clock_ms: u64,
    /// The machine's counter.
    pub count: u64,
}

impl SoftTpm {
    /// The TPM of this number.
    pub fn new(number: u8) -> Self {
        let now = Now { resets: 3, clock_ms: 1_000_000, count: 10 };
        SoftTpm { key: [number; 32], now: Arc::new(Mutex::new(now)) }
    }

    /// What it shows.
    pub fn now(&self) -> Now {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts it back, or forward.
    pub fn set(&self, now: Now) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Who it says to be.
    pub fn identity(&self) -> TpmIdentity {
        let sized = include_bytes!("../../tpm/attest/tests/vectors/soft-p256.public");
        let endorsement = Public::parse_sized(sized).expect("a vector").encode();
        TpmIdentity {
            endorsement_key: Bytes::new(endorsement).expect("a key's length"),
            certificate: Bytes::default(),
            intermediates: List::default(),
            attestation_key: Bytes::new(self.public().encode()).expect("a key's length"),
            counter: COUNTER,
        }
    }

    /// Raises its counter, and certifies it over a hash: `TPMS_ATTEST` of `TPM2_NV_Certify`.
    pub fn certify(&self, over: &Hash32) -> Attested {
        let mut now = self.now();
        (now.count, now.clock_ms) = (now.count + 1, now.clock_ms + 10);
        self.set(now);
        let signer = check_ak(&self.public()).expect("a fit key");
        let attributes = attribute::AUTH_READ
            | attribute::AUTH_WRITE
            | attribute::NO_DA
            | attribute::COUNTER
            | attribute::WRITTEN;
        let counter = NvPublic { handle: COUNTER, attributes, policy: None, data_len: 8 };
        let mut attest = Vec::from(0xff54_4347_u32.to_be_bytes());
        attest.extend(0x8014_u16.to_be_bytes());
        attest.extend(sized(signer.qualified_name().as_bytes()));
        attest.extend(sized(over));
        attest.extend(now.clock_ms.to_be_bytes());
        attest.extend(now.resets.to_be_bytes());
        attest.extend([0, 0, 0, 0, 1]);
        attest.extend([0; 8]);
        attest.extend(sized(counter.name().as_bytes()));
        attest.extend([0, 0]);
        attest.extend(sized(&now.count.to_be_bytes()));
        let key = SigningKey::from_bytes(&self.key).expect("below the order");
        let signed = key.sign(&attest, &[1; 32]);
        let (r, s) = signed.split_at(32);
        // `TPM_ALG_ECDSA`, `TPM_ALG_SHA256`.
        let signature = [&[0x00, 0x18, 0x00, 0x0b][..], &sized(r), &sized(s)].concat();
        let bytes = |bytes: Vec<u8>| Bytes::new(bytes).expect("short");
        Attested { attest: bytes(attest), signature: bytes(signature) }
    }

    /// Its attestation key: of a real TPM, but for the point.
    fn public(&self) -> Public {
        let sized = include_bytes!("../../tpm/attest/tests/vectors/ak.public");
        let template = Public::parse_sized(sized).expect("a vector");
        let point = SoftwareKey::from_bytes(&self.key).expect("below the order").public();
        let point = point.to_uncompressed();
        let (x, y) = point[1..].split_at(32);
        let point = Point { curve: Curve::P256, x: x.to_vec(), y: y.to_vec() };
        Public { key: Key::Point(point), ..template }
    }
}

/// Behind its length of two bytes.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let len = bytes.len() as u16;
    [&len.to_be_bytes()[..], bytes].concat()
}
