//! The device side against a model of it, and its rules one by one.

use protocol::frame::{
    CONTINUATION_DATA_LEN, FIRST_DATA_LEN, Heard, Listener, Nonce, allocation_request,
    hear_allocation,
};

use super::*;

const PORT: PortId = PortId(1);

/// Answers with the request turned round, and keeps a diary.
#[derive(Default)]
pub(super) struct Echo {
    pub(super) requests: Vec<(u32, Vec<u8>)>,
    pub(super) closed: Vec<u32>,
    answer_len: Option<usize>,
}

impl MessageHandler for Echo {
    fn message(&mut self, cid: u32, request: &[u8], response: &mut Vec<u8>) {
        assert!(response.is_empty());
        self.requests.push((cid, request.to_vec()));
        response.extend(request.iter().rev());
        if let Some(len) = self.answer_len {
            response.resize(len, 0);
        }
    }

    fn closed(&mut self, cid: u32) {
        self.closed.push(cid);
    }
}

fn device() -> ReportDevice<Echo> {
    ReportDevice::new(Echo::default(), 0xffff_fffe)
}

fn open(device: &mut ReportDevice<Echo>, port: PortId, nonce: Nonce, now_ms: u64) -> Cid {
    device.receive(port, &allocation_request(&nonce), now_ms);
    let (to, report) = device.next_report().unwrap();
    assert_eq!((to, device.next_report()), (port, None));
    let answer = hear_allocation(&report, &nonce).unwrap();
    assert_eq!((answer.version, answer.capabilities), (1, 0));
    answer.cid
}

fn send(device: &mut ReportDevice<Echo>, port: PortId, cid: Cid, message: &[u8], now_ms: u64) {
    for report in split(cid, Command::Msg, message).unwrap() {
        device.receive(port, &report, now_ms);
    }
}

fn first(cid: Cid, command: u8, len: u16, fill: u8) -> Report {
    Packet::First { cid, command, len, data: &[fill; FIRST_DATA_LEN] }.to_report()
}

fn continuation(cid: Cid, sequence: u8, fill: u8) -> Report {
    Packet::Continuation { cid, sequence, data: &[fill; CONTINUATION_DATA_LEN] }.to_report()
}

/// What the device said since it was last asked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Answer(Cid, Vec<u8>),
    Error(Cid, ErrorCode),
    Working(Cid),
}

fn said(device: &mut ReportDevice<Echo>) -> Vec<Said> {
    let mut all = Vec::new();
    let mut ear: Option<Listener<Vec<u8>>> = None;
    while let Some((_, report)) = device.next_report() {
        let cid = Packet::parse(&report).cid();
        let ear = match &mut ear {
            Some(ear) if ear.cid() == cid => ear,
            other => other.insert(Listener::new(cid, vec![0; MESSAGE_MAX])),
        };
        all.extend(match ear.hear(&report, 0) {
            Heard::Nothing => None,
            Heard::Working => Some(Said::Working(cid)),
            Heard::Busy => Some(Said::Error(cid, ErrorCode::Busy)),
            Heard::Answer(answer) => Some(Said::Answer(cid, answer.to_vec())),
            Heard::Refused(code) => Some(Said::Error(cid, code)),
            Heard::Lost(error) => panic!("the device garbled its answer: {error}"),
        });
    }
    all
}

/// The rules of the report layer, written down a second time, for a device that answers at once.
struct Model {
    open: Vec<Cid>,
    under_way: Option<(Cid, usize, Vec<u8>, u8)>,
}

impl Model {
    fn receive(&mut self, report: &Report) -> Option<Said> {
        let cid = Cid(u32::from_be_bytes(report[..4].try_into().unwrap()));
        let is_first = report[4] >= 0x80;
        let error = |code| Some(Said::Error(cid, code));
        if !self.open.contains(&cid) {
            return if is_first { error(ErrorCode::InvalidChannel) } else { None };
        }
        let mine = self.under_way.as_ref().is_some_and(|u| u.0 == cid);
        if !is_first {
            return if mine { self.go_on(cid, report) } else { None };
        }
        if mine {
            self.under_way = None;
        }
        let len = usize::from(report[5]) << 8 | usize::from(report[6]);
        match report[4] - 0x80 {
            2 if self.under_way.is_some() => error(ErrorCode::Busy),
            2 if len > 4096 => error(ErrorCode::InvalidLength),
            2 => {
                self.under_way = Some((cid, len, Vec::new(), 0));
                self.add(&report[7..])
            }
            3 | 5 if len != 0 => error(ErrorCode::InvalidLength),
            3 => None,
            5 => {
                self.open.retain(|c| *c != cid);
                None
            }
            _ => error(ErrorCode::InvalidCommand),
        }
    }

    fn go_on(&mut self, cid: Cid, report: &Report) -> Option<Said> {
        let expected = &mut self.under_way.as_mut()?.3;
        if report[4] != *expected {
            self.under_way = None;
            return Some(Said::Error(cid, ErrorCode::InvalidSequence));
        }
        *expected += 1;
        self.add(&report[5..])
    }

    fn add(&mut self, data: &[u8]) -> Option<Said> {
        let (cid, len, mut bytes, sequence) = self.under_way.take()?;
        bytes.extend_from_slice(data);
        if bytes.len() < len {
            self.under_way = Some((cid, len, bytes, sequence));
            return None;
        }
        bytes.truncate(len);
        bytes.reverse();
        Some(Said::Answer(cid, bytes))
    }
}

/// Every sequence of three reports on two channels, each report filled with its own byte; then one
/// message more on each channel. The device says what the model says, and no byte of a dropped
/// message shows up in a later one.
#[test]
fn sec_p08_all_sequences_of_three_reports_on_two_channels_follow_the_model() {
    let shapes: Vec<(u8, u16)> = vec![
        (0x82, 0), // MSG: empty, in one report, in two, in three, too long
        (0x82, 3),
        (0x82, 60),
        (0x82, 120),
        (0x82, 4097),
        (0x83, 0), // CANCEL, and with a length
        (0x83, 1),
        (0x85, 0), // CLOSE
        (0x81, 8), // INIT on a channel, an answer's command, an unknown one
        (0x84, 1),
        (0xfe, 0),
        (0, 0), // continuations
        (1, 0),
        (127, 0),
    ];
    let n = shapes.len() * 2;
    let mut sequences = 0;
    for choice in 0..n * n * n {
        let mut device = device();
        let cids = [0, 1].map(|i| open(&mut device, PORT, [i; 8], 0));
        let mut model = Model { open: cids.to_vec(), under_way: None };
        let picks = [choice % n, choice / n % n, choice / n / n];
        let mut script = Vec::new();
        for (step, pick) in picks.into_iter().enumerate() {
            let ((tag, len), fill) = (shapes[pick / 2], 0x11 * (step as u8 + 1));
            script.push(match tag {
                0..0x80 => continuation(cids[pick % 2], tag, fill),
                _ => first(cids[pick % 2], tag - 0x80, len, fill),
            });
        }
        for cid in cids {
            script.push(first(cid, Command::Msg as u8, 60, 0x77));
            script.push(continuation(cid, 0, 0x88));
        }
        for (step, report) in script.iter().enumerate() {
            device.receive(PORT, report, 0);
            let expected: Vec<Said> = model.receive(report).into_iter().collect();
            assert_eq!(said(&mut device), expected, "step {step} of {picks:?}");
        }
        let closed = cids.iter().filter(|cid| !model.open.contains(cid)).count();
        assert_eq!(device.handler.closed.len(), closed);
        sequences += 1;
    }
    assert_eq!(sequences, 28 * 28 * 28);
}

#[test]
fn numbers_of_channels_skip_what_is_no_channel_and_do_not_come_again() {
    let mut device = device();
    let cids: Vec<u32> = (0..3).map(|i| open(&mut device, PORT, [i; 8], 0).0).collect();
    assert_eq!(cids, [0xffff_fffe, 1, 2]);
    device.receive(PORT, &first(Cid(2), Command::Close as u8, 0, 0), 0);
    assert_eq!(open(&mut device, PORT, [9; 8], 0), Cid(3));
    assert_eq!(device.handler.closed, [2]);
}

#[test]
fn words_on_everyones_channel_that_are_no_request_are_refused() {
    let mut device = device();
    for (command, len, code) in
        [(0x02, 8, ErrorCode::InvalidCommand), (0x01, 7, ErrorCode::InvalidLength)]
    {
        device.receive(PORT, &first(Cid::BROADCAST, command, len, 0), 0);
        assert_eq!(said(&mut device), [Said::Error(Cid::BROADCAST, code)]);
    }
    device.receive(PORT, &continuation(Cid::BROADCAST, 0, 0), 0);
    assert_eq!(said(&mut device), []);
}

#[test]
fn a_channel_is_handed_out_while_another_message_is_under_way() {
    let mut device = device();
    let a = open(&mut device, PORT, [1; 8], 0);
    device.receive(PORT, &first(a, Command::Msg as u8, 60, 5), 0);
    let b = open(&mut device, PORT, [2; 8], 0);
    send(&mut device, PORT, b, b"wait", 0);
    assert_eq!(said(&mut device), [Said::Error(b, ErrorCode::Busy)]);
    device.receive(PORT, &continuation(a, 0, 5), 0);
    assert_eq!(said(&mut device), [Said::Answer(a, vec![5; 60])]);
}

#[test]
fn an_unfinished_message_is_given_up_in_time_and_said_so() {
    let mut device = device();
    let a = open(&mut device, PORT, [1; 8], 0);
    let b = open(&mut device, PORT, [2; 8], 0);
    device.receive(PORT, &first(a, Command::Msg as u8, 60, 5), 10);
    assert_eq!(device.wake_ms(), Some(510));
    device.tick(509);
    assert_eq!(said(&mut device), []);
    // Even if nobody called `tick`, the next report finds the device free.
    send(&mut device, PORT, b, b"ab", 510);
    let expected = [Said::Error(a, ErrorCode::Timeout), Said::Answer(b, b"ba".to_vec())];
    assert_eq!(said(&mut device), expected);
    device.receive(PORT, &continuation(a, 0, 5), 511);
    assert_eq!((said(&mut device), device.wake_ms()), (vec![], None));
}

#[test]
fn a_device_at_work_gives_signs_of_life_and_is_busy_for_all() {
    let mut device = device();
    device.set_work_ms(250);
    let a = open(&mut device, PORT, [1; 8], 0);
    let b = open(&mut device, PORT, [2; 8], 0);
    send(&mut device, PORT, a, b"ab", 1_000);
    assert_eq!((said(&mut device), device.wake_ms()), (vec![], Some(1_100)));
    for cid in [a, b] {
        send(&mut device, PORT, cid, b"no", 1_050);
        assert_eq!(said(&mut device), [Said::Error(cid, ErrorCode::Busy)]);
    }
    device.tick(1_100);
    device.tick(1_199);
    device.tick(1_200);
    assert_eq!(said(&mut device), [Said::Working(a), Said::Working(a)]);
    assert_eq!(device.wake_ms(), Some(1_250));
    device.tick(1_250);
    assert_eq!(said(&mut device), [Said::Answer(a, b"ba".to_vec())]);
    assert_eq!((device.handler.requests.len(), device.wake_ms()), (1, None));
}

#[test]
fn a_cancelled_answer_is_never_heard() {
    let mut device = device();
    device.set_work_ms(50);
    let a = open(&mut device, PORT, [1; 8], 0);
    send(&mut device, PORT, a, b"secret", 0);
    device.receive(PORT, &first(a, Command::Cancel as u8, 0, 0), 1);
    send(&mut device, PORT, a, b"ab", 2);
    device.tick(52);
    assert_eq!(said(&mut device), [Said::Answer(a, b"ba".to_vec())]);
}

#[test]
fn work_without_end_is_no_answer() {
    let mut device = device();
    device.set_work_ms(u64::MAX);
    let a = open(&mut device, PORT, [1; 8], 0);
    send(&mut device, PORT, a, b"ab", 1_000);
    device.tick(u64::MAX / 2);
    assert_eq!(said(&mut device), [Said::Working(a)]);
}

#[test]
fn an_answer_that_is_too_long_is_an_error() {
    let mut device = device();
    let a = open(&mut device, PORT, [1; 8], 0);
    for (len, expected) in
        [(4096, Said::Answer(a, vec![0; 4096])), (4097, Said::Error(a, ErrorCode::Other))]
    {
        device.handler_mut().answer_len = Some(len);
        send(&mut device, PORT, a, b"", 0);
        assert_eq!(said(&mut device), [expected]);
    }
}

#[test]
fn channels_belong_to_their_port_and_end_with_it() {
    let mut device = device();
    let other = PortId(2);
    let a = open(&mut device, PORT, [1; 8], 0);
    let b = open(&mut device, other, [2; 8], 0);
    let c = open(&mut device, PORT, [3; 8], 0);
    send(&mut device, other, a, b"not mine", 0);
    assert_eq!(device.out.front().map(|(port, _)| *port), Some(other));
    assert_eq!(said(&mut device), [Said::Error(a, ErrorCode::InvalidChannel)]);

    device.receive(PORT, &first(a, Command::Msg as u8, 60, 5), 0);
    device.detach(PORT);
    assert_eq!(device.handler.closed, [a.0, c.0]);
    send(&mut device, other, b, b"ab", 0);
    assert_eq!(said(&mut device), [Said::Answer(b, b"ba".to_vec())]);
    device.power_lost();
    assert_eq!(device.handler.closed, [a.0, c.0, b.0]);
    send(&mut device, other, b, b"ab", 0);
    assert_eq!(said(&mut device), [Said::Error(b, ErrorCode::InvalidChannel)]);
}

/// Fills the table with channels of `port` at the time 0, all of which carried a message.
fn full(device: &mut ReportDevice<Echo>, port: PortId) -> Vec<Cid> {
    let open_and_use = |_| {
        let cid = open(device, port, [7; 8], 0);
        send(device, port, cid, b"session", 0);
        said(device);
        cid
    };
    (0..CHANNELS_MAX).map(open_and_use).collect()
}

#[test]
fn a_living_session_is_never_taken_for_a_newcomer() {
    let mut device = device();
    let cids = full(&mut device, PORT);
    let late_ms = CHANNEL_IDLE_MS - 1;
    assert_eq!(open(&mut device, PortId(2), [1; 8], late_ms), Cid::NONE);
    // All but two send their heartbeat; the one longest silent goes first.
    for cid in cids.iter().filter(|cid| ![cids[5], cids[9]].contains(cid)) {
        send(&mut device, PORT, *cid, b"heartbeat", late_ms);
    }
    said(&mut device);
    // The newcomers' own channels are unused and go before any session.
    let newcomer = open(&mut device, PortId(2), [1; 8], CHANNEL_IDLE_MS);
    assert_eq!(device.handler.closed, [cids[5].0]);
    open(&mut device, PortId(2), [2; 8], CHANNEL_IDLE_MS);
    assert_eq!(device.handler.closed, [cids[5].0, newcomer.0]);
    // A message under way keeps its channel, so the next idle one is taken.
    let second = Cid(newcomer.0 + 1);
    device.receive(PortId(2), &first(second, Command::Msg as u8, 60, 0), CHANNEL_IDLE_MS);
    open(&mut device, PortId(2), [3; 8], CHANNEL_IDLE_MS);
    assert_eq!(device.handler.closed, [cids[5].0, newcomer.0, cids[9].0]);
}

#[test]
fn who_floods_a_table_takes_its_own_unused_channels_first() {
    let mut device = device();
    let theirs = open(&mut device, PORT, [1; 8], 0);
    for i in 0..200 {
        assert_ne!(open(&mut device, PortId(2), [i; 8], 0), Cid::NONE);
    }
    send(&mut device, PORT, theirs, b"ab", 0);
    assert_eq!(said(&mut device), [Said::Answer(theirs, b"ba".to_vec())]);
}
