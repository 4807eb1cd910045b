//! The simulated dongle: the engine on simulated flash, with keys of its own and the host's clock
//! as its RTC.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use engine::journal::{COUNTER_BLOCKS, FlashCounter, Geometry, Journal, Layout};
use engine::platform::{Keys, Parts, Platform, Random};
use engine::{Engine, Pace, Profile, SeatTimes};
use protocol::crypto::RandomFailed;
use protocol::ids::{ContainerKind, Serial};
use protocol::objects::device::{AnchorClass, ClockClass};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rustix::fs::{FlockOperation, flock};

use crate::clock::SimClock;
use crate::flash::{FlashConfig, SimFlash};
use crate::keys::SimKeys;
use crate::usb::{DeviceSide, MessageHandler, PortId, ReportDevice};

/// Firmware version of the simulation: that of this package.
pub const FIRMWARE: u32 = 1 << 8;

/// What a simulated dongle is like.
#[derive(Debug, Clone, Copy)]
pub struct SimProfile {
    /// Its flash.
    pub flash: FlashConfig,
    /// Whether it has a clock with a battery.
    pub rtc: bool,
    /// Heartbeats.
    pub seats: SeatTimes,
}

impl SimProfile {
    /// Names that [`SimProfile::named`] knows.
    pub const NAMES: [&'static str; 3] = ["rtc", "plain", "quick"];

    /// A profile by name: `rtc` (a dongle with a clock), `plain` (without), `quick` (with a clock,
    /// and heartbeats of a second, for tests).
    pub fn named(name: &str) -> Option<Self> {
        let flash = FlashConfig::nrf52840(64);
        let seats = SeatTimes::default();
        match name {
            "rtc" => Some(SimProfile { flash, rtc: true, seats }),
            "plain" => Some(SimProfile { flash, rtc: false, seats }),
            "quick" => {
                let seats = SeatTimes { interval_s: 1, timeout_s: 3 };
                Some(SimProfile { flash, rtc: true, seats })
            }
            _ => None,
        }
    }

    fn clock(&self) -> ClockClass {
        if self.rtc { ClockClass::Rtc } else { ClockClass::Session }
    }

    fn engine_profile(&self) -> Profile {
        Profile {
            clock: self.clock(),
            anchor: AnchorClass::Hardware,
            firmware: FIRMWARE,
            seats: self.seats,
            pace: Pace::Device,
        }
    }
}

/// The system's randomness, or a seeded stream for runs that can be repeated.
#[derive(Clone)]
pub enum SimRandom {
    /// The system's.
    System,
    /// A stream that repeats. Clones share it.
    Seeded(Arc<Mutex<ChaCha20Rng>>),
    /// A dead source: this byte for ever.
    Stuck(u8),
}

impl SimRandom {
    /// A stream for `seed`, or the system's.
    pub fn new(seed: Option<u64>) -> Self {
        match seed {
            Some(seed) => SimRandom::Seeded(Arc::new(Mutex::new(ChaCha20Rng::seed_from_u64(seed)))),
            None => SimRandom::System,
        }
    }
}

impl Random for SimRandom {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        match self {
            SimRandom::System => getrandom::fill(out).map_err(|_| RandomFailed),
            SimRandom::Seeded(stream) => {
                stream.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(out);
                Ok(())
            }
            SimRandom::Stuck(byte) => {
                out.fill(*byte);
                Ok(())
            }
        }
    }
}

/// The engine's five capabilities in the simulation.
pub struct SimPlatform {
    store: Journal<SimFlash>,
    counter: FlashCounter<SimFlash>,
    keys: Arc<SimKeys>,
    clock: SimClock,
    random: SimRandom,
}

impl Platform for SimPlatform {
    type Store = Journal<SimFlash>;
    type Keys = SimKeys;
    type Counter = FlashCounter<SimFlash>;
    type Clock = SimClock;
    type Random = SimRandom;

    fn parts(&mut self) -> Parts<'_, Self> {
        Parts {
            store: &mut self.store,
            keys: &self.keys,
            counter: &mut self.counter,
            clock: &mut self.clock,
            random: &mut self.random,
        }
    }
}

/// Erase blocks of a segment of the journal, which lies behind the counter.
const SEGMENT_BLOCKS: u32 = 4;

fn whole_segments(blocks: u32) -> u32 {
    blocks / SEGMENT_BLOCKS * SEGMENT_BLOCKS
}

/// A dongle that can lose its power.
pub struct Dongle {
    profile: SimProfile,
    flash: SimFlash,
    keys: Arc<SimKeys>,
    random: SimRandom,
    clock_offset_s: Arc<AtomicI64>,
    engine: Option<Engine<SimPlatform>>,
    /// Told for how many seconds it is to show itself; 0 ends it.
    light: Option<Box<dyn FnMut(u8) + Send>>,
    /// Held as long as this process plays the dongle.
    _lock: Option<File>,
}

impl Dongle {
    /// The dongle whose flash and keys are in the folder `state`; makes both if there are none.
    ///
    /// # Errors
    /// What the system says of the files there.
    pub fn open(state: &Path, profile: SimProfile, seed: Option<u64>) -> io::Result<Self> {
        std::fs::create_dir_all(state)?;
        let lock = lock(&state.join("lock"))?;
        let mut random = SimRandom::new(seed);
        let keys = SimKeys::open(&state.join("identity"), profile.clock(), &mut random)?;
        let flash = SimFlash::in_file(profile.flash, seed.unwrap_or(0), &flash_path(state))?;
        let dongle = Self::assemble(profile, flash, keys, random)?;
        Ok(Dongle { _lock: Some(lock), ..dongle })
    }

    /// A dongle in memory, the same for the same seed.
    ///
    /// # Errors
    /// None that a seed can bring about; the signature is that of [`Dongle::open`].
    pub fn in_memory(profile: SimProfile, seed: u64) -> io::Result<Self> {
        let mut random = SimRandom::new(Some(seed));
        let keys = SimKeys::generate(profile.clock(), &mut random)?;
        Self::assemble(profile, SimFlash::in_memory(profile.flash, seed), keys, random)
    }

    fn assemble(
        profile: SimProfile,
        flash: SimFlash,
        keys: SimKeys,
        random: SimRandom,
    ) -> io::Result<Self> {
        Ok(Dongle {
            profile,
            flash,
            keys: Arc::new(keys),
            random,
            clock_offset_s: Arc::default(),
            engine: None,
            light: None,
            _lock: None,
        })
    }

    /// The chip, for fault control and tests.
    pub fn flash(&self) -> &SimFlash {
        &self.flash
    }

    /// Its serial.
    pub fn serial(&self) -> Serial {
        self.keys.id().serial(ContainerKind::Dongle)
    }

    /// What stands for the light of a real dongle.
    pub fn set_light(&mut self, light: impl FnMut(u8) + Send + 'static) {
        self.light = Some(Box::new(light));
    }

    /// Its keys.
    pub fn keys(&self) -> &SimKeys {
        &self.keys
    }

    /// Moves the battery clock.
    pub fn jump_clock(&self, by_s: i64) {
        self.clock_offset_s.fetch_add(by_s, Ordering::Relaxed);
    }

    /// Gives it power: mounts the flash and starts the engine.
    ///
    /// # Errors
    /// The flash cannot be mounted, or has no power.
    pub fn power_up(&mut self) -> io::Result<()> {
        if self.engine.is_some() {
            return Ok(());
        }
        let failed = |error| io::Error::other(format!("the flash cannot be used: {error:?}"));
        let layout = Layout {
            first_block: COUNTER_BLOCKS,
            blocks: whole_segments(self.profile.flash.geometry.blocks - COUNTER_BLOCKS),
            blocks_per_segment: SEGMENT_BLOCKS,
        };
        let counter = FlashCounter::open(self.flash.clone(), 0).map_err(failed)?;
        let store = Journal::open(self.flash.clone(), layout).map_err(failed)?;
        let clock = SimClock::power_up(self.profile.rtc, self.clock_offset_s.clone());
        let platform = SimPlatform {
            store,
            counter,
            keys: self.keys.clone(),
            clock,
            random: self.random.clone(),
        };
        let engine = Engine::start(platform, self.profile.engine_profile()).map_err(failed)?;
        self.engine = Some(engine);
        Ok(())
    }

    /// Takes its power. A cut that the flash waited for is over with it.
    pub fn power_down(&mut self) {
        self.engine = None;
        self.flash.power_up();
    }

    /// Flips random bits anywhere in the flash.
    ///
    /// # Errors
    /// More than there are, which would keep the simulator busy for hours; or the flash has no
    /// power.
    pub fn flip_bits(&self, count: u32) -> io::Result<()> {
        let Geometry { block_len, blocks, .. } = self.profile.flash.geometry;
        let bits = u64::from(block_len) * u64::from(blocks) * 8;
        if u64::from(count) > bits {
            let what = format!("the flash has only {bits} bits");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let flipped = self.flash.flip_random_bits(0, blocks, count);
        flipped.map(drop).map_err(|error| io::Error::other(format!("{error:?}")))
    }

    /// Whether it has power.
    pub fn is_powered(&self) -> bool {
        self.engine.is_some() && self.flash.is_powered()
    }
}

/// Two processes on one flash would destroy it.
fn lock(path: &Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        let what = "another simulator runs on this folder";
        io::Error::new(io::ErrorKind::ResourceBusy, what)
    })?;
    Ok(file)
}

fn flash_path(state: &Path) -> PathBuf {
    state.join("flash")
}

impl MessageHandler for Dongle {
    fn message(&mut self, cid: u32, request: &[u8], response: &mut Vec<u8>) {
        if let Some(engine) = &mut self.engine {
            engine.message(cid, request, response);
            if let (Some(for_s), Some(light)) = (engine.take_identify(), &mut self.light) {
                light(for_s);
            }
        }
        if !self.flash.is_powered() {
            // Power went away in the middle: nothing gets out any more.
            self.engine = None;
            response.clear();
        }
    }

    fn closed(&mut self, cid: u32) {
        if let Some(engine) = &mut self.engine {
            engine.closed(cid);
        }
    }
}

/// The dongle behind its report layer, as a server sees it.
pub struct SimDevice {
    reports: ReportDevice<Dongle>,
}

impl SimDevice {
    /// Puts a dongle behind its report layer. It gets power with the first report.
    ///
    /// # Errors
    /// The random source failed.
    pub fn new(mut dongle: Dongle) -> io::Result<Self> {
        let mut first_cid = [0; 4];
        dongle.random.fill(&mut first_cid).map_err(|_| io::Error::other("no randomness"))?;
        Ok(SimDevice { reports: ReportDevice::new(dongle, u32::from_be_bytes(first_cid)) })
    }

    /// The dongle.
    pub fn dongle(&mut self) -> &mut Dongle {
        self.reports.handler_mut()
    }

    /// See [`ReportDevice::set_work_ms`].
    pub fn set_work_ms(&mut self, work_ms: u64) {
        self.reports.set_work_ms(work_ms);
    }
}

impl DeviceSide for SimDevice {
    fn receive(&mut self, port: PortId, report: &protocol::frame::Report, now_ms: u64) {
        if !self.dongle().is_powered() {
            self.dongle().power_down();
            if self.dongle().power_up().is_err() {
                return;
            }
        }
        self.reports.receive(port, report, now_ms);
    }

    fn tick(&mut self, now_ms: u64) {
        self.reports.tick(now_ms);
    }

    fn wake_ms(&self) -> Option<u64> {
        self.reports.wake_ms()
    }

    fn next_report(&mut self) -> Option<(PortId, protocol::frame::Report)> {
        self.reports.next_report()
    }

    fn detach(&mut self, port: PortId) {
        self.reports.detach(port);
    }

    fn power_lost(&mut self) {
        self.reports.power_lost();
        self.dongle().power_down();
    }

    fn is_powered(&self) -> bool {
        self.reports.handler().flash.is_powered()
    }
}
