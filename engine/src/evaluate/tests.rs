//! The order of evaluation, and what each step looks at.

use super::*;
use alloc::vec;
use alloc::vec::Vec;
use protocol::codec::List;
use protocol::ids::{EntryNumber, Generation, ProductCode, RootFp};
use protocol::objects::license::{
    Checkpoint, Country, ItemOption, ItemRef, LostUnits, Modes, Period, UnitRule, Version,
};

fn item(options: Vec<ItemOption>) -> ProductItem {
    let item = ItemRef { product: ProductCode(7), entry: EntryNumber(0) };
    ProductItem { item, options: List::new(options).unwrap() }
}

const REQUIREMENT: Requirement = Requirement {
    root_fp: RootFp::new([0; 16]),
    product: ProductCode(7),
    features: 0,
    units: 0,
    release_s: 0,
    access: AccessMode::UserLimit,
    certified_age_s: 0,
    generation: Generation(0),
};

const TIME: TimeView = TimeView {
    class: ClockClass::Session,
    clock_s: 0,
    reach_s: 1000,
    certified_s: 900,
    host_s: 0,
    is_fresh: false,
};

const NOON: Circumstances = Circumstances {
    has: Presence::ALL,
    time: TIME,
    first_use_s: 0,
    units: 0,
    taken: Taken { seats: 0, shared_here: false, exclusive_here: false },
    after_power_up: AfterPowerUp { quarantine_s: 0, settling_s: 0 },
    client: Client {
        runtime: Version(5),
        market: Country(*b"AT"),
        user: Fixed([0; 16]),
        station: Fixed([9; 16]),
    },
    user_key: None,
};

fn judge(item: &ProductItem, requirement: &Requirement, at: Circumstances) -> Option<ErrorCode> {
    let question = Question { item, requirement, at, stage: Stage::Begins };
    evaluate(&question).err().map(|failure| failure.known().unwrap())
}

fn taken(seats: u32) -> Taken {
    Taken { seats, ..NOON.taken }
}

/// Everything that can be wrong at once, and how one thing after the other is mended.
struct Wrong {
    options: Vec<ItemOption>,
    need: Requirement,
    at: Circumstances,
}

impl Wrong {
    fn everything() -> Self {
        let checkpoint = Checkpoint { lapse_s: 500, period_s: 9, renew_s: 1, grace_s: 0 };
        let options = vec![
            ItemOption::FeatureMap(2),
            ItemOption::LicenseQuantity(2),
            ItemOption::ActivationTime(2000),
            ItemOption::ExpirationTime(500),
            ItemOption::DeniedModes(Modes::default().with(AccessMode::UserLimit)),
            ItemOption::MinimumRuntime(Version(6)),
            ItemOption::MaintenancePeriod(Period { from_s: 700, until_s: 800 }),
            ItemOption::UsagePeriod(50),
            ItemOption::Checkpoint(checkpoint),
            ItemOption::NamedUser(protocol::codec::Text::new("anna").unwrap()),
            ItemOption::Region(List::new(vec![Country(*b"DE")]).unwrap()),
            ItemOption::Status(Status::Suspended),
            ItemOption::UnitCounter(UnitRule { reserve_max: 1, lost: LostUnits::Held }),
            ItemOption::TimeRule(TimeRule::FreshToken),
            ItemOption::ModuleOf(ItemRef { product: ProductCode(1), entry: EntryNumber(2) }),
            ItemOption::NamedUserKey(Fixed([4; 33])),
        ];
        let need = Requirement {
            features: 6,
            certified_age_s: 50,
            units: 3,
            release_s: 600,
            ..REQUIREMENT
        };
        let has = Presence {
            locked: 1,
            firm: false,
            trapped: None,
            product: false,
            parent: false,
            key: false,
            log_room: false,
        };
        let after_power_up = AfterPowerUp { quarantine_s: 7, settling_s: 9 };
        let at = Circumstances { has, taken: taken(2), first_use_s: 900, after_power_up, ..NOON };
        Wrong { options, need, at }
    }

    fn refusal(&self) -> Option<ErrorCode> {
        judge(&item(self.options.clone()), &self.need, self.at)
    }

    fn set(&mut self, new: ItemOption) {
        let place = self.options.iter_mut().find(|option| option.kind() == new.kind());
        *place.unwrap() = new;
    }
}

/// An entry and a use in which everything is wrong is refused for the first reason; mending one
/// after the other shows the order.
#[test]
fn refusals_come_in_the_fixed_order() {
    use ErrorCode::*;
    use ItemOption as O;
    type Mend = fn(&mut Wrong);
    let order: [(ErrorCode, Mend); 26] = [
        (ContainerLocked, |w| w.at.has.locked = 0),
        (FirmUnknown, |w| w.at.has.firm = true),
        (ProductUnknown, |w| w.at.has.product = true),
        (FeaturesMissing, |w| w.set(O::FeatureMap(6))),
        (ParentMissing, |w| w.at.has.parent = true),
        (Suspended, |w| w.set(O::Status(Status::Enabled))),
        (RuntimeOld, |w| w.set(O::MinimumRuntime(Version(5)))),
        (RegionRefused, |w| w.set(O::Region(List::new(vec![Country(*b"AT")]).unwrap()))),
        (CertifiedTimeOld, |w| w.need.certified_age_s = 100),
        (TimeNotFresh, |w| w.at.time.is_fresh = true),
        (NotYetActive, |w| w.set(O::ActivationTime(1000))),
        (Expired, |w| w.set(O::ExpirationTime(1001))),
        (UsageOver, |w| w.set(O::UsagePeriod(101))),
        (Lapsed, |w| {
            let at = Checkpoint { lapse_s: 1001, period_s: 9, renew_s: 1, grace_s: 0 };
            w.set(O::Checkpoint(at));
        }),
        (MaintenanceNotYet, |w| w.need.release_s = 800),
        (MaintenanceOver, |w| w.need.release_s = 0),
        (MaintenanceUndated, |w| w.need.release_s = 799),
        (OtherUser, |w| w.at.client.user = user_id("anna")),
        (OtherUserKey, |w| w.at.user_key = Some(Fixed([4; 33]))),
        (NoUnits, |w| w.at.units = 3),
        (UsageLogFull, |w| w.at.has.log_room = true),
        (ModeDenied, |w| w.set(O::DeniedModes(Modes::default()))),
        (ReplugTooFast, |w| w.at.after_power_up.settling_s = 0),
        (SeatQuarantine, |w| w.at.after_power_up.quarantine_s = 0),
        (NoSeat, |w| w.at.taken = taken(1)),
        (KeyMissing, |w| w.at.has.key = true),
    ];
    let mut wrong = Wrong::everything();
    for (code, mend) in order {
        assert_eq!(wrong.refusal(), Some(code));
        mend(&mut wrong);
    }
    assert_eq!(wrong.refusal(), None);
}

/// What a running program asks at each heartbeat: all but what was settled at its beginning.
#[test]
fn a_use_that_goes_on_is_judged_by_all_but_its_beginning() {
    let need = Requirement { certified_age_s: 1, units: 3, ..REQUIREMENT };
    let after_power_up = AfterPowerUp { quarantine_s: 1, settling_s: 1 };
    let at = Circumstances { taken: taken(9), after_power_up, ..NOON };
    let go_on = |option| {
        let item = item(vec![option]);
        let question = Question { item: &item, requirement: &need, at, stage: Stage::GoesOn };
        evaluate(&question).err().map(|failure| failure.known().unwrap())
    };
    assert_eq!(go_on(ItemOption::LicenseQuantity(1)), None);
    let ends = [
        (ItemOption::Status(Status::Suspended), ErrorCode::Suspended),
        (ItemOption::MinimumRuntime(Version(6)), ErrorCode::RuntimeOld),
        (ItemOption::ExpirationTime(1000), ErrorCode::Expired),
        (ItemOption::ActivationTime(1001), ErrorCode::NotYetActive),
        (ItemOption::TimeRule(TimeRule::MustSyncEvery { every_s: 99 }), ErrorCode::SyncOverdue),
        (
            ItemOption::DeniedModes(Modes::default().with(AccessMode::UserLimit)),
            ErrorCode::ModeDenied,
        ),
    ];
    for (option, code) in ends {
        assert_eq!(go_on(option), Some(code));
    }
}

#[test]
fn the_end_is_the_first_of_all_ends() {
    let at = Checkpoint { lapse_s: 70, period_s: 9, renew_s: 1, grace_s: 0 };
    let ends = item(vec![
        ItemOption::ExpirationTime(100),
        ItemOption::UsagePeriod(30),
        ItemOption::Checkpoint(at),
    ]);
    assert_eq!((end_s(&ends, 50), end_s(&ends, 20)), (Some(70), Some(50)));
    assert_eq!(end_s(&item(vec![]), 20), None);
}

#[test]
fn without_time_only_entries_without_times_are_usable() {
    let at = Circumstances { time: TimeView { reach_s: 0, certified_s: 0, ..TIME }, ..NOON };
    assert_eq!(judge(&item(vec![]), &REQUIREMENT, at), None);
    for dated in [ItemOption::ExpirationTime(5), ItemOption::UsagePeriod(5)] {
        assert_eq!(judge(&item(vec![dated]), &REQUIREMENT, at), Some(ErrorCode::NoTime));
    }
}

#[test]
fn maintenance_covers_its_first_second_and_not_the_second_of_its_end() {
    let covered = item(vec![ItemOption::MaintenancePeriod(Period { from_s: 700, until_s: 800 })]);
    let released = |release_s| judge(&covered, &Requirement { release_s, ..REQUIREMENT }, NOON);
    assert_eq!(released(699), Some(ErrorCode::MaintenanceNotYet));
    assert_eq!((released(700), released(799)), (None, None));
    assert_eq!(released(800), Some(ErrorCode::MaintenanceOver));
}

/// Which clock decides under which rule: the entry expires at 1500.
#[test]
fn a_time_rule_says_which_clock_counts() {
    let rule = |rule: Option<TimeRule>, time: TimeView| {
        let mut options = vec![ItemOption::ExpirationTime(1500)];
        options.extend(rule.map(ItemOption::TimeRule));
        judge(&item(options), &REQUIREMENT, Circumstances { time, ..NOON })
    };
    let rtc = TimeView { class: ClockClass::Rtc, clock_s: 1600, ..TIME };
    let host = |host_s| TimeView { host_s, ..TIME };
    let host_ok = Some(TimeRule::HostOk { slack_s: 700 });
    let expired = Some(ErrorCode::Expired);
    assert_eq!(rule(None, TIME), None);
    assert_eq!(rule(None, rtc), expired);
    assert_eq!(rule(Some(TimeRule::RuntimeOnly), rtc), None);
    assert_eq!(rule(host_ok, host(1400)), None);
    assert_eq!(rule(host_ok, host(1600)), expired);
    assert_eq!(rule(host_ok, host(1701)), Some(ErrorCode::HostTimeFar));
    assert_eq!(rule(host_ok, host(0)), Some(ErrorCode::HostTimeMissing));
    assert_eq!(rule(host_ok, host(1700)), expired, "as far as the slack goes");
    // A container with a clock follows no host.
    assert_eq!(rule(host_ok, TimeView { clock_s: 1400, host_s: 1600, ..rtc }), None);
    assert_eq!(rule(host_ok, TimeView { host_s: 1400, ..rtc }), expired);
    let never = TimeView { certified_s: 0, ..TIME };
    let sync = Some(TimeRule::MustSyncEvery { every_s: 100 });
    assert_eq!(rule(sync, TIME), None);
    assert_eq!(rule(sync, TimeView { reach_s: 1001, ..TIME }), Some(ErrorCode::SyncOverdue));
    assert_eq!(rule(sync, never), Some(ErrorCode::SyncOverdue));
    let fresh = Some(TimeRule::FreshToken);
    assert_eq!(rule(fresh, rtc), Some(ErrorCode::TimeNotFresh));
    assert_eq!(rule(fresh, TimeView { is_fresh: true, ..TIME }), None);
}

#[test]
fn an_entry_paid_for_by_units_needs_one_and_others_have_none() {
    let counter = UnitRule { reserve_max: 1, lost: LostUnits::Held };
    let counted = item(vec![ItemOption::UnitCounter(counter)]);
    let wants = |units| Requirement { units, ..REQUIREMENT };
    let left = |units| Circumstances { units, ..NOON };
    assert_eq!(judge(&counted, &wants(0), left(0)), Some(ErrorCode::NoUnits));
    assert_eq!(judge(&counted, &wants(0), left(1)), None);
    assert_eq!(judge(&counted, &wants(5), left(5)), None);
    assert_eq!(judge(&item(vec![]), &wants(1), left(9)), Some(ErrorCode::NoUnits));
    let full = Circumstances { has: Presence { log_room: false, ..Presence::ALL }, ..left(9) };
    assert_eq!(judge(&counted, &wants(0), full), None);
}

#[test]
fn quantity_zero_is_not_counted() {
    let after_power_up = AfterPowerUp { quarantine_s: 9, settling_s: 0 };
    let at = Circumstances { taken: taken(1000), after_power_up, ..NOON };
    assert_eq!(judge(&item(vec![]), &REQUIREMENT, at), None);
}

#[test]
fn stations_share_a_seat_or_have_it_alone() {
    let quantity = |seats| item(vec![ItemOption::LicenseQuantity(seats)]);
    let ask = |item: &ProductItem, access, station: u8, taken| {
        let client = Client { station: Fixed([station; 16]), ..NOON.client };
        let need = Requirement { access, ..REQUIREMENT };
        judge(item, &need, Circumstances { taken, client, ..NOON })
    };
    let here = Taken { seats: 1, shared_here: true, exclusive_here: true };
    let elsewhere = taken(1);
    let (share, alone) = (AccessMode::StationShare, AccessMode::Exclusive);
    assert_eq!(ask(&quantity(1), share, 1, here), None);
    assert_eq!(ask(&quantity(1), share, 1, elsewhere), Some(ErrorCode::NoSeat));
    assert_eq!(ask(&quantity(2), share, 1, elsewhere), None);
    assert_eq!(ask(&quantity(0), share, 1, elsewhere), None, "local use is not counted");
    assert_eq!(ask(&quantity(0), alone, 1, here), Some(ErrorCode::StationBusy));
    assert_eq!(ask(&quantity(1), alone, 1, elsewhere), Some(ErrorCode::NoSeat));
    assert_eq!(ask(&quantity(2), alone, 1, elsewhere), None);
    for access in [share, alone] {
        assert_eq!(ask(&quantity(2), access, 0, elsewhere), Some(ErrorCode::StationUnknown));
    }
}

/// Numbers of refusals rise in evaluation order: whoever compares two knows which came further.
#[test]
fn every_step_refuses_by_numbers_behind_those_of_the_step_before() {
    use ErrorCode::*;
    let first_of_step = [
        ContainerLocked,
        FirmUnknown,
        ProductUnknown,
        FeaturesMissing,
        ParentMissing,
        Suspended,
        RuntimeOld,
        RegionRefused,
        CertifiedTimeOld,
        NotYetActive,
        Expired,
        UsageOver,
        Lapsed,
        MaintenanceUndated,
        OtherUser,
        NoUnits,
        NoSeat,
        KeyMissing,
    ];
    assert_eq!(first_of_step.len(), STEPS.len());
    assert!(first_of_step.windows(2).all(|pair| pair[0].number() < pair[1].number()));
}
