//! When a key may be bound again to the machine as it is now.
//!
//! Each time makes the tolerance good as new. Could a machine do so by itself, a license would
//! walk to another one trait at a time.

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebindPolicy {
    /// Least time between two bindings.
    pub interval_s: u64,
}

impl Default for RebindPolicy {
    fn default() -> Self {
        RebindPolicy { interval_s: 30 * 24 * 60 * 60 }
    }
}

/// Why not now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RebindRefused {
    /// No checkpoint was passed online since the last binding.
    #[error("a checkpoint must be passed online first")]
    NoCheckpoint,
    /// The last binding is too recent.
    #[error("bound too recently: not before {from_s} (Unix seconds)")]
    TooSoon {
        /// From when on, Unix seconds UTC.
        from_s: u64,
    },
}

/// Whether a key that was bound at `last_bound_s` may be bound again. `checkpoint_s` is the time of
/// the last checkpoint that was passed online; one serves one binding. All are certified times,
/// Unix seconds UTC: `now_s` by the wall clock would leave the interval to whoever sets that.
///
/// # Errors
/// No checkpoint since, or too soon.
pub fn may_rebind(
    last_bound_s: u64,
    checkpoint_s: Option<u64>,
    now_s: u64,
    policy: RebindPolicy,
) -> Result<(), RebindRefused> {
    if checkpoint_s.is_none_or(|checkpoint_s| checkpoint_s <= last_bound_s) {
        return Err(RebindRefused::NoCheckpoint);
    }
    let from_s = last_bound_s.saturating_add(policy.interval_s);
    if now_s < from_s { Err(RebindRefused::TooSoon { from_s }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: u64 = 24 * 60 * 60;

    #[test]
    fn a_checkpoint_serves_one_binding() {
        let policy = RebindPolicy::default();
        let late_s = 1_000 * DAY_S;
        let refused = Err(RebindRefused::NoCheckpoint);
        assert_eq!(may_rebind(10, None, late_s, policy), refused);
        assert_eq!(may_rebind(10, Some(9), late_s, policy), refused);
        // The checkpoint at which it was bound.
        assert_eq!(may_rebind(10, Some(10), late_s, policy), refused);
        assert_eq!(may_rebind(10, Some(11), late_s, policy), Ok(()));
    }

    #[test]
    fn not_before_the_interval_is_over_whatever_the_clock_does() {
        let policy = RebindPolicy::default();
        let refused = Err(RebindRefused::TooSoon { from_s: 40 * DAY_S });
        let at = |now_s| may_rebind(10 * DAY_S, Some(11 * DAY_S), now_s, policy);
        assert_eq!(at(40 * DAY_S - 1), refused);
        assert_eq!(at(0), refused);
        assert_eq!(at(40 * DAY_S), Ok(()));
        let never = RebindPolicy { interval_s: u64::MAX };
        assert!(may_rebind(10, Some(11), u64::MAX - 1, never).is_err());
    }
}
