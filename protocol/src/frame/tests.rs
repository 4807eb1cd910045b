//! Tests of the frames: exact counts, round trips, the small model of P08, hostile lengths.

extern crate std;

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

const A: Cid = Cid(0x0102_0304);
const B: Cid = Cid(0x0a0b_0c0d);

fn assembler() -> Assembler<Vec<u8>> {
    Assembler::new(vec![0; MESSAGE_MAX])
}

fn first(cid: Cid, len: u16, fill: u8) -> Report {
    let data = &[fill; FIRST_DATA_LEN];
    Packet::First { cid, command: Command::Msg as u8, len, data }.to_report()
}

fn continuation(cid: Cid, sequence: u8, fill: u8) -> Report {
    Packet::Continuation { cid, sequence, data: &[fill; CONTINUATION_DATA_LEN] }.to_report()
}

/// Sends `message` whole at one instant and returns what came out.
fn deliver(to: &mut Assembler<Vec<u8>>, cid: Cid, message: &[u8]) -> Option<Vec<u8>> {
    let mut whole = None;
    for report in split(cid, Command::Msg, message).unwrap() {
        assert!(whole.is_none(), "reports after the last");
        if let Step::Complete(message) = to.accept(&report, 0).unwrap() {
            assert_eq!((message.cid, message.command), (cid, Command::Msg as u8));
            whole = Some(message.payload.to_vec());
        }
    }
    whole
}

#[test]
fn every_length_takes_the_least_reports_and_comes_back() {
    let bytes: Vec<u8> = (0..MESSAGE_MAX).map(|i| (i % 251) as u8).collect();
    let mut receiver = assembler();
    for len in 0..=MESSAGE_MAX {
        let least = (len + 2).div_ceil(59);
        let reports = split(A, Command::Msg, &bytes[..len]).unwrap();
        assert_eq!((reports.len(), report_count(len)), (least, Some(least)));
        assert_eq!(reports.count(), least);
        assert_eq!(deliver(&mut receiver, A, &bytes[..len]).as_deref(), Some(&bytes[..len]));
    }
    assert_eq!(report_count(MESSAGE_MAX), Some(70));
    assert_eq!(report_count(MESSAGE_MAX + 1), None);
    let long = vec![0; MESSAGE_MAX + 1];
    assert_eq!(split(A, Command::Msg, &long).unwrap_err(), TooLong(MESSAGE_MAX + 1));
}

#[test]
fn packets_read_as_they_were_written() {
    for report in [first(A, 300, 7), continuation(B, 127, 9)] {
        assert_eq!(Packet::parse(&report).to_report(), report);
    }
    assert_eq!(first(A, 300, 7)[..8], [1, 2, 3, 4, 0x82, 0x01, 0x2c, 7]);
    assert_eq!(continuation(B, 127, 9)[..6], [10, 11, 12, 13, 127, 9]);
}

#[test]
fn numbers_of_commands_and_errors_are_their_own() {
    for byte in 0..=0xff {
        assert!(Command::from_byte(byte).is_none_or(|c| c as u8 == byte && byte < 0x80));
        let code = ErrorCode::from_byte(byte);
        assert!(code as u8 == byte || code == ErrorCode::Other);
    }
}

#[test]
fn a_message_runs_out_of_time_between_reports_and_in_all() {
    let mut receiver = assembler();
    assert_eq!(receiver.accept(&first(A, 4096, 1), 1_000), Ok(Step::Partial));
    assert_eq!(receiver.deadline_ms(), Some(1_500));
    assert_eq!((receiver.expire(1_499), receiver.owner()), (None, Some(A)));
    assert_eq!((receiver.expire(1_500), receiver.owner()), (Some(A), None));

    // Dripping one report each 499 ms does not hold it for longer than the whole may take.
    receiver.accept(&first(A, 4096, 1), 10_000).unwrap();
    for n in 0..4 {
        let now_ms = 10_499 + u64::from(n) * 499;
        assert_eq!(receiver.accept(&continuation(A, n, 1), now_ms), Ok(Step::Partial));
    }
    assert_eq!(receiver.deadline_ms(), Some(12_000));
    assert_eq!(receiver.accept(&continuation(A, 4, 1), 12_000), Err(FrameError::Stray));
}

/// What the text in `frame.rs` says, written down a second time and without its economies.
#[derive(Default)]
struct Model {
    open: Option<(Cid, usize, Vec<u8>, u8, u64, u64)>,
}

impl Model {
    fn accept(&mut self, report: &Report, now_ms: u64) -> Result<Option<Vec<u8>>, FrameError> {
        let late = |&(_, _, _, _, begun, heard): &(_, _, _, _, u64, u64)| {
            now_ms >= heard + 500 || now_ms >= begun + 2_000
        };
        if self.open.as_ref().is_some_and(late) {
            self.open = None;
        }
        let cid = Cid(u32::from_be_bytes(report[..4].try_into().unwrap()));
        let (len, mut bytes, sequence, begun, data) = if report[4] >= 0x80 {
            if self.open.as_ref().is_some_and(|open| open.0 != cid) {
                return Err(FrameError::Busy);
            }
            self.open = None;
            let len = usize::from(report[5]) * 256 + usize::from(report[6]);
            if len > 4096 {
                return Err(FrameError::TooLong { len: len as u16 });
            }
            (len, Vec::new(), 0, now_ms, &report[7..])
        } else {
            match self.open.take() {
                Some((owner, len, bytes, expected, begun, _)) if owner == cid => {
                    if report[4] != expected {
                        return Err(FrameError::OutOfSequence { expected, found: report[4] });
                    }
                    (len, bytes, expected + 1, begun, &report[5..])
                }
                other => {
                    self.open = other;
                    return Err(FrameError::Stray);
                }
            }
        };
        bytes.extend_from_slice(data);
        if bytes.len() >= len {
            bytes.truncate(len);
            return Ok(Some(bytes));
        }
        self.open = Some((cid, len, bytes, sequence, begun, now_ms));
        Ok(None)
    }
}

fn agree(real: &mut Assembler<Vec<u8>>, model: &mut Model, report: &Report, now_ms: u64) {
    let got = real.accept(report, now_ms).map(|step| match step {
        Step::Partial => None,
        Step::Complete(message) => Some(message.payload.to_vec()),
    });
    assert_eq!(got, model.accept(report, now_ms), "at {now_ms} ms: {report:02x?}");
}

/// All sequences of three reports from a small alphabet on two channels, with pauses around the
/// time-out; afterwards one message on each channel. Each report is filled with its own byte, so
/// that a byte of a dropped message would be seen in the next.
#[test]
fn sec_p08_all_sequences_of_three_reports_on_two_channels_follow_the_model() {
    let shapes = |cid: Cid| {
        let firsts = [0, 5, 57, 58, 120, 4096, 4097, 0xffff].map(move |len| (cid, Some(len), 0));
        firsts.into_iter().chain([0, 1, 2, 127].map(move |sequence| (cid, None, sequence)))
    };
    let alphabet: Vec<_> = shapes(A).chain(shapes(B)).collect();
    let make = |index: usize, fill: u8| match alphabet[index] {
        (cid, Some(len), _) => first(cid, len, fill),
        (cid, None, sequence) => continuation(cid, sequence, fill),
    };
    let n = alphabet.len();
    let mut sequences = 0;
    let mut real = assembler();
    for choice in 0..n * n * n {
        for pauses in [[0, 0], [0, 499], [0, 500], [500, 0], [499, 499]] {
            real.cancel(A);
            real.cancel(B);
            let mut model = Model::default();
            let picks = [choice % n, choice / n % n, choice / n / n];
            let times = [0, pauses[0], pauses[0] + pauses[1]];
            for (step, (pick, now_ms)) in picks.into_iter().zip(times).enumerate() {
                agree(&mut real, &mut model, &make(pick, 0x11 * (step as u8 + 1)), now_ms);
            }
            for cid in [A, B] {
                agree(&mut real, &mut model, &first(cid, 60, 0x77), times[2]);
                agree(&mut real, &mut model, &continuation(cid, 0, 0x88), times[2]);
            }
            sequences += 1;
        }
    }
    assert_eq!(sequences, 24 * 24 * 24 * 5);
}

#[test]
fn sec_p01_every_length_field_is_held_against_the_buffer() {
    for size in [0, 1, 56, 57, 58, 4095, 4096, 8192] {
        let mut receiver = Assembler::new(vec![0; size]);
        let most = size.min(MESSAGE_MAX);
        for len in 0..=u16::MAX {
            let got = receiver.accept(&first(A, len, 1), 0);
            match usize::from(len) {
                wanted if wanted > most => assert_eq!(got, Err(FrameError::TooLong { len })),
                0..=57 => assert!(matches!(got, Ok(Step::Complete(_)))),
                _ => assert_eq!(got, Ok(Step::Partial)),
            }
            receiver.cancel(A);
        }
    }
}

#[test]
fn a_client_hears_its_own_answer_only() {
    let mut client = Listener::new(A, vec![0; MESSAGE_MAX]);
    let one = |cid, command, payload: &[u8]| split(cid, command, payload).unwrap().next().unwrap();
    assert_eq!(client.hear(&one(B, Command::Msg, b"theirs"), 0), Heard::Nothing);
    assert_eq!(client.hear(&continuation(A, 3, 0), 0), Heard::Nothing);
    assert_eq!(client.hear(&one(A, Command::Cancel, b""), 0), Heard::Nothing);
    assert_eq!(client.hear(&one(A, Command::Keepalive, &[9]), 0), Heard::Nothing);
    assert_eq!(client.hear(&one(A, Command::Keepalive, &[1]), 0), Heard::Working);
    assert_eq!(client.hear(&one(A, Command::Error, &[6]), 0), Heard::Busy);
    let refused = Heard::Refused(ErrorCode::InvalidChannel);
    assert_eq!(client.hear(&one(A, Command::Error, &[0x0b]), 0), refused);
    assert_eq!(client.hear(&one(A, Command::Msg, b"mine"), 0), Heard::Answer(b"mine"));
    assert_eq!(client.hear(&first(A, 60, 1), 0), Heard::Nothing);
    let lost = FrameError::OutOfSequence { expected: 0, found: 1 };
    assert_eq!(client.hear(&continuation(A, 1, 1), 0), Heard::Lost(lost));
    assert_eq!(client.hear(&first(A, 60, 1), 0), Heard::Nothing);
    assert_eq!(client.hear(&continuation(A, 0, 1), 500), Heard::Lost(FrameError::Timeout));
}

#[test]
fn only_the_asker_takes_an_allocation() {
    let answer = Allocation { nonce: *b"nonce-01", cid: A, version: 1, capabilities: 0 };
    let report =
        |bytes: &[u8]| split(Cid::BROADCAST, Command::Init, bytes).unwrap().next().unwrap();
    let whole = answer.to_bytes();
    assert_eq!(hear_allocation(&report(&whole), b"nonce-01"), Some(answer));
    assert_eq!(hear_allocation(&report(&whole), b"nonce-02"), None);
    assert_eq!(hear_allocation(&report(&whole[..13]), b"nonce-01"), None);
    assert_eq!(hear_allocation(&report(&[&whole[..], &[0]].concat()), b"nonce-01"), None);
    assert_eq!(hear_allocation(&allocation_request(b"nonce-01"), b"nonce-01"), None);
    let newer = Allocation { version: 2, ..answer };
    let longer = [&newer.to_bytes()[..], &[1, 2, 3]].concat();
    assert_eq!(hear_allocation(&report(&longer), b"nonce-01"), Some(newer));
}

#[test]
fn patience_is_extended_up_to_its_end() {
    let mut patience = Patience::begin(100, 50, 120);
    assert_eq!(patience.deadline_ms(), 150);
    patience.extend(140);
    assert_eq!(patience.deadline_ms(), 190);
    patience.extend(189);
    assert_eq!(patience.deadline_ms(), 220);
    assert_eq!(Patience::begin(u64::MAX, 1, 1).deadline_ms(), u64::MAX);
}

/// The reports of the example in the byte table, each with the way it goes.
fn documented() -> Vec<(char, Report)> {
    let text = include_str!("../../../docs/formats/21-reports.md");
    let example = text.split("```text").last().and_then(|rest| rest.split("```").next()).unwrap();
    let mut reports: Vec<(char, Vec<u8>)> = Vec::new();
    for line in example.lines().filter(|line| !line.is_empty()) {
        let (way, hex) = line.split_at(1);
        if way != " " {
            reports.push((way.chars().next().unwrap(), Vec::new()));
        }
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let bytes = &mut reports.last_mut().unwrap().1;
        bytes.extend(
            digits
                .chunks(2)
                .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap()),
        );
        if hex.ends_with("..") {
            bytes.resize(REPORT_LEN, 0);
        }
    }
    reports.into_iter().map(|(way, bytes)| (way, bytes.try_into().unwrap())).collect()
}

#[test]
fn the_documented_example_is_what_the_code_sends() {
    let nonce = [0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8];
    let cid = Cid(0x5c00_0001);
    let answer = Allocation { nonce, cid, version: FRAME_VERSION, capabilities: 0 }.to_bytes();
    let request: Vec<u8> = (0..60).collect();
    let mut expected = vec![('>', allocation_request(&nonce))];
    let messages: [(char, Cid, Command, &[u8]); 7] = [
        ('<', Cid::BROADCAST, Command::Init, &answer),
        ('>', cid, Command::Msg, &request),
        ('<', cid, Command::Keepalive, &[STATUS_PROCESSING]),
        ('<', cid, Command::Msg, b"ok"),
        ('>', cid, Command::Close, b""),
        ('>', cid, Command::Msg, &[0]),
        ('<', cid, Command::Error, &[ErrorCode::InvalidChannel as u8]),
    ];
    for (way, cid, command, payload) in messages {
        expected.extend(split(cid, command, payload).unwrap().map(|report| (way, report)));
    }
    assert_eq!(documented(), expected);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        rng_seed: RngSeed::Fixed(0x21),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Other channels' reports in between change nothing.
    #[test]
    fn messages_survive_the_way_between_foreign_reports(
        message in proptest::collection::vec(any::<u8>(), 0..=MESSAGE_MAX),
        noise in proptest::collection::vec(any::<[u8; 32]>(), 0..8),
    ) {
        let mut receiver = assembler();
        let mut whole = None;
        for (n, report) in split(A, Command::Msg, &message).unwrap().enumerate() {
            if let Step::Complete(done) = receiver.accept(&report, n as u64).unwrap() {
                whole = Some(done.payload.to_vec());
            }
            for (half, _) in noise.iter().zip(0..n.min(2)) {
                let mut foreign = [0; REPORT_LEN];
                foreign[..4].copy_from_slice(&B.0.to_be_bytes());
                foreign[4..36].copy_from_slice(half);
                if whole.is_none() {
                    prop_assert!(receiver.accept(&foreign, n as u64).is_err());
                }
            }
        }
        prop_assert_eq!(whole, Some(message));
    }

    /// Any reports at all: no panic, and no message longer than it claimed to be.
    #[test]
    fn sec_p08_garbage_never_makes_more_than_it_claims(
        reports in proptest::collection::vec((any::<[u8; 32]>(), 0_u64..600, any::<bool>()), 1..64),
    ) {
        let mut receiver = assembler();
        let mut now_ms = 0;
        for (bytes, pause_ms, ours) in reports {
            let mut report = [0; REPORT_LEN];
            report[..32].copy_from_slice(&bytes);
            if ours {
                report[..4].copy_from_slice(&A.0.to_be_bytes());
            }
            now_ms += pause_ms;
            if let Ok(Step::Complete(message)) = receiver.accept(&report, now_ms) {
                prop_assert!(message.payload.len() <= MESSAGE_MAX);
            }
        }
    }
}
