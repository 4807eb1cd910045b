//! The helper is killed at each command that it gives the TPM, in a commit and in the making of a
//! container: before the TPM has it, after it was carried out, and after its client is dead.

use std::fs;
use std::process::{Child, Stdio};
use std::thread;

use strongroom_tests::swtpm::{Act, CommandCode, Proxy, Swtpm, hold};
use tpm::binding::{self, Intent};

use crate::soft::Soft;

/// The machine's counter, and what comes first of the places for containers.
const COUNTER: u32 = 0x0184_c000;
const FIRST: u32 = 0x0184_c001;

/// An index of another program, which counts wrong guesses at its password.
struct Other {
    index: u32,
}

impl Other {
    fn define(tpm: &Swtpm, index: u32) -> Other {
        let tools = tpm.tools();
        tools.ok(&format!("tpm2_nvdefine {index:#x} -C o -s 64 -a authread|authwrite -p another"));
        fs::write(tools.dir().join("content"), [7; 64]).expect("room");
        tools.ok(&format!("tpm2_nvwrite {index:#x} -C {index:#x} -P another -i content"));
        Other { index }
    }

    /// It is as it was, and nobody guessed.
    fn check(&self, tpm: &Swtpm) {
        let (tools, index) = (tpm.tools(), self.index);
        let variable = String::from_utf8(tools.ok("tpm2_getcap properties-variable")).unwrap();
        assert!(variable.contains("TPM2_PT_LOCKOUT_COUNTER: 0x0\n"), "{variable}");
        let content = tools.ok(&format!("tpm2_nvread {index:#x} -C {index:#x} -P another"));
        assert_eq!(content, [7; 64]);
    }
}

/// When the client dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Before,
    After,
    Meanwhile,
}

/// Does what a moment asks for to the command of this number.
fn stop_at(proxy: &Proxy, number: usize, moment: Moment) {
    let mut seen = 0;
    proxy.clear();
    proxy.set_hook(move |_| {
        seen += 1;
        match moment {
            _ if seen != number => Act::Pass,
            Moment::Before => Act::Withhold,
            _ => Act::Silence,
        }
    });
}

/// Kills the helper at one command of a commit that is to make `value` the value of 1.
fn killed_in_commit(code: CommandCode, moment: Moment) -> u64 {
    let tpm = Swtpm::blank();
    let proxy = Proxy::of(&tpm);
    let mut soft = Soft::new(&proxy.tcti());
    soft.serve();
    soft.set(1).expect("nothing is in its way");
    let container = soft.open().expect("it is served");
    let (act, held) = match moment {
        Moment::Before => (Act::Withhold, None),
        Moment::After => (Act::Silence, None),
        Moment::Meanwhile => {
            let (hold, held) = hold();
            (Act::Hold(hold), Some(held))
        }
    };
    proxy.clear();
    proxy.once(code, act);
    thread::scope(|scope| {
        let asked = scope.spawn(|| container.rename("2"));
        match &held {
            Some(held) => held.wait(),
            None => proxy.wait_for(code, 1),
        }
        soft.kill();
        asked.join().expect("it does not panic").expect_err("the helper is dead");
    });
    if let Some(held) = held {
        held.let_go();
        proxy.wait_for(code, 1);
    }
    tpm.flush_all();
    soft.serve();
    let value = soft.value();
    soft.set(3).expect("it goes on");
    assert_eq!(soft.value(), 3);
    value
}

#[test]
fn a_helper_that_is_killed_at_a_command_of_a_commit_has_made_it_or_not() {
    for moment in [Moment::Before, Moment::After, Moment::Meanwhile] {
        assert_eq!(killed_in_commit(CommandCode::NV_READ, moment), 1, "{moment:?}");
        let is_made = u64::from(moment != Moment::Before);
        assert_eq!(killed_in_commit(CommandCode::NV_WRITE, moment), 1 + is_made, "{moment:?}");
    }
}

/// Lets it come to the command of this number, and kills it there.
fn die_at(proxy: &Proxy, number: usize, mut maker: Child) {
    while proxy.commands().len() < number {
        if let Some(status) = maker.try_wait().expect("our own process") {
            assert!(status.success(), "{status} before command {number}");
            return;
        }
        thread::yield_now();
    }
    maker.kill().expect("our own process");
    maker.wait().expect("our own process");
}

/// A container in the making.
struct Making {
    soft: Soft,
    proxy: Proxy,
    tpm: Swtpm,
    /// How often an index was left behind.
    orphans: usize,
}

impl Making {
    /// Makes it, and is killed at the command of this number.
    fn killed_at(&mut self, number: usize, moment: Moment) {
        stop_at(&self.proxy, number, moment);
        let maker = self.soft.spawned(self.soft.creation().stdout(Stdio::null()));
        die_at(&self.proxy, number, maker);
        self.tpm.flush_all();
        let own = self.own_indices();
        assert!(own <= 1, "command {number}: {:x?}", self.tpm.nv_indices());
        self.orphans += usize::from(own == 1 && !self.has(binding::NAME));
    }

    /// Indices but the counter and that of another program.
    fn own_indices(&self) -> usize {
        let indices = self.tpm.nv_indices();
        assert!(indices.contains(&FIRST), "another's index is gone");
        indices.iter().filter(|index| ![FIRST, COUNTER].contains(index)).count()
    }

    fn has(&self, name: &str) -> bool {
        self.soft.folder().join(name).exists()
    }
}

/// Makers are killed at one command after the other, until the container is there; and where one
/// left something behind, those that clear it away at each of theirs.
fn made_in_spite_of_kills(moment: Moment) -> usize {
    let tpm = Swtpm::blank();
    let proxy = Proxy::of(&tpm);
    let other = Other::define(&tpm, FIRST);
    let soft = Soft::empty(&proxy.tcti());
    let mut making = Making { soft, proxy, tpm, orphans: 0 };
    for number in 1.. {
        making.killed_at(number, moment);
        if making.has(binding::NAME) {
            break;
        }
        for number in 1.. {
            if !making.has(Intent::NAME) {
                break;
            }
            making.killed_at(number, moment);
        }
    }
    making.proxy.pass_all();
    assert_eq!(making.own_indices(), 1);
    other.check(&making.tpm);
    let mut soft = making.soft;
    soft.certify();
    soft.serve();
    soft.set(1).expect("it can be renamed");
    assert_eq!(soft.value(), 1);
    making.orphans
}

#[test]
fn a_creation_that_is_killed_at_any_command_is_cleared_away_by_the_next() {
    for moment in [Moment::Before, Moment::After] {
        let orphans = made_in_spite_of_kills(moment);
        println!("figure: killed {moment:?}: {orphans} times an index was left");
        assert!(orphans > 0, "{moment:?}: nothing was ever left behind");
    }
}

/// A maker was killed: its index is defined, and not written. Or it is not defined yet.
fn killed_maker(tpm: &Swtpm, code: CommandCode) -> Soft {
    let proxy = Proxy::of(tpm);
    let soft = Soft::empty(&proxy.tcti());
    proxy.once(code, Act::Withhold);
    let mut maker = soft.spawned(soft.creation().stdout(Stdio::null()));
    proxy.wait_for(code, 1);
    maker.kill().expect("our own process");
    maker.wait().expect("our own process");
    tpm.flush_all();
    soft.at(&tpm.tcti())
}

#[test]
fn an_index_that_another_program_has_where_an_orphan_may_be_is_not_touched() {
    let tpm = Swtpm::blank();
    // The machine has its counter, so that the next index is a container's.
    drop(Soft::new(&tpm.tcti()));
    let soft = killed_maker(&tpm, CommandCode::NV_DEFINE_SPACE);
    let other = Other::define(&tpm, FIRST + 1);
    soft.create().expect("there are other places");
    other.check(&tpm);
    assert_eq!(tpm.nv_indices(), [COUNTER, FIRST, FIRST + 1, FIRST + 2]);
}

#[test]
fn what_was_left_in_a_tpm_that_was_cleared_or_is_another_one_is_in_nobodys_way() {
    let tpm = Swtpm::blank();
    let soft = killed_maker(&tpm, CommandCode::NV_WRITE);
    tpm.tools().ok("tpm2_clear -c p");
    soft.create().expect("there is nothing to clear away");
    assert_eq!(tpm.nv_indices(), [COUNTER, FIRST]);
    let soft = killed_maker(&tpm, CommandCode::NV_WRITE);
    let other = Swtpm::blank();
    let soft = soft.at(&other.tcti());
    soft.create().expect("there is nothing to clear away");
    assert_eq!(other.nv_indices(), [COUNTER, FIRST]);
}
