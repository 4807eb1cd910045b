//! Three instances on one PostgreSQL, and one is killed in the middle of the load: the others go
//! on, and nothing that was answered is lost or there twice.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use strongroom_tests::postgres::Postgres;

use crate::load::{At, Client, Shop};
use crate::process::Place;

/// Clients at a time, each of all instances.
const CLIENTS: usize = 6;

/// Answers from one event to the next.
const ANSWERS: usize = 120;

#[test]
fn one_of_three_instances_is_killed_and_the_others_go_on() {
    let postgres = Postgres::start();
    let url = postgres.url();
    let place = Place::init_on(&["--database", &url]);
    let signer = place.signer();
    let socket = signer.socket();
    let args = ["--database", &url, "--signer", &socket, "--key-rate", "1000000"];
    let [one, two, three] = [(); 3].map(|()| place.run(&args));
    let at = [&one, &two, &three].map(At::of);
    let shop = Shop::open(at[0], &place.text("owner.key"));
    let mut clients: Vec<_> =
        (0..CLIENTS).map(|id| Client::new(at[id % 3], &shop, 900 + id)).collect();
    let (answers, ends) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut killed = 0;
    std::thread::scope(|scope| {
        let start = |client: &mut Client| {
            while !ends.load(Ordering::Relaxed) {
                assert!(client.step(&at), "an instance answers");
                answers.fetch_add(1, Ordering::Relaxed);
            }
        };
        let load: Vec<_> =
            clients.iter_mut().map(|client| scope.spawn(move || start(client))).collect();
        let wait = |count: usize| {
            let so_far = || answers.load(Ordering::Relaxed) < count;
            while so_far() && !load.iter().any(|client| client.is_finished()) {
                std::thread::yield_now();
            }
        };
        wait(ANSWERS);
        // Dropped, it is killed.
        drop(two);
        killed = answers.load(Ordering::Relaxed);
        wait(killed + 2 * ANSWERS);
        ends.store(true, Ordering::Relaxed);
        load.into_iter().for_each(|client| client.join().expect("no lie"));
    });
    let again = place.run(&args);
    for server in [&one, &three, &again] {
        let at = [At::of(server)];
        clients.iter_mut().for_each(|client| client.settle_all(&at));
        shop.check(at[0], &clients);
    }
    let orders: usize = clients.iter().map(Client::orders).sum();
    assert_eq!(shop.orders(At::of(&again)), orders + 1);
    for server in [one, three, again] {
        assert_eq!(server.end().code, Some(0));
    }
    drop(signer);
    place.check(&["--database", &url]);
    let answers = answers.load(Ordering::Relaxed);
    println!(
        "figure: three instances, one killed after {killed} of {answers} answers: {orders} orders, \
         0 lost, 0 twice"
    );
}
