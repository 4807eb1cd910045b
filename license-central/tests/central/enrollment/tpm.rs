//! A machine's TPM as far as a server can tell: keys whose private halves the test has. What only
//! a TPM could read, the test looks up in the records.

use attest::keys::{check_ak, check_ek};
use attest::public::{Curve, Key, Point, Public};
use attest::wire::Writer;
use license_central::domain::records::Enrolled;
use protocol::codec::{Bytes, List};
use protocol::crypto::ecdh::{SoftwareKey, StaticKey};
use protocol::crypto::ecdsa::SigningKey;
use protocol::ids::{hex, parse_hex};
use protocol::objects::enrollment::{Attested, TpmEvidence, TpmIdentity, qualifying};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, date_time_ymd,
};
use strongroom_tests::enrollment::{Applicant, read_challenge};

use crate::stage::Stage;

const EK: &[u8] = include_bytes!("../../../../tpm/attest/tests/vectors/ek-p256.public");
const AK: &[u8] = include_bytes!("../../../../tpm/attest/tests/vectors/ak.public");
const QUOTE: &[u8] = include_bytes!("../../../../tpm/attest/tests/vectors/quote.attest");
const COUNTER: &[u8] = include_bytes!("../../../../tpm/attest/tests/vectors/counter.attest");
/// Where in what a TPM signs: its signer, and what it was asked to sign over.
const SIGNER: std::ops::Range<usize> = 8..42;
const NONCE: std::ops::Range<usize> = 44..76;

/// One machine.
pub(crate) struct Tpm {
    endorsement: Public,
    attestation: Public,
    key: SigningKey,
    certificate: Vec<u8>,
}

/// A maker of TPMs.
pub(crate) struct Maker {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// An endorsement key, as the subject of a certificate.
struct Subject(Vec<u8>);

impl PublicKeyData for Subject {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl Maker {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Maker { pem, issuer: Issuer::new(params, key) }
    }

    /// Gives a TPM its certificate, valid until the end of this year.
    pub(crate) fn certifies(&self, mut tpm: Tpm, until: i32) -> Tpm {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        let usage = ExtendedKeyUsagePurpose::Other(vec![2, 23, 133, 8, 1]);
        params.extended_key_usages = vec![usage];
        let Key::Point(point) = &tpm.endorsement.key else { unreachable!("P-256") };
        let subject = Subject(point.to_uncompressed());
        let made = params.signed_by(&subject, &self.issuer).expect("a certificate");
        tpm.certificate = made.der().to_vec();
        tpm
    }
}

impl Tpm {
    /// The one of this number, without a certificate.
    pub(crate) fn new(number: u8) -> Self {
        let public = |bytes, scalar: u8| {
            let public = Public::parse_sized(bytes).expect("a public area");
            Public { key: point(scalar), ..public }
        };
        let (endorsement, attestation) = (public(EK, number), public(AK, number + 100));
        check_ek(&endorsement).expect("of the template");
        let key = SigningKey::from_bytes(&[number + 100; 32]).expect("below the order");
        Tpm { endorsement, attestation, key, certificate: Vec::new() }
    }

    /// The same with the certificate of another.
    pub(crate) fn with_certificate_of(mut self, other: &Tpm) -> Self {
        self.certificate.clone_from(&other.certificate);
        self
    }

    pub(crate) fn identity(&self) -> TpmIdentity {
        TpmIdentity {
            endorsement_key: Bytes::new(self.endorsement.encode()).expect("room"),
            certificate: Bytes::new(self.certificate.clone()).expect("room"),
            intermediates: List::default(),
            attestation_key: Bytes::new(self.attestation.encode()).expect("room"),
            counter: 0x0184_c000,
        }
    }

    /// What it signs for a challenge, once it read what is in it.
    pub(crate) fn evidence(&self, stage: &Stage, of: &Applicant, challenge: &[u8]) -> TpmEvidence {
        let enrolled = stage.record::<Enrolled>(&hex(of.id.bytes()));
        let secret = parse_hex::<32>(&enrolled.secret).expect("a secret");
        let nonce = read_challenge(challenge).nonce.0;
        self.signs(&qualifying(&of.request_hash(), &nonce, &secret))
    }

    /// What it signs over this.
    pub(crate) fn signs(&self, over: &[u8; 32]) -> TpmEvidence {
        let ak = check_ak(&self.attestation).expect("of the form");
        let attested = |template: &[u8]| {
            let mut attest = template.to_vec();
            attest[SIGNER].copy_from_slice(ak.qualified_name().as_bytes());
            attest[NONCE].copy_from_slice(over);
            let signature = self.key.sign(&attest, &[1; 32]);
            let (r, s) = signature.split_at(32);
            // ECDSA with SHA-256.
            let signature = Writer::new().u16(0x18).u16(0x0b).sized(r).sized(s).finish();
            Attested {
                attest: Bytes::new(attest).expect("room"),
                signature: Bytes::new(signature).expect("room"),
            }
        };
        TpmEvidence { quote: attested(QUOTE), counter: attested(COUNTER) }
    }
}

fn point(scalar: u8) -> Key {
    let public = SoftwareKey::from_bytes(&[scalar; 32]).expect("below the order").public();
    let point = public.to_uncompressed();
    let (x, y) = point[1..].split_at(32);
    Key::Point(Point { curve: Curve::P256, x: x.to_vec(), y: y.to_vec() })
}
