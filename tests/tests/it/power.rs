//! The power goes away at every write to flash: what stands there is the old state or the new.

mod chip;
mod model;
mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::journal::{Flash, WriteKind};
use engine::platform::Keys;
use firmware_sim::flash::{FlashConfig, FlashImage, SimFlash, TornMode};
use firmware_sim::keys::SimKeys;
use protocol::codec::Text;
use protocol::command::{Command, Reply, SeatReply};
use protocol::errors::Failure;
use protocol::ids::OpId;
use protocol::signed::Role;
use strongroom_tests::bench::{Bench, new_keys};
use strongroom_tests::dice::Dice;
use strongroom_tests::vendor::Vendor;

use chip::{Cut, Traced};
use model::{State, observe};
use plan::{Plan, World};

/// Sequences of operations at least, and cuts at least: the larger of both decides.
const SEQUENCES: u64 = 500;
const CUTS: u64 = 10_000;

/// Cuts of a run: `STRONGROOM_CUTS`, or 100,000 in soak.
fn cuts_wanted() -> u64 {
    let soak = std::env::var_os("STRONGROOM_SOAK").map(|_| 200_000);
    let cuts = std::env::var("STRONGROOM_CUTS").ok().and_then(|cuts| cuts.parse().ok());
    cuts.or(soak).unwrap_or(CUTS)
}

/// What a run has seen.
#[derive(Default)]
struct Seen {
    /// Whether each write is cut in all ways, or in one of them.
    all_ways: bool,
    sequences: u64,
    cuts: u64,
    by_kind: BTreeMap<WriteKind, u64>,
    by_command: BTreeMap<&'static str, (u64, u64)>,
    found_new: u64,
    retried: u64,
    cut_again: u64,
    cut_live: u64,
}

#[test]
fn sec_s15_a_cut_at_any_write_leaves_the_old_or_the_new_state() {
    let mut dice = Dice::new(15);
    let keys = new_keys(15);
    let world = World {
        vendors: ["One", "Two"].map(|name| line(name, &mut dice)).into(),
        container: keys.id(),
        sealing_key: keys.sealing_key().public(),
    };
    let wanted = cuts_wanted();
    let mut seen = Seen { all_ways: wanted > CUTS, ..Seen::default() };
    while seen.sequences < SEQUENCES || seen.cuts < wanted {
        sequence(&world, &keys, &mut dice, &mut seen);
        seen.sequences += 1;
    }
    seen.print();
    assert_eq!(seen.by_command.len(), 25, "a command was never drawn");
    assert_eq!(seen.by_kind.len(), WriteKind::ALL.len(), "a kind of write was never cut");
}

/// A vendor under one root after the other.
fn line(name: &str, dice: &mut Dice) -> Vec<Vendor> {
    let roles = [Role::Root, Role::Licensing, Role::Revocation, Role::Recovery];
    let mut line = vec![Vendor::with_roles(name, &roles, dice)];
    for _ in 0..3 {
        let next = line[line.len() - 1].rotated(&[Role::Root, Role::Licensing], 0, dice);
        line.push(next);
    }
    line
}

/// A small chip, so that segments are reclaimed; of two makes.
fn small_chip(dice: &mut Dice) -> (FlashConfig, u32) {
    if dice.one_in(8) { (FlashConfig::nrf52840(14), 1) } else { (FlashConfig::stm32l4(24), 2) }
}

fn sequence(world: &World, keys: &Arc<SimKeys>, dice: &mut Dice, seen: &mut Seen) {
    let (config, blocks_per_segment) = small_chip(dice);
    let seed = dice.number();
    let chip = Traced::new(SimFlash::in_memory(config, seed), seen.all_ways);
    let mut bench = Bench::on(chip.clone(), blocks_per_segment, keys.clone(), seed);
    bench.power_up().expect("new flash can be used");
    let probe = Probe {
        chip: SimFlash::in_memory(config, seed + 1),
        blocks_per_segment,
        keys: keys.clone(),
    };
    let mut state = history(world, &mut bench, dice);
    for _ in 0..1 + dice.below(2) {
        let plan = match dice.one_in(12) {
            true => plan::decommission(&state),
            false => world.draw(&state, dice),
        };
        sweep(&chip, &mut bench, &probe, &state, &plan, dice, seen);
        state = plan.after;
        assert_eq!(observe(&mut bench), Ok(state.visible()), "without any cut");
        if state.finals.is_some() {
            break;
        }
    }
}

/// What came before: some updates, and names given until the log is anywhere in its ring.
fn history(world: &World, bench: &mut Bench<Traced>, dice: &mut Dice) -> State {
    let mut state = State::default();
    for _ in 0..dice.below(8) {
        let plan = world.draw(&state, dice);
        send(bench, &plan.commands);
        state = plan.after;
    }
    for _ in 0..dice.below(600) {
        let op = OpId::new(dice.bytes());
        let name = Text::new(&state.name).expect("a name that was given");
        assert!(matches!(bench.command(Command::Rename { op, name }), Reply::Done));
    }
    state
}

/// Carries a plan out, and looks what each power cut on the way would leave.
fn sweep(
    chip: &Traced,
    bench: &mut Bench<Traced>,
    probe: &Probe,
    before: &State,
    plan: &Plan,
    dice: &mut Dice,
    seen: &mut Seen,
) {
    let (start, mut cuts) = (chip.image(), 0);
    let (old, new) = (before.visible(), plan.after.visible());
    for (at, command) in plan.commands.iter().enumerate() {
        chip.start();
        let answer = bench.command(command.clone());
        let is_last = at + 1 == plan.commands.len();
        let done = is_done(&answer);
        assert!(done || !plan.succeeds, "{:?} is refused: {:?}", plan.covers, refusal(&answer));
        // Before the last command nothing may change.
        let allowed = if is_last { [&old, &new] } else { [&old, &old] };
        for cut in chip.stop() {
            seen.note(&cut);
            cuts += 1;
            probe.judge(&cut, allowed, plan, dice, seen);
        }
        if !done {
            break;
        }
    }
    for covered in &plan.covers {
        let (plans, cut) = seen.by_command.entry(covered).or_default();
        (*plans, *cut) = (*plans + 1, *cut + cuts);
    }
    if cuts > 0 {
        // Somewhere in the first half of the cuts, so that it comes before the end.
        let at = dice.below(1 + cuts as usize / 2) as u64;
        let torn = [TornMode::Before, TornMode::During, TornMode::After][dice.below(3)];
        probe.cut_live(&start, at, torn, [&old, &new], plan);
        seen.cut_live += 1;
    }
}

/// A second chip, on which the state after a cut is looked at.
struct Probe {
    chip: SimFlash,
    blocks_per_segment: u32,
    keys: Arc<SimKeys>,
}

impl Probe {
    fn bench(&self) -> Bench {
        Bench::on(self.chip.clone(), self.blocks_per_segment, self.keys.clone(), 1)
    }

    /// The state after a cut must be one of `allowed`.
    fn judge(
        &self,
        cut: &Cut,
        allowed: [&State; 2],
        plan: &Plan,
        dice: &mut Dice,
        seen: &mut Seen,
    ) {
        self.chip.restore(&cut.image).expect("an image of an equal chip");
        let wears_words = matches!(cut.kind, WriteKind::Segment | WriteKind::Counter);
        if wears_words || dice.one_in(16) {
            seen.cut_again += self.cut_again(dice);
        }
        let mut bench = self.bench();
        let what = || format!("{:?} {:?} in {:?}", cut.torn, cut.kind, plan.covers);
        bench.power_up().unwrap_or_else(|error| panic!("does not start: {error:?}, {}", what()));
        let found = observe(&mut bench).unwrap_or_else(|why| panic!("{why}: {}", what()));
        assert!(allowed.contains(&&found), "a third state after {}: {found:?}", what());
        assert!(touch(&mut bench, dice), "it takes no change any more after {}", what());
        seen.found_new += u64::from(plan.succeeds && found == *allowed[1]);
        if dice.one_in(16) {
            seen.retried += 1;
            // What a host does that got no answer: the same again.
            send(&mut bench, &plan.commands);
            assert_eq!(observe(&mut bench), Ok(plan.after.visible()), "retried after {}", what());
        }
    }

    /// Some starts in a row, each of which loses its power at its first write, or at that of a
    /// command that changes nothing that can be seen. Returns how many were cut.
    fn cut_again(&self, dice: &mut Dice) -> u64 {
        let cut = |_| {
            let mut bench = self.bench();
            self.chip.cut_power_after(0, TornMode::During);
            let answer = bench.power_up().map(|()| touch(&mut bench, dice));
            let was_cut = self.chip.power_up().is_some();
            assert!(!(was_cut && answer == Ok(true)), "confirmed without power");
            u64::from(was_cut)
        };
        (0..4).map(cut).sum()
    }

    /// The same plan from the same state, with the power really going away at write number `at`.
    fn cut_live(
        &self,
        start: &FlashImage,
        at: u64,
        torn: TornMode,
        allowed: [&State; 2],
        plan: &Plan,
    ) {
        self.chip.restore(start).expect("an image of an equal chip");
        let mut bench = self.bench();
        bench.power_up().expect("a state without any cut");
        self.chip.cut_power_after(at, torn);
        let confirmed = send(&mut bench, &plan.commands) && plan.succeeds;
        let was_cut = self.chip.power_up().is_some();
        assert!(!(was_cut && confirmed), "{:?} was confirmed without power", plan.covers);
        bench.power_up().expect("it starts after a cut");
        let found = observe(&mut bench).expect("a state that can be seen");
        assert!(allowed.contains(&&found), "a third state after a cut in {:?}", plan.covers);
        assert!(!confirmed || found == *allowed[1], "a confirmed change is lost");
    }
}

/// Gives the container the name that it has. Whether it took it. One that is decommissioned takes
/// nothing but that once more, and has nothing left then.
fn touch(bench: &mut Bench, dice: &mut Dice) -> bool {
    let Reply::Info(info) = bench.command(Command::Info) else { return false };
    if info.locked == model::DECOMMISSIONED {
        // The start erased what the cut had left.
        let is_erased = bench.records().iter().all(|(key, _)| plan::outlives(*key));
        return is_erased && matches!(bench.command(Command::Decommission), Reply::Done);
    }
    let op = OpId::new(dice.bytes());
    matches!(bench.command(Command::Rename { op, name: info.name }), Reply::Done)
}

/// Sends commands up to the first that is refused. Whether none was.
fn send<F: Flash + Clone>(bench: &mut Bench<F>, commands: &[Command]) -> bool {
    commands.iter().all(|command| is_done(&bench.command(command.clone())))
}

fn is_done(answer: &Reply) -> bool {
    matches!(answer, Reply::Done | Reply::Receipt(_) | Reply::Seat(SeatReply::Opened(_)))
}

fn refusal(answer: &Reply) -> Option<Failure> {
    match answer {
        Reply::Failed(failure) | Reply::UpdateRefused { failure, .. } => Some(*failure),
        _ => None,
    }
}

impl Seen {
    fn note(&mut self, cut: &Cut) {
        self.cuts += 1;
        *self.by_kind.entry(cut.kind).or_default() += 1;
    }

    fn print(&self) {
        println!(
            "figure: power cuts: {} in {} sequences, 0 lost, 0 third states",
            self.cuts, self.sequences
        );
        println!(
            "figure: of these {} left the new state, {} were retried, {} cuts hit the next start",
            self.found_new, self.retried, self.cut_again
        );
        println!("figure: further power cuts in the running engine: {}", self.cut_live);
        println!("figure: power cuts by kind of write: {:?}", self.by_kind);
        for (command, (plans, cuts)) in &self.by_command {
            println!("figure: power cuts in `{command}`: {cuts} in {plans}");
        }
    }
}
