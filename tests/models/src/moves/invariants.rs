//! What is promised about licenses that move.

use stateright::Property;

use super::central::{Grant, Owner};
use super::chain::{Chain, Op, Receipt};
use super::container::Drawer;
use super::{Action, ContainerId, FirmId, GrantId, Moves, SKEW, State, reached};

/// Never more uses than were sold.
pub const M1: &str = "M1 uses never exceed the quantity, but for what is booked as an overlap";
/// Central knows.
pub const M2: &str = "M2 what can be used in a container is counted there";
/// Neither runs away from the other.
pub const M3: &str = "M3 a container is at what it proved, or within the window behind";
/// No way back.
pub const M4: &str = "M4 the epoch of a grant in a container never falls";
/// Free is free.
pub const M5: &str = "M5 what is in the pool can be used nowhere";
/// The lapse that Central waits for.
pub const M6: &str = "M6 the lapse that is waited for is the latest that may come into effect";
/// One update for each number.
pub const M7: &str = "M7 of two updates with one number one is proved at most, and that one counts";
/// One receipt for each number.
pub const M8: &str = "M8 receipts of one number say the same";
/// Nothing is lost where containers answer.
pub const M9: &str = "M9 everything can come back to the pool by receipts";
/// Nothing is lost where they do not.
pub const M10: &str = "M10 everything comes back to the pool by time alone";
/// The end is the end.
pub const M12: &str = "M12 a container that is revoked or ended gets nothing new";
/// Firms do not meet.
pub const M13: &str = "M13 what a firm has in a container is what its own updates made of it";

/// Those that each state shows.
pub fn all() -> Vec<Property<Moves>> {
    let mut rows = vec![
        Property::always(M1, |model: &Moves, s: &State| {
            let mut sold = model.scene.grants.iter().enumerate();
            sold.all(|(of, &(_, quantity))| uses(s, of) <= quantity)
        }),
        Property::always(M2, |_: &Moves, s: &State| {
            let mut uses = all_uses(s);
            uses.all(|one| is_counted(s, one) || is_booked(s, one))
        }),
        Property::always(M3, |model: &Moves, s: &State| {
            s.all_chains().all(|(at, firm, chain)| {
                let proved = chain.number(s.central.books[at][firm].base);
                let number = chain.number(s.containers[at].drawers[firm].at);
                (proved..=proved + model.scene.window).contains(&number)
            })
        }),
        Property::always(M4, |_: &Moves, s: &State| {
            let drawers = s.containers.iter().flat_map(|container| &container.drawers);
            drawers.into_iter().all(|drawer| !drawer.epoch_fell)
        }),
        Property::always(M5, |_: &Moves, s: &State| {
            let pooled = |one: Use| s.central.grants[one.grant].owner == Owner::Pool;
            !all_uses(s).any(|one| pooled(one) && !is_booked(s, one))
        }),
        Property::always(M6, lapses_are_waited_for),
        Property::always(M7, |_: &Moves, s: &State| {
            s.all_chains().all(|(at, firm, chain)| one_for_each_number(s, at, firm, chain))
        }),
        Property::always(M8, |_: &Moves, s: &State| {
            s.all_chains().all(|(_, _, chain)| receipts_agree(chain))
        }),
        Property::always(M12, nothing_after_the_end),
        Property::always(M13, |_: &Moves, s: &State| {
            s.all_chains().all(|(at, firm, chain)| {
                let drawer = &s.containers[at].drawers[firm];
                drawer.holds == chain.holds(drawer.at)
            })
        }),
    ];
    rows.extend(reached::all());
    rows
}

/// The actions by which everything must be able to come back, where containers answer: all but
/// taking back what lapsed.
pub fn by_receipts(action: &Action) -> bool {
    !matches!(action, Action::Reclaim(_))
}

/// The actions by which everything comes back, where none of them answers any more.
pub fn by_time(action: &Action) -> bool {
    matches!(action, Action::Tick | Action::Reclaim(_))
}

/// A grant that can be used in a container.
#[derive(Clone, Copy)]
pub(super) struct Use {
    pub(super) grant: GrantId,
    pub(super) epoch: u8,
    pub(super) at: ContainerId,
    pub(super) quantity: u8,
}

pub(super) fn all_uses(state: &State) -> impl Iterator<Item = Use> {
    state.all_chains().flat_map(move |(at, firm, chain)| {
        let container = &state.containers[at];
        let holds = container.drawers[firm].holds.iter();
        let used = holds.filter(move |row| container.can_use(chain, firm, *row.0));
        used.filter_map(move |(&grant, &by)| match chain.update(by)?.op {
            Op::Install(_, epoch) => {
                Some(Use { grant, epoch, at, quantity: chain.update(by)?.quantity })
            }
            _ => None,
        })
    })
}

/// Whether Central counts it there, with all of its quantity.
fn is_counted(state: &State, one: Use) -> bool {
    let there = |grant: &Grant| grant.owner.container() == Some(one.at);
    let grants = state.central.grants.iter().enumerate();
    let counted = grants.filter(|(id, grant)| {
        let part = grant.part.map(|part| (part.of, part.epoch));
        there(grant) && part.unwrap_or((*id, grant.epoch)) == (one.grant, one.epoch)
    });
    counted.map(|(_, grant)| grant.quantity).sum::<u8>() >= one.quantity
}

fn is_booked(state: &State, one: Use) -> bool {
    state.central.overlaps.contains(&(one.grant, one.epoch, one.at))
}

/// What of an entitlement can be used, all containers together, without what is booked.
fn uses(state: &State, of: GrantId) -> u8 {
    let grants = &state.central.grants;
    let counts = |one: &Use| grants[one.grant].of == of && !is_booked(state, *one);
    all_uses(state).filter(counts).map(|one| one.quantity).sum()
}

/// Whatever may be installed, now or by what was signed, is waited for until it lapsed.
fn lapses_are_waited_for(model: &Moves, state: &State) -> bool {
    state.all_chains().all(|(at, firm, chain)| {
        let container = &state.containers[at];
        let drawer = &container.drawers[firm];
        chain.places().zip(&chain.updates).all(|(place, update)| {
            let Op::Install(grant, epoch) = update.op else { return true };
            let here = drawer.holds.get(&grant) == Some(&place);
            let may_come = chain.passes(update.before, drawer.at);
            let over = container.late.is_some() && update.left <= -SKEW;
            if drawer.ended.is_some() || over || !(here || may_come) {
                return true;
            }
            let one = Use { grant, epoch, at, quantity: update.quantity };
            let waited = state.central.max_lapse(model, &state.chains, grant);
            is_booked(state, one) || (is_counted(state, one) && waited >= update.left)
        })
    })
}

fn receipts_agree(chain: &Chain) -> bool {
    let number = |receipt: &Receipt| chain.number(receipt.place);
    chain.receipts.iter().all(|one| {
        let mut same = chain.receipts.iter().filter(|other| number(other) == number(one));
        same.all(|other| other == one)
    })
}

/// Of one number there is one receipt, and Central took in what the container applied.
fn one_for_each_number(state: &State, at: ContainerId, firm: FirmId, chain: &Chain) -> bool {
    let drawer = &state.containers[at].drawers[firm];
    let mut receipts = chain.receipts.iter();
    let one = receipts.all(|receipt| {
        let number = chain.number(receipt.place);
        let mut others = chain.receipts.iter().map(|other| other.place);
        others.all(|other| other == receipt.place || chain.number(other) != number)
    });
    one && chain.passes(drawer.at, state.central.books[at][firm].base)
}

fn nothing_after_the_end(_: &Moves, state: &State) -> bool {
    let drawers = state.containers.iter().flat_map(|container| &container.drawers);
    let rest = |drawer: &Drawer| drawer.ended.is_none_or(|ended| ended == drawer.at);
    let books = state.central.books.iter().flatten();
    drawers.into_iter().all(rest) && books.into_iter().all(|book| !book.installed_late)
}
