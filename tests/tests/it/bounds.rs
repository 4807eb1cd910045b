//! What a container tells page by page, keeps a number of, or takes until a moment: at each bound.

use protocol::codec::{self, Bytes, Text};
use protocol::command::{Command, Reply, SeatCommand, SeatReply};
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{ArtifactId, EntryNumber, Generation, ProductCode};
use protocol::limits::{
    CONTAINER_NAME_LEN_MAX, RECEIPTS_KEPT, STATEMENT_BODY_LEN_MAX, UPDATE_IDLE_S,
};
use protocol::objects::artifact::wrap_trap;
use protocol::objects::license::{
    AccessMode, ItemOption, ItemRef, LostUnits, ProductItem, Requirement, UnitRule,
};
use protocol::objects::statement::{ContextBody, ReceiptBody, TimeTokenBody};
use protocol::objects::update::{UnitsChange, UpdateOp};
use protocol::signed::{Header, Kind, Role, UnverifiedObject, write_object};
use strongroom_tests::bench::Bench;
use strongroom_tests::dice::Dice;
use strongroom_tests::trust::SCOPE;
use strongroom_tests::vendor::{NOW_S, Update, Vendor, trust};

use crate::license::{ITEM, Licensed, entry, op};

/// Channels beside that of the bench.
const OTHER_CHANNEL: u32 = 77;
const THIRD_CHANNEL: u32 = 78;

fn failure(answer: &Reply) -> Option<Failure> {
    match answer {
        Reply::Failed(failure) | Reply::UpdateRefused { failure, .. } => Some(*failure),
        _ => None,
    }
}

fn code(answer: &Reply) -> Option<ErrorCode> {
    failure(answer).and_then(|failure| failure.known())
}

/// The header of a statement, and its body.
fn opened(object: &[u8]) -> (Header, Vec<u8>) {
    let (object, _) = UnverifiedObject::read(object, STATEMENT_BODY_LEN_MAX).expect("an object");
    (*object.header(), object.body_if_intact().expect("its own body").to_vec())
}

fn context(bench: &mut Bench, vendor: &Vendor) -> (Header, ContextBody) {
    let command = Command::Context { firm: vendor.fp(), nonce: Default::default() };
    let Reply::Context(object) = bench.command(command) else { panic!("no context") };
    let (header, body) = opened(&object);
    (header, codec::decode(&body, STATEMENT_BODY_LEN_MAX).expect("a context"))
}

#[test]
fn firms_are_listed_from_where_they_are_asked_for_and_16_at_once() {
    let mut bench = Bench::new(1);
    let firms: Vec<_> = (1..=18)
        .map(|n| {
            let firm = Vendor::new("Acme", &mut Dice::new(n));
            let update = firm.update(&firm.first_place(bench.id()), &[UpdateOp::Nop]);
            assert!(matches!(bench.apply(&update), Reply::Receipt(_)));
            firm.fp()
        })
        .collect();
    for (from, expected) in
        [(0, &firms[..16]), (1, &firms[1..17]), (3, &firms[3..]), (17, &firms[17..]), (18, &[])]
    {
        let Reply::Firms(page) = bench.command(Command::Firms { from }) else { panic!("no list") };
        let listed: Vec<_> = page.iter().map(|firm| firm.root_fp).collect();
        assert_eq!(listed, expected, "from {from}");
    }
}

#[test]
fn entries_are_listed_three_at_once() {
    let mut made = Licensed::new(vec![]);
    let entries: Vec<_> = (1..=4).map(|n| ItemRef { entry: EntryNumber(n), ..ITEM }).collect();
    let set = |item: &ItemRef| UpdateOp::SetItem(ProductItem { item: *item, ..entry(vec![]) });
    let ops: Vec<_> = entries.iter().map(set).collect();
    assert_eq!(code(&made.apply(&ops)), None);
    let firm = made.fp();
    for (after, expected) in [
        (None, vec![ITEM, entries[0], entries[1]]),
        (Some(ITEM), entries[..3].to_vec()),
        (Some(entries[1]), entries[2..].to_vec()),
        (Some(entries[3]), vec![]),
    ] {
        let Reply::Items(page) = made.bench.command(Command::Items { firm, after }) else {
            panic!("no list")
        };
        assert_eq!(page.iter().map(|item| item.item).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn the_last_receipts_are_repeated_and_no_others() {
    let mut made = Licensed::new(vec![]);
    while made.place().seq <= RECEIPTS_KEPT + 2 {
        assert_eq!(code(&made.apply(&[UpdateOp::Nop])), None);
    }
    let (firm, newest) = (made.fp(), made.place().seq - 1);
    let mut receipt = |seq| match made.bench.command(Command::Receipt { firm, seq }) {
        Reply::Receipt(object) => Ok(opened(&object).0.seq),
        answer => Err(failure(&answer)),
    };
    assert_eq!(receipt(0), Ok(newest));
    for seq in 1..newest + 3 {
        let kept = (newest - RECEIPTS_KEPT + 1..=newest).contains(&seq);
        let missing = Some(ErrorCode::NoReceipt.with(seq, newest));
        assert_eq!(receipt(seq), if kept { Ok(seq) } else { Err(missing) });
    }
}

#[test]
fn a_statement_names_the_container_its_key_the_firm_and_the_moment() {
    let mut bench = Bench::new(1);
    bench.ticks.set_battery_s(NOW_S + 60);
    bench.power_up().expect("new flash");
    let mut made = Licensed::on(bench, "Acme", vec![]);
    let update = made.vendor.update(&made.place(), &[UpdateOp::Nop]);
    let Reply::Receipt(object) = made.bench.apply(&update) else { panic!("refused") };
    let (header, body) = opened(&object);
    let body: ReceiptBody = codec::decode(&body, STATEMENT_BODY_LEN_MAX).expect("a receipt");
    let after = update.after();
    let expected = Header {
        root_fp: made.fp(),
        key_id: made.bench.identity_key().id(),
        target: *made.bench.id().bytes(),
        seq: after.seq - 1,
        state: after.state,
        issued_s: NOW_S + 60,
        ..header
    };
    assert!(header == expected && header.kind == Kind::Receipt);
    assert_eq!(body.time.now_s, NOW_S + 60);
    let (context, said) = context(&mut made.bench, &made.vendor);
    let same = Header { kind: context.kind, role: context.role, ..expected };
    let same = Header { body_len: context.body_len, body_hash: context.body_hash, ..same };
    assert!(context == same && context.kind == Kind::Context);
    assert_eq!(said.config_hash, body.config_hash);
}

#[test]
fn a_name_is_given_once_by_each_command() {
    let mut bench = Bench::new(1);
    let mut rename = |number, name: &str| {
        let name: Text<CONTAINER_NAME_LEN_MAX> = Text::new(name).expect("a short name");
        let command = Command::Rename { op: op(number), name };
        assert!(bench.command(command) == Reply::Done);
        let Reply::Info(info) = bench.command(Command::Info) else { panic!("no info") };
        info.name.to_string()
    };
    assert_eq!(rename(1, "desk"), "desk");
    assert_eq!(rename(2, "rack"), "rack");
    assert_eq!(rename(2, "shelf"), "rack", "the same command again");
    assert_eq!(rename(3, "shelf"), "shelf");
}

/// A token counts from when its nonce was drawn, and may be as early as what was certified.
#[test]
fn a_token_certifies_what_is_not_before_what_was() {
    let mut made = Licensed::new(vec![]);
    let certified_s = context(&mut made.bench, &made.vendor).1.time.certified_s;
    let commits = context(&mut made.bench, &made.vendor).1.commits;
    for (time_s, refused) in [
        (certified_s - 2, Some(ErrorCode::TokenEarlier.with(certified_s - 2, certified_s))),
        (certified_s - 1, None),
        (certified_s + 1000, None),
    ] {
        let nonce = made.nonce();
        made.bench.ticks.pass_ms(5000);
        // Its radius is a second.
        let token = made.token(nonce, time_s);
        assert_eq!(failure(&made.bench.command(token)), refused);
    }
    let said = context(&mut made.bench, &made.vendor).1;
    assert_eq!(said.time.certified_s, certified_s + 1000);
    assert_eq!((said.time.now_s, said.commits), (certified_s + 1005, commits + 2));
}

/// Signs of life keep the time that the container ran: a power cut forgets a minute at most.
#[test]
fn running_time_outlives_a_power_cut_but_for_the_last_minute() {
    let mut made = Licensed::new(vec![]);
    let now_s = |made: &mut Licensed| context(&mut made.bench, &made.vendor).1.time.now_s;
    let before_s = now_s(&mut made);
    let Ok(SeatReply::Opened(grant)) = made.open(1, op(1), 0) else { panic!("no seat") };
    for n in 1..=3 {
        made.bench.ticks.pass_ms(25_000);
        assert!(made.seat(1, SeatCommand::Heartbeat { handle: grant.handle, n }).is_ok());
    }
    made.bench.ticks.pass_ms(25_000);
    assert_eq!(now_s(&mut made), before_s + 100);
    made.power_cycle();
    assert_eq!(now_s(&mut made), before_s + 75);
}

#[test]
fn a_token_is_one_for_this_container_and_nothing_else() {
    let mut made = Licensed::new(vec![]);
    let nonce = made.nonce();
    let body = codec::encode(&TimeTokenBody { time_s: NOW_S + 10, radius_s: 1 });
    let good = Header { state: nonce, ..made.header(Kind::TimeToken, &body) };
    let mut send = |header: Header, behind: &[u8]| {
        let (header, proof) = made.vendor.sign(header, Role::Time);
        let object = [&write_object(&header, &proof, &body)[..], behind].concat();
        let object = Bytes::new(object).expect("a small object");
        code(&made.bench.command(Command::TimeToken(object)))
    };
    let refused = Some(ErrorCode::TokenSignature);
    assert_eq!(send(Header { kind: Kind::UsageAck, ..good }, &[]), refused);
    assert_eq!(send(Header { target: [9; 16], ..good }, &[]), refused);
    assert_eq!(send(good, &[0]), refused);
    assert_eq!(send(good, &[]), None);
}

#[test]
fn what_a_use_changes_is_one_commit_of_its_firm() {
    let rule = UnitRule { reserve_max: 9, lost: LostUnits::Held };
    let mut made = Licensed::new(vec![ItemOption::UnitCounter(rule)]);
    let add = UpdateOp::Units { item: ITEM, change: UnitsChange::Add(5) };
    assert_eq!(code(&made.apply(&[add])), None);
    let commits = |made: &mut Licensed| context(&mut made.bench, &made.vendor).1.commits;
    let before = commits(&mut made);
    let Ok(SeatReply::Opened(grant)) = made.open(1, op(1), 1) else { panic!("no seat") };
    assert_eq!(commits(&mut made), before + 1, "units");
    assert!(made.open(2, op(2), 0).is_ok());
    assert_eq!(commits(&mut made), before + 1, "nothing that lasts");
    let (requirement, artifact) = (made.requirement(1), ArtifactId::default());
    let item_key = made.vendor.item_key(ITEM.product, Generation(0));
    let wrapped = wrap_trap(&item_key, [6; 16], artifact, &requirement);
    let command = SeatCommand::KeyRelease { handle: grant.handle, wrapped, part: 1 };
    assert_eq!(made.seat(1, command).err(), Some(ErrorCode::FirmLocked));
    assert_eq!(commits(&mut made), before + 2, "a trap");
}

/// Among entries that refuse alike the first one is told.
#[test]
fn of_two_refusals_alike_the_first_is_told() {
    let mut made = Licensed::new(vec![ItemOption::ExpirationTime(NOW_S - 20)]);
    let second = ItemRef { entry: EntryNumber(1), ..ITEM };
    let options = entry(vec![ItemOption::ExpirationTime(NOW_S - 10)]);
    assert_eq!(
        code(&made.apply(&[UpdateOp::SetItem(ProductItem { item: second, ..options })])),
        None
    );
    let why = |made: &mut Licensed, requirement| {
        failure(&made.bench.command(Command::Why(requirement))).expect("a refusal")
    };
    let requirement = made.requirement(0);
    let told = why(&mut made, requirement);
    assert_eq!((told.known(), told.a), (Some(ErrorCode::Expired), NOW_S - 20));
    // One that got further is told, wherever it stands.
    made.set(vec![ItemOption::LicenseQuantity(1), ItemOption::ExpirationTime(NOW_S + 10)]);
    let requirement = Requirement { access: AccessMode::Exclusive, ..requirement };
    assert_eq!(why(&mut made, requirement).known(), Some(ErrorCode::StationUnknown));
    let other = Requirement { product: ProductCode(8), ..requirement };
    assert_eq!(why(&mut made, other).known(), Some(ErrorCode::ProductUnknown));
}

#[test]
fn what_was_brought_waits_a_minute_for_its_update_on_its_own_channel() {
    let (mut bench, vendor) = (Bench::new(1), Vendor::new("Acme", &mut Dice::new(1)));
    let root = trust(&vendor.root_object);
    let minute_ms = UPDATE_IDLE_S * 1000;
    assert!(bench.engine().carry_out(OTHER_CHANNEL, root.clone()) == Reply::Done);
    bench.ticks.pass_ms(minute_ms - 1);
    // The minute begins anew with each object, and ends for nobody else's channel.
    assert!(bench.engine().carry_out(OTHER_CHANNEL, root.clone()) == Reply::Done);
    bench.engine().closed(THIRD_CHANNEL);
    bench.ticks.pass_ms(minute_ms);
    assert_eq!(code(&bench.command(root.clone())), Some(ErrorCode::UpdateBusy));
    bench.ticks.pass_ms(1);
    assert!(bench.command(root.clone()) == Reply::Done);
    bench.engine().closed(strongroom_tests::bench::BENCH_CHANNEL);
    assert!(bench.engine().carry_out(OTHER_CHANNEL, root) == Reply::Done);
    let other = Vendor::new("Other", &mut Dice::new(2)).rotated(&[], 0, &mut Dice::new(3));
    let answer = bench.engine().carry_out(OTHER_CHANNEL, trust(other.newest_root()));
    assert_eq!(code(&answer), Some(ErrorCode::RootNeeded), "another firm's");
}

#[test]
fn what_a_firm_says_of_its_keys_is_one_commit_and_a_refusal_tells_how_far_it_is() {
    let mut made = Licensed::new(vec![]);
    let mut dice = Dice::new(5);
    let commits = context(&mut made.bench, &made.vendor).1.commits;
    let keys = trust(&made.vendor.revocation(1, &[], 0));
    assert!(made.bench.command(keys) == Reply::Done);
    assert_eq!(context(&mut made.bench, &made.vendor).1.commits, commits + 1);
    let third = made.vendor.rotated(&[], 0, &mut dice).rotated(&[], 0, &mut dice);
    let answer = made.bench.command(trust(third.newest_root()));
    assert_eq!(failure(&answer), Some(ErrorCode::RootSkipped.with(1, 3)));
}

#[test]
fn what_a_firm_revoked_before_it_came_stays_revoked() {
    let (mut bench, vendor) = (Bench::new(1), Vendor::new("Acme", &mut Dice::new(1)));
    let reseller = vendor.delegate(SCOPE, 0, &mut Dice::new(2));
    let revocation = vendor.revocation(1, &[reseller.key.verifying_key().id()], 0);
    let first = vendor.update(&vendor.first_place(bench.id()), &[UpdateOp::Nop]);
    let first = Update { trust: vec![vendor.root_object.clone(), revocation], ..first };
    assert_eq!(code(&bench.apply(&first)), None);
    let by_reseller = reseller.update(&vendor, &first.after(), &[UpdateOp::Nop]);
    assert_eq!(code(&bench.apply(&by_reseller)), Some(ErrorCode::KeyRevoked));
}

#[test]
fn a_right_that_was_handed_on_counts_in_its_last_second_and_not_after() {
    let mut bench = Bench::new(1);
    bench.ticks.set_battery_s(NOW_S);
    bench.power_up().expect("new flash");
    let vendor = Vendor::new("Acme", &mut Dice::new(1));
    let place = vendor.first_place(bench.id());
    for (until_s, refused) in [
        (1, Some(ErrorCode::DelegationOver.with(1, NOW_S))),
        (NOW_S - 1, Some(ErrorCode::DelegationOver.with(NOW_S - 1, NOW_S))),
        (NOW_S, None),
        (NOW_S + 1, None),
        (0, None),
    ] {
        let reseller = vendor.delegate(SCOPE, until_s, &mut Dice::new(2));
        let mut update = reseller.update(&vendor, &place, &[UpdateOp::Nop]);
        update.trust.insert(0, vendor.root_object.clone());
        // Its head alone: what is judged, and applied by nothing.
        let mut commands = update.commands();
        commands.truncate(3);
        let answers: Vec<_> = commands.into_iter().map(|one| bench.command(one)).collect();
        assert!(answers[..2] == [Reply::Done, Reply::Done], "root and right");
        assert_eq!(failure(&answers[2]), refused, "until {until_s}");
        bench.engine().closed(strongroom_tests::bench::BENCH_CHANNEL);
    }
}
