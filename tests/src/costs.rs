//! What commands cost a container of many entries: reports each way, calls of the store.
//!
//! The number of entries is all that differs between two containers, down to the length of each
//! number in a message, so that a difference in costs is due to it.

use engine::journal::{Journal, Layout};
use engine::platform::{Parts, Platform, RecordKey, Store};
use engine::{Engine, Pace, Profile, SeatTimes};
use firmware_sim::device::FIRMWARE;
use firmware_sim::flash::{FlashConfig, SimFlash};
use protocol::codec::{self, Bytes, List, Text};
use protocol::command::{Command, Reply, SeatCommand};
use protocol::crypto::channel::{Initiator, Transport};
use protocol::frame::report_count;
use protocol::ids::{ArtifactId, EntryNumber, Generation, OpId, ProductCode, SeatHandle};
use protocol::objects::data::DataField;
use protocol::objects::device::{AnchorClass, ClockClass};
use protocol::objects::license::{ItemOption, ItemRef, LostUnits, ProductItem, UnitRule};
use protocol::objects::update::{UnitsChange, UpdateOp};

use crate::bench::{BENCH_CHANNEL, new_keys};
use crate::dice::Dice;
use crate::home::{Calls, Home, Memory};
use crate::samples;
use crate::vendor::{NOW_S, Place, Vendor};

/// The entry that commands are about, the last of all.
const LAST: ItemRef = ItemRef { product: ProductCode(u32::MAX), entry: EntryNumber(0) };
/// Bytes that sealing adds to a message.
const SEAL_LEN: usize = 16;
/// A record that no container has.
const FILLER: RecordKey = u64::MAX;
/// Records that are written at once while a container is filled.
const AT_ONCE: u32 = 500;

/// A container, its only firm, and a channel to it.
pub struct Subject<S: Store> {
    engine: Engine<Home<S>>,
    vendor: Vendor,
    place: Place,
    transport: Option<Transport>,
}

/// A container in the memory of the host, with this many entries.
pub fn on_host(entries: u32) -> Subject<Memory> {
    Subject::new(Memory::default(), entries)
}

/// A dongle of this many entries.
pub fn on_dongle(entries: u32) -> Subject<Journal<SimFlash>> {
    let flash = SimFlash::in_memory(FlashConfig::nrf52840(256), 1);
    let layout = Layout { first_block: 0, blocks: 256, blocks_per_segment: 2 };
    let journal = Journal::open(flash.clone(), layout).expect("new flash can be used");
    let mut made = Subject::new(journal, entries);
    // Its log begins a segment, so that none begins while commands are counted.
    let erases = |flash: &SimFlash| flash.stats().erases.iter().sum::<u32>();
    let before = erases(&flash);
    let store = &mut made.engine.platform().store;
    while erases(&flash) == before {
        store.begin().expect("a store that is in order");
        store.put(FILLER, &[0; 64]).expect("room");
        store.commit().expect("room");
    }
    store.take_calls();
    made
}

impl<S: Store> Subject<S> {
    fn new(store: S, entries: u32) -> Self {
        let profile = Profile {
            clock: ClockClass::Session,
            anchor: AnchorClass::Hardware,
            firmware: FIRMWARE,
            seats: SeatTimes::default(),
            pace: Pace::Device,
        };
        let keys = new_keys(1);
        let vendor = Vendor::new("Acme", &mut Dice::new(1));
        let place = vendor.first_place(engine::platform::Keys::id(&*keys));
        let engine = Engine::start(Home::new(store, keys), profile).expect("an empty store");
        let mut made = Subject { engine, vendor, place, transport: None };
        let sealing = engine::platform::Keys::sealing_key(made.parts().keys).public();
        let key = made.vendor.set_key(&sealing, &made.place, (LAST.product, Generation(0)));
        let units = UpdateOp::Units { item: LAST, change: UnitsChange::Add(1000) };
        made.apply(&[UpdateOp::SetItem(entry(LAST.product)), key, units]);
        made.fill(entries - 1);
        // Counts all of them, as if they had come by updates.
        made.apply(&[UpdateOp::Nop]);
        made.parts().store.take_calls();
        made
    }

    fn parts(&mut self) -> Parts<'_, Home<S>> {
        self.engine.platform().parts()
    }

    fn apply(&mut self, ops: &[UpdateOp]) {
        let update = self.vendor.update(&self.place, ops);
        for command in update.commands() {
            let answer = self.carry_out(command);
            assert!(matches!(answer, Reply::Done | Reply::Receipt(_)), "an update is refused");
        }
        self.place = update.after();
    }

    /// Writes more entries past the engine: by updates it would take hours.
    fn fill(&mut self, more: u32) {
        let store = &mut self.engine.platform().store;
        let last = codec::encode(&entry(LAST.product));
        let mut buf = [0; engine::platform::RECORD_LEN_MAX];
        let (mut key, mut from) = (None, 0);
        while let Some(next) = store.next_key(from).expect("a store that can be read") {
            let len = store.read(next, &mut buf).expect("a store that can be read");
            key = key.or((buf[..len.unwrap_or(0)] == last).then_some(next));
            from = next + 1;
        }
        let key = key.expect("the last entry is in the store");
        for first in (1..=more).step_by(AT_ONCE as usize) {
            store.begin().expect("a store that is in order");
            for n in first..=more.min(first + AT_ONCE - 1) {
                let value = codec::encode(&entry(ProductCode(LAST.product.0 - n)));
                store.put(key - (u64::from(n) << 16), &value).expect("room");
            }
            store.commit().expect("room");
        }
    }

    /// The commands that programs and people send most, in an order in which each is carried out.
    pub fn commands(&mut self) -> Vec<(&'static str, Command)> {
        let (firm, op) = (self.vendor.fp(), OpId::new([3; 16]));
        // The handle comes from the command alone.
        let handle = SeatHandle(u32::from_be_bytes([3; 4]));
        let (item, nonce) = (LAST, Default::default());
        let requirement = self.vendor.requirement(LAST.product);
        let artifact = ArtifactId::new([0xff; 16]);
        let wrapped = self.vendor.wrap(&requirement, artifact, &[5; 32]);
        let update = self.vendor.update(&self.place, &[UpdateOp::SetItem(entry(LAST.product))]);
        let [begin, chunk, commit] = update.commands().try_into().expect("one chunk");
        let name = Text::new("desk").expect("a short name");
        let bytes = Bytes::new(vec![1; 64]).expect("a short text");
        vec![
            ("seat open", Command::Seat(SeatCommand::Open { op, requirement, artifact })),
            ("heartbeat", Command::Seat(SeatCommand::Heartbeat { handle, n: 1 })),
            ("key release", Command::Seat(SeatCommand::KeyRelease { handle, wrapped, part: 0 })),
            ("reserve units", Command::Seat(SeatCommand::Reserve { op, handle, units: 9 })),
            ("account units", Command::Seat(SeatCommand::Account { op, handle, used: 5 })),
            ("seat close", Command::Seat(SeatCommand::Close { handle })),
            ("introduce", Command::Seat(SeatCommand::Introduce(samples::client()))),
            ("why", Command::Why(requirement)),
            ("info", Command::Info),
            ("firms", Command::Firms { from: 0 }),
            ("items", Command::Items { firm, after: None }),
            ("item state", Command::ItemState { firm, item }),
            ("write user data", Command::WriteUserData { firm, item, bytes }),
            ("data", Command::Data { firm, item, field: DataField::User, access_code: 0 }),
            ("time nonce", Command::TimeNonce { firm }),
            ("usage head", Command::UsageHead { firm, nonce }),
            ("usage entries", Command::UsageEntries { firm, after: 0 }),
            ("rename", Command::Rename { op, name }),
            ("context", Command::Context { firm, nonce }),
            ("receipt", Command::Receipt { firm, seq: 0 }),
            ("update begin", begin),
            ("update chunk", chunk),
            ("update commit", commit),
        ]
    }

    /// Carries out a command without a channel.
    pub fn carry_out(&mut self, command: Command) -> Reply {
        self.engine.carry_out(BENCH_CHANNEL, command)
    }

    /// Calls of the store since this was asked last.
    pub fn take_calls(&mut self) -> Calls {
        self.engine.platform().store.take_calls()
    }

    /// Sends a command through the channel, which is opened for the first one. Returns reports out
    /// and back, and the answer.
    pub fn exchange(&mut self, command: &Command) -> ((usize, usize), Reply) {
        let mut transport = self.transport.take().unwrap_or_else(|| self.open());
        let (mut message, mut answer) = (codec::encode(command), Vec::new());
        let len = message.len();
        message.resize(len + SEAL_LEN, 0);
        transport.seal(&mut message, len).expect("an open channel");
        self.engine.message(1, &message, &mut answer);
        let count = |bytes: &[u8]| report_count(bytes.len()).expect("a message that was sent");
        let reports = (count(&message), count(&answer));
        let len = transport.open(&mut answer).expect("a sealed answer");
        self.transport = Some(transport);
        let reply = codec::decode(&answer[..len], answer.len()).expect("an answer of our own");
        (reports, reply)
    }

    fn open(&mut self) -> Transport {
        let (mut request, mut answer) = (vec![0; 4096], Vec::new());
        let mut ones = |out: &mut [u8]| {
            out.fill(1);
            Ok(())
        };
        let (initiator, len) =
            Initiator::start_nx(&mut ones, &[], &mut request).expect("a fresh buffer");
        self.engine.message(1, &request[..len], &mut answer);
        initiator.finish(&mut answer).expect("our own container").transport
    }
}

/// An entry as products have it: so many at a time, until then, for so many units.
fn entry(product: ProductCode) -> ProductItem {
    let options = vec![
        ItemOption::LicenseQuantity(5),
        ItemOption::ExpirationTime(2 * NOW_S),
        ItemOption::UnitCounter(UnitRule { reserve_max: 10, lost: LostUnits::Held }),
    ];
    let item = ItemRef { product, ..LAST };
    ProductItem { item, options: List::new(options).expect("few options") }
}
