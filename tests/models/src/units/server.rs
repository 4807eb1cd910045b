//! The server: makes updates, takes in logs, acknowledges and bills them, sees forks.

use super::bugs::Bug;
use super::{Body, Entry, Op, Units, Upload};

/// A signed change to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Update {
    /// One unit more.
    TopUp,
    /// What is held for this reservation: so much goes back.
    Settle(Op, i8),
}

/// What the server keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Books {
    /// The log as far as it was taken in.
    pub log: Vec<Entry>,
    /// How often each of its entries was billed.
    pub billed: Vec<u8>,
    /// Two histories of one container were seen.
    pub fork_reported: bool,
}

/// The server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Server {
    /// In RAM.
    pub ram: Books,
    /// What a crash leaves.
    pub durable: Books,
    /// All updates it ever made, number 1 first. Durable before they leave.
    pub updates: Vec<Update>,
    /// Seen by the checker only: an upload came that contradicts what was taken in.
    pub contradicted: bool,
}

impl Server {
    /// Takes in an upload. Gives the history that it acknowledges.
    pub fn take_in(&mut self, model: &Units, upload: &Upload) -> Option<Vec<Entry>> {
        let history = &upload.history;
        let shared = self.ram.log.len().min(history.len());
        let contradicts = self.ram.log[..shared] != history[..shared];
        self.contradicted |= contradicts;
        if contradicts && !model.is(Bug::ForkUnseen) {
            self.ram.fork_reported = true;
            self.persist();
        }
        let books = &mut self.ram;
        let gap = upload.from > books.log.len() && !model.is(Bug::ServerTakesGap);
        if books.fork_reported || gap {
            return None;
        }
        let billed_again = model.is(Bug::BillTwice);
        for (at, times) in books.billed.iter_mut().enumerate() {
            // The checker needs no more than that it was more than once.
            *times += u8::from(billed_again && at >= upload.from && at < shared && *times < 2);
        }
        for (at, entry) in history.iter().enumerate().skip(books.log.len()) {
            books.log.push(*entry);
            books.billed.push(u8::from(at >= upload.from));
        }
        if !model.is(Bug::AckBeforeStored) {
            self.persist();
        }
        Some(history.clone())
    }

    /// Reservations that wait for a decision, as far as it knows, and their units.
    pub fn held(&self) -> Vec<(Op, i8)> {
        let held = |entry: &Entry| match entry.body {
            Body::Held(op, units) => Some((op, units)),
            _ => None,
        };
        self.durable.log.iter().filter_map(held).collect()
    }

    /// All that is in RAM is durable.
    pub fn persist(&mut self) {
        self.durable = self.ram.clone();
    }

    /// It crashes and starts again.
    pub fn restart(&mut self) {
        self.ram = self.durable.clone();
    }
}
