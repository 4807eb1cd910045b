//! A TPM is made, stopped, copied and put back, and leaves nothing behind.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::panic::catch_unwind;
use std::process::{Command, Stdio};
use std::{env, io, thread};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use strongroom_tests::swtpm::{Connection, Model, Swtpm, get_random};

use crate::counter::Counter;

/// Makes a child of the test program start a TPM and wait to be killed.
const IS_CHILD: &str = "STRONGROOM_TPM_CHILD";

#[test]
fn a_manufactured_tpm_answers_and_has_certificates_for_its_own_eks() {
    let tpm = Swtpm::of(Model { has_p256: true, ..Model::default() });
    let tools = tpm.tools();
    assert_eq!(tools.ok("tpm2_getrandom 8").len(), 8);
    tools.ok("tpm2_createek -G ecc -c p256.ctx -u ek.pub");
    let eks = [
        ("0x1c00002", "0x81010001", 294),
        ("0x1c00016", "0x81010016", 120),
        ("0x1c0000a", "p256.ctx", 91),
    ];
    for (certificate, ek, len) in eks {
        let certificate = tools.ok(&format!("tpm2_nvread {certificate}"));
        tools.ok(&format!("tpm2_readpublic -c {ek} -f der -o ek.der"));
        let key = std::fs::read(tools.dir().join("ek.der")).unwrap();
        assert_eq!(key.len(), len, "{ek}");
        assert!(certificate.windows(len).any(|part| part == key), "{ek}");
    }
    let authorities = tpm.ca_certificates();
    assert_eq!((authorities.roots.len(), authorities.intermediates.len()), (2, 1));
}

#[test]
fn one_model_is_one_tpm_and_another_is_another() {
    let certificate = |tpm: &Swtpm| tpm.tools().ok("tpm2_nvread 0x1c00016");
    let (one, same) = (Swtpm::manufactured(), Swtpm::manufactured());
    let other = Swtpm::of(Model { serial: 1, ..Model::default() });
    assert_eq!(certificate(&one), certificate(&same));
    assert_ne!(certificate(&one), certificate(&other));
    assert_ne!(one.ca_certificates(), other.ca_certificates());
    assert_ne!(one.ports(), same.ports());
}

#[test]
fn what_is_put_back_is_what_was_there() {
    let mut tpm = Swtpm::blank();
    let tools = tpm.tools();
    let counter = Counter(&tools);
    counter.define();
    let before = tpm.snapshot();
    counter.count_up();
    counter.count_up();
    let after = tpm.snapshot();
    tpm.restore(&before);
    assert_eq!(counter.value(), 1);
    tpm.restore(&after);
    assert_eq!(counter.value(), 3);
}

#[test]
fn a_clone_counts_for_itself() {
    let tpm = Swtpm::blank();
    let tools = tpm.tools();
    Counter(&tools).define();
    let clone = tpm.clone_elsewhere();
    let elsewhere = clone.tools();
    Counter(&tools).count_up();
    Counter(&elsewhere).count_up();
    Counter(&elsewhere).count_up();
    assert_eq!((Counter(&tools).value(), Counter(&elsewhere).value()), (2, 3));
}

#[test]
fn what_was_written_survives_a_pulled_plug_but_the_clock_is_not_safe_then() {
    let mut tpm = Swtpm::blank();
    let tools = tpm.tools();
    let is_safe = || String::from_utf8(tools.ok("tpm2_readclock")).unwrap().contains("safe: yes");
    Counter(&tools).define();
    tpm.stop_gracefully();
    assert!(get_random(tpm.ports().data()).is_err());
    tpm.start_again();
    assert!(is_safe());
    Counter(&tools).count_up();
    tpm.kill();
    assert!(get_random(tpm.ports().data()).is_err());
    tpm.start_again();
    assert!(!is_safe());
    assert_eq!(Counter(&tools).value(), 2);
}

#[test]
fn sessions_of_dead_clients_can_be_freed() {
    let tpm = Swtpm::blank();
    // TPM2_StartAuthSession: no salt, not bound, 16 bytes nonce, HMAC, no cipher, SHA-256.
    let mut start = vec![0x80, 1, 0, 0, 0, 43, 0, 0, 1, 0x76, 0x40, 0, 0, 7, 0x40, 0, 0, 7, 0, 16];
    start.extend([[7; 16].as_slice(), &[0, 0, 0, 0, 0x10, 0, 0x0b]].concat());
    let outcome = || {
        let answer = Connection::open(tpm.ports().data()).unwrap().transmit(&start).unwrap();
        u32::from_be_bytes(answer[6..10].try_into().unwrap())
    };
    // TPM_RC_SESSION_MEMORY.
    assert_eq!([outcome(), outcome(), outcome(), outcome()], [0, 0, 0, 0x903]);
    tpm.flush_all();
    assert_eq!(outcome(), 0);
}

#[test]
fn a_tpm_whose_port_was_taken_comes_back_elsewhere() {
    let mut tpm = Swtpm::blank();
    let old = tpm.ports();
    tpm.kill();
    let other = TcpListener::bind(("127.0.0.1", old.control())).unwrap();
    tpm.start_again();
    assert_ne!(tpm.ports(), old);
    assert!(get_random(tpm.ports().data()).is_ok());
    drop(other);
}

#[test]
fn a_tpm_outlives_the_thread_that_started_it() {
    let tpm = thread::spawn(Swtpm::blank).join().unwrap();
    assert!(get_random(tpm.ports().data()).is_ok());
}

#[test]
fn nothing_is_left_of_a_tpm_when_a_test_panics() {
    let mut seen = None;
    let panicked = catch_unwind(std::panic::AssertUnwindSafe(|| {
        let tpm = Swtpm::blank();
        seen = tpm.pid();
        panic!("as a test that fails");
    }));
    assert!(panicked.is_err());
    let pid = Pid::from_raw(seen.unwrap() as i32).unwrap();
    assert!(pidfd_open(pid, PidfdFlags::empty()).is_err());
}

#[test]
fn nothing_is_left_of_a_tpm_when_the_test_program_is_killed() {
    if env::var_os(IS_CHILD).is_some() {
        let tpm = Swtpm::blank();
        println!("\nTPM {}", tpm.pid().unwrap());
        // Until the parent dies, if it does not kill this first.
        io::stdin().read_to_end(&mut Vec::new()).unwrap();
        return;
    }
    let name = "swtpm::nothing_is_left_of_a_tpm_when_the_test_program_is_killed";
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(IS_CHILD, "1")
        .env("TMPDIR", dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let pid = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("TPM ")?.parse().ok());
    let tpm = pidfd_open(Pid::from_raw(pid.unwrap()).unwrap(), PidfdFlags::empty()).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let mut ended = [PollFd::new(&tpm, PollFlags::IN)];
    assert_eq!(poll(&mut ended, Some(&Timespec { tv_sec: 300, tv_nsec: 0 })), Ok(1));
}
