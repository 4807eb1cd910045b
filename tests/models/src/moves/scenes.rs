//! Scenes: which grants and containers there are, and how often what may be tried.

use super::central::Order;
use super::{FirmId, SKEW};

/// Whether Central may rely on a container's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// It runs also while nobody looks, and is late by the skew at most.
    Trusted,
    /// It may stand still for any time.
    Untrusted,
}

/// How often what may be tried. What is not listed may be tried without end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// A grant is issued.
    pub issues: u8,
    /// A grant is renewed.
    pub renewals: u8,
    /// An update is superseded.
    pub supersedes: u8,
    /// A grant in the pool is split.
    pub splits: u8,
    /// A part of a grant that is in a container is to come back.
    pub shrinks: u8,
    /// Central crashes before what it signed leaves.
    pub crashes: u8,
    /// A container loses power before its receipt leaves.
    pub cuts: u8,
    /// A container is revoked.
    pub revocations: u8,
    /// A container is decommissioned.
    pub ends: u8,
}

/// What is played.
#[derive(Debug, Clone)]
pub struct Scene {
    /// How it is called in figures.
    pub name: &'static str,
    /// The grants as the scene begins: whose, and how many.
    pub grants: Vec<(FirmId, u8)>,
    /// The containers.
    pub clocks: Vec<Clock>,
    /// By how much trusted clocks are late, each for the whole scene.
    pub lates: Vec<i8>,
    /// Updates of a firm that may be without a receipt, in one container.
    pub window: usize,
    /// Whether licenses have no lapse.
    pub perpetual: bool,
    /// Whether the vendor chose to take back at the lapse what may still be in use.
    pub overlaps: bool,
    /// Whether more than one number is superseded at a time.
    pub tangled: bool,
    /// How often what may be tried.
    pub budget: Budget,
}

impl Scene {
    /// The number of firms.
    pub fn firms(&self) -> usize {
        self.grants.iter().map(|&(firm, _)| firm + 1).max().unwrap_or(1)
    }
}

impl Budget {
    /// Whether something may still be signed.
    pub fn allows(&self, order: &Order) -> bool {
        match order {
            Order::Issue(..) => self.issues > 0,
            Order::Renew(_) => self.renewals > 0,
            Order::Release(_) => true,
            Order::Shrink(_) => self.shrinks > 0,
            Order::Supersede(..) => self.supersedes > 0,
        }
    }

    /// Something is signed.
    pub fn spend(&mut self, order: &Order) {
        match order {
            Order::Issue(..) => self.issues -= 1,
            Order::Renew(_) => self.renewals -= 1,
            Order::Release(_) => {}
            Order::Shrink(_) => self.shrinks -= 1,
            Order::Supersede(..) => self.supersedes -= 1,
        }
    }
}

/// The scenes that are played each time.
pub fn short() -> Vec<Scene> {
    let under_way = [moves(), window(), branches(), inner(), split(), shrink(), regret(), firms()];
    let ends = [clocks(), asleep(), overlap(), perpetual(), revoked(), ended(), crashes()];
    under_way.into_iter().chain(ends).collect()
}

/// The same with more of everything.
pub fn long() -> Vec<Scene> {
    let more = |scene: Scene, name, change: fn(&mut Budget)| {
        let mut scene = Scene { name, ..scene };
        change(&mut scene.budget);
        scene
    };
    vec![
        more(Scene { window: 3, ..branches() }, "branches, long", |budget| {
            budget.issues += 1;
            budget.renewals += 1;
        }),
        more(inner(), "inner, long", |budget| budget.renewals += 1),
        more(split(), "split, long", |budget| budget.issues += 1),
        more(shrink(), "shrink, long", |budget| budget.supersedes += 1),
        more(firms(), "firms, long", |budget| budget.supersedes += 1),
    ]
}

/// Scenes in which it is looked at whether everything comes back from everywhere.
pub fn returning() -> Vec<Scene> {
    vec![mixed(), inner(), regret()]
}

fn plain(name: &'static str, containers: usize, budget: Budget) -> Scene {
    Scene {
        name,
        grants: vec![(0, 1)],
        clocks: vec![Clock::Trusted; containers],
        lates: vec![SKEW],
        window: 2,
        perpetual: false,
        overlaps: false,
        tangled: false,
        budget,
    }
}

/// A license moves between two containers, is renewed, lapses.
pub fn moves() -> Scene {
    plain("moves", 2, Budget { issues: 2, renewals: 1, ..Budget::default() })
}

/// Several updates are under way to one container.
pub fn window() -> Scene {
    let budget = Budget { issues: 2, renewals: 2, cuts: 1, ..Budget::default() };
    Scene { window: 3, ..plain("window", 1, budget) }
}

/// An update is superseded.
pub fn branches() -> Scene {
    let budget = Budget { issues: 1, renewals: 1, supersedes: 1, ..Budget::default() };
    plain("branches", 2, budget)
}

/// Two updates are superseded, also two numbers at a time.
pub fn tangled() -> Scene {
    let budget = Budget { issues: 1, supersedes: 2, ..Budget::default() };
    Scene { tangled: true, ..plain("tangled", 1, budget) }
}

/// A license comes into a container once more, after an update was superseded.
pub fn again() -> Scene {
    let budget = Budget { issues: 2, supersedes: 1, ..Budget::default() };
    plain("again", 1, budget)
}

/// An update with others behind it is superseded.
pub fn inner() -> Scene {
    let budget = Budget { issues: 2, supersedes: 1, ..Budget::default() };
    Scene { grants: vec![(0, 1), (0, 1)], ..plain("inner", 1, budget) }
}

/// Parts of a grant go to two containers.
pub fn split() -> Scene {
    let budget = Budget { issues: 2, splits: 1, ..Budget::default() };
    Scene { grants: vec![(0, 2)], ..plain("split", 2, budget) }
}

/// A part of a grant comes back and goes elsewhere.
pub fn shrink() -> Scene {
    let budget = Budget { issues: 2, shrinks: 1, ..Budget::default() };
    Scene { name: "shrink", budget, ..split() }
}

/// A part is to come back, and that is superseded.
pub fn regret() -> Scene {
    let budget = Budget { issues: 1, renewals: 1, shrinks: 1, supersedes: 1, ..Budget::default() };
    Scene { grants: vec![(0, 2)], ..plain("regret", 1, budget) }
}

/// Two firms in one container.
pub fn firms() -> Scene {
    let budget = Budget { issues: 2, renewals: 1, ..Budget::default() };
    Scene { grants: vec![(0, 1), (1, 1)], ..plain("firms", 1, budget) }
}

/// Clocks that are fast, right or slow.
pub fn clocks() -> Scene {
    Scene { name: "clocks", lates: vec![-SKEW, 0, SKEW], ..moves() }
}

/// A container whose clock may stand still.
pub fn asleep() -> Scene {
    Scene { name: "asleep", clocks: vec![Clock::Untrusted, Clock::Trusted], ..moves() }
}

/// The same, and the vendor takes that risk.
pub fn overlap() -> Scene {
    Scene { name: "overlap", overlaps: true, ..asleep() }
}

/// Licenses without a lapse.
pub fn perpetual() -> Scene {
    Scene { name: "perpetual", perpetual: true, ..branches() }
}

/// A container is revoked.
pub fn revoked() -> Scene {
    let budget = Budget { revocations: 1, ..moves().budget };
    Scene { name: "revoked", budget, ..moves() }
}

/// A container is decommissioned.
pub fn ended() -> Scene {
    let budget = Budget { ends: 1, ..moves().budget };
    Scene { name: "ended", budget, ..moves() }
}

/// Central crashes, and so does a container.
pub fn crashes() -> Scene {
    let budget = Budget { crashes: 1, cuts: 1, ..moves().budget };
    Scene { name: "crashes", budget, ..moves() }
}

/// A bit of everything, small enough to look back from all states at once.
pub fn mixed() -> Scene {
    let budget =
        Budget { supersedes: 1, crashes: 1, cuts: 1, issues: 1, renewals: 1, ..Budget::default() };
    plain("mixed", 1, budget)
}
