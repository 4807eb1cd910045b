//! A use of units, by somebody who pays first and then uses.

/// How far a use has come. What it sent can be read off it, since what was sent may always arrive
/// again: the reservation from [`Use::Asked`] on, the commit from [`Use::Ended`] on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Use {
    /// Not begun.
    Idle,
    /// A reservation is asked for.
    Asked,
    /// It is granted, and so many units are used.
    Granted(i8),
    /// It is over, and so many units were used.
    Ended(i8),
}

impl Use {
    /// Units used so far.
    pub fn used(self) -> i8 {
        match self {
            Use::Idle | Use::Asked => 0,
            Use::Granted(used) | Use::Ended(used) => used,
        }
    }

    /// Whether a use was granted.
    pub fn is_granted(self) -> bool {
        matches!(self, Use::Granted(_) | Use::Ended(_))
    }
}
