//! Hostile dongles: whatever they say, a link ends within its time-out, by count, and stays dead.

use std::cell::Cell;
use std::rc::Rc;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use protocol::frame::{Packet, REPORT_LEN, STATUS_PROCESSING};

use super::*;

const NONCE: Nonce = *b"nonce-01";
const OURS: Cid = Cid(0x51);
const TIMES: LinkTimes = LinkTimes { open_ms: 100, silence_ms: 700, total_ms: 5_000 };

/// A clock that moves only when a report comes (by 1 ms, as on a full-speed bus) or a wait ends.
#[derive(Clone, Default)]
struct Bench {
    now_ms: Rc<Cell<u64>>,
    polls: Rc<Cell<u64>>,
}

impl Ticks for Bench {
    fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }
}

/// A dongle that says what `speak` decides from the last report it got and the number of reports
/// it has sent since.
struct Dongle<F> {
    bench: Bench,
    last: Report,
    said: usize,
    speak: F,
}

impl<F: FnMut(&Report, usize) -> Option<Report>> ReportPipe for Dongle<F> {
    fn send(&mut self, report: &Report) -> Result<(), PipeError> {
        (self.last, self.said) = (*report, 0);
        Ok(())
    }

    fn receive(&mut self, timeout: Duration) -> Result<Report, PipeError> {
        self.bench.polls.set(self.bench.polls.get() + 1);
        let timeout_ms = timeout.as_millis() as u64;
        if timeout_ms == 0 {
            return Err(PipeError::TimedOut);
        }
        match (self.speak)(&self.last, self.said) {
            Some(report) => {
                self.said += 1;
                self.bench.now_ms.set(self.bench.now_ms.get() + 1);
                Ok(report)
            }
            None => {
                self.bench.now_ms.set(self.bench.now_ms.get() + timeout_ms);
                Err(PipeError::TimedOut)
            }
        }
    }
}

fn report(cid: Cid, command: Command, payload: &[u8]) -> Report {
    split(cid, command, payload).unwrap().next().unwrap()
}

fn allocation(nonce: Nonce, cid: Cid, version: u8) -> Report {
    let answer = Allocation { nonce, cid, version, capabilities: 0 };
    report(Cid::BROADCAST, Command::Init, &answer.to_bytes())
}

fn is_init(heard: &Report) -> bool {
    Packet::parse(heard).cid() == Cid::BROADCAST
}

/// A link to a dongle that hands out the channel properly and then behaves as `speak` says.
fn link(
    mut speak: impl FnMut(&Report, usize) -> Option<Report>,
) -> (Bench, DongleLink<impl ReportPipe, Bench>) {
    let bench = Bench::default();
    let speak = move |heard: &Report, said: usize| match is_init(heard) {
        true => (said == 0).then(|| allocation(NONCE, OURS, FRAME_VERSION)),
        false => speak(heard, said),
    };
    let dongle = Dongle { bench: bench.clone(), last: [0; REPORT_LEN], said: 0, speak };
    let link = DongleLink::open_with(dongle, bench.clone(), NONCE, TIMES).unwrap();
    (bench, link)
}

/// One exchange with a dongle that behaves as `speak` says: the error, and how long it took.
fn fail(speak: impl FnMut(&Report, usize) -> Option<Report>) -> (LinkError, u64) {
    let (bench, mut link) = link(speak);
    let begun_ms = bench.now_ms.get();
    let error = link.exchange(b"request").unwrap_err();
    assert!(link.is_dead());
    let polls = bench.polls.get();
    assert!(matches!(link.exchange(b"again"), Err(LinkError::Dead)));
    assert_eq!(bench.polls.get(), polls, "a dead link still listens");
    (error, bench.now_ms.get() - begun_ms)
}

#[test]
fn a_proper_dongle_answers() {
    let (_, mut link) = link(|heard, said| {
        let Packet::First { data, .. } = Packet::parse(heard) else { return None };
        [report(OURS, Command::Msg, &data[..7])].get(said).copied()
    });
    assert_eq!((link.cid(), link.capabilities()), (OURS, 0));
    assert_eq!(link.exchange(b"request").unwrap(), b"request");
    assert_eq!(link.exchange(b"another").unwrap(), b"another");
    assert!(matches!(link.exchange(&[0; 4097]), Err(LinkError::TooLong(TooLong(4097)))));
    assert_eq!(link.exchange(b"the 3rd").unwrap(), b"the 3rd");
}

#[test]
fn sec_p15_a_dongle_that_never_answers_costs_the_time_out() {
    let (error, took_ms) = fail(|_, _| None);
    assert!(matches!(error, LinkError::NoAnswer));
    assert_eq!(took_ms, TIMES.silence_ms);
}

#[test]
fn sec_p15_answers_on_other_channels_are_not_taken() {
    let (error, took_ms) =
        fail(|_, said| Some(report(Cid(said as u32 + 0x52), Command::Msg, b"x")));
    assert!(matches!(error, LinkError::NoAnswer));
    assert_eq!(took_ms, TIMES.silence_ms);
}

#[test]
fn sec_p15_an_answer_that_stops_halfway_is_lost() {
    let whole: Vec<_> = split(OURS, Command::Msg, &[5; 300]).unwrap().collect();
    let (error, took_ms) = fail(move |_, said| whole[..3].get(said).copied());
    assert!(matches!(error, LinkError::Garbled(FrameError::Timeout)));
    assert_eq!(took_ms, 3 + 500);
}

#[test]
fn sec_p15_an_answer_with_a_part_missing_or_twice_is_lost() {
    let whole: Vec<_> = split(OURS, Command::Msg, &[5; 300]).unwrap().collect();
    for order in [[0, 2, 3, 4], [0, 1, 1, 2], [0, 2, 1, 3]] {
        let whole = whole.clone();
        let (error, _) = fail(move |_, said| order.get(said).map(|n| whole[*n]));
        assert!(matches!(error, LinkError::Garbled(FrameError::OutOfSequence { .. })));
    }
}

#[test]
fn sec_p15_an_overlong_answer_is_refused_at_its_first_report() {
    for len in [4097, u16::MAX] {
        let overlong =
            Packet::First { cid: OURS, command: Command::Msg as u8, len, data: &[0; 57] };
        let overlong = overlong.to_report();
        let (error, took_ms) = fail(move |_, _| Some(overlong));
        assert!(matches!(error, LinkError::Garbled(FrameError::TooLong { len: l }) if l == len));
        assert_eq!(took_ms, 1);
    }
}

#[test]
fn sec_p15_keepalives_extend_the_wait_up_to_its_cap() {
    let working = report(OURS, Command::Keepalive, &[STATUS_PROCESSING]);
    let (error, took_ms) = fail(move |_, _| Some(working));
    assert!(matches!(error, LinkError::NoAnswer));
    assert_eq!(took_ms, TIMES.total_ms);

    // One sign of life is worth one silence.
    let (_, took_ms) = fail(move |_, said| (said == 0).then_some(working));
    assert_eq!(took_ms, 1 + TIMES.silence_ms);
}

#[test]
fn sec_p15_a_dongle_busy_for_ever_is_left_and_the_link_lives() {
    let busy = report(OURS, Command::Error, &[ErrorCode::Busy as u8]);
    let answer = report(OURS, Command::Msg, b"at last");
    let calm = Rc::new(Cell::new(false));
    let calmed = calm.clone();
    let (bench, mut link) = link(move |_, said| match (calm.get(), said) {
        (false, 0) => Some(busy),
        (true, 0) => Some(answer),
        _ => None,
    });
    assert!(matches!(link.exchange(b"request"), Err(LinkError::Busy)));
    assert!(!link.is_dead());
    assert!(bench.now_ms.get() <= TIMES.total_ms + 1);
    // Pauses double up to 64 ms: about a hundred attempts, not thousands.
    assert!(bench.polls.get() < 400, "{} polls", bench.polls.get());
    calmed.set(true);
    assert_eq!(link.exchange(b"request").unwrap(), b"at last");
}

#[test]
fn sec_p15_a_refusal_ends_the_link_at_once() {
    for code in [1, 3, 4, 5, 0x0b, 0x7f, 0xee] {
        let refusal = report(OURS, Command::Error, &[code]);
        let (error, took_ms) = fail(move |_, _| Some(refusal));
        assert!(matches!(error, LinkError::Refused(c) if c == ErrorCode::from_byte(code)));
        assert_eq!(took_ms, 1);
    }
}

#[test]
fn sec_p15_a_late_answer_does_not_reach_the_next_link() {
    let late = report(OURS, Command::Msg, b"late");
    let bench = Bench::default();
    let speak = |heard: &Report, said: usize| match (is_init(heard), said) {
        (true, 0) => Some(late),
        (true, 1) => Some(allocation(*b"nonce-99", Cid(0x60), FRAME_VERSION)),
        (true, 2) => Some(allocation(NONCE, Cid(0x52), FRAME_VERSION)),
        (false, 0) => Some(late),
        (false, 1) => Some(report(Cid(0x52), Command::Msg, b"mine")),
        _ => None,
    };
    let dongle = Dongle { bench: bench.clone(), last: [0; REPORT_LEN], said: 0, speak };
    let mut link = DongleLink::open_with(dongle, bench, NONCE, TIMES).unwrap();
    assert_eq!(link.cid(), Cid(0x52));
    assert_eq!(link.exchange(b"request").unwrap(), b"mine");
}

#[test]
fn sec_p15_no_channel_is_opened_on_a_wrong_word() {
    let open = |answer: Option<Report>| {
        let bench = Bench::default();
        let speak = move |_: &Report, _: usize| answer;
        let dongle = Dongle { bench: bench.clone(), last: [0; REPORT_LEN], said: 0, speak };
        let result = DongleLink::open_with(dongle, bench.clone(), NONCE, TIMES).map(|_| ());
        (result, bench.now_ms.get())
    };
    let (result, _) = open(Some(allocation(NONCE, Cid::NONE, FRAME_VERSION)));
    assert!(matches!(result, Err(LinkError::NoChannel)));
    let (result, _) = open(Some(allocation(NONCE, OURS, 2)));
    assert!(matches!(result, Err(LinkError::Version(2))));
    for wrong in [
        None,
        Some(allocation(*b"nonce-02", OURS, FRAME_VERSION)),
        Some(allocation(NONCE, Cid::BROADCAST, FRAME_VERSION)),
        Some(report(Cid::BROADCAST, Command::Error, &[1])),
        Some([0xff; REPORT_LEN]),
    ] {
        let (result, took_ms) = open(wrong);
        assert!(matches!(result, Err(LinkError::NoAnswer)));
        assert_eq!(took_ms, TIMES.open_ms);
    }
}

#[test]
fn a_dropped_link_gives_its_channel_back_unless_the_pipe_is_gone() {
    struct Failing(Rc<Cell<usize>>, bool);
    impl ReportPipe for Failing {
        fn send(&mut self, report: &Report) -> Result<(), PipeError> {
            let is_close = report[4] == 0x80 | Command::Close as u8;
            self.0.set(self.0.get() + usize::from(is_close));
            Ok(())
        }
        fn receive(&mut self, timeout: Duration) -> Result<Report, PipeError> {
            match (std::mem::replace(&mut self.1, true), timeout.is_zero()) {
                (false, _) => Ok(allocation(NONCE, OURS, FRAME_VERSION)),
                (true, true) => Err(PipeError::TimedOut),
                (true, false) => Err(PipeError::Gone),
            }
        }
    }
    for (exchange, closes) in [(false, 1), (true, 0)] {
        let count = Rc::new(Cell::new(0));
        let pipe = Failing(count.clone(), false);
        let mut link = DongleLink::open_with(pipe, Bench::default(), NONCE, TIMES).unwrap();
        if exchange {
            let gone = link.exchange(b"request").unwrap_err();
            assert!(matches!(gone, LinkError::Pipe(PipeError::Gone)));
        }
        drop(link);
        assert_eq!(count.get(), closes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        rng_seed: RngSeed::Fixed(0x15),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Reports that look right at first glance, in any order, for ever.
    #[test]
    fn sec_p15_random_reports_end_within_the_time_out(
        bytes in proptest::collection::vec((any::<[u8; 12]>(), 0_u8..4), 1..40),
    ) {
        let mut n = 0;
        let (bench, mut link) = link(move |_, _| {
            let (head, kind) = bytes[n % bytes.len()];
            n += 1;
            let mut report = [head[11]; REPORT_LEN];
            report[..11].copy_from_slice(&head[..11]);
            if kind > 0 {
                report[..4].copy_from_slice(&OURS.0.to_be_bytes());
            }
            report[4] = match kind {
                1 => 0x80 | Command::Msg as u8,
                2 => head[4] % 3,
                3 => 0x80 | [3, 4, 0x3f][usize::from(head[4]) % 3],
                _ => head[4],
            };
            Some(report)
        });
        let begun_ms = bench.now_ms.get();
        let result = link.exchange(b"request");
        prop_assert!(bench.now_ms.get() - begun_ms <= TIMES.total_ms);
        prop_assert!(bench.polls.get() <= TIMES.total_ms + 2 * STALE_MAX as u64);
        prop_assert_eq!(link.is_dead(), !matches!(result, Ok(_) | Err(LinkError::Busy)));
    }
}
