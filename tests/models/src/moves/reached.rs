//! What must happen sometimes, for the promises to mean anything.

use stateright::Property;

use super::central::{Grant, Owner, Standing};
use super::chain::{Chain, Op, Place, Update};
use super::container::Drawer;
use super::invariants::{Use, all_uses};
use super::{ContainerId, FirmId, GrantId, Moves, State};

/// All rows.
pub fn all() -> Vec<Property<Moves>> {
    let mut rows = sometimes_moved();
    rows.extend(sometimes_parted());
    rows.extend(sometimes_superseded());
    rows.extend(sometimes_under_way());
    rows.extend(sometimes_ended());
    rows
}

fn sometimes_moved() -> Vec<Property<Moves>> {
    vec![
        Property::sometimes("a license moved", |_: &Moves, s: &State| {
            all_uses(s).any(|one| was_released(s, one.grant, |at, _| at != one.at))
        }),
        Property::sometimes("a license was released early", |_: &Moves, s: &State| {
            let early = |at: ContainerId, id: GrantId, firm: FirmId, epoch: u8| {
                let chain = &s.chains[at][firm];
                let places = chain.places().zip(&chain.updates);
                let mut installs = places.filter(|row| row.1.op == Op::Install(id, epoch));
                installs.any(|row| row.1.left > 0)
            };
            any_grant(s, |id, grant| {
                grant.owner == Owner::Pool
                    && was_released(s, id, |at, epoch| early(at, id, grant.firm, epoch))
            })
        }),
        Property::sometimes("a license was renewed", |_: &Moves, s: &State| {
            all_uses(s).any(|one| {
                let renewals = proved(s)
                    .filter(|row| row.0 == one.at && row.3.op == Op::Install(one.grant, one.epoch));
                renewals.count() == 2
            })
        }),
        Property::sometimes("a license lapsed and is used elsewhere", |_: &Moves, s: &State| {
            all_uses(s).any(|one| {
                let holds = |drawer: &Drawer| drawer.holds.contains_key(&one.grant);
                let mut others = s.containers.iter().enumerate().filter(|row| row.0 != one.at);
                let held = others.any(|row| row.1.drawers.iter().any(holds));
                held && s.central.overlaps.is_empty()
            })
        }),
        Property::sometimes("a fast clock ends a use early", |_: &Moves, s: &State| {
            s.all_chains().any(|(at, firm, chain)| {
                let container = &s.containers[at];
                let mut holds = container.drawers[firm].holds.iter();
                let ended = |id: GrantId| !container.can_use(chain, firm, id);
                holds.any(|(&id, &by)| chain.left(by) > 0 && ended(id))
            })
        }),
    ]
}

fn sometimes_parted() -> Vec<Property<Moves>> {
    vec![
        Property::sometimes("parts of a grant are used in two places", |_: &Moves, s: &State| {
            let of = |one: Use| s.central.grants[one.grant].of;
            let rival = |one: Use| {
                all_uses(s).any(|other| {
                    (other.grant, other.at) != (one.grant, one.at)
                        && other.at != one.at
                        && other.grant != one.grant
                        && of(other) == of(one)
                })
            };
            all_uses(s).any(rival)
        }),
        Property::sometimes("a part came back and is used elsewhere", |_: &Moves, s: &State| {
            let shrunk = |one: Use| {
                one.quantity < 2
                    && s.all_chains().any(|(_, _, chain)| {
                        let mut places = chain.updates.iter();
                        places.any(|u| u.op == Op::Install(one.grant, one.epoch) && u.quantity == 2)
                    })
            };
            let used = all_uses(s).map(|one| one.grant);
            all_uses(s).any(shrunk) && used.count() == 2
        }),
        Property::sometimes(
            "a part was to come back, and that was superseded",
            |_: &Moves, s: &State| {
                any_grant(s, |_, grant| grant.part.is_some()) && was_superseded(s, true, false)
            },
        ),
        Property::sometimes("an overlap was booked, and happens", |model: &Moves, s: &State| {
            let used = all_uses(s).count();
            used > usize::from(model.scene.grants[0].1) && !s.central.overlaps.is_empty()
        }),
        Property::sometimes("an overlap was booked, and is over", |model: &Moves, s: &State| {
            model.scene.overlaps
                && s.central.overlaps.is_empty()
                && any_grant(s, |id, grant| was_released(s, id, |_, e| e < grant.epoch))
        }),
        Property::sometimes("a perpetual license came back", |model: &Moves, s: &State| {
            model.scene.perpetual && s.is_pooled() && was_released(s, 0, |_, _| true)
        }),
    ]
}

fn sometimes_superseded() -> Vec<Property<Moves>> {
    vec![
        Property::sometimes(
            "a number was superseded, and the newer taken",
            |_: &Moves, s: &State| was_superseded(s, true, false),
        ),
        Property::sometimes(
            "a number was superseded, and the older taken",
            |_: &Moves, s: &State| was_superseded(s, false, false),
        ),
        Property::sometimes(
            "an inner number was superseded, its successors died",
            |_: &Moves, s: &State| was_superseded(s, true, true),
        ),
        Property::sometimes(
            "an inner number was superseded, its successors live",
            |_: &Moves, s: &State| was_superseded(s, false, true),
        ),
        Property::sometimes("a cancelled release left a license in use", |_: &Moves, s: &State| {
            proved(s).any(|(at, firm, place, update)| {
                let chain = &s.chains[at][firm];
                let release = |other: Place| {
                    let op = chain.update(other).map(|update| update.op);
                    matches!(op, Some(Op::Release(..))) && other < place
                };
                let used = all_uses(s).any(|one| one.at == at);
                update.op == Op::Nop && has_rival(chain, place, release) && used
            })
        }),
    ]
}

fn sometimes_under_way() -> Vec<Property<Moves>> {
    vec![
        Property::sometimes("one receipt settled a window of two", |_: &Moves, s: &State| {
            s.all_chains().any(|(at, firm, chain)| {
                let base = s.central.books[at][firm].base;
                let receipts = chain.receipts.iter().map(|receipt| receipt.place);
                chain.number(base) >= 2 && receipts.into_iter().all(|place| place == base)
            })
        }),
        Property::sometimes("a lost receipt was repeated", |model: &Moves, s: &State| {
            let cut = s.left.cuts < model.scene.budget.cuts;
            cut && s.all_chains().all(|(at, firm, chain)| {
                let passed = chain.number(s.containers[at].drawers[firm].at);
                passed > 0 && chain.receipts.len() == passed
            })
        }),
        Property::sometimes("what a crash kept back was sent again", |model: &Moves, s: &State| {
            let crashed = s.left.crashes < model.scene.budget.crashes;
            crashed
                && all_uses(s).next().is_some()
                && s.all_chains().all(|(_, _, chain)| chain.updates.iter().all(|one| one.sent))
        }),
        Property::sometimes("a receipt came that proves an old release", |_, s: &State| {
            any_grant(s, |id, grant| {
                grant.owner != Owner::Pool && was_released(s, id, |_, e| e < grant.epoch)
            })
        }),
        Property::sometimes("two firms use one container", |_: &Moves, s: &State| {
            let firm = |one: Use| s.central.grants[one.grant].firm;
            let rival =
                |one: Use| all_uses(s).any(|other| other.at == one.at && firm(other) != firm(one));
            all_uses(s).any(rival)
        }),
        Property::sometimes("one firm takes back, the other stays", |_: &Moves, s: &State| {
            all_uses(s).any(|one| {
                let firm = |id: GrantId| s.central.grants[id].firm;
                any_grant(s, |id, _| {
                    firm(id) != firm(one.grant) && was_released(s, id, |_, _| true)
                })
            })
        }),
    ]
}

fn sometimes_ended() -> Vec<Property<Moves>> {
    vec![
        Property::sometimes("a license is used in a revoked container", |_: &Moves, s: &State| {
            stands(s, Standing::Revoked) && all_uses(s).next().is_some()
        }),
        Property::sometimes(
            "a license came back from a revoked container",
            |_: &Moves, s: &State| {
                stands(s, Standing::Revoked) && s.is_pooled() && any_grant(s, |_, g| g.epoch > 0)
            },
        ),
        Property::sometimes("a final statement freed a license", |_: &Moves, s: &State| {
            stands(s, Standing::Ended)
                && s.is_pooled()
                && any_grant(s, |id, grant| grant.epoch > 0 && !was_released(s, id, |_, _| true))
        }),
        Property::sometimes(
            "what a container ended with was still under way",
            |_: &Moves, s: &State| {
                s.all_chains().any(|(at, firm, chain)| {
                    let ended = s.containers[at].drawers[firm].ended;
                    ended.is_some_and(|at| chain.updates.iter().any(|update| update.before == at))
                })
            },
        ),
    ]
}

/// Updates that a container proved, with their places.
fn proved(state: &State) -> impl Iterator<Item = (ContainerId, FirmId, Place, &Update)> {
    state.all_chains().flat_map(|(at, firm, chain)| {
        let base = state.central.books[at][firm].base;
        chain.back_from(base).filter_map(move |place| Some((at, firm, place, chain.update(place)?)))
    })
}

/// Whether an update took the place of this one, or was replaced by a later one.
fn has_rival(chain: &Chain, place: Place, so: impl Fn(Place) -> bool) -> bool {
    let before = |place: Place| chain.update(place).map(|update| update.before);
    chain.places().any(|other| other != place && before(other) == before(place) && so(other))
}

/// Whether a number was superseded, and this is what became of it: the newer one was taken or the
/// older one, which had others behind it or not.
fn was_superseded(state: &State, newer_taken: bool, with_successors: bool) -> bool {
    proved(state).any(|(at, firm, place, _)| {
        let chain = &state.chains[at][firm];
        let followed = |by: Place| chain.updates.iter().any(|update| update.before == by);
        has_rival(chain, place, |other| {
            let older = place.min(other);
            (other < place) == newer_taken && followed(older) == with_successors
        })
    })
}

fn any_grant(state: &State, so: impl Fn(GrantId, &Grant) -> bool) -> bool {
    state.central.grants.iter().enumerate().any(|(id, grant)| so(id, grant))
}

/// A receipt says that a grant was removed there.
fn was_released(state: &State, id: GrantId, so: impl Fn(ContainerId, u8) -> bool) -> bool {
    proved(state).any(|(at, _, _, update)| {
        matches!(update.op, Op::Release(of, epoch) if of == id && so(at, epoch))
    })
}

fn stands(state: &State, so: Standing) -> bool {
    state.central.books.iter().flatten().any(|book| book.standing == so)
}
