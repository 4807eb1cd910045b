//! The USB driver and the link above it against this device, over a bus without a cable.
//!
//! As with raw HID devices, every reader sees every report, keeps 64 of them, and loses the newest
//! when it has no room. Time is the bus's own: one report each way per millisecond.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use container::dongle::hid::{HidPipe, RawHid};
use container::dongle::ticks::Ticks;
use container::dongle::{DongleLink, LinkError, LinkTimes, PipeError, ReportPipe};
use hidapi::HidError;
use protocol::frame::{FrameError, REPORT_LEN};

use super::tests::Echo;
use super::*;

const PORT: PortId = PortId(1);
const READER_MAX: usize = 64;

struct Wires {
    device: ReportDevice<Echo>,
    now_ms: u64,
    readers: Vec<VecDeque<Report>>,
    sent: usize,
    said: usize,
    /// Index, among the device's reports, of one that is lost on the way.
    lose: Option<usize>,
    unplugged: bool,
}

#[derive(Clone)]
struct Bus(Rc<RefCell<Wires>>);

/// One program's open device file.
struct Reader {
    bus: Bus,
    index: usize,
}

impl Bus {
    fn new() -> Self {
        Self(Rc::new(RefCell::new(Wires {
            device: ReportDevice::new(Echo::default(), 1),
            now_ms: 0,
            readers: Vec::new(),
            sent: 0,
            said: 0,
            lose: None,
            unplugged: false,
        })))
    }

    fn open(&self) -> HidPipe<Reader> {
        let readers = &mut self.0.borrow_mut().readers;
        readers.push(VecDeque::new());
        HidPipe::over(Reader { bus: self.clone(), index: readers.len() - 1 })
    }

    fn link(&self, nonce: u8) -> DongleLink<HidPipe<Reader>, Bus> {
        let times = LinkTimes::default();
        DongleLink::open_with(self.open(), self.clone(), [nonce; 8], times).unwrap()
    }

    /// Reports sent to the device and said by it since the last call.
    fn counts(&self) -> (usize, usize) {
        let mut wires = self.0.borrow_mut();
        let counts = (wires.sent, wires.said);
        (wires.sent, wires.said) = (0, 0);
        counts
    }
}

impl Ticks for Bus {
    fn now_ms(&self) -> u64 {
        self.0.borrow().now_ms
    }
}

impl Wires {
    /// One millisecond: what is due, and one report from the device to all readers.
    fn pass(&mut self) {
        self.now_ms += 1;
        self.device.tick(self.now_ms);
        let Some((_, report)) = self.device.next_report() else { return };
        self.said += 1;
        if self.lose == Some(self.said - 1) {
            return;
        }
        for reader in self.readers.iter_mut().filter(|reader| reader.len() < READER_MAX) {
            reader.push_back(report);
        }
    }
}

impl RawHid for Reader {
    fn write(&self, numbered: &[u8]) -> Result<usize, HidError> {
        let wires = &mut *self.bus.0.borrow_mut();
        let [0, report @ ..] = numbered else { panic!("not report number 0") };
        let now_ms = wires.now_ms;
        wires.device.receive(PORT, report.try_into().unwrap(), now_ms);
        wires.sent += 1;
        wires.pass();
        Ok(numbered.len())
    }

    fn read_timeout(&self, buffer: &mut [u8], timeout_ms: i32) -> Result<usize, HidError> {
        let wires = &mut *self.bus.0.borrow_mut();
        for left_ms in (0..=timeout_ms).rev() {
            if wires.unplugged {
                return Err(HidError::HidApiError { message: "poll error".into() });
            }
            if let Some(report) = wires.readers[self.index].pop_front() {
                buffer[..REPORT_LEN].copy_from_slice(&report);
                return Ok(REPORT_LEN);
            }
            if left_ms > 0 {
                wires.pass();
            }
        }
        Ok(0)
    }
}

#[test]
fn every_exchange_takes_the_least_reports_each_way() {
    let bus = Bus::new();
    let mut link = bus.link(1);
    assert_eq!(bus.counts(), (1, 1));
    for (len, reports) in [(0, 1), (57, 1), (58, 2), (116, 2), (117, 3), (4096, 70)] {
        let request = vec![len as u8; len];
        assert_eq!(link.exchange(&request).unwrap(), request);
        assert_eq!(bus.counts(), (reports, reports));
    }
    drop(link);
    assert_eq!(bus.counts(), (1, 0));
    assert_eq!(bus.0.borrow().device.handler().closed, [1]);
}

#[test]
fn programs_that_share_a_dongle_hear_their_own_answers() {
    let bus = Bus::new();
    let mut links: Vec<_> = (0..5).map(|n| bus.link(n)).collect();
    for round in 0..20_u8 {
        for (n, link) in links.iter_mut().enumerate() {
            let request = vec![round ^ (n as u8) << 5; usize::from(round) * 20];
            assert_eq!(link.exchange(&request).unwrap(), request);
        }
    }
}

#[test]
fn a_program_that_slept_among_busy_neighbors_still_hears_its_answer() {
    let bus = Bus::new();
    let mut sleeper = bus.link(1);
    let mut neighbor = bus.link(2);
    for _ in 0..READER_MAX + 1 {
        neighbor.exchange(b"heartbeat").unwrap();
    }
    assert_eq!(bus.0.borrow().readers[0].len(), READER_MAX);
    assert_eq!(sleeper.exchange(b"ab").unwrap(), b"ba");
}

#[test]
fn signs_of_life_keep_a_client_waiting_but_not_for_ever() {
    let bus = Bus::new();
    let mut link = bus.link(1);
    bus.0.borrow_mut().device.set_work_ms(25_000);
    assert_eq!(link.exchange(b"ab").unwrap(), b"ba");
    bus.0.borrow_mut().device.set_work_ms(35_000);
    let begun_ms = bus.now_ms();
    assert!(matches!(link.exchange(b"ab"), Err(LinkError::NoAnswer)));
    assert_eq!(bus.now_ms() - begun_ms, LinkTimes::default().total_ms);
}

#[test]
fn a_busy_dongle_is_asked_again_until_it_is_free() {
    let bus = Bus::new();
    let mut link = bus.link(1);
    let mut rude = bus.open();
    let rude_cid = {
        let other = bus.link(2);
        let cid = other.cid();
        std::mem::forget(other);
        cid
    };
    let half = split(rude_cid, Command::Msg, &[1; 300]).unwrap().next().unwrap();
    rude.send(&half).unwrap();
    let begun_ms = bus.now_ms();
    assert_eq!(link.exchange(b"ab").unwrap(), b"ba");
    let took_ms = bus.now_ms() - begun_ms;
    assert!((500..650).contains(&took_ms), "{took_ms} ms");
    assert_eq!(bus.0.borrow().device.handler().requests.len(), 1);
}

#[test]
fn sec_p15_a_lost_report_ends_the_link_and_the_next_one_works() {
    for (lose, of) in [(0, 1), (0, 3), (1, 3), (2, 3)] {
        let bus = Bus::new();
        let mut link = bus.link(1);
        bus.counts();
        bus.0.borrow_mut().lose = Some(lose);
        let request = vec![7; if of == 1 { 10 } else { 150 }];
        let begun_ms = bus.now_ms();
        match (link.exchange(&request).unwrap_err(), lose) {
            (LinkError::NoAnswer, 0) => assert_eq!(bus.now_ms() - begun_ms, 2_000),
            (LinkError::Garbled(FrameError::OutOfSequence { .. }), 1) => {}
            (LinkError::Garbled(FrameError::Timeout), 2) => {}
            (error, _) => panic!("{error:?} after report {lose} of {of} was lost"),
        }
        assert!(matches!(link.exchange(&request), Err(LinkError::Dead)));
        bus.0.borrow_mut().lose = None;
        assert_eq!(bus.link(2).exchange(&request).unwrap(), request);
    }
}

#[test]
fn a_dongle_pulled_out_is_gone() {
    let bus = Bus::new();
    let mut link = bus.link(1);
    bus.0.borrow_mut().unplugged = true;
    assert!(matches!(link.exchange(b"ab"), Err(LinkError::Pipe(PipeError::Gone))));
    assert!(link.is_dead());
}
