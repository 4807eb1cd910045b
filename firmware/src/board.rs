//! The engine's five capabilities as a board would give them, each behind `black_box`.

use alloc::vec::Vec;
use core::hint::black_box;

use engine::journal::{Flash, FlashCounter, FlashError, Geometry, Journal, Layout, WriteKind};
use engine::platform::{Clock, Keys, Parts, Platform};
use engine::{Engine, Pace, Profile, SeatTimes};
use protocol::crypto::ecdh::{SoftwareKey, StaticKey};
use protocol::crypto::ecdsa::SigningKey;
use protocol::crypto::{CryptoError, Random, RandomFailed};
use protocol::ids::{ContainerId, KeyId};
use protocol::objects::device::{AnchorClass, ClockClass};

/// The whole of it.
pub struct Board {
    store: Journal<Chip>,
    counter: FlashCounter<Chip>,
    keys: BoardKeys,
    clock: BoardClock,
    random: BoardRandom,
}

impl Board {
    /// Mounts the flash and starts the engine.
    pub fn power_up() -> Option<Engine<Board>> {
        let layout = Layout { first_block: 2, blocks: 60, blocks_per_segment: 4 };
        let board = Board {
            store: Journal::open(Chip, layout).ok()?,
            counter: FlashCounter::open(Chip, 0).ok()?,
            keys: BoardKeys::load()?,
            clock: BoardClock,
            random: BoardRandom,
        };
        let profile = Profile {
            clock: ClockClass::Rtc,
            anchor: AnchorClass::Hardware,
            firmware: 1 << 8,
            seats: SeatTimes::default(),
            pace: Pace::Device,
        };
        Engine::start(board, profile).ok()
    }
}

impl Platform for Board {
    type Store = Journal<Chip>;
    type Keys = BoardKeys;
    type Counter = FlashCounter<Chip>;
    type Clock = BoardClock;
    type Random = BoardRandom;

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

/// Flash of 64 blocks of 4 KiB.
pub struct Chip;

impl Flash for Chip {
    fn geometry(&self) -> Geometry {
        Geometry { block_len: 4096, blocks: 64, word_len: 4 }
    }

    fn read(&mut self, at: u32, out: &mut [u8]) -> Result<(), FlashError> {
        black_box((at, out));
        Ok(())
    }

    fn program(&mut self, at: u32, words: &[u8], kind: WriteKind) -> Result<(), FlashError> {
        black_box((at, words, kind));
        Ok(())
    }

    fn erase(&mut self, block: u32) -> Result<(), FlashError> {
        black_box(block);
        Ok(())
    }
}

/// Keys from a place that software cannot read at run time.
pub struct BoardKeys {
    identity: SigningKey,
    channel: SoftwareKey,
    sealing: SoftwareKey,
    storage: [u8; 32],
    certificate: Vec<u8>,
}

impl BoardKeys {
    fn load() -> Option<Self> {
        Some(BoardKeys {
            identity: SigningKey::from_bytes(&black_box([1; 32])).ok()?,
            channel: SoftwareKey::from_bytes(&black_box([2; 32])).ok()?,
            sealing: SoftwareKey::from_bytes(&black_box([3; 32])).ok()?,
            storage: black_box([4; 32]),
            certificate: Vec::from(black_box([5; 400])),
        })
    }
}

impl Keys for BoardKeys {
    fn id(&self) -> ContainerId {
        ContainerId::new(black_box([6; 16]))
    }

    fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    fn sign(&self, preimage: &[u8], entropy: &[u8; 32]) -> Result<[u8; 64], CryptoError> {
        Ok(self.identity.sign(preimage, entropy))
    }

    fn identity_id(&self) -> KeyId {
        self.identity.verifying_key().id()
    }

    fn channel_key(&self) -> &dyn StaticKey {
        &self.channel
    }

    fn sealing_key(&self) -> &dyn StaticKey {
        &self.sealing
    }

    fn storage_key(&self) -> &[u8; 32] {
        &self.storage
    }
}

/// Ticks and a clock with a battery.
pub struct BoardClock;

impl Clock for BoardClock {
    fn ticks_ms(&mut self) -> u64 {
        black_box(0)
    }

    fn rtc_s(&mut self) -> Option<u64> {
        black_box(Some(0))
    }
}

/// A source of random bytes.
pub struct BoardRandom;

impl Random for BoardRandom {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        black_box(out);
        Ok(())
    }
}
