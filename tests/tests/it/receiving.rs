//! Updates on their way in, at each bound of what is taken, and what their operations leave behind.

use protocol::codec::{self, Bytes, Fixed, List};
use protocol::command::{Command, Reply, SeatReply};
use protocol::errors::ErrorCode;
use protocol::ids::{EntryNumber, Generation, ProductCode};
use protocol::limits::{
    OP_LEN_MAX, STATEMENT_BODY_LEN_MAX, UPDATE_BODY_LEN_MAX, UPDATE_CHUNK_LEN_MAX, UPDATE_IDLE_S,
};
use protocol::objects::data::{DataContent, DataField};
use protocol::objects::license::{ItemOption, ItemRef, LostUnits, ProductItem, UnitRule};
use protocol::objects::statement::{ContextBody, ReceiptBody};
use protocol::objects::update::{UnitsChange, UpdateOp};
use protocol::signed::{Header, Kind, Role, UnverifiedObject};
use serde::{Serialize, de::DeserializeOwned};
use strongroom_tests::bench::Bench;
use strongroom_tests::dice::Dice;
use strongroom_tests::vendor::{NOW_S, Update, Vendor};

use crate::license::{ITEM, Licensed, entry, op};

/// A channel beside that of the bench.
const OTHER_CHANNEL: u32 = 77;

fn stage() -> (Bench, Vendor) {
    (Bench::new(1), Vendor::new("Acme", &mut Dice::new(1)))
}

/// What an answer refuses with; `None` = it does not.
fn code(answer: &Reply) -> Option<ErrorCode> {
    match answer {
        Reply::Failed(failure) | Reply::UpdateRefused { failure, .. } => failure.known(),
        _ => None,
    }
}

fn set(product: u32) -> UpdateOp {
    let item = ItemRef { product: ProductCode(product), entry: EntryNumber(0) };
    UpdateOp::SetItem(ProductItem { item, options: List::default() })
}

/// An update of three chunks, the last of them short, and how many operations are in it.
fn long_update(bench: &Bench, vendor: &Vendor) -> (Update, usize) {
    let ops: Vec<UpdateOp> = (1..=400).map(set).collect();
    let update = vendor.update(&vendor.first_place(bench.id()), &ops);
    let chunks = update.body.chunks(UPDATE_CHUNK_LEN_MAX);
    assert!(chunks.len() == 3 && !update.body.len().is_multiple_of(UPDATE_CHUNK_LEN_MAX));
    (update, ops.len())
}

fn chunk(offset: usize, bytes: &[u8]) -> Command {
    let bytes = Bytes::new(bytes).expect("at most a chunk");
    Command::UpdateChunk { offset: offset as u32, bytes }
}

/// The body of a receipt or a context.
fn body<T: DeserializeOwned + Serialize>(object: &[u8]) -> T {
    let (object, _) = UnverifiedObject::read(object, STATEMENT_BODY_LEN_MAX).expect("an object");
    let body = object.body_if_intact().expect("its own body");
    codec::decode(body, STATEMENT_BODY_LEN_MAX).expect("a body")
}

fn context(bench: &mut Bench, vendor: &Vendor) -> ContextBody {
    let command = Command::Context { firm: vendor.fp(), nonce: Fixed([1; 32]) };
    let Reply::Context(object) = bench.command(command) else { panic!("no context") };
    body(&object)
}

#[test]
fn a_chunk_comes_in_its_place_whole_and_within_the_length() {
    const LEN: usize = UPDATE_CHUNK_LEN_MAX;
    let (mut bench, vendor) = stage();
    let (update, ops) = long_update(&bench, &vendor);
    let mut commands = update.commands().into_iter();
    let mut send = |bench: &mut Bench| bench.command(commands.next().expect("five commands"));
    let misplaced = Some(ErrorCode::ChunkOffset);
    assert!(send(&mut bench) == Reply::Done, "its head");
    let full = &update.body[LEN..2 * LEN];
    assert_eq!(code(&bench.command(chunk(LEN, full))), misplaced, "the second first");
    let short = &update.body[..LEN - 1];
    assert_eq!(code(&bench.command(chunk(0, short))), misplaced, "a short one in the middle");
    assert!(send(&mut bench) == Reply::Done, "the first");
    assert_eq!(code(&bench.command(chunk(LEN, &[]))), misplaced, "an empty one in the middle");
    assert_eq!(code(&bench.command(chunk(0, full))), misplaced, "the first again");
    assert!(send(&mut bench) == Reply::Done, "the second");
    assert_eq!(code(&bench.command(chunk(2 * LEN, full))), misplaced, "longer than the rest");
    assert!(send(&mut bench) == Reply::Done, "the last");
    let len = update.body.len();
    assert_eq!(code(&bench.command(chunk(len, &[]))), misplaced, "an empty one at the end");
    let Reply::Receipt(object) = send(&mut bench) else { panic!("the update is refused") };
    let receipt: ReceiptBody = body(&object);
    assert_eq!((usize::from(receipt.ops), receipt.commits), (ops, 1));
    assert_eq!(context(&mut bench, &vendor).entries as usize, ops);
}

#[test]
fn a_first_chunk_longer_than_the_update_is_refused() {
    let (mut bench, vendor) = stage();
    let update = vendor.update(&vendor.first_place(bench.id()), &[UpdateOp::Nop]);
    let mut commands = update.commands().into_iter();
    assert!(bench.command(commands.next().expect("its head")) == Reply::Done);
    let answer = bench.command(chunk(0, &[0; UPDATE_CHUNK_LEN_MAX]));
    assert_eq!(code(&answer), Some(ErrorCode::ChunkOffset));
    assert!(commands.all(|command| code(&bench.command(command)).is_none()), "the right one");
}

#[test]
fn an_update_that_nobody_continues_waits_for_a_minute_and_no_longer() {
    let (mut bench, vendor) = stage();
    let (update, _) = long_update(&bench, &vendor);
    let begin = &update.commands()[0];
    let minute_ms = UPDATE_IDLE_S * 1000;
    assert!(bench.engine().carry_out(OTHER_CHANNEL, begin.clone()) == Reply::Done);
    bench.ticks.pass_ms(minute_ms);
    assert_eq!(code(&bench.command(begin.clone())), Some(ErrorCode::UpdateBusy));
    bench.ticks.pass_ms(1);
    // Each of its commands begins the minute anew.
    for command in update.commands() {
        assert_eq!(code(&bench.command(command)), None);
        bench.ticks.pass_ms(minute_ms);
    }
    assert_eq!(context(&mut bench, &vendor).commits, 1);
}

#[test]
fn what_an_update_left_staged_goes_when_the_next_begins() {
    let staged =
        |bench: &mut Bench| bench.records().iter().filter(|(key, _)| key >> 56 == 0x30).count();
    let (mut bench, vendor) = stage();
    let (update, _) = long_update(&bench, &vendor);
    let sent = update.commands().into_iter().take(3).map(|command| bench.command(command));
    assert!(sent.collect::<Vec<_>>().iter().all(|answer| *answer == Reply::Done));
    assert_eq!(staged(&mut bench), 2);
    let shorter = vendor.update(&vendor.first_place(bench.id()), &[UpdateOp::Nop]);
    let begin = shorter.commands().remove(0);
    assert!(bench.command(begin) == Reply::Done);
    assert_eq!(staged(&mut bench), 0);
    assert!(bench.command(Command::UpdateAbort) == Reply::Done);
    assert_eq!(code(&bench.command(Command::UpdateCommit)), Some(ErrorCode::NoUpdate));
}

#[test]
fn a_head_is_of_an_update_and_nothing_comes_behind_it() {
    let (mut bench, vendor) = stage();
    let update = vendor.update(&vendor.first_place(bench.id()), &[UpdateOp::Nop]);
    let longer = |bytes: &[u8]| [bytes, &[0]].concat();
    let begin = |root: &[u8], head: &[u8]| Command::UpdateBegin {
        root: Bytes::new(root).expect("a root within its bound"),
        head: Bytes::new(head).expect("a head within its bound"),
    };
    let malformed = Some(ErrorCode::Malformed);
    let behind = begin(&update.root, &longer(&update.head()));
    assert_eq!(code(&bench.command(behind)), malformed);
    let header = Header { kind: Kind::Context, ..update.header };
    let (header, proof) = vendor.sign(header, Role::Licensing);
    let other_kind = Update { header, proof, ..update.clone() };
    assert_eq!(code(&bench.apply(&other_kind)), malformed);
    let behind_root = begin(&longer(&update.root), &update.head());
    assert_eq!(code(&bench.command(behind_root)), Some(ErrorCode::UpdateOtherFirm));
    assert_eq!(code(&bench.apply(&update)), None);
}

#[test]
fn an_update_may_be_applied_in_its_last_second_and_not_after() {
    let vendor = Vendor::new("Acme", &mut Dice::new(1));
    let mut bench = Bench::new(1);
    bench.ticks.set_battery_s(NOW_S);
    bench.power_up().expect("new flash");
    let update = vendor.update(&vendor.first_place(bench.id()), &[UpdateOp::Nop]);
    let until = |until_s| {
        let (header, proof) = vendor.sign(Header { until_s, ..update.header }, Role::Licensing);
        Update { header, proof, ..update.clone() }.commands().remove(0)
    };
    for (until_s, refused) in [
        (NOW_S - 1, Some(ErrorCode::UpdateLate)),
        (NOW_S, None),
        (NOW_S + 1, None),
        (1, Some(ErrorCode::UpdateLate)),
        (0, None),
    ] {
        assert_eq!(code(&bench.command(until(until_s))), refused, "until {until_s}");
    }
}

#[test]
fn a_body_has_64_kib_at_most_and_is_the_one_that_was_signed() {
    let (mut bench, vendor) = stage();
    let place = vendor.first_place(bench.id());
    for (len, refused) in
        [(UPDATE_BODY_LEN_MAX, None), (UPDATE_BODY_LEN_MAX + 1, Some(ErrorCode::TooLong))]
    {
        let update = vendor.update_of_bytes(&place, vec![0; len]);
        assert_eq!(code(&bench.command(update.commands().remove(0))), refused, "{len} bytes");
    }
    let update = vendor.update(&place, &[set(1)]);
    let mut changed = update.clone();
    changed.body[2] ^= 1;
    assert_eq!(code(&bench.apply(&changed)), Some(ErrorCode::UpdateBody));
    let mut without_body = update.commands();
    without_body.remove(1);
    let answers: Vec<_> = without_body.into_iter().map(|command| bench.command(command)).collect();
    assert_eq!(code(&answers[1]), Some(ErrorCode::UpdateBody));
    assert_eq!(code(&bench.apply(&update)), None);
}

#[test]
fn an_operation_that_ends_behind_its_update_is_malformed() {
    let (mut bench, vendor) = stage();
    let place = vendor.first_place(bench.id());
    let too_long = (OP_LEN_MAX as u16 + 1).to_be_bytes();
    let nop = vendor.update(&place, &[UpdateOp::Nop]).body;
    let bodies = [
        vec![0],
        vec![0, 9, 0],
        [&nop[..], &[0, 9, 0]].concat(),
        [&too_long[..], &[0; OP_LEN_MAX + 1]].concat(),
    ];
    for body in bodies {
        let answer = bench.apply(&vendor.update_of_bytes(&place, body.clone()));
        assert_eq!(code(&answer), Some(ErrorCode::UpdateOp), "{} bytes", body.len());
    }
    assert!(bench.firm_records().is_empty());
}

/// Which slot a firm got in a container says nothing of its configuration.
#[test]
fn the_hash_of_a_configuration_tells_its_entries_and_not_their_slot() {
    let acme = Vendor::new("Acme", &mut Dice::new(1));
    let configured = |before: Option<Vendor>, ops: &[UpdateOp]| {
        let mut bench = Bench::new(1);
        for firm in before.iter().chain([&acme]) {
            let update = firm.update(&firm.first_place(bench.id()), ops);
            assert_eq!(code(&bench.apply(&update)), None);
        }
        let context = context(&mut bench, &acme);
        (context.config_hash, context.entries)
    };
    let two = [set(1), set(2)];
    let alone = configured(None, &two);
    assert_eq!(alone, configured(Some(Vendor::new("Other", &mut Dice::new(2))), &two));
    assert_eq!(alone.1, 2);
    let one = configured(None, &two[..1]);
    assert_eq!(one.1, 1);
    assert_ne!(alone.0, one.0);
    // Of keys there is nothing in it but their names, which are those of their records.
    let key = |product| {
        let mut made = Licensed::new(vec![]);
        let generation = Generation(0);
        let (to, place) = (made.bench.sealing_key(), made.place());
        let key = made.vendor.set_key(&to, &place, (ProductCode(product), generation));
        assert_eq!(code(&made.apply(&[key])), None);
        context(&mut made.bench, &made.vendor).config_hash
    };
    assert_ne!(key(8), key(9));
}

#[test]
fn what_is_not_there_is_not_changed_or_written() {
    let mut made = Licensed::new(vec![]);
    let missing = ItemRef { product: ProductCode(8), ..ITEM };
    let key = |product, generation| UpdateOp::RemoveKey { product, generation };
    let field = DataField::Protected;
    let content = || DataContent::Plain(Bytes::new(vec![1]).expect("a byte"));
    let module = |item, parent| {
        let options = List::new(vec![ItemOption::ModuleOf(parent)]).expect("one option");
        UpdateOp::SetItem(ProductItem { item, options })
    };
    let unknown = Some(ErrorCode::ItemUnknown);
    let no_parent = Some(ErrorCode::NoParent);
    let third = ItemRef { product: ProductCode(9), ..ITEM };
    let before = made.bench.firm_records();
    for (ops, refused) in [
        (vec![key(ITEM.product, Generation(1))], unknown),
        (vec![key(missing.product, Generation(0))], unknown),
        (vec![UpdateOp::SetData { item: missing, field, content: content() }], unknown),
        (vec![UpdateOp::Units { item: missing, change: UnitsChange::Add(1) }], unknown),
        (vec![UpdateOp::Units { item: ITEM, change: UnitsChange::Add(1) }], unknown),
        (vec![module(third, missing)], no_parent),
        (vec![module(missing, ITEM), module(third, missing)], no_parent),
    ] {
        assert_eq!(code(&made.apply(&ops)), refused, "{ops:?}");
        assert_eq!(made.bench.firm_records(), before);
    }
    // What is not there is gone already.
    assert_eq!(code(&made.apply(&[UpdateOp::RemoveItem(missing)])), None);
    assert_eq!(context(&mut made.bench, &made.vendor).entries, 1);
    // A module goes with its parent, and a key by its name.
    let both = [module(missing, ITEM), UpdateOp::RemoveItem(ITEM)];
    assert_eq!(code(&made.apply(&both)), None);
    assert_eq!(context(&mut made.bench, &made.vendor).entries, 0);
    assert_eq!(code(&made.apply(&[set(ITEM.product.0)])), None);
    assert!(made.open(1, op(1), 0).is_ok());
    assert_eq!(code(&made.apply(&[key(ITEM.product, Generation(0))])), None);
    assert_eq!(made.open(1, op(2), 0).err(), Some(ErrorCode::KeyMissing));
}

/// An option that is set again goes on; one that was taken away begins anew.
#[test]
fn what_belongs_to_an_option_goes_with_it() {
    let mut bench = Bench::new(1);
    bench.ticks.set_battery_s(NOW_S + 10);
    bench.power_up().expect("new flash");
    let counter = UnitRule { reserve_max: 1, lost: LostUnits::Held };
    let options = || vec![ItemOption::UsagePeriod(100), ItemOption::UnitCounter(counter)];
    let mut made = Licensed::on(bench, "Acme", options());
    let units = [UpdateOp::Units { item: ITEM, change: UnitsChange::Add(5) }];
    assert_eq!(code(&made.apply(&units)), None);
    assert!(matches!(made.open(1, op(1), 1), Ok(SeatReply::Opened(_))));
    let kept = |made: &mut Licensed| {
        let state = made.state();
        (state.first_use_s, state.units.expect("a counter").granted)
    };
    assert_eq!(kept(&mut made), (NOW_S + 10, 5));
    made.set(options());
    assert_eq!(kept(&mut made), (NOW_S + 10, 5));
    assert_eq!(code(&made.apply(&[UpdateOp::SetItem(entry(vec![]))])), None);
    made.set(options());
    assert_eq!(kept(&mut made), (0, 0));
}
