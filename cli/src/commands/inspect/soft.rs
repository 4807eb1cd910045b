//! Files of soft licenses: how they are certified, and what lies in their folder.

use protocol::codec;
use protocol::ids::{ContainerId, ContainerKind, RootFp};
use protocol::limits::{ENROLLMENT_BODY_LEN_MAX, ENROLLMENT_PROOF_LEN_MAX};
use protocol::objects::enrollment::{Challenge, Enrollment, EnrollmentBody, EnrollmentProofBody};
use protocol::signed::UnverifiedObject;

use super::fields::Fields;
use super::objects::unreadable;
use crate::commands::shown;

/// A request for a certificate.
pub(super) fn enrollment(object: &UnverifiedObject<'_>, body: &[u8]) -> Fields {
    let fields = named(Fields::of("request for a certificate"), object);
    let signed = match Enrollment::verify(object) {
        Ok(_) => "by the key that it names",
        Err(_) => "NOT by the key that it names",
    };
    let fields = fields.text("signed_by", signed);
    match codec::decode::<EnrollmentBody>(body, ENROLLMENT_BODY_LEN_MAX) {
        Ok(body) => {
            let tpm = match &body.tpm {
                None => "none",
                Some(tpm) if tpm.certificate.is_empty() => "one that no maker certified",
                Some(_) => "one with a certificate",
            };
            let machine = if body.is_virtual { "a virtual one" } else { "nothing says virtual" };
            let fields = match body.replaces {
                Some(lost) => fields.text("replaces", lost),
                None => fields,
            };
            fields
                .text("anchor", shown::anchor(body.anchor))
                .text("tpm", tpm)
                .text("machine", machine)
                .hex("identity_key", body.identity_key.0)
                .hex("channel_key", body.channel_key.0)
                .hex("sealing_key", body.sealing_key.0)
        }
        Err(error) => unreadable(fields, error),
    }
}

/// The answer to a challenge.
pub(super) fn proof(object: &UnverifiedObject<'_>, body: &[u8]) -> Fields {
    let fields = named(Fields::of("answer to a challenge"), object);
    match codec::decode::<EnrollmentProofBody>(body, ENROLLMENT_PROOF_LEN_MAX) {
        Ok(body) => fields
            .hex("request", body.request.0)
            .hex("nonce", body.nonce.0)
            .text("tpm", if body.tpm.is_some() { "quote and counter" } else { "none" }),
        Err(error) => unreadable(fields, error),
    }
}

/// A challenge: no object, but a file of its own.
pub(super) fn challenge(bytes: &[u8]) -> Fields {
    let fields = Fields::of("challenge to a container");
    match codec::decode::<Challenge>(bytes, ENROLLMENT_PROOF_LEN_MAX) {
        Ok(challenge) => fields
            .text("container", challenge.container)
            .hex("request", challenge.request.0)
            .hex("nonce", challenge.nonce.0)
            .text(
                "credential",
                if challenge.credential.is_some() { "for its TPM" } else { "none" },
            ),
        Err(error) => unreadable(fields, error),
    }
}

/// What a container is bound to, as far as it can be read without its helper.
pub(super) fn binding(bytes: &[u8]) -> Fields {
    let fields = Fields::of("binding of a soft license");
    let Some((id, rest)) = bytes.split_first_chunk::<16>() else { return cut(fields) };
    let Some((firm, _)) = rest.split_first_chunk::<16>() else { return cut(fields) };
    fields
        .text("serial", ContainerId::new(*id).serial(ContainerKind::Tpm))
        .text("container", ContainerId::new(*id))
        .text("vendor_fp", RootFp::new(*firm))
        .number("bytes", bytes.len() as u64)
}

/// A sealed state: only where it belongs can be read.
pub(super) fn state(bytes: &[u8]) -> Fields {
    let fields = Fields::of("sealed state of a soft license");
    let Some((id, rest)) = bytes.split_first_chunk::<16>() else { return cut(fields) };
    let Some((epoch, rest)) = rest.split_first_chunk::<8>() else { return cut(fields) };
    let Some((before, _)) = rest.split_first_chunk::<32>() else { return cut(fields) };
    fields
        .text("serial", ContainerId::new(*id).serial(ContainerKind::Tpm))
        .text("container", ContainerId::new(*id))
        .number("epoch", u64::from_be_bytes(*epoch))
        .hex("before", *before)
        .number("bytes", bytes.len() as u64)
}

fn cut(fields: Fields) -> Fields {
    fields.text("damaged", "it is cut short")
}

fn named(fields: Fields, object: &UnverifiedObject<'_>) -> Fields {
    let header = object.header();
    fields.text("container", ContainerId::new(header.target)).text("vendor_fp", header.root_fp)
}
