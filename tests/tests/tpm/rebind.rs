//! A container is bound anew: what opened it before is of no use then, and a kill in between costs
//! nothing.

use std::fs;
use std::process::Stdio;

use protocol::errors::ErrorCode;
use strongroom_tests::dice::Dice;
use strongroom_tests::swtpm::{Act, Proxy, Swtpm};
use strongroom_tests::tree::{Part, Tree};
use tpm::binding;

use crate::files;
use crate::machine::{NOWHERE, look, on, seen};
use crate::soft::Soft;

/// A container that holds 1.
fn holding(tree: &Tree, tcti: &str, tolerance: &str) -> Soft {
    let mut soft = on(tree, tcti, tolerance);
    soft.serve();
    soft.set(1).expect("nothing is in its way");
    soft.end();
    soft
}

/// It opens, and goes on.
#[track_caller]
fn goes_on(soft: &mut Soft, value: u64) {
    soft.serve();
    assert_eq!(soft.value(), value);
    soft.set(value + 1).expect("nothing is in its way");
    assert_eq!(soft.value(), value + 1);
    soft.end();
}

#[test]
fn what_is_bound_more_tightly_needs_no_checkpoint_and_what_is_less_does() {
    let (tpm, tree) = (Swtpm::blank(), Tree::new());
    let mut soft = holding(&tree, &tpm.tcti(), "off");
    let tolerance = |soft: &mut Soft| {
        soft.serve();
        let word = look(soft)["machine"]["tolerance"].as_str().expect("a word").to_owned();
        soft.end();
        word
    };
    assert_eq!(tolerance(&mut soft), "off");
    for word in ["loose", "strict", "strict"] {
        soft.rebind(&["--tolerance", word]).expect("it becomes no weaker");
        assert_eq!(tolerance(&mut soft), word);
    }
    for word in ["medium", "off"] {
        assert_eq!(soft.rebind(&["--tolerance", word]), Err("S0C0E".into()), "{word}");
        assert_eq!(tolerance(&mut soft), "strict");
    }
    goes_on(&mut soft, 1);
    // It is bound by them now.
    [Part::Board, Part::Disk].iter().for_each(|part| tree.replace(*part, 2));
    soft.serve();
    assert_eq!(soft.refusal(), ErrorCode::SoftTraits);
}

#[test]
fn without_a_tpm_it_is_bound_anew_and_never_off() {
    let tree = Tree::new();
    let mut soft = holding(&tree, NOWHERE, "medium");
    let before = files::read(soft.folder());
    assert_eq!(soft.rebind(&["--tolerance", "off"]), Err("S0C10".into()));
    soft.rebind(&["--tolerance", "strict"]).expect("it becomes no weaker");
    assert!(!soft.folder().join(binding::OTHER).exists());
    goes_on(&mut soft, 1);
    tree.replace(Part::Disk, 2);
    soft.serve();
    assert_eq!(soft.refusal(), ErrorCode::SoftTraits);
    soft.kill();
    // Nothing keeps the whole folder of before from coming back: that is what a TPM is for.
    files::put_back(soft.folder(), &before);
    goes_on(&mut soft, 1);
}

/// What opened without traits, or by those of a machine of before, opens no state any more.
#[test]
fn sec_k08_a_binding_of_before_opens_nothing_after_another() {
    let (tpm, tree) = (Swtpm::blank(), Tree::new());
    let mut soft = holding(&tree, &tpm.tcti(), "off");
    let place = soft.folder().join(binding::NAME);
    let before = fs::read(&place).expect("a container");
    soft.rebind(&["--tolerance", "strict"]).expect("it becomes no weaker");
    let bound = fs::read(&place).expect("a container");
    fs::write(&place, &before).expect("our own file");
    soft.serve();
    assert_eq!(soft.refusal(), ErrorCode::SoftStale);
    soft.kill();
    tpm.flush_all();
    fs::write(&place, bound).expect("our own file");
    goes_on(&mut soft, 1);
}

/// As a commit, it may be lost with the last write of a TPM in software.
#[test]
fn a_tpm_that_lost_the_rebinding_opens_by_the_binding_of_before() {
    let (mut tpm, tree) = (Swtpm::blank(), Tree::new());
    let mut soft = holding(&tree, &tpm.tcti(), "off");
    let past = tpm.snapshot();
    soft.rebind(&["--tolerance", "strict"]).expect("it becomes no weaker");
    tpm.restore(&past);
    goes_on(&mut soft, 1);
    soft.serve();
    assert_eq!(look(&soft)["machine"]["tolerance"], "off");
}

/// Kills a rebinding at the command of this number, before or after the TPM has it. Whether it came
/// so far.
fn killed_at(soft: &Soft, proxy: &Proxy, number: usize, is_before: bool) -> bool {
    let mut seen = 0;
    proxy.clear();
    proxy.set_hook(move |_| {
        seen += 1;
        match (seen == number, is_before) {
            (true, true) => Act::Withhold,
            (true, false) => Act::Silence,
            _ => Act::Pass,
        }
    });
    let mut rebinding = soft.rebinding(&["--tolerance", "strict"]);
    let mut child = soft.spawned(rebinding.stdout(Stdio::null()));
    let is_there = loop {
        if proxy.commands().len() >= number {
            break true;
        }
        if let Some(status) = child.try_wait().expect("our own process") {
            assert!(status.success(), "{status} before command {number}");
            break false;
        }
        std::thread::yield_now();
    };
    child.kill().expect("our own process");
    child.wait().expect("our own process");
    proxy.pass_all();
    is_there
}

#[test]
fn a_rebinding_that_is_killed_at_any_command_leaves_a_container_that_opens() {
    let (tpm, tree) = (Swtpm::blank(), Tree::new());
    let proxy = Proxy::of(&tpm);
    let mut soft = holding(&tree, &proxy.tcti(), "strict");
    let (mut kills, mut taken_up) = (0, 0);
    'all: for number in 1.. {
        for is_before in [true, false] {
            let before = soft.binding();
            if !killed_at(&soft, &proxy, number, is_before) {
                break 'all;
            }
            tpm.flush_all();
            let is_in_place = soft.binding() != before;
            goes_on(&mut soft, 1 + kills);
            taken_up += usize::from(!is_in_place && soft.binding() != before);
            kills += 1;
        }
    }
    println!("figure: {kills} kills, {taken_up} times it was bound anew by then");
    assert_eq!(taken_up, 1, "behind the one write that counts");
}

#[test]
fn a_rebinding_that_is_killed_at_any_moment_leaves_a_container_that_opens() {
    let (tpm, tree) = (Swtpm::blank(), Tree::new());
    let mut dice = Dice::new(60);
    for tcti in [&*tpm.tcti(), NOWHERE] {
        let mut soft = holding(&tree, tcti, "strict");
        let (mut undone, mut done) = (0, 0);
        for kill in 0..20 {
            let before = soft.binding();
            let mut rebinding = soft.rebinding(&[]);
            let mut child = soft.spawned(rebinding.stdout(Stdio::null()));
            // Most of the time goes to the traits; its end is what is to be hit.
            let other = soft.folder().join(binding::OTHER);
            let written =
                |path: &std::path::Path| fs::metadata(path).and_then(|data| data.modified()).ok();
            let then = written(&other);
            while written(&other) == then && child.try_wait().expect("our own").is_none() {
                std::thread::yield_now();
            }
            (0..dice.below(2_000)).for_each(|_| std::thread::yield_now());
            child.kill().expect("our own process");
            child.wait().expect("our own process");
            tpm.flush_all();
            goes_on(&mut soft, 1 + kill);
            match soft.binding() == before {
                true => undone += 1,
                false => done += 1,
            }
        }
        println!("figure: killed 20 times, {done} times it was bound anew, {undone} times not");
    }
    let mut soft = holding(&tree, NOWHERE, "strict");
    assert_eq!(seen(&mut soft, None)["standing"]["state"], "active");
}
