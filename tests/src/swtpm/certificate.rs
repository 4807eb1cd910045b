//! A CA that certifies P-256 EKs, which swtpm_setup does not.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PublicKeyData, SignatureAlgorithm, date_time_ymd,
};

/// `SubjectPublicKeyInfo` of a P-256 key up to its point (RFC 5480, 2).
const P256_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// `tcg-kp-EKCertificate` (TCG EK Credential Profile for TPM Family 2.0, "Extended Key Usage").
const EK_CERTIFICATE: [u64; 5] = [2, 23, 133, 8, 1];

/// `id-ce-subjectAltName` (RFC 5280, 4.2.1.6).
const SUBJECT_ALT_NAME: [u64; 4] = [2, 5, 29, 17];

/// DER tags (X.690). The last is a `directoryName` in a `GeneralName`.
const OID: u8 = 0x06;
const UTF8: u8 = 0x0c;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const DIRECTORY_NAME: u8 = 0xa4;

/// A point on P-256, uncompressed (SEC 1, 2.3.3).
struct Point<'a>(&'a [u8]);

impl PublicKeyData for Point<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// A certificate for the P-256 EK with this `SubjectPublicKeyInfo`, and the root that signed it.
/// Both DER. As many makers' it has no subject but an alternative name.
pub(super) fn of_p256_ek(key: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let point = Point(key.strip_prefix(&P256_HEAD).expect("a P-256 key"));
    let root_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut root = parameters();
    root.distinguished_name.push(DnType::CommonName, "P-256 EK test root");
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let mut ek = parameters();
    ek.is_ca = IsCa::ExplicitNoCa;
    ek.key_usages = vec![KeyUsagePurpose::KeyAgreement];
    ek.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(EK_CERTIFICATE.to_vec())];
    ek.use_authority_key_identifier_extension = true;
    ek.custom_extensions = vec![name_of_tpm()];
    let root_certificate = root.self_signed(&root_key).unwrap();
    let certificate = ek.signed_by(&point, &Issuer::new(root, root_key)).unwrap();
    (certificate.der().to_vec(), root_certificate.der().to_vec())
}

/// Nameless, and valid without end.
fn parameters() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.not_after = date_time_ymd(9999, 12, 31);
    parameters.distinguished_name = DistinguishedName::new();
    parameters
}

/// Maker, model and version of the TPM, as swtpm_setup writes them.
fn name_of_tpm() -> CustomExtension {
    // tcg-at-tpmManufacturer, -tpmModel and -tpmVersion: 2.23.133.2.1 to 3.
    let attributes = [(1, "id:00001014"), (2, "swtpm"), (3, "id:20191023")];
    let names = attributes.map(|(kind, value)| {
        let kind = tlv(OID, &[0x67, 0x81, 0x05, 0x02, kind]);
        tlv(SET, &tlv(SEQUENCE, &[kind, tlv(UTF8, value.as_bytes())].concat()))
    });
    let name = tlv(DIRECTORY_NAME, &tlv(SEQUENCE, &names.concat()));
    let mut extension = CustomExtension::from_oid_content(&SUBJECT_ALT_NAME, tlv(SEQUENCE, &name));
    extension.set_criticality(true);
    extension
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    assert!(content.len() < 128, "a short form of length");
    [&[tag, content.len() as u8], content].concat()
}
