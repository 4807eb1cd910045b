//! The server is killed at random moments under load, and starts again: what was answered is
//! there, and nothing is there twice.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use strongroom_tests::dice::Dice;
use strongroom_tests::postgres::Postgres;

use crate::load::{At, Client, Shop};
use crate::process::{Place, Running};

/// Clients at a time.
const CLIENTS: usize = 3;

/// What the signer signs in a day: more than this load.
const MOST: u64 = 1_000_000_000;

/// Kills at one place, so that its records and journal stay as short as in a short run.
const KILLS_MAX: usize = 400;

/// How often each is killed, and by which stream of the dice: one place after the other.
fn kills(test: usize, soak: usize, first: u64) -> impl Iterator<Item = (usize, u64)> {
    let all = if std::env::var_os("STRONGROOM_SOAK").is_some() { soak } else { test };
    let places = (0..all).step_by(KILLS_MAX).map(move |done| KILLS_MAX.min(all - done));
    places.zip((first..).step_by(2))
}

/// What is killed.
#[derive(Clone, Copy)]
enum Victim {
    Server,
    /// Its signer, and it itself a moment later.
    SignerFirst,
}

/// Waits until so many were answered, and some moments more.
fn wait(answers: &AtomicUsize, count: usize, moments: usize) {
    while answers.load(Ordering::Relaxed) < count {
        std::thread::yield_now();
    }
    (0..moments).for_each(|_| std::thread::yield_now());
}

fn kill(server: Running, victim: Victim, (answers, dice): (&AtomicUsize, &mut Dice)) {
    wait(answers, dice.below(12), dice.below(400));
    if let Victim::SignerFirst = victim {
        let signer = server.child_ids().into_iter().next().and_then(Pid::from_raw);
        kill_process(signer.expect("a signer"), Signal::KILL).expect("it runs");
        let now = answers.load(Ordering::Relaxed);
        wait(answers, now + dice.below(4), 0);
    }
    // Dropped, it is killed.
    drop(server);
}

/// Kills it so often, and looks after each start whether all is as it was answered.
fn run(place: &Place, args: &[&str], kills: usize, stream: u64) -> String {
    let caps = place.text("signer.toml");
    let caps = caps.lines().map(|line| match line.split_once(" = ") {
        Some((name, most)) if most.parse::<u64>().is_ok() => format!("{name} = {MOST}\n"),
        _ => format!("{line}\n"),
    });
    fs::write(place.data().join("signer.toml"), caps.collect::<String>()).expect("room");
    let args: Vec<&str> = args.iter().copied().chain(["--key-rate", "1000000"]).collect();
    let mut dice = Dice::new(stream);
    let server = place.run(&args);
    let (at, owner) = (At::of(&server), place.text("owner.key"));
    let shop = Shop::open(at, &owner);
    let id = |number: usize| 100 * stream as usize + number;
    let mut clients: Vec<_> = (0..CLIENTS).map(|own| Client::new(at, &shop, id(own))).collect();
    drop(server);
    let mut signers = 0;
    for _ in 0..kills {
        let server = place.run(&args);
        let at = [At::of(&server)];
        clients.iter_mut().for_each(|client| client.settle(&at));
        shop.check(at[0], &clients);
        let victim = if dice.one_in(5) { Victim::SignerFirst } else { Victim::Server };
        signers += usize::from(matches!(victim, Victim::SignerFirst));
        let answers = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let start = |client| scope.spawn(|| Client::run(client, &at, &answers));
            let load: Vec<_> = clients.iter_mut().map(start).collect();
            kill(server, victim, (&answers, &mut dice));
            load.into_iter().for_each(|client| client.join().expect("no lie"));
        });
    }
    let server = place.run(&args);
    let at = [At::of(&server)];
    clients.iter_mut().for_each(|client| client.settle_all(&at));
    shop.check(at[0], &clients);
    let orders: usize = clients.iter().map(Client::orders).sum();
    assert_eq!(shop.orders(at[0]), orders + 1, "orders that there are, and that were sent");
    let answered: usize = clients.iter().map(|client| client.answered).sum();
    let units: u64 = clients.iter().map(Client::units).sum();
    assert_eq!(server.end().code, Some(0));
    place.check(&args[..args.len() - 2]);
    format!(
        "{kills} kills, {signers} of them of the signer too: {answered} answers, {orders} orders, \
         {units} units"
    )
}

#[test]
fn whatever_was_answered_is_there_after_a_kill() {
    for (kills, stream) in kills(160, 16_000, 1) {
        let said = run(&Place::init(), &[], kills, stream);
        println!("figure: SQLite, {said}: 0 lost, 0 twice");
    }
}

#[test]
fn whatever_was_answered_is_there_after_a_kill_on_postgresql() {
    for (kills, stream) in kills(40, 4_000, 2) {
        let postgres = Postgres::start();
        let url = postgres.url();
        let place = Place::init_on(&["--database", &url]);
        let said = run(&place, &["--database", &url], kills, stream);
        println!("figure: PostgreSQL, {said}: 0 lost, 0 twice");
    }
}
