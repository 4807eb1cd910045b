//! The support bundle, `strongroom.support/v1`: what `doctor` found, as one JSON document that
//! people read before they send it.
//!
//! Entries and requirements stand in it twice: in words, and as the exact bytes of the formats in
//! hexadecimal, so that a use can be evaluated again elsewhere. No field holds a secret, the name
//! of the machine or of its users, or a path below somebody's home.

use protocol::command::{Grounds, Trapped};
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::ProductCode;
use protocol::objects::device::ClockClass;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Name and version of this document.
pub(crate) const SCHEMA: &str = "strongroom.support/v1";

/// Bytes of a bundle, at most.
const BUNDLE_LEN_MAX: usize = 16 * 1024 * 1024;

/// The document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bundle {
    /// [`SCHEMA`].
    pub(crate) schema: String,
    /// When it was made, by the machine's clock, Unix seconds.
    pub(crate) made_s: u64,
    /// What it was made with.
    pub(crate) versions: Versions,
    /// What was checked.
    pub(crate) findings: Vec<Finding>,
    /// What this machine says of itself to containers.
    pub(crate) asker: Asker,
    /// Where containers were looked for.
    pub(crate) sources: Vec<SourceSeen>,
    /// Containers that answered.
    pub(crate) containers: Vec<ContainerSeen>,
    /// Uses that were tried, one in each container.
    pub(crate) attempts: Vec<Attempt>,
}

/// What a bundle was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Versions {
    /// This program.
    pub(crate) strongroom: String,
    /// Operating system and its kernel.
    pub(crate) system: String,
    /// Kind of processor.
    pub(crate) machine: String,
}

/// What a machine says of itself when it asks for a use, but for who its user is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asker {
    /// Version of the library.
    pub(crate) runtime: String,
    /// Market, if one is named.
    pub(crate) market: Option<String>,
    /// Whether it knows which station it is; not which.
    pub(crate) is_station_known: bool,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// Something does not work, or will not.
    Problem,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Finding {
    /// What was checked, in a word.
    pub(crate) area: String,
    /// How it ended.
    pub(crate) state: State,
    /// What was seen.
    pub(crate) seen: String,
    /// What to do next; nothing where all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
    /// Row of the error table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
}

/// A source and how it answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceSeen {
    /// As it is written on the command line.
    pub(crate) source: String,
    /// Containers that answered.
    pub(crate) containers: u32,
    /// What did not work.
    pub(crate) errors: Vec<Refusal>,
}

/// An error or refusal with its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refusal {
    /// `S0380`.
    pub(crate) code: String,
    /// First value.
    pub(crate) a: u64,
    /// Second value.
    pub(crate) b: u64,
    /// In words.
    pub(crate) title: String,
}

/// What a container says of time, Unix seconds; 0 = not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimeSeen {
    /// Best estimate.
    pub(crate) now_s: u64,
    /// No earlier than this.
    pub(crate) floor_s: u64,
    /// Last certified.
    pub(crate) certified_s: u64,
    /// `rtc`, `signed`, `session`, `host`.
    pub(crate) class: String,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContainerSeen {
    /// Serial.
    pub(crate) serial: String,
    /// Where it was found.
    pub(crate) source: String,
    /// `test` or `live`.
    pub(crate) mode: String,
    /// Clock class.
    pub(crate) clock: String,
    /// Anchor class.
    pub(crate) anchor: String,
    /// Version of its firmware.
    pub(crate) firmware: String,
    /// Time.
    pub(crate) time: TimeSeen,
    /// Seats taken.
    pub(crate) seats: u16,
    /// Why it is locked; 0 = it is not.
    pub(crate) locked: u8,
    /// Its certificate, a signed object.
    pub(crate) certificate_hex: String,
    /// Vendors in it.
    pub(crate) firms: Vec<FirmSeen>,
}

/// A vendor's drawer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FirmSeen {
    /// Fingerprint of the vendor's root.
    pub(crate) root_fp: String,
    /// The vendor's number.
    pub(crate) firm_code: u32,
    /// The vendor's name.
    pub(crate) name: String,
    /// `test` or `live`.
    pub(crate) mode: String,
    /// Updates applied: `firm_seq`.
    pub(crate) seq: u64,
    /// `firm_state_hash`, from the context.
    pub(crate) state_hash: String,
    /// Drawn for this context.
    pub(crate) nonce_hex: String,
    /// The context, a signed object.
    pub(crate) context_hex: String,
    /// The records that the context's hash of the configuration is made of.
    pub(crate) configuration_hex: String,
    /// The trap that locked its licenses.
    pub(crate) trapped: Option<TrappedSeen>,
    /// Entries.
    pub(crate) items: Vec<ItemSeen>,
}

/// A trap that was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrappedSeen {
    /// The product whose key had it.
    pub(crate) product: u32,
    /// When it was touched, Unix seconds; 0 = not known.
    pub(crate) at_s: u64,
}

/// A license entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ItemSeen {
    /// Product.
    pub(crate) product: u32,
    /// Number among entries of the product.
    pub(crate) entry: u16,
    /// Options as `license list --json` shows them.
    pub(crate) options: Value,
    /// The entry's canonical bytes.
    pub(crate) canonical_hex: String,
    /// When a usage period began, Unix seconds; 0 = not yet.
    pub(crate) first_use_s: u64,
    /// Seats taken.
    pub(crate) seats: u32,
    /// The canonical bytes of all that the container keeps of the entry.
    pub(crate) state_hex: String,
}

/// A use that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attempt {
    /// In which container.
    pub(crate) serial: String,
    /// What was required.
    pub(crate) requirement: Value,
    /// The requirement's canonical bytes.
    pub(crate) canonical_hex: String,
    /// Entries of the product, and how each was judged.
    pub(crate) judged: Vec<Judged>,
    /// Why it was refused; nothing if it was allowed.
    pub(crate) refusal: Option<Refusal>,
}

/// How an entry was judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Judged {
    /// Number among entries of the product.
    pub(crate) entry: u16,
    /// Why it does not allow the use; nothing where it does.
    pub(crate) refusal: Option<Refusal>,
    /// Whether the one who asks is the user whom the entry names.
    pub(crate) is_named_user: bool,
    /// Whether the one who asks has the user's key that the entry names.
    pub(crate) has_named_key: bool,
    /// By what.
    pub(crate) by: GroundsSeen,
}

/// What an entry was judged by, as the container told it: times in Unix seconds, 0 = not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroundsSeen {
    /// Where the container's own time comes from: `rtc`, `signed`, `session`, `host`.
    pub(crate) class: String,
    /// By the container's own clock.
    pub(crate) clock_s: u64,
    /// What the vendor certified last, and the time that the container ran since.
    pub(crate) reach_s: u64,
    /// What the vendor certified last.
    pub(crate) certified_s: u64,
    /// By the host's clock.
    pub(crate) host_s: u64,
    /// Whether time was certified since the power came.
    pub(crate) is_fresh: bool,
    /// When the entry was used first; 0 = not yet.
    pub(crate) first_use_s: u64,
    /// Units left.
    pub(crate) units: u64,
    /// Seats taken.
    pub(crate) seats: u32,
    /// The station shares one of them.
    pub(crate) is_shared_here: bool,
    /// A use on the station is exclusive.
    pub(crate) is_exclusive_here: bool,
    /// Seconds for which seats of before a power cut may still be in use.
    pub(crate) quarantine_s: u32,
    /// Seconds that the container stays shut for having changed machines too often.
    pub(crate) settling_s: u32,
    /// Whether the entry whose module this one is, is there.
    pub(crate) has_parent: bool,
    /// Whether the item key is there.
    pub(crate) has_key: bool,
    /// Whether there is room in the usage log.
    pub(crate) has_log_room: bool,
    /// The trap that locked the vendor's licenses.
    pub(crate) trapped: Option<TrappedSeen>,
}

impl Bundle {
    /// Reads a bundle, which may come from anybody.
    pub(crate) fn parse(bytes: &[u8]) -> std::result::Result<Self, Failure> {
        let refused = ErrorCode::BundleRefused.failure();
        if bytes.len() > BUNDLE_LEN_MAX {
            let (len, max) = (bytes.len() as u64, BUNDLE_LEN_MAX as u64);
            return Err(ErrorCode::TooLong.with(len, max));
        }
        let bundle: Bundle = serde_json::from_slice(bytes).map_err(|_| refused)?;
        if bundle.schema == SCHEMA { Ok(bundle) } else { Err(refused) }
    }
}

impl GroundsSeen {
    /// What a container told.
    pub(crate) fn of(by: &Grounds, class: &str) -> Self {
        GroundsSeen {
            class: class.into(),
            clock_s: by.clock_s,
            reach_s: by.reach_s,
            certified_s: by.certified_s,
            host_s: by.host_s,
            is_fresh: by.is_fresh,
            first_use_s: by.first_use_s,
            units: by.units,
            seats: by.seats,
            is_shared_here: by.is_shared_here,
            is_exclusive_here: by.is_exclusive_here,
            quarantine_s: by.quarantine_s,
            settling_s: by.settling_s,
            has_parent: by.has_parent,
            has_key: by.has_key,
            has_log_room: by.has_log_room,
            trapped: by.trapped.map(TrappedSeen::of),
        }
    }

    /// The same for a container whose clock is of `class`.
    pub(crate) fn grounds(&self, class: ClockClass) -> Grounds {
        Grounds {
            class,
            clock_s: self.clock_s,
            reach_s: self.reach_s,
            certified_s: self.certified_s,
            host_s: self.host_s,
            is_fresh: self.is_fresh,
            first_use_s: self.first_use_s,
            units: self.units,
            seats: self.seats,
            is_shared_here: self.is_shared_here,
            is_exclusive_here: self.is_exclusive_here,
            quarantine_s: self.quarantine_s,
            settling_s: self.settling_s,
            has_parent: self.has_parent,
            has_key: self.has_key,
            has_log_room: self.has_log_room,
            trapped: self.trapped.map(TrappedSeen::trapped),
        }
    }
}

impl TrappedSeen {
    /// What a container told.
    pub(crate) fn of(trapped: Trapped) -> Self {
        TrappedSeen { product: trapped.product.0, at_s: trapped.at_s }
    }

    /// The same.
    pub(crate) fn trapped(self) -> Trapped {
        Trapped { product: ProductCode(self.product), at_s: self.at_s }
    }
}

impl Finding {
    /// As it should be.
    pub(crate) fn ok(area: &str, seen: impl Into<String>) -> Self {
        Finding { area: area.into(), state: State::Ok, seen: seen.into(), next: None, code: None }
    }

    /// Worth knowing.
    pub(crate) fn note(area: &str, seen: impl Into<String>, next: impl Into<String>) -> Self {
        Finding { state: State::Note, next: Some(next.into()), ..Self::ok(area, seen) }
    }

    /// Something does not work, or will not.
    pub(crate) fn problem(area: &str, seen: impl Into<String>, next: impl Into<String>) -> Self {
        Finding { state: State::Problem, ..Self::note(area, seen, next) }
    }

    /// The same under a row of the error table.
    pub(crate) fn coded(self, code: impl Into<String>) -> Self {
        Finding { code: Some(code.into()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_read_as_it_is_written_and_nothing_else_is() {
        let bundle = Bundle {
            schema: SCHEMA.into(),
            made_s: 1,
            versions: Versions {
                strongroom: "0.1.0".into(),
                system: "Linux 6.1".into(),
                machine: "x86_64".into(),
            },
            findings: vec![Finding::ok("clock", "2026"), Finding::problem("disk", "full", "Mend.")],
            asker: Asker {
                runtime: "0.1.0".into(),
                market: Some("AT".into()),
                is_station_known: true,
            },
            sources: Vec::new(),
            containers: Vec::new(),
            attempts: vec![Attempt {
                serial: "DONGLE".into(),
                requirement: serde_json::json!({ "product": 7 }),
                canonical_hex: "00".into(),
                judged: Vec::new(),
                refusal: Some(Refusal { code: "S0380".into(), a: 1, b: 2, title: "over".into() }),
            }],
        };
        let text = serde_json::to_string(&bundle).unwrap();
        assert_eq!(Bundle::parse(text.as_bytes()).unwrap(), bundle);
        let more = text.replacen('{', "{\"passphrase\":1,", 1);
        let newer = text.replace("support/v1", "support/v2");
        for other in [more, newer, format!("{text}{{}}"), "[".repeat(100_000)] {
            assert!(Bundle::parse(other.as_bytes()).is_err());
        }
    }
}
