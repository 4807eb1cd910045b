//! What is refused changes nothing: random licenses, every command that can be refused.

use std::collections::{BTreeMap, BTreeSet};

use protocol::codec::{Bytes, Fixed, Text};
use protocol::command::{Command, Reply, SeatCommand, SeatReply};
use protocol::errors::ErrorCode;
use protocol::ids::{ArtifactId, EntryNumber, Generation, ProductCode, RootFp, SeatHandle};
use protocol::ids::{ContainerId, SeatToken};
use protocol::objects::artifact::WrappedKey;
use protocol::objects::block::{BlockWay, KeySource};
use protocol::objects::data::{DataContent, DataField};
use protocol::objects::license::{
    AccessMode, Checkpoint, Client, Country, ItemOption, ItemRef, LostUnits, Modes, Period,
    ProductItem, Requirement, Status, TimeRule, UnitRule, Version,
};
use protocol::objects::update::{ProductRange, UnitsChange, UpdateOp};
use protocol::signed::{Header, Kind, Role};
use strongroom_tests::dice::Dice;
use strongroom_tests::trust::SCOPE;
use strongroom_tests::vendor::{NOW_S, Place, Update, Vendor, trust};

use crate::license::{ITEM, Licensed, entry, op};

/// Something to be sent that may be refused.
enum Attempt {
    Command(&'static str, Command),
    Update(Box<Update>),
}

#[test]
fn what_is_refused_leaves_every_byte_as_it_was() {
    let worlds = if std::env::var_os("STRONGROOM_SOAK").is_some() { 2_000 } else { 60 };
    let mut seen: BTreeMap<&'static str, BTreeSet<u16>> = BTreeMap::new();
    let mut refused = 0;
    for n in 0..worlds {
        let mut dice = Dice::new(70_000 + n);
        let mut made = world(&mut dice);
        for step in 0..60 {
            let attempt = draw(&mut made, step, &mut dice);
            refused += u64::from(try_it(&mut made, attempt, &mut seen));
        }
    }
    let codes: BTreeSet<u16> = seen.values().flatten().copied().collect();
    println!("figure: {refused} refusals, {} codes, nothing changed", codes.len());
    assert_eq!(seen.len(), 29, "a command was never refused: {:?}", seen.keys());
    assert!(codes.len() >= 42, "only {} codes: {codes:x?}", codes.len());
}

/// Whether it was refused.
fn try_it(
    made: &mut Licensed,
    attempt: Attempt,
    seen: &mut BTreeMap<&'static str, BTreeSet<u16>>,
) -> bool {
    // What a seat that ended before leaves to be written is written with the next command.
    made.bench.command(Command::Info);
    let (before, firms) = (made.bench.records(), made.bench.firm_records());
    let (name, reply) = match attempt {
        Attempt::Command(name, command) => (name, made.bench.command(command)),
        Attempt::Update(update) => ("update", made.bench.apply(&update)),
    };
    let failure = match reply {
        Reply::Failed(failure) | Reply::UpdateRefused { failure, .. } => failure,
        Reply::Seat(SeatReply::Opened(grant)) => {
            // Held by some, so that reservations and keys are asked for.
            if grant.handle.0 % 2 == 0 {
                let close = SeatCommand::Close { handle: grant.handle };
                made.bench.command(Command::Seat(close));
            }
            return false;
        }
        _ => return false,
    };
    seen.entry(name).or_default().insert(failure.code);
    let code = failure.known().expect("a known number");
    match name {
        // Its chunks were staged, and each is a commit of its own; they belong to no firm.
        "update" => assert_eq!(made.bench.firm_records(), firms, "{code:?}"),
        _ => assert_eq!(made.bench.records(), before, "{name}: {code:?}"),
    }
    true
}

/// A dongle with a random license, units, data and a bit of a log.
fn world(dice: &mut Dice) -> Licensed {
    let options = loop {
        let mut options: Vec<ItemOption> =
            options().into_iter().filter(|_| dice.one_in(6)).collect();
        let rule = UnitRule { reserve_max: 5, lost: LostUnits::Held };
        options.push(ItemOption::UnitCounter(rule));
        options.sort_by_key(ItemOption::kind);
        if entry(options.clone()).check().is_ok() {
            break options;
        }
    };
    let mut made = Licensed::new(vec![ItemOption::UnitCounter(UnitRule {
        reserve_max: 5,
        lost: LostUnits::Held,
    })]);
    let add = UpdateOp::Units { item: ITEM, change: UnitsChange::Add(1 + dice.below(12) as u64) };
    let field = DataField::Protected;
    let content = DataContent::Plain(Bytes::new(vec![7; 20]).expect("short"));
    assert!(matches!(
        made.apply(&[add, UpdateOp::SetData { item: ITEM, field, content }]),
        Reply::Receipt(_)
    ));
    let requirement = Requirement { units: 1, ..made.requirement(0) };
    let first = SeatCommand::Open { op: op(1), requirement, artifact: ArtifactId::default() };
    made.bench.command(Command::Seat(first));
    made.set(options);
    made
}

fn options() -> Vec<ItemOption> {
    let checkpoint = Checkpoint { lapse_s: NOW_S + 2, period_s: 900, renew_s: 300, grace_s: 100 };
    vec![
        ItemOption::FeatureMap(5),
        ItemOption::LicenseQuantity(2),
        ItemOption::ActivationTime(NOW_S + 1000),
        ItemOption::ExpirationTime(NOW_S + 1),
        ItemOption::DeniedModes(Modes(0b0010)),
        ItemOption::MinimumRuntime(Version(5)),
        ItemOption::MaintenancePeriod(Period { from_s: 1000, until_s: 2000 }),
        ItemOption::UsagePeriod(1),
        ItemOption::Checkpoint(checkpoint),
        ItemOption::NamedUser(Text::new("anna").expect("short")),
        ItemOption::Region(protocol::codec::List::new(vec![Country(*b"AT")]).expect("one")),
        ItemOption::Status(Status::Suspended),
        ItemOption::TimeRule(TimeRule::FreshToken),
        ItemOption::NamedUserKey(Fixed([2; 33])),
    ]
}

fn draw(made: &mut Licensed, step: u64, dice: &mut Dice) -> Attempt {
    // That of the seat of number 1, or none.
    let (firm, handle) = (made.fp(), SeatHandle(dice.below(2) as u32 * 0x0100_0000));
    let other = ItemRef { entry: EntryNumber(9), ..ITEM };
    let nobody = RootFp::new([0xee; 16]);
    let number = op(step << 8 | 0xff);
    let seat = |name, command| Attempt::Command(name, Command::Seat(command));
    match dice.below(30) {
        0 | 1 => {
            let requirement = requirement(made, dice);
            let artifact = ArtifactId::default();
            seat("open", SeatCommand::Open { op: number, requirement, artifact })
        }
        2 => Attempt::Command("why", Command::Why(requirement(made, dice))),
        3 => seat("introduce", SeatCommand::Introduce(client(dice))),
        4 => seat("join", SeatCommand::Join { op: number, token: SeatToken::new([5; 16]) }),
        5 => {
            let wrapped = WrappedKey { salt: Fixed([3; 16]), ciphertext: Fixed([4; 48]) };
            seat("key release", SeatCommand::KeyRelease { handle, wrapped, part: 1 })
        }
        6 => {
            let units = dice.below(8) as u32;
            seat("reserve", SeatCommand::Reserve { op: number, handle, units })
        }
        7 => seat("account", SeatCommand::Account { op: op(99), handle, used: 3 }),
        8 => {
            let field = [DataField::Secret(1), DataField::Hidden(1), DataField::Hidden(200)];
            let field = field[dice.below(3)];
            let data = Command::Data { firm, item: ITEM, field, access_code: 7 };
            Attempt::Command("data", data)
        }
        9 => {
            let bytes = Bytes::new(vec![1; 30]).expect("short");
            let write = Command::WriteUserData { firm, item: other, bytes };
            Attempt::Command("user data", write)
        }
        10 => Attempt::Command("receipt", Command::Receipt { firm, seq: 99 }),
        11 => Attempt::Command("item state", Command::ItemState { firm, item: other }),
        12 => Attempt::Command("items", Command::Items { firm: nobody, after: None }),
        13 => Attempt::Command("usage entries", Command::UsageEntries { firm: nobody, after: 0 }),
        14 => {
            let head = Command::UsageHead { firm: nobody, nonce: Fixed([1; 32]) };
            Attempt::Command("usage head", head)
        }
        15 => Attempt::Command("nonce", Command::TimeNonce { firm: nobody }),
        16 => Attempt::Command("token", token(made, dice)),
        17 => Attempt::Command("ack", ack(made, dice)),
        18 => Attempt::Command("trust", wrong_trust(made, dice)),
        19 => {
            let prove = Command::ProveUser { key: Fixed([2; 33]), signature: Fixed([3; 64]) };
            Attempt::Command("prove user", prove)
        }
        20 => {
            let bytes = Bytes::new(vec![1; 10]).expect("short");
            Attempt::Command("chunk", Command::UpdateChunk { offset: 3, bytes })
        }
        21 => match dice.one_in(2) {
            true => Attempt::Command("commit", Command::UpdateCommit),
            false => Attempt::Command("abort", Command::UpdateAbort),
        },
        22..25 => of_a_seat(handle, dice),
        25..29 => of_a_container(made, dice),
        _ => Attempt::Update(Box::new(wrong_update(made, dice))),
    }
}

/// What only a seat may ask, of one that is open, is not, or never was.
fn of_a_seat(handle: SeatHandle, dice: &mut Dice) -> Attempt {
    let never = SeatHandle(9_999);
    match dice.below(3) {
        0 => {
            let heartbeat = SeatCommand::Heartbeat { handle: never, n: 1 };
            Attempt::Command("heartbeat", Command::Seat(heartbeat))
        }
        1 => {
            let (source, way) = (KeySource::Hidden(200), BlockWay::Decrypt);
            let handle = if dice.one_in(2) { handle } else { never };
            let bytes = Bytes::new(vec![1; 40]).expect("short");
            Attempt::Command("block", Command::Block { handle, source, way, bytes })
        }
        _ => {
            let prove = Command::Prove { handle: never, challenge: Fixed([1; 32]), purpose: 1 };
            Attempt::Command("prove", prove)
        }
    }
}

/// What asks for a container or its configuration as a whole.
fn of_a_container(made: &Licensed, dice: &mut Dice) -> Attempt {
    let nobody = RootFp::new([0xee; 16]);
    match dice.below(4) {
        0 => Attempt::Command("identify", Command::Identify { for_s: 200 }),
        1 => Attempt::Command("final statement", Command::FinalStatement { at: 0 }),
        2 => {
            let command = Command::Configuration { firm: nobody, after: 0 };
            Attempt::Command("configuration", command)
        }
        _ => {
            let requirement = Requirement { root_fp: nobody, ..made.requirement(0) };
            Attempt::Command("judge", Command::Judge { requirement, after: None })
        }
    }
}

fn requirement(made: &Licensed, dice: &mut Dice) -> Requirement {
    let modes = [
        AccessMode::UserLimit,
        AccessMode::StationShare,
        AccessMode::Exclusive,
        AccessMode::NoUserLimit,
    ];
    let product = if dice.one_in(12) { ProductCode(8) } else { ITEM.product };
    let root_fp = if dice.one_in(12) { RootFp::new([0xee; 16]) } else { made.fp() };
    Requirement {
        root_fp,
        product,
        features: [0, 0, 0, 4, 6][dice.below(5)],
        units: [0, 1, 20][dice.below(3)],
        release_s: [0, 999, 1500, 1500, 2000][dice.below(5)],
        access: modes[dice.below(4)],
        certified_age_s: if dice.one_in(10) { 1 } else { 0 },
        generation: Generation(u16::from(dice.one_in(6))),
    }
}

fn client(dice: &mut Dice) -> Client {
    let mut client = strongroom_tests::samples::client();
    if dice.one_in(4) {
        client.station = Fixed::default();
    }
    if dice.one_in(6) {
        client.user = Fixed::default();
    }
    if dice.one_in(6) {
        client.market = Country(*b"DE");
    }
    if dice.one_in(6) {
        client.runtime = Version(1);
    }
    client
}

/// A token that answers nothing, is not signed by the right key, or names an earlier time.
fn token(made: &mut Licensed, dice: &mut Dice) -> Command {
    match dice.below(3) {
        0 => made.token([9; 32], NOW_S + 100),
        1 => {
            let nonce = made.nonce();
            made.token(nonce, 5)
        }
        _ => {
            let body = protocol::codec::encode(&(NOW_S, 1_u32));
            let header = made.header(Kind::TimeToken, &body);
            made.signed(header, Role::Log, &body, Command::TimeToken)
        }
    }
}

fn ack(made: &Licensed, dice: &mut Dice) -> Command {
    let header = made.header(Kind::UsageAck, &[]);
    let (seq, role) = [(500, Role::Log), (1, Role::Log), (1, Role::Time)][dice.below(3)];
    made.signed(Header { seq, state: [8; 32], ..header }, role, &[], Command::UsageAck)
}

fn wrong_trust(made: &Licensed, dice: &mut Dice) -> Command {
    let vendor = &made.vendor;
    let mut of_ours = match dice.below(5) {
        0 => return trust(&[1; 40]),
        1 => return trust(&vendor.root_object),
        2 => {
            let mut dice = Dice::new(4);
            let other = Vendor::new("Other", &mut dice).rotated(&[Role::Root], 0, &mut dice);
            return trust(other.newest_root());
        }
        3 => vendor.revocation(1, &[vendor.key(Role::Log).verifying_key().id()], 0),
        _ => vendor.delegate(SCOPE, NOW_S + 1000, dice).chain.remove(0),
    };
    let last = of_ours.len() - 1;
    of_ours[last] ^= 1;
    trust(&of_ours)
}

/// An update that is refused, be it before its first operation or after its last but one.
fn wrong_update(made: &Licensed, dice: &mut Dice) -> Update {
    let (vendor, place) = (&made.vendor, made.place());
    let nop = [UpdateOp::Nop];
    let good = UpdateOp::SetItem(entry(vec![ItemOption::FeatureMap(dice.number())]));
    let unknown = ItemRef { entry: EntryNumber(9), ..ITEM };
    let half = |bad| vendor.update(&place, &[good.clone(), bad]);
    match dice.below(13) {
        0 => vendor.update(&Place { seq: place.seq - 1, ..place }, &nop),
        1 => vendor.update(&Place { seq: place.seq + 1, ..place }, &nop),
        2 => vendor.update(&Place { state: [1; 32], ..place }, &nop),
        3 => vendor.update(&Place { container: ContainerId::new([1; 16]), ..place }, &nop),
        4 => {
            let update = vendor.update(&place, &nop);
            let (header, proof) = vendor.sign(update.header, Role::Protect);
            Update { header, proof, ..update }
        }
        5 => {
            let update = vendor.update(&place, &nop);
            let header = Header { until_s: 1, ..update.header };
            let (header, proof) = vendor.sign(header, Role::Licensing);
            Update { header, proof, ..update }
        }
        6 => half(UpdateOp::RemoveKey { product: unknown.product, generation: Generation(0) }),
        7 => half(UpdateOp::Units { item: ITEM, change: UnitsChange::Remove(1 << 40) }),
        8 => half(UpdateOp::Units { item: ITEM, change: UnitsChange::Add(u64::MAX) }),
        9 => {
            let elsewhere = Place { seq: place.seq + 1, ..place };
            let to = made.bench.sealing_key();
            half(vendor.set_key(&to, &elsewhere, (ITEM.product, Generation(3))))
        }
        10 => half(UpdateOp::Perpetuate(ProductRange { first: ITEM.product, last: ITEM.product })),
        11 => {
            let options = vec![ItemOption::ModuleOf(unknown)];
            let options = protocol::codec::List::new(options).expect("one");
            let item = ItemRef { entry: EntryNumber(3), ..ITEM };
            half(UpdateOp::SetItem(ProductItem { item, options }))
        }
        _ => {
            let update = half(UpdateOp::Nop);
            let mut body = update.body.clone();
            let at = dice.below(body.len());
            body[at] ^= 1 << dice.below(8);
            Update { body, ..update }
        }
    }
}

/// A command is not paid for by another one: by one that paid less, by one that only gave back, or
/// by one that is long forgotten by those who began later.
#[test]
fn sec_k10_a_command_pays_for_its_own_use_alone() {
    let rule = UnitRule { reserve_max: 5, lost: LostUnits::Held };
    let mut made = Licensed::new(vec![ItemOption::UnitCounter(rule)]);
    let add = UpdateOp::Units { item: ITEM, change: UnitsChange::Add(100) };
    assert!(matches!(made.apply(&[add]), Reply::Receipt(_)));
    let Ok(SeatReply::Opened(grant)) = made.open(1, op(1), 1) else { panic!("no seat") };
    let handle = grant.handle;
    let reserve = SeatCommand::Reserve { op: op(2), handle, units: 1 };
    assert!(made.seat(1, reserve).is_ok());
    assert!(made.seat(1, SeatCommand::Account { op: op(2), handle, used: 0 }).is_ok());
    assert_eq!(made.open(2, op(2), 5).err(), Some(ErrorCode::SeatUnknown));
    made.power_cycle();
    assert_eq!(made.open(2, op(2), 5).err(), Some(ErrorCode::SeatUnknown));
    assert_eq!(made.open(2, op(1), 5).err(), Some(ErrorCode::SeatUnknown), "it paid one unit");
    assert_eq!(made.state().units.map(|units| units.left), Some(99));
    // After the power cut the one that paid begins again, once: closed, it is over.
    let Ok(SeatReply::Opened(grant)) = made.open(3, op(1), 1) else { panic!("no seat") };
    assert!(made.seat(3, SeatCommand::Close { handle: grant.handle }).is_ok());
    assert_eq!(made.open(3, op(1), 1).err(), Some(ErrorCode::SeatUnknown));
    assert_eq!(made.state().units.map(|units| units.left), Some(99));
    another_firm_makes_it_forget(made);
}

/// However many uses of another firm are paid for meanwhile.
fn another_firm_makes_it_forget(made: Licensed) {
    let Licensed { bench, vendor, .. } = made;
    let rule = UnitRule { reserve_max: 5, lost: LostUnits::Held };
    let mut other = Licensed::on_other(bench, vec![ItemOption::UnitCounter(rule)]);
    let add = UpdateOp::Units { item: ITEM, change: UnitsChange::Add(100) };
    assert!(matches!(other.apply(&[add]), Reply::Receipt(_)));
    for n in 0..40 {
        let Ok(SeatReply::Opened(grant)) = other.open(9, op(1000 + n), 1) else { panic!("none") };
        assert!(other.seat(9, SeatCommand::Close { handle: grant.handle }).is_ok());
    }
    let requirement = Requirement { units: 1, ..vendor.requirement(ITEM.product) };
    let again = SeatCommand::Open { op: op(1), requirement, artifact: ArtifactId::default() };
    assert_eq!(other.seat(10, again).err(), Some(ErrorCode::SeatUnknown));
}
