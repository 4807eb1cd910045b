//! The world of one seed: a Central, its store, firms, containers, letters on their way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use license_central::domain::central::Central;
use license_central::domain::records::{Container, ContainerState, Grant};
use strongroom_tests::dice::Dice;
use strongroom_tests::seen::Seen;
use strongroom_tests::trace::Trace;
use zeroize::Zeroizing;

use super::book::{Book, Decided};
use super::device::Device;
use super::disk::Disk;
use super::event::Event;
use super::issue::Journaled;
use super::letters::Letter;
use super::machine::{Machine, Share, instance};
use super::parties::{BASE, DEVICES, FIRMS, Parties, REVOKED, ROTATED};
use super::restore::Saved;
use super::seats::Holder;
use super::signer::Signers;

/// True time when a world begins, Unix seconds.
const START_S: u64 = 1_800_100_000;

/// How far the clocks of the vendor's machines may be off.
pub(super) const SKEW_MS: usize = 60_000;

/// How far where they count seats: one instance frees what another has given.
const SKEW_SERVING_MS: usize = 500;

/// A ticket that somebody has.
pub(super) struct Bought {
    pub(super) firm: usize,
    pub(super) id: String,
    pub(super) code: Zeroizing<String>,
    pub(super) sku: &'static str,
    pub(super) quantity: u32,
    pub(super) number: String,
    /// Periods that were ordered.
    pub(super) periods: u32,
}

/// Everything.
pub(super) struct World<'a> {
    pub(super) seed: u64,
    pub(super) dice: Dice,
    pub(super) parties: &'a Parties,
    pub(super) disk: Arc<Disk>,
    pub(super) machine: Arc<Machine>,
    pub(super) signers: Arc<Signers>,
    /// Updates that a signer may sign in a day, where that is few.
    pub(super) cap: Option<u64>,
    pub(super) journals: Vec<Journaled>,
    /// Instances over the one store.
    pub(super) centrals: Vec<Central>,
    /// How far their clocks are off.
    pub(super) skews_ms: Vec<i64>,
    /// Firms that take part.
    pub(super) firms: usize,
    /// Whether licenses are served over the network, and who uses them.
    pub(super) serves: bool,
    pub(super) holders: Vec<Holder>,
    /// How far each has come with its roots and revocations.
    pub(super) stages: Vec<usize>,
    pub(super) devices: Vec<Device>,
    pub(super) bought: Vec<Bought>,
    pub(super) letters: Vec<Letter>,
    pub(super) book: Book,
    /// The last backup.
    pub(super) saved: Option<Saved>,
    /// Whether a firm's records are older than its journal.
    pub(super) is_put_back: Vec<bool>,
    /// Updates that the records knew before they were put back.
    pub(super) lost: BTreeMap<String, Decided>,
    /// Grants that were made again from the journal: no order explains them.
    pub(super) adopted: BTreeSet<String>,
    pub(super) seen: Seen<Event>,
    /// Grants that were out with a release under way, by grant and epoch: seen once each.
    pub(super) noted: BTreeSet<(Event, String, u32)>,
    /// Whether anything fails.
    pub(super) is_rough: bool,
    /// Whether containers without a battery sleep.
    pub(super) sleeps: bool,
    pub(super) now_ms: u64,
    pub(super) orders: u32,
    trace: Trace,
}

impl<'a> World<'a> {
    pub(super) fn new(seed: u64, parties: &'a Parties) -> Self {
        let mut dice = Dice::of(seed, 0);
        let (disk, machine) = (Disk::new(), Machine::new(seed));
        let serves = dice.one_in(3);
        let most_ms = if serves { SKEW_SERVING_MS } else { SKEW_MS };
        let skew_ms = draw_skew_ms(&mut dice, most_ms);
        let clock = Arc::new(Share { machine: machine.clone(), skew_ms });
        let fps: Vec<_> = parties.firms.iter().map(|firm| firm.root_fp).collect();
        let signers = Signers::new(clock, &fps);
        let instances = 1 + usize::from(dice.one_in(3));
        let skews_ms: Vec<i64> = (0..instances).map(|_| draw_skew_ms(&mut dice, most_ms)).collect();
        let firms = 1 + usize::from(dice.one_in(4));
        let stages = FIRMS.iter().map(|_| [BASE, ROTATED][dice.below(2)]).collect::<Vec<_>>();
        let new =
            |skew_ms: &i64| instance(parties, (&disk, &signers), (&machine, *skew_ms), &stages);
        let centrals = skews_ms.iter().map(new).collect();
        let count = 2 + dice.below(DEVICES - 1);
        // Both kinds of clocks meet in most worlds.
        let first = dice.below(DEVICES - count + 1);
        let devices =
            (first..first + count).map(|at| Device::new(at, seed, parties, &mut dice)).collect();
        let mut world = World {
            seed,
            parties,
            disk,
            machine,
            signers,
            cap: dice.one_in(6).then(|| 2 + dice.below(4) as u64),
            journals: FIRMS.iter().map(|_| Journaled::default()).collect(),
            centrals,
            skews_ms,
            firms,
            stages,
            serves,
            holders: Vec::new(),
            devices,
            bought: Vec::new(),
            letters: Vec::new(),
            book: Book::default(),
            saved: None,
            is_put_back: vec![false; FIRMS.len()],
            lost: BTreeMap::new(),
            adopted: BTreeSet::new(),
            seen: Seen::default(),
            noted: BTreeSet::new(),
            is_rough: false,
            sleeps: dice.one_in(3),
            now_ms: 0,
            orders: 0,
            trace: Trace::default(),
            dice,
        };
        world.pass_ms(0);
        for firm in 0..world.firms {
            world.starts_signer(firm);
        }
        for at in 0..world.devices.len() {
            world.plug_in(at);
        }
        world.opens_shop();
        world.is_rough = true;
        world
    }

    pub(super) fn note(&mut self, event: Event) {
        self.seen.note(event);
    }

    /// Once for each time that a grant is out.
    pub(super) fn note_of(&mut self, event: Event, grant: &Grant) {
        if self.noted.insert((event, grant.id.clone(), grant.epoch)) {
            self.seen.note(event);
        }
    }

    /// True time, Unix seconds UTC.
    pub(super) fn true_s(&self) -> u64 {
        START_S + self.now_ms / 1000
    }

    /// Lets true time pass.
    pub(super) fn pass_ms(&mut self, ms: u64) {
        self.now_ms += ms;
        let now_s = self.true_s();
        self.machine.set_now_ms((START_S * 1000 + self.now_ms) as i64);
        for device in &mut self.devices {
            device.pass(ms, now_s);
        }
    }

    /// A container as Central knows it.
    pub(super) fn known(&self, firm: usize, at: usize) -> Option<&Container> {
        let key = (FIRMS[firm].to_owned(), self.devices[at].id.clone());
        self.book.containers.get(&key)
    }

    /// Whether a container may get something from a firm.
    pub(super) fn is_welcome(&self, firm: usize, at: usize) -> bool {
        let state = self.known(firm, at).map_or(ContainerState::Active, |known| known.state);
        state == ContainerState::Active && !self.is_revoked(firm, at)
    }

    pub(super) fn is_revoked(&self, firm: usize, at: usize) -> bool {
        self.stages[firm] >= REVOKED && self.devices[at].is_revocable
    }

    /// Which firm a tenant is.
    pub(super) fn firm_of(&self, tenant: &str) -> usize {
        FIRMS.iter().position(|name| *name == tenant).unwrap_or_default()
    }

    /// Which container an id is of.
    pub(super) fn device_of(&self, id: &str) -> Option<usize> {
        self.devices.iter().position(|device| device.id == id)
    }

    /// Adds to the trace.
    pub(super) fn line(&mut self, line: &str) {
        self.trace.line(self.now_ms, line);
    }

    /// Everything that was said so far, as one number.
    pub(super) fn trace_hash(self) -> [u8; 32] {
        self.trace.hash()
    }

    /// A promise is broken: says how it came, and ends the test.
    pub(super) fn broken(&self, what: &str) -> ! {
        let text = self.trace.text();
        let command = format!(
            "STRONGROOM_SEED={} cargo test --workspace --exclude strongroom-loader --test it -- \
             central_simulation",
            self.seed
        );
        panic!("{text}\n{command}\nrepeats this: {what}");
    }

    /// A promise: `holds`, or the test ends.
    pub(super) fn promise(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken(&what());
        }
    }
}

/// How far the clock of a machine of the vendor is off.
fn draw_skew_ms(dice: &mut Dice, most_ms: usize) -> i64 {
    dice.below(2 * most_ms + 1) as i64 - most_ms as i64
}
