//! The order: of any two steps that would refuse, the earlier one is told.

use engine::Taken;
use protocol::errors::{ErrorCode, Failure};
use protocol::objects::license::{
    Checkpoint, Country, ItemOption, LostUnits, Period, Status, TimeRule, UnitRule, Version,
    user_id,
};

use super::case::{Case, NOW_S, PARENT, Vector, list, text};

/// A step, what it refuses with, and how it is brought to refuse.
type Broken = (&'static str, Failure, fn(&mut Case));

const OLD: u64 = 1 << 16 | 2 << 8 | 3;

/// In the order that the document names: an engine that goes another way fails.
const BROKEN: [Broken; 18] = [
    ("container", ErrorCode::ContainerLocked.with(1, 0), |c| c.at.has.locked = 1),
    ("firm", ErrorCode::FirmUnknown.with(0, 0), |c| c.at.has.firm = false),
    ("product", ErrorCode::ProductUnknown.with(7, 0), |c| c.at.has.product = false),
    ("features", ErrorCode::FeaturesMissing.with(6, 2), |c| {
        c.need.features = 6;
        c.set(ItemOption::FeatureMap(2));
    }),
    ("module", ErrorCode::ParentMissing.with(1, 2), |c| {
        c.set(ItemOption::ModuleOf(PARENT));
        c.at.has.parent = false;
    }),
    ("status", ErrorCode::Suspended.with(0, 0), |c| {
        c.set(ItemOption::Status(Status::Suspended));
    }),
    ("runtime", ErrorCode::RuntimeOld.with(OLD + 1, OLD), |c| {
        c.set(ItemOption::MinimumRuntime(Version(OLD as u32 + 1)));
    }),
    ("region", ErrorCode::RegionRefused.with(0x4154, 0x4445), |c| {
        c.set(ItemOption::Region(list(vec![Country(*b"DE"), Country(*b"FR")])));
    }),
    ("time", ErrorCode::TimeNotFresh.with(0, 0), |c| {
        c.set(ItemOption::TimeRule(TimeRule::FreshToken));
    }),
    ("activation", ErrorCode::NotYetActive.with(NOW_S + 1, NOW_S), |c| {
        c.set(ItemOption::ActivationTime(NOW_S + 1));
    }),
    ("expiration", ErrorCode::Expired.with(NOW_S, NOW_S), |c| {
        c.set(ItemOption::ExpirationTime(NOW_S));
    }),
    ("usage period", ErrorCode::UsageOver.with(NOW_S - 1, NOW_S), |c| {
        c.at.first_use_s = NOW_S - 101;
        c.set(ItemOption::UsagePeriod(100));
    }),
    ("checkpoint", ErrorCode::Lapsed.with(NOW_S - 2, NOW_S), |c| {
        let at = Checkpoint { lapse_s: NOW_S - 2, period_s: 900, renew_s: 300, grace_s: 100 };
        c.set(ItemOption::Checkpoint(at));
    }),
    ("maintenance", ErrorCode::MaintenanceOver.with(NOW_S - 800, NOW_S - 800), |c| {
        let period = Period { from_s: NOW_S - 900, until_s: NOW_S - 800 };
        c.set(ItemOption::MaintenancePeriod(period));
        c.need.release_s = NOW_S - 800;
    }),
    ("named user", ErrorCode::OtherUser.with(0, 0), |c| {
        c.set(ItemOption::NamedUser(text("anna")));
        c.at.client.user = user_id("berta");
    }),
    ("units", ErrorCode::NoUnits.with(3, 2), |c| {
        c.set(ItemOption::UnitCounter(UnitRule { reserve_max: 1, lost: LostUnits::Held }));
        (c.need.units, c.at.units) = (3, 2);
    }),
    ("seats", ErrorCode::NoSeat.with(2, 2), |c| {
        c.set(ItemOption::LicenseQuantity(2));
        c.at.taken = Taken { seats: 2, ..Taken::default() };
    }),
    ("key", ErrorCode::KeyMissing.with(7, 1), |c| c.at.has.key = false),
];

/// The name of the vector in which two steps would refuse.
pub(crate) fn name(first: &str, second: &str) -> String {
    format!("order: {first} before {second}")
}

pub(crate) fn vectors() -> Vec<Vector> {
    let pairs = BROKEN
        .iter()
        .enumerate()
        .flat_map(|(at, first)| BROKEN[at + 1..].iter().map(move |second| pair(first, second)));
    pairs.collect()
}

fn pair(first: &Broken, second: &Broken) -> Vector {
    let mut case = Case::new();
    (first.2)(&mut case);
    (second.2)(&mut case);
    // No entry may end before it begins; but a module may, by what its parent says.
    if first.0 == "activation" && case.native().check().is_err() {
        let (said, own) = case
            .options
            .into_iter()
            .partition(|option| matches!(option, ItemOption::ActivationTime(_)));
        case.options = own;
        case.module_of(said);
    }
    Vector {
        step: first.0,
        name: name(first.0, second.0),
        shows: format!("{} and {} would refuse: {0} does", first.0, second.0),
        case,
        expected: Some((first.0, first.1)),
    }
}
