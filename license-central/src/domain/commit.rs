//! Group commit: what waits together is committed together.
//!
//! Whoever comes runs its step in the transaction that is open, behind the steps before it, and
//! leaves it open if others wait; the last one commits for all. There is no timer and no thread:
//! somebody who is alone commits at once. Where a step or the commit meets a conflict, all of it is
//! undone and each tries again alone, so that no step fails because of its neighbors.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::anchors::Head;
use super::audit::Chain;
use super::refusal::{Outcome, Refusal};
use crate::store::{Gathered, OpenTransaction, Purpose, Store, StoreError, retry};

/// Steps that one commit takes.
const STEPS_MAX: usize = 256;

/// How often a step is tried alone that meets a record which another has just made.
const TAKEN_TRIES: u32 = 3;

/// What a step did: its result, and the audit's chain behind it. It has written to the transaction
/// already. Where it returns [`Refusal::Told`] it has written nothing.
pub(super) type Stepped<T> = Outcome<(T, Chain)>;

/// The one who writes, of this instance.
pub(super) struct Group {
    store: Arc<dyn Store>,
    new_chain: Box<dyn Fn() -> Chain + Send + Sync>,
    /// Who waits for the turn.
    waiting: AtomicUsize,
    turn: Mutex<Turn>,
    /// Steps that were committed, and how often one began anew.
    tally: [AtomicU64; 2],
}

struct Turn {
    /// The audit as far as it is committed.
    chain: Chain,
    batch: Option<Batch>,
}

/// Steps of one transaction.
struct Batch {
    open: Box<dyn OpenTransaction>,
    chain: Chain,
    steps: usize,
    fate: Arc<Fate>,
}

/// What became of a batch.
#[derive(Default)]
struct Fate {
    known: Mutex<Option<Result<(), StoreError>>>,
    told: Condvar,
}

impl Group {
    pub(super) fn new(
        store: Arc<dyn Store>,
        new_chain: impl Fn() -> Chain + Send + Sync + 'static,
    ) -> Self {
        let turn = Mutex::new(Turn { chain: new_chain(), batch: None });
        Group {
            store,
            new_chain: Box::new(new_chain),
            waiting: AtomicUsize::new(0),
            turn,
            tally: Default::default(),
        }
    }

    /// Runs a step; when it returns, what it wrote is durable, or gone. It may run several times.
    pub(super) fn run<T>(
        &self,
        mut step: impl FnMut(&mut dyn OpenTransaction, &Chain) -> Stepped<T>,
    ) -> Outcome<T> {
        let (done, fate) = self.join(&mut step)?;
        let done = match (fate.wait(), done) {
            (Ok(()), Some(done)) => done,
            (Err(StoreError::Unavailable(why)), _) => Err(StoreError::Unavailable(why).into()),
            _ => {
                self.tally[1].fetch_add(1, Ordering::Relaxed);
                self.alone(&mut step)
            }
        };
        self.tally[0].fetch_add(u64::from(done.is_ok()), Ordering::Relaxed);
        done
    }

    /// The last entry of the audit that is committed. Whoever asks is not counted as waiting: the
    /// one before would leave the commit to it.
    pub(super) fn head(&self) -> Head {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner).chain.head()
    }

    /// Steps that were committed, and how often one began anew since another came between.
    pub(super) fn tally(&self) -> (u64, u64) {
        let [done, again] = &self.tally;
        (done.load(Ordering::Relaxed), again.load(Ordering::Relaxed))
    }

    /// Runs it in the batch that is open, and commits that if nobody else waits. None where it has
    /// to be run again.
    fn join<T>(
        &self,
        step: &mut impl FnMut(&mut dyn OpenTransaction, &Chain) -> Stepped<T>,
    ) -> Outcome<(Option<Outcome<T>>, Arc<Fate>)> {
        let mut turn = self.turn();
        let turn = &mut *turn;
        let batch = match &mut turn.batch {
            Some(batch) => batch,
            none => none.insert(Batch {
                open: self.begin()?,
                chain: turn.chain.clone(),
                steps: 0,
                fate: Arc::default(),
            }),
        };
        let fate = batch.fate.clone();
        let ran = catch_unwind(AssertUnwindSafe(|| step(&mut *batch.open, &batch.chain)));
        let done = match ran {
            Err(panic) => {
                self.end(turn, Err(StoreError::Conflict));
                resume_unwind(panic)
            }
            Ok(Ok((done, chain))) => {
                batch.chain = chain;
                Some(Ok(done))
            }
            Ok(Err(Refusal::Store(StoreError::Damaged { table, why }))) => {
                Some(Err(StoreError::Damaged { table, why }.into()))
            }
            Ok(Err(Refusal::Store(error))) => {
                let undone = match error {
                    StoreError::Unavailable(_) => error,
                    _ => StoreError::Conflict,
                };
                self.end(turn, Err(undone));
                return Ok((None, fate));
            }
            Ok(Err(told)) => Some(Err(told)),
        };
        batch.steps += 1;
        if batch.steps >= STEPS_MAX || self.waiting.load(Ordering::SeqCst) == 0 {
            self.end(turn, Ok(()));
        }
        Ok((done, fate))
    }

    /// Runs it in a transaction of its own.
    fn alone<T>(
        &self,
        step: &mut impl FnMut(&mut dyn OpenTransaction, &Chain) -> Stepped<T>,
    ) -> Outcome<T> {
        let mut turn = self.turn();
        self.end(&mut turn, Ok(()));
        for again in (0..TAKEN_TRIES).rev() {
            let mut told = None;
            let ran = retry(|| {
                let mut open = Gathered::new(self.store.begin(Purpose::Write)?);
                match step(&mut open, &turn.chain) {
                    Err(Refusal::Store(error)) => return Err(error),
                    Err(refused) => told = Some(refused),
                    Ok(done) => return Box::new(open).commit().map(|()| Some(done)),
                }
                Ok(None)
            });
            match ran {
                // Two instances may have made the same record at once: the second then finds it.
                Err(StoreError::Taken { .. }) if again > 0 => {}
                Err(error) => {
                    self.begin_anew(&mut turn.chain, &error);
                    return Err(error.into());
                }
                Ok(Some((done, chain))) => {
                    turn.chain = chain;
                    return Ok(done);
                }
                Ok(None) => return Err(told.unwrap_or(Refusal::Store(StoreError::Conflict))),
            }
        }
        Err(Refusal::Store(StoreError::Conflict))
    }

    fn begin(&self) -> Result<Box<dyn OpenTransaction>, StoreError> {
        let open = retry(|| self.store.begin(Purpose::Write))?;
        Ok(Box::new(Gathered::new(open)))
    }

    /// Ends the batch that is open, if one is, and tells its steps: commits it, or undoes it for
    /// this reason.
    fn end(&self, turn: &mut Turn, so_far: Result<(), StoreError>) {
        let Some(Batch { open, chain, fate, .. }) = turn.batch.take() else { return };
        let ended = so_far.and_then(|()| open.commit());
        match &ended {
            Ok(()) => turn.chain = chain,
            Err(error) => self.begin_anew(&mut turn.chain, error),
        }
        fate.tell(ended);
    }

    /// Where it is not known whether something was committed, no number may follow the last.
    fn begin_anew(&self, chain: &mut Chain, error: &StoreError) {
        if let StoreError::Unavailable(_) = error {
            *chain = (self.new_chain)();
        }
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Waits for the turn.
    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        turn
    }
}

impl Fate {
    fn tell(&self, fate: Result<(), StoreError>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(fate);
        self.told.notify_all();
    }

    fn wait(&self) -> Result<(), StoreError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.told.wait_while(known, |known| known.is_none());
        let known = known.unwrap_or_else(PoisonError::into_inner);
        known.clone().unwrap_or(Err(StoreError::Conflict))
    }
}

#[cfg(test)]
mod renewals;
#[cfg(test)]
mod tests;
