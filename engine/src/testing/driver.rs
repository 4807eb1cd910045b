//! Runs a journal beside its model, through power cuts, and says which promise was broken.

use std::collections::BTreeMap;
use std::fmt;

use super::Dice;
use super::model::{Contents, Model};
use crate::journal::{Flash, Journal, Layout, WriteKind};
use crate::platform::{RECORD_LEN_MAX, RecordKey, Store, StoreError};

/// How the power goes away at a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Torn {
    /// Nothing of the write happens.
    Before,
    /// A random subset of its bits is programmed, or erased.
    During,
    /// All of it happens, and nobody is told.
    After,
}

/// A flash whose power a test can take away. Clones share the memory.
pub trait CutFlash: Flash + Clone {
    /// The whole memory at a moment, the counts of writes and of wear aside.
    type Image: Clone;

    /// Words programmed and blocks erased so far.
    fn writes(&self) -> u64;

    /// Lets `writes` more happen, then takes the power away at the next one.
    fn cut_power_after(&self, writes: u64, torn: Torn);

    /// Gives the power back and forgets a cut that did not happen. Returns what the last cut hit.
    fn restore_power(&self) -> Option<WriteKind>;

    /// Copies the memory.
    fn image(&self) -> Self::Image;

    /// Puts a copy back.
    fn set_image(&self, image: &Self::Image);

    /// Erases of the least and of the most erased block of a run of blocks.
    fn wear(&self, first_block: u32, blocks: u32) -> (u32, u32);
}

/// One step of a transaction.
#[derive(Clone, PartialEq, Eq)]
pub enum Step {
    /// Writes a record.
    Put(RecordKey, Vec<u8>),
    /// Deletes one.
    Delete(RecordKey),
}

/// Steps that hold together, or are dropped together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// What is done.
    pub steps: Vec<Step>,
    /// Whether it ends by a commit. If not, by an abort.
    pub commit: bool,
}

/// What a store promised and did not keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// A mount failed though nothing but power was lost.
    Mount(StoreError),
    /// A call ended otherwise than in the model.
    Answer {
        /// Which call.
        call: &'static str,
        /// What the store said.
        store: Result<(), StoreError>,
        /// What the model said.
        model: Result<(), StoreError>,
    },
    /// A record cannot be read.
    Read(RecordKey, StoreError),
    /// The order of keys cannot be read, or does not rise.
    Order(RecordKey),
    /// After a power cut neither the old nor the new state stands there. The keys that differ from
    /// each.
    ThirdState {
        /// Keys whose record is not the one before the transaction.
        not_old: Vec<RecordKey>,
        /// Keys whose record is not the one after it.
        not_new: Vec<RecordKey>,
    },
    /// A confirmed state is not there. The keys whose records differ from it.
    Lost(Vec<RecordKey>),
    /// The new state stands there though no commit was asked for.
    Premature,
    /// The commit sequence number fell, or stood still over a commit.
    Sequence {
        /// Before.
        before: u64,
        /// Now.
        now: u64,
    },
    /// The bytes of live entries are not those of the model.
    Accounting {
        /// What the store counts.
        store: u32,
        /// What the model counts.
        model: u32,
    },
    /// The blocks of the journal wear unevenly.
    Wear {
        /// Erases of the least erased block.
        least: u32,
        /// Erases of the most erased one.
        most: u32,
    },
    /// More heap than promised: bytes of the index, bytes of the transaction, number of records.
    Heap(usize, usize, usize),
}

/// Which of two states was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Landed {
    /// That before the transaction.
    Old,
    /// That after it.
    New,
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As in the model: this is what the commit, or the abort, answered.
    Answered(Result<(), StoreError>),
    /// The power went away at a write of this kind, and this was found after.
    Cut(WriteKind, Landed),
}

/// What a test has seen, for its last line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Cuts by the kind of write that they hit.
    pub cuts: BTreeMap<WriteKind, u64>,
    /// Cuts by what was found after.
    pub landed: BTreeMap<Landed, u64>,
    /// Cuts that hit the first work after another cut.
    pub double: u64,
}

/// A journal on a flash with power cuts, and the model beside it.
pub struct Driver<F: CutFlash> {
    flash: F,
    layout: Layout,
    journal: Journal<F>,
    model: Model,
    /// Highest commit sequence number seen.
    seq: u64,
    /// Whether reads are compared after each step of a transaction.
    probing: bool,
}

impl<F: CutFlash> Driver<F> {
    /// Mounts the journal, or makes one on new flash, with the model empty.
    pub fn new(flash: F, layout: Layout) -> Result<Self, Broken> {
        let journal = Journal::open(flash.clone(), layout).map_err(Broken::Mount)?;
        let model = Model::new(journal.capacity(), flash.geometry().word_len);
        let mut driver = Self { flash, layout, journal, model, seq: 0, probing: true };
        driver.check()?;
        Ok(driver)
    }

    /// Mounts a journal in use, with the model as it is found.
    pub fn over(flash: F, layout: Layout) -> Result<Self, Broken> {
        let mut journal = Journal::mount(flash.clone(), layout).map_err(Broken::Mount)?;
        let mut model = Model::new(journal.capacity(), flash.geometry().word_len);
        model.set_records(contents(&mut journal)?);
        let seq = journal.commit_seq();
        Ok(Self { flash, layout, journal, model, seq, probing: true })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The journal.
    pub fn journal(&mut self) -> &mut Journal<F> {
        &mut self.journal
    }

    /// Runs a transaction on both. After a power cut the journal is mounted again and the state
    /// found there is judged; the model follows it.
    pub fn run(&mut self, transaction: &Transaction) -> Result<Outcome, Broken> {
        let mut after = self.model.clone();
        let (ended, asked) = match play(&mut self.journal, &mut after, transaction, self.probing) {
            Ok(ended) => ended,
            Err(broken) => {
                let Some(kind) = self.flash.restore_power() else { return Err(broken.0) };
                return self.judge(kind, transaction, broken.1);
            }
        };
        if ended.is_ok() && asked {
            let (before, now) = (self.seq, self.journal.commit_seq());
            let changed = after.records() != self.model.records();
            if now < before || (changed && now == before) {
                return Err(Broken::Sequence { before, now });
            }
        }
        self.model = after;
        self.seq = self.journal.commit_seq();
        Ok(Outcome::Answered(ended))
    }

    /// Mounts again and compares everything.
    pub fn remount(&mut self) -> Result<(), Broken> {
        self.mount()?;
        self.check()
    }

    /// Compares all records, the order of keys, the sums and the heap.
    pub fn check(&mut self) -> Result<(), Broken> {
        let found = contents(&mut self.journal)?;
        if found != *self.model.records() {
            return Err(Broken::Lost(differing(&found, self.model.records())));
        }
        let (store, model) = (self.journal.live_len(), self.model.live_len());
        if store != model {
            return Err(Broken::Accounting { store, model });
        }
        let now = self.journal.commit_seq();
        if now < self.seq {
            return Err(Broken::Sequence { before: self.seq, now });
        }
        let (index, pending) = self.journal.heap_len();
        // 24 bytes for each record and one list begun, the list's own header; design: 64 and 8 KiB.
        if index > 25 * found.len() + 2048 || pending > 8192 {
            return Err(Broken::Heap(index, pending, found.len()));
        }
        Ok(())
    }

    /// Fails if the blocks differ by more erases than one and `cuts` explain.
    pub fn check_wear(&self, cuts: u32) -> Result<(), Broken> {
        let (least, most) = self.flash.wear(self.layout.first_block, self.layout.blocks);
        if most - least > 1 + cuts { Err(Broken::Wear { least, most }) } else { Ok(()) }
    }

    /// Cuts the power at every write of a transaction, torn in all ways, each time from the present
    /// state; every fourth time again in the work that follows. Then runs it whole.
    pub fn sweep(
        &mut self,
        transaction: &Transaction,
        dice: &mut Dice,
        coverage: &mut Coverage,
    ) -> Result<Outcome, Broken> {
        let (image, model, seq) = (self.flash.image(), self.model.clone(), self.seq);
        let before = self.flash.writes();
        let outcome = self.run(transaction)?;
        let writes = self.flash.writes() - before;
        let done = (self.flash.image(), self.model.clone(), self.seq);
        let cuts = (0..writes).flat_map(|n| [(n, Torn::During), (n, Torn::After)]);
        let first = (writes > 0).then_some((0, Torn::Before));
        // The run above has seen all that a reader can see on the way.
        self.probing = false;
        for (n, torn) in first.into_iter().chain(cuts) {
            self.flash.set_image(&image);
            (self.model, self.seq) = (model.clone(), seq);
            self.mount()?;
            self.flash.cut_power_after(n, torn);
            coverage.note(self.run(transaction)?);
            self.flash.restore_power();
            self.aftermath(dice, coverage)?;
        }
        self.probing = true;
        self.flash.set_image(&done.0);
        (self.model, self.seq) = (done.1, done.2);
        self.remount()?;
        Ok(outcome)
    }

    /// Works on after a cut, perhaps into the next cut, and looks whether all is still there.
    fn aftermath(&mut self, dice: &mut Dice, coverage: &mut Coverage) -> Result<(), Broken> {
        let len = dice.below(64) as usize;
        let steps = vec![Step::Put(dice.below(4), dice.bytes(len)), Step::Delete(dice.below(8))];
        let next = Transaction { steps, commit: true };
        if dice.below(4) == 0 {
            let torn = [Torn::Before, Torn::During, Torn::After][dice.below(3) as usize];
            self.flash.cut_power_after(dice.below(40), torn);
            let outcome = self.run(&next)?;
            coverage.double += u64::from(matches!(outcome, Outcome::Cut(..)));
            coverage.note(outcome);
            self.flash.restore_power();
        }
        self.run(&next)?;
        self.remount()
    }

    fn mount(&mut self) -> Result<(), Broken> {
        self.journal = Journal::mount(self.flash.clone(), self.layout).map_err(Broken::Mount)?;
        Ok(())
    }

    /// Judges the state found after a cut, and makes it the model's.
    fn judge(
        &mut self,
        kind: WriteKind,
        transaction: &Transaction,
        asked: bool,
    ) -> Result<Outcome, Broken> {
        self.mount()?;
        let found = contents(&mut self.journal)?;
        let mut after = self.model.clone();
        let committed = apply(&mut after, transaction);
        let landed = judge_contents(&found, self.model.records(), after.records())?;
        if landed == Landed::New {
            if !asked {
                return Err(Broken::Premature);
            }
            if committed.is_ok() {
                self.model = after;
            }
        }
        self.seq = self.seq.max(self.journal.commit_seq());
        self.check()?;
        Ok(Outcome::Cut(kind, landed))
    }
}

impl Coverage {
    /// Counts a transaction that ran into a cut.
    pub fn note(&mut self, outcome: Outcome) {
        if let Outcome::Cut(kind, landed) = outcome {
            *self.cuts.entry(kind).or_default() += 1;
            *self.landed.entry(landed).or_default() += 1;
        }
    }

    /// All cuts.
    pub fn total(&self) -> u64 {
        self.cuts.values().sum()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cuts:", self.total())?;
        for (kind, count) in &self.cuts {
            write!(f, " {kind:?} {count}")?;
        }
        write!(f, "; second cuts {}; found:", self.double)?;
        for (landed, count) in &self.landed {
            write!(f, " {landed:?} {count}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put(key, value) => write!(f, "Put({key}, {} bytes)", value.len()),
            Self::Delete(key) => write!(f, "Delete({key})"),
        }
    }
}

/// Reads a whole store, and checks that its keys rise.
pub fn contents(store: &mut impl Store) -> Result<Contents, Broken> {
    let mut all = Contents::new();
    let mut buf = [0; RECORD_LEN_MAX];
    let mut from = Some(0);
    while let Some(at_least) = from {
        let next = store.next_key(at_least).map_err(|e| Broken::Read(at_least, e))?;
        let Some(key) = next else { break };
        if key < at_least {
            return Err(Broken::Order(key));
        }
        let len = store.read(key, &mut buf).map_err(|e| Broken::Read(key, e))?;
        let len = len.ok_or(Broken::Order(key))?;
        all.insert(key, buf[..len].to_vec());
        from = key.checked_add(1);
    }
    Ok(all)
}

/// Says which of two states a store is in. Where they are equal it is the old one.
pub fn compare(store: &mut impl Store, old: &Contents, new: &Contents) -> Result<Landed, Broken> {
    judge_contents(&contents(store)?, old, new)
}

fn judge_contents(found: &Contents, old: &Contents, new: &Contents) -> Result<Landed, Broken> {
    if found == old {
        return Ok(Landed::Old);
    }
    if found == new {
        return Ok(Landed::New);
    }
    Err(Broken::ThirdState { not_old: differing(found, old), not_new: differing(found, new) })
}

/// The keys whose records differ.
fn differing(found: &Contents, wanted: &Contents) -> Vec<RecordKey> {
    let keys = found.keys().chain(wanted.keys());
    let mut keys: Vec<_> = keys.filter(|k| found.get(k) != wanted.get(k)).copied().collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Runs a transaction on the model alone.
fn apply(model: &mut Model, transaction: &Transaction) -> Result<(), StoreError> {
    model.begin()?;
    for step in &transaction.steps {
        // A refusal is repeated by the commit.
        let _ = call(model, step);
    }
    if transaction.commit {
        model.commit()
    } else {
        model.abort();
        Ok(())
    }
}

fn call(store: &mut impl Store, step: &Step) -> Result<(), StoreError> {
    match step {
        Step::Put(key, value) => store.put(*key, value),
        Step::Delete(key) => store.delete(*key),
    }
}

/// Runs a transaction on both. The difference that ended it comes with whether the commit was asked
/// for.
fn play<F: Flash>(
    journal: &mut Journal<F>,
    model: &mut Model,
    transaction: &Transaction,
    probing: bool,
) -> Result<(Result<(), StoreError>, bool), (Broken, bool)> {
    let _ = same("begin", journal.begin(), model.begin()).map_err(|b| (b, false))?;
    for step in &transaction.steps {
        let name = if matches!(step, Step::Put(..)) { "put" } else { "delete" };
        let _ = same(name, call(journal, step), call(model, step)).map_err(|b| (b, false))?;
        if probing {
            probe(journal, model, step).map_err(|b| (b, false))?;
        }
    }
    if !transaction.commit {
        journal.abort();
        model.abort();
        return Ok((Ok(()), false));
    }
    let ended = same("commit", journal.commit(), model.commit()).map_err(|b| (b, true))?;
    Ok((ended, true))
}

/// Compares, inside the transaction, what both say of the key that was just changed, and of its
/// successor.
fn probe<F: Flash>(journal: &mut Journal<F>, model: &mut Model, step: &Step) -> Result<(), Broken> {
    let (Step::Put(key, _) | Step::Delete(key)) = step;
    let mut bufs = [[0; RECORD_LEN_MAX]; 2];
    let [ours, theirs] = &mut bufs;
    let read = (journal.read(*key, ours), model.read(*key, theirs));
    let next = (journal.next_key(*key), model.next_key(*key));
    if let Some(error) = read.0.err().or(next.0.err()) {
        return Err(Broken::Read(*key, error));
    }
    if read.0 != read.1 || bufs[0] != bufs[1] || next.0 != next.1 {
        return Err(Broken::Order(*key));
    }
    Ok(())
}

/// The common answer, or that there is none.
fn same(
    call: &'static str,
    store: Result<(), StoreError>,
    model: Result<(), StoreError>,
) -> Result<Result<(), StoreError>, Broken> {
    if store == model { Ok(store) } else { Err(Broken::Answer { call, store, model }) }
}
