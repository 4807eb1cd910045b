//! A seat in a container, held from inside the program: its own channel, its own session, no heap.
//!
//! Whoever needs a seat, at first, after a lost answer or in a forked child, does the same:
//! connect, open a session with the container's known key, join the seat by its secret.

use core::mem;

use linux_raw_sys::general as nr;
use protocol::codec;
use protocol::command::{SeatCommand, SeatGrant, SeatReply, ShortCommand, ShortReply};
use protocol::crypto::channel::{Initiator, Transport};
use protocol::crypto::ecdh::PublicKey;
use protocol::crypto::{Random, RandomFailed};
use protocol::errors::{ErrorCode, Failure, write_utc};
use protocol::frame::{
    Cid, Command, Heard, Listener, NONCE_LEN, Report, allocation_request, hear_allocation, split,
};
use protocol::ids::{ArtifactId, OpId, SeatToken};
use protocol::objects::license::{Client, Requirement};

use super::text::Text;
use super::{Refusal, Renew, Renewal, Timing, sys};

/// Bytes of the largest message here: the second of a handshake, with room for what may be added to
/// it.
const MESSAGE_LEN: usize = 1024;

/// First pause after the dongle said that it is busy with others, in milliseconds; it doubles each
/// time.
const BUSY_PAUSE_MS: u64 = 4;

/// Longest such pause, in milliseconds.
const BUSY_PAUSE_MAX_MS: u64 = 64;

/// Bytes of a command or its answer with the tag; two reports.
const SEAT_MESSAGE_LEN: usize = 128;

/// Where a container is.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// A Unix stream socket that carries reports.
    ReportSocket(Text<108>),
    /// A raw HID device.
    HidRaw(Text<108>),
    /// A Unix socket that carries messages, each as one packet.
    MessageSocket(Text<108>),
}

/// What is needed to hold the seat from anywhere in this program and its children.
#[derive(Clone, Copy)]
pub struct Ticket {
    /// Where the container is.
    pub place: Place,
    /// Its static key.
    pub channel_key: PublicKey,
    /// The seat's secret.
    pub token: SeatToken,
    /// What the seat was opened with, in case that the container forgot it.
    pub requirement: Requirement,
    /// For which artifact.
    pub artifact: ArtifactId,
    /// By whom.
    pub client: Client,
}

/// A seat, joined.
pub struct ContainerSeat {
    wire: Wire,
    ticket: Ticket,
    /// None after a lost answer, until the seat is joined anew.
    session: Option<Session>,
}

struct Session {
    cid: Cid,
    transport: Transport,
    grant: SeatGrant,
    beats: u64,
}

/// Why there is no answer that helps.
enum Trouble {
    /// The container said no.
    Refused(Failure),
    /// Nothing, or nothing that makes sense.
    Silence,
}

type Attempt<T> = Result<T, Trouble>;

impl ContainerSeat {
    /// Connects and joins.
    ///
    /// # Errors
    /// The container's refusal, or that it does not answer.
    pub fn join(ticket: &Ticket, budget_ms: u32) -> Result<Self, Refusal> {
        let until_ms = now_ms().saturating_add(u64::from(budget_ms));
        let wire = Wire::open(&ticket.place).map_err(|errno| silent().errno(errno))?;
        let mut seat = Self { wire, ticket: *ticket, session: None };
        match seat.establish(until_ms) {
            Ok(()) => Ok(seat),
            Err(Trouble::Refused(failure)) => Err(refusal_of(&failure)),
            Err(Trouble::Silence) => Err(silent()),
        }
    }

    /// A new session, and the seat in it.
    fn establish(&mut self, until_ms: u64) -> Attempt<()> {
        self.session = None;
        let cid = self.wire.allocate(until_ms)?;
        let mut transport = self.handshake(cid, until_ms)?;
        let join = SeatCommand::Join { op: draw_op()?, token: self.ticket.token };
        let joined = self.wire.call(cid, &mut transport, join, until_ms);
        let answer = match joined {
            // The container was without power meanwhile and has forgotten the seat: the use is
            // asked for anew.
            Err(Trouble::Refused(failure)) if failure.known() == Some(ErrorCode::SeatUnknown) => {
                let Ticket { requirement, artifact, client, .. } = self.ticket;
                let who = SeatCommand::Introduce(client);
                self.wire.call(cid, &mut transport, who, until_ms)?;
                let clock = SeatCommand::HostTime(sys::clock_ms(nr::CLOCK_REALTIME) / 1000);
                self.wire.call(cid, &mut transport, clock, until_ms)?;
                // Under the seat's own secret as its number, so that parent and children ask for
                // the same one, however often, and the container sees that the use goes on.
                let op = OpId::new(*self.ticket.token.bytes());
                let open = SeatCommand::Open { op, requirement, artifact };
                self.wire.call(cid, &mut transport, open, until_ms)?
            }
            other => other?,
        };
        let SeatReply::Opened(grant) = answer else { return Err(Trouble::Silence) };
        self.ticket.token = grant.token;
        self.session = Some(Session { cid, transport, grant, beats: 0 });
        Ok(())
    }

    fn handshake(&mut self, cid: Cid, until_ms: u64) -> Attempt<Transport> {
        let mut message = [0; MESSAGE_LEN];
        let key = &self.ticket.channel_key;
        let started = Initiator::start_nk(key, &mut KernelRandom, &[], &mut message);
        let (initiator, len) = started.map_err(|_| Trouble::Silence)?;
        let mut answer = [0; MESSAGE_LEN];
        let request = message.get(..len).ok_or(Trouble::Silence)?;
        let len = self.wire.exchange(cid, request, &mut answer, until_ms)?;
        let answer = answer.get_mut(..len).ok_or(Trouble::Silence)?;
        let established = initiator.finish(answer).map_err(|_| Trouble::Silence)?;
        Ok(established.transport)
    }

    /// A sign of life.
    fn beat(&mut self, until_ms: u64) -> Attempt<()> {
        let Some(session) = &mut self.session else { return Err(Trouble::Silence) };
        session.beats = session.beats.saturating_add(1);
        let n = session.beats;
        let beat = SeatCommand::Heartbeat { handle: session.grant.handle, n };
        match self.wire.call(session.cid, &mut session.transport, beat, until_ms)? {
            SeatReply::Kept { n: answered } if answered == n => Ok(()),
            _ => Err(Trouble::Silence),
        }
    }

    /// Joins again: over a new connection, or over the one there is where none can be opened. The
    /// watcher of a program that runs as root has no rights left, and the container may be root's.
    /// What was there before lives until then, so that nobody else gets the seat meanwhile.
    fn rejoin(&mut self, until_ms: u64) -> Attempt<()> {
        let before = self.session.take().map(|session| session.cid);
        let wire = Wire::open(&self.ticket.place).ok();
        let replaced = wire.map(|wire| mem::replace(&mut self.wire, wire));
        let joined = self.establish(until_ms);
        if let (None, Some(cid)) = (&replaced, before) {
            self.wire.close_channel(cid);
        }
        joined
    }
}

impl Renew for ContainerSeat {
    type Ticket = Ticket;

    fn descriptor(&self) -> i32 {
        self.wire.fd
    }

    fn opened(&self) -> Timing {
        match &self.session {
            Some(session) => timing(&session.grant),
            None => Timing { next_in_ms: 0, lost_after_ms: 0 },
        }
    }

    fn renew(&mut self, budget_ms: u32) -> Renewal {
        let until_ms = now_ms().saturating_add(u64::from(budget_ms));
        let held = self.session.is_some();
        let attempt = match self.beat(until_ms) {
            // The seat ran out, or the container has no such session any more: one attempt to have
            // it back.
            Err(Trouble::Refused(failure)) if !is_forgotten(&failure) => {
                Err(Trouble::Refused(failure))
            }
            Err(_) if held && now_ms() >= until_ms => {
                self.session = None;
                Err(Trouble::Silence)
            }
            Err(_) => self.rejoin(until_ms),
            Ok(()) => Ok(()),
        };
        match attempt {
            Ok(()) => Renewal::Kept(self.opened()),
            Err(Trouble::Refused(failure)) => Renewal::Lost(refusal_of(&failure)),
            Err(Trouble::Silence) => Renewal::NoAnswer,
        }
    }

    fn open_child(ticket: &Ticket, budget_ms: u32) -> Result<Self, Refusal> {
        Self::join(ticket, budget_ms)
    }
}

fn is_forgotten(failure: &Failure) -> bool {
    matches!(failure.known(), Some(ErrorCode::SeatUnknown | ErrorCode::ChannelDead))
}

fn timing(grant: &SeatGrant) -> Timing {
    Timing {
        next_in_ms: u32::from(grant.interval_s).saturating_mul(1000),
        lost_after_ms: u32::from(grant.timeout_s).saturating_mul(1000),
    }
}

/// A connection. Closed on drop.
struct Wire {
    fd: i32,
    carries: Carries,
}

/// What goes over a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carries {
    /// Reports.
    Reports,
    /// Reports, each with its number in front, zero: as a raw HID device wants them.
    NumberedReports,
    /// Messages, each as one packet; the connection is the channel.
    Messages,
}

impl Drop for Wire {
    fn drop(&mut self) {
        sys::close(self.fd);
    }
}

impl Wire {
    fn open(place: &Place) -> sys::Result<Self> {
        match place {
            Place::ReportSocket(path) => {
                let fd = sys::connect(path.as_bytes(), sys::SocketKind::Stream)?;
                Ok(Self { fd, carries: Carries::Reports })
            }
            Place::HidRaw(path) => {
                let fd = sys::open_device(path.as_bytes())?;
                Ok(Self { fd, carries: Carries::NumberedReports })
            }
            Place::MessageSocket(path) => {
                let fd = sys::connect(path.as_bytes(), sys::SocketKind::Packets)?;
                Ok(Self { fd, carries: Carries::Messages })
            }
        }
    }

    /// A channel of one's own.
    fn allocate(&self, until_ms: u64) -> Attempt<Cid> {
        if self.carries == Carries::Messages {
            return Ok(Cid::NONE);
        }
        let mut nonce = [0; NONCE_LEN];
        sys::random(&mut nonce).map_err(|_| Trouble::Silence)?;
        self.send(&allocation_request(&nonce))?;
        loop {
            let report = self.receive(until_ms)?;
            if let Some(allocation) = hear_allocation(&report, &nonce) {
                return match allocation.cid {
                    Cid::NONE => Err(Trouble::Refused(ErrorCode::TooManySessions.failure())),
                    cid => Ok(cid),
                };
            }
        }
    }

    /// A request and its answer; gives the answer's length.
    fn exchange(
        &self,
        cid: Cid,
        request: &[u8],
        answer: &mut [u8],
        until_ms: u64,
    ) -> Attempt<usize> {
        if self.carries == Carries::Messages {
            return self.exchange_packet(request, answer, until_ms);
        }
        let mut pause_ms = BUSY_PAUSE_MS;
        loop {
            for report in split(cid, Command::Msg, request).map_err(|_| Trouble::Silence)? {
                self.send(&report)?;
            }
            if let Some(len) = self.listen(cid, answer, until_ms)? {
                return Ok(len);
            }
            // Neighbors that were refused together shall not come back together.
            let pause_until_ms = now_ms().saturating_add(pause_ms + u64::from(cid.0 % 4));
            if pause_until_ms >= until_ms {
                return Err(Trouble::Silence);
            }
            self.pause(pause_until_ms)?;
            pause_ms = (pause_ms * 2).min(BUSY_PAUSE_MAX_MS);
        }
    }

    /// A request and its answer, each as one packet.
    fn exchange_packet(&self, request: &[u8], answer: &mut [u8], until_ms: u64) -> Attempt<usize> {
        self.write_whole(request)?;
        self.wait(until_ms)?;
        match sys::read(self.fd, answer) {
            Ok(len) if len > 0 => Ok(len),
            _ => Err(Trouble::Silence),
        }
    }

    /// Waits for the answer to the request just sent; none if others kept the dongle busy, which
    /// then has not seen it.
    fn listen(&self, cid: Cid, answer: &mut [u8], until_ms: u64) -> Attempt<Option<usize>> {
        let mut listener = Listener::new(cid, [0u8; MESSAGE_LEN]);
        loop {
            let report = self.receive(until_ms)?;
            match listener.hear(&report, now_ms()) {
                Heard::Nothing | Heard::Working => {}
                Heard::Busy => return Ok(None),
                Heard::Answer(bytes) => {
                    let room = answer.get_mut(..bytes.len()).ok_or(Trouble::Silence)?;
                    room.copy_from_slice(bytes);
                    return Ok(Some(bytes.len()));
                }
                Heard::Refused(_) | Heard::Lost(_) => return Err(Trouble::Silence),
            }
        }
    }

    /// Lets time pass, reading on so that nothing piles up.
    fn pause(&self, until_ms: u64) -> Attempt<()> {
        loop {
            match self.receive(until_ms) {
                Ok(_) => {}
                Err(_) if now_ms() >= until_ms => return Ok(()),
                Err(trouble) => return Err(trouble),
            }
        }
    }

    /// A command and its reply, inside the session.
    fn call(
        &self,
        cid: Cid,
        transport: &mut Transport,
        command: SeatCommand,
        until_ms: u64,
    ) -> Attempt<SeatReply> {
        let mut message = [0; SEAT_MESSAGE_LEN];
        let encoded = codec::encode_into(&ShortCommand::Seat(command), &mut message);
        let len = encoded.map(<[u8]>::len).ok_or(Trouble::Silence)?;
        let len = transport.seal(&mut message, len).map_err(|_| Trouble::Silence)?;
        let mut answer = [0; SEAT_MESSAGE_LEN];
        let request = message.get(..len).ok_or(Trouble::Silence)?;
        let len = self.exchange(cid, request, &mut answer, until_ms)?;
        let answer = answer.get_mut(..len).ok_or(Trouble::Silence)?;
        let len = transport.open(answer).map_err(|_| Trouble::Silence)?;
        let reply = answer.get(..len).ok_or(Trouble::Silence)?;
        match codec::decode(reply, SEAT_MESSAGE_LEN) {
            Ok(ShortReply::Seat(reply)) => Ok(reply),
            Ok(ShortReply::Failed(failure)) => Err(Trouble::Refused(failure)),
            Err(_) => Err(Trouble::Silence),
        }
    }

    /// Ends a channel; where that is lost, the dongle reclaims it by itself.
    fn close_channel(&self, cid: Cid) {
        if self.carries == Carries::Messages {
            return;
        }
        for report in split(cid, Command::Close, &[]).into_iter().flatten() {
            let _ = self.send(&report);
        }
    }

    fn send(&self, report: &Report) -> Attempt<()> {
        let mut numbered = [0; 65];
        let bytes: &[u8] = if self.carries == Carries::NumberedReports {
            numbered[1..].copy_from_slice(report);
            &numbered
        } else {
            report
        };
        self.write_whole(bytes)
    }

    fn write_whole(&self, bytes: &[u8]) -> Attempt<()> {
        match sys::write(self.fd, bytes) {
            Ok(written) if written == bytes.len() => Ok(()),
            _ => Err(Trouble::Silence),
        }
    }

    /// Waits until something can be read.
    fn wait(&self, until_ms: u64) -> Attempt<()> {
        let left_ms = until_ms.saturating_sub(now_ms());
        let left_ms = u32::try_from(left_ms).unwrap_or(u32::MAX);
        match left_ms > 0 && sys::poll(self.fd, nr::POLLIN, left_ms) == Ok(true) {
            true => Ok(()),
            false => Err(Trouble::Silence),
        }
    }

    fn receive(&self, until_ms: u64) -> Attempt<Report> {
        let mut report = [0; 64];
        let mut have = 0;
        while have < report.len() {
            self.wait(until_ms)?;
            let room = report.get_mut(have..).ok_or(Trouble::Silence)?;
            match sys::read(self.fd, room) {
                Ok(0) | Err(_) => return Err(Trouble::Silence),
                Ok(more) => have = have.saturating_add(more),
            }
        }
        Ok(report)
    }
}

/// The kernel's randomness.
struct KernelRandom;

impl Random for KernelRandom {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        sys::random(out).map_err(|_| RandomFailed)
    }
}

fn draw_op() -> Attempt<OpId> {
    let mut bytes = [0; 16];
    sys::random(&mut bytes).map_err(|_| Trouble::Silence)?;
    Ok(OpId::new(bytes))
}

fn now_ms() -> u64 {
    sys::clock_ms(nr::CLOCK_BOOTTIME)
}

/// A failure from the error table in the loader's words.
pub fn refusal_of(failure: &Failure) -> Refusal {
    let mut refusal = Refusal { code: failure.code, title: Text::EMPTY, hint: Text::EMPTY };
    // What does not fit is cut off.
    let _ = failure.write_title(&mut refusal.title, &write_utc);
    let _ = failure.write_hint(&mut refusal.hint, &write_utc);
    refusal
}

fn silent() -> Refusal {
    refusal_of(&ErrorCode::DeviceSilent.failure())
}
