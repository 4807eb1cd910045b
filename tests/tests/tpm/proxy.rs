//! A proxy shows, cuts and bends what goes over the wire, and lets several clients in.

use std::process::Stdio;
use std::thread;

use strongroom_tests::swtpm::{
    Act, CommandCode, Connection, OtherUser, Proxy, Swtpm, Tools, get_random,
};

use crate::counter::Counter;

const NV_INCREMENT: CommandCode = CommandCode::NV_INCREMENT;

/// A TPM with a counter that shows 1, a proxy before it, and tools behind that.
fn tpm_with_counter() -> (Swtpm, Proxy, Tools) {
    let tpm = Swtpm::blank();
    let proxy = Proxy::of(&tpm);
    let tools = proxy.tools();
    Counter(&tools).define();
    proxy.clear();
    (tpm, proxy, tools)
}

/// `TPM_RC_NV_RATE` (TCG TPM 2.0 Library, Part 2, 6.6).
const NV_RATE: u32 = 0x920;

#[test]
fn all_that_goes_over_the_wire_is_seen_and_counted() {
    let (_tpm, proxy, tools) = tpm_with_counter();
    let random = tools.ok("tpm2_getrandom 8");
    let again = tools.ok("tpm2_getrandom 8");
    assert_eq!(proxy.count(CommandCode::GET_RANDOM), 2);
    assert_eq!(proxy.count(NV_INCREMENT), 0);
    let past = proxy.commands();
    let answers = past.iter().filter(|exchange| exchange.code() == CommandCode::GET_RANDOM);
    let answers: Vec<_> = answers.map(|exchange| exchange.answer.clone().unwrap()).collect();
    assert_eq!(answers.iter().map(|answer| &answer[12..]).collect::<Vec<_>>(), [random, again]);
    assert!(past.iter().all(|exchange| exchange.response_code() == Some(0)));
    proxy.clear();
    assert_eq!(proxy.commands().len(), 0);
}

#[test]
fn a_command_fails_as_the_hook_wants_and_counts_only_if_it_got_to_the_tpm() {
    let (_tpm, proxy, tools) = tpm_with_counter();
    let counter = Counter(&tools);
    let acts = [
        (Act::LoseCommand, 1),
        (Act::LoseResponse, 2),
        (Act::Refuse(NV_RATE), 2),
        (Act::Deny(NV_RATE), 3),
    ];
    for (act, value) in acts {
        proxy.once(NV_INCREMENT, act);
        assert!(!counter.try_to_count_up().status.success());
        assert_eq!(counter.value(), value);
    }
    proxy.pass_all();
    counter.count_up();
    assert_eq!(counter.value(), 4);
}

#[test]
fn a_refusal_is_heard_as_it_was_written() {
    let (_tpm, proxy, _) = tpm_with_counter();
    proxy.once(CommandCode::GET_RANDOM, Act::Refuse(NV_RATE));
    let answer = get_random(proxy.ports().data()).unwrap();
    assert_eq!(answer, [0x80, 1, 0, 0, 0, 10, 0, 0, 9, 0x20]);
    let [exchange] = &proxy.commands()[..] else { panic!("one command") };
    assert_eq!((&exchange.response, &exchange.answer), (&None, &Some(answer)));
}

#[test]
fn each_byte_of_a_response_can_be_bent() {
    let (_tpm, proxy, _) = tpm_with_counter();
    let whole = get_random(proxy.ports().data()).unwrap();
    for at in 0..whole.len() {
        let flip = move |mut response: Vec<u8>| {
            response[at] ^= 1;
            response
        };
        proxy.clear();
        proxy.once(CommandCode::GET_RANDOM, Act::Alter(Box::new(flip)));
        // Where the size was bent, the client hears of an end rather than wait for more.
        let heard = get_random(proxy.ports().data()).ok();
        let exchange = proxy.commands().remove(0);
        let (response, answer) = (exchange.response.unwrap(), exchange.answer.unwrap());
        assert_eq!(answer[at], response[at] ^ 1);
        assert!(heard.is_none_or(|heard| heard == answer[..heard.len()]));
    }
}

#[test]
fn a_client_can_be_killed_after_the_tpm_has_done_what_it_wanted() {
    let (_tpm, proxy, tools) = tpm_with_counter();
    proxy.once(NV_INCREMENT, Act::Silence);
    let mut command = tools.command("tpm2_nvincrement 0x1800001");
    let mut client = command.stderr(Stdio::null()).spawn().unwrap();
    proxy.wait_for(NV_INCREMENT, 1);
    assert_eq!(client.try_wait().unwrap(), None);
    client.kill().unwrap();
    client.wait().unwrap();
    assert_eq!(Counter(&tools).value(), 2);
}

#[test]
fn somebody_else_comes_between_while_a_command_is_held() {
    let (tpm, proxy, tools) = tpm_with_counter();
    let other = proxy.tools();
    let held = proxy.hold_next(NV_INCREMENT);
    thread::scope(|scope| {
        let first = scope.spawn(|| Counter(&tools).count_up());
        held.wait();
        assert_eq!(Counter(&other).value(), 1);
        // Neither at the proxy nor at the TPM itself does the one who is held stand in the way.
        Counter(&other).count_up();
        Counter(&tpm.tools()).count_up();
        assert_eq!(Counter(&other).value(), 3);
        held.let_go();
        first.join().unwrap();
    });
    assert_eq!(Counter(&other).value(), 4);
    assert_eq!(proxy.count(NV_INCREMENT), 2);
}

#[test]
fn clients_that_stay_connected_take_turns_with_one_that_never_stops() {
    let (_tpm, proxy, tools) = tpm_with_counter();
    let hammering = OtherUser::of(proxy.ports());
    let connect = || Connection::open(proxy.ports().data()).unwrap();
    let (mut one, mut two) = (connect(), connect());
    // TPM2_ReadClock, which the other one does not send.
    let read_clock = [0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0x81];
    for _ in 0..20 {
        assert_eq!(one.transmit(&read_clock).unwrap()[6..10], [0; 4]);
        assert_eq!(two.transmit(&read_clock).unwrap()[6..10], [0; 4]);
    }
    Counter(&tools).count_up();
    assert_eq!(Counter(&tools).value(), 2);
    proxy.wait_for(CommandCode::GET_RANDOM, 100);
    assert!(hammering.times() >= 99);
    assert_eq!(proxy.count(CommandCode::READ_CLOCK), 40);
}

#[test]
fn a_proxy_goes_on_when_its_tpm_has_moved() {
    let (mut tpm, proxy, tools) = tpm_with_counter();
    let old = tpm.ports();
    tpm.kill();
    assert!(get_random(proxy.ports().data()).is_err());
    let _other = std::net::TcpListener::bind(("127.0.0.1", old.data())).unwrap();
    tpm.start_again();
    assert_eq!(Counter(&tools).value(), 1);
}

#[test]
fn a_proxy_that_is_gone_lets_nobody_wait() {
    let (tpm, proxy, _) = tpm_with_counter();
    let port = proxy.ports().data();
    let mut client = Connection::open(port).unwrap();
    let held = proxy.hold_next(CommandCode::GET_RANDOM);
    let waits = thread::spawn(move || get_random(port));
    held.wait();
    drop(proxy);
    assert!(waits.join().unwrap().is_err());
    assert!(client.transmit(&[0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0x81]).is_err());
    assert!(Connection::open(port).is_err());
    assert!(get_random(tpm.ports().data()).is_ok());
}
