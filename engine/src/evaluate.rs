//! Whether a requirement is fulfilled, purely: the one order of evaluation.
//!
//! Firm and container state are checked by the caller (`seat.rs`), units by the step that takes
//! them. Among several entries of a product the first that allows the use wins; if none does, the
//! refusal of the one that got furthest is told, since it names what is really missing.

use protocol::codec::Fixed;
use protocol::errors::{ErrorCode, Failure};
use protocol::objects::license::{AccessMode, Client, ProductItem, Requirement, Status, user_id};

use crate::seats::Taken;

/// What is known beside the entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    /// The present for this firm; 0 = not known.
    pub now_s: u64,
    /// Last certified time; 0 = never.
    pub certified_s: u64,
    /// When the entry was used first; 0 = not yet.
    pub first_use_s: u64,
    /// How the seats of this entry are taken.
    pub taken: Taken,
    /// Who asks.
    pub client: Client,
}

/// Checks one entry against a requirement, in the fixed order.
pub(crate) fn evaluate(
    item: &ProductItem,
    requirement: &Requirement,
    at: Circumstances,
) -> Result<(), Failure> {
    features(item, requirement)?;
    status(item)?;
    runtime(item, at)?;
    region(item, at)?;
    certified_age(requirement, at)?;
    times(item, at)?;
    maintenance(item, requirement)?;
    user(item, at)?;
    units(requirement)?;
    seats(item, requirement, at)
}

/// The same for a use that holds its seat already: without what was settled when it began, which is
/// the age of certified time, units and the number of seats.
pub(crate) fn still_allowed(
    item: &ProductItem,
    requirement: &Requirement,
    at: Circumstances,
) -> Result<(), Failure> {
    features(item, requirement)?;
    status(item)?;
    runtime(item, at)?;
    region(item, at)?;
    times(item, at)?;
    maintenance(item, requirement)?;
    user(item, at)?;
    mode(item, requirement)
}

/// First second in which a use ends by itself; `None` = no end.
pub(crate) fn end_s(item: &ProductItem, first_use_s: u64) -> Option<u64> {
    let usage_s = item.usage_period_s().map(|period_s| usage_end_s(first_use_s, period_s));
    let lapse_s = item.checkpoint().map(|at| at.lapse_s);
    [item.expiration_s(), usage_s, lapse_s].into_iter().flatten().min()
}

fn features(item: &ProductItem, requirement: &Requirement) -> Result<(), Failure> {
    let (has, needs) = (item.features(), requirement.features);
    if has & needs == needs { Ok(()) } else { Err(ErrorCode::FeaturesMissing.with(needs, has)) }
}

fn status(item: &ProductItem) -> Result<(), Failure> {
    match item.status() {
        Status::Enabled => Ok(()),
        _ => Err(ErrorCode::Suspended.failure()),
    }
}

fn runtime(item: &ProductItem, at: Circumstances) -> Result<(), Failure> {
    let (needs, has) = (item.minimum_runtime(), at.client.runtime);
    if has >= needs {
        Ok(())
    } else {
        Err(ErrorCode::RuntimeOld.with(needs.0.into(), has.0.into()))
    }
}

fn region(item: &ProductItem, at: Circumstances) -> Result<(), Failure> {
    let Some(markets) = item.region() else { return Ok(()) };
    let market = at.client.market;
    if markets.contains(&market) {
        return Ok(());
    }
    let first = markets.first().map_or(0, |country| country.number());
    Err(ErrorCode::RegionRefused.with(market.number(), first))
}

fn certified_age(requirement: &Requirement, at: Circumstances) -> Result<(), Failure> {
    let max_s = u64::from(requirement.certified_age_s);
    if max_s == 0 {
        return Ok(());
    }
    let age_s =
        if at.certified_s == 0 { at.now_s } else { at.now_s.saturating_sub(at.certified_s) };
    if at.certified_s == 0 || age_s > max_s {
        return Err(ErrorCode::CertifiedTimeOld.with(age_s, max_s));
    }
    Ok(())
}

/// Activation, expiration, usage period, checkpoint.
fn times(item: &ProductItem, at: Circumstances) -> Result<(), Failure> {
    let start_s = item.activation_s();
    if start_s != 0 && known_s(at)? < start_s {
        return Err(ErrorCode::NotYetActive.with(start_s, at.now_s));
    }
    before(item.expiration_s(), ErrorCode::Expired, at)?;
    if let Some(period_s) = item.usage_period_s() {
        let first_use_s = if at.first_use_s == 0 { known_s(at)? } else { at.first_use_s };
        before(Some(usage_end_s(first_use_s, period_s)), ErrorCode::UsageOver, at)?;
    }
    before(item.checkpoint().map(|at| at.lapse_s), ErrorCode::Lapsed, at)
}

fn before(end_s: Option<u64>, code: ErrorCode, at: Circumstances) -> Result<(), Failure> {
    let Some(end_s) = end_s else { return Ok(()) };
    if known_s(at)? >= end_s { Err(code.with(end_s, at.now_s)) } else { Ok(()) }
}

fn known_s(at: Circumstances) -> Result<u64, Failure> {
    if at.now_s == 0 { Err(ErrorCode::NoTime.failure()) } else { Ok(at.now_s) }
}

fn usage_end_s(first_use_s: u64, period_s: u32) -> u64 {
    first_use_s.saturating_add(period_s.into())
}

fn maintenance(item: &ProductItem, requirement: &Requirement) -> Result<(), Failure> {
    let Some(covered) = item.maintenance() else { return Ok(()) };
    let release_s = requirement.release_s;
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

fn user(item: &ProductItem, at: Circumstances) -> Result<(), Failure> {
    match item.named_user() {
        Some(name) if user_id(name) != at.client.user => Err(ErrorCode::OtherUser.failure()),
        _ => Ok(()),
    }
}

/// No entry of this version holds units, so a use that takes some is refused.
fn units(requirement: &Requirement) -> Result<(), Failure> {
    match requirement.units {
        0 => Ok(()),
        wanted => Err(ErrorCode::NoUnits.with(wanted.into(), 0)),
    }
}

fn mode(item: &ProductItem, requirement: &Requirement) -> Result<(), Failure> {
    let access = requirement.access;
    if item.denied_modes().contains(access) {
        Err(ErrorCode::ModeDenied.with(access as u64, 0))
    } else {
        Ok(())
    }
}

fn seats(item: &ProductItem, requirement: &Requirement, at: Circumstances) -> Result<(), Failure> {
    mode(item, requirement)?;
    match requirement.access {
        AccessMode::NoUserLimit => return Ok(()),
        AccessMode::UserLimit => {}
        AccessMode::StationShare | AccessMode::Exclusive if at.client.station == Fixed([0; 16]) => {
            return Err(ErrorCode::StationUnknown.failure());
        }
        AccessMode::StationShare if at.taken.shared_here => return Ok(()),
        AccessMode::Exclusive if at.taken.exclusive_here => {
            return Err(ErrorCode::StationBusy.failure());
        }
        AccessMode::StationShare | AccessMode::Exclusive => {}
        other => return Err(ErrorCode::AccessModeUnsupported.with(other as u64, 0)),
    }
    let (quantity, used) = (item.quantity(), at.taken.seats);
    // Quantity 0 is local use only: it is not counted.
    if quantity == 0 || used < quantity {
        Ok(())
    } else {
        Err(ErrorCode::NoSeat.with(quantity.into(), used.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use protocol::codec::List;
    use protocol::ids::{EntryNumber, Generation, ProductCode, RootFp};
    use protocol::objects::license::{
        Checkpoint, Country, ItemOption, ItemRef, Modes, Period, Version,
    };

    fn item(options: alloc::vec::Vec<ItemOption>) -> ProductItem {
        let item = ItemRef { product: ProductCode(7), entry: EntryNumber(0) };
        ProductItem { item, options: List::new(options).unwrap() }
    }

    fn requirement() -> Requirement {
        Requirement {
            root_fp: RootFp::default(),
            product: ProductCode(7),
            features: 0,
            units: 0,
            release_s: 0,
            access: AccessMode::UserLimit,
            certified_age_s: 0,
            generation: Generation(0),
        }
    }

    const NOON: Circumstances = Circumstances {
        now_s: 1000,
        certified_s: 900,
        first_use_s: 0,
        taken: Taken { seats: 0, shared_here: false, exclusive_here: false },
        client: Client {
            runtime: Version(5),
            market: Country(*b"AT"),
            user: Fixed([0; 16]),
            station: Fixed([9; 16]),
        },
    };

    /// An entry and a use in which everything is wrong is refused for the first reason; mending one
    /// after the other shows the order.
    #[test]
    fn refusals_come_in_the_fixed_order() {
        use ErrorCode::*;
        use ItemOption as O;
        let checkpoint = |lapse_s| Checkpoint { lapse_s, period_s: 9, renew_s: 1, grace_s: 0 };
        let period = |from_s, until_s| O::MaintenancePeriod(Period { from_s, until_s });
        let list = |country| List::new(vec![Country(country)]).unwrap();
        let name = |name| O::NamedUser(protocol::codec::Text::new(name).unwrap());
        let mut options = vec![
            O::FeatureMap(2),
            O::LicenseQuantity(2),
            O::ActivationTime(2000),
            O::ExpirationTime(500),
            O::DeniedModes(Modes::default().with(AccessMode::UserLimit)),
            O::MinimumRuntime(Version(6)),
            period(700, 800),
            O::UsagePeriod(50),
            O::Checkpoint(checkpoint(500)),
            name("anna"),
            O::Region(list(*b"DE")),
            O::Status(Status::Suspended),
        ];
        let mut need = Requirement {
            features: 6,
            certified_age_s: 50,
            units: 3,
            release_s: 600,
            ..requirement()
        };
        let mut at = Circumstances { taken: taken(2), first_use_s: 900, ..NOON };
        let refused = |options: &mut Vec<ItemOption>, need: &Requirement, at, mend: O, code| {
            let found = evaluate(&item(options.clone()), need, at).unwrap_err();
            assert_eq!(found.known(), Some(code));
            let place = options.iter_mut().find(|option| option.kind() == mend.kind()).unwrap();
            *place = mend;
        };
        refused(&mut options, &need, at, O::FeatureMap(6), FeaturesMissing);
        refused(&mut options, &need, at, O::Status(Status::Enabled), Suspended);
        refused(&mut options, &need, at, O::MinimumRuntime(Version(5)), RuntimeOld);
        refused(&mut options, &need, at, O::Region(list(*b"AT")), RegionRefused);
        refused(&mut options, &need, at, O::FeatureMap(6), CertifiedTimeOld);
        need.certified_age_s = 100;
        refused(&mut options, &need, at, O::ActivationTime(1000), NotYetActive);
        refused(&mut options, &need, at, O::ExpirationTime(1001), Expired);
        refused(&mut options, &need, at, O::UsagePeriod(101), UsageOver);
        refused(&mut options, &need, at, O::Checkpoint(checkpoint(1001)), Lapsed);
        refused(&mut options, &need, at, O::FeatureMap(6), MaintenanceNotYet);
        need.release_s = 800;
        refused(&mut options, &need, at, O::FeatureMap(6), MaintenanceOver);
        need.release_s = 0;
        refused(&mut options, &need, at, period(700, 801), MaintenanceUndated);
        need.release_s = 800;
        refused(&mut options, &need, at, O::FeatureMap(6), OtherUser);
        at.client.user = user_id("anna");
        refused(&mut options, &need, at, O::FeatureMap(6), NoUnits);
        need.units = 0;
        refused(&mut options, &need, at, O::DeniedModes(Modes::default()), ModeDenied);
        refused(&mut options, &need, at, O::FeatureMap(6), NoSeat);
        at.taken = taken(1);
        assert_eq!(evaluate(&item(options), &need, at), Ok(()));
    }

    /// What a running program asks at each heartbeat: all but what was settled at its beginning.
    #[test]
    fn a_use_that_goes_on_is_judged_by_all_but_its_beginning() {
        let need = Requirement { certified_age_s: 1, units: 3, ..requirement() };
        let at = Circumstances { taken: taken(9), ..NOON };
        assert_eq!(still_allowed(&item(vec![ItemOption::LicenseQuantity(1)]), &need, at), Ok(()));
        let ends = [
            (ItemOption::Status(Status::Suspended), ErrorCode::Suspended),
            (ItemOption::MinimumRuntime(Version(6)), ErrorCode::RuntimeOld),
            (ItemOption::ExpirationTime(1000), ErrorCode::Expired),
            (ItemOption::ActivationTime(1001), ErrorCode::NotYetActive),
        ];
        for (option, code) in ends {
            let refused = still_allowed(&item(vec![option]), &need, at).unwrap_err();
            assert_eq!(refused.known(), Some(code));
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
        let at = Circumstances { now_s: 0, certified_s: 0, ..NOON };
        assert_eq!(evaluate(&item(vec![]), &requirement(), at), Ok(()));
        for dated in [ItemOption::ExpirationTime(5), ItemOption::UsagePeriod(5)] {
            let refused = evaluate(&item(vec![dated]), &requirement(), at);
            assert_eq!(refused, Err(ErrorCode::NoTime.failure()));
        }
    }

    #[test]
    fn quantity_zero_is_not_counted() {
        let at = Circumstances { taken: taken(1000), ..NOON };
        assert_eq!(evaluate(&item(vec![]), &requirement(), at), Ok(()));
    }

    #[test]
    fn stations_share_a_seat_or_have_it_alone() {
        let quantity = |seats| item(vec![ItemOption::LicenseQuantity(seats)]);
        let judge = |item: &ProductItem, access, station: u8, taken| {
            let client = Client { station: Fixed([station; 16]), ..NOON.client };
            let need = Requirement { access, ..requirement() };
            let refused = evaluate(item, &need, Circumstances { taken, client, ..NOON });
            refused.map_err(|failure| failure.known().unwrap())
        };
        let here = Taken { seats: 1, shared_here: true, exclusive_here: true };
        let elsewhere = taken(1);
        let (share, alone) = (AccessMode::StationShare, AccessMode::Exclusive);
        assert_eq!(judge(&quantity(1), share, 1, here), Ok(()));
        assert_eq!(judge(&quantity(1), share, 1, elsewhere), Err(ErrorCode::NoSeat));
        assert_eq!(judge(&quantity(2), share, 1, elsewhere), Ok(()));
        assert_eq!(judge(&quantity(0), alone, 1, here), Err(ErrorCode::StationBusy));
        assert_eq!(judge(&quantity(1), alone, 1, elsewhere), Err(ErrorCode::NoSeat));
        assert_eq!(judge(&quantity(2), alone, 1, elsewhere), Ok(()));
        for access in [share, alone] {
            assert_eq!(judge(&quantity(9), access, 0, taken(0)), Err(ErrorCode::StationUnknown));
        }
    }

    fn taken(seats: u32) -> Taken {
        Taken { seats, ..Taken::default() }
    }
}
