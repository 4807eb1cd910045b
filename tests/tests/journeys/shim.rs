//! What stands in place of the dongle and says yes to everything.
//!
//! A certificate of the test root is no secret, so it gets one. It cannot have the item key.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use engine::platform::Keys;
use firmware_sim::device::SimRandom;
use firmware_sim::keys::SimKeys;
use firmware_sim::server::Server;
use firmware_sim::server::control::{Control, PlugControl};
use firmware_sim::usb::{DeviceSide, MessageHandler, PortId, ReportDevice};
use protocol::codec::{self, Bytes, Fixed, Text};
use protocol::command::{
    Command, ContainerHello, ContainerInfo, PartKey, Reply, SeatCommand, SeatGrant, SeatReply,
};
use protocol::crypto::Random;
use protocol::crypto::channel::{Pattern, Responder, Transport};
use protocol::frame::Report;
use protocol::ids::{SeatHandle, SeatToken};
use protocol::limits::{COMMAND_LEN_MAX, MESSAGE_LEN_MAX};
use protocol::objects::device::{AnchorClass, ClockClass};
use protocol::objects::statement::TimeInfo;

/// Grants every seat and gives a key for every part.
struct YesSayer {
    keys: Arc<SimKeys>,
    random: SimRandom,
    sessions: HashMap<u32, Transport>,
    keys_given: Arc<AtomicUsize>,
}

impl MessageHandler for YesSayer {
    fn message(&mut self, cid: u32, request: &[u8], response: &mut Vec<u8>) {
        let mut request = request.to_vec();
        response.resize(MESSAGE_LEN_MAX, 0);
        let len = match self.sessions.remove(&cid) {
            Some(session) => self.command(cid, session, &mut request, response),
            None => self.greet(cid, &mut request, response),
        };
        response.truncate(len);
    }

    fn closed(&mut self, cid: u32) {
        self.sessions.remove(&cid);
    }
}

impl YesSayer {
    fn greet(&mut self, cid: u32, request: &mut [u8], response: &mut [u8]) -> usize {
        let accepted = Responder::accept(self.keys.channel_key(), request);
        let (responder, _) = accepted.expect("the attacked program begins a handshake");
        let certificate = match responder.pattern() {
            Pattern::Nx => self.keys.certificate(),
            _ => &[],
        };
        let certificate = Bytes::new(certificate).expect("a short certificate");
        let hello = ContainerHello { boot: Fixed([1; 16]), firmware: 1, certificate };
        let replied = responder.reply(&mut self.random, &codec::encode(&hello), response);
        let (session, len) = replied.expect("room");
        self.sessions.insert(cid, session);
        len
    }

    fn command(
        &mut self,
        cid: u32,
        mut session: Transport,
        request: &mut [u8],
        response: &mut [u8],
    ) -> usize {
        let len = session.open(request).expect("the attacked program speaks the protocol");
        let command = codec::decode(&request[..len], COMMAND_LEN_MAX).expect("a command");
        let reply = self.yes(&command);
        let len = codec::encode_into(&reply, response).expect("room").len();
        let len = session.seal(response, len).expect("room");
        self.sessions.insert(cid, session);
        len
    }

    fn yes(&mut self, command: &Command) -> Reply {
        let seat = match command {
            Command::Seat(seat) => seat,
            Command::Info => return Reply::Info(self.info()),
            _ => return Reply::Done,
        };
        Reply::Seat(match seat {
            SeatCommand::Open { .. } | SeatCommand::Join { .. } => SeatReply::Opened(SeatGrant {
                handle: SeatHandle(1),
                token: SeatToken::new([7; 16]),
                interval_s: 1,
                timeout_s: 3,
                ends_s: 0,
                now_s: 2_000_000_000,
            }),
            SeatCommand::Heartbeat { n, .. } => SeatReply::Kept { n: *n },
            SeatCommand::KeyRelease { .. } => {
                self.keys_given.fetch_add(1, Ordering::Relaxed);
                let mut key = [0; 32];
                self.random.fill(&mut key).expect("a seeded stream");
                SeatReply::Key(PartKey(Fixed(key)))
            }
            SeatCommand::Introduce(_) => SeatReply::Introduced,
            _ => SeatReply::Closed,
        })
    }

    fn info(&self) -> ContainerInfo {
        let now_s = 2_000_000_000;
        let time = TimeInfo { floor_s: now_s, now_s, class: ClockClass::Rtc, certified_s: now_s };
        ContainerInfo {
            id: self.keys.id(),
            name: Text::new("").expect("short"),
            clock: ClockClass::Rtc,
            anchor: AnchorClass::Hardware,
            firmware: 1,
            time,
            firms: 1,
            seats: 0,
            locked: 0,
            pin_tries: None,
            vendor_keys: 0,
        }
    }
}

/// The yes-sayer behind the report layer of a real dongle.
struct Device(ReportDevice<YesSayer>);

impl DeviceSide for Device {
    fn receive(&mut self, port: PortId, report: &Report, now_ms: u64) {
        self.0.receive(port, report, now_ms);
    }

    fn tick(&mut self, now_ms: u64) {
        self.0.tick(now_ms);
    }

    fn wake_ms(&self) -> Option<u64> {
        self.0.wake_ms()
    }

    fn next_report(&mut self) -> Option<(PortId, Report)> {
        self.0.next_report()
    }

    fn detach(&mut self, port: PortId) {
        self.0.detach(port);
    }

    fn power_lost(&mut self) {
        self.0.power_lost();
    }
}

/// A yes-sayer that runs at a socket until it is dropped.
pub(crate) struct Shim {
    control: Control<Device>,
    server: Option<JoinHandle<()>>,
    keys_given: Arc<AtomicUsize>,
}

impl Shim {
    /// Plugs it in.
    pub(crate) fn start(socket: &Path) -> Self {
        let mut random = SimRandom::new(Some(1));
        let keys =
            Arc::new(SimKeys::generate(ClockClass::Rtc, &mut random).expect("a seeded stream"));
        let keys_given = Arc::new(AtomicUsize::new(0));
        let sessions = HashMap::new();
        let handler = YesSayer { keys, random, sessions, keys_given: keys_given.clone() };
        let device = Device(ReportDevice::new(handler, 1));
        let (server, control) = Server::bind(socket, device).expect("a free socket");
        let server = thread::spawn(move || drop(server.run()));
        Shim { control, server: Some(server), keys_given }
    }

    /// How many keys it has given.
    pub(crate) fn keys_given(&self) -> usize {
        self.keys_given.load(Ordering::Relaxed)
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        // One that has ended by itself is no loss.
        let _ = self.control.stop();
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}
