//! What holds for every record, whoever made it.

use crate::class::{CLASSES_MIN, Tolerance, TraitClass};

/// Why a choice of traits binds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleBroken {
    /// Traits of too few classes.
    #[error("{found} kinds of traits, where {CLASSES_MIN} are needed")]
    TooFewClasses {
        /// Classes.
        found: usize,
    },
    /// All traits together are less than must be the same.
    #[error("traits of weight {weight}, where {needed} is needed")]
    TooLight {
        /// Their weight.
        weight: u8,
        /// The threshold.
        needed: u8,
    },
    /// One trait alone would do.
    #[error("{0}: would be enough alone")]
    TooHeavy(TraitClass),
    /// What a copy of the disk has is half of what must be the same, or more.
    #[error("too much of what a copy of the disk has too")]
    Travels,
    /// Not by rising classes.
    #[error("kinds of traits out of order")]
    Order,
}

/// Checks traits and their weights against the threshold.
pub(super) fn check(weights: &[(TraitClass, u8)], tolerance: Tolerance) -> Result<(), RuleBroken> {
    let needed = tolerance.threshold();
    let sum = |counts: fn(TraitClass) -> bool| -> u8 {
        weights.iter().filter(|(class, _)| counts(*class)).map(|(_, weight)| weight).sum()
    };
    let weight = sum(|_| true);
    if !weights.is_sorted_by(|(one, _), (next, _)| one < next) {
        return Err(RuleBroken::Order);
    }
    if weights.len() < CLASSES_MIN {
        return Err(RuleBroken::TooFewClasses { found: weights.len() });
    }
    if weight < needed {
        return Err(RuleBroken::TooLight { weight, needed });
    }
    if let Some((class, _)) = weights.iter().find(|(_, weight)| *weight >= needed) {
        return Err(RuleBroken::TooHeavy(*class));
    }
    if 2 * sum(TraitClass::travels) >= needed { Err(RuleBroken::Travels) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Tolerance; 3] = [Tolerance::Strict, Tolerance::Medium, Tolerance::Loose];

    fn weights() -> Vec<(TraitClass, u8)> {
        TraitClass::ALL.map(|class| (class, class.weight())).into()
    }

    #[test]
    fn the_weights_are_the_documented_ones_and_keep_all_rules() {
        let by_class = weights().iter().map(|(_, weight)| *weight).collect::<Vec<_>>();
        assert_eq!(by_class, [4, 3, 3, 2, 2, 1, 1, 1]);
        assert_eq!(ALL.map(Tolerance::threshold), [14, 10, 7]);
        for tolerance in ALL {
            assert_eq!(check(&weights(), tolerance), Ok(()));
        }
    }

    #[test]
    fn each_rule_refuses_what_breaks_it() {
        use TraitClass::*;
        let loose = |weights: &[(TraitClass, u8)]| check(weights, Tolerance::Loose);
        let few = [(SmbiosUuid, 4), (BoardSerial, 3)];
        assert_eq!(loose(&few), Err(RuleBroken::TooFewClasses { found: 2 }));
        let light = [(SmbiosUuid, 4), (CpuModel, 1), (MemorySerials, 1)];
        assert_eq!(loose(&light), Err(RuleBroken::TooLight { weight: 6, needed: 7 }));
        let heavy = [(SmbiosUuid, 7), (CpuModel, 1), (MemorySerials, 1)];
        assert_eq!(loose(&heavy), Err(RuleBroken::TooHeavy(SmbiosUuid)));
        let traveling = [(SmbiosUuid, 4), (MachineId, 3), (FsUuid, 1)];
        assert_eq!(loose(&traveling), Err(RuleBroken::Travels));
        let twice = [(SmbiosUuid, 4), (SmbiosUuid, 4), (BoardSerial, 3)];
        assert_eq!(loose(&twice), Err(RuleBroken::Order));
    }
}
