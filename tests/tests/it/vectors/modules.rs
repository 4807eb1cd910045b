//! Vectors: what a module takes over from the entry whose module it is, and what not.

use engine::Taken;
use protocol::errors::ErrorCode::*;
use protocol::objects::license::{
    AccessMode, Checkpoint, Country, ItemOption as O, LostUnits, Modes, Period, Status, TimeRule,
    UnitRule, Version,
};

use super::case::{NOW_S, Row, Vector, list, text};

const CHECKPOINT: Checkpoint =
    Checkpoint { lapse_s: NOW_S, period_s: 900, renew_s: 300, grace_s: 100 };

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("status", "parent suspended", "it suspends its modules", Some(Suspended.with(0, 0)),
        |c| c.module_of(vec![O::Status(Status::Suspended)])),
    ("status", "parent suspended, module enabled", "a suspension holds in any case",
        Some(Suspended.with(0, 0)), |c| {
            c.module_of(vec![O::Status(Status::Suspended)]);
            c.set(O::Status(Status::Enabled));
        }),
    ("status", "parent enabled, module suspended", "a module may be suspended alone",
        Some(Suspended.with(0, 0)), |c| {
            c.module_of(vec![O::Status(Status::Enabled)]);
            c.set(O::Status(Status::Suspended));
        }),
    ("status", "both enabled", "nothing is suspended", None, |c| {
        c.module_of(vec![O::Status(Status::Enabled)]);
        c.set(O::Status(Status::Enabled));
    }),
    ("activation", "of the parent", "taken over", Some(NotYetActive.with(NOW_S + 1, NOW_S)),
        |c| c.module_of(vec![O::ActivationTime(NOW_S + 1)])),
    ("activation", "its own goes before", "what a module says itself counts", None, |c| {
        c.module_of(vec![O::ActivationTime(NOW_S + 1)]);
        c.set(O::ActivationTime(NOW_S));
    }),
    ("expiration", "of the parent", "taken over", Some(Expired.with(NOW_S, NOW_S)),
        |c| c.module_of(vec![O::ExpirationTime(NOW_S)])),
    ("expiration", "its own, later than the parent's", "what a module says itself counts", None,
        |c| {
            c.module_of(vec![O::ExpirationTime(NOW_S)]);
            c.set(O::ExpirationTime(NOW_S + 1));
        }),
    ("expiration", "its own, earlier than the parent's", "what a module says itself counts",
        Some(Expired.with(NOW_S, NOW_S)), |c| {
            c.module_of(vec![O::ExpirationTime(NOW_S + 1)]);
            c.set(O::ExpirationTime(NOW_S));
        }),
    ("checkpoint", "of the parent", "taken over", Some(Lapsed.with(NOW_S, NOW_S)),
        |c| c.module_of(vec![O::Checkpoint(CHECKPOINT)])),
    ("checkpoint", "its own, still open", "what a module says itself counts", None, |c| {
        c.module_of(vec![O::Checkpoint(CHECKPOINT)]);
        c.set(O::Checkpoint(Checkpoint { lapse_s: NOW_S + 1, ..CHECKPOINT }));
    }),
    ("runtime", "of the parent", "taken over", Some(RuntimeOld.with(0x2_00_00, 0x1_02_03)),
        |c| c.module_of(vec![O::MinimumRuntime(Version(0x2_00_00))])),
    ("region", "of the parent", "taken over", Some(RegionRefused.with(0x4154, 0x4445)),
        |c| c.module_of(vec![O::Region(list(vec![Country(*b"DE")]))])),
    ("region", "its own goes before", "lists are not joined", None, |c| {
        c.module_of(vec![O::Region(list(vec![Country(*b"DE")]))]);
        c.set(O::Region(list(vec![Country(*b"AT")])));
    }),
    ("time", "rule of the parent", "taken over", Some(TimeNotFresh.with(0, 0)),
        |c| c.module_of(vec![O::TimeRule(TimeRule::FreshToken)])),
    ("time", "its own rule goes before", "rules are not joined", None, |c| {
        c.module_of(vec![O::TimeRule(TimeRule::FreshToken)]);
        c.set(O::TimeRule(TimeRule::MustSyncEvery { every_s: 3600 }));
    }),
    ("maintenance", "of the parent", "taken over", Some(MaintenanceOver.with(2000, 2000)), |c| {
        c.module_of(vec![O::MaintenancePeriod(Period { from_s: 1000, until_s: 2000 })]);
        c.need.release_s = 2000;
    }),
    ("named user", "of the parent", "taken over", Some(OtherUser.with(0, 0)),
        |c| c.module_of(vec![O::NamedUser(text("berta"))])),
    ("named user", "key of the parent", "taken over", Some(OtherUserKey.with(0, 0)),
        |c| c.module_of(vec![O::NamedUserKey(protocol::codec::Fixed([2; 33]))])),
    ("named user", "name of the module, key of the parent", "both count: the key is not proven",
        Some(OtherUserKey.with(0, 0)), |c| {
            c.module_of(vec![O::NamedUserKey(protocol::codec::Fixed([2; 33]))]);
            c.set(O::NamedUser(text("anna")));
        }),
    ("seats", "mode denied by the parent", "taken over", Some(ModeDenied.with(0, 0)),
        |c| c.module_of(vec![O::DeniedModes(Modes::default().with(AccessMode::UserLimit))])),
    ("seats", "quantity of the parent", "a module has its own quantity, or is not counted", None,
        |c| {
            c.module_of(vec![O::LicenseQuantity(1)]);
            c.at.taken = Taken { seats: 1, ..Taken::default() };
        }),
    ("features", "map of the parent", "a module has its own features",
        Some(FeaturesMissing.with(1, 0)), |c| {
            c.module_of(vec![O::FeatureMap(1)]);
            c.need.features = 1;
        }),
    ("usage period", "of the parent", "a module has its own period, or none", None, |c| {
        c.module_of(vec![O::UsagePeriod(1)]);
        c.at.first_use_s = 1;
    }),
    ("units", "counter of the parent", "a module has its own units, or none", None, |c| {
        let rule = UnitRule { reserve_max: 1, lost: LostUnits::Held };
        c.module_of(vec![O::UnitCounter(rule)]);
    }),
];

pub(crate) fn vectors() -> Vec<Vector> {
    let vectors = ROWS.iter().copied().map(Vector::of);
    vectors.map(|one| Vector { name: format!("module, {}", one.name), ..one }).collect()
}
