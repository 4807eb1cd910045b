//! Units over power cuts and repeated commands, beside a model; and the log that books them.

use std::collections::BTreeMap;

use protocol::codec::Fixed;
use protocol::command::{Command, Reply, SeatCommand, SeatGrant, SeatReply, UnitState};
use protocol::errors::ErrorCode;
use protocol::ids::OpId;
use protocol::limits::{LOG_ENTRIES_MAX, STATEMENT_BODY_LEN_MAX};
use protocol::objects::license::{ItemOption, LostUnits, UnitRule};
use protocol::objects::update::{UnitsChange, UpdateOp};
use protocol::objects::usage::{
    LoggedEntry, UsageEntry, UsageHeadBody, UsageKind, chain, check_chain,
};
use protocol::signed::{Kind, Role, UnverifiedObject};
use protocol::{codec, signed};
use strongroom_tests::dice::Dice;

use crate::license::{ITEM, Licensed, op};

const RULE: UnitRule = UnitRule { reserve_max: 20, lost: LostUnits::Charged };

fn counted(units: u64) -> Licensed {
    let mut made = Licensed::new(vec![ItemOption::UnitCounter(RULE)]);
    add(&mut made, units);
    made
}

fn add(made: &mut Licensed, units: u64) {
    let change = UpdateOp::Units { item: ITEM, change: UnitsChange::Add(units) };
    assert!(matches!(made.apply(&[change]), Reply::Receipt(_)));
}

fn units(made: &mut Licensed) -> UnitState {
    made.state().units.expect("an entry with a counter")
}

fn granted(reply: Result<SeatReply, ErrorCode>) -> SeatGrant {
    match reply {
        Ok(SeatReply::Opened(grant)) => grant,
        other => panic!("no seat: {:?}", other.err()),
    }
}

/// The log as its firm sees it: head and all entries behind the acknowledged one.
fn log(made: &mut Licensed) -> (signed::Header, UsageHeadBody, Vec<UsageEntry>) {
    let firm = made.fp();
    let head = Command::UsageHead { firm, nonce: Fixed([1; 32]) };
    let Reply::UsageHead(object) = made.bench.command(head) else { panic!("no head") };
    let (object, _) = UnverifiedObject::read(&object, STATEMENT_BODY_LEN_MAX).expect("an object");
    let body = object.body_if_intact().expect("its own body");
    let body: UsageHeadBody = codec::decode(body, STATEMENT_BODY_LEN_MAX).expect("a body");
    let mut entries: Vec<UsageEntry> = Vec::new();
    loop {
        let after = body.acked_seq + entries.len() as u64;
        let page = made.bench.command(Command::UsageEntries { firm, after });
        let Reply::UsageEntries(page) = page else { panic!("no entries") };
        if page.is_empty() {
            return (*object.header(), body, entries);
        }
        entries.extend(page.into_vec());
    }
}

fn ack(made: &mut Licensed, seq: u64, state: [u8; 32]) -> Reply {
    let header = signed::Header { seq, state, ..made.header(Kind::UsageAck, &[]) };
    let command = made.signed(header, Role::Log, &[], Command::UsageAck);
    made.bench.command(command)
}

/// What the units must be, command by command.
#[derive(Debug, Clone, Default)]
struct Model {
    state: UnitState,
    open: BTreeMap<u64, u32>,
    done: Vec<u64>,
}

/// Random uses, reservations, repetitions and power cuts: no unit is lost, made, or spent twice,
/// and the log tells the same story.
#[test]
fn sec_k10_no_crash_and_no_repetition_spends_a_unit_twice() {
    let runs = if std::env::var_os("STRONGROOM_SOAK").is_some() { 200 } else { 12 };
    for run in 0..runs {
        let mut dice = Dice::new(1000 + run);
        let mut made = counted(300);
        let mut model = Model::default();
        (model.state.granted, model.state.left) = (300, 300);
        for step in 1..120 {
            one_step(&mut made, &mut model, step, &mut dice);
            let seen = units(&mut made);
            assert_eq!(seen, model.state, "step {step}");
            assert_eq!(seen.granted, seen.left + seen.reserved + seen.used + seen.removed);
        }
        let (head, body, entries) = log(&mut made);
        let logged = chain(body.acked_head.0, body.acked_seq, &entries);
        assert_eq!(check_chain(body.acked_head.0, body.acked_seq, &logged, &head.state), Ok(()));
        assert_eq!(entries.last().map(|entry| entry.leaf.left), Some(model.state.left));
    }
}

fn one_step(made: &mut Licensed, model: &mut Model, step: u64, dice: &mut Dice) {
    let crash = dice.one_in(3);
    match dice.below(5) {
        0 | 1 => {
            let wanted = 1 + dice.below(5) as u32;
            let opened = made.open(step as u32, op(step), wanted);
            let fits = model.state.left >= wanted.into();
            assert_eq!(opened.is_ok(), fits, "{:?}", opened.err());
            if fits {
                model.state.left -= u64::from(wanted);
                model.state.used += u64::from(wanted);
                if crash {
                    made.power_cycle();
                    granted(made.open(step as u32, op(step), wanted));
                }
            }
        }
        2 => reserve(made, model, step, crash, dice),
        3 => {
            let units = dice.below(30) as u64 + 1;
            add(made, units);
            model.state.granted += units;
            model.state.left += units;
        }
        _ => account(made, model, crash, dice),
    }
    if dice.one_in(4) {
        made.power_cycle();
    }
}

fn reserve(made: &mut Licensed, model: &mut Model, step: u64, crash: bool, dice: &mut Dice) {
    if model.state.left == 0 || model.open.len() == 16 {
        return;
    }
    let wanted = 1 + dice.below(RULE.reserve_max as usize) as u32;
    let ask = |made: &mut Licensed| {
        let channel = 10_000 + step as u32;
        let handle = granted(made.open(channel, op(step << 32), 0)).handle;
        made.seat(channel, SeatCommand::Reserve { op: op(step), handle, units: wanted })
    };
    let answer = ask(made);
    if model.state.left < wanted.into() {
        assert_eq!(answer.err(), Some(ErrorCode::NoUnits));
        return;
    }
    assert!(answer.is_ok());
    model.state.left -= u64::from(wanted);
    model.state.reserved += u64::from(wanted);
    model.open.insert(step, wanted);
    if crash && model.state.left > 0 {
        made.power_cycle();
        assert!(ask(made).is_ok(), "the same command again");
    }
}

fn account(made: &mut Licensed, model: &mut Model, crash: bool, dice: &mut Dice) {
    let Some((step, reserved)) = model.open.pop_first() else { return };
    if model.state.left == 0 {
        model.open.insert(step, reserved);
        return;
    }
    let used = dice.below(reserved as usize + 1) as u32;
    let tell = |made: &mut Licensed| {
        let channel = 20_000 + step as u32;
        let handle = granted(made.open(channel, op(step << 33), 0)).handle;
        made.seat(channel, SeatCommand::Account { op: op(step), handle, used })
    };
    assert!(tell(made).is_ok());
    model.state.reserved -= u64::from(reserved);
    model.state.used += u64::from(used);
    model.state.left += u64::from(reserved - used);
    model.done.push(step);
    if crash {
        made.power_cycle();
        assert!(tell(made).is_ok(), "the same command again");
    }
}

#[test]
fn a_paid_start_is_not_free_for_the_next_one() {
    let mut made = counted(10);
    let grant = granted(made.open(1, op(1), 3));
    assert!(made.seat(1, SeatCommand::Close { handle: grant.handle }).is_ok());
    assert_eq!(made.open(2, op(1), 3).err(), Some(ErrorCode::SeatUnknown));
    assert_eq!(units(&mut made).left, 7);
    // The power went away before the answer came: the same command gets its seat.
    granted(made.open(3, op(2), 3));
    made.power_cycle();
    let grant = granted(made.open(4, op(2), 3));
    assert_eq!(units(&mut made).left, 4);
    // A use that goes on over a power cut has paid.
    made.power_cycle();
    let token = OpId::new(*grant.token.bytes());
    let grant = granted(made.open(5, token, 3));
    assert_eq!(units(&mut made).left, 4);
    // Given back it has not, whatever the container forgets: neither by its command nor by its
    // secret, which is good in this period since another use goes on.
    let other = granted(made.open(6, op(6), 1));
    assert!(made.seat(5, SeatCommand::Close { handle: grant.handle }).is_ok());
    made.power_cycle();
    granted(made.open(6, OpId::new(*other.token.bytes()), 1));
    assert_eq!(units(&mut made).left, 3);
    assert_eq!(made.open(5, op(2), 3).err(), Some(ErrorCode::SeatUnknown));
    granted(made.open(5, token, 3));
    assert_eq!(units(&mut made).left, 0);
}

/// The vendor settled what a command had reserved, and its answer was lost: repeated, it reserves
/// nothing more.
#[test]
fn what_was_settled_is_not_reserved_again() {
    for change in [UnitsChange::ChargeReserved, UnitsChange::ReleaseReserved] {
        let mut made = counted(50);
        let handle = granted(made.open(1, op(1), 1)).handle;
        let reserve = SeatCommand::Reserve { op: op(2), handle, units: 5 };
        assert!(made.seat(1, reserve).is_ok());
        assert!(matches!(made.apply(&[UpdateOp::Units { item: ITEM, change }]), Reply::Receipt(_)));
        let before = units(&mut made);
        assert_eq!(before.reserved, 0);
        let unknown = Some(ErrorCode::ReservationUnknown);
        assert_eq!(made.seat(1, reserve).err(), unknown);
        let account = SeatCommand::Account { op: op(2), handle, used: 0 };
        assert_eq!(made.seat(1, account).err(), unknown);
        assert_eq!(units(&mut made), before);
    }
}

#[test]
fn a_refused_use_takes_nothing() {
    let mut made = counted(5);
    let before = made.bench.records();
    assert_eq!(made.open(1, op(1), 6).err(), Some(ErrorCode::NoUnits));
    assert_eq!(made.bench.records(), before);
}

/// K13: whatever is done to a log, the verifier says where.
#[test]
fn sec_k13_an_edited_log_is_refused_at_its_first_bad_entry() {
    let mut made = counted(1000);
    for step in 0..40 {
        granted(made.open(step, op(u64::from(step) + 1), 1 + step % 3));
    }
    let (head, body, entries) = log(&mut made);
    let good = chain(body.acked_head.0, body.acked_seq, &entries);
    let check = |entries: &[LoggedEntry]| {
        check_chain(body.acked_head.0, body.acked_seq, entries, &head.state)
    };
    assert_eq!(check(&good), Ok(()));
    let edits = if std::env::var_os("STRONGROOM_SOAK").is_some() { 100_000 } else { 2_000 };
    let mut dice = Dice::new(13);
    for _ in 0..edits {
        let (mut edited, at) = (good.clone(), dice.below(good.len()));
        let bad = match dice.below(6) {
            0 => {
                edited[at].entry.leaf.units ^= 1 << dice.below(8);
                at
            }
            1 => {
                edited.remove(at);
                at
            }
            2 => {
                edited.insert(at, good[dice.below(good.len())]);
                edited[at].entry.salt.0[0] ^= 1;
                at
            }
            3 => {
                let other = (at + 1 + dice.below(good.len() - 1)) % good.len();
                edited.swap(at, other);
                at.min(other)
            }
            4 => {
                edited.truncate(at);
                at
            }
            _ => {
                edited[at].head[dice.below(32)] ^= 1;
                at
            }
        };
        let named = check(&edited).expect_err("an edited log");
        assert_eq!(named.seq, body.acked_seq + bad as u64 + 1);
    }
}

/// K13: a copy of the container goes its own way; two signed heads of one number tell it, and an
/// acknowledgement of the one prunes nothing of the other.
#[test]
fn sec_k13_a_fork_is_told_by_two_heads_and_acknowledged_once() {
    let mut made = counted(100);
    granted(made.open(1, op(1), 1));
    let image = made.bench.flash().snapshot();
    granted(made.open(2, op(2), 1));
    let (one, _, _) = log(&mut made);
    made.bench.flash().clone().restore(&image).expect("an image of this chip");
    made.power_cycle();
    granted(made.open(3, op(3), 1));
    let (other, _, entries) = log(&mut made);
    assert_eq!(one.seq, other.seq);
    assert_ne!(one.state, other.state);
    let Reply::Failed(failure) = ack(&mut made, one.seq, one.state) else { panic!("pruned") };
    assert_eq!(failure.known(), Some(ErrorCode::AckFork));
    assert_eq!(log(&mut made).2, entries, "nothing was pruned");
}

#[test]
fn only_what_is_acknowledged_is_pruned() {
    let mut made = counted(1000);
    for step in 0..20 {
        granted(made.open(step, op(u64::from(step) + 1), 1));
    }
    let (head, body, entries) = log(&mut made);
    let logged = chain(body.acked_head.0, body.acked_seq, &entries);
    let forged = |made: &mut Licensed, role| {
        let header =
            signed::Header { seq: 5, state: logged[4].head, ..made.header(Kind::UsageAck, &[]) };
        let command = made.signed(header, role, &[], Command::UsageAck);
        made.bench.command(command)
    };
    let Reply::Failed(failure) = forged(&mut made, Role::Licensing) else { panic!("taken") };
    assert_eq!(failure.known(), Some(ErrorCode::AckSignature));
    let ahead = ack(&mut made, head.seq + 1, [0; 32]);
    assert!(matches!(ahead, Reply::Failed(_)));
    assert_eq!(log(&mut made).2, entries);
    assert!(matches!(ack(&mut made, 5, logged[4].head), Reply::Done));
    made.power_cycle();
    let (_, body, left) = log(&mut made);
    assert_eq!((body.acked_seq, body.acked_head.0), (5, logged[4].head));
    assert_eq!(left, entries[5..]);
    // Said again, it changes nothing; an earlier one neither.
    assert!(matches!(ack(&mut made, 5, logged[4].head), Reply::Done));
    assert_eq!(log(&mut made).2, entries[5..]);
    let firm = made.fp();
    let gone = made.bench.command(Command::UsageEntries { firm, after: 3 });
    let Reply::Failed(failure) = gone else { panic!("entries that are gone") };
    assert_eq!(failure.known(), Some(ErrorCode::UsageEntriesGone));
}

#[test]
fn a_full_log_stops_what_it_could_not_book_and_nothing_else() {
    let mut made = counted(10_000);
    let mut step = 1;
    let full = loop {
        match made.open(1, op(step), 1) {
            Ok(SeatReply::Opened(grant)) => {
                made.seat(1, SeatCommand::Close { handle: grant.handle }).expect("held");
            }
            other => break other.err(),
        }
        step += 1;
    };
    assert_eq!(full, Some(ErrorCode::UsageLogFull));
    let (head, body, entries) = log(&mut made);
    assert!(
        entries.len() as u64 + 40 > LOG_ENTRIES_MAX && (entries.len() as u64) < LOG_ENTRIES_MAX
    );
    granted(made.open(2, op(step + 1), 0));
    let logged = chain(body.acked_head.0, body.acked_seq, &entries);
    let last = logged.last().expect("many").head;
    assert!(matches!(ack(&mut made, head.seq, last), Reply::Done));
    granted(made.open(3, op(step + 2), 1));
    let kinds: Vec<UsageKind> = log(&mut made).2.iter().map(|entry| entry.leaf.kind).collect();
    assert_eq!(kinds, [UsageKind::Taken]);
}

/// What the vendor books has the log to its last entry, and what does not fit is refused whole.
#[test]
fn an_update_books_what_it_changes_as_far_as_the_log_goes() {
    let mut made = counted(1);
    let adds = |count| vec![UpdateOp::Units { item: ITEM, change: UnitsChange::Add(1) }; count];
    let half = LOG_ENTRIES_MAX as usize / 2;
    assert!(matches!(made.apply(&adds(half - 1)), Reply::Receipt(_)));
    let remove = UpdateOp::Units { item: ITEM, change: UnitsChange::Remove(half as u64) };
    assert!(matches!(made.apply(&[adds(half - 1), vec![remove]].concat()), Reply::Receipt(_)));
    let (head, body, entries) = log(&mut made);
    let kinds = |entries: &[UsageEntry]| -> Vec<UsageKind> {
        entries.iter().map(|entry| entry.leaf.kind).collect()
    };
    assert_eq!(entries.len() as u64, LOG_ENTRIES_MAX);
    assert_eq!(kinds(&entries[entries.len() - 2..]), [UsageKind::Added, UsageKind::Removed]);
    let left = units(&mut made).left;
    assert_eq!((left, entries[entries.len() - 1].leaf.left), (half as u64 - 1, left));
    let Reply::UpdateRefused { failure, .. } = made.apply(&adds(1)) else { panic!("booked") };
    assert_eq!(failure.known(), Some(ErrorCode::UsageLogFull));
    assert_eq!(units(&mut made).left, left);
    let logged = chain(body.acked_head.0, body.acked_seq, &entries);
    let last = logged.last().expect("many").head;
    assert!(matches!(ack(&mut made, head.seq, last), Reply::Done));
    assert!(matches!(made.apply(&adds(1)), Reply::Receipt(_)));
    assert!(matches!(made.apply(&[UpdateOp::RemoveItem(ITEM)]), Reply::Receipt(_)));
    let after = log(&mut made).2;
    assert_eq!(kinds(&after), [UsageKind::Added, UsageKind::Removed]);
    assert_eq!((after[1].leaf.units, after[1].leaf.left), (left + 1, 0));
}
