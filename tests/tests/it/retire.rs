//! A container is retired for good: what is left, what is refused, and what each firm gets.

use engine::platform::Keys;
use engine::{Circumstances, Question, Stage, evaluate};
use protocol::codec::{self, Bytes, Fixed, Text};
use protocol::command::{Command, KeyCommand, KeyUsage, Reply, SeatCommand, SeatReply};
use protocol::crypto::ecdsa::VerifyingKey;
use protocol::crypto::hash::sha256;
use protocol::errors::ErrorCode;
use protocol::ids::{ArtifactId, Generation, KeyName, OpId, ProductCode, RootFp};
use protocol::limits::{DEVICE_BODY_LEN_MAX, IDENTIFY_S_MAX, STATEMENT_BODY_LEN_MAX};
use protocol::objects::artifact::wrap_trap;
use protocol::objects::configuration::{Configured, read_configuration};
use protocol::objects::data::{DataContent, DataField};
use protocol::objects::device::Device;
use protocol::objects::license::{ItemOption, LostUnits, Requirement, UnitRule};
use protocol::objects::statement::{ContextBody, FinalBody};
use protocol::objects::test_root;
use protocol::objects::update::{UnitsChange, UpdateOp};
use protocol::signed::{Header, UnverifiedObject};
use strongroom_tests::bench::Bench;
use strongroom_tests::samples;

use crate::license::{ITEM, Licensed, op};

fn licensed() -> Licensed {
    let rule = UnitRule { reserve_max: 5, lost: LostUnits::Held };
    let options = || vec![ItemOption::LicenseQuantity(3), ItemOption::UnitCounter(rule)];
    let first = Licensed::on(Bench::new(1), "First", options());
    let mut made = Licensed::on_other(first.bench, options());
    let add = UpdateOp::Units { item: ITEM, change: UnitsChange::Add(9) };
    let content = DataContent::Plain(Bytes::new(vec![7; 20]).expect("short"));
    let data = UpdateOp::SetData { item: ITEM, field: DataField::Protected, content };
    assert!(matches!(made.apply(&[add, data]), Reply::Receipt(_)));
    assert!(made.open(1, op(1), 1).is_ok());
    made
}

fn failure(reply: &Reply) -> Option<ErrorCode> {
    match reply {
        Reply::Failed(failure) => failure.known(),
        _ => None,
    }
}

fn finals(bench: &mut Bench) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let at = all.len() as u8;
        match bench.command(Command::FinalStatement { at }) {
            Reply::FinalStatement(object) if object.is_empty() => return all,
            Reply::FinalStatement(object) => all.push(object.to_vec()),
            _ => panic!("no statement"),
        }
    }
}

/// Verified under the key that the container's certificate names.
fn verified(bench: &mut Bench, object: &[u8]) -> (Header, FinalBody) {
    let certificate = {
        use engine::platform::Platform;
        bench.engine().platform().parts().keys.certificate().to_vec()
    };
    let (certificate, _) =
        UnverifiedObject::read(&certificate, DEVICE_BODY_LEN_MAX).expect("a certificate");
    let maker = test_root::root().expect("the test root");
    let device = Device::verify(&certificate, &maker).expect("a certified dongle");
    let key = VerifyingKey::from_bytes(&device.body.identity_key.0).expect("a key");
    let (statement, rest) = UnverifiedObject::read(object, STATEMENT_BODY_LEN_MAX).expect("one");
    assert!(rest.is_empty());
    let header = *statement.header();
    let body = statement.verify_container(&key).expect("its own signature").body;
    (header, codec::decode(body, STATEMENT_BODY_LEN_MAX).expect("a body"))
}

fn context(made: &mut Licensed) -> (Header, ContextBody) {
    let command = Command::Context { firm: made.fp(), nonce: Fixed([1; 32]) };
    let Reply::Context(object) = made.bench.command(command) else { panic!("no context") };
    let (object, _) = UnverifiedObject::read(&object, STATEMENT_BODY_LEN_MAX).expect("one");
    let body = object.body_if_intact().expect("its own body");
    (*object.header(), codec::decode(body, STATEMENT_BODY_LEN_MAX).expect("a body"))
}

#[test]
fn a_decommissioned_container_holds_final_statements_and_nothing_else() {
    let mut made = licensed();
    let (header, body) = context(&mut made);
    assert_eq!(
        failure(&made.bench.command(Command::FinalStatement { at: 0 })),
        Some(ErrorCode::NotDecommissioned)
    );
    assert!(made.bench.command(Command::Decommission) == Reply::Done);
    let first = finals(&mut made.bench);
    assert_eq!(first.len(), 2);
    let all: Vec<_> = first.iter().map(|object| verified(&mut made.bench, object)).collect();
    let (last, ended) = all.iter().find(|(last, _)| last.root_fp == made.fp()).expect("ours");
    assert_eq!((last.seq, last.state), (header.seq, header.state));
    assert_eq!(last.target, *made.bench.id().bytes());
    let of_context = (body.config_hash, body.entries, body.commits + 1);
    assert_eq!((ended.config_hash, ended.entries, ended.commits), of_context);
    assert_eq!((ended.entries, ended.log_seq), (1, 2));
    nothing_is_left(&mut made, &first);
    // The same for ever, also behind a power cut and a lost answer.
    made.power_cycle();
    assert!(made.bench.command(Command::Decommission) == Reply::Done);
    nothing_is_left(&mut made, &first);
}

/// Records, answers to all commands, and the statements.
fn nothing_is_left(made: &mut Licensed, statements: &[Vec<u8>]) {
    let kinds: Vec<u64> = made.bench.records().iter().map(|(key, _)| key >> 56).collect();
    assert_eq!(kinds, [0x01, 0x02, 0x06, 0x13, 0x13]);
    for command in samples::commands() {
        let answers = matches!(
            command,
            Command::Info
                | Command::Identify { .. }
                | Command::Decommission
                | Command::FinalStatement { .. }
        );
        let shown = format!("{command:?}");
        let refusal = failure(&made.bench.engine().carry_out(9, command));
        let expected = (!answers).then_some(ErrorCode::Decommissioned);
        assert_eq!(refusal, expected, "{shown}");
    }
    let Reply::Info(info) = made.bench.command(Command::Info) else { panic!("no info") };
    assert_eq!((info.locked, info.firms, info.seats, info.pin_tries), (2, 0, 0, None));
    assert_eq!(info.vendor_keys, 0);
    assert_eq!(finals(&mut made.bench), statements);
}

/// What one firm did is not in the statement for the other: with and without it, the same bytes
/// are signed.
#[test]
fn a_final_statement_shows_nothing_of_another_firm() {
    let signed = |used: bool| {
        let mut made = licensed();
        let watched = Licensed::on(Bench::new(7), "First", Vec::new()).fp();
        if used {
            for n in 0..5 {
                assert!(made.open(2, op(100 + n), 1).is_ok() || n > 1);
            }
        }
        assert!(made.bench.command(Command::Decommission) == Reply::Done);
        let objects = finals(&mut made.bench);
        let all = objects.iter().map(|object| verified(&mut made.bench, object));
        let of: Vec<(Header, FinalBody)> = all.collect();
        let ours = of.iter().find(|(header, _)| header.root_fp == made.fp()).expect("ours").clone();
        let other = of.into_iter().find(|(header, _)| header.root_fp == watched).expect("other");
        (other, ours)
    };
    let (quiet, busy) = (signed(false), signed(true));
    assert_eq!(quiet.0, busy.0);
    assert_ne!(quiet.1, busy.1, "the uses were no uses");
}

#[test]
fn the_owner_alone_decommissions_where_there_is_a_pin() {
    let mut made = licensed();
    let pin = || Bytes::new(&b"1234"[..]).expect("short");
    let set = Command::SetPin { pin: pin(), recovery: Fixed([3; 16]), forgotten: None };
    assert!(made.bench.command(set) == Reply::Done);
    let before = made.bench.records();
    let refused = made.bench.engine().carry_out(8, Command::Decommission);
    assert_eq!(failure(&refused), Some(ErrorCode::PinNeeded));
    assert_eq!(made.bench.records(), before);
    assert!(made.bench.engine().carry_out(8, Command::EnterPin(pin())) == Reply::Done);
    assert!(made.bench.engine().carry_out(8, Command::Decommission) == Reply::Done);
    // Who retires it again needs none: there is nothing to protect.
    assert!(made.bench.engine().carry_out(9, Command::Decommission) == Reply::Done);
}

/// The container still holds everything when it cannot sign.
#[test]
fn without_randomness_nothing_is_decommissioned() {
    let mut made = licensed();
    let before = made.bench.records();
    made.bench.kill_random();
    let refused = made.bench.command(Command::Decommission);
    assert_eq!(failure(&refused), Some(ErrorCode::RandomFailed));
    assert_eq!(made.bench.records(), before);
    let name = Text::new("desk").expect("short");
    let rename = Command::Rename { op: OpId::new([1; 16]), name };
    assert!(made.bench.command(rename) == Reply::Done);
}

/// Fetched page by page, the records are what was signed.
#[test]
fn the_configuration_is_what_its_hash_is_made_of() {
    let mut made = licensed();
    let many = (1..200).map(|n| {
        let item =
            protocol::objects::license::ItemRef { entry: protocol::ids::EntryNumber(n), ..ITEM };
        let mut entry = samples::item();
        entry.item = item;
        UpdateOp::SetItem(entry)
    });
    assert!(matches!(made.apply(&many.collect::<Vec<_>>()), Reply::Receipt(_)));
    let (bytes, pages) = configuration(&mut made);
    let (_, body) = context(&mut made);
    assert_eq!(sha256(&bytes), body.config_hash.0);
    let records = read_configuration(&bytes).expect("what a container writes");
    let items = records.iter().filter(|record| matches!(record, Configured::Item(_))).count();
    assert_eq!((items, body.entries), (200, 200));
    assert!(records.contains(&Configured::Key(ITEM.product, Generation(0))));
    assert!(pages > 5, "all of it in {pages} pages");
    let behind = Command::Configuration { firm: made.fp(), after: u64::MAX };
    assert!(made.bench.command(behind) == Reply::Configuration(Default::default()));
}

fn configuration(made: &mut Licensed) -> (Vec<u8>, usize) {
    let (mut bytes, mut after, mut pages) = (Vec::new(), 0, 0);
    loop {
        let command = Command::Configuration { firm: made.fp(), after };
        let Reply::Configuration(page) = made.bench.command(command) else { panic!("no records") };
        let Some(last) = page.last() else { return (bytes, pages) };
        assert!(codec::encode(&Reply::Configuration(page.clone())).len() <= 4080);
        (after, pages) = (last.key, pages + 1);
        page.iter().for_each(|record| record.write(&mut bytes));
    }
}

/// A judgement says what a use would meet, changes nothing, and leads to the same again.
#[test]
fn a_judgement_holds_all_that_it_was_made_by() {
    let mut made = licensed();
    let firm: RootFp = made.fp();
    for units in [0, 1, 8, 9, 50] {
        let requirement = Requirement { root_fp: firm, ..made.requirement(units) };
        let before = made.bench.records();
        let judged = made.bench.command(Command::Judge { requirement, after: None });
        let Reply::Judged(Some(judged)) = judged else { panic!("not judged") };
        let why = made.bench.command(Command::Why(requirement));
        assert_eq!(judged.refusal.is_none(), why == Reply::Done);
        assert!(judged.refusal.is_none_or(|refusal| why == Reply::Failed(refusal)));
        assert_eq!(made.bench.records(), before);
        let Reply::Items(items) = made.bench.command(Command::Items { firm, after: None }) else {
            panic!("no entries")
        };
        let at = Circumstances::of(&judged.by, Default::default(), None);
        assert_eq!(at.grounds(), judged.by);
        let question =
            Question { item: &items[0], requirement: &requirement, at, stage: Stage::Begins };
        assert_eq!(evaluate(&question).err(), judged.refusal, "{units} units");
        let after = Some(judged.entry);
        assert!(made.bench.command(Command::Judge { requirement, after }) == Reply::Judged(None));
    }
}

/// A trap refuses before anything else of an entry, also where there is no entry; and a container
/// that is locked by one is retired like any other.
#[test]
fn a_judgement_of_locked_licenses_says_which_trap_locked_them() {
    let mut made = licensed();
    let (requirement, artifact) = (made.requirement(1), ArtifactId::default());
    let item_key = made.vendor.item_key(ITEM.product, Generation(0));
    let trap = wrap_trap(&item_key, [6; 16], artifact, &requirement);
    let open = SeatCommand::Open { op: op(9), requirement, artifact };
    let Ok(SeatReply::Opened(grant)) = made.seat(3, open) else { panic!("no seat") };
    let release = SeatCommand::KeyRelease { handle: grant.handle, wrapped: trap, part: 0 };
    assert_eq!(made.seat(3, release).err(), Some(ErrorCode::FirmLocked));
    let judge = |made: &mut Licensed, requirement, after| {
        made.bench.command(Command::Judge { requirement, after })
    };
    let Reply::Judged(Some(judged)) = judge(&mut made, requirement, None) else { panic!("none") };
    let locked = Reply::Failed(judged.refusal.expect("it is locked"));
    assert!(made.bench.command(Command::Why(requirement)) == locked);
    assert_eq!(judged.by.trapped.map(|trapped| trapped.product), Some(ITEM.product));
    assert_eq!(Circumstances::of(&judged.by, Default::default(), None).grounds(), judged.by);
    assert!(judge(&mut made, requirement, Some(judged.entry)) == Reply::Judged(None));
    let absent = Requirement { product: ProductCode(99), ..requirement };
    assert!(judge(&mut made, absent, None) == locked);
    assert!(made.bench.command(Command::Decommission) == Reply::Done);
    assert_eq!(finals(&mut made.bench).len(), 2);
}

/// A vendor's own keys go too.
#[test]
fn keys_of_a_vendor_are_erased() {
    let mut made = licensed();
    let pin = Bytes::new(&b"1234"[..]).expect("short");
    let set = Command::SetPin { pin, recovery: Fixed([3; 16]), forgotten: None };
    assert!(made.bench.command(set) == Reply::Done);
    let key = KeyCommand::Make { name: KeyName::new([0xff; 7]), usage: KeyUsage::Sign };
    assert!(matches!(made.bench.command(Command::Key(key)), Reply::Key(_)));
    assert!(made.bench.command(Command::Decommission) == Reply::Done);
    let statements = finals(&mut made.bench);
    nothing_is_left(&mut made, &statements);
}

#[test]
fn the_home_is_told_once_to_show_itself() {
    let mut bench = Bench::new(1);
    let identify = |bench: &mut Bench, for_s| bench.command(Command::Identify { for_s });
    assert!(identify(&mut bench, 5) == Reply::Done);
    assert_eq!(bench.engine().take_identify(), Some(5));
    assert_eq!(bench.engine().take_identify(), None);
    assert!(identify(&mut bench, 0) == Reply::Done);
    assert_eq!(bench.engine().take_identify(), Some(0));
    let refused = identify(&mut bench, IDENTIFY_S_MAX + 1);
    assert_eq!(failure(&refused), Some(ErrorCode::TooLong));
    assert_eq!(bench.engine().take_identify(), None);
}
