//! Containers that a vendor certifies itself: those of soft licenses, whose keys are made on the
//! customer's machine.
//!
//! In two steps, each of which may be repeated. A request is answered by a challenge, which a TPM
//! answers that has both keys of the request; the proof is answered by a certificate. What counts
//! is in records before anything leaves, so a lost answer is asked for again and is the same.

use attest::evidence::{verify_nv_certify, verify_quote};
use attest::keys::{AttestationKey, EndorsementKey, check_ak, check_ek};
use attest::nv::{COUNTER_LEN, Index, NvPublic, Purpose, attribute};
use attest::public::Public;
use protocol::codec::{self, Bytes, Fixed};
use protocol::crypto::hash::Hash32;
use protocol::errors::{ErrorCode, Failure, Shown};
use protocol::ids::{ContainerKind, hex, parse_hex};
use protocol::limits::{ENROLLMENT_BODY_LEN_MAX, ENROLLMENT_PROOF_LEN_MAX};
use protocol::objects::device::{AnchorClass, ClockClass, DeviceBody};
use protocol::objects::enrollment::{
    Challenge, Credential, Enrollment, EnrollmentBody, EnrollmentProofBody, TpmIdentity, qualifying,
};
use protocol::objects::file::{self, FileKind};

use super::central::Central;
use super::env::Env;
use super::firm::Firm;
use super::orders::unhex;
use super::records::{Container, Enrolled, MachineClass, identity_in};
use super::refusal::{Outcome, Refusal};
use super::work::{Record, Stored, Work};
use super::{soft, takeover};
use crate::store::{self, Filter, Page, Store, StoreError};

/// How long a request waits for its proof: 90 days.
const KEPT_MS: i64 = 90 * 24 * 3_600_000;

/// Requests that are deleted in one step.
const FORGOTTEN_AT_ONCE: usize = 500;

/// What a TPM says it is, in the forms that the rest relies on.
pub(super) struct Tpm {
    endorsement: EndorsementKey,
    pub(super) attestation: AttestationKey,
    pub(super) counter: Index,
}

/// Answers a request by its challenge: a file.
pub fn begin(work: &mut Work<'_>, env: &Env<'_>, firm: &Firm, bytes: &[u8]) -> Outcome<Vec<u8>> {
    let (request, object) = read_request(firm, bytes)?;
    let id = hex(request.container.bytes());
    let hash = hex(&request.hash);
    takeover::refuse_replaced(work, &id)?;
    soft::admit(work, &request.body)?;
    let known = work.find::<Enrolled>(&id)?;
    if let Some(known) = known.as_ref().filter(|known| known.record.request_hash == hash) {
        return from_hex(&known.record.challenge);
    }
    check_own(work, &request)?;
    check_same_tpm(firm, known.as_ref().map(|known| &known.record), &request)?;
    let tpm = request.body.tpm.as_ref().map(Tpm::read).transpose()?;
    let is_kept_by_tpm = request.body.anchor == AnchorClass::Tpm;
    if is_kept_by_tpm != tpm.is_some() {
        return Err(refused("it says to be in a TPM, and shows none"));
    }
    let (nonce, secret) = (env.bytes::<32>(), env.bytes::<32>());
    let credential = tpm.as_ref().map(|tpm| credential(env, tpm, &secret)).transpose()?;
    let challenge = Challenge {
        container: request.container,
        request: Fixed(request.hash),
        nonce: Fixed(nonce),
        credential,
    };
    let challenge = file::write(FileKind::EnrollmentChallenge, &[&codec::encode(&challenge)]);
    let record = Enrolled {
        id,
        request: hex(object),
        request_hash: hash,
        challenge: hex(&challenge),
        secret: hex(&secret),
        // What was certified before stays what it is until the new proof is here.
        certificate: known.as_ref().and_then(|known| known.record.certificate.clone()),
        proved: known.as_ref().and_then(|known| known.record.proved.clone()),
        created_ms: env.now_ms,
    };
    match known {
        Some(Stored { version, .. }) => work.update(&Stored { version, record })?,
        None => work.insert(&record)?,
    }
    Ok(challenge)
}

/// Answers a proof by a certificate: a file with the firm's roots and the object; and why what a
/// lost container held waits for a person, if it does.
pub fn finish(
    central: &Central,
    tenant: &str,
    actor: &str,
    bytes: &[u8],
) -> Outcome<(Vec<u8>, Option<Failure>)> {
    let firm = central.firm(tenant)?;
    let read = |work: &mut Work<'_>| {
        let (record, request) = waiting(work, &firm, bytes)?;
        let proof = proof(&request, bytes)?;
        check(&record, &request, &proof)?;
        Ok((record, request))
    };
    let (record, request) = central.read(tenant, read)?;
    let certificate = match &record.certificate {
        // The answer was lost, and is asked for again.
        Some(certificate) if record.secret.is_empty() => from_hex(certificate)?,
        _ => firm.signer.certify(request.container, &device(&request.body))?,
    };
    let waits = central.write(tenant, actor, |work, env| {
        let (record, request) = waiting(work, &firm, bytes)?;
        if !record.secret.is_empty() {
            keep(work, env, &firm, (record, &request, &certificate))?;
        }
        let waits = takeover::waits(work, &hex(request.container.bytes()))?;
        Ok(waits.map(|claim| claim.failure()))
    })?;
    let mut objects: Vec<&[u8]> =
        firm.trust.roots.iter().map(|root| root.bytes.as_slice()).collect();
    objects.push(&certificate);
    Ok((file::write(FileKind::Certification, &objects), waits))
}

/// Keeps a certificate with what was proved for it, and looks whose place its container takes.
fn keep(
    work: &mut Work<'_>,
    env: &Env<'_>,
    firm: &Firm,
    (mut record, request, certificate): (Enrolled, &Enrollment, &[u8]),
) -> Outcome<()> {
    let body = &request.body;
    let tpm = body.tpm.as_ref().map(Tpm::read).transpose()?;
    let mut proved = soft::proved(work, env, (body, tpm.as_ref().map(|tpm| &tpm.endorsement)))?;
    let before = record.proved.take().and_then(|before| before.replaces);
    proved.replaces = proved.replaces.or(before);
    let what = match proved.class {
        MachineClass::Tpm => "in a TPM",
        MachineClass::VirtualTpm => "in the TPM of a virtual machine",
        MachineClass::UnprovenTpm => "in a TPM that nobody on the list vouches for",
        MachineClass::Traits => "by the machine's traits",
    };
    record.proved = Some(proved);
    record.certificate = Some(hex(certificate));
    record.secret.clear();
    let stored = work.get::<Enrolled>(&record.id)?;
    work.note("container.certify", &record.id, what);
    work.update(&Stored { version: stored.version, record: record.clone() })?;
    takeover::ask(work, env, firm, (&record, &record.request))
}

/// Deletes requests that nobody proved anything for for 90 days; how many. No audit: nothing
/// came of them.
pub fn forget(store: &dyn Store, tenant: &str, now_ms: i64) -> Result<usize, StoreError> {
    let old = Filter::Below("waits_ms", now_ms.saturating_sub(KEPT_MS));
    let mut count = 0;
    loop {
        let mut gone = 0;
        store.transact(store::Purpose::Write, &mut |open| {
            let page = Page { after: None, limit: FORGOTTEN_AT_ONCE };
            let rows = open.find(tenant, Enrolled::TABLE, &old, &page)?;
            gone = rows.len();
            let ids: Vec<String> = rows.into_iter().map(|row| row.id).collect();
            if ids.is_empty() { Ok(()) } else { open.remove(tenant, Enrolled::TABLE, &ids) }
        })?;
        count += gone;
        if gone < FORGOTTEN_AT_ONCE {
            return Ok(count);
        }
    }
}

/// A known container, if it shows itself with the key that it is known by.
pub fn of_same_key(known: Stored<Container>, shown: &DeviceBody) -> Outcome<Stored<Container>> {
    match identity_in(&known.record.certificate) {
        Some(key) if key != shown.identity_key => Err(ErrorCode::EnrollmentTaken.into()),
        _ => Ok(known),
    }
}

impl Tpm {
    pub(super) fn read(identity: &TpmIdentity) -> Outcome<Self> {
        let why = |why: &dyn std::fmt::Display| unproven(why);
        let public = |bytes: &[u8]| Public::parse(bytes).map_err(|error| why(&error));
        let endorsement = check_ek(&public(&identity.endorsement_key)?).map_err(|e| why(&e))?;
        let attestation = check_ak(&public(&identity.attestation_key)?).map_err(|e| why(&e))?;
        let counter = NvPublic {
            handle: identity.counter,
            attributes: attribute::AUTH_READ
                | attribute::AUTH_WRITE
                | attribute::NO_DA
                | attribute::COUNTER
                | attribute::WRITTEN,
            policy: None,
            data_len: COUNTER_LEN,
        };
        let counter = counter.check(Purpose::Counter).map_err(|error| why(&error))?;
        Ok(Tpm { endorsement, attestation, counter })
    }
}

/// Verifies a request for this firm; also its object alone.
pub(super) fn read_request<'a>(firm: &Firm, bytes: &'a [u8]) -> Outcome<(Enrollment, &'a [u8])> {
    let own = file::expect(bytes, FileKind::Enrollment)?;
    let (object, rest) = file::next_object(own, ENROLLMENT_BODY_LEN_MAX)?;
    file::finish(rest)?;
    let request = Enrollment::verify(&object).map_err(refused)?;
    let (root_fp, _) = firm.identity()?;
    if request.firm != root_fp {
        return Err(refused("it is for another vendor"));
    }
    Ok((request, own))
}

/// Refuses a request in the name of a container that is known with another key: its licenses, and
/// what it said, would be somebody else's.
fn check_own(work: &mut Work<'_>, request: &Enrollment) -> Outcome<()> {
    let id = hex(request.container.bytes());
    let enrolled = work.find::<Enrolled>(&id)?.and_then(|known| known.record.identity());
    let met = work.find::<Container>(&id)?;
    let met = met.and_then(|known| identity_in(&known.record.certificate));
    let is_own = [enrolled, met].into_iter().flatten().all(|k| k == request.body.identity_key);
    if is_own { Ok(()) } else { Err(ErrorCode::EnrollmentTaken.into()) }
}

/// Refuses a request for a container that was certified in another TPM, or in none: what is sealed
/// moves to no other, so whoever asks has its keys and not its TPM.
fn check_same_tpm(firm: &Firm, known: Option<&Enrolled>, request: &Enrollment) -> Outcome<()> {
    let Some(known) = known.filter(|known| known.certificate.is_some()) else { return Ok(()) };
    let before = file::write(FileKind::Enrollment, &[&from_hex(&known.request)?]);
    let (before, _) = read_request(firm, &before)?;
    let key = |body: &EnrollmentBody| body.tpm.as_ref().map(|tpm| tpm.attestation_key.clone());
    let is_same = key(&before.body) == key(&request.body);
    if is_same { Ok(()) } else { Err(ErrorCode::EnrollmentTaken.into()) }
}

/// The request that a proof answers, as it waits.
fn waiting(work: &mut Work<'_>, firm: &Firm, bytes: &[u8]) -> Outcome<(Enrolled, Enrollment)> {
    let own = file::expect(bytes, FileKind::EnrollmentProof)?;
    let (object, rest) = file::next_object(own, ENROLLMENT_PROOF_LEN_MAX)?;
    file::finish(rest)?;
    let record = work.find::<Enrolled>(&hex(&object.header().target))?;
    let record = record.ok_or(ErrorCode::EnrollmentUnknown)?.record;
    let request = file::write(FileKind::Enrollment, &[&from_hex(&record.request)?]);
    let (request, _) = read_request(firm, &request)?;
    takeover::refuse_replaced(work, &record.id)?;
    Ok((record, request))
}

/// Verifies a proof by the key of its request.
fn proof(request: &Enrollment, bytes: &[u8]) -> Outcome<EnrollmentProofBody> {
    let own = file::expect(bytes, FileKind::EnrollmentProof)?;
    let (object, _) = file::next_object(own, ENROLLMENT_PROOF_LEN_MAX)?;
    request.verify_proof(&object).map_err(refused)
}

/// Whether a proof answers the challenge of its request.
fn check(record: &Enrolled, request: &Enrollment, proof: &EnrollmentProofBody) -> Outcome<()> {
    let challenge = from_hex(&record.challenge)?;
    let challenge = file::expect(&challenge, FileKind::EnrollmentChallenge)?;
    let challenge: Challenge =
        codec::decode(challenge, ENROLLMENT_PROOF_LEN_MAX).map_err(refused)?;
    if challenge.nonce != proof.nonce {
        return Err(ErrorCode::EnrollmentUnknown.into());
    }
    let (Some(tpm), false) = (&request.body.tpm, record.secret.is_empty()) else { return Ok(()) };
    let evidence = proof.tpm.as_ref().ok_or_else(|| unproven("it shows nothing of its TPM"))?;
    let tpm = Tpm::read(tpm)?;
    let secret = parse_hex::<32>(&record.secret).ok_or(ErrorCode::EnrollmentUnknown)?;
    let signed: Hash32 = qualifying(&request.hash, &challenge.nonce.0, &secret);
    let quote = &evidence.quote;
    verify_quote(&tpm.attestation, &quote.attest, &quote.signature, &signed).map_err(unproven)?;
    let (key, counter) = (&tpm.attestation, &evidence.counter);
    verify_nv_certify(key, &counter.attest, &counter.signature, &signed, &tpm.counter)
        .map_err(unproven)?;
    Ok(())
}

/// What is certified.
fn device(body: &EnrollmentBody) -> DeviceBody {
    DeviceBody {
        kind: ContainerKind::Tpm,
        clock: ClockClass::Host,
        anchor: body.anchor,
        identity_key: body.identity_key,
        channel_key: body.channel_key,
        sealing_key: body.sealing_key,
        batch: 0,
    }
}

fn credential(env: &Env<'_>, tpm: &Tpm, secret: &[u8; 32]) -> Outcome<Credential> {
    let mut random = |out: &mut [u8]| {
        env.random.fill(out);
        Ok(())
    };
    let made =
        attest::credential::challenge(&tpm.endorsement, &tpm.attestation, secret, &mut random);
    let made = made.map_err(unproven)?;
    let bounded = |bytes: Vec<u8>| Bytes::new(bytes).ok_or_else(|| unproven("its key is too long"));
    Ok(Credential { id_object: bounded(made.id_object)?, secret: bounded(made.encrypted_seed)? })
}

fn from_hex(text: &str) -> Outcome<Vec<u8>> {
    unhex(text).ok_or_else(|| Refusal::missing("the request"))
}

fn refused(why: impl std::fmt::Display) -> Refusal {
    Shown::from(ErrorCode::EnrollmentRefused.failure()).detailed(why).into()
}

pub(super) fn unproven(why: impl std::fmt::Display) -> Refusal {
    Shown::from(ErrorCode::TpmUnproven.failure()).detailed(why).into()
}
