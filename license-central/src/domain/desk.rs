//! The desk where seats are taken and given back: requests that wait together are one commit.
//!
//! Nobody holds a thread while waiting: a request lies in a queue, and whoever finds nobody at work
//! begins. What counts stands in rows ([`crate::store::seats`]): any number of instances work on
//! the same database, and one that starts anew has forgotten nothing. After the commit all its
//! leases get one signature.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::errors::ErrorCode;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;
use tokio::task::{block_in_place, spawn_blocking};

use super::central::Clock;
use super::env::Random;
use super::firms::Firms;
use super::lease::{self, Lease};
use super::refusal::{Outcome, Refusal};
use super::seats::{Book, Held, Request, SeatLog, Wish, forgotten_below};
use crate::store::seats::{Seat, SeatChanges, SeatKey};
use crate::store::{Purpose, Store, StoreError, retry};

/// Requests that one commit takes.
const REQUESTS_MAX: usize = 256;

/// Seats that one commit frees.
const DUE_MAX: i64 = 1024;

/// A request with what its answer needs.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What is asked for.
    pub request: Request,
    /// What the lease says of it.
    pub lease: Lease,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The seat.
    pub held: Held,
    /// The signed lease, where the seat is held.
    pub lease: Option<Vec<u8>>,
}

/// The desk.
pub struct Desk {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    firms: Firms,
    queue: Mutex<Queue>,
    /// Of whoever commits.
    log: Mutex<SeatLog>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// Whether somebody is at work.
    works: bool,
}

struct Waiting {
    asked: Asked,
    answer: oneshot::Sender<Outcome<Answer>>,
}

impl Desk {
    /// Over this store, as a new writer of the log.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        firms: impl Into<Firms>,
    ) -> Self {
        let firms = firms.into();
        let log = Mutex::new(new_log(&*clock, &*random));
        Desk { store, clock, random, firms, queue: Mutex::default(), log }
    }

    /// Asks, in a runtime. When the answer is there, it is durable.
    pub async fn ask(self: &Arc<Self>, asked: Asked) -> Outcome<Answer> {
        let (answer, answered) = oneshot::channel();
        let begins = {
            let mut queue = self.queue();
            queue.waiting.push(Waiting { asked, answer });
            !std::mem::replace(&mut queue.works, true)
        };
        if begins {
            self.clone().begin();
        }
        answered.await.unwrap_or_else(|_| Err(ErrorCode::ServerFailed.into()))
    }

    /// Commits requests at once: all together, or each alone where they cannot be.
    pub fn commit(&self, asked: &[Asked]) -> Vec<Outcome<Answer>> {
        match self.settle(asked, false) {
            Ok((held, _)) => self.signed(asked, held),
            // Each alone meets at most its own conflict.
            Err(StoreError::Conflict | StoreError::Taken { .. }) if asked.len() > 1 => {
                asked.iter().flat_map(|one| self.commit(std::slice::from_ref(one))).collect()
            }
            Err(error) => asked.iter().map(|_| Err(error.clone().into())).collect(),
        }
    }

    /// Frees seats whose time is over, though nobody asks for one; how many. Deletes also rows that
    /// nobody can ask for any more, if it `forgets`.
    pub fn sweep(&self, forgets: bool) -> Outcome<usize> {
        let mut all = 0;
        loop {
            let (_, freed) = self.settle(&[], forgets)?;
            all += freed;
            if freed < DUE_MAX as usize {
                return Ok(all);
            }
        }
    }

    /// Sees to it that what waits is answered. Whoever comes while nobody waits commits in his own
    /// thread, since waking another takes as long as a commit; who came meanwhile is answered by
    /// another. Not where a database may fall silent, since nobody would tell him that it did.
    fn begin(self: Arc<Self>) {
        let may_block = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
        // What else this thread would run goes on elsewhere.
        let others_wait =
            !(may_block && self.store.is_embedded()) || block_in_place(|| self.turn());
        if others_wait {
            spawn_blocking(move || while self.turn() {});
        }
    }

    /// Answers those who wait; whether others do by now. Where nobody does, whoever comes begins.
    fn turn(&self) -> bool {
        let waiting: Vec<Waiting> = {
            let mut queue = self.queue();
            let count = queue.waiting.len().min(REQUESTS_MAX);
            queue.waiting.drain(..count).collect()
        };
        let (asked, answers): (Vec<Asked>, Vec<_>) =
            waiting.into_iter().map(|one| (one.asked, one.answer)).unzip();
        // Without an answer its receiver says that the server failed.
        let done = catch_unwind(AssertUnwindSafe(|| self.commit(&asked))).unwrap_or_default();
        for (answer, done) in answers.into_iter().zip(done) {
            // Whoever went away finds the answer under the same number.
            let _ = answer.send(done);
        }
        let mut queue = self.queue();
        queue.works = !queue.waiting.is_empty();
        queue.works
    }

    /// Carries requests out in one transaction; what each got, and how many seats were freed.
    fn settle(
        &self,
        asked: &[Asked],
        forgets: bool,
    ) -> Result<(Vec<Outcome<Held>>, usize), StoreError> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = |trusts| retry(|| self.attempt(asked, (forgets, trusts), &log));
        let settled = match attempt(true) {
            Err(StoreError::Taken { .. }) => attempt(false),
            settled => settled,
        };
        match settled {
            Ok((held, freed, next)) => {
                *log = next;
                Ok((held, freed))
            }
            Err(error) => {
                if let StoreError::Unavailable(_) = error {
                    // Whether it was committed is not known, so no number may follow the last.
                    *log = new_log(&*self.clock, &*self.random);
                }
                Err(error)
            }
        }
    }

    /// One try. If it `trusts`, a session that begins is taken to be new, and not looked for: where
    /// it is not, the store finds it taken.
    fn attempt(
        &self,
        asked: &[Asked],
        (forgets, trusts): (bool, bool),
        log: &SeatLog,
    ) -> Result<(Vec<Outcome<Held>>, usize, SeatLog), StoreError> {
        let mut open = self.store.begin(Purpose::Seats)?;
        let now_ms = self.clock.now_ms();
        let begins = |one: &&Asked| trusts && matches!(one.request.what, Wish::Take(_));
        let (new, known): (Vec<&Asked>, Vec<_>) = asked.iter().partition(begins);
        let (new, known) = (keys(new), keys(known));
        let mut seats = open.seats(&known)?;
        let due = open.due_seats(now_ms, DUE_MAX)?;
        let freed = due.len();
        let all = known.iter().chain(&new);
        let mut ids: Vec<i64> = all.map(|key| key.counter).collect();
        ids.extend(due.iter().map(|seat| seat.key.counter));
        ids.sort_unstable();
        ids.dedup();
        let counters = open.counters(&ids)?;
        seats.extend(due);
        let ask = |seats: &[Seat]| {
            let mut book = Book::open(now_ms, &counters, seats);
            let held: Vec<_> = asked.iter().map(|one| book.ask(&one.request)).collect();
            (book, held)
        };
        let (mut book, mut held) = ask(&seats);
        if !new.is_empty() && held.iter().any(Result::is_err) {
            // Perhaps it is refused what it has already. These are locked behind the counters: who
            // waits for another in a circle meets a conflict, and tries again.
            seats.extend(open.seats(&new)?);
            (book, held) = ask(&seats);
        }
        let (mut changes, next) = book.close(log);
        changes.forgotten = forgets.then(|| forgotten_below(now_ms));
        if changes != SeatChanges::default() {
            open.change_seats(&changes)?;
            open.commit()?;
        }
        Ok((held, freed, next))
    }

    /// Leases for what is held, with one signature for each firm.
    fn signed(&self, asked: &[Asked], held: Vec<Outcome<Held>>) -> Vec<Outcome<Answer>> {
        let mut leases = lease::sign(&self.firms, asked, &held, self.clock.now_ms());
        let answer = |(at, held): (usize, Outcome<Held>)| {
            let held = held?;
            let lease = leases.remove(&at).transpose().map_err(Refusal::Told)?;
            Ok(Answer { held, lease })
        };
        held.into_iter().enumerate().map(answer).collect()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Their seats, in an order that is the same for all instances: none waits for another in a circle.
fn keys(asked: Vec<&Asked>) -> Vec<SeatKey> {
    let mut keys: Vec<_> = asked.iter().map(|one| one.request.key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// A number that rises with time, and that nobody else draws.
pub fn number(now_ms: i64, random: &dyn Random) -> i64 {
    let mut low = [0; 4];
    random.fill(&mut low);
    now_ms << 20 | i64::from(u32::from_be_bytes(low) >> 12)
}

fn new_log(clock: &dyn Clock, random: &dyn Random) -> SeatLog {
    SeatLog::begin(number(clock.now_ms(), random))
}

#[cfg(test)]
mod costs;
#[cfg(test)]
mod tests;
