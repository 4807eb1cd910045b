//! Whether a requirement is fulfilled, purely: the one order of evaluation.
//!
//! Among several entries of a product the first that allows the use wins; if none does, the refusal
//! of the one that got furthest is told, since it names what is really missing.

use protocol::codec::Fixed;
use protocol::command::Trapped;
use protocol::errors::{ErrorCode, Failure};
use protocol::objects::device::ClockClass;
use protocol::objects::license::{
    AccessMode, Client, ProductItem, Requirement, Status, TimeRule, user_id,
};

use crate::seats::Taken;

/// A use that is asked for, and all that decides it.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The entry, with what it takes over as a module.
    pub item: &'a ProductItem,
    /// What the use needs.
    pub requirement: &'a Requirement,
    /// What is known beside the entry.
    pub at: Circumstances,
    /// Whether the use begins, or goes on.
    pub stage: Stage,
}

/// When a use is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Before it begins.
    Begins,
    /// While it holds its seat already: what was settled when it began is not asked again, which is
    /// the age of certified time, units, and the number of seats.
    GoesOn,
}

/// What is known beside the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circumstances {
    /// What the container has.
    pub has: Presence,
    /// The present.
    pub time: TimeView,
    /// When the entry was used first; 0 = not yet.
    pub first_use_s: u64,
    /// Units left.
    pub units: u64,
    /// How the seats of this entry are taken.
    pub taken: Taken,
    /// What a power-up leaves behind.
    pub after_power_up: AfterPowerUp,
    /// Who asks.
    pub client: Client,
    /// The user's key, if the one who asks proved to have its private half.
    pub user_key: Option<Fixed<33>>,
}

/// What of a use the container has at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence {
    /// Why it is locked; 0 = it is not.
    pub locked: u8,
    /// The firm.
    pub firm: bool,
    /// The trap that locked its licenses.
    pub trapped: Option<Trapped>,
    /// An entry of the product.
    pub product: bool,
    /// The entry whose module this one is, if it is one.
    pub parent: bool,
    /// The item key.
    pub key: bool,
    /// Room in the firm's usage log.
    pub log_room: bool,
}

impl Presence {
    /// All of it, in a container and of a firm that are not locked.
    pub const ALL: Presence = Presence {
        locked: 0,
        firm: true,
        trapped: None,
        product: true,
        parent: true,
        key: true,
        log_room: true,
    };
}

/// The present, as far as it is known. Unix seconds UTC; 0 = not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeView {
    /// Where the container's own time comes from.
    pub class: ClockClass,
    /// By the container's own clock.
    pub clock_s: u64,
    /// What the firm certified last, and the time that the container ran since.
    pub reach_s: u64,
    /// What the firm certified last.
    pub certified_s: u64,
    /// By the host's clock.
    pub host_s: u64,
    /// Whether a time token answered a nonce of this power session.
    pub is_fresh: bool,
}

/// What holds for a while after a power-up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AfterPowerUp {
    /// Seconds for which counted seats of the power session before may still be in use; 0 = none,
    /// or the one who asks held one of them.
    pub quarantine_s: u32,
    /// Seconds that the container stays shut for having changed machines too often; 0 = it is open.
    pub settling_s: u32,
}

impl TimeView {
    /// The present under a rule.
    pub fn now_s(&self, rule: Option<TimeRule>) -> u64 {
        match rule {
            Some(TimeRule::RuntimeOnly) => self.reach_s,
            Some(TimeRule::HostOk { .. }) if self.class != ClockClass::Rtc => {
                self.reach_s.max(self.host_s)
            }
            _ => self.reach_s.max(self.clock_s),
        }
    }
}

/// One step of the evaluation.
pub type Step = fn(&Question<'_>) -> Result<(), Failure>;

/// All steps in their order, by name. The numbers of their refusals rise.
pub const STEPS: [(&str, Step); 18] = [
    ("container", container),
    ("firm", firm),
    ("product", product),
    ("features", features),
    ("module", module),
    ("status", status),
    ("runtime", runtime),
    ("region", region),
    ("time", time),
    ("activation", activation),
    ("expiration", expiration),
    ("usage period", usage_period),
    ("checkpoint", checkpoint),
    ("maintenance", maintenance),
    ("named user", named_user),
    ("units", units),
    ("seats", seats),
    ("key", key),
];

/// Takes all steps, up to the first that refuses.
///
/// # Errors
/// The refusal, with its values.
pub fn evaluate(question: &Question<'_>) -> Result<(), Failure> {
    STEPS.iter().try_for_each(|(_, step)| step(question))
}

/// First second in which a use ends by itself; `None` = no end.
pub fn end_s(item: &ProductItem, first_use_s: u64) -> Option<u64> {
    let usage_s = item.usage_period_s().map(|period_s| usage_end_s(first_use_s, period_s));
    let lapse_s = item.checkpoint().map(|at| at.lapse_s);
    [item.expiration_s(), usage_s, lapse_s].into_iter().flatten().min()
}

impl Question<'_> {
    /// The present for this entry; 0 = not known.
    pub fn now_s(&self) -> u64 {
        self.at.time.now_s(self.item.time_rule())
    }

    fn known_s(&self) -> Result<u64, Failure> {
        match self.now_s() {
            0 => Err(ErrorCode::NoTime.failure()),
            now_s => Ok(now_s),
        }
    }

    fn is_before(&self, end_s: Option<u64>, code: ErrorCode) -> Result<(), Failure> {
        let Some(end_s) = end_s else { return Ok(()) };
        let now_s = self.known_s()?;
        if now_s >= end_s { Err(code.with(end_s, now_s)) } else { Ok(()) }
    }
}

fn container(q: &Question<'_>) -> Result<(), Failure> {
    match q.at.has.locked {
        0 => Ok(()),
        reason => Err(ErrorCode::ContainerLocked.with(reason.into(), 0)),
    }
}

fn firm(q: &Question<'_>) -> Result<(), Failure> {
    match (q.at.has.firm, q.at.has.trapped) {
        (false, _) => Err(ErrorCode::FirmUnknown.failure()),
        (_, Some(trapped)) => Err(firm_locked(trapped)),
        _ => Ok(()),
    }
}

/// The refusal of all licenses of a firm.
pub fn firm_locked(trapped: Trapped) -> Failure {
    ErrorCode::FirmLocked.with(trapped.product.0.into(), trapped.at_s)
}

fn product(q: &Question<'_>) -> Result<(), Failure> {
    let unknown = ErrorCode::ProductUnknown.with(q.requirement.product.0.into(), 0);
    if q.at.has.product { Ok(()) } else { Err(unknown) }
}

fn features(q: &Question<'_>) -> Result<(), Failure> {
    let (has, needs) = (q.item.features(), q.requirement.features);
    if has & needs == needs { Ok(()) } else { Err(ErrorCode::FeaturesMissing.with(needs, has)) }
}

fn module(q: &Question<'_>) -> Result<(), Failure> {
    match q.item.module_of() {
        Some(parent) if !q.at.has.parent => {
            Err(ErrorCode::ParentMissing.with(parent.product.0.into(), parent.entry.0.into()))
        }
        _ => Ok(()),
    }
}

fn status(q: &Question<'_>) -> Result<(), Failure> {
    match q.item.status() {
        Status::Enabled => Ok(()),
        _ => Err(ErrorCode::Suspended.failure()),
    }
}

fn runtime(q: &Question<'_>) -> Result<(), Failure> {
    let (needs, has) = (q.item.minimum_runtime(), q.at.client.runtime);
    if has >= needs {
        Ok(())
    } else {
        Err(ErrorCode::RuntimeOld.with(needs.0.into(), has.0.into()))
    }
}

fn region(q: &Question<'_>) -> Result<(), Failure> {
    let Some(markets) = q.item.region() else { return Ok(()) };
    let market = q.at.client.market;
    if markets.contains(&market) {
        return Ok(());
    }
    let first = markets.first().map_or(0, |country| country.number());
    Err(ErrorCode::RegionRefused.with(market.number(), first))
}

/// The entry's time rule, and the age of certified time that the use asks for.
fn time(q: &Question<'_>) -> Result<(), Failure> {
    if q.stage == Stage::Begins && q.requirement.certified_age_s != 0 {
        certified_within(q, q.requirement.certified_age_s, ErrorCode::CertifiedTimeOld)?;
    }
    match q.item.time_rule() {
        Some(TimeRule::FreshToken) if !q.at.time.is_fresh => Err(ErrorCode::TimeNotFresh.failure()),
        Some(TimeRule::MustSyncEvery { every_s }) => {
            certified_within(q, every_s, ErrorCode::SyncOverdue)
        }
        Some(TimeRule::HostOk { slack_s }) if q.at.time.class != ClockClass::Rtc => {
            host_within(&q.at.time, slack_s)
        }
        _ => Ok(()),
    }
}

fn certified_within(q: &Question<'_>, max_s: u32, code: ErrorCode) -> Result<(), Failure> {
    let (now_s, certified_s) = (q.now_s(), q.at.time.certified_s);
    let age_s = if certified_s == 0 { now_s } else { now_s.saturating_sub(certified_s) };
    if certified_s == 0 || age_s > max_s.into() {
        return Err(code.with(age_s, max_s.into()));
    }
    Ok(())
}

fn host_within(time: &TimeView, slack_s: u32) -> Result<(), Failure> {
    let reach_s = time.reach_s.saturating_add(slack_s.into());
    if time.host_s == 0 {
        return Err(ErrorCode::HostTimeMissing.failure());
    }
    if time.host_s > reach_s {
        return Err(ErrorCode::HostTimeFar.with(time.host_s, reach_s));
    }
    Ok(())
}

fn activation(q: &Question<'_>) -> Result<(), Failure> {
    let start_s = q.item.activation_s();
    if start_s == 0 {
        return Ok(());
    }
    let now_s = q.known_s()?;
    if now_s < start_s { Err(ErrorCode::NotYetActive.with(start_s, now_s)) } else { Ok(()) }
}

fn expiration(q: &Question<'_>) -> Result<(), Failure> {
    q.is_before(q.item.expiration_s(), ErrorCode::Expired)
}

fn usage_period(q: &Question<'_>) -> Result<(), Failure> {
    let Some(period_s) = q.item.usage_period_s() else { return Ok(()) };
    let first_use_s = if q.at.first_use_s == 0 { q.known_s()? } else { q.at.first_use_s };
    q.is_before(Some(usage_end_s(first_use_s, period_s)), ErrorCode::UsageOver)
}

fn usage_end_s(first_use_s: u64, period_s: u32) -> u64 {
    first_use_s.saturating_add(period_s.into())
}

fn checkpoint(q: &Question<'_>) -> Result<(), Failure> {
    q.is_before(q.item.checkpoint().map(|at| at.lapse_s), ErrorCode::Lapsed)
}

fn maintenance(q: &Question<'_>) -> Result<(), Failure> {
    let Some(covered) = q.item.maintenance() else { return Ok(()) };
    let release_s = q.requirement.release_s;
    if release_s == 0 {
        return Err(ErrorCode::MaintenanceUndated.with(covered.from_s, covered.until_s));
    }
    if release_s < covered.from_s {
        return Err(ErrorCode::MaintenanceNotYet.with(release_s, covered.from_s));
    }
    if release_s >= covered.until_s {
        return Err(ErrorCode::MaintenanceOver.with(release_s, covered.until_s));
    }
    Ok(())
}

fn named_user(q: &Question<'_>) -> Result<(), Failure> {
    if q.item.named_user().is_some_and(|name| user_id(name) != q.at.client.user) {
        return Err(ErrorCode::OtherUser.failure());
    }
    match q.item.named_user_key() {
        Some(key) if q.at.user_key != Some(key) => Err(ErrorCode::OtherUserKey.failure()),
        _ => Ok(()),
    }
}

/// An entry that is paid for by units needs one at least, also where each use takes none: the
/// program then takes them itself as it goes.
fn units(q: &Question<'_>) -> Result<(), Failure> {
    let (wanted, counted) = (u64::from(q.requirement.units), q.item.units().is_some());
    if q.stage == Stage::GoesOn || (wanted == 0 && !counted) {
        return Ok(());
    }
    let left = if counted { q.at.units } else { 0 };
    if left < wanted.max(1) {
        return Err(ErrorCode::NoUnits.with(wanted.max(1), left));
    }
    if wanted > 0 && !q.at.has.log_room {
        let most = protocol::limits::LOG_ENTRIES_MAX;
        return Err(ErrorCode::UsageLogFull.with(most, 0));
    }
    Ok(())
}

fn seats(q: &Question<'_>) -> Result<(), Failure> {
    let access = q.requirement.access;
    if q.item.denied_modes().contains(access) {
        return Err(ErrorCode::ModeDenied.with(access as u64, 0));
    }
    if q.stage == Stage::GoesOn {
        return Ok(());
    }
    let (quantity, used) = (q.item.quantity(), q.at.taken.seats);
    // Quantity 0 is local use only: it is not counted.
    let is_counted = match access {
        AccessMode::NoUserLimit => false,
        AccessMode::UserLimit => quantity > 0,
        AccessMode::StationShare | AccessMode::Exclusive => {
            station(q)?;
            quantity > 0 && !(access == AccessMode::StationShare && q.at.taken.shared_here)
        }
        other => return Err(ErrorCode::AccessModeUnsupported.with(other as u64, 0)),
    };
    if q.at.after_power_up.settling_s > 0 {
        return Err(ErrorCode::ReplugTooFast.with(q.at.after_power_up.settling_s.into(), 0));
    }
    if is_counted && q.at.after_power_up.quarantine_s > 0 {
        return Err(ErrorCode::SeatQuarantine.with(q.at.after_power_up.quarantine_s.into(), 0));
    }
    if is_counted && used >= quantity {
        return Err(ErrorCode::NoSeat.with(quantity.into(), used.into()));
    }
    Ok(())
}

fn station(q: &Question<'_>) -> Result<(), Failure> {
    if q.at.client.station == Fixed([0; 16]) {
        return Err(ErrorCode::StationUnknown.failure());
    }
    let is_busy = q.requirement.access == AccessMode::Exclusive && q.at.taken.exclusive_here;
    if is_busy { Err(ErrorCode::StationBusy.failure()) } else { Ok(()) }
}

fn key(q: &Question<'_>) -> Result<(), Failure> {
    let (product, generation) = (q.requirement.product.0, q.requirement.generation.0);
    let missing = ErrorCode::KeyMissing.with(product.into(), generation.into());
    if q.at.has.key { Ok(()) } else { Err(missing) }
}

#[cfg(test)]
mod tests;
