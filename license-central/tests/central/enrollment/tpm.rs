//! Makers of TPMs, and what a TPM signs for a challenge: what only it could read, the test looks up
//! in the records.

use license_central::domain::records::Enrolled;
use protocol::ids::{hex, parse_hex};
use protocol::objects::enrollment::{TpmEvidence, qualifying};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, date_time_ymd,
};
use strongroom_tests::enrollment::{Applicant, read_challenge};
use strongroom_tests::soft_tpm::SoftTpm;

use crate::stage::Stage;

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
    pub(crate) fn certifies(&self, tpm: SoftTpm, until: i32) -> SoftTpm {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        let usage = ExtendedKeyUsagePurpose::Other(vec![2, 23, 133, 8, 1]);
        params.extended_key_usages = vec![usage];
        let subject = Subject(tpm.endorsement_point());
        let made = params.signed_by(&subject, &self.issuer).expect("a certificate");
        tpm.certified(made.der().to_vec())
    }
}

/// What the TPM of an applicant signs for a challenge.
pub(crate) fn evidence(
    tpm: &SoftTpm,
    stage: &Stage,
    of: &Applicant,
    challenge: &[u8],
) -> TpmEvidence {
    let enrolled = stage.record::<Enrolled>(&hex(of.id.bytes()));
    let secret = parse_hex::<32>(&enrolled.secret).expect("a secret");
    let nonce = read_challenge(challenge).nonce.0;
    tpm.signs(&qualifying(&of.request_hash(), &nonce, &secret))
}
