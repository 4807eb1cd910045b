//! Certificates of endorsement keys: which makers' authorities vouch for a TPM (TCG EK Credential
//! Profile for TPM Family 2.0).
//!
//! Paths are built and verified by webpki (RFC 5280). Of constraints on names it knows those on DNS
//! names and addresses; under an authority with any other it refuses everything that has such a
//! name, which is what the RFC asks for. An authority on the list is trusted as it is: neither its
//! own validity nor a constraint on the length of paths is looked at. Revocation is not looked at.

use std::time::Duration;

use protocol::crypto::hash::{Hash32, sha256};
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage, anchor_from_trusted_cert};

use crate::der::{Value, Values, tag};
use crate::keys::EndorsementKey;

/// Bytes of a certificate at most. An NV index of a TPM has less.
pub const CERTIFICATE_LEN_MAX: usize = 4_096;
/// Certificates between the one of the key and an authority on the list, at most.
pub const INTERMEDIATES_MAX: usize = 6;
/// Characters of a name that is shown, at most.
const NAME_LEN_MAX: usize = 64;

/// `tcg-kp-EKCertificate`, 2.23.133.8.1 (TCG EK Credential Profile, 3.2).
const EK_CERTIFICATE: &[u8] = b"\x67\x81\x05\x08\x01";
/// `id-ce-subjectAltName`, 2.5.29.17 (RFC 5280, 4.2.1.6).
const SUBJECT_ALT_NAME: &[u8] = b"\x55\x1d\x11";
/// `tcg-at-tpmManufacturer`, 2.23.133.2.1; the next two are its model and version.
const MANUFACTURER: &[u8] = b"\x67\x81\x05\x02\x01";
const MODEL: &[u8] = b"\x67\x81\x05\x02\x02";
const VERSION: &[u8] = b"\x67\x81\x05\x02\x03";

/// The authorities whose certificates count: a list of the vendor's, since whoever is on it can
/// make a TPM of anything.
#[derive(Debug, Clone)]
pub struct Authorities(Vec<TrustAnchor<'static>>);

/// The certificate of an authority, this one of the list, cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("certificate {0} of the list of authorities cannot be read")]
pub struct AuthorityError(pub usize);

/// What a certificate says about a TPM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endorsed {
    /// SHA-256 of the certificate, without padding.
    pub certificate_sha256: Hash32,
    /// Its maker, `id:` and four bytes in hexadecimal, mostly ASCII.
    pub manufacturer: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Version of its firmware when it was made, in the form of `manufacturer`.
    pub version: Option<String>,
}

/// Why an endorsement was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndorsementError {
    /// The TPM has no certificate.
    #[error("the TPM has no certificate of its endorsement key")]
    NoCertificate,
    /// No certificate, or too long a one.
    #[error("the certificate of the endorsement key cannot be read")]
    Unreadable,
    /// Too many certificates in between, or too long a one.
    #[error("the intermediate certificates are too many or too long")]
    Intermediates,
    /// One of the path is not valid before this Unix time.
    #[error("a certificate is not valid before {0}")]
    NotYetValid(u64),
    /// One of the path was valid until this Unix time.
    #[error("a certificate expired at {0}")]
    Expired(u64),
    /// No path to an authority on the list.
    #[error("no authority on the list vouches for the endorsement key")]
    UnknownAuthority,
    /// It is for other purposes than an endorsement key's.
    #[error("the certificate is not for an endorsement key")]
    Usage,
    /// It is the certificate of an authority itself.
    #[error("the certificate is an authority's")]
    IsAuthority,
    /// An authority is not allowed to vouch for such names.
    #[error("the names in the certificate are not for its authority to give")]
    NameConstraint,
    /// The path to the authority does not hold for another reason.
    #[error("the path to the authority does not hold: {0}")]
    Path(Error),
    /// It is of another key than the TPM's.
    #[error("the certificate is of another key than the TPM's")]
    OtherKey,
}

impl Authorities {
    /// From certificates in DER, each of an authority, a root or one below.
    ///
    /// # Errors
    /// Which certificate cannot be read.
    pub fn new<C: AsRef<[u8]>>(certificates: &[C]) -> Result<Self, AuthorityError> {
        let read = |(at, der): (usize, &C)| {
            let der = CertificateDer::from(der.as_ref());
            let anchor = anchor_from_trusted_cert(&der).map_err(|_| AuthorityError(at))?;
            Ok(anchor.to_owned())
        };
        certificates.iter().enumerate().map(read).collect::<Result<_, _>>().map(Authorities)
    }
}

/// Judges the certificate of `ek` as found in NV, padding behind it allowed. `intermediates`, in
/// DER, may stand in any order, with others among them. `now_s` is Unix time.
///
/// # Errors
/// As [`EndorsementError`] says.
pub fn judge(
    certificate: &[u8],
    intermediates: &[impl AsRef<[u8]>],
    authorities: &Authorities,
    ek: &EndorsementKey,
    now_s: u64,
) -> Result<Endorsed, EndorsementError> {
    let der = CertificateDer::from(unpadded(certificate)?);
    let cert = EndEntityCert::try_from(&der).map_err(|_| EndorsementError::Unreadable)?;
    let intermediates = bounded(intermediates)?;
    cert.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &authorities.0,
        &intermediates,
        UnixTime::since_unix_epoch(Duration::from_secs(now_s)),
        KeyUsage::required_if_present(EK_CERTIFICATE),
        None,
        None,
    )
    .map_err(refusal)?;
    if cert.subject_public_key_info().as_ref() != ek.spki() {
        return Err(EndorsementError::OtherKey);
    }
    let name = |oid| directory_name(&der, oid).and_then(shown);
    Ok(Endorsed {
        certificate_sha256: sha256(&der),
        manufacturer: name(MANUFACTURER),
        model: name(MODEL),
        version: name(VERSION),
    })
}

/// Cuts what an NV index holds behind a certificate: zeros, or flash that was never written.
fn unpadded(bytes: &[u8]) -> Result<&[u8], EndorsementError> {
    let is_padding = |rest: &[u8]| [0, 0xff].iter().any(|pad| rest.iter().all(|byte| byte == pad));
    if is_padding(bytes) {
        return Err(EndorsementError::NoCertificate);
    }
    let mut values = Values(bytes);
    let first = values.next().ok_or(EndorsementError::Unreadable)?;
    let rest = values.rest();
    let certificate = &bytes[..bytes.len() - rest.len()];
    let is_one = first.tag == tag::SEQUENCE && certificate.len() <= CERTIFICATE_LEN_MAX;
    if is_one && is_padding(rest) { Ok(certificate) } else { Err(EndorsementError::Unreadable) }
}

fn bounded(
    intermediates: &[impl AsRef<[u8]>],
) -> Result<Vec<CertificateDer<'_>>, EndorsementError> {
    let is_short = |der: &_| AsRef::<[u8]>::as_ref(der).len() <= CERTIFICATE_LEN_MAX;
    if intermediates.len() > INTERMEDIATES_MAX || !intermediates.iter().all(is_short) {
        return Err(EndorsementError::Intermediates);
    }
    Ok(intermediates.iter().map(|der| CertificateDer::from(der.as_ref())).collect())
}

fn refusal(error: Error) -> EndorsementError {
    match error {
        Error::CertNotValidYet { not_before, .. } => {
            EndorsementError::NotYetValid(not_before.as_secs())
        }
        Error::CertExpired { not_after, .. } => EndorsementError::Expired(not_after.as_secs()),
        Error::UnknownIssuer | Error::InvalidSignatureForPublicKey => {
            EndorsementError::UnknownAuthority
        }
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => EndorsementError::Usage,
        Error::CaUsedAsEndEntity => EndorsementError::IsAuthority,
        Error::NameConstraintViolation => EndorsementError::NameConstraint,
        other => EndorsementError::Path(other),
    }
}

/// The first attribute of this type in a directory name among the subject's alternative names, of a
/// certificate that was verified.
fn directory_name<'a>(certificate: &'a [u8], oid: &[u8]) -> Option<&'a [u8]> {
    let tbs = Values(certificate).next()?.values(tag::SEQUENCE)?.next()?;
    let mut tagged = tbs.values(tag::SEQUENCE)?.find_map(|value| value.values(tag::CONTEXT_3))?;
    let names = tagged.next()?.values(tag::SEQUENCE)?.find_map(alternative_names)?;
    let directories = names.filter_map(|name| name.values(tag::CONTEXT_4)?.next());
    let sets = directories.filter_map(|name| name.values(tag::SEQUENCE)).flatten();
    let mut attributes = sets.filter_map(|set| set.values(tag::SET)).flatten();
    attributes.find_map(|attribute| attribute_value(attribute, oid))
}

fn alternative_names(extension: Value<'_>) -> Option<Values<'_>> {
    let mut fields = extension.values(tag::SEQUENCE)?;
    if fields.next()?.content(tag::OID)? != SUBJECT_ALT_NAME {
        return None;
    }
    // What may stand in between is whether it is critical.
    let octets = fields.find_map(|field| field.content(tag::OCTETS))?;
    Values(octets).next()?.values(tag::SEQUENCE)
}

fn attribute_value<'a>(attribute: Value<'a>, oid: &[u8]) -> Option<&'a [u8]> {
    let mut fields = attribute.values(tag::SEQUENCE)?;
    let is_it = fields.next()?.content(tag::OID)? == oid;
    fields.next().filter(|_| is_it).map(|value| value.content)
}

/// It as text, if people can be shown that.
fn shown(bytes: &[u8]) -> Option<String> {
    let is_shown = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let is_text = bytes.len() <= NAME_LEN_MAX && bytes.iter().all(is_shown);
    String::from_utf8(bytes.to_vec()).ok().filter(|_| is_text)
}

#[cfg(test)]
mod tests;
