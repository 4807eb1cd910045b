//! Certificates of a software TPM, and of authorities of all kinds of fault.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, NameConstraints,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PublicKeyData, SanType, SignatureAlgorithm,
    date_time_ymd,
};

use super::*;
use crate::keys::check_ek;
use crate::public::Key;
use crate::samples;

const RSA: &[u8] = include_bytes!("../../tests/vectors/ek-rsa2048.der");
const P384: &[u8] = include_bytes!("../../tests/vectors/ek-p384.der");
const LOCAL: &[u8] = include_bytes!("../../tests/vectors/ca-local.der");
const ROOT: &[u8] = include_bytes!("../../tests/vectors/ca-root.der");
/// Shortly after the software TPM was made, and before.
const NOW_S: u64 = 1_800_000_000;
const BEFORE_S: u64 = 1_700_000_000;

fn ek(at: usize) -> EndorsementKey {
    check_ek(&samples::ek_publics()[at]).unwrap()
}

fn list(certificates: &[&[u8]]) -> Authorities {
    Authorities::new(certificates).unwrap()
}

/// Judges the RSA certificate of the software TPM.
fn judged(certificate: &[u8], ek: &EndorsementKey) -> Result<Endorsed, EndorsementError> {
    judge(certificate, &[LOCAL], &list(&[ROOT]), ek, NOW_S)
}

/// An endorsement key, as the subject of a certificate.
struct Subject(Vec<u8>);

impl Subject {
    fn p256() -> Self {
        let Key::Point(point) = ek(1).key().clone() else { unreachable!() };
        Subject(point.to_uncompressed())
    }
}

impl PublicKeyData for Subject {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

struct Authority {
    der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn root(algorithm: &'static SignatureAlgorithm, params: CertificateParams) -> Authority {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    Authority { der, issuer: Issuer::new(params, key) }
}

fn plain_root() -> Authority {
    root(&PKCS_ECDSA_P256_SHA256, authority_params("maker"))
}

fn below(above: &Authority, params: CertificateParams) -> Authority {
    let key = KeyPair::generate().unwrap();
    let der = params.signed_by(&key, &above.issuer).unwrap().der().to_vec();
    Authority { der, issuer: Issuer::new(params, key) }
}

fn ek_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.extended_key_usages = usage(&[2, 23, 133, 8, 1]);
    params
}

fn usage(oid: &[u64]) -> Vec<ExtendedKeyUsagePurpose> {
    vec![ExtendedKeyUsagePurpose::Other(oid.to_vec())]
}

fn issued(by: &Authority, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = ek_params();
    change(&mut params);
    params.signed_by(&Subject::p256(), &by.issuer).unwrap().der().to_vec()
}

/// Judges a certificate for the P-256 key under one authority.
fn under(
    authority: &Authority,
    intermediates: &[&[u8]],
    certificate: &[u8],
) -> Result<Endorsed, EndorsementError> {
    judge(certificate, intermediates, &list(&[&authority.der]), &ek(1), NOW_S)
}

#[test]
fn certificates_of_the_software_tpm_hold() {
    for (certificate, ek) in [(RSA, ek(0)), (P384, ek(2))] {
        let endorsed = Endorsed {
            certificate_sha256: sha256(certificate),
            manufacturer: Some("id:00001014".into()),
            model: Some("swtpm".into()),
            version: Some("id:20191023".into()),
        };
        assert_eq!(judged(certificate, &ek), Ok(endorsed.clone()));
        let none: &[&[u8]] = &[];
        assert_eq!(judge(certificate, none, &list(&[LOCAL]), &ek, NOW_S), Ok(endorsed.clone()));
        for padding in [[0; 600], [0xff; 600]] {
            for len in [1, 2, 600] {
                let padded = [certificate, &padding[..len]].concat();
                assert_eq!(judged(&padded, &ek), Ok(endorsed.clone()));
            }
        }
    }
}

#[test]
fn authorities_of_p256_and_p384_vouch() {
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384] {
        let maker = root(algorithm, authority_params("maker"));
        assert!(under(&maker, &[], &issued(&maker, |_| ())).is_ok());
    }
}

#[test]
fn no_certificate_and_none_that_can_be_read_are_told_apart() {
    for none in [&[][..], &[0], &[0; 64], &[0xff; 64]] {
        assert_eq!(judged(none, &ek(0)), Err(EndorsementError::NoCertificate));
    }
    for len in 1..RSA.len() {
        assert_eq!(judged(&RSA[..len], &ek(0)), Err(EndorsementError::Unreadable), "{len}");
    }
    let both = [&[0][..], &[0xff]].concat();
    for behind in [&b"\x01"[..], &both, RSA] {
        let certificate = [RSA, behind].concat();
        assert_eq!(judged(&certificate, &ek(0)), Err(EndorsementError::Unreadable));
    }
}

#[test]
fn a_certificate_is_not_longer_than_an_index() {
    let maker = plain_root();
    let of_len = |len: usize| {
        let extension = CustomExtension::from_oid_content(&[1, 2, 3], vec![0; len]);
        issued(&maker, |params| params.custom_extensions.push(extension))
    };
    // The signature has some bytes more or less.
    let room = CERTIFICATE_LEN_MAX - of_len(1_000).len() + 1_000;
    assert!(under(&maker, &[], &of_len(room - 8)).is_ok());
    let refused = Err(EndorsementError::Unreadable);
    assert_eq!(under(&maker, &[], &of_len(room + 8)), refused);
}

#[test]
fn each_bit_of_a_certificate_counts() {
    for bit in 0..8 * RSA.len() {
        let mut changed = RSA.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(judged(&changed, &ek(0)).is_err(), "bit {bit}");
    }
}

#[test]
fn only_authorities_of_the_list_vouch() {
    let unknown = Err(EndorsementError::UnknownAuthority);
    let none: &[&[u8]] = &[];
    assert_eq!(judge(RSA, none, &list(&[ROOT]), &ek(0), NOW_S), unknown);
    assert_eq!(judge(RSA, &[LOCAL, ROOT], &list(&[]), &ek(0), NOW_S), unknown);
    let maker = plain_root();
    // Of the same name, but not the same.
    let namesake = plain_root();
    let certificate = issued(&maker, |_| ());
    assert!(under(&maker, &[], &certificate).is_ok());
    assert_eq!(under(&namesake, &[], &certificate), unknown);
    assert_eq!(under(&namesake, &[&maker.der], &certificate), unknown);
    let both = list(&[&namesake.der, &maker.der]);
    assert!(judge(&certificate, none, &both, &ek(1), NOW_S).is_ok());
    let read = Authorities::new(&[ROOT, &ROOT[1..]]).map(|_| ());
    assert_eq!(read, Err(AuthorityError(1)));
}

#[test]
fn a_certificate_of_another_key_is_refused() {
    assert_eq!(judged(RSA, &ek(1)), Err(EndorsementError::OtherKey));
    assert_eq!(judged(RSA, &ek(2)), Err(EndorsementError::OtherKey));
    let [rsa, _, p384] = samples::soft();
    assert_eq!(judged(RSA, &rsa.ek), Err(EndorsementError::OtherKey));
    assert_eq!(judged(P384, &p384.ek), Err(EndorsementError::OtherKey));
}

#[test]
fn certificates_hold_in_their_time_only() {
    let maker = plain_root();
    let in_time = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2030, 1, 1);
    };
    let (from_s, until_s) = (1_577_836_800, 1_893_456_000);
    let mut params = authority_params("between");
    in_time(&mut params);
    let between = below(&maker, params);
    // Once the certificate itself has its time, once the one above it.
    let own = issued(&maker, in_time);
    let above = issued(&between, |_| ());
    for certificate in [own, above] {
        let at = |now_s| {
            judge(&certificate, &[&between.der], &list(&[&maker.der]), &ek(1), now_s).map(|_| ())
        };
        assert_eq!(at(from_s - 1), Err(EndorsementError::NotYetValid(from_s)));
        assert_eq!(at(from_s), Ok(()));
        assert_eq!(at(until_s), Ok(()));
        assert_eq!(at(until_s + 1), Err(EndorsementError::Expired(until_s)));
        assert!(at(u64::MAX).is_err());
    }
    let early = judge(RSA, &[LOCAL], &list(&[ROOT]), &ek(0), BEFORE_S);
    assert!(matches!(early, Err(EndorsementError::NotYetValid(_))));
}

#[test]
fn certificates_for_something_else_are_refused() {
    let maker = plain_root();
    let with = |change: &dyn Fn(&mut CertificateParams)| {
        under(&maker, &[], &issued(&maker, change)).map(|_| ())
    };
    assert_eq!(with(&|params| params.extended_key_usages.clear()), Ok(()));
    let more = [usage(&[2, 23, 133, 8, 3]), usage(&[2, 23, 133, 8, 1])].concat();
    assert_eq!(with(&|params| params.extended_key_usages = more.clone()), Ok(()));
    // Of an attestation key.
    let other = usage(&[2, 23, 133, 8, 3]);
    let refused = Err(EndorsementError::Usage);
    assert_eq!(with(&|params| params.extended_key_usages = other.clone()), refused);
    let tls = vec![ExtendedKeyUsagePurpose::ServerAuth];
    assert_eq!(with(&|params| params.extended_key_usages = tls.clone()), refused);
    let ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let refused = Err(EndorsementError::IsAuthority);
    assert_eq!(with(&|params| params.is_ca = ca), refused);
    let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3], vec![5, 0]);
    unknown.set_criticality(true);
    // Without reading it there is no telling what it takes back.
    let refused = Err(EndorsementError::Unreadable);
    assert_eq!(with(&|params| params.custom_extensions.push(unknown.clone())), refused);
}

#[test]
fn only_authorities_stand_in_between() {
    let maker = plain_root();
    let between = below(&maker, authority_params("between"));
    let certificate = issued(&between, |_| ());
    assert!(under(&maker, &[&between.der], &certificate).is_ok());
    let mut params = authority_params("between");
    params.is_ca = IsCa::ExplicitNoCa;
    let none = below(&maker, params);
    let refused = Err(EndorsementError::Path(Error::EndEntityUsedAsCa));
    assert_eq!(under(&maker, &[&none.der], &issued(&none, |_| ())), refused);
    let mut params = authority_params("short");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let short = below(&maker, params);
    let last = below(&short, authority_params("last"));
    let refused = Err(EndorsementError::Path(Error::PathLenConstraintViolated));
    assert_eq!(under(&maker, &[&short.der, &last.der], &issued(&last, |_| ())), refused);
}

#[test]
fn intermediate_certificates_are_few_and_short() {
    let maker = plain_root();
    let certificate = issued(&maker, |_| ());
    let (one, long) = (vec![0; CERTIFICATE_LEN_MAX], vec![0; CERTIFICATE_LEN_MAX + 1]);
    assert!(under(&maker, &[&one[..]; INTERMEDIATES_MAX], &certificate).is_ok());
    let refused = Err(EndorsementError::Intermediates);
    assert_eq!(under(&maker, &[&one[..]; INTERMEDIATES_MAX + 1], &certificate), refused);
    assert_eq!(under(&maker, &[&long], &certificate), refused);
}

#[test]
fn constraints_on_names_hold() {
    let constrained = |subtree: GeneralSubtree| {
        let mut params = authority_params("constrained");
        let permitted_subtrees = vec![subtree];
        let constraints = NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() };
        params.name_constraints = Some(constraints);
        params
    };
    let named = |by: &Authority, name: &str| {
        let name = SanType::DnsName(name.try_into().unwrap());
        issued(by, |params| params.subject_alt_names.push(name))
    };
    let refused = Err(EndorsementError::NameConstraint);
    let params = constrained(GeneralSubtree::DnsName("tpm.example".into()));
    let maker = root(&PKCS_ECDSA_P256_SHA256, params.clone());
    assert!(under(&maker, &[], &named(&maker, "a.tpm.example")).is_ok());
    assert_eq!(under(&maker, &[], &named(&maker, "a.example")), refused);
    let plain = plain_root();
    let between = below(&plain, params);
    assert!(under(&plain, &[&between.der], &named(&between, "a.tpm.example")).is_ok());
    assert_eq!(under(&plain, &[&between.der], &named(&between, "a.example")), refused);
    // Constraints on directory names are not compared: under them, nothing holds.
    let any = constrained(GeneralSubtree::DirectoryName(DistinguishedName::new()));
    let maker = root(&PKCS_ECDSA_P256_SHA256, any);
    assert_eq!(under(&maker, &[], &issued(&maker, |_| ())), refused);
}

#[test]
fn names_are_shown_only_where_they_can_be() {
    let maker = plain_root();
    let model = |text: &[u8]| {
        let tlv = |tag: u8, content: &[u8]| [&[tag, content.len() as u8], content].concat();
        let attribute = tlv(0x30, &[tlv(0x06, MODEL), tlv(0x0c, text)].concat());
        let name = tlv(0xa4, &tlv(0x30, &tlv(0x31, &attribute)));
        let names = CustomExtension::from_oid_content(&[2, 5, 29, 17], tlv(0x30, &name));
        let certificate = issued(&maker, |params| params.custom_extensions.push(names));
        under(&maker, &[], &certificate).unwrap().model
    };
    assert_eq!(model(b"SLB 9670"), Some("SLB 9670".into()));
    assert_eq!(model(&[b'x'; NAME_LEN_MAX]), Some("x".repeat(NAME_LEN_MAX)));
    for hidden in [&[b'x'; NAME_LEN_MAX + 1][..], b"\x1b[2J", b"a\nb", "é".as_bytes(), b"\xff"] {
        assert_eq!(model(hidden), None);
    }
}

#[test]
fn damaged_names_are_not_shown_and_harm_nothing() {
    for len in 0..RSA.len() {
        directory_name(&RSA[..len], MODEL);
    }
    for bit in 0..8 * RSA.len() {
        let mut changed = RSA.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        directory_name(&changed, MODEL);
    }
    assert_eq!(directory_name(RSA, MODEL), Some(&b"swtpm"[..]));
    assert_eq!(directory_name(RSA, b"\x55\x04\x03"), None);
}
