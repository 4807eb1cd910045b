//! A dongle on a bench: the engine on simulated flash, its records in sight, its clock in hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::journal::{Flash, FlashCounter, Journal, Layout};
use engine::platform::{Clock, Keys, Parts, Platform, Store, StoreError};
use engine::{Engine, Pace, Profile, SeatTimes};
use firmware_sim::device::{FIRMWARE, SimRandom};
use firmware_sim::flash::{FlashConfig, SimFlash};
use firmware_sim::keys::SimKeys;
use protocol::command::{Command, Reply};
use protocol::crypto::CryptoError;
use protocol::crypto::ecdh::{PublicKey, StaticKey};
use protocol::crypto::ecdsa::VerifyingKey;
use protocol::crypto::hash::Hash32;
use protocol::ids::{ContainerId, KeyId, RootFp};
use protocol::limits::DEVICE_BODY_LEN_MAX;
use protocol::objects::device::{AnchorClass, ClockClass, Device};
use protocol::objects::enrollment::Attested;
use protocol::objects::test_root;
use protocol::signed::UnverifiedObject;

use crate::soft_tpm::SoftTpm;
use crate::vendor::Update;

/// The channel of a bench's own commands ([`Bench::command`]).
pub const BENCH_CHANNEL: u32 = 0xbe9c;

/// Milliseconds of running time, and what a clock with a battery shows, if there is one. Both are
/// moved by the test alone.
#[derive(Clone, Default)]
pub struct Ticks {
    running_ms: Arc<AtomicU64>,
    battery_s: Arc<AtomicU64>,
}

impl Ticks {
    /// Lets running time pass.
    pub fn pass_ms(&self, ms: u64) {
        self.running_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Sets the clock with a battery, Unix seconds UTC; 0 = there is none, or it is dead.
    pub fn set_battery_s(&self, at_s: u64) {
        self.battery_s.store(at_s, Ordering::Relaxed);
    }
}

impl Clock for Ticks {
    fn ticks_ms(&mut self) -> u64 {
        self.running_ms.load(Ordering::Relaxed)
    }

    fn rtc_s(&mut self) -> Option<u64> {
        Some(self.battery_s.load(Ordering::Relaxed)).filter(|at_s| *at_s != 0)
    }
}

/// Keys that count how often the one is taken that protects what is at rest.
#[derive(Clone)]
pub struct BenchKeys {
    keys: Arc<SimKeys>,
    storage_key_taken: Arc<AtomicU64>,
    only_firm: Option<RootFp>,
}

impl Keys for BenchKeys {
    fn id(&self) -> ContainerId {
        self.keys.id()
    }

    fn certificate(&self) -> &[u8] {
        self.keys.certificate()
    }

    fn only_firm(&self) -> Option<RootFp> {
        self.only_firm
    }

    fn sign(&self, preimage: &[u8], entropy: &[u8; 32]) -> Result<[u8; 64], CryptoError> {
        self.keys.sign(preimage, entropy)
    }

    fn identity_id(&self) -> KeyId {
        self.keys.identity_id()
    }

    fn channel_key(&self) -> &dyn StaticKey {
        self.keys.channel_key()
    }

    fn sealing_key(&self) -> &dyn StaticKey {
        self.keys.sealing_key()
    }

    fn storage_key(&self) -> &[u8; 32] {
        self.storage_key_taken.fetch_add(1, Ordering::Relaxed);
        self.keys.storage_key()
    }
}

/// The engine's five capabilities on the bench.
pub struct BenchPlatform<F> {
    store: Journal<F>,
    counter: FlashCounter<F>,
    keys: BenchKeys,
    clock: Ticks,
    random: SimRandom,
    tpm: Option<SoftTpm>,
}

impl<F: Flash> Platform for BenchPlatform<F> {
    type Store = Journal<F>;
    type Keys = BenchKeys;
    type Counter = FlashCounter<F>;
    type Clock = Ticks;
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

    fn attest(&mut self, over: &Hash32) -> Result<Option<Attested>, StoreError> {
        Ok(self.tpm.as_ref().map(|tpm| tpm.certify(over)))
    }
}

/// A dongle that can lose its power. Its journal begins behind the two blocks of its counter.
pub struct Bench<F: Flash = SimFlash> {
    flash: F,
    blocks_per_segment: u32,
    keys: BenchKeys,
    random: SimRandom,
    /// Its clock, where it has no battery.
    pub clock: ClockClass,
    /// Its running time.
    pub ticks: Ticks,
    /// What certifies its requests, if anything does.
    pub tpm: Option<SoftTpm>,
    engine: Option<Engine<BenchPlatform<F>>>,
}

impl Bench {
    /// A dongle with power, the same for the same seed.
    pub fn new(seed: u64) -> Self {
        let flash = SimFlash::in_memory(FlashConfig::nrf52840(64), seed);
        let mut bench = Bench::on(flash, 2, new_keys(seed), seed);
        bench.power_up().expect("new flash can be used");
        bench
    }

    /// A container of one firm, which can be copied: as of soft licenses.
    pub fn soft(seed: u64, firm: RootFp) -> Self {
        let flash = SimFlash::in_memory(FlashConfig::nrf52840(64), seed);
        let mut bench = Bench::on(flash, 2, new_keys(seed), seed);
        bench.keys.only_firm = Some(firm);
        bench.power_up().expect("new flash can be used");
        bench
    }

    /// A copy of all that it has, with power. `seed` is of its randomness from now on.
    pub fn copy(&self, seed: u64) -> Self {
        let flash = SimFlash::in_memory(FlashConfig::nrf52840(64), seed);
        flash.restore(&self.flash.snapshot()).expect("a chip of its size");
        let mut bench = Bench::on(flash, self.blocks_per_segment, self.keys.keys.clone(), seed);
        bench.keys.only_firm = self.keys.only_firm;
        bench.tpm = self.tpm.clone();
        bench.power_up().expect("the copy can be read");
        bench
    }
}

/// Keys of a dongle, the same for the same seed.
pub fn new_keys(seed: u64) -> Arc<SimKeys> {
    let keys = SimKeys::generate(ClockClass::Session, &mut SimRandom::new(Some(seed)));
    Arc::new(keys.expect("a seed always gives bytes"))
}

impl<F: Flash + Clone> Bench<F> {
    /// A dongle without power on this flash.
    pub fn on(flash: F, blocks_per_segment: u32, keys: Arc<SimKeys>, seed: u64) -> Self {
        let random = SimRandom::new(Some(seed));
        let keys = BenchKeys { keys, storage_key_taken: Arc::default(), only_firm: None };
        let (clock, ticks) = (ClockClass::Session, Ticks::default());
        Bench { flash, blocks_per_segment, keys, random, clock, ticks, tpm: None, engine: None }
    }

    /// Mounts the flash and starts the engine anew.
    ///
    /// # Errors
    /// What the flash, the journal or the counter say.
    pub fn power_up(&mut self) -> Result<(), StoreError> {
        self.engine = None;
        let counter = FlashCounter::open(self.flash.clone(), 0)?;
        let blocks = self.flash.geometry().blocks - 2;
        let layout = Layout { first_block: 2, blocks, blocks_per_segment: self.blocks_per_segment };
        let store = Journal::open(self.flash.clone(), layout)?;
        let (keys, clock, random) = (self.keys.clone(), self.ticks.clone(), self.random.clone());
        let has_battery = self.ticks.clone().rtc_s().is_some();
        let profile = Profile {
            clock: if has_battery { ClockClass::Rtc } else { self.clock },
            anchor: match self.keys.only_firm {
                Some(_) => AnchorClass::None,
                None => AnchorClass::Hardware,
            },
            firmware: FIRMWARE,
            seats: SeatTimes::default(),
            pace: Pace::Device,
        };
        let tpm = self.tpm.clone();
        let platform = BenchPlatform { store, counter, keys, clock, random, tpm };
        self.engine = Some(Engine::start(platform, profile)?);
        Ok(())
    }

    /// From now on its source of randomness is stuck.
    pub fn kill_random(&mut self) {
        self.random = SimRandom::Stuck(0);
        self.engine().platform().random = SimRandom::Stuck(0);
    }

    /// The engine of a dongle with power.
    pub fn engine(&mut self) -> &mut Engine<BenchPlatform<F>> {
        self.engine.as_mut().expect("the dongle has power")
    }

    /// The chip.
    pub fn flash(&self) -> &F {
        &self.flash
    }

    /// Its id.
    pub fn id(&self) -> ContainerId {
        self.keys.id()
    }

    /// Its certificate.
    pub fn certificate(&self) -> &[u8] {
        self.keys.certificate()
    }

    /// What its statements are signed by, as its certificate says.
    pub fn identity_key(&self) -> VerifyingKey {
        let (certificate, _) = UnverifiedObject::read(self.keys.certificate(), DEVICE_BODY_LEN_MAX)
            .expect("a certificate");
        let maker = test_root::root().expect("the test root");
        let device = Device::verify(&certificate, &maker).expect("our own certificate");
        VerifyingKey::from_bytes(&device.body.identity_key.0).expect("a certified key")
    }

    /// How often the key was taken that protects what is at rest: secrets are compared by it.
    pub fn storage_key_taken(&self) -> u64 {
        self.keys.storage_key_taken.load(Ordering::Relaxed)
    }

    /// Item keys are sealed to it.
    pub fn sealing_key(&self) -> PublicKey {
        self.keys.sealing_key().public()
    }

    /// Carries out a command, without a channel.
    pub fn command(&mut self, command: Command) -> Reply {
        self.engine().carry_out(BENCH_CHANNEL, command)
    }

    /// Gives it an update, and returns the first answer that is not a mere "go on".
    pub fn apply(&mut self, update: &Update) -> Reply {
        let commands = update.commands();
        let mut answers = commands.into_iter().map(|command| self.command(command));
        answers.find(|answer| !matches!(answer, Reply::Done)).unwrap_or(Reply::Done)
    }

    /// All records, in the order of their keys.
    pub fn records(&mut self) -> Vec<(u64, Vec<u8>)> {
        let store = self.engine().platform().parts().store;
        let (mut found, mut from) = (Vec::new(), 0);
        while let Some(key) = store.next_key(from).expect("a store that can be read") {
            let mut value = vec![0; engine::platform::RECORD_LEN_MAX];
            let len = store.read(key, &mut value).expect("a record that can be read");
            value.truncate(len.expect("a key that exists"));
            found.push((key, value));
            from = key + 1;
        }
        found
    }

    /// Records of firms: state, entries, keys and receipts. Neither counts nor what is staged.
    pub fn firm_records(&mut self) -> Vec<(u64, Vec<u8>)> {
        let is_of_firms = |key: u64| key >> 56 >= 0x10 && key >> 56 != 0x30;
        self.records().into_iter().filter(|(key, _)| is_of_firms(*key)).collect()
    }
}
