//! Taking a key back from the machine as it is now, and naming what drifted.

use std::fmt;

use argon2::Params;
use protocol::codec::Fixed;
use protocol::crypto::kdf::Prk;
use subtle::ConstantTimeEq;

use super::masks::{COST, NoMemory, check, masked, trait_key};
use super::rules::{self, RuleBroken};
use super::{BoundTrait, Record};
use crate::canon::{Canon, Value};
use crate::class::TraitClass;
use crate::shamir::{Block, Share, interpolate};
use crate::traits::{Report, Traits, Why};

/// A key, and how the machine differs from the one that it was bound to.
pub struct Opened {
    /// The key.
    pub key: Prk,
    /// What drifted.
    pub drift: Drift,
}

/// What became of the traits that a key is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift(Vec<(TraitClass, TraitState)>);

/// What became of a trait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraitState {
    /// As it was.
    Same,
    /// Another value now.
    Changed,
    /// No value now.
    Missing(Why),
}

impl Drift {
    /// All bound traits, by rising classes.
    pub fn states(&self) -> &[(TraitClass, TraitState)] {
        &self.0
    }

    /// Those that are not the same.
    pub fn drifted(&self) -> impl Iterator<Item = (TraitClass, TraitState)> {
        self.0.iter().copied().filter(|(_, state)| *state != TraitState::Same)
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (class, state)) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            match state {
                TraitState::Same => write!(f, "{separator}{class}: the same")?,
                TraitState::Changed => write!(f, "{separator}{class}: changed")?,
                TraitState::Missing(why) => write!(f, "{separator}{class}: {why}")?,
            }
        }
        Ok(())
    }
}

/// Why a key did not come back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The record is of a rule for values that is not known here.
    #[error("bound by version {0} of the rule for traits, which is not known here")]
    NewerRule(u8),
    /// The record breaks the rules of records.
    #[error("the record of the machine's traits cannot be right: {0}")]
    Record(RuleBroken),
    /// Of what the key is bound to, too little is present at all.
    #[error("traits of weight {weight} are here, where {needed} is needed ({report})")]
    Missing {
        /// What is present of it.
        weight: u8,
        /// The threshold.
        needed: u8,
        /// What was found, and what was not.
        report: Report,
    },
    /// Enough is present, but too much of it is another's. Which, nobody can tell.
    #[error("too many traits are not those of the machine that was bound ({report})")]
    OtherMachine {
        /// What was found, and what was not.
        report: Report,
    },
    /// There were no 19 MiB of memory.
    #[error("out of memory")]
    Memory,
}

impl From<NoMemory> for Refused {
    fn from(_: NoMemory) -> Self {
        Refused::Memory
    }
}

/// Takes the key back, if traits of enough weight are those that it was bound to. Takes some 30 ms
/// for each trait.
///
/// # Errors
/// They are not; or the record cannot be used; or memory failed.
pub fn open(record: &Record, traits: &Traits) -> Result<Opened, Refused> {
    open_at(&COST, record, traits)
}

/// Opens at a cost.
pub(super) fn open_at(cost: &Params, record: &Record, traits: &Traits) -> Result<Opened, Refused> {
    let canon = Canon::from_number(record.canon).ok_or(Refused::NewerRule(record.canon))?;
    rules::check(&record.weights(), record.tolerance).map_err(Refused::Record)?;
    let needed = record.tolerance.threshold();
    let is_here = |bound: &&BoundTrait| traits.values(bound.class, canon).is_ok();
    let weight = record.traits.iter().filter(is_here).map(|bound| bound.shares.len() as u8).sum();
    if weight < needed {
        return Err(Refused::Missing { weight, needed, report: traits.report_by(canon) });
    }
    let claims = claims(cost, canon, record, traits)?;
    let search = Search { needed: needed.into(), check: &record.check.0 };
    match search.run(&claims, Vec::new()) {
        Some((key, shares)) => Ok(Opened { key, drift: drift(&claims, &shares) }),
        None => Err(Refused::OtherMachine { report: traits.report_by(canon) }),
    }
}

/// What a trait claims its shares to be, which are right if the trait is.
struct Claim {
    class: TraitClass,
    /// The shares by each value that is here now.
    by_value: Result<Vec<Vec<Share>>, Why>,
}

/// The claims of all traits, in the order of the record.
fn claims(
    cost: &Params,
    canon: Canon,
    record: &Record,
    traits: &Traits,
) -> Result<Vec<Claim>, NoMemory> {
    let mut places = 1..=u8::MAX;
    let mut claims = Vec::with_capacity(record.traits.len());
    for bound in record.traits.iter() {
        let class = bound.class;
        let places: Vec<u8> = places.by_ref().take(bound.shares.len()).collect();
        let claimed = |value: &Value| {
            let key = trait_key(cost, value, &bound.salt.0)?;
            let shares = places.iter().zip(bound.shares.iter());
            let share = |(x, share): (&u8, &Fixed<32>)| Share {
                x: *x,
                y: masked(&key, class, *x, &share.0),
            };
            Ok(shares.map(share).collect())
        };
        let by_value = match traits.values(class, canon) {
            Ok(values) => Ok(values.iter().map(claimed).collect::<Result<_, _>>()?),
            Err(why) => Err(why),
        };
        claims.push(Claim { class, by_value });
    }
    Ok(claims)
}

/// A search for traits that give the key back.
struct Search<'a> {
    needed: usize,
    check: &'a Block,
}

impl Search<'_> {
    /// Tries each choice among `left` that makes `chosen` enough. Classes come by falling weight,
    /// so none of a choice could be left out. Returns the key, and shares that determine it.
    fn run<'c>(&self, left: &'c [Claim], chosen: Vec<&'c Share>) -> Option<(Prk, Vec<&'c Share>)> {
        if let Some(enough) = chosen.get(..self.needed) {
            let key = Prk::from_bytes(*interpolate(enough, 0));
            let is_right = bool::from(check(&key)[..].ct_eq(&self.check[..]));
            return is_right.then(|| (key, enough.to_vec()));
        }
        let (first, rest) = left.split_first()?;
        let by_value = first.by_value.as_deref().unwrap_or_default();
        let with = by_value
            .iter()
            .find_map(|shares| self.run(rest, chosen.iter().copied().chain(shares).collect()));
        with.or_else(|| self.run(rest, chosen))
    }
}

/// What became of each trait: it is the same if one of its values claims the shares that all
/// right ones determine.
fn drift(claims: &[Claim], right: &[&Share]) -> Drift {
    let is_right = |share: &Share| bool::from(interpolate(right, share.x)[..].ct_eq(&share.y[..]));
    let state = |claim: &Claim| match &claim.by_value {
        Err(why) => TraitState::Missing(*why),
        Ok(by_value) => match by_value.iter().any(|shares| shares.iter().all(is_right)) {
            true => TraitState::Same,
            false => TraitState::Changed,
        },
    };
    Drift(claims.iter().map(|claim| (claim.class, state(claim))).collect())
}
