//! `strongroom doctor --replay`: the uses of a support bundle, judged once more.
//!
//! A bundle comes from anybody. The container signed its state and the hash of its configuration,
//! so both are verified before entries are read. By what an entry was judged is the machine's word:
//! it must lead to the refusal that stands in the bundle, through the very steps that containers
//! take.

use std::path::Path;

use container::furthest;
use engine::{Circumstances, Question, Stage, evaluate, firm_locked};
use protocol::codec::{self, Fixed};
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::EntryNumber;
use protocol::objects::configuration::Configured;
use protocol::objects::file::{self, FileKind};
use protocol::objects::license::{
    Client, Country, ItemRef, ProductItem, Requirement, Version, user_id,
};
use serde_json::json;
use vendor::{Certifiers, Result, Shown, VerifiedStatement, files, read_inventory, times};

use super::bundle::effective;
use crate::commands::shown::{self, DECOMMISSIONED};
use crate::output::Output;
use crate::support::{
    Asker, Attempt, Bundle, ContainerSeen, FirmSeen, Judged, Refusal, TrappedSeen,
};

/// Bytes of the largest encoded requirement.
const REQUIREMENT_LEN_MAX: usize = 256;

/// Where one who is known to be on some station is, when nothing else matters.
const SOME_STATION: Fixed<16> = Fixed([1; 16]);

/// A use that was judged again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replayed {
    serial: String,
    requirement: Requirement,
    /// Nothing if the firm is not in the container.
    place: Option<Place>,
    /// Why it is refused; nothing if it is allowed.
    refusal: Option<Failure>,
}

pub(super) fn run(path: &Path, output: &Output) -> Result<()> {
    let bundle = Bundle::parse(&files::read_record(path)?);
    let all = bundle.and_then(|bundle| replay(&bundle));
    let all = all.map_err(|failure| Shown::from(failure).about(path.display()))?;
    let lines: Vec<String> = all.iter().map(line).collect();
    let rows: Vec<_> = all.iter().map(row).collect();
    output.data("doctor-replay", json!({ "uses": rows }), lines.join("\n"));
    Ok(())
}

/// Judges each use of a bundle again. Whatever comes out is what stands in the bundle.
///
/// # Errors
/// [`ErrorCode::BundleRefused`] where the bundle contradicts itself or what was signed,
/// [`ErrorCode::BundleDiffers`] where something else comes out.
pub(crate) fn replay(bundle: &Bundle) -> std::result::Result<Vec<Replayed>, Failure> {
    if bundle.attempts.is_empty() {
        return Err(refused());
    }
    bundle.attempts.iter().map(|attempt| again(bundle, attempt)).collect()
}

fn refused() -> Failure {
    ErrorCode::BundleRefused.failure()
}

fn again(bundle: &Bundle, attempt: &Attempt) -> std::result::Result<Replayed, Failure> {
    let requirement: Requirement = decode(&attempt.canonical_hex, REQUIREMENT_LEN_MAX)?;
    let mut seen = bundle.containers.iter().filter(|seen| seen.serial == attempt.serial);
    let (Some(container), None) = (seen.next(), seen.next()) else { return Err(refused()) };
    if attempt.requirement != shown::requirement_json(&requirement) {
        return Err(refused());
    }
    let firm = container.firms.iter().find(|f| f.root_fp == requirement.root_fp.to_string());
    let (place, refusal) = match (container.locked, firm) {
        (DECOMMISSIONED, _) => (None, Some(ErrorCode::Decommissioned.failure())),
        (0, None) => (None, Some(ErrorCode::FirmUnknown.failure())),
        (0, Some(firm)) => judge(bundle, container, firm, attempt, &requirement)?,
        (reason, _) => (None, Some(ErrorCode::ContainerLocked.with(reason.into(), 0))),
    };
    if refusal != attempt.refusal.as_ref().map(failure).transpose()? {
        return Err(ErrorCode::BundleDiffers.failure());
    }
    Ok(Replayed { serial: attempt.serial.clone(), requirement, place, refusal })
}

/// A firm's number and `firm_state_hash`.
type Place = (u64, [u8; 32]);

/// Where a firm was, and why it refuses.
type Judgement = (Option<Place>, Option<Failure>);

/// Judges all entries of the product, as the container did.
fn judge(
    bundle: &Bundle,
    container: &ContainerSeen,
    firm: &FirmSeen,
    attempt: &Attempt,
    requirement: &Requirement,
) -> std::result::Result<Judgement, Failure> {
    let (records, place) = signed(container, firm, requirement)?;
    let items: Vec<&ProductItem> = records.iter().filter_map(item).collect();
    let entries = items.iter().map(|item| item.item).filter(|i| i.product == requirement.product);
    let entries: Vec<EntryNumber> = entries.map(|item| item.entry).collect();
    let told = attempt.judged.iter().map(|judged| EntryNumber(judged.entry));
    if !told.eq(entries) {
        return Err(refused());
    }
    let trapped = firm.trapped.map(TrappedSeen::trapped);
    if let (Some(trapped), []) = (trapped, &attempt.judged[..]) {
        return Ok((Some(place), Some(firm_locked(trapped))));
    }
    let mut refusals = Vec::new();
    for judged in &attempt.judged {
        let wanted = ItemRef { product: requirement.product, entry: EntryNumber(judged.entry) };
        let item = effective(&items, wanted).ok_or(refused())?;
        check_presence(judged, &item, &records, requirement)?;
        if judged.by.trapped != firm.trapped {
            return Err(refused());
        }
        let at = circumstances(&bundle.asker, judged, &item)?;
        let question = Question { item: &item, requirement, at, stage: Stage::Begins };
        let refusal = evaluate(&question).err();
        if refusal != judged.refusal.as_ref().map(failure).transpose()? {
            return Err(ErrorCode::BundleDiffers.failure());
        }
        refusals.push(refusal);
    }
    Ok((Some(place), furthest(requirement, refusals)))
}

/// The configuration, whose hash and state the container signed; what else the bundle says of them
/// must be the same.
fn signed(
    container: &ContainerSeen,
    firm: &FirmSeen,
    requirement: &Requirement,
) -> std::result::Result<(Vec<Configured>, Place), Failure> {
    let parts = [&container.certificate_hex, &firm.context_hex, &firm.configuration_hex];
    let parts = parts.map(|hex| bytes(hex));
    let [Some(certificate), Some(context), Some(configuration)] = parts else {
        return Err(refused());
    };
    let inventory = file::write(FileKind::Inventory, &[&certificate, &context, &configuration]);
    let (statement, records) =
        read_inventory(&inventory, Certifiers::simulated(requirement.root_fp))?;
    let VerifiedStatement { device, header, body } = statement;
    let items = records.iter().filter_map(item);
    let same = device.serial().to_string() == container.serial
        && (header.seq, shown::hex(&header.state)) == (firm.seq, firm.state_hash.clone())
        && shown::hex(&body.nonce.0) == firm.nonce_hex
        && items.map(seen).eq(firm.items.iter().map(|item| {
            (item.product, item.entry, item.canonical_hex.clone(), item.options.clone())
        }));
    if same { Ok((records, (header.seq, header.state))) } else { Err(refused()) }
}

fn item(record: &Configured) -> Option<&ProductItem> {
    match record {
        Configured::Item(item) => Some(item),
        _ => None,
    }
}

/// What a bundle says of an entry, in words and in bytes.
fn seen(item: &ProductItem) -> (u32, u16, String, serde_json::Value) {
    let options = shown::item_json(item).get("options").cloned().unwrap_or_default();
    (item.item.product.0, item.item.entry.0, shown::hex(&codec::encode(item)), options)
}

/// Whether there are an item key and a parent can be seen in the records.
fn check_presence(
    judged: &Judged,
    item: &ProductItem,
    records: &[Configured],
    requirement: &Requirement,
) -> std::result::Result<(), Failure> {
    let key = Configured::Key(requirement.product, requirement.generation);
    let has = |parent| records.iter().filter_map(self::item).any(|item| item.item == parent);
    let has_parent = item.module_of().is_none_or(has);
    let same = judged.by.has_key == records.contains(&key) && judged.by.has_parent == has_parent;
    if same { Ok(()) } else { Err(refused()) }
}

/// All that the entry was judged by. Who asked is not in the bundle, only whether he is the one
/// whom the entry names.
fn circumstances(
    asker: &Asker,
    judged: &Judged,
    item: &ProductItem,
) -> std::result::Result<Circumstances, Failure> {
    let market = asker.market.as_deref().map(|name| Country::parse(name).ok_or(refused()));
    let station = if asker.is_station_known { SOME_STATION } else { Fixed::default() };
    let user = item.named_user().filter(|_| judged.is_named_user).map(user_id);
    let client = Client {
        runtime: Version::parse(&asker.runtime).ok_or(refused())?,
        market: market.transpose()?.unwrap_or_default(),
        user: user.unwrap_or_default(),
        station,
    };
    let class = shown::CLOCKS.into_iter().find(|class| shown::clock(*class) == judged.by.class);
    let by = judged.by.grounds(class.ok_or(refused())?);
    let key = item.named_user_key().filter(|_| judged.has_named_key);
    Ok(Circumstances::of(&by, client, key))
}

/// A refusal whose words are those of its number and values.
fn failure(refusal: &Refusal) -> std::result::Result<Failure, Failure> {
    let digits = refusal.code.strip_prefix('S').ok_or(refused())?;
    let code = u16::from_str_radix(digits, 16).map_err(|_| refused())?;
    let failure = Failure { code, a: refusal.a, b: refusal.b };
    let same = failure.shown_code() == refusal.code && failure.title(&times::show) == refusal.title;
    if same { Ok(failure) } else { Err(refused()) }
}

fn decode<T: serde::Serialize + serde::de::DeserializeOwned>(
    hex: &str,
    len_max: usize,
) -> std::result::Result<T, Failure> {
    let bytes = bytes(hex).ok_or(refused())?;
    codec::decode(&bytes, len_max).map_err(|_| refused())
}

/// Bytes of a text of hexadecimal digits.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok();
    pairs.iter().map(byte).collect()
}

fn line(replayed: &Replayed) -> String {
    let about = shown::requirement_text(&replayed.requirement);
    let mut text = format!("{}, {about}: ", replayed.serial);
    match &replayed.refusal {
        None => text.push_str("allowed, as the bundle says"),
        Some(failure) => text.push_str(&format!(
            "refused as the bundle says\n  [{}] {}\n  values       {}, {}",
            failure.shown_code(),
            failure.title(&times::show),
            failure.a,
            failure.b
        )),
    }
    if let Some((seq, state)) = &replayed.place {
        text.push_str(&format!("\n  number       {seq}\n  state hash   {}", shown::hex(state)));
    }
    text
}

fn row(replayed: &Replayed) -> serde_json::Value {
    let refusal = replayed.refusal.map(|failure| {
        json!({
            "code": failure.shown_code(), "a": failure.a, "b": failure.b,
            "title": failure.title(&times::show),
        })
    });
    json!({
        "serial": replayed.serial,
        "requirement": shown::requirement_json(&replayed.requirement),
        "number": replayed.place.map(|(seq, _)| seq),
        "state_hash": replayed.place.map(|(_, state)| shown::hex(&state)),
        "refusal": refusal,
    })
}
