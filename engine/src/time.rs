//! What to believe about time.
//!
//! Each firm has a floor of its own, raised by what that firm certified, so that no firm can poison
//! another's time. Within a power session time never falls, whatever the clock says.

use alloc::vec::Vec;

use protocol::objects::device::ClockClass;
use protocol::objects::statement::TimeInfo;

use crate::platform::Clock;
use crate::records::FirmSlot;

/// A second that was known, and the ticks when it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Known {
    at_s: u64,
    ticks_ms: u64,
}

impl Known {
    fn carried_s(self, ticks_ms: u64) -> u64 {
        if self.at_s == 0 {
            return 0;
        }
        self.at_s.saturating_add(ticks_ms.saturating_sub(self.ticks_ms) / 1000)
    }

    /// Takes `at_s` over where it is later than what ticks say.
    fn raise(&mut self, at_s: u64, ticks_ms: u64) -> u64 {
        let carried_s = self.carried_s(ticks_ms);
        if at_s > carried_s {
            *self = Known { at_s, ticks_ms };
        }
        carried_s.max(at_s)
    }
}

/// Time as the container tells it, for the length of a power session.
#[derive(Debug)]
pub(crate) struct Timekeeper {
    class: ClockClass,
    clock: Known,
    firms: Vec<(FirmSlot, Known)>,
}

impl Timekeeper {
    pub(crate) fn new(class: ClockClass) -> Self {
        Timekeeper { class, clock: Known::default(), firms: Vec::new() }
    }

    pub(crate) fn class(&self) -> ClockClass {
        self.class
    }

    /// The present as the container's own clock tells it; 0 where it has none.
    pub(crate) fn clock_s(&mut self, clock: &mut impl Clock) -> u64 {
        let ticks_ms = clock.ticks_ms();
        self.clock.raise(clock.rtc_s().unwrap_or(0), ticks_ms)
    }

    /// The present for a firm that certified `floor_s`; 0 where nothing is known.
    pub(crate) fn now_s(&mut self, clock: &mut impl Clock, slot: FirmSlot, floor_s: u64) -> u64 {
        let clock_s = self.clock_s(clock);
        let ticks_ms = clock.ticks_ms();
        let at = self.firms.iter().position(|(known_slot, _)| *known_slot == slot);
        let at = at.unwrap_or_else(|| {
            self.firms.push((slot, Known::default()));
            self.firms.len() - 1
        });
        self.firms[at].1.raise(floor_s, ticks_ms).max(clock_s)
    }

    /// [`Timekeeper::now_s`] with what is around it.
    pub(crate) fn info(
        &mut self,
        clock: &mut impl Clock,
        slot: FirmSlot,
        floor_s: u64,
    ) -> TimeInfo {
        let now_s = self.now_s(clock, slot, floor_s);
        TimeInfo { floor_s, now_s, class: self.class, certified_s: floor_s }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake {
        ticks_ms: u64,
        rtc_s: Option<u64>,
    }

    impl Clock for Fake {
        fn ticks_ms(&mut self) -> u64 {
            self.ticks_ms
        }

        fn rtc_s(&mut self) -> Option<u64> {
            self.rtc_s
        }
    }

    #[test]
    fn a_clock_set_back_does_not_turn_time_back() {
        let mut time = Timekeeper::new(ClockClass::Rtc);
        let mut clock = Fake { ticks_ms: 0, rtc_s: Some(1000) };
        assert_eq!(time.now_s(&mut clock, 1, 0), 1000);
        clock = Fake { ticks_ms: 5000, rtc_s: Some(10) };
        assert_eq!(time.now_s(&mut clock, 1, 0), 1005);
    }

    #[test]
    fn without_a_clock_time_goes_on_from_what_was_certified() {
        let mut time = Timekeeper::new(ClockClass::Session);
        let mut clock = Fake { ticks_ms: 0, rtc_s: None };
        assert_eq!(time.now_s(&mut clock, 1, 0), 0);
        assert_eq!(time.now_s(&mut clock, 1, 500), 500);
        clock.ticks_ms = 7000;
        assert_eq!(time.now_s(&mut clock, 1, 500), 507);
    }

    #[test]
    fn what_one_firm_certified_does_not_move_the_time_of_another() {
        let mut time = Timekeeper::new(ClockClass::Rtc);
        let mut clock = Fake { ticks_ms: 0, rtc_s: Some(1000) };
        assert_eq!(time.now_s(&mut clock, 1, 4_000_000_000), 4_000_000_000);
        assert_eq!(time.now_s(&mut clock, 2, 0), 1000);
    }
}
