//! What to believe about time.
//!
//! Each firm has a floor of its own, raised by what that firm certified, so that no firm can poison
//! another's time. From there on time goes as the container ran: it counts its running time over
//! all power sessions. A clock of its own is believed where there is one; that of the host only by
//! entries that say so, and it is never kept. Within a power session time never falls.

use alloc::vec::Vec;

use protocol::codec::Fixed;
use protocol::limits::TIME_NONCE_S;
use protocol::objects::device::ClockClass;
use protocol::objects::statement::TimeInfo;

use crate::engine::Profile;
use crate::evaluate::TimeView;
use crate::platform::Clock;
use crate::records::{Firm, FirmSlot};

/// A second that was known, and the ticks when it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Known {
    at_s: u64,
    ticks_ms: u64,
}

impl Known {
    /// A second known now.
    pub(crate) fn at(at_s: u64, ticks_ms: u64) -> Self {
        Known { at_s, ticks_ms }
    }

    /// The present by it; 0 where nothing was known.
    pub(crate) fn carried_s(self, ticks_ms: u64) -> u64 {
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

/// What a power session knows of a firm's time.
#[derive(Debug, Clone, Copy, Default)]
struct FirmTime {
    slot: FirmSlot,
    nonce: Option<(Fixed<32>, u64)>,
    is_fresh: bool,
    /// The latest that a host said and an entry went by.
    followed: Known,
}

/// Time as the container tells it, for the length of a power session.
#[derive(Debug)]
pub(crate) struct Timekeeper {
    class: ClockClass,
    ran_step_s: u64,
    clock: Known,
    started_ms: u64,
    ran_before_s: u64,
    ran_kept_s: u64,
    firms: Vec<FirmTime>,
}

impl Timekeeper {
    /// For a container that had run for `ran_s` before this power session.
    pub(crate) fn new(profile: Profile, ran_s: u64, clock: &mut impl Clock) -> Self {
        Timekeeper {
            class: profile.clock,
            ran_step_s: profile.pace.ran_step_s(),
            clock: Known::default(),
            started_ms: clock.ticks_ms(),
            ran_before_s: ran_s,
            ran_kept_s: ran_s,
            firms: Vec::new(),
        }
    }

    /// The class that holds now: a container whose battery is dead knows time for a power session
    /// only.
    pub(crate) fn class(&self, clock: &mut impl Clock) -> ClockClass {
        match self.class {
            ClockClass::Rtc if clock.rtc_s().is_none() => ClockClass::Session,
            class => class,
        }
    }

    /// Seconds since the power came.
    pub(crate) fn powered_s(&self, clock: &mut impl Clock) -> u64 {
        clock.ticks_ms().saturating_sub(self.started_ms) / 1000
    }

    /// Seconds that the container ran in all its life.
    pub(crate) fn ran_s(&self, clock: &mut impl Clock) -> u64 {
        self.ran_before_s.saturating_add(self.powered_s(clock))
    }

    /// The running time to be kept, when enough came together since it was kept last.
    pub(crate) fn ran_to_keep(&self, clock: &mut impl Clock) -> Option<u64> {
        let ran_s = self.ran_s(clock);
        (ran_s >= self.ran_kept_s.saturating_add(self.ran_step_s)).then_some(ran_s)
    }

    /// So much running time is durable now.
    pub(crate) fn kept(&mut self, ran_s: u64) {
        self.ran_kept_s = ran_s;
    }

    /// The present as the container's own clock tells it; 0 where it has none.
    pub(crate) fn clock_s(&mut self, clock: &mut impl Clock) -> u64 {
        let ticks_ms = clock.ticks_ms();
        self.clock.raise(clock.rtc_s().unwrap_or(0), ticks_ms)
    }

    /// What a firm certified, and the time that the container ran since; 0 where it never did.
    pub(crate) fn reach_s(&self, clock: &mut impl Clock, firm: &Firm) -> u64 {
        match firm.floor_s {
            0 => 0,
            floor_s => floor_s.saturating_add(self.ran_s(clock).saturating_sub(firm.floor_ran_s)),
        }
    }

    /// The present for a firm; 0 where nothing is known.
    pub(crate) fn now_s(&mut self, clock: &mut impl Clock, firm: &Firm) -> u64 {
        self.clock_s(clock).max(self.reach_s(clock, firm))
    }

    /// [`Timekeeper::now_s`] with what is around it.
    pub(crate) fn info(&mut self, clock: &mut impl Clock, firm: &Firm) -> TimeInfo {
        TimeInfo {
            floor_s: firm.floor_s,
            now_s: self.now_s(clock, firm),
            class: self.class(clock),
            certified_s: firm.certified_s,
        }
    }

    /// All that an entry may be judged by. `host_s` is what the host says now, 0 for nothing.
    pub(crate) fn view(
        &mut self,
        clock: &mut impl Clock,
        slot: FirmSlot,
        firm: &Firm,
        host_s: u64,
    ) -> TimeView {
        let ticks_ms = clock.ticks_ms();
        let known = *self.firm(slot);
        let followed_s = known.followed.carried_s(ticks_ms);
        TimeView {
            class: self.class(clock),
            clock_s: self.clock_s(clock),
            reach_s: self.reach_s(clock, firm),
            certified_s: firm.certified_s,
            host_s: if host_s == 0 { 0 } else { host_s.max(followed_s) },
            is_fresh: known.is_fresh,
        }
    }

    /// An entry went by the host's clock: within this power session it does not fall again.
    pub(crate) fn follow(&mut self, clock: &mut impl Clock, slot: FirmSlot, host_s: u64) {
        let ticks_ms = clock.ticks_ms();
        self.firm(slot).followed.raise(host_s, ticks_ms);
    }

    /// Notes a nonce that a time token shall answer.
    pub(crate) fn ask(&mut self, clock: &mut impl Clock, slot: FirmSlot, nonce: Fixed<32>) {
        let ticks_ms = clock.ticks_ms();
        self.firm(slot).nonce = Some((nonce, ticks_ms));
    }

    /// Milliseconds since this nonce was drawn, if it was and may still be answered.
    pub(crate) fn asked_ms_ago(
        &mut self,
        clock: &mut impl Clock,
        slot: FirmSlot,
        nonce: &[u8; 32],
    ) -> Option<u64> {
        let ticks_ms = clock.ticks_ms();
        let (asked, drawn_ms) = self.firm(slot).nonce?;
        let age_ms = ticks_ms.saturating_sub(drawn_ms);
        (asked.0 == *nonce && age_ms <= TIME_NONCE_S * 1000).then_some(age_ms)
    }

    /// A token answered: the nonce is used up, and the firm's time is fresh.
    pub(crate) fn answered(&mut self, slot: FirmSlot) {
        let firm = self.firm(slot);
        (firm.nonce, firm.is_fresh) = (None, true);
    }

    fn firm(&mut self, slot: FirmSlot) -> &mut FirmTime {
        let at = self.firms.iter().position(|firm| firm.slot == slot).unwrap_or_else(|| {
            self.firms.push(FirmTime { slot, ..FirmTime::default() });
            self.firms.len() - 1
        });
        &mut self.firms[at]
    }
}

impl Firm {
    /// The firm said that it is `at_s`, `ago_s` seconds ago. The floor never falls: what is earlier
    /// than what the container reached leaves it where it is.
    pub(crate) fn certify(&mut self, at_s: u64, ago_s: u64, reach_s: u64, ran_s: u64) {
        let present_s = at_s.saturating_add(ago_s);
        if present_s > reach_s {
            (self.floor_s, self.floor_ran_s) = (present_s, ran_s);
        }
        self.certified_s = self.certified_s.max(at_s);
    }
}

#[cfg(test)]
mod tests;
