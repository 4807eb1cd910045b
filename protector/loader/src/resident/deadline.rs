//! When to ask for the license again, and when it counts as lost. Pure: times are given.

use super::Timing;

/// Milliseconds between two looks of the watcher at its process.
pub const TICK_MS: u32 = 200;

/// Milliseconds until a question without an answer is asked again.
const RETRY_MS: u64 = 200;

/// The least time a question gets, so that a last one is worth asking.
const BUDGET_MIN_MS: u32 = 100;

/// The most time one question gets.
const BUDGET_MAX_MS: u32 = 1000;

/// Milliseconds of delay that count as scheduling, not as having been stopped.
const LATE_MS: u64 = 100;

/// A moment as the watcher sees it.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Milliseconds since boot, suspend included.
    pub now_ms: u64,
    /// Milliseconds of processor time that the process has used.
    pub cpu_ms: u64,
}

/// When to ask, and until when the last answer holds.
#[derive(Debug)]
pub struct Deadline {
    ask_ms: u64,
    lost_ms: u64,
    seen: Moment,
}

impl Deadline {
    /// From an answer that has just arrived.
    pub fn new(at: Moment, timing: Timing) -> Self {
        let mut made = Self { ask_ms: 0, lost_ms: 0, seen: at };
        made.kept(at.now_ms, timing);
        made
    }

    /// The license was kept at `now_ms`.
    pub fn kept(&mut self, now_ms: u64, timing: Timing) {
        self.ask_ms = now_ms.saturating_add(u64::from(timing.next_in_ms));
        self.lost_ms = now_ms.saturating_add(u64::from(timing.lost_after_ms));
    }

    /// No answer, or one that is no: asks again soon.
    pub fn unanswered(&mut self, now_ms: u64) {
        self.ask_ms = now_ms.saturating_add(RETRY_MS);
    }

    /// Notes that the watcher runs again after it meant to wait `planned_ms`.
    ///
    /// Time in which the process was stopped does not count against it, and the license is asked
    /// for at once. Only time in which it used no processor is given back: a watcher that is merely
    /// starved cannot stretch the deadline.
    pub fn woke(&mut self, at: Moment, planned_ms: u32) {
        let late = at.now_ms.saturating_sub(self.seen.now_ms).saturating_sub(u64::from(planned_ms));
        if late > LATE_MS {
            let used = at.cpu_ms.saturating_sub(self.seen.cpu_ms);
            self.lost_ms = self.lost_ms.saturating_add(late.saturating_sub(used));
            self.ask_ms = at.now_ms;
        }
        self.seen = at;
    }

    /// Whether it is time to ask.
    pub fn due(&self, now_ms: u64) -> bool {
        now_ms >= self.ask_ms
    }

    /// How long the next question may take.
    pub fn budget_ms(&self, now_ms: u64) -> u32 {
        let left = u32::try_from(self.lost_ms.saturating_sub(now_ms)).unwrap_or(u32::MAX);
        left.clamp(BUDGET_MIN_MS, BUDGET_MAX_MS)
    }

    /// Whether the last answer holds no more.
    pub fn lost(&self, now_ms: u64) -> bool {
        now_ms >= self.lost_ms
    }

    /// How long to sleep.
    pub fn sleep_ms(&self, now_ms: u64) -> u32 {
        let left = u32::try_from(self.ask_ms.saturating_sub(now_ms)).unwrap_or(u32::MAX);
        left.clamp(1, TICK_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing { next_in_ms: 400, lost_after_ms: 1000 };

    fn at(now_ms: u64, cpu_ms: u64) -> Moment {
        Moment { now_ms, cpu_ms }
    }

    #[test]
    fn silence_is_loss_when_the_answer_has_run_out() {
        let mut deadline = Deadline::new(at(0, 0), TIMING);
        for tick in 1..5 {
            let now = tick * 200;
            deadline.woke(at(now, now), 200);
            assert!(!deadline.lost(now), "at {now}");
        }
        deadline.woke(at(1000, 1000), 200);
        assert!(deadline.lost(1000));
    }

    #[test]
    fn a_stopped_process_asks_first_and_loses_nothing() {
        let mut deadline = Deadline::new(at(0, 0), TIMING);
        deadline.woke(at(200, 50), 200);
        deadline.woke(at(60_400, 51), 200);
        assert!(deadline.due(60_400));
        assert!(!deadline.lost(60_400));
        assert!(deadline.lost(61_300));
    }

    #[test]
    fn a_starved_watcher_gains_nothing() {
        let mut deadline = Deadline::new(at(0, 0), TIMING);
        deadline.woke(at(3000, 3000), 200);
        assert!(deadline.lost(3000));
    }

    #[test]
    fn stopping_again_and_again_gains_nothing() {
        let mut deadline = Deadline::new(at(0, 0), TIMING);
        let (mut now, mut cpu) = (0, 0);
        while !deadline.lost(now) {
            (now, cpu) = (now + 500, cpu + 100); // 300 ms stopped, then 200 ms of work
            deadline.woke(at(now, cpu), 200);
            deadline.unanswered(now);
        }
        assert!(cpu <= 1000, "ran for {cpu} ms without an answer");
    }

    #[test]
    fn sleeps_no_longer_than_a_tick_and_never_not_at_all() {
        let deadline = Deadline::new(at(0, 0), TIMING);
        assert_eq!(deadline.sleep_ms(0), TICK_MS);
        assert_eq!(deadline.sleep_ms(350), 50);
        assert_eq!(deadline.sleep_ms(5000), 1);
        assert_eq!(deadline.budget_ms(5000), BUDGET_MIN_MS);
    }
}
