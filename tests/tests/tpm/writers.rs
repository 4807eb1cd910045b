//! Two programs on one container, each with a copy of its folder so that no lock keeps them apart:
//! the TPM lets one of them write.

use std::sync::Barrier;
use std::thread;

use protocol::errors::ErrorCode;
use strongroom_tests::swtpm::{Act, CommandCode, OtherUser, Proxy, Swtpm, get_random};
use tpm::vault::{NotCommitted, Vault};

use crate::bare::{Bare, commit};
use crate::soft::Soft;

/// Rounds of two writers.
fn rounds() -> u64 {
    if std::env::var_os("STRONGROOM_SOAK").is_some() { 1000 } else { 50 }
}

fn is_lost(told: &Result<(), NotCommitted>) -> bool {
    matches!(told, Err(NotCommitted::Lost(_)))
}

/// Both commit at the same time; whether the first was told that it did.
fn race(one: &mut Vault, other: &mut Vault, number: u64) -> bool {
    let start = Barrier::new(2);
    let run = |vault| {
        start.wait();
        commit(vault, number)
    };
    let told = thread::scope(|scope| {
        let other = scope.spawn(|| run(other));
        [run(one), other.join().expect("it does not panic")]
    });
    let made = told.each_ref().map(Result::is_ok);
    assert!(made[0] != made[1], "{told:?}");
    assert!(told.iter().all(|told| told.is_ok() || is_lost(told)), "{told:?}");
    made[0]
}

#[test]
fn of_two_writers_one_wins_each_round_and_the_other_has_to_read_anew() {
    let tpm = Swtpm::blank();
    let proxy = Proxy::of(&tpm);
    let (mut ahead, mut vault) = Bare::new(&proxy.tcti());
    let mut wins = [0; 2];
    for number in 1..=rounds() {
        let copy = ahead.copied();
        let (mut other, found) = copy.open(&proxy.tcti()).expect("a copy of the latest files");
        assert_eq!(found, number - 1);
        let first_won = race(&mut vault, &mut other, number);
        wins[usize::from(first_won)] += 1;
        let behind = if first_won {
            drop(other);
            copy
        } else {
            vault = other;
            std::mem::replace(&mut ahead, copy)
        };
        assert_eq!(behind.refusal(&proxy.tcti()), ErrorCode::SoftStale);
        proxy.clear();
    }
    drop(vault);
    assert_eq!(ahead.open(&tpm.tcti()).expect("the winner's files").1, rounds());
    println!("figure: {} and {} of {} rounds won", wins[1], wins[0], rounds());
}

/// The write of one is held until the other has committed: what it read is not what is there.
#[test]
fn a_write_that_comes_too_late_is_refused_by_the_tpm() {
    let tpm = Swtpm::blank();
    let proxy = Proxy::of(&tpm);
    let (bare, mut late) = Bare::new(&proxy.tcti());
    let copy = bare.copied();
    let (mut other, _) = copy.open(&proxy.tcti()).expect("a copy of the latest files");
    let held = proxy.hold_next(CommandCode::NV_WRITE);
    thread::scope(|scope| {
        let late = scope.spawn(|| commit(&mut late, 1));
        held.wait();
        commit(&mut other, 2).expect("nothing is in its way");
        held.let_go();
        let told = late.join().expect("it does not panic");
        assert!(is_lost(&told), "{told:?}");
    });
    drop((late, other));
    assert_eq!(copy.open(&tpm.tcti()).expect("the winner's files").1, 2);
    assert_eq!(bare.refusal(&tpm.tcti()), ErrorCode::SoftStale);
}

/// The same with the helper, as users meet it.
#[test]
fn the_helper_of_a_copy_that_fell_behind_says_so() {
    let tpm = Swtpm::blank();
    let proxy = Proxy::of(&tpm);
    let mut soft = Soft::new(&proxy.tcti());
    soft.serve();
    soft.set(1).expect("it can be renamed");
    // It begins with a commit, by which the other falls behind.
    let mut copy = soft.copied();
    copy.serve();
    assert_eq!((soft.value(), copy.value()), (1, 1));
    copy.set(2).expect("nothing is in its way");
    let refused = soft.set(3).expect_err("its files are older");
    assert!(refused.is(ErrorCode::StoreFailed), "{refused}");
    assert_eq!(soft.refusal(), ErrorCode::SoftStale);
    assert_eq!(copy.value(), 2);
}

/// Has somebody else use the TPM between the read and the write of so many tries.
fn interrupt(tpm: &Swtpm, proxy: &Proxy, mut times: usize) {
    let port = tpm.ports().data();
    proxy.clear();
    proxy.set_hook(move |exchange| {
        if exchange.code() == CommandCode::NV_WRITE && times > 0 {
            times -= 1;
            get_random(port).expect("a TPM that runs");
        }
        Act::Pass
    });
}

#[test]
fn a_commit_that_another_user_of_the_tpm_interrupts_is_tried_again_and_given_up_at_last() {
    let tpm = Swtpm::blank();
    let proxy = Proxy::of(&tpm);
    let (bare, mut vault) = Bare::new(&proxy.tcti());
    interrupt(&tpm, &proxy, 50);
    commit(&mut vault, 1).expect("he stops");
    let counts = [CommandCode::NV_READ, CommandCode::NV_WRITE].map(|code| proxy.count(code));
    assert_eq!(counts, [51, 51]);
    interrupt(&tpm, &proxy, usize::MAX);
    let told = commit(&mut vault, 2);
    assert!(matches!(told, Err(NotCommitted::Kept(_))), "{told:?}");
    assert_eq!(proxy.count(CommandCode::NV_WRITE), 200, "no more than are worth it");
    proxy.pass_all();
    commit(&mut vault, 3).expect("nothing is in its way");
    drop(vault);
    assert_eq!(bare.open(&tpm.tcti()).expect("the latest files").1, 3);
}

/// One who never stops interrupts nearly every try: whether a commit gets by is luck. It ends all
/// the same, and what it says is so.
#[test]
fn commits_end_while_another_user_of_the_tpm_never_stops() {
    let tpm = Swtpm::blank();
    let proxy = Proxy::of(&tpm);
    let (bare, mut vault) = Bare::new(&proxy.tcti());
    let hammering = OtherUser::of(proxy.ports());
    proxy.wait_for(CommandCode::GET_RANDOM, 100);
    let mut held = 0;
    for number in 1..=2 {
        match commit(&mut vault, number) {
            Ok(()) => held = number,
            told => assert!(matches!(told, Err(NotCommitted::Kept(_))), "{told:?}"),
        }
    }
    let (tries, others) = (proxy.count(CommandCode::NV_WRITE), hammering.times());
    println!("figure: commit {held} of 2, {tries} tries, {others} commands of another");
    drop((vault, hammering));
    let (mut vault, found) = bare.open(&tpm.tcti()).expect("the latest files");
    assert_eq!(found, held);
    commit(&mut vault, 3).expect("nothing is in its way");
}
