//! The engine: sessions outside, commands inside, and the one place where state is committed.
//!
//! A step reads records and says what to write; [`Engine::commit`] makes it durable, and only then
//! is the answer let out.

use alloc::vec::Vec;

use protocol::command::{Command, ContainerInfo, Reply};
use protocol::crypto::{Random, wipe_stack};
use protocol::errors::{ErrorCode, Failure};
use protocol::limits::{FIRMS_MAX, SEAT_ENTRIES_MAX, SESSIONS_MAX, SESSIONS_OF_PROCESS_MAX};
use protocol::objects::device::{AnchorClass, ClockClass, Device};
use protocol::objects::root::Root;
use zeroize::Zeroizing;

use crate::health::check_random;
use crate::platform::{Clock, Counter, Keys, Platform, RecordKey, Store, StoreError};
use crate::power::PowerSession;
use crate::records::{self, Meta};
use crate::seats::{SeatTimes, Seats};
use crate::session::{Clients, Sessions};
use crate::time::Timekeeper;
use crate::trust::Pending;
use crate::update::Staging;

/// What a home says about itself.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// Clock class.
    pub clock: ClockClass,
    /// Anchor class.
    pub anchor: AnchorClass,
    /// Firmware, major << 16 | minor << 8 | patch.
    pub firmware: u32,
    /// Heartbeats.
    pub seats: SeatTimes,
    /// How much it serves, and how often it may write.
    pub pace: Pace,
}

/// How much a home serves at once, and how often it makes something durable that nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Little RAM, and flash that is quickly written: a dongle.
    Device,
    /// A process with much RAM, whose every commit is dear and wears a chip out that lasts as long
    /// as the machine. It says when it ends ([`Engine::leave`]).
    Process,
}

impl Pace {
    /// Sessions at once.
    pub(crate) fn sessions_max(self) -> usize {
        match self {
            Pace::Device => SESSIONS_MAX,
            Pace::Process => SESSIONS_OF_PROCESS_MAX,
        }
    }

    /// Entries of seats at once.
    pub(crate) fn seat_entries_max(self) -> usize {
        match self {
            Pace::Device => SEAT_ENTRIES_MAX,
            Pace::Process => SESSIONS_OF_PROCESS_MAX,
        }
    }

    /// Seconds of running time that a power cut may forget.
    pub(crate) fn ran_step_s(self) -> u64 {
        match self {
            Pace::Device => 60,
            Pace::Process => 600,
        }
    }
}

/// Why a container is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Locked {
    /// It is not.
    No = 0,
    /// Its state is older than its counter: somebody put an old state back.
    RolledBack = 1,
    /// Its owner retired it for good.
    Decommissioned = 2,
}

/// A license container on a platform.
pub struct Engine<P: Platform> {
    pub(crate) platform: P,
    pub(crate) profile: Profile,
    pub(crate) time: Timekeeper,
    pub(crate) seats: Seats,
    pub(crate) staging: Option<Staging>,
    pub(crate) pending: Option<Pending>,
    pub(crate) locked: Locked,
    pub(crate) clients: Clients,
    pub(crate) power: PowerSession,
    /// Wrong access codes in this power session, for each firm.
    pub(crate) wrong_codes: [u8; FIRMS_MAX as usize],
    pub(crate) boot: [u8; 16],
    /// What the home was not told yet.
    pub(crate) identify_s: Option<u8>,
    sessions: Sessions,
}

/// Record writes of a step: `None` deletes.
pub(crate) type Writes = Vec<(RecordKey, Option<Vec<u8>>)>;

impl<P: Platform> Engine<P> {
    /// Powers a container up: completes or forgets what a power cut interrupted, and compares state
    /// and counter.
    ///
    /// # Errors
    /// [`StoreError`] where the medium cannot be read; [`StoreError::Medium`] also where randomness
    /// fails.
    pub fn start(mut platform: P, profile: Profile) -> Result<Self, StoreError> {
        let mut boot = [0; 16];
        let parts = platform.parts();
        check_random(parts.random)
            .and_then(|()| parts.random.fill(&mut boot))
            .map_err(|_| StoreError::Medium)?;
        let meta: Meta = records::read(parts.store, records::META)?.unwrap_or_default();
        let anchor = parts.counter.value()?;
        // The counter is raised after the commit that it counts, so state may be one ahead of it,
        // never behind.
        let locked = match meta.commit_ctr.checked_sub(anchor) {
            Some(0) => Locked::No,
            Some(1) => {
                parts.counter.advance_to(meta.commit_ctr)?;
                Locked::No
            }
            _ => Locked::RolledBack,
        };
        let is_retired = records::has(parts.store, records::RETIRED)?;
        let locked = match locked {
            Locked::No if is_retired => Locked::Decommissioned,
            other => other,
        };
        let ran_s = records::read(parts.store, records::RAN)?.unwrap_or_default();
        let power = records::read(parts.store, records::POWER)?.unwrap_or_default();
        let time = Timekeeper::new(profile, ran_s, parts.clock);
        let mut engine = Engine {
            platform,
            profile,
            time,
            seats: Seats::new(profile),
            staging: None,
            pending: None,
            locked,
            clients: Clients::default(),
            power: PowerSession::after(power),
            wrong_codes: [0; FIRMS_MAX as usize],
            boot,
            identify_s: None,
            sessions: Sessions::new(profile.pace.sessions_max()),
        };
        if engine.locked == Locked::Decommissioned {
            // What cannot be erased now is erased at the next start; nobody reaches it meanwhile.
            let _ = engine.erase();
        }
        if engine.locked == Locked::No {
            engine.begin_run().map_err(|_| StoreError::Medium)?;
        }
        Ok(engine)
    }

    /// Answers one message on a channel. Every answer is final: what it says is durable.
    pub fn message(&mut self, channel: u32, request: &[u8], response: &mut Vec<u8>) {
        response.clear();
        self.purge();
        match self.sessions.take(channel) {
            Some(session) => self.converse(channel, session, request, response),
            None => self.greet(channel, request, response),
        }
    }

    /// A channel was given back or its plug was pulled: its session, its seats and its update end.
    pub fn closed(&mut self, channel: u32) {
        self.sessions.take(channel);
        self.end_session(channel);
    }

    /// An update left behind would keep everybody else from updating until it is stale.
    fn end_session(&mut self, channel: u32) {
        let now_ms = self.platform.parts().clock.ticks_ms();
        self.seats.close_session(channel, now_ms);
        self.clients.forget(channel);
        if self.staging.as_ref().map(Staging::channel) == Some(channel) {
            self.staging = None;
        }
        self.pending.take_if(|pending| pending.channel() == channel);
    }

    /// Seconds for which the container was asked to show itself since this was asked last; 0 ends
    /// it. Asked by the home behind each message: how it shows itself is its own affair.
    pub fn take_identify(&mut self) -> Option<u8> {
        self.identify_s.take()
    }

    /// Carries out a command as if `channel` had sent it: for tests that need many thousands of
    /// commands and no handshakes.
    #[cfg(any(test, feature = "testing"))]
    pub fn carry_out(&mut self, channel: u32, command: Command) -> Reply {
        self.purge();
        self.execute(channel, &[0; 32], command)
    }

    /// The platform, for the home that owns it.
    pub fn platform(&mut self) -> &mut P {
        &mut self.platform
    }

    /// Whether `maker` certified this container: a check for the home that puts it together.
    pub fn is_certified_by(&mut self, maker: &Root) -> bool {
        let keys = self.platform.parts().keys;
        let object = protocol::signed::UnverifiedObject::read(
            keys.certificate(),
            protocol::limits::DEVICE_BODY_LEN_MAX,
        );
        object.is_ok_and(|(object, _)| Device::verify(&object, maker).is_ok())
    }

    fn greet(&mut self, channel: u32, request: &[u8], response: &mut Vec<u8>) {
        let parts = self.platform.parts();
        if check_random(parts.random).is_err() {
            return crate::session::refuse(ErrorCode::RandomFailed.failure(), response);
        }
        let hello = crate::session::Hello {
            boot: self.boot,
            firmware: self.profile.firmware,
            certificate: parts.keys.certificate(),
        };
        let (seats, updating) = (&self.seats, self.staging.as_ref().map(Staging::channel));
        let made = self
            .sessions
            .make_room(|channel| seats.has_session(channel) || updating == Some(channel))
            .and_then(|gone| {
                gone.into_iter().for_each(|gone| self.clients.forget(gone));
                hello.answer(parts.keys, parts.random, request, response)
            });
        match made {
            Ok(session) => self.sessions.put(channel, session),
            Err(failure) => crate::session::refuse(failure, response),
        }
    }

    fn converse(
        &mut self,
        channel: u32,
        session: crate::session::Session,
        request: &[u8],
        response: &mut Vec<u8>,
    ) {
        self.answer(channel, session, request, response);
        // Keys pass from function to function by value, and each leaves its copy behind.
        wipe_stack();
    }

    /// Not inlined, so that what is wiped below is the stack that it used.
    #[inline(never)]
    fn answer(
        &mut self,
        channel: u32,
        mut session: crate::session::Session,
        request: &[u8],
        response: &mut Vec<u8>,
    ) {
        let reply = match session.open(request) {
            Ok(Ok(command)) => {
                let handshake_hash = *session.handshake_hash();
                self.execute(channel, &handshake_hash, command)
            }
            Ok(Err(failure)) => Reply::Failed(failure),
            Err(dead) => {
                if dead {
                    self.end_session(channel);
                } else {
                    self.sessions.put(channel, session);
                }
                return crate::session::refuse(ErrorCode::ChannelDead.failure(), response);
            }
        };
        if session.seal(reply, response).is_ok() {
            self.sessions.put(channel, session);
        } else {
            self.end_session(channel);
            crate::session::refuse(ErrorCode::ChannelDead.failure(), response);
        }
    }

    fn execute(&mut self, channel: u32, handshake_hash: &[u8; 32], command: Command) -> Reply {
        if self.locked == Locked::Decommissioned && !answers_at_the_end(&command) {
            return Reply::Failed(ErrorCode::Decommissioned.failure());
        }
        let done = match command {
            Command::Seat(command) => self.seat_command(channel, command).map(Reply::Seat),
            Command::Info => self.info().map(Reply::Info),
            Command::Firms { from } => self.firm_list(from),
            Command::Items { firm, after } => self.item_list(firm, after),
            Command::Context { firm, nonce } => self.context(firm, nonce).map(Reply::Context),
            Command::Rename { op, name } => self.rename(channel, op, name),
            Command::UpdateBegin { root, head } => return self.update_begin(channel, &root, &head),
            Command::UpdateChunk { offset, bytes } => self.update_chunk(channel, offset, &bytes),
            Command::UpdateCommit => return self.update_commit(channel),
            Command::UpdateAbort => self.update_abort(channel),
            Command::Receipt { firm, seq } => self.receipt(firm, seq).map(Reply::Receipt),
            Command::Why(requirement) => self.why(channel, &requirement),
            Command::ItemState { firm, item } => self.item_state(firm, item).map(Reply::ItemState),
            Command::Data { firm, item, field, access_code } => {
                self.read_data(firm, item, field, access_code)
            }
            Command::WriteUserData { firm, item, bytes } => {
                self.write_user_data(channel, firm, item, &bytes)
            }
            Command::EnterPin(pin) => {
                let pin = Zeroizing::new(pin);
                self.enter_pin(channel, &pin)
            }
            Command::SetPin { pin, recovery, forgotten } => {
                let pin = Zeroizing::new(pin);
                self.set_pin(channel, &pin, &recovery, forgotten)
            }
            Command::TimeNonce { firm } => self.time_nonce(firm),
            Command::TimeToken(object) => self.time_token(&object),
            Command::UsageHead { firm, nonce } => {
                self.usage_head(firm, nonce).map(Reply::UsageHead)
            }
            Command::UsageEntries { firm, after } => self.usage_entries(firm, after),
            Command::UsageAck(object) => self.usage_ack(&object),
            Command::ProveUser { key, signature } => {
                self.prove_user(channel, handshake_hash, key, &signature)
            }
            Command::Trust { object } => self.trust(channel, &object),
            Command::Block { handle, source, way, bytes } => {
                self.block(channel, handle, source, way, &Zeroizing::new(bytes))
            }
            Command::Prove { handle, challenge, purpose } => {
                self.prove(channel, handshake_hash, handle, challenge, purpose)
            }
            Command::Key(command) => self.vendor_key(channel, command),
            Command::Identify { for_s } => self.identify(for_s),
            Command::Decommission => self.decommission(channel),
            Command::FinalStatement { at } => self.final_statement(at),
            Command::Configuration { firm, after } => self.configuration(firm, after),
            Command::Judge { requirement, after } => self.judge(channel, &requirement, after),
            Command::CertifierRoot { version } => {
                let root = self.platform.parts().keys.root(version).unwrap_or_default();
                let root = protocol::codec::Bytes::new(root.to_vec());
                root.map(Reply::CertifierRoot).ok_or(ErrorCode::TooLong.failure())
            }
            _ => Err(ErrorCode::UnknownCommand.failure()),
        };
        done.unwrap_or_else(Reply::Failed)
    }

    /// What does not wait for a command: seats without heartbeat, an update that nobody continues.
    fn purge(&mut self) {
        let now_ms = self.platform.parts().clock.ticks_ms();
        self.seats.expire(now_ms);
        // What cannot be written now is written later; until then a power cut costs a wait.
        let _ = self.note_end_of_seats();
        // Also where nobody has a seat: a license that is over stays over.
        let _ = self.keep_running_time();
        if self.staging.as_ref().is_some_and(|staging| staging.is_stale(now_ms)) {
            self.staging = None;
        }
        self.pending.take_if(|pending| pending.is_stale(now_ms));
    }

    fn info(&mut self) -> Result<ContainerInfo, Failure> {
        let pin_tries = self.pin_tries()?;
        let parts = self.platform.parts();
        let meta = read_meta(parts.store)?;
        let firms = records::firm_count(parts.store).map_err(store_failure)?;
        let vendor_keys = records::vendor_key_count(parts.store).map_err(store_failure)?;
        let now_s = self.time.clock_s(parts.clock);
        Ok(ContainerInfo {
            id: parts.keys.id(),
            name: meta.name,
            clock: self.profile.clock,
            anchor: self.profile.anchor,
            firmware: self.profile.firmware,
            time: protocol::objects::statement::TimeInfo {
                floor_s: 0,
                now_s,
                class: self.time.class(parts.clock),
                certified_s: 0,
            },
            firms,
            seats: self.seats.len() as u16,
            locked: self.locked as u8,
            pin_tries,
            vendor_keys,
        })
    }

    /// Writes and commits what a step wants, counts the commit, raises the counter.
    pub(crate) fn commit(&mut self, writes: Writes) -> Result<(), Failure> {
        let store = self.platform.parts().store;
        let staged = store.begin().and_then(|()| {
            writes.iter().try_for_each(|(key, value)| match value {
                Some(value) => store.put(*key, value),
                None => store.delete(*key),
            })
        });
        if let Err(error) = staged {
            store.abort();
            return Err(store_failure(error));
        }
        self.finish_commit()
    }

    /// Commits the open transaction together with the count of commits. Of a state that was put
    /// back nothing is counted: it would catch up with the counter.
    pub(crate) fn finish_commit(&mut self) -> Result<(), Failure> {
        let unlocked = match self.locked {
            Locked::RolledBack => self.check_unlocked(),
            // One that is decommissioned still erases.
            Locked::No | Locked::Decommissioned => Ok(()),
        };
        let parts = self.platform.parts();
        let counted = unlocked.and_then(|()| read_meta(parts.store)).and_then(|mut meta| {
            meta.commit_ctr += 1;
            records::write(parts.store, records::META, &meta).map_err(store_failure)?;
            parts.store.commit().map_err(store_failure)?;
            Ok(meta.commit_ctr)
        });
        match counted {
            Ok(count) => parts.counter.advance_to(count).map_err(store_failure),
            Err(failure) => {
                parts.store.abort();
                Err(failure)
            }
        }
    }

    /// A locked container changes nothing and opens nothing; it still tells what it is.
    pub(crate) fn check_unlocked(&self) -> Result<(), Failure> {
        match self.locked {
            Locked::No => Ok(()),
            reason => Err(ErrorCode::ContainerLocked.with(reason as u64, 0)),
        }
    }

    /// 32 fresh bytes.
    pub(crate) fn entropy(&mut self) -> Result<[u8; 32], Failure> {
        let mut bytes = [0; 32];
        let random = self.platform.parts().random;
        let filled = check_random(random).and_then(|()| random.fill(&mut bytes));
        filled.map(|()| bytes).map_err(|_| ErrorCode::RandomFailed.failure())
    }
}

/// What a container that is decommissioned still does.
fn answers_at_the_end(command: &Command) -> bool {
    matches!(
        command,
        Command::Info
            | Command::Identify { .. }
            | Command::Decommission
            | Command::FinalStatement { .. }
    )
}

/// The container's own record.
pub(crate) fn read_meta(store: &mut impl Store) -> Result<Meta, Failure> {
    Ok(records::read(store, records::META).map_err(store_failure)?.unwrap_or_default())
}

/// What a store's refusal is to the outside.
pub(crate) fn store_failure(error: StoreError) -> Failure {
    match error {
        StoreError::Full => ErrorCode::StoreFull.failure(),
        _ => ErrorCode::StoreFailed.failure(),
    }
}
