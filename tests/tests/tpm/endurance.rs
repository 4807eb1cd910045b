//! How often the memory of a TPM is written in a year: each commit is one write, and a chip has
//! some hundred thousand.

use engine::{Engine, Pace, Profile, SeatTimes};
use protocol::codec::List;
use protocol::command::{Command, Reply, SeatCommand, SeatReply};
use protocol::ids::{ArtifactId, EntryNumber, Generation, OpId, ProductCode, SeatHandle};
use protocol::objects::device::{AnchorClass, ClockClass};
use protocol::objects::license::{ItemOption, ItemRef, ProductItem};
use protocol::objects::update::UpdateOp;
use strongroom_tests::bench::new_keys;
use strongroom_tests::dice::Dice;
use strongroom_tests::home::{Home, Memory};
use strongroom_tests::vendor::Vendor;
use tpm::command::IDLE_S;

const ITEM: ItemRef = ItemRef { product: ProductCode(7), entry: EntryNumber(0) };
const CHANNEL: u32 = 1;
const DAY_S: u64 = 86_400;
const YEAR_S: u64 = 365 * DAY_S;
/// Writes in a year, at most.
const WRITES_MAX: u64 = 60_000;
/// Signs of life that are rare, so that a year of them is soon over.
const RARE: SeatTimes = SeatTimes { interval_s: 200, timeout_s: 600 };

/// A helper's engine, whose time is moved by hand.
struct Helper {
    engine: Engine<Home<Memory>>,
    vendor: Vendor,
    seats: SeatTimes,
    /// Commands sent.
    sent: u64,
}

impl Helper {
    /// A container with a license, whose helper has just begun.
    fn new(seats: SeatTimes) -> Self {
        let keys = new_keys(1);
        let vendor = Vendor::new("Acme", &mut Dice::of(1, 1));
        let place = vendor.first_place(engine::platform::Keys::id(&*keys));
        let sealing = engine::platform::Keys::sealing_key(&*keys).public();
        let key = vendor.set_key(&sealing, &place, (ITEM.product, Generation(0)));
        let options = List::new(vec![ItemOption::LicenseQuantity(2)]).expect("one option");
        let set = UpdateOp::SetItem(ProductItem { item: ITEM, options });
        let update = vendor.update(&place, &[set, key]);
        let engine = start(Home::new(Memory::default(), keys), seats);
        let mut helper = Helper { engine, vendor, seats, sent: 0 };
        for command in update.commands() {
            let answer = helper.engine.carry_out(CHANNEL, command);
            assert!(matches!(answer, Reply::Done | Reply::Receipt(_)), "an update is refused");
        }
        helper.commits();
        helper
    }

    fn seat(&mut self, command: SeatCommand) -> SeatReply {
        match self.engine.carry_out(CHANNEL, Command::Seat(command)) {
            Reply::Seat(reply) => reply,
            Reply::Failed(failure) => panic!("{}", failure.shown_code()),
            _ => panic!("an answer to something else"),
        }
    }

    fn open(&mut self) -> SeatHandle {
        self.sent += 1;
        let mut op = [0; 16];
        op[..8].copy_from_slice(&self.sent.to_be_bytes());
        let requirement = self.vendor.requirement(ITEM.product);
        let artifact = ArtifactId::default();
        match self.seat(SeatCommand::Open { op: OpId::new(op), requirement, artifact }) {
            SeatReply::Opened(grant) => grant.handle,
            _ => panic!("no seat"),
        }
    }

    /// Signs of life for so long.
    fn beats(&mut self, handle: SeatHandle, for_s: u64) {
        let interval_s = self.seats.interval_s.into();
        for _ in 0..for_s / interval_s {
            self.pass_s(interval_s);
            self.sent += 1;
            self.seat(SeatCommand::Heartbeat { handle, n: self.sent });
        }
    }

    fn pass_s(&mut self, s: u64) {
        self.engine.platform().ticks().pass_ms(s * 1000);
    }

    /// The helper leaves, and somebody starts the next one.
    fn start_again(&mut self) {
        assert_eq!(self.engine.leave(), Ok(true), "nobody needs it");
        let next = self.engine.platform().begin_again();
        self.engine = start(next, self.seats);
    }

    /// Commits since this was asked last.
    fn commits(&mut self) -> u64 {
        self.engine.platform().store.take_calls().commits
    }
}

fn start(home: Home<Memory>, seats: SeatTimes) -> Engine<Home<Memory>> {
    let profile = Profile {
        clock: ClockClass::Host,
        anchor: AnchorClass::Tpm,
        firmware: tpm::home::FIRMWARE,
        seats,
        pace: Pace::Process,
    };
    Engine::start(home, profile).expect("a store in order")
}

/// Commits of a program that runs for so long, with signs of life.
fn in_use(for_s: u64, seats: SeatTimes) -> u64 {
    let mut helper = Helper::new(seats);
    let seat = helper.open();
    helper.beats(seat, for_s);
    helper.commits()
}

#[test]
fn a_program_that_never_ends_wears_a_tpm_out_in_no_year() {
    let commits = in_use(YEAR_S, RARE);
    println!("figure: a program that never ends: {commits} writes in a year");
    assert!((YEAR_S / 600 - 10..=WRITES_MAX).contains(&commits), "{commits}");
    // It does not depend on how often signs of life come.
    assert_eq!(in_use(DAY_S, SeatTimes::default()), in_use(DAY_S, RARE));
}

/// The helper leaves each time as soon as it may, and is started by the next use at once.
#[test]
fn a_program_that_comes_and_goes_wears_a_tpm_out_in_no_year() {
    for use_s in [0, 600, 3600] {
        let mut helper = Helper::new(RARE);
        for _ in 0..YEAR_S / (use_s + IDLE_S) {
            let seat = helper.open();
            helper.beats(seat, use_s);
            helper.seat(SeatCommand::Close { handle: seat });
            helper.pass_s(IDLE_S);
            helper.start_again();
        }
        let commits = helper.commits();
        println!("figure: {use_s} s at a time: {commits} writes in a year");
        assert!((1..=WRITES_MAX).contains(&commits), "{use_s} s at a time: {commits}");
    }
}

/// The machine is started every day, and the program runs as long as it.
#[test]
fn a_machine_that_is_started_every_day_wears_its_tpm_out_in_no_year() {
    let mut helper = Helper::new(RARE);
    for _ in 0..YEAR_S / DAY_S {
        let seat = helper.open();
        helper.beats(seat, DAY_S);
        helper.seat(SeatCommand::Close { handle: seat });
        helper.start_again();
    }
    let commits = helper.commits();
    println!("figure: started every day: {commits} writes in a year");
    assert!((YEAR_S / 600..=WRITES_MAX).contains(&commits), "{commits}");
}
