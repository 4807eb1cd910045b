//! Somebody on the bus changes what goes over it: whatever comes of that is an error or the truth.

use protocol::errors::ErrorCode;
use strongroom_tests::dice::Dice;
use strongroom_tests::swtpm::{Act, CommandCode, Connection, Proxy, Swtpm};
use tpm::vault::{NotCommitted, Vault};

use crate::bare::{Bare, commit};
use crate::keys::{STORAGE_KEY, keep_primary};
use crate::soft::Soft;

/// A byte of a response: of which command, at which place, and what is done to it.
#[derive(Debug, Clone, Copy)]
struct Flip {
    command: usize,
    at: usize,
    mask: u8,
}

/// Bytes of responses that came by since this was asked last.
fn lengths(proxy: &Proxy) -> Vec<usize> {
    let past = proxy.commands();
    proxy.clear();
    past.iter().map(|exchange| exchange.response.as_ref().map_or(0, Vec::len)).collect()
}

/// All bytes of these responses in a long run, else some; each is changed somehow.
fn flips(lengths: &[usize], some: usize, dice: &mut Dice) -> Vec<Flip> {
    let places = lengths.iter().enumerate();
    let mut places: Vec<_> =
        places.flat_map(|(command, len)| (0..*len).map(move |at| (command, at))).collect();
    if std::env::var_os("STRONGROOM_SOAK").is_none() {
        places = (0..some).map(|_| places[dice.below(places.len())]).collect();
    }
    let mut mask = || 1 + dice.below(255) as u8;
    places.into_iter().map(|(command, at)| Flip { command, at, mask: mask() }).collect()
}

/// Changes one byte of what comes by from now on.
fn interpose(proxy: &Proxy, flip: Flip) {
    let mut seen = 0;
    proxy.set_hook(move |_| {
        seen += 1;
        if seen != flip.command + 1 {
            return Act::Pass;
        }
        Act::Alter(Box::new(move |mut response| {
            if let Some(byte) = response.get_mut(flip.at) {
                *byte ^= flip.mask;
            }
            response
        }))
    });
}

/// A vault that holds 1, behind a proxy.
fn behind_proxy() -> (Swtpm, Proxy, Bare) {
    let tpm = Swtpm::blank();
    let proxy = Proxy::of(&tpm);
    let (bare, mut vault) = Bare::new(&tpm.tcti());
    commit(&mut vault, 1).expect("nothing is in its way");
    (tpm, proxy, bare)
}

#[test]
fn sec_k18_a_byte_that_is_changed_on_its_way_opens_no_wrong_state() {
    let (tpm, proxy, bare) = behind_proxy();
    let mut dice = Dice::new(52);
    drop(bare.open(&proxy.tcti()).expect("nothing is in its way"));
    let (mut opened, mut refused) = (0, 0);
    for flip in flips(&lengths(&proxy), 100, &mut dice) {
        interpose(&proxy, flip);
        match bare.open(&proxy.tcti()) {
            Ok((_, number)) => {
                assert_eq!(number, 1, "{flip:?}");
                opened += 1;
            }
            Err(_) => refused += 1,
        }
        tpm.flush_all();
    }
    println!("figure: {opened} changes did no harm, {refused} were refused");
    assert!(refused > opened);
    assert_eq!(bare.open(&tpm.tcti()).expect("nothing is lost").1, 1);
}

/// Commits `number` while a byte of a response is changed; what has to be there then.
fn committed(vault: &mut Vault, number: u64) -> Vec<u64> {
    match commit(vault, number) {
        Ok(()) => vec![number],
        Err(NotCommitted::Kept(_)) => vec![number - 1],
        Err(NotCommitted::Lost(_)) => vec![number - 1, number],
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn sec_k18_a_byte_that_is_changed_on_its_way_commits_nothing_wrong() {
    let (tpm, proxy, bare) = behind_proxy();
    let mut dice = Dice::new(53);
    let (mut vault, mut number) = bare.open(&proxy.tcti()).expect("nothing is in its way");
    proxy.clear();
    commit(&mut vault, 2).expect("nothing is in its way");
    drop(vault);
    // The last is that of the end of the session.
    let commands = &lengths(&proxy)[..2];
    number += 1;
    let mut made = 0;
    for flip in flips(commands, 30, &mut dice) {
        let (mut vault, found) = bare.open(&proxy.tcti()).expect("nothing is in its way");
        assert_eq!(found, number);
        interpose(&proxy, flip);
        let expected = committed(&mut vault, number + 1);
        drop(vault);
        proxy.pass_all();
        tpm.flush_all();
        let found = bare.open(&proxy.tcti()).unwrap_or_else(|shut| panic!("{flip:?}: {shut}")).1;
        assert!(expected.contains(&found), "{flip:?}: {found} of {expected:?}");
        made += u64::from(found > number);
        number = found;
    }
    println!("figure: {made} commits were made all the same");
}

/// The same with the helper, as users meet it: it answers, and goes on or is started anew.
#[test]
fn a_helper_whose_answers_are_changed_on_their_way_does_not_fall() {
    let tpm = Swtpm::blank();
    let proxy = Proxy::of(&tpm);
    let mut soft = Soft::new(&proxy.tcti());
    let mut dice = Dice::new(54);
    soft.serve();
    proxy.clear();
    let mut number = 1;
    soft.set(number).expect("nothing is in its way");
    for flip in flips(&lengths(&proxy), 10, &mut dice) {
        interpose(&proxy, flip);
        let answer = soft.set(number + 1);
        proxy.pass_all();
        let is_made = answer.is_ok();
        // It runs, or this fails.
        soft.kill();
        tpm.flush_all();
        soft.serve();
        let found = soft.value();
        assert!(found == number + 1 || (found == number && !is_made), "{flip:?}: {found}");
        number = found;
    }
    assert!(!soft.said().contains("panicked"), "{}", soft.said());
}

/// Answers one command by what another TPM says to it.
fn answer_by(proxy: &Proxy, other: &Swtpm, code: CommandCode, keep_tail: usize) {
    let port = other.ports().data();
    proxy.clear();
    proxy.set_hook(move |exchange| {
        if exchange.code() != code {
            return Act::Pass;
        }
        let command = exchange.command.clone();
        Act::Alter(Box::new(move |own| {
            let mut answer = Connection::open(port).unwrap().transmit(&command).unwrap();
            assert_eq!(own.len(), answer.len(), "of one kind");
            let tail = own.len() - keep_tail;
            answer[tail..].copy_from_slice(&own[tail..]);
            answer
        }))
    });
}

/// The key that the session would be salted to is that of somebody else, who could read all of it.
/// It comes with its own Name, or with the one that is expected.
#[test]
fn sec_k18_no_session_is_salted_to_a_key_that_was_put_in_on_the_way() {
    // The two Names at the end of what TPM2_ReadPublic answers.
    const NAMES: usize = 2 * (2 + 34);
    let refused = |proxy: &Proxy, bare: &Bare| {
        let code = bare.refusal(&proxy.tcti());
        assert_eq!(proxy.count(CommandCode::START_AUTH_SESSION), 0);
        code
    };
    let other = Swtpm::blank();
    keep_primary(&other, "ecc", STORAGE_KEY);
    let (tpm, proxy, bare) = behind_proxy();
    answer_by(&proxy, &other, CommandCode::CREATE_PRIMARY, 0);
    assert_eq!(refused(&proxy, &bare), ErrorCode::SoftForeign);
    tpm.flush_all();
    assert_eq!(bare.open(&tpm.tcti()).expect("nothing is lost").1, 1);
    let tpm = Swtpm::blank();
    keep_primary(&tpm, "ecc", STORAGE_KEY);
    let proxy = Proxy::of(&tpm);
    let (bare, vault) = Bare::new(&tpm.tcti());
    drop(vault);
    answer_by(&proxy, &other, CommandCode::READ_PUBLIC, 0);
    assert_eq!(refused(&proxy, &bare), ErrorCode::SoftForeign);
    answer_by(&proxy, &other, CommandCode::READ_PUBLIC, NAMES);
    refused(&proxy, &bare);
    tpm.flush_all();
    assert_eq!(bare.open(&tpm.tcti()).expect("nothing is lost").1, 0);
}
