//! Answers of the TPM that are lost, or lie: whether a commit was made is what the TPM holds then,
//! and the caller is told so.

use std::sync::mpsc;

use strongroom_tests::swtpm::{Act, CommandCode, Connection, Proxy, Swtpm};
use tpm::vault::NotCommitted;

use crate::bare::{Bare, commit};
use crate::files;

/// Codes of TCG TPM 2.0 Library, Part 2, 6.6: a failure, too often written, try again, somebody
/// came between, a wrong authorization of the first session.
const CODES: [u32; 5] = [0x101, 0x920, 0x922, INTERRUPTED, 0x98e];
const INTERRUPTED: u32 = 0x121;

/// Does this to the write of a commit, and says what the caller was told.
fn committed(act: Act, is_made: bool) -> Result<(), NotCommitted> {
    let tpm = Swtpm::blank();
    let proxy = Proxy::of(&tpm);
    let (bare, mut vault) = Bare::new(&proxy.tcti());
    commit(&mut vault, 1).expect("nothing is in its way");
    proxy.once(CommandCode::NV_WRITE, act);
    let told = commit(&mut vault, 2);
    let (number, epoch) = if is_made { (2, 2) } else { (1, 1) };
    // What the connection that broke has left.
    drop(vault);
    tpm.flush_all();
    assert_eq!(bare.secrets(&tpm).epoch(), epoch, "{told:?}");
    let (mut vault, found) = bare.open(&proxy.tcti()).expect("nothing is lost");
    assert_eq!(found, number, "{told:?}");
    commit(&mut vault, 3).expect("nothing is in its way");
    drop(vault);
    assert_eq!(bare.secrets(&tpm).epoch(), epoch + 1);
    assert_eq!(bare.open(&proxy.tcti()).expect("nothing is lost").1, 3);
    told
}

#[test]
fn a_write_that_was_made_counts_whatever_the_answer_says() {
    committed(Act::LoseResponse, true).expect("it was made");
    for code in CODES {
        committed(Act::Deny(code), true).unwrap_or_else(|told| panic!("{code:#x}: {told}"));
    }
}

#[test]
fn a_write_that_was_not_made_is_refused_or_made_once() {
    let told = committed(Act::LoseCommand, false);
    assert!(matches!(told, Err(NotCommitted::Kept(_))), "{told:?}");
    // After these the TPM is asked again at once.
    let is_asked_again = [0x920, 0x922, INTERRUPTED];
    for code in CODES {
        let told = committed(Act::Refuse(code), is_asked_again.contains(&code));
        let is_kept = matches!(told, Err(NotCommitted::Kept(_)));
        assert_eq!(is_kept, !is_asked_again.contains(&code), "{code:#x}: {told:?}");
    }
}

/// A draft that never counted takes room, and may be as long as a state.
#[test]
fn a_commit_that_is_refused_leaves_no_file() {
    let tpm = Swtpm::blank();
    let proxy = Proxy::of(&tpm);
    let (bare, mut vault) = Bare::new(&proxy.tcti());
    let before = files::read(bare.folder());
    proxy.set_hook(|exchange| match exchange.code() {
        CommandCode::NV_WRITE => Act::Refuse(CODES[0]),
        _ => Act::Pass,
    });
    let told = commit(&mut vault, 1);
    assert!(matches!(told, Err(NotCommitted::Kept(_))), "{told:?}");
    assert!(files::read(bare.folder()) == before);
}

/// What is there is neither what was nor what was to be: somebody else wrote. The vault says that
/// it has to be opened again, and does not write over it.
#[test]
fn a_vault_whose_index_somebody_else_wrote_is_to_be_opened_again() {
    let tpm = Swtpm::blank();
    let (bare, mut vault) = Bare::new(&tpm.tcti());
    let copy = bare.copied();
    let (mut other, _) = copy.open(&tpm.tcti()).expect("a copy");
    commit(&mut other, 5).expect("nothing is in its way");
    let told = commit(&mut vault, 6);
    assert!(matches!(told, Err(NotCommitted::Lost(_))), "{told:?}");
    drop((vault, other));
    assert_eq!(copy.open(&tpm.tcti()).expect("it has the files").1, 5);
}

/// Whoever holds a write back and says that it was not made cannot let it go later: the caller was
/// told that the old state holds.
#[test]
fn sec_k18_a_write_that_was_held_back_is_worth_nothing_when_its_commit_was_refused() {
    for code in [None, Some(INTERRUPTED), Some(CODES[0])] {
        let tpm = Swtpm::blank();
        let proxy = Proxy::of(&tpm);
        let (bare, mut vault) = Bare::new(&proxy.tcti());
        let (hold, held) = mpsc::channel();
        proxy.set_hook(move |exchange| match exchange.code() {
            CommandCode::NV_WRITE => {
                hold.send(exchange.command.clone()).expect("the test looks");
                code.map_or(Act::LoseCommand, Act::Refuse)
            }
            _ => Act::Pass,
        });
        let told = commit(&mut vault, 1);
        assert!(matches!(told, Err(NotCommitted::Kept(_))), "{told:?}");
        let write = held.try_iter().last().expect("a write");
        let answer = Connection::open(tpm.ports().data()).unwrap().transmit(&write).unwrap();
        assert_ne!(answer[6..10], [0; 4], "{code:?}: it is made");
        drop(vault);
        tpm.flush_all();
        assert_eq!(bare.open(&tpm.tcti()).expect("nothing is lost").1, 0);
    }
}
