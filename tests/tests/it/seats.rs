//! Seats over power cuts and moves between machines, and those who try to have more than there are.

use protocol::codec::Text;
use protocol::command::{Reply, SeatCommand, SeatGrant, SeatReply};
use protocol::errors::ErrorCode;
use protocol::ids::{ArtifactId, OpId, SeatHandle, SeatToken};
use protocol::limits::{QUICK_MOVES_MAX, SEAT_GRACE_S, SETTLE_S};
use protocol::objects::license::{
    AccessMode, Client, ItemOption, LostUnits, Requirement, Status, UnitRule, user_id,
};
use protocol::objects::update::{UnitsChange, UpdateOp};
use strongroom_tests::dice::Dice;
use strongroom_tests::samples;

use crate::license::{ITEM, Licensed, op, station};

/// Seconds after which a dongle of the bench frees a seat: its time-out of 30, and the grace.
const FREE_AFTER_S: u64 = 30 + SEAT_GRACE_S as u64;

fn licensed(quantity: u32) -> Licensed {
    Licensed::new(vec![ItemOption::LicenseQuantity(quantity)])
}

fn granted(reply: Result<SeatReply, ErrorCode>) -> SeatGrant {
    match reply {
        Ok(SeatReply::Opened(grant)) => grant,
        other => panic!("no seat: {:?}", other.err()),
    }
}

fn as_op(token: SeatToken) -> OpId {
    OpId::new(*token.bytes())
}

#[test]
fn after_a_power_cut_only_holders_have_seats_until_all_of_them_must_have_ended() {
    let mut made = licensed(2);
    let held = granted(made.open(1, op(1), 0)).token;
    made.power_cycle();
    assert_eq!(made.open(2, op(2), 0).err(), Some(ErrorCode::SeatQuarantine));
    // Its holder goes on, and however often it asks it has one seat.
    let again = granted(made.open(1, as_op(held), 0));
    assert_eq!(again.token, held);
    assert_eq!(granted(made.open(3, as_op(held), 0)).token, held);
    assert_eq!(made.state().seats, 1);
    assert_eq!(made.open(2, op(2), 0).err(), Some(ErrorCode::SeatQuarantine));
    made.bench.ticks.pass_ms((FREE_AFTER_S - 1) * 1000);
    assert_eq!(made.open(2, op(2), 0).err(), Some(ErrorCode::SeatQuarantine));
    made.bench.ticks.pass_ms(1000);
    granted(made.open(2, op(2), 0));
}

/// A child shares its parent's seat on a channel where nobody said who he is.
#[test]
fn who_joins_a_seat_uses_it_as_who_took_it() {
    let anna = Client { user: user_id("anna"), ..samples::client() };
    let mut made = Licensed::new(vec![ItemOption::NamedUser(Text::new("anna").expect("short"))]);
    assert!(made.seat(1, SeatCommand::Introduce(anna)).is_ok());
    let token = granted(made.open(1, op(1), 0)).token;
    assert_eq!(made.open(2, op(2), 0).err(), Some(ErrorCode::OtherUser));
    let handle = granted(made.seat(2, SeatCommand::Join { op: op(3), token })).handle;
    let kept = made.seat(2, SeatCommand::Heartbeat { handle, n: 1 });
    assert!(matches!(kept, Ok(SeatReply::Kept { n: 1 })));
}

/// K12: a seat is not had by guessing, by another's secret, by an old one, or by a late heartbeat.
#[test]
fn sec_k12_a_seat_is_kept_and_taken_over_by_its_holder_alone() {
    let mut made = licensed(1);
    let grant = granted(made.open(1, op(1), 0));
    let mut dice = Dice::new(12);
    for _ in 0..1000 {
        let token = SeatToken::new(dice.bytes());
        let joined = made.seat(2, SeatCommand::Join { op: op(9), token });
        assert_eq!(joined.err(), Some(ErrorCode::SeatUnknown));
    }
    let beat = |handle: SeatHandle, n| SeatCommand::Heartbeat { handle, n };
    assert_eq!(made.seat(2, beat(grant.handle, 1)).err(), Some(ErrorCode::SeatUnknown));
    assert!(made.seat(1, beat(grant.handle, 1)).is_ok());
    assert_eq!(made.seat(1, beat(grant.handle, 1)).err(), Some(ErrorCode::SeatUnknown));
    made.power_cycle();
    assert_eq!(made.seat(1, beat(grant.handle, 2)).err(), Some(ErrorCode::SeatUnknown));
    // A bit of the secret, or of its number, is another secret.
    for bit in 0..128 {
        let mut other = *grant.token.bytes();
        other[bit / 8] ^= 1 << (bit % 8);
        let stolen = made.open(2, OpId::new(other), 0);
        assert_eq!(stolen.err(), Some(ErrorCode::SeatQuarantine), "bit {bit}");
    }
    // The use goes on under its secret, over as many power cuts as there are, and given back it is
    // gone.
    for _ in 0..3 {
        let again = granted(made.open(1, as_op(grant.token), 0));
        assert_eq!(again.token, grant.token);
        made.power_cycle();
    }
    let last = granted(made.open(1, as_op(grant.token), 0));
    assert!(made.seat(1, SeatCommand::Close { handle: last.handle }).is_ok());
    let again = made.open(2, as_op(grant.token), 0);
    assert_eq!(again.err(), Some(ErrorCode::SeatQuarantine));
}

/// A parent and its children: whoever asks first has the seat again, and the others join it, also
/// those who slept through a whole power session.
#[test]
fn a_family_has_one_seat_over_power_cuts() {
    let mut made = licensed(1);
    let token = granted(made.open(1, op(1), 0)).token;
    let join = |made: &mut Licensed, channel: u32| {
        made.seat(channel, SeatCommand::Join { op: op(channel.into()), token })
    };
    granted(join(&mut made, 2));
    granted(join(&mut made, 3));
    for (first, second) in [(1, 2), (3, 1), (2, 3)] {
        made.power_cycle();
        assert_eq!(join(&mut made, first).err(), Some(ErrorCode::SeatUnknown));
        granted(made.open(first, as_op(token), 0));
        granted(join(&mut made, second));
        assert_eq!(made.state().seats, 1);
    }
}

/// The answer to a heartbeat that is refused may get lost: its user goes on until the time-out, and
/// nobody else has the seat before.
#[test]
fn a_seat_whose_license_was_withdrawn_is_counted_until_its_holder_must_have_ended() {
    let mut made = licensed(1);
    let handle = granted(made.open(1, op(1), 0)).handle;
    let quantity = ItemOption::LicenseQuantity(1);
    made.set(vec![quantity.clone(), ItemOption::Status(Status::Suspended)]);
    let beat = made.seat(1, SeatCommand::Heartbeat { handle, n: 1 });
    assert_eq!(beat.err(), Some(ErrorCode::Suspended));
    made.set(vec![quantity]);
    made.bench.ticks.pass_ms(FREE_AFTER_S * 1000);
    assert_eq!(made.open(2, op(2), 0).err(), Some(ErrorCode::NoSeat));
    made.bench.ticks.pass_ms(1000);
    granted(made.open(2, op(2), 0));
}

#[test]
fn a_token_is_for_its_entry_and_its_dongle() {
    let mut made = licensed(1);
    let token = granted(made.open(1, op(1), 0)).token;
    made.power_cycle();
    let mut other = Licensed::on(
        strongroom_tests::bench::Bench::new(2),
        "Acme",
        vec![ItemOption::LicenseQuantity(1)],
    );
    granted(other.open(1, op(1), 0));
    other.power_cycle();
    assert_eq!(other.open(2, as_op(token), 0).err(), Some(ErrorCode::SeatQuarantine));
}

#[test]
fn a_container_that_was_left_in_order_keeps_nobody_waiting() {
    let mut made = licensed(1);
    let grant = granted(made.open(1, op(1), 0));
    assert!(made.seat(1, SeatCommand::Close { handle: grant.handle }).is_ok());
    made.power_cycle();
    granted(made.open(2, op(2), 0));
    // Lost to silence, and noticed: the same.
    made.bench.ticks.pass_ms((FREE_AFTER_S + 1) * 1000);
    made.state();
    made.power_cycle();
    granted(made.open(3, op(3), 0));
    // What does not count leaves no mark.
    let mut free = licensed(0);
    granted(free.open(1, op(1), 0));
    free.power_cycle();
    granted(free.open(2, op(2), 0));
}

/// The mark of seats costs a commit, so it is for those that somebody could have twice.
#[test]
fn only_a_seat_that_counts_leaves_a_mark() {
    let marked = |quantity, access| {
        let mut made = licensed(quantity);
        let before = made.bench.records();
        let requirement = Requirement { access, ..made.requirement(0) };
        let artifact = ArtifactId::default();
        granted(made.seat(1, SeatCommand::Open { op: op(1), requirement, artifact }));
        made.bench.records() != before
    };
    assert!(marked(2, AccessMode::UserLimit));
    assert!(!marked(0, AccessMode::UserLimit) && !marked(2, AccessMode::NoUserLimit));
}

/// Local use is not counted, but where it was paid for it goes on as well.
#[test]
fn what_was_paid_for_goes_on_after_a_power_cut_where_seats_do_not_count() {
    let rule = UnitRule { reserve_max: 10, lost: LostUnits::Held };
    let mut made = Licensed::new(vec![ItemOption::UnitCounter(rule)]);
    let units = UpdateOp::Units { item: ITEM, change: UnitsChange::Add(5) };
    assert!(matches!(made.apply(&[units]), Reply::Receipt(_)));
    let token = granted(made.open(1, op(1), 2)).token;
    made.power_cycle();
    assert_eq!(granted(made.open(1, as_op(token), 2)).token, token);
    assert_eq!(made.state().units.expect("a counter").left, 3);
}

#[test]
fn a_cut_in_the_quarantine_begins_it_anew() {
    let mut made = licensed(1);
    let token = granted(made.open(1, op(1), 0)).token;
    made.power_cycle();
    made.bench.ticks.pass_ms(20_000);
    made.power_cycle();
    made.bench.ticks.pass_ms((FREE_AFTER_S - 1) * 1000);
    assert_eq!(made.open(2, op(2), 0).err(), Some(ErrorCode::SeatQuarantine));
    granted(made.open(1, as_op(token), 0));
}

#[test]
fn a_seat_that_was_lost_to_silence_is_had_again_and_not_paid_again() {
    let mut made = licensed(1);
    let token = granted(made.open(1, op(1), 0)).token;
    made.bench.ticks.pass_ms((FREE_AFTER_S + 1) * 1000);
    let joined = made.seat(1, SeatCommand::Join { op: op(5), token });
    assert_eq!(joined.err(), Some(ErrorCode::SeatUnknown));
    granted(made.open(1, as_op(token), 0));
    assert_eq!(made.open(2, op(2), 0).err(), Some(ErrorCode::NoSeat));
}

/// The stations of the holders of a container that is switched to and fro.
#[test]
fn a_container_that_changes_machines_quickly_stays_shut_until_it_settles() {
    let mut made = licensed(0);
    for number in 1..=QUICK_MOVES_MAX + 1 {
        made.power_cycle();
        assert!(made.seat(1, station(number)).is_ok());
        granted(made.open(1, op(number.into()), 0));
    }
    made.power_cycle();
    assert!(made.seat(1, station(9)).is_ok());
    assert_eq!(made.open(1, op(99), 0).err(), Some(ErrorCode::ReplugTooFast));
    // Where it was last it may go on.
    assert!(made.seat(2, station(QUICK_MOVES_MAX + 1)).is_ok());
    granted(made.open(2, op(98), 0));
    made.power_cycle();
    assert!(made.seat(1, station(9)).is_ok());
    made.bench.ticks.pass_ms(u64::from(SETTLE_S) * 1000);
    granted(made.open(1, op(97), 0));
    // It settled: it may move again.
    made.power_cycle();
    assert!(made.seat(1, station(10)).is_ok());
    granted(made.open(1, op(96), 0));
}

#[test]
fn a_refused_seat_changes_no_byte() {
    let mut made = licensed(1);
    granted(made.open(1, op(1), 0));
    let before = made.bench.records();
    assert_eq!(made.open(2, op(2), 0).err(), Some(ErrorCode::NoSeat));
    assert_eq!(made.bench.records(), before);
    made.power_cycle();
    let before = made.bench.records();
    assert_eq!(made.open(2, op(2), 0).err(), Some(ErrorCode::SeatQuarantine));
    assert_eq!(made.bench.records(), before);
    let answer = made.bench.command(protocol::command::Command::Info);
    assert!(matches!(answer, Reply::Info(_)));
}
