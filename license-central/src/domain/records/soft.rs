//! Records of soft licenses: who asked for a certificate, what was proved, what a vendor allows.

use protocol::codec::{self, Fixed};
use protocol::errors::{ErrorCode, Failure};
use protocol::limits::DEVICE_BODY_LEN_MAX;
use protocol::objects::device::DeviceBody;
use protocol::objects::file;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::orders::unhex;

/// A container that asked to be certified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// The container's id, 32 hexadecimal digits.
    pub id: String,
    /// Its request, hexadecimal.
    pub request: String,
    /// What names the request, hexadecimal.
    pub request_hash: String,
    /// The challenge file that answered it, hexadecimal.
    pub challenge: String,
    /// What only its TPM could read, hexadecimal; empty once it did.
    pub secret: String,
    /// Its certificate, hexadecimal, once there is one.
    pub certificate: Option<String>,
    /// What it proved for that.
    #[serde(default)]
    pub proved: Option<Proved>,
    /// When it asked, milliseconds since 1970 UTC.
    pub created_ms: i64,
}

/// What a container proved of its machine when it was certified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Proved {
    /// What binds it.
    pub class: MachineClass,
    /// Whether the machine says that it is a virtual one.
    pub is_virtual: bool,
    /// SHA-256 of its TPM's endorsement key, hexadecimal: the same on the same machine.
    pub tpm: Option<String>,
    /// What an authority on the vendor's list says of the TPM.
    pub maker: Option<Maker>,
    /// Why none does.
    pub unproven: Option<String>,
    /// The container whose place it asked to take, 32 hexadecimal digits.
    pub replaces: Option<String>,
    /// When it was certified, milliseconds since 1970 UTC.
    pub certified_ms: i64,
}

/// What binds a soft license to its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MachineClass {
    /// A TPM for which an authority on the vendor's list vouches.
    Tpm,
    /// The same in a machine that says to be a virtual one: who owns the host can copy both.
    VirtualTpm,
    /// A TPM for which nobody on the list vouches: it may be a program.
    UnprovenTpm,
    /// The machine's traits alone.
    Traits,
}

/// What a TPM's certificate says, as far as it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Maker {
    /// SHA-256 of the certificate, hexadecimal.
    pub certificate: String,
    /// Who made the TPM, such as `id:49465800`.
    pub manufacturer: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Version of its firmware when it was made.
    pub version: Option<String>,
}

/// What a vendor allows of soft licenses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SoftRules {
    /// How often within 365 days what a lost container held goes by itself to a new one on the
    /// same machine, for each machine.
    pub same_machine_a_year: u32,
    /// How often within 365 days it does where that is not proved, for each line of containers
    /// that took each other's place.
    pub elsewhere_a_year: u32,
    /// Whether licenses that do not end need a physical TPM.
    pub physical_tpm: bool,
    /// Whether virtual machines without a TPM are certified.
    pub allow_vm: bool,
    /// What is done where a container turns out to have a copy.
    pub copies: Copies,
    /// Days for which a container may be used after its machine was copied or changed, until it
    /// asked again.
    pub grace_days: u32,
}

/// What is done where a container turns out to have a copy. The copy that asked later gets nothing
/// in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Copies {
    /// Neither gets anything until a person decided.
    All,
    /// The one that asked first goes on, and a person decides what becomes of it.
    Newest,
    /// The one that asked first goes on, and the evidence is kept for those who look.
    Notify,
}

/// A maker of TPMs that a vendor believes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Authority {
    /// SHA-256 of its certificate, hexadecimal.
    pub id: String,
    /// Its name, for people.
    pub name: String,
    /// Its certificate: X.509, DER, base64.
    pub certificate: String,
    /// When it was added, milliseconds since 1970 UTC.
    pub created_ms: i64,
    /// When it was removed, if it was.
    pub removed_ms: Option<i64>,
}

/// A lost container, and which one took its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TakeOver {
    /// The lost one, 32 hexadecimal digits: its place is taken once.
    pub id: String,
    /// The one that took its place.
    pub successor: String,
    /// The first container of the line in which each took the place of the one before.
    pub line: String,
    /// For what it counts, where it went by itself: a machine, or a line of containers.
    pub counted: Option<String>,
    /// Licenses that went over.
    pub licenses: u32,
    /// When, milliseconds since 1970 UTC.
    pub at_ms: i64,
}

/// A container that asks for what a lost one held, and waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TakeOverClaim {
    /// The container that asks.
    pub successor: String,
    /// Why it does not go by itself.
    pub why: WhyWaits,
    /// How often that was so within a year.
    pub times: u32,
    /// How often it may be.
    pub allowed: u32,
}

/// Why what a lost container held waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhyWaits {
    /// The machine is the same, and had it too often.
    TooOften,
    /// The machine is not proved to be the same.
    Elsewhere,
    /// The lost container was blocked, revoked, or under question.
    Stopped,
}

impl Enrolled {
    /// The key that it was certified with.
    pub fn identity(&self) -> Option<Fixed<33>> {
        self.certificate.as_deref().and_then(identity_in)
    }
}

impl SoftRules {
    /// The id of the one row.
    pub const ID: &'static str = "rules";
}

impl Default for SoftRules {
    fn default() -> Self {
        SoftRules {
            same_machine_a_year: 4,
            elsewhere_a_year: 0,
            physical_tpm: true,
            allow_vm: false,
            copies: Copies::All,
            grace_days: 14,
        }
    }
}

impl TakeOverClaim {
    /// What the container is told.
    pub fn failure(&self) -> Failure {
        let code = match self.why {
            WhyWaits::TooOften => ErrorCode::TakeOverTooOften,
            WhyWaits::Elsewhere => ErrorCode::TakeOverElsewhere,
            WhyWaits::Stopped => ErrorCode::TakeOverStopped,
        };
        code.with(self.times.into(), self.allowed.into())
    }
}

/// The identity key in a certificate, hexadecimal, that was verified when it came: the key that
/// made it may be gone by now. None where there is no certificate yet.
pub fn identity_in(certificate: &str) -> Option<Fixed<33>> {
    let bytes = unhex(certificate)?;
    let (object, _) = file::next_object(&bytes, DEVICE_BODY_LEN_MAX).ok()?;
    let body: DeviceBody = codec::decode(object.body_if_intact()?, DEVICE_BODY_LEN_MAX).ok()?;
    Some(body.identity_key)
}
