//! Scenes: who takes part, and how often what may be tried.

use super::{DRIFT, Who};

/// A client as a person sits at it.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    /// User and station, as one.
    pub station: u8,
    /// Which host the client runs on: it reaches a container that is plugged in there.
    pub host: u8,
    /// The client that forks this one, for children.
    pub parent: Option<Who>,
    /// How often the client asks for something.
    pub asks: u8,
    /// How often it begins a new use.
    pub opens: u8,
}

/// What is played.
#[derive(Debug, Clone)]
pub struct Scene {
    /// How it is called in figures.
    pub name: &'static str,
    /// Seats that were sold.
    pub quantity: u8,
    /// The clients.
    pub people: Vec<Person>,
    /// Who holds a seat as the scene begins, in this order; children hold that of their parents.
    pub seated: Vec<Who>,
    /// Whether the mark has a number that counts up, which tokens name.
    pub marks_numbered: bool,
    /// What may be wrong with a client's clock, in ticks in a time-out.
    pub clock_errors: Vec<i8>,
    /// Whether seats linger.
    pub lingers: bool,
    /// Whether those who find no seat wait in a queue.
    pub queues: bool,
    /// Times that the container loses power.
    pub restarts: u8,
    /// Times that the network delivers a request again, or after its sender gave it up.
    pub strays: u8,
    /// Times that a client crashes.
    pub crashes: u8,
    /// Seats that are lent, over time.
    pub loans: u8,
}

impl Scene {
    /// The hosts that clients run on.
    pub fn hosts(&self) -> impl Iterator<Item = u8> {
        0..=self.people.iter().map(|person| person.host).max().unwrap_or(0)
    }
}

/// The scenes that are played each time.
pub fn short() -> Vec<Scene> {
    let with_power = [network(), again(), beats(), fork(), clocks(), linger(), queue(), borrow()];
    let with_cuts = [reopen(), restarts(), family(), orphan(), replug()];
    with_power.into_iter().chain(with_cuts).collect()
}

/// The same people with more time, more trouble, and several things at once.
pub fn long() -> Vec<Scene> {
    let twice = Person { opens: 2, ..person(0, 2) };
    let family = [person(0, 2), child_of(0, 2), person(1, 1)];
    let single = [person(0, 1), person(1, 1), person(2, 1)];
    let crowd = [twice, person(1, 1), person(2, 1)];
    vec![
        Scene { strays: 2, crashes: 1, ..plain("network, long", &[twice, person(1, 2)]) },
        Scene { restarts: 1, strays: 1, ..plain("family, long", &family) },
        Scene { queues: true, lingers: true, ..plain("queue, long", &crowd) },
        Scene { quantity: 2, restarts: 1, loans: 1, ..plain("two seats, long", &single) },
    ]
}

/// A person who may ask so often.
fn person(station: u8, asks: u8) -> Person {
    Person { station, host: 0, parent: None, asks, opens: 1 }
}

fn child_of(parent: Who, asks: u8) -> Person {
    Person { parent: Some(parent), ..person(0, asks) }
}

fn plain(name: &'static str, people: &[Person]) -> Scene {
    Scene {
        name,
        quantity: 1,
        people: people.to_vec(),
        seated: Vec::new(),
        marks_numbered: false,
        clock_errors: vec![DRIFT as i8],
        lingers: false,
        queues: false,
        restarts: 0,
        strays: 0,
        crashes: 0,
        loans: 0,
    }
}

/// Two clients want one seat; connections and clients die, messages stray.
pub fn network() -> Scene {
    Scene { strays: 1, crashes: 1, ..plain("network", &[person(0, 2), person(1, 2)]) }
}

/// One client wants to keep its seat for long.
pub fn beats() -> Scene {
    Scene { strays: 1, ..plain("beats", &[person(0, 3), person(1, 1)]) }
}

/// A client ends its use and begins another one, while a message strays.
pub fn again() -> Scene {
    let twice = Person { opens: 2, ..person(0, 2) };
    Scene { strays: 1, ..plain("again", &[twice, person(1, 1)]) }
}

/// Clocks that are fast, right or slow.
pub fn clocks() -> Scene {
    let slow = DRIFT as i8;
    Scene { clock_errors: vec![-slow, 0, slow], ..plain("clocks", &[person(0, 2), person(1, 2)]) }
}

/// The container loses power twice.
pub fn restarts() -> Scene {
    Scene { restarts: 2, ..plain("restarts", &[person(0, 2), person(1, 2)]) }
}

/// A client has its seat closed over a restart, and wants one again.
pub fn reopen() -> Scene {
    let again = Person { opens: 2, ..person(0, 2) };
    Scene { restarts: 1, ..plain("reopen", &[again, person(1, 1)]) }
}

/// A client makes a child that joins its seat; another one waits for both to end.
pub fn fork() -> Scene {
    plain("fork", &[person(0, 2), child_of(0, 1), person(1, 1)])
}

/// A client and its child share a seat, and the container loses power.
pub fn family() -> Scene {
    let people = [person(0, 2), child_of(0, 2), person(1, 1)];
    Scene { seated: vec![0, 1], restarts: 1, ..plain("family", &people) }
}

/// A client may be gone before its child has joined, and another one comes; power goes.
pub fn orphan() -> Scene {
    let people = [person(0, 1), child_of(0, 1), person(1, 1)];
    Scene { seated: vec![0], restarts: 1, ..plain("orphan", &people) }
}

/// The container moves between two hosts.
pub fn replug() -> Scene {
    let people = [person(0, 2), Person { host: 1, ..person(1, 2) }];
    Scene { restarts: 2, ..plain("replug", &people) }
}

/// Seats linger for those who used them.
pub fn linger() -> Scene {
    let again = Person { opens: 2, ..person(0, 3) };
    Scene { lingers: true, ..plain("linger", &[again, person(1, 1)]) }
}

/// Three clients wait for one seat.
pub fn queue() -> Scene {
    Scene { queues: true, ..plain("queue", &[person(0, 1), person(1, 2), person(2, 1)]) }
}

/// Seats are borrowed.
pub fn borrow() -> Scene {
    Scene { quantity: 2, loans: 2, restarts: 1, ..plain("borrow", &[person(0, 2)]) }
}
