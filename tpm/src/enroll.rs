//! How a container comes into being: its keys are drawn and sealed, and a firm certifies them.
//!
//! In three steps, each of which may be repeated, since what passes between them may take days by
//! files: a request, the proof that answers the firm's challenge, and the certificate.

use std::path::Path;

use protocol::codec::{self, Bytes, Fixed, List};
use protocol::crypto::ecdsa::SigningKey;
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{ContainerId, ContainerKind, RootFp};
use protocol::limits::{
    DEVICE_BODY_LEN_MAX, ENROLLMENT_BODY_LEN_MAX, ENROLLMENT_PROOF_LEN_MAX, ROOT_BODY_LEN_MAX,
};
use protocol::objects::device::{ClockClass, Device};
use protocol::objects::enrollment::{
    Attested, Challenge, Enrollment, EnrollmentBody, EnrollmentProofBody, TpmEvidence, TpmIdentity,
    attestation_unique, qualifying, sign,
};
use protocol::objects::file::{self, FileKind};
use protocol::objects::root::Root;
use protocol::signed::{Kind, UnverifiedObject};
use zeroize::Zeroizing;

use crate::binding::{self, Binding, Intent, PublicKeys, Seal};
use crate::chip::{Chip, EkKind, Evidence, Passwords, Trouble};
use crate::clock::HostClock;
use crate::directory::Directory;
use crate::guard::Guard;
use crate::helper::trouble;
use crate::home::{FIRMWARE, System};
use crate::machine_key::{Asked, Machine};
use crate::opening::{self, Opened};
use crate::refusal::Refusal;
use crate::state::{Secrets, State};
use crate::vault::{AccessOf, Vault};
use crate::watch::Watch;

/// The request that waits for its certificate, in the container's folder.
const REQUEST: &str = "enrollment";
/// Bytes of it, at most.
const REQUEST_LEN_MAX: usize = ENROLLMENT_BODY_LEN_MAX + 1024;

/// How a new container is to be bound.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// By the machine's traits alone.
    pub is_without_tpm: bool,
    /// How much of the machine must be the same, where that is said.
    pub tolerance: Option<Asked>,
}

/// Makes the request for a certificate of a firm: for the container in the folder, or for a new one
/// where there is none, which may take the place of one that was lost. Until it is certified, the
/// same request comes again.
///
/// # Errors
/// Those of the folder, the TPM and the machine; [`ErrorCode::AlreadyThere`] where a container of
/// another firm is there, or one that is bound otherwise or in use.
pub fn request(
    folder: &Path,
    (firm, replaces): (RootFp, Option<ContainerId>),
    wanted: Wanted,
    access: AccessOf,
    machine: &Machine,
) -> Result<Vec<u8>, Refusal> {
    let directory = Directory::create(folder)?;
    let _lock = directory.lock()?.ok_or(ErrorCode::AlreadyThere)?;
    let mut opened = match opening::read(&directory, binding::NAME)? {
        Some(binding) if binding.firm != firm => return Err(ErrorCode::AlreadyThere.into()),
        Some(_) => opening::open(folder, access, machine)?,
        None => create(directory, firm, wanted, access, machine)?,
    };
    if !wanted.is_met_by(&opened) {
        return Err(ErrorCode::AlreadyThere.into());
    }
    let directory = opened.vault.directory();
    if let Some(waiting) = directory.read(REQUEST, REQUEST_LEN_MAX)? {
        return Ok(waiting);
    }
    let key = identity_key(&opened.state)?;
    let Opened { vault, binding, .. } = &mut opened;
    let tpm = match &binding.seal {
        Seal::Tpm(seal) => {
            let chip = vault.chip().ok_or(trouble(Trouble::Absent))?;
            Some(identity(chip, firm, seal.counter().handle).map_err(trouble)?)
        }
        Seal::Traits => None,
    };
    let body = EnrollmentBody {
        identity_key: binding.keys.identity,
        channel_key: binding.keys.channel,
        sealing_key: binding.keys.sealing,
        anchor: binding.anchor(),
        tpm,
        is_virtual: !machine::collect::virtual_hints(machine.root()).is_empty(),
        replaces,
        home_version: FIRMWARE,
        nonce: Fixed(drawn()?),
    };
    let object = sign(Kind::Enrollment, (firm, binding.container), &body, &key, &drawn()?);
    let request = file::write(FileKind::Enrollment, &[&object]);
    vault.directory().write(REQUEST, &request).map_err(unwritten)?;
    Ok(request)
}

/// Answers a firm's challenge.
///
/// # Errors
/// [`ErrorCode::EnrollmentUnknown`] for one of another request; [`ErrorCode::TpmUnproven`] for one
/// that this TPM cannot open; those of the folder and the TPM.
pub fn prove(
    folder: &Path,
    access: AccessOf,
    machine: &Machine,
    challenge: &[u8],
) -> Result<Vec<u8>, Refusal> {
    let body = file::expect(challenge, FileKind::EnrollmentChallenge)?;
    let challenge: Challenge = codec::decode(body, ENROLLMENT_PROOF_LEN_MAX)
        .map_err(|_| ErrorCode::EnrollmentRefused.failure())?;
    let directory = Directory::open(folder)?;
    let _lock = directory.lock()?.ok_or(ErrorCode::AlreadyThere)?;
    let unknown = ErrorCode::EnrollmentUnknown.failure();
    let request = directory.read(REQUEST, REQUEST_LEN_MAX)?.ok_or(unknown)?;
    let (object, _) =
        file::next_object(file::expect(&request, FileKind::Enrollment)?, ENROLLMENT_BODY_LEN_MAX)?;
    let request = Enrollment::verify(&object).map_err(|_| unknown)?;
    if challenge.container != request.container || challenge.request.0 != request.hash {
        return Err(unknown.into());
    }
    let passwords = access()?.passwords;
    let mut opened = opening::open(folder, access, machine)?;
    let key = identity_key(&opened.state)?;
    let tpm = match &request.body.tpm {
        Some(tpm) => {
            let chip = opened.vault.chip().ok_or(trouble(Trouble::Absent))?;
            Some(evidence(chip, &passwords, (&request, tpm), &challenge)?)
        }
        None => None,
    };
    let body = EnrollmentProofBody { request: challenge.request, nonce: challenge.nonce, tpm };
    let of = (request.firm, request.container);
    let object = sign(Kind::EnrollmentProof, of, &body, &key, &drawn()?);
    Ok(file::write(FileKind::EnrollmentProof, &[&object]))
}

/// Takes a firm's certificate in: a file with the firm's roots from the first to the one whose key
/// certified, and the certificate.
///
/// # Errors
/// [`ErrorCode::CertificateRefused`] for one that does not hold, or is of another container.
pub fn certify(folder: &Path, certification: &[u8]) -> Result<Binding, Refusal> {
    let refused = ErrorCode::CertificateRefused.failure();
    let directory = Directory::open(folder)?;
    let mut binding = opening::read(&directory, binding::NAME)?.ok_or(ErrorCode::SoftDamaged)?;
    let (roots, newest, certificate) = taken_apart(certification)?;
    if newest.root_fp != binding.firm {
        return Err(refused.into());
    }
    let (object, rest) =
        UnverifiedObject::read(certificate, DEVICE_BODY_LEN_MAX).map_err(|_| refused)?;
    let device = Device::verify(&object, &newest).map_err(|_| refused)?;
    let body = &device.body;
    let keys = PublicKeys {
        identity: body.identity_key,
        channel: body.channel_key,
        sealing: body.sealing_key,
    };
    let is_ours = device.id == binding.container && keys == binding.keys && rest.is_empty();
    let is_soft = body.kind == ContainerKind::Tpm
        && body.clock == ClockClass::Host
        && body.anchor == binding.anchor();
    if !is_ours || !is_soft {
        return Err(refused.into());
    }
    binding.certificate = Bytes::new(certificate).ok_or(refused)?;
    let roots: Option<Vec<_>> = roots.into_iter().map(Bytes::new).collect();
    binding.roots = roots.and_then(List::new).ok_or(refused)?;
    directory.write(binding::NAME, &binding.write()).map_err(unwritten)?;
    directory.remove(REQUEST).map_err(unwritten)?;
    Ok(binding)
}

impl Wanted {
    fn is_met_by(&self, opened: &Opened) -> bool {
        let is_without_tpm = opened.binding.seal == Seal::Traits;
        let is_asked = |asked| asked == opened.state.watch.asked();
        is_without_tpm == self.is_without_tpm && self.tolerance.is_none_or(is_asked)
    }
}

/// A new container in a folder that has none.
fn create(
    directory: Directory,
    firm: RootFp,
    wanted: Wanted,
    access: AccessOf,
    machine: &Machine,
) -> Result<Opened, Refusal> {
    let has_tpm = !wanted.is_without_tpm;
    let asked = wanted.tolerance.unwrap_or(Asked::default_of(has_tpm));
    if asked == Asked::OFF && !has_tpm {
        return Err(ErrorCode::SoftNeedsTraits.into());
    }
    Vault::clear(&directory, access, machine)?;
    let key = machine.bind(asked, has_tpm)?;
    let container = ContainerId::new(drawn()?);
    let secrets = Secrets::draw(&mut System).map_err(|_| ErrorCode::RandomFailed)?;
    let keys = secrets.public().map_err(|_| ErrorCode::RandomFailed)?;
    let state = State::new(secrets, Watch::new(asked, HostClock::new(0).seen_s()));
    let access = if has_tpm { Some(access()?) } else { None };
    let (vault, seal) = Vault::create(directory, container, access, &key, &state.write())?;
    let binding = Binding {
        container,
        firm,
        keys,
        seal,
        traits: key.record,
        certificate: Bytes::default(),
        roots: List::default(),
    };
    vault.directory().write(binding::NAME, &binding.write()).map_err(unwritten)?;
    vault.directory().remove(Intent::NAME).map_err(unwritten)?;
    let guard = Guard::new(machine, None, &state);
    Ok(Opened { vault, state, guard, binding })
}

fn identity_key(state: &State) -> Result<SigningKey, Failure> {
    let key = SigningKey::from_bytes(&state.secrets.identity);
    key.map_err(|_| ErrorCode::SoftDamaged.failure())
}

/// Who the TPM is.
fn identity(chip: &mut Chip, firm: RootFp, counter: u32) -> Result<TpmIdentity, Trouble> {
    let endorsement = chip.endorsement()?;
    let attestation_key = chip.attestation_key(attestation_unique(firm))?;
    let certificate = endorsement.certificate.unwrap_or_default();
    Ok(TpmIdentity {
        endorsement_key: Bytes::new(endorsement.public).ok_or(Trouble::Garbled)?,
        certificate: Bytes::new(certificate).ok_or(Trouble::Garbled)?,
        intermediates: List::default(),
        attestation_key: Bytes::new(attestation_key).ok_or(Trouble::Garbled)?,
        counter,
    })
}

/// What the TPM signs, once it opened the credential.
fn evidence(
    chip: &mut Chip,
    passwords: &Passwords,
    (request, tpm): (&Enrollment, &TpmIdentity),
    challenge: &Challenge,
) -> Result<TpmEvidence, Failure> {
    let unproven = ErrorCode::TpmUnproven.failure();
    let credential = challenge.credential.as_ref().ok_or(unproven)?;
    let unique = attestation_unique(request.firm);
    let kind = EkKind::of(&tpm.endorsement_key).ok_or(unproven)?;
    let (id_object, secret) = (sized(&credential.id_object), sized(&credential.secret));
    let secret = chip
        .activate(kind, unique, id_object.ok_or(unproven)?, secret.ok_or(unproven)?)
        .map_err(|why| if why == Trouble::Foreign { unproven } else { trouble(why) })?;
    let secret: [u8; 32] = secret.as_slice().try_into().map_err(|_| unproven)?;
    let secret = Zeroizing::new(secret);
    let signed = qualifying(&request.hash, &challenge.nonce.0, &secret);
    let quote = chip.quote(unique, &signed).map_err(trouble)?;
    let (counter, record) = chip.counter().map_err(trouble)?;
    let _ = counter;
    let counter = chip.certify_counter(passwords, unique, &record, &signed).map_err(trouble)?;
    let attested = |evidence: Evidence| {
        let (attest, signature) = (Bytes::new(evidence.attest), Bytes::new(evidence.signature));
        Some(Attested { attest: attest?, signature: signature? })
    };
    let (quote, counter) = (attested(quote), attested(counter));
    Ok(TpmEvidence { quote: quote.ok_or(unproven)?, counter: counter.ok_or(unproven)? })
}

/// The roots of a certification, the newest of them verified, and the certificate.
type TakenApart<'a> = (Vec<Vec<u8>>, Root, &'a [u8]);

/// Takes a certification apart.
fn taken_apart(certification: &[u8]) -> Result<TakenApart<'_>, Failure> {
    let refused = ErrorCode::CertificateRefused.failure();
    let mut rest = file::expect(certification, FileKind::Certification)?;
    let (mut roots, mut newest): (Vec<Vec<u8>>, Option<Root>) = (Vec::new(), None);
    loop {
        let (object, behind) =
            UnverifiedObject::read(rest, ROOT_BODY_LEN_MAX).map_err(|_| refused)?;
        if object.header().kind != Kind::Root {
            return Ok((roots, newest.ok_or(refused)?, rest));
        }
        let root = match &newest {
            None => Root::verify_first(&object),
            Some(root) => root.verify_next(&object),
        };
        newest = Some(root.map_err(|_| refused)?);
        roots.push(rest[..rest.len() - behind.len()].to_vec());
        rest = behind;
    }
}

/// What stands behind its own length of two bytes: `TPM2B`.
fn sized(bytes: &[u8]) -> Option<&[u8]> {
    let (len, content) = bytes.split_first_chunk::<2>()?;
    (usize::from(u16::from_be_bytes(*len)) == content.len()).then_some(content)
}

fn drawn<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| ErrorCode::RandomFailed.failure())?;
    Ok(bytes)
}

/// A disk that is full, most likely.
fn unwritten(_: std::io::Error) -> Failure {
    ErrorCode::HelperFailed.failure()
}
