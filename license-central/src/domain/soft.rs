//! What a vendor allows of soft licenses: whose TPMs count, which licenses go where, and how often
//! a new container takes the place of a lost one.

use attest::endorsement::{Authorities, CERTIFICATE_LEN_MAX, judge};
use attest::keys::EndorsementKey;
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use protocol::crypto::hash::sha256;
use protocol::errors::ErrorCode;
use protocol::ids::hex;
use protocol::objects::enrollment::{EnrollmentBody, TpmIdentity};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::catalog::check_name;
use super::env::Env;
use super::records::{
    Authority, Container, Copies, Enrolled, HomeKind, MachineClass, Maker, Product, Proved,
    SoftRules,
};
use super::refusal::{Outcome, Refusal};
use super::terms::Options;
use super::work::{Stored, Work};
use crate::store::Filter;

/// Authorities of one vendor.
const AUTHORITIES_MAX: usize = 64;

/// Most take-overs a year that a rule may allow.
const TIMES_MAX: u32 = 1000;

/// Most days of use after a machine changed that a rule may allow.
const GRACE_DAYS_MAX: u32 = 366;

/// Rules as they are changed: what is not named stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRules {
    /// See [`SoftRules`].
    #[serde(default)]
    pub same_machine_a_year: Option<u32>,
    /// The same.
    #[serde(default)]
    pub elsewhere_a_year: Option<u32>,
    /// The same.
    #[serde(default)]
    pub physical_tpm: Option<bool>,
    /// The same.
    #[serde(default)]
    pub allow_vm: Option<bool>,
    /// The same.
    #[serde(default)]
    pub copies: Option<Copies>,
    /// The same.
    #[serde(default)]
    pub grace_days: Option<u32>,
}

/// An authority as it is added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAuthority {
    /// Its name, for people.
    pub name: String,
    /// Its certificate: X.509, PEM, or DER in base64.
    pub certificate: String,
}

/// The rules of a vendor, with their version: 0 where nobody changed them.
pub fn rules(work: &mut Work<'_>) -> Outcome<Stored<SoftRules>> {
    let found = work.find::<SoftRules>(SoftRules::ID)?;
    Ok(found.unwrap_or(Stored { version: 0, record: SoftRules::default() }))
}

/// Changes rules. With a `version`, only where they are still of that one.
pub fn set_rules(
    work: &mut Work<'_>,
    new: &NewRules,
    version: Option<i64>,
) -> Outcome<Stored<SoftRules>> {
    let mut rules = rules(work)?;
    if let Some(version) = version.filter(|version| *version != rules.version) {
        let numbers = (rules.version.unsigned_abs(), version.unsigned_abs());
        return Err(ErrorCode::RecordChanged.with(numbers.0, numbers.1).into());
    }
    let times = [new.same_machine_a_year, new.elsewhere_a_year];
    if times.into_iter().flatten().any(|times| times > TIMES_MAX) {
        return Err(Refusal::malformed(format!("at most {TIMES_MAX} times a year")));
    }
    if new.grace_days.is_some_and(|days| days > GRACE_DAYS_MAX) {
        return Err(Refusal::malformed(format!("at most {GRACE_DAYS_MAX} days")));
    }
    let own = &mut rules.record;
    own.same_machine_a_year = new.same_machine_a_year.unwrap_or(own.same_machine_a_year);
    own.elsewhere_a_year = new.elsewhere_a_year.unwrap_or(own.elsewhere_a_year);
    own.physical_tpm = new.physical_tpm.unwrap_or(own.physical_tpm);
    own.allow_vm = new.allow_vm.unwrap_or(own.allow_vm);
    own.copies = new.copies.unwrap_or(own.copies);
    own.grace_days = new.grace_days.unwrap_or(own.grace_days);
    match rules.version {
        0 => work.insert(&rules.record)?,
        _ => work.update(&rules)?,
    }
    work.note("soft-rules.set", SoftRules::ID, format!("{:?}", rules.record));
    Ok(Stored { version: rules.version + 1, ..rules })
}

/// The authorities that count, in the order of their ids.
pub fn authorities(work: &mut Work<'_>) -> Outcome<Vec<Authority>> {
    let all = work.all::<Authority>(&Filter::All)?.into_iter().map(|one| one.record);
    Ok(all.filter(|one| one.removed_ms.is_none()).collect())
}

/// Adds an authority. Added again it is as it was.
pub fn add_authority(work: &mut Work<'_>, env: &Env<'_>, new: &NewAuthority) -> Outcome<Authority> {
    check_name(&new.name)?;
    let der = der(&new.certificate)?;
    let id = hex(&sha256(&der));
    let known = work.find::<Authority>(&id)?;
    if let Some(known) = known.as_ref().filter(|known| known.record.removed_ms.is_none()) {
        return Ok(known.record.clone());
    }
    if authorities(work)?.len() >= AUTHORITIES_MAX {
        return Err(Refusal::malformed(format!("a vendor believes {AUTHORITIES_MAX} at most")));
    }
    let record = Authority {
        id,
        name: new.name.clone(),
        certificate: BASE64.encode(&der),
        created_ms: env.now_ms,
        removed_ms: None,
    };
    match known {
        Some(Stored { version, .. }) => {
            work.update(&Stored { version, record: record.clone() })?;
        }
        None => work.insert(&record)?,
    }
    work.note("tpm-authority.add", &record.id, &record.name);
    Ok(record)
}

/// Removes an authority. What was certified by its word stays what it was.
pub fn remove_authority(work: &mut Work<'_>, env: &Env<'_>, id: &str) -> Outcome<Authority> {
    let mut found = work.get::<Authority>(id)?;
    if found.record.removed_ms.is_none() {
        found.record.removed_ms = Some(env.now_ms);
        work.update(&found)?;
        work.note("tpm-authority.remove", id, &found.record.name);
    }
    Ok(found.record)
}

/// Refuses machines that the vendor certifies nothing on.
pub fn admit(work: &mut Work<'_>, body: &EnrollmentBody) -> Outcome<()> {
    let may = body.tpm.is_some() || !body.is_virtual || rules(work)?.record.allow_vm;
    if may { Ok(()) } else { Err(ErrorCode::VirtualRefused.into()) }
}

/// What a container proved of its machine, whose proof held for this endorsement key.
pub fn proved(
    work: &mut Work<'_>,
    env: &Env<'_>,
    (body, ek): (&EnrollmentBody, Option<&EndorsementKey>),
) -> Outcome<Proved> {
    let vouched = match (&body.tpm, ek) {
        (Some(tpm), Some(ek)) => Some(vouched(work, env, (tpm, ek))?),
        _ => None,
    };
    let class = match (&vouched, body.is_virtual) {
        (None, _) => MachineClass::Traits,
        (Some(Err(_)), _) => MachineClass::UnprovenTpm,
        (Some(Ok(_)), true) => MachineClass::VirtualTpm,
        (Some(Ok(_)), false) => MachineClass::Tpm,
    };
    let (maker, unproven) = vouched.map_or((None, None), |told| match told {
        Ok(maker) => (Some(maker), None),
        Err(why) => (None, Some(why)),
    });
    Ok(Proved {
        class,
        is_virtual: body.is_virtual,
        tpm: ek.map(|ek| hex(&sha256(&ek.spki()))),
        maker,
        unproven,
        replaces: body.replaces.map(|lost| hex(lost.bytes())),
        certified_ms: env.now_ms,
    })
}

/// What an authority on the list says of a TPM, or why none does.
fn vouched(
    work: &mut Work<'_>,
    env: &Env<'_>,
    (tpm, ek): (&TpmIdentity, &EndorsementKey),
) -> Outcome<Result<Maker, String>> {
    let listed = authorities(work)?;
    let ders: Option<Vec<Vec<u8>>> =
        listed.iter().map(|one| BASE64.decode(&one.certificate).ok()).collect();
    let listed = ders.and_then(|ders| Authorities::new(&ders).ok());
    let listed = listed.ok_or_else(|| Refusal::malformed("an authority cannot be read"))?;
    let between: Vec<&[u8]> = tpm.intermediates.iter().map(|one| &one[..]).collect();
    let judged = judge(&tpm.certificate, &between, &listed, ek, env.now_s());
    Ok(judged.map_err(|why| why.to_string()).map(|endorsed| Maker {
        certificate: hex(&endorsed.certificate_sha256),
        manufacturer: endorsed.manufacturer,
        model: endorsed.model,
        version: endorsed.version,
    }))
}

/// Refuses a license that does not end where an old copy of the container, or of its machine,
/// would keep it for ever.
pub fn check_place(
    work: &mut Work<'_>,
    container: &Container,
    (product, options): (u32, &Options),
) -> Outcome<()> {
    if container.home.kind != HomeKind::Tpm || options.lapse_s()?.is_some() {
        return Ok(());
    }
    let enrolled = work.find::<Enrolled>(&container.id)?.and_then(|known| known.record.proved);
    match enrolled.map_or(MachineClass::UnprovenTpm, |proved| proved.class) {
        MachineClass::Tpm => Ok(()),
        MachineClass::Traits => Err(ErrorCode::EndNeeded.with(product.into(), 0).into()),
        MachineClass::VirtualTpm | MachineClass::UnprovenTpm => {
            let own = work.find::<Product>(&Product::id_of(product))?;
            let own = own.and_then(|own| own.record.physical_tpm);
            let is_needed = match own {
                Some(own) => own,
                None => rules(work)?.record.physical_tpm,
            };
            if is_needed {
                return Err(ErrorCode::PhysicalTpmNeeded.with(product.into(), 0).into());
            }
            Ok(())
        }
    }
}

/// Whether a license was refused by [`check_place`].
pub fn is_misplaced(refused: &Refusal) -> bool {
    refused.is(ErrorCode::EndNeeded) || refused.is(ErrorCode::PhysicalTpmNeeded)
}

/// The one certificate in a text.
fn der(text: &str) -> Outcome<Vec<u8>> {
    let der = match text.trim_start().starts_with("-----BEGIN") {
        true => {
            let mut all = CertificateDer::pem_slice_iter(text.as_bytes());
            let first = all.next().and_then(Result::ok).filter(|_| all.next().is_none());
            first.map(|one| one.to_vec())
        }
        false => BASE64.decode(text.trim()).ok(),
    };
    let is_one = |der: &Vec<u8>| {
        der.len() <= CERTIFICATE_LEN_MAX && Authorities::new(&[der.as_slice()]).is_ok()
    };
    der.filter(is_one).ok_or_else(|| Refusal::malformed("one certificate: X.509, PEM or base64"))
}
