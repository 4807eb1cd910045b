//! Whether a requirement is fulfilled, purely: the one order of evaluation.
//!
//! Firm and container state are checked by the caller (`seat.rs`), units by the step that takes
//! them. Among several entries of a product the first that allows the use wins; if none does, the
//! refusal of the one that got furthest is told, since it names what is really missing.

use protocol::errors::{ErrorCode, Failure};
use protocol::objects::license::{AccessMode, ProductItem, Requirement};

/// What is known beside the entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    /// The present for this firm; 0 = not known.
    pub now_s: u64,
    /// Last certified time; 0 = never.
    pub certified_s: u64,
    /// Seats of this entry that others hold.
    pub seats_used: u32,
}

/// Checks one entry against a requirement, in the fixed order.
pub(crate) fn evaluate(
    item: &ProductItem,
    requirement: &Requirement,
    at: Circumstances,
) -> Result<(), Failure> {
    features(item, requirement)?;
    certified_age(requirement, at)?;
    activation(item, at)?;
    expiration(item, at)?;
    units(requirement)?;
    seats(item, requirement, at)
}

/// The same without counting seats: for a use that holds its seat already.
pub(crate) fn still_allowed(
    item: &ProductItem,
    requirement: &Requirement,
    at: Circumstances,
) -> Result<(), Failure> {
    features(item, requirement)?;
    activation(item, at)?;
    expiration(item, at)
}

fn features(item: &ProductItem, requirement: &Requirement) -> Result<(), Failure> {
    let (has, needs) = (item.features(), requirement.features);
    if has & needs == needs { Ok(()) } else { Err(ErrorCode::FeaturesMissing.with(needs, has)) }
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

fn activation(item: &ProductItem, at: Circumstances) -> Result<(), Failure> {
    let start_s = item.activation_s();
    if start_s == 0 {
        return Ok(());
    }
    known(at)?;
    if at.now_s < start_s { Err(ErrorCode::NotYetActive.with(start_s, at.now_s)) } else { Ok(()) }
}

fn expiration(item: &ProductItem, at: Circumstances) -> Result<(), Failure> {
    let Some(end_s) = item.expiration_s() else { return Ok(()) };
    known(at)?;
    if at.now_s >= end_s { Err(ErrorCode::Expired.with(end_s, at.now_s)) } else { Ok(()) }
}

fn known(at: Circumstances) -> Result<(), Failure> {
    if at.now_s == 0 { Err(ErrorCode::NoTime.failure()) } else { Ok(()) }
}

/// No entry of this version holds units, so a use that takes some is refused.
fn units(requirement: &Requirement) -> Result<(), Failure> {
    match requirement.units {
        0 => Ok(()),
        wanted => Err(ErrorCode::NoUnits.with(wanted.into(), 0)),
    }
}

fn seats(item: &ProductItem, requirement: &Requirement, at: Circumstances) -> Result<(), Failure> {
    match requirement.access {
        AccessMode::NoUserLimit => Ok(()),
        AccessMode::UserLimit => {
            let quantity = item.quantity();
            // Quantity 0 is local use only: it is not counted.
            if quantity == 0 || at.seats_used < quantity {
                Ok(())
            } else {
                Err(ErrorCode::NoSeat.with(quantity.into(), at.seats_used.into()))
            }
        }
        other => Err(ErrorCode::AccessModeUnsupported.with(other as u64, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use protocol::codec::List;
    use protocol::ids::{EntryNumber, Generation, ProductCode, RootFp};
    use protocol::objects::license::{ItemOption, ItemRef};

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

    const NOON: Circumstances = Circumstances { now_s: 1000, certified_s: 900, seats_used: 0 };

    /// An entry and a use in which everything is wrong is refused for the first reason; mending one
    /// after the other shows the order.
    #[test]
    fn refusals_come_in_the_fixed_order() {
        use ErrorCode::*;
        let all = |features, activation, expiration, quantity| {
            item(vec![
                ItemOption::FeatureMap(features),
                ItemOption::LicenseQuantity(quantity),
                ItemOption::ActivationTime(activation),
                ItemOption::ExpirationTime(expiration),
            ])
        };
        let mut need = Requirement { features: 6, certified_age_s: 50, units: 3, ..requirement() };
        let mut at = Circumstances { seats_used: 2, ..NOON };
        let code = |item: &ProductItem, need: &Requirement, at| {
            evaluate(item, need, at).map_err(|f| f.known())
        };
        assert_eq!(code(&all(2, 2000, 500, 2), &need, at), Err(Some(FeaturesMissing)));
        assert_eq!(code(&all(6, 2000, 500, 2), &need, at), Err(Some(CertifiedTimeOld)));
        need.certified_age_s = 100;
        assert_eq!(code(&all(6, 2000, 500, 2), &need, at), Err(Some(NotYetActive)));
        assert_eq!(code(&all(6, 1000, 1000, 2), &need, at), Err(Some(Expired)));
        assert_eq!(code(&all(6, 1000, 1001, 2), &need, at), Err(Some(NoUnits)));
        need.units = 0;
        assert_eq!(code(&all(6, 1000, 1001, 2), &need, at), Err(Some(NoSeat)));
        at.seats_used = 1;
        assert_eq!(code(&all(6, 1000, 1001, 2), &need, at), Ok(()));
    }

    #[test]
    fn without_time_only_entries_without_times_are_usable() {
        let at = Circumstances { now_s: 0, certified_s: 0, seats_used: 0 };
        assert_eq!(evaluate(&item(vec![]), &requirement(), at), Ok(()));
        let dated = item(vec![ItemOption::ExpirationTime(5)]);
        assert_eq!(evaluate(&dated, &requirement(), at), Err(ErrorCode::NoTime.failure()));
    }

    #[test]
    fn quantity_zero_is_not_counted() {
        let at = Circumstances { seats_used: 1000, ..NOON };
        assert_eq!(evaluate(&item(vec![]), &requirement(), at), Ok(()));
    }

    #[test]
    fn modes_that_need_a_station_are_refused_by_name() {
        for access in [AccessMode::StationShare, AccessMode::Exclusive] {
            let need = Requirement { access, ..requirement() };
            let refused = evaluate(&item(vec![]), &need, NOON).unwrap_err();
            assert_eq!(refused.known(), Some(ErrorCode::AccessModeUnsupported));
        }
    }
}
