//! What a container takes of RAM: heap for each command, RAM for each entry.

use std::collections::BTreeMap;

use allocation_counter::measure;
use firmware_sim::flash::{FlashConfig, SimFlash};
use protocol::codec::{Bytes, Text};
use protocol::command::{Command, Reply, SeatCommand};
use protocol::ids::{ArtifactId, EntryNumber, KeyId, OpId, ProductCode, SeatHandle};
use protocol::objects::data::DataField;
use protocol::objects::license::{AccessMode, ItemRef, ProductItem, Requirement};
use protocol::objects::update::{UnitsChange, UpdateOp};
use strongroom_tests::bench::{Bench, new_keys};
use strongroom_tests::dice::Dice;
use strongroom_tests::samples;
use strongroom_tests::trust::SCOPE;
use strongroom_tests::vendor::{Vendor, trust};

/// Bytes of heap that a command may take.
const COMMAND_HEAP: u64 = 16 * 1024;

/// Bytes of RAM that an entry may take.
const ENTRY_RAM: u64 = 64;

fn entry(n: usize) -> ProductItem {
    let item = ItemRef { product: ProductCode(n as u32 / 2), entry: EntryNumber(n as u16 % 2) };
    ProductItem { item, ..samples::item() }
}

/// A dongle with this many entries of one firm, and this many other firms.
fn filled(vendor: &Vendor, entries: usize, firms: usize) -> Bench {
    let flash = SimFlash::in_memory(FlashConfig::nrf52840(256), 1);
    let mut bench = Bench::on(flash, 2, new_keys(1), 1);
    bench.power_up().expect("new flash can be used");
    let mut place = vendor.first_place(bench.id());
    let all: Vec<UpdateOp> = (0..entries).map(|n| UpdateOp::SetItem(entry(n))).collect();
    for ops in all.chunks(100) {
        let update = vendor.update(&place, ops);
        assert!(matches!(bench.apply(&update), Reply::Receipt(_)), "an update of many");
        place = update.after();
    }
    for n in 0..firms {
        let firm = Vendor::new("Another firm of many", &mut Dice::new(100 + n as u64));
        let update = firm.update(&firm.first_place(bench.id()), &[UpdateOp::Nop]);
        assert!(matches!(bench.apply(&update), Reply::Receipt(_)), "firm {n}");
    }
    bench
}

/// Every command once, each of them carried out and not merely refused.
fn commands(vendor: &Vendor, bench: &mut Bench, entries: usize) -> Vec<(&'static str, Command)> {
    let (firm, op) = (vendor.fp(), OpId::new([3; 16]));
    let Reply::Receipt(_) = bench.command(Command::Receipt { firm, seq: 0 }) else {
        panic!("no receipt")
    };
    let place = vendor.first_place(bench.id());
    let mut place = strongroom_tests::vendor::Place { seq: 0, ..place };
    let firms = bench.command(Command::Firms { from: 0 });
    let Reply::Firms(firms) = firms else { panic!("no firms") };
    place.seq = firms.iter().find(|known| known.root_fp == firm).expect("our firm").seq + 1;
    place.state = state(bench, vendor);
    let product = (ProductCode(0), Default::default());
    let mut ops = vec![vendor.set_key(&bench.sealing_key(), &place, product)];
    // As many operations and bytes as fit beside the key: the longest text, new and replaced.
    ops.extend((0..450).map(|n| UpdateOp::SetItem(entry(n + entries / 2))));
    let item = ItemRef { product: ProductCode(0), entry: EntryNumber(0) };
    ops.push(UpdateOp::Units { item, change: UnitsChange::Add(1000) });
    let update = vendor.update(&place, &ops);
    // A container calls a seat by the first bytes of the command that opened it.
    let handle = SeatHandle(0x0303_0303);
    // What the entries of the samples ask for.
    let requirement = Requirement {
        access: AccessMode::UserLimit,
        release_s: samples::requirement().release_s,
        ..vendor.requirement(ProductCode(0))
    };
    let artifact = ArtifactId::default();
    let wrapped = vendor.wrap(&requirement, artifact, &[5; 32]);
    let name = Text::new("desk").expect("a short name");
    let user_data = Bytes::new(vec![1; 256]).expect("as much as fits");
    let update_commands = update.commands().into_iter().map(|command| match command {
        Command::UpdateBegin { .. } => ("update begin", command),
        Command::UpdateChunk { .. } => ("update chunk", command),
        command => ("update commit", command),
    });
    let others = [
        ("info", Command::Info),
        ("firms", Command::Firms { from: 0 }),
        ("items", Command::Items { firm, after: None }),
        ("context", Command::Context { firm, nonce: Default::default() }),
        ("rename", Command::Rename { op, name }),
        ("receipt", Command::Receipt { firm, seq: 0 }),
        ("introduce", Command::Seat(SeatCommand::Introduce(samples::client()))),
        ("why", Command::Why(requirement)),
        ("item state", Command::ItemState { firm, item }),
        ("seat open", Command::Seat(SeatCommand::Open { op, requirement, artifact })),
        ("heartbeat", Command::Seat(SeatCommand::Heartbeat { handle, n: 1 })),
        ("key release", Command::Seat(SeatCommand::KeyRelease { handle, wrapped, part: 0 })),
        ("reserve", Command::Seat(SeatCommand::Reserve { op, handle, units: 9 })),
        ("account", Command::Seat(SeatCommand::Account { op, handle, used: 5 })),
        ("write user data", Command::WriteUserData { firm, item, bytes: user_data }),
        ("data", Command::Data { firm, item, field: DataField::User, access_code: 0 }),
        ("time nonce", Command::TimeNonce { firm }),
        ("usage head", Command::UsageHead { firm, nonce: Default::default() }),
        ("usage entries", Command::UsageEntries { firm, after: 0 }),
        ("seat close", Command::Seat(SeatCommand::Close { handle })),
        ("configuration", Command::Configuration { firm, after: 0 }),
        ("judge", Command::Judge { requirement, after: None }),
        ("certifier root", Command::CertifierRoot { version: 1 }),
        ("identify", Command::Identify { for_s: 5 }),
    ];
    // The end comes last.
    let end = [
        ("decommission", Command::Decommission),
        ("final statement", Command::FinalStatement { at: 0 }),
    ];
    update_commands.chain(others).chain(trust_commands(vendor)).chain(end).collect()
}

/// The largest revocation, then a right that is handed on, then a root.
fn trust_commands(vendor: &Vendor) -> Vec<(&'static str, Command)> {
    let keys: Vec<_> = (0..20).map(|n| KeyId::new([n; 8])).collect();
    let reseller = vendor.delegate(SCOPE, 0, &mut Dice::new(2));
    let next = vendor.rotated(&Vendor::ROLES, 0, &mut Dice::new(3));
    vec![
        ("revocation", trust(&vendor.revocation(1, &keys, 0))),
        ("delegation", trust(&reseller.chain[0])),
        ("root", trust(next.newest_root())),
    ]
}

/// The state hash that a context tells.
fn state(bench: &mut Bench, vendor: &Vendor) -> [u8; 32] {
    let context = Command::Context { firm: vendor.fp(), nonce: Default::default() };
    let Reply::Context(object) = bench.command(context) else { panic!("no context") };
    let (object, _) = protocol::signed::UnverifiedObject::read(&object, 4096).expect("a context");
    object.header().state
}

#[test]
fn a_command_takes_16_kib_of_heap_whatever_the_number_of_entries_and_firms() {
    let vendor = Vendor::new("Acme", &mut Dice::new(1));
    for (entries, firms) in [(10, 0), (1000, 0), (10, 63)] {
        let mut bench = filled(&vendor, entries, firms);
        let mut most = BTreeMap::new();
        for (name, command) in commands(&vendor, &mut bench, entries) {
            let mut answer = Reply::Done;
            let used = measure(|| answer = bench.command(command));
            let refused = matches!(answer, Reply::Failed(_) | Reply::UpdateRefused { .. });
            assert!(!refused, "{name} is refused: it measures nothing");
            let most = most.entry(name).or_insert(0);
            *most = used.bytes_max.max(*most);
        }
        println!("figure: heap of commands, {entries} entries, {firms} other firms: {most:?}");
        let over: Vec<_> = most.iter().filter(|(_, bytes)| **bytes > COMMAND_HEAP).collect();
        assert!(over.is_empty(), "over {COMMAND_HEAP}: {over:?}");
    }
}

/// Messages and their answers included, as a session sends them.
#[test]
fn a_message_takes_16_kib_of_heap() {
    let vendor = Vendor::new("Acme", &mut Dice::new(1));
    let mut bench = filled(&vendor, 1000, 0);
    let mut request = vec![0; 4096];
    let mut ones = |out: &mut [u8]| {
        out.fill(1);
        Ok(())
    };
    let (initiator, len) =
        protocol::crypto::channel::Initiator::start_nx(&mut ones, &[], &mut request)
            .expect("a fresh buffer");
    // A dongle's buffer for answers is not on its heap.
    let mut answer = Vec::with_capacity(4096);
    let hello = measure(|| bench.engine().message(1, &request[..len], &mut answer));
    let mut transport = initiator.finish(&mut answer).expect("our own dongle").transport;
    let mut most = hello.bytes_max;
    for (name, command) in commands(&vendor, &mut bench, 1000) {
        let mut request = protocol::codec::encode(&command);
        let len = request.len();
        request.resize(len + 16, 0);
        transport.seal(&mut request, len).expect("an open channel");
        let used = measure(|| bench.engine().message(1, &request, &mut answer));
        transport.open(&mut answer).expect("a sealed answer");
        most = most.max(used.bytes_max);
        assert!(used.bytes_max <= COMMAND_HEAP, "{name}: {} bytes", used.bytes_max);
    }
    println!("figure: most heap of a message: {most}");
}

#[test]
fn an_entry_takes_64_bytes_of_ram() {
    let vendor = Vendor::new("Acme", &mut Dice::new(1));
    let (few, many) = (mounted(&vendor, 10), mounted(&vendor, 1000));
    let each = (many - few) / 990;
    println!("figure: RAM: {few} bytes with 10 entries, {many} with 1,000, {each} for each");
    assert!(many - few <= 990 * ENTRY_RAM, "{each} bytes for each entry");
}

/// Bytes that a container holds once it is mounted with this many entries.
fn mounted(vendor: &Vendor, entries: usize) -> u64 {
    let filled = filled(vendor, entries, 0);
    let mut again = Bench::on(filled.flash().clone(), 2, new_keys(1), 1);
    let used = measure(|| again.power_up().expect("flash that was used before"));
    u64::try_from(used.bytes_current).expect("more is taken than freed")
}
