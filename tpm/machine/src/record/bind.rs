//! Binding a new key to the machine as it is now.

use argon2::Params;
use protocol::codec::{Fixed, List};
use protocol::crypto::kdf::Prk;
use protocol::crypto::{Random, RandomFailed};
use zeroize::Zeroizing;

use super::masks::{COST, NoMemory, check, masked, trait_key};
use super::rules::{self, RuleBroken};
use super::{BoundTrait, Record, SALT_LEN};
use crate::canon::{Canon, Value};
use crate::class::{Tolerance, TraitClass};
use crate::shamir::Polynomial;
use crate::traits::{Report, Traits};

/// Why a key was not bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Too little of this machine is its own.
    #[error("this machine cannot be told from others: {rule} ({report})")]
    Machine {
        /// Which rule its traits do not keep.
        rule: RuleBroken,
        /// What was found, and what was not.
        report: Report,
    },
    /// The source of randomness failed.
    #[error("the source of randomness failed")]
    Random,
    /// There were no 19 MiB of memory.
    #[error("out of memory")]
    Memory,
}

impl From<RandomFailed> for BindError {
    fn from(_: RandomFailed) -> Self {
        BindError::Random
    }
}

impl From<NoMemory> for BindError {
    fn from(_: NoMemory) -> Self {
        BindError::Memory
    }
}

/// Draws a key and binds it to `traits`. To bind again is this once more: new key, new polynomial,
/// new salts. Takes some 30 ms for each trait. What is made from the key has a label of its own.
///
/// # Errors
/// Too few classes are present, or they weigh less than `tolerance` asks for; randomness or memory
/// failed.
pub fn bind(
    traits: &Traits,
    tolerance: Tolerance,
    random: &mut impl Random,
) -> Result<(Record, Prk), BindError> {
    bind_by(Canon::NEWEST, &COST, traits, tolerance, random)
}

/// Binds by a rule, at a cost.
pub(super) fn bind_by(
    canon: Canon,
    cost: &Params,
    traits: &Traits,
    tolerance: Tolerance,
    random: &mut impl Random,
) -> Result<(Record, Prk), BindError> {
    let refused = |rule: RuleBroken| BindError::Machine { rule, report: traits.report_by(canon) };
    let values = first_values(traits, canon);
    let weights: Vec<_> = values.iter().map(|(class, _)| (*class, class.weight())).collect();
    rules::check(&weights, tolerance).map_err(refused)?;
    let mut key = Zeroizing::new([0; 32]);
    random.fill(&mut key[..])?;
    let polynomial = Polynomial::draw(&key, tolerance.threshold(), random)?;
    let key = Prk::from_bytes(*key);
    let mut places = 1..=u8::MAX;
    let mut bound = Vec::with_capacity(values.len());
    for (class, value) in &values {
        let mut salt = [0; SALT_LEN];
        random.fill(&mut salt)?;
        let trait_key = trait_key(cost, value, &salt)?;
        let shares = places
            .by_ref()
            .take(class.weight().into())
            .map(|x| Fixed(*masked(&trait_key, *class, x, &polynomial.share(x).y)));
        let shares = List::new(shares.collect());
        let shares = shares.ok_or_else(|| refused(RuleBroken::TooHeavy(*class)))?;
        bound.push(BoundTrait { class: *class, salt: Fixed(salt), shares });
    }
    let traits = List::new(bound).ok_or_else(|| refused(RuleBroken::Order))?;
    let check = Fixed(*check(&key));
    Ok((Record { canon: canon.number(), tolerance, traits, check }, key))
}

/// What each class that is present is bound by.
fn first_values(traits: &Traits, canon: Canon) -> Vec<(TraitClass, Value)> {
    let first = |class| Some((class, traits.values(class, canon).ok()?.into_iter().next()?));
    TraitClass::ALL.into_iter().filter_map(first).collect()
}
