//! A machine's TPM as far as a server can tell: keys whose private halves are known, which sign as
//! a TPM does.

use std::sync::{Arc, Mutex, PoisonError};

use attest::keys::check_ak;
use attest::nv::{NvPublic, attribute};
use attest::public::{Curve, Key, Point, Public};
use attest::wire::Writer;
use protocol::codec::{Bytes, List};
use protocol::crypto::ecdh::{SoftwareKey, StaticKey};
use protocol::crypto::ecdsa::SigningKey;
use protocol::crypto::hash::Hash32;
use protocol::objects::enrollment::{Attested, TpmEvidence, TpmIdentity};

const EK: &[u8] = include_bytes!("../../tpm/attest/tests/vectors/ek-p256.public");
const AK: &[u8] = include_bytes!("../../tpm/attest/tests/vectors/ak.public");
const QUOTE: &[u8] = include_bytes!("../../tpm/attest/tests/vectors/quote.attest");
/// Where in what a TPM signs: its signer, and what it was asked to sign over.
const SIGNER: std::ops::Range<usize> = 8..42;
const NONCE: std::ops::Range<usize> = 44..76;
/// Where the counter lies.
const COUNTER: u32 = 0x0184_c000;

/// A TPM. Clones are the same one.
#[derive(Clone)]
pub struct SoftTpm {
    endorsement: Public,
    attestation: Public,
    key: [u8; 32],
    certificate: Vec<u8>,
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
    /// The one of this number, without a certificate.
    pub fn new(number: u8) -> Self {
        let key = [number + 100; 32];
        let public = |template, scalar| {
            let template = Public::parse_sized(template).expect("a public area");
            Public { key: point(scalar), ..template }
        };
        let (endorsement, attestation) = (public(EK, [number; 32]), public(AK, key));
        let now = Now { resets: 3, clock_ms: 1_000_000, count: 10 };
        let (certificate, now) = (Vec::new(), Arc::new(Mutex::new(now)));
        SoftTpm { endorsement, attestation, key, certificate, now }
    }

    /// The same with a certificate, X.509 DER.
    pub fn certified(self, certificate: Vec<u8>) -> Self {
        SoftTpm { certificate, ..self }
    }

    /// The certificate.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Its endorsement key, a point of P-256.
    pub fn endorsement_point(&self) -> Vec<u8> {
        let Key::Point(point) = &self.endorsement.key else { unreachable!("P-256") };
        point.to_uncompressed()
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
        TpmIdentity {
            endorsement_key: bytes(self.endorsement.encode()),
            certificate: bytes(self.certificate.clone()),
            intermediates: List::default(),
            attestation_key: bytes(self.attestation.encode()),
            counter: COUNTER,
        }
    }

    /// What it signs for a container that is certified.
    pub fn signs(&self, over: &Hash32) -> TpmEvidence {
        let mut quote = QUOTE.to_vec();
        quote[SIGNER].copy_from_slice(&self.signer());
        quote[NONCE].copy_from_slice(over);
        TpmEvidence { quote: self.attested(quote), counter: self.certify(over) }
    }

    /// Raises its counter, and certifies it over a hash: `TPMS_ATTEST` of `TPM2_NV_Certify`.
    pub fn certify(&self, over: &Hash32) -> Attested {
        let mut now = self.now();
        (now.count, now.clock_ms) = (now.count + 1, now.clock_ms + 10);
        self.set(now);
        let attributes = attribute::AUTH_READ
            | attribute::AUTH_WRITE
            | attribute::NO_DA
            | attribute::COUNTER
            | attribute::WRITTEN;
        let counter = NvPublic { handle: COUNTER, attributes, policy: None, data_len: 8 };
        let signed = Writer::new().u32(0xff54_4347).u16(0x8014).sized(&self.signer()).sized(over);
        let clock = signed.raw(&now.clock_ms.to_be_bytes()).u32(now.resets).u32(0).raw(&[1]);
        let index = clock.raw(&[0; 8]).sized(counter.name().as_bytes()).u16(0);
        self.attested(index.sized(&now.count.to_be_bytes()).finish())
    }

    /// The name of its attestation key in its place.
    fn signer(&self) -> Vec<u8> {
        let key = check_ak(&self.attestation).expect("of the form");
        key.qualified_name().as_bytes().to_vec()
    }

    fn attested(&self, attest: Vec<u8>) -> Attested {
        let key = SigningKey::from_bytes(&self.key).expect("below the order");
        let signature = key.sign(&attest, &[1; 32]);
        let (r, s) = signature.split_at(32);
        // ECDSA with SHA-256.
        let signature = Writer::new().u16(0x18).u16(0x0b).sized(r).sized(s).finish();
        Attested { attest: bytes(attest), signature: bytes(signature) }
    }
}

fn bytes<const N: usize>(bytes: Vec<u8>) -> Bytes<N> {
    Bytes::new(bytes).expect("room")
}

fn point(scalar: [u8; 32]) -> Key {
    let public = SoftwareKey::from_bytes(&scalar).expect("below the order").public();
    let point = public.to_uncompressed();
    let (x, y) = point[1..].split_at(32);
    Key::Point(Point { curve: Curve::P256, x: x.to_vec(), y: y.to_vec() })
}
