//! The watcher: renews the seat, re-arms the dead man's switch, ends the program at loss.

use core::sync::atomic::Ordering::Release;

use linux_raw_sys::general as nr;

use super::block::{Block, Common};
use super::dead_man::DeadMan;
use super::deadline::{Deadline, Moment};
use super::last_thread::LastThread;
use super::refusal::{EXIT_REFUSED, Message, Refusal, for_people, for_programs, write_bounded};
use super::spawn::Start;
use super::{LossPolicy, Renew, Renewal, privileges, reasons, sys};

/// Milliseconds a forked child has to open its entry.
const CHILD_BUDGET_MS: u32 = 5000;

/// Seconds after which a process ends at loss even if its message cannot be written.
const LAST_WORDS_S: u32 = 3;

/// The watcher's thread.
///
/// # Safety
/// `start` must be as `launch` made it, on top of this thread's own stack.
pub(super) unsafe extern "C" fn main<R: Renew>(start: *mut Start<R>) -> ! {
    // Without a thread pointer whatever wants thread-local storage ends the process instead of
    // using the program's.
    let no_pointer = [nr::ARCH_SET_FS as usize, 0];
    // SAFETY: nothing on this thread uses thread-local storage.
    let _ = unsafe { sys::call(nr::__NR_arch_prctl, no_pointer) };
    // SAFETY: the argument is this thread's own from now on.
    let start = unsafe { &mut *start };
    // SAFETY: the block stays for the life of the process; nothing in it but an atomic changes.
    let block: &Block<R> = unsafe { &*start.block };
    let watcher = match open(block, start.seat.take()) {
        Ok(watcher) => watcher,
        Err(refusal) => end(&block.common, &refusal),
    };
    block.common.ready.store(1, Release);
    sys::futex_wake(&block.common.ready);
    watcher.run()
}

struct Watcher<'a, R> {
    seat: R,
    common: &'a Common,
    last_thread: LastThread,
    dead_man: DeadMan,
    deadline: Deadline,
    /// Since when the license is lost, and when that was last said.
    lost: Option<Loss>,
}

struct Loss {
    since_ms: u64,
    said_ms: u64,
    refusal: Refusal,
}

/// Leaves the program's descriptors, opens what the watcher needs, then drops its rights.
fn open<R: Renew>(block: &Block<R>, seat: Option<R>) -> Result<Watcher<'_, R>, Refusal> {
    let common = &block.common;
    let dead_man = DeadMan::on_processor_time().and_then(|timer| {
        timer.arm(common.cpu_budget_s)?;
        Ok(timer)
    });
    let dead_man = dead_man.map_err(reasons::no_timer)?;
    let seat = match seat {
        Some(seat) => {
            close_others(seat.descriptor(), None);
            seat
        }
        None => {
            let _ = sys::close_range(0, u32::MAX);
            R::open_child(&block.ticket, CHILD_BUDGET_MS)?
        }
    };
    let last_thread = LastThread::new();
    close_others(seat.descriptor(), last_thread.descriptor());
    privileges::drop_all();
    let deadline = Deadline::new(moment(), seat.opened());
    Ok(Watcher { seat, common, last_thread, dead_man, deadline, lost: None })
}

fn close_others(one: i32, other: Option<i32>) {
    let (one, other) = (one as u32, other.map_or(one as u32, |fd| fd as u32));
    let (low, high) = (one.min(other), one.max(other));
    if low > 0 {
        let _ = sys::close_range(0, low.wrapping_sub(1));
    }
    if high.wrapping_sub(low) > 1 {
        let _ = sys::close_range(low.wrapping_add(1), high.wrapping_sub(1));
    }
    let _ = sys::close_range(high.wrapping_add(1), u32::MAX);
}

impl<R: Renew> Watcher<'_, R> {
    fn run(mut self) -> ! {
        loop {
            let planned_ms = self.deadline.sleep_ms(sys::clock_ms(nr::CLOCK_BOOTTIME));
            sys::sleep_ms(planned_ms);
            let at = moment();
            self.deadline.woke(at, planned_ms);
            self.look_after_process();
            if self.deadline.due(at.now_ms) || self.deadline.lost(at.now_ms) {
                self.ask(at.now_ms);
            }
            self.judge(sys::clock_ms(nr::CLOCK_BOOTTIME));
        }
    }

    fn look_after_process(&self) {
        // Refused only where the program has taken that call from itself; then the switch ends it
        // in time.
        let _ = self.dead_man.arm(self.common.cpu_budget_s);
        sys::hide_memory();
        if let Some(status) = self.last_thread.status() {
            sys::exit_group(status);
        }
    }

    fn ask(&mut self, now_ms: u64) {
        let budget_ms = self.deadline.budget_ms(now_ms);
        let renewal = self.seat.renew(budget_ms);
        let at = moment();
        self.deadline.woke(at, budget_ms);
        match renewal {
            Renewal::Kept(timing) => {
                self.deadline.kept(at.now_ms, timing);
                self.lost = None;
            }
            Renewal::Lost(refusal) => {
                self.deadline.unanswered(at.now_ms);
                self.note_loss(at.now_ms, refusal);
            }
            Renewal::NoAnswer => {
                self.deadline.unanswered(at.now_ms);
                if self.deadline.lost(at.now_ms) {
                    self.note_loss(at.now_ms, reasons::no_answer());
                }
            }
        }
    }

    fn note_loss(&mut self, now_ms: u64, refusal: Refusal) {
        if self.lost.is_none() {
            self.lost = Some(Loss { since_ms: now_ms, said_ms: 0, refusal });
        }
    }

    /// Does what the vendor's policy says about a loss.
    fn judge(&mut self, now_ms: u64) {
        let Some(loss) = &mut self.lost else { return };
        let first = loss.said_ms == 0;
        let passed_ms = now_ms.saturating_sub(loss.since_ms);
        match self.common.policy {
            LossPolicy::Stop => end(self.common, &loss.refusal),
            LossPolicy::Grace { for_s } if passed_ms >= seconds(for_s) => {
                end(self.common, &loss.refusal)
            }
            LossPolicy::Grace { for_s } if first => {
                loss.said_ms = now_ms;
                tell(&for_people(&self.common.speaker, &in_grace(&loss.refusal, for_s)));
            }
            LossPolicy::Warn { every_s }
                if first || now_ms.saturating_sub(loss.said_ms) >= seconds(every_s) =>
            {
                loss.said_ms = now_ms;
                tell(&for_people(&self.common.speaker, &loss.refusal));
            }
            LossPolicy::Grace { .. } | LossPolicy::Warn { .. } => {}
        }
    }
}

fn seconds(s: u32) -> u64 {
    u64::from(s).saturating_mul(1000)
}

fn moment() -> Moment {
    let cpu_ms = sys::clock_ms(nr::CLOCK_PROCESS_CPUTIME_ID);
    Moment { now_ms: sys::clock_ms(nr::CLOCK_BOOTTIME), cpu_ms }
}

/// Says why and ends the process. A reader that does not read cannot hold this up.
fn end(common: &Common, refusal: &Refusal) -> ! {
    let _ = DeadMan::on_time().and_then(|timer| timer.arm(LAST_WORDS_S));
    tell(&for_people(&common.speaker, refusal));
    if let Some(report) = common.report {
        tell_program(report, &for_programs(refusal));
    }
    sys::exit_group(EXIT_REFUSED)
}

/// Writes to the program's stderr as it now is.
fn tell(message: &Message) {
    let _ = with_theirs(2, |fd| write_bounded(fd, message.as_bytes()));
}

/// Writes to the report descriptor, unless the program has put something else in its place.
fn tell_program((number, device, inode): (i32, u64, u64), message: &Message) {
    let _ = with_theirs(number, |fd| {
        if sys::identity(fd) == Ok((device, inode)) {
            write_bounded(fd, message.as_bytes());
        }
    });
}

/// Runs `act` on a copy of the program's descriptor: the watcher has a table of its own.
fn with_theirs(number: i32, act: impl FnOnce(i32)) -> sys::Result<()> {
    let process = sys::pidfd_open(sys::process_id())?;
    let copy = sys::pidfd_getfd(process, number);
    sys::close(process);
    let copy = copy?;
    act(copy);
    sys::close(copy);
    Ok(())
}

fn in_grace(refusal: &Refusal, for_s: u32) -> Refusal {
    let mut text = *refusal;
    text.hint.push("; otherwise the program ends in ");
    text.hint.push_number(u64::from(for_s));
    text.hint.push(" seconds");
    text
}
