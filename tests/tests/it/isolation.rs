//! Two firms in one container: whatever is done to one, the other stays as it was and sees the
//! same.

use protocol::codec::{self, Bytes, Fixed, Text};
use protocol::command::{Command, Reply, SeatCommand, SeatReply};
use protocol::errors::ErrorCode;
use protocol::ids::{ArtifactId, Generation, RootFp, SeatHandle};
use protocol::limits::{ACCESS_CODE_TRIES, STATEMENT_BODY_LEN_MAX};
use protocol::objects::artifact::WrappedKey;
use protocol::objects::block::{BlockWay, KeySource};
use protocol::objects::data::{DataContent, DataField};
use protocol::objects::license::{ItemOption, LostUnits, Requirement, UnitRule};
use protocol::objects::update::{UnitsChange, UpdateOp};
use protocol::signed::{Header, Kind, Role, UnverifiedObject};
use strongroom_tests::bench::Bench;
use strongroom_tests::samples;
use strongroom_tests::vendor::{NOW_S, trust};

use crate::license::{ITEM, Licensed, entry, op};

/// A channel that neither the bench nor the other firm's programs use.
const CHANNEL: u32 = 77;

/// One firm is used; the other is watched.
struct Two {
    used: Licensed,
    watched: RootFp,
}

fn two() -> Two {
    let mut watched = firm(Licensed::on(Bench::new(1), "Watched", options()));
    let opened = watched.open(CHANNEL, op(7), 1);
    assert!(opened.is_ok());
    let fp = watched.fp();
    let user = Bytes::new(vec![9; 9]).expect("short");
    let write = Command::WriteUserData { firm: fp, item: ITEM, bytes: user };
    assert!(watched.bench.command(write) == Reply::Done);
    Two { used: firm(Licensed::on_other(watched.bench, options())), watched: fp }
}

fn options() -> Vec<ItemOption> {
    let rule = UnitRule { reserve_max: 5, lost: LostUnits::Held };
    vec![
        ItemOption::LicenseQuantity(3),
        ItemOption::UsagePeriod(1_000_000),
        ItemOption::UnitCounter(rule),
    ]
}

/// Gives a firm units and data.
fn firm(mut made: Licensed) -> Licensed {
    let add = UpdateOp::Units { item: ITEM, change: UnitsChange::Add(100) };
    let content = DataContent::Plain(Bytes::new(vec![7; 20]).expect("short"));
    let data = UpdateOp::SetData { item: ITEM, field: DataField::Protected, content };
    let hidden = hidden_data(&made);
    assert!(matches!(made.apply(&[add, data, hidden]), Reply::Receipt(_)));
    made
}

fn hidden_data(made: &Licensed) -> UpdateOp {
    made.sealed_data(DataField::Hidden(1), 7, &[5; 12])
}

/// A new seat.
fn opened(made: &mut Licensed, n: u64) -> SeatHandle {
    match made.open(5, op(n << 8), 1) {
        Ok(SeatReply::Opened(grant)) => grant.handle,
        _ => panic!("no seat"),
    }
}

/// All that a firm is shown, without signatures: context, receipts, its row among the firms,
/// entries, state, data, log, and why.
fn shown(bench: &mut Bench, firm: RootFp) -> Vec<Vec<u8>> {
    let requirement = Requirement { root_fp: firm, units: 1, ..samples::requirement() };
    let requirement = Requirement { product: ITEM.product, features: 0, ..requirement };
    let data = |field, access_code| Command::Data { firm, item: ITEM, field, access_code };
    let mut commands = vec![
        Command::Context { firm, nonce: Fixed([8; 32]) },
        Command::Items { firm, after: None },
        Command::Configuration { firm, after: 0 },
        Command::Judge { requirement, after: None },
        Command::ItemState { firm, item: ITEM },
        data(DataField::User, 0),
        data(DataField::Protected, 0),
        data(DataField::Hidden(1), 7),
        Command::UsageHead { firm, nonce: Fixed([8; 32]) },
        Command::UsageEntries { firm, after: 0 },
        Command::Why(requirement),
        Command::Why(Requirement { certified_age_s: 0, generation: Generation(0), ..requirement }),
    ];
    commands.extend((0..4).map(|seq| Command::Receipt { firm, seq }));
    let mut seen: Vec<Vec<u8>> =
        commands.into_iter().map(|command| unsigned(bench.command(command))).collect();
    let Reply::Firms(firms) = bench.command(Command::Firms { from: 0 }) else { panic!("no list") };
    seen.extend(firms.iter().filter(|row| row.root_fp == firm).map(codec::encode));
    seen
}

/// A reply; of a signed object what is signed.
fn unsigned(reply: Reply) -> Vec<u8> {
    let object = match &reply {
        Reply::Context(object) | Reply::Receipt(object) | Reply::UsageHead(object) => object,
        _ => return codec::encode(&reply),
    };
    let (object, _) = UnverifiedObject::read(object, STATEMENT_BODY_LEN_MAX).expect("an object");
    let body = object.body_if_intact().expect("its own body").to_vec();
    [object.header().preimage().to_vec(), body].concat()
}

/// The records of the firm in the first slot.
fn records_of_watched(bench: &mut Bench) -> Vec<(u64, Vec<u8>)> {
    bench.firm_records().into_iter().filter(|(key, _)| key >> 48 & 0xff == 0).collect()
}

/// Every command there is, as the other firm's program, vendor and owner send it: a new one fails
/// here until somebody thought of it. Told is whether it has to succeed.
fn sent(command: &Command, two: &mut Two, n: u64) -> (Command, bool) {
    let made = &mut two.used;
    let firm = made.fp();
    let nonce = Fixed([1; 32]);
    match command {
        Command::Seat(seat) => seat_sent(seat, made, n),
        Command::Info => (Command::Info, true),
        Command::Firms { .. } => (Command::Firms { from: 1 }, true),
        Command::Items { .. } => (Command::Items { firm, after: None }, true),
        Command::Context { .. } => (Command::Context { firm, nonce }, true),
        Command::Rename { .. } => {
            (Command::Rename { op: op(n), name: Text::new("desk").expect("short") }, true)
        }
        Command::UpdateBegin { .. } => (update_part(made, 0), true),
        Command::UpdateChunk { .. } => (update_part(made, 1), true),
        Command::UpdateCommit => (update_part(made, 2), true),
        Command::UpdateAbort => {
            let begin = update_part(made, 0);
            assert!(made.bench.engine().carry_out(5, begin) == Reply::Done);
            (Command::UpdateAbort, true)
        }
        Command::Receipt { .. } => (Command::Receipt { firm, seq: 0 }, true),
        Command::Why(_) => (Command::Why(made.requirement(1)), true),
        Command::ItemState { .. } => (Command::ItemState { firm, item: ITEM }, true),
        Command::Data { .. } => {
            let field = DataField::Hidden(1);
            (Command::Data { firm, item: ITEM, field, access_code: 8 }, false)
        }
        Command::WriteUserData { .. } => {
            let bytes = Bytes::new(vec![n as u8; 40]).expect("short");
            (Command::WriteUserData { firm, item: ITEM, bytes }, true)
        }
        Command::TimeNonce { .. } => (Command::TimeNonce { firm }, true),
        Command::TimeToken(_) => {
            let nonce = made.nonce();
            (made.token(nonce, NOW_S + 1_000_000 * n), true)
        }
        Command::UsageHead { .. } => (Command::UsageHead { firm, nonce }, true),
        Command::UsageEntries { .. } => (Command::UsageEntries { firm, after: 0 }, true),
        Command::UsageAck(_) => {
            let header = Header { state: head(made), ..made.header(Kind::UsageAck, &[]) };
            let header = Header { seq: 1, ..header };
            (made.signed(header, Role::Log, &[], Command::UsageAck), true)
        }
        Command::ProveUser { key, signature } => {
            (Command::ProveUser { key: *key, signature: *signature }, false)
        }
        Command::Trust { .. } => {
            let (key, epoch) = (made.vendor.key(Role::Protect).verifying_key().id(), n as u32 + 1);
            (trust(&made.vendor.revocation(epoch, &[key], 0)), true)
        }
        Command::Block { .. } => {
            let (handle, bytes) = (opened(made, n), Bytes::new(vec![1; 40]).expect("short"));
            let (source, way) = (KeySource::ItemKey, BlockWay::Encrypt);
            (Command::Block { handle, source, way, bytes }, true)
        }
        Command::Prove { .. } => {
            let (handle, challenge) = (opened(made, n), Fixed([1; 32]));
            (Command::Prove { handle, challenge, purpose: 1 }, true)
        }
        // There is no PIN yet.
        Command::Key(command) => (Command::Key(command.clone()), false),
        Command::EnterPin(pin) => (Command::EnterPin(pin.clone()), false),
        Command::SetPin { pin, recovery, .. } => {
            (Command::SetPin { pin: pin.clone(), recovery: *recovery, forgotten: None }, true)
        }
        command => of_a_container(command, made),
    }
}

/// What asks for a container and its configuration as a whole.
fn of_a_container(command: &Command, made: &Licensed) -> (Command, bool) {
    match command {
        Command::Identify { for_s } => (Command::Identify { for_s: *for_s }, true),
        // Decommissioning ends all firms alike: `retire.rs` shows what each of them gets.
        Command::Decommission => (Command::Info, true),
        Command::FinalStatement { .. } => (Command::FinalStatement { at: 0 }, false),
        Command::Configuration { .. } => {
            (Command::Configuration { firm: made.fp(), after: 0 }, true)
        }
        Command::Judge { .. } => {
            (Command::Judge { requirement: made.requirement(1), after: None }, true)
        }
        // A maker certified it.
        Command::CertifierRoot { version } => (Command::CertifierRoot { version: *version }, true),
        _ => panic!("a command without a case"),
    }
}

/// The head of the log after its first entry.
fn head(made: &mut Licensed) -> [u8; 32] {
    let firm = made.fp();
    let page = made.bench.command(Command::UsageEntries { firm, after: 0 });
    let Reply::UsageEntries(page) = page else { panic!("no entries") };
    let object = made.bench.command(Command::UsageHead { firm, nonce: Fixed([1; 32]) });
    let Reply::UsageHead(object) = object else { panic!("no head") };
    let (object, _) = UnverifiedObject::read(&object, STATEMENT_BODY_LEN_MAX).expect("an object");
    let body = object.body_if_intact().expect("its own body");
    let body: protocol::objects::usage::UsageHeadBody =
        codec::decode(body, STATEMENT_BODY_LEN_MAX).expect("a body");
    assert_eq!(body.acked_seq, 0);
    protocol::objects::usage::chain(body.acked_head.0, 0, &page)[0].head
}

/// A seat command, with the seat that it needs.
fn seat_sent(command: &SeatCommand, made: &mut Licensed, n: u64) -> (Command, bool) {
    let mut opened = || match made.open(5, op(n << 8), 1) {
        Ok(SeatReply::Opened(grant)) => grant,
        other => panic!("no seat: {:?}", other.err()),
    };
    let (command, succeeds) = match command {
        SeatCommand::Open { .. } => {
            let (requirement, artifact) = (made.requirement(1), ArtifactId::default());
            (SeatCommand::Open { op: op(n << 8 | 1), requirement, artifact }, true)
        }
        SeatCommand::Join { .. } => {
            (SeatCommand::Join { op: op(n << 8 | 2), token: opened().token }, true)
        }
        SeatCommand::Heartbeat { .. } => {
            (SeatCommand::Heartbeat { handle: opened().handle, n: 1 }, true)
        }
        SeatCommand::Close { .. } => (SeatCommand::Close { handle: opened().handle }, true),
        SeatCommand::KeyRelease { .. } => {
            let (handle, requirement) = (opened().handle, made.requirement(1));
            let wrapped: WrappedKey =
                made.vendor.wrap(&requirement, ArtifactId::default(), &[1; 32]);
            (SeatCommand::KeyRelease { handle, wrapped, part: 1 }, true)
        }
        SeatCommand::Introduce(client) => (SeatCommand::Introduce(*client), true),
        SeatCommand::HostTime(_) => (SeatCommand::HostTime(NOW_S * 2), true),
        SeatCommand::Reserve { .. } => {
            let handle = opened().handle;
            (SeatCommand::Reserve { op: op(n << 8 | 3), handle, units: 2 }, true)
        }
        SeatCommand::Account { .. } => {
            let handle: SeatHandle = opened().handle;
            let reserve = SeatCommand::Reserve { op: op(n << 8 | 4), handle, units: 2 };
            assert!(made.seat(5, reserve).is_ok());
            (SeatCommand::Account { op: op(n << 8 | 4), handle, used: 1 }, true)
        }
        _ => panic!("a seat command without a case"),
    };
    (Command::Seat(command), succeeds)
}

/// The last command of an update's beginning, middle or end; the others are sent.
fn update_part(made: &mut Licensed, part: usize) -> Command {
    let place = made.place();
    let update = made.vendor.update(&place, &[UpdateOp::SetItem(entry(options()))]);
    let mut commands = update.commands();
    assert_eq!(commands.len(), 3);
    commands.truncate(part + 1);
    let last = commands.pop().expect("a part");
    for command in commands {
        assert!(made.bench.engine().carry_out(5, command) == Reply::Done);
    }
    last
}

/// For each command: the other firm's whole view and all of its records are the same before and
/// after, though the command did what it is for.
#[test]
fn no_command_for_one_firm_is_seen_or_felt_by_another() {
    for (n, sample) in samples::commands().iter().enumerate() {
        let mut two = two();
        // The used one has a log whose first entry can be acknowledged.
        assert!(two.used.open(6, op(3), 1).is_ok());
        let shown_before = shown(&mut two.used.bench, two.watched);
        let records_before = records_of_watched(&mut two.used.bench);
        let (command, succeeds) = sent(sample, &mut two, n as u64 + 10);
        let name = format!("command {:?}", &variant(&command));
        let reply = two.used.bench.engine().carry_out(5, command);
        let failed = matches!(reply, Reply::Failed(_) | Reply::UpdateRefused { .. });
        assert_eq!(failed, !succeeds, "{name}: {:?}", code(&reply));
        assert!(shown(&mut two.used.bench, two.watched) == shown_before, "{name} is seen");
        assert_eq!(records_of_watched(&mut two.used.bench), records_before, "{name} is felt");
    }
}

/// The numbers of a command, and of a seat command in it.
fn variant(command: &Command) -> Vec<u8> {
    let encoded = codec::encode(command);
    encoded[..if encoded[0] == 0 { 2 } else { 1 }].to_vec()
}

/// Whether a command of these numbers can be decoded at all: zeros are a value of every field.
fn exists(numbers: &[u8]) -> bool {
    (0..300).any(|len| {
        let bytes = [numbers, &vec![0; len]].concat();
        codec::decode::<Command>(&bytes, bytes.len()).is_ok()
    })
}

#[test]
fn the_samples_hold_every_command() {
    let known: Vec<Vec<u8>> = samples::commands().iter().map(variant).collect();
    let seats = (0..100).map(|n| vec![0, n]);
    for numbers in seats.chain((1..100).map(|n| vec![n])) {
        assert_eq!(known.contains(&numbers), exists(&numbers), "command {numbers:?}");
    }
}

fn code(reply: &Reply) -> Option<ErrorCode> {
    match reply {
        Reply::Failed(failure) | Reply::UpdateRefused { failure, .. } => failure.known(),
        _ => None,
    }
}

/// Wrong codes for one firm's hidden data shut that of no other.
#[test]
fn wrong_access_codes_shut_the_data_of_their_own_firm_alone() {
    let Two { mut used, watched } = two();
    let (firm, field) = (used.fp(), DataField::Hidden(1));
    let ask = |bench: &mut Bench, firm, access_code| {
        bench.command(Command::Data { firm, item: ITEM, field, access_code })
    };
    for _ in 0..ACCESS_CODE_TRIES {
        assert!(matches!(ask(&mut used.bench, firm, 8), Reply::Failed(_)));
    }
    assert!(matches!(ask(&mut used.bench, firm, 7), Reply::Failed(_)), "its own is shut");
    assert!(matches!(ask(&mut used.bench, watched, 7), Reply::Data(_)), "the other's is not");
}

/// The other firm leaves nothing of its own to the first: neither a power cut nor removal.
#[test]
fn one_firm_is_the_same_when_another_removes_everything() {
    let mut two = two();
    let before = shown(&mut two.used.bench, two.watched);
    let records = records_of_watched(&mut two.used.bench);
    let gone = two.used.apply(&[UpdateOp::RemoveItem(ITEM)]);
    assert!(matches!(gone, Reply::Receipt(_)));
    assert!(shown(&mut two.used.bench, two.watched) == before);
    two.used.power_cycle();
    assert_eq!(records_of_watched(&mut two.used.bench), records);
}
