//! The helper is killed at random moments of commits, and while it makes a container. What was
//! answered is there afterwards, at most the one commit beyond it too, and no file of before ever
//! opens again.

use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use container::Container;
use protocol::errors::ErrorCode;
use strongroom_tests::dice::Dice;
use strongroom_tests::swtpm::{Proxy, Swtpm};
use tpm::binding::{self, Intent};
use tpm::helper;
use tpm::state_file::{self, EpochKeys, epoch_of};

use crate::bare::{self, Secrets};
use crate::files::{self, Files};
use crate::soft::{Soft, value};

/// How often, in a test and in a long run.
fn times(test: usize, soak: usize) -> usize {
    if std::env::var_os("STRONGROOM_SOAK").is_some() { soak } else { test }
}

/// A container that is killed again and again.
struct Victim {
    tpm: Swtpm,
    soft: Soft,
    /// What the last answer said.
    acked: u64,
    /// Every file of a state that was ever seen.
    archive: Files,
    /// Commits that were made and not answered.
    unanswered: usize,
    /// Times that a draft was left which no commit made.
    drafts: usize,
}

impl Victim {
    fn new() -> Self {
        let tpm = Swtpm::blank();
        let soft = Soft::new(&tpm.tcti());
        Victim { tpm, soft, acked: 0, archive: Files::new(), unanswered: 0, drafts: 0 }
    }

    /// Serves it, commits one number after the other, and kills it at some moment.
    fn live_and_die(&mut self, dice: &mut Dice) {
        self.soft.serve();
        let container = self.soft.open().expect("it opens after each kill");
        let found = value(&container);
        assert!([self.acked, self.acked + 1].contains(&found), "{found} after {}", self.acked);
        self.unanswered += usize::from(found > self.acked);
        let acked = AtomicU64::new(found);
        let (answers, moments) = (dice.below(4) as u64, dice.below(40_000));
        let soft = &mut self.soft;
        let folder = soft.folder().to_owned();
        let seen = thread::scope(|scope| {
            let client = scope.spawn(|| {
                let mut seen = Files::new();
                while commit(&container, &acked) {
                    seen.extend(files::states(&folder));
                }
                seen
            });
            while acked.load(Ordering::Relaxed) < found + answers {
                thread::yield_now();
            }
            (0..moments).for_each(|_| thread::yield_now());
            soft.kill();
            client.join().expect("it does not panic")
        });
        self.acked = acked.into_inner();
        let left = files::states(&folder);
        self.tpm.flush_all();
        let epoch = self.secrets().epoch();
        self.drafts += usize::from(left.keys().any(|name| epoch_of(name) > Some(epoch)));
        self.archive.extend(seen);
        self.archive.extend(left);
    }

    fn secrets(&self) -> Secrets {
        bare::secrets(&self.soft.binding(), &self.tpm)
    }

    /// What it holds, as bytes.
    fn state(&self) -> Result<Vec<u8>, ErrorCode> {
        let (binding, tcti) = (self.soft.binding(), self.tpm.tcti());
        match bare::open(&binding, self.soft.folder(), &tcti) {
            Ok((_, state)) => Ok(state.to_vec()),
            Err(shut) => Err(helper::shut(shut).known().expect("a row of the table")),
        }
    }

    /// Files of the archive that are put back change nothing, and nothing of them opens where the
    /// present one is gone.
    fn put_back(&self, current: &str, old: &Files) {
        let (folder, state) = (self.soft.folder(), self.state().expect("its latest file"));
        let kept = files::read(folder);
        old.iter().for_each(|(name, bytes)| files::add(folder, name, bytes));
        assert!(self.state() == Ok(state), "{:?}", old.keys());
        std::fs::remove_file(folder.join(current)).expect("its latest file");
        assert_eq!(self.state(), Err(ErrorCode::SoftStale), "{:?}", old.keys());
        files::put_back(folder, &kept);
    }
}

/// Makes the next number the value, if somebody answers.
fn commit(container: &Container, acked: &AtomicU64) -> bool {
    let next = acked.load(Ordering::Relaxed) + 1;
    let is_made = container.rename(&next.to_string()).is_ok();
    if is_made {
        acked.store(next, Ordering::Relaxed);
    }
    is_made
}

#[test]
fn sec_k08_whenever_the_helper_is_killed_no_file_of_before_opens_again() {
    let mut dice = Dice::new(50);
    let mut victim = Victim::new();
    let kills = times(50, 500);
    (0..kills).for_each(|_| victim.live_and_die(&mut dice));
    victim.soft.serve();
    let last = victim.soft.value();
    assert!([victim.acked, victim.acked + 1].contains(&last), "{last} after {}", victim.acked);
    victim.soft.kill();
    victim.tpm.flush_all();
    let secrets = victim.secrets();
    let (container, epoch) = (victim.soft.binding().container, secrets.epoch());
    let key = secrets.epoch_key();
    let opens = |bytes: &[u8]| {
        let keys = EpochKeys { root: &secrets.root, epoch: &key };
        (0..=epoch + 1).any(|epoch| state_file::open(container, epoch, &keys, bytes).is_some())
    };
    victim.archive.extend(files::states(victim.soft.folder()));
    let (current, mut old): (Files, Files) =
        victim.archive.clone().into_iter().partition(|(_, bytes)| opens(bytes));
    let [current] = &current.into_keys().collect::<Vec<_>>()[..] else { panic!("one file opens") };
    println!(
        "figure: {kills} kills, {last} commits and {} unanswered, {} drafts left, {} old files",
        victim.unanswered,
        victim.drafts,
        old.len()
    );
    assert!(old.len() as u64 >= last, "each commit had a file");
    victim.put_back(current, &old);
    for _ in 0..times(5, old.len()) {
        let name = old.keys().nth(dice.below(old.len())).expect("within").clone();
        let bytes = old.remove(&name).expect("a file");
        victim.put_back(current, &Files::from([(name, bytes)]));
    }
}

#[test]
fn whenever_a_maker_is_killed_the_next_one_clears_away_what_it_left() {
    let mut dice = Dice::new(51);
    let tpm = Swtpm::blank();
    let proxy = Proxy::of(&tpm);
    let mut orphans = 0;
    for made in 1..=times(2, 20) {
        let mut soft = Soft::empty(&proxy.tcti());
        for _ in 0..8 {
            proxy.clear();
            let mut maker = soft.spawned(soft.creation().stdout(Stdio::null()));
            proxy.wait_for_commands(10 + dice.below(6));
            (0..dice.below(20_000)).for_each(|_| thread::yield_now());
            maker.kill().expect("our own process");
            maker.wait().expect("our own process");
            tpm.flush_all();
            // The counter, those before, and this one.
            let own = (tpm.nv_indices().len()).saturating_sub(made);
            assert!(own <= 1, "{:x?}", tpm.nv_indices());
            if soft.folder().join(binding::NAME).exists() {
                break;
            }
            orphans += own;
        }
        if !soft.folder().join(binding::NAME).exists() {
            soft.create().expect("nothing is in its way");
            assert!(!soft.folder().join(Intent::NAME).exists());
        }
        assert_eq!(tpm.nv_indices().len(), 1 + made, "{:x?}", tpm.nv_indices());
        soft.certify();
        soft.serve();
        assert_eq!(soft.value(), 0);
        soft.end();
    }
    println!("figure: {orphans} indices were left by makers that were killed");
}
