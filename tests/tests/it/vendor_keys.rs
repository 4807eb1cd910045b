//! Keys that a vendor keeps in a container of its own.

use firmware_sim::flash::TornMode;
use protocol::codec::{Bytes, Fixed};
use protocol::command::{Command, KeyCommand, KeyReply, KeyUsage, Reply};
use protocol::crypto::ecdsa::{self, VerifyingKey};
use protocol::errors::ErrorCode;
use protocol::ids::KeyName;
use protocol::limits::VENDOR_KEYS_MAX;
use strongroom_tests::bench::Bench;

const SIGNER: KeyName = KeyName::new([1; 7]);
const SECRET: KeyName = KeyName::new([2; 7]);
const HASH: [u8; 32] = [3; 32];

fn bytes<const MAX: usize>(text: &[u8]) -> Bytes<MAX> {
    Bytes::new(text).expect("short")
}

fn ask(bench: &mut Bench, channel: u32, command: KeyCommand) -> Result<Reply, ErrorCode> {
    match bench.engine().carry_out(channel, Command::Key(command)) {
        Reply::Failed(failure) => Err(failure.known().expect("a known number")),
        reply => Ok(reply),
    }
}

fn make(
    bench: &mut Bench,
    name: KeyName,
    usage: KeyUsage,
) -> Result<Option<VerifyingKey>, ErrorCode> {
    match ask(bench, 1, KeyCommand::Make { name, usage })? {
        Reply::Key(KeyReply::Made(point)) => {
            Ok(point.map(|point| VerifyingKey::from_bytes(&point.0).expect("a point")))
        }
        _ => panic!("an answer to something else"),
    }
}

fn sign(bench: &mut Bench, name: KeyName) -> Result<[u8; 64], ErrorCode> {
    match ask(bench, 1, KeyCommand::Sign { name, hash: Fixed(HASH) })? {
        Reply::Key(KeyReply::Signature(signature)) => Ok(signature.0),
        _ => panic!("an answer to something else"),
    }
}

fn expand(bench: &mut Bench, name: KeyName, info: &[u8]) -> Result<[u8; 32], ErrorCode> {
    match ask(bench, 1, KeyCommand::Expand { name, info: bytes(info) })? {
        Reply::Key(KeyReply::Expanded(key)) => Ok(key.0.0),
        _ => panic!("an answer to something else"),
    }
}

fn destroy(bench: &mut Bench, name: KeyName) {
    assert!(matches!(ask(bench, 1, KeyCommand::Destroy { name }), Ok(Reply::Done)));
}

fn set_pin(bench: &mut Bench, pin: &str) -> Result<(), ErrorCode> {
    let (pin, recovery) = (bytes(pin.as_bytes()), Fixed([7; 16]));
    let command = Command::SetPin { pin, recovery, forgotten: None };
    match bench.engine().carry_out(1, command) {
        Reply::Done => Ok(()),
        Reply::Failed(failure) => Err(failure.known().expect("a known number")),
        _ => panic!("an answer to something else"),
    }
}

/// A container whose owner is on channel 1.
fn owned(seed: u64) -> Bench {
    let mut bench = Bench::new(seed);
    set_pin(&mut bench, "1234").expect("the first PIN is anybody's to set");
    bench
}

fn enter(bench: &mut Bench) {
    let entered = bench.engine().carry_out(1, Command::EnterPin(bytes(b"1234")));
    assert!(matches!(entered, Reply::Done));
}

#[test]
fn keys_are_made_once_used_and_destroyed() {
    let mut bench = owned(1);
    let public = make(&mut bench, SIGNER, KeyUsage::Sign).expect("made").expect("one that signs");
    assert_eq!(make(&mut bench, SIGNER, KeyUsage::Sign), Ok(Some(public)), "again");
    assert_eq!(make(&mut bench, SECRET, KeyUsage::Expand), Ok(None));
    let signature = sign(&mut bench, SIGNER).expect("signed");
    assert_eq!(ecdsa::verify_hash(&public, &HASH, &signature), Ok(()));
    let key = expand(&mut bench, SECRET, b"product 7").expect("expanded");
    assert_ne!(expand(&mut bench, SECRET, b"product 8"), Ok(key));
    bench.power_up().expect("in order");
    enter(&mut bench);
    assert_eq!(make(&mut bench, SIGNER, KeyUsage::Sign), Ok(Some(public)));
    assert_eq!(expand(&mut bench, SECRET, b"product 7"), Ok(key));
    // One for something else, or of another name, is none.
    let missing = ErrorCode::VendorKeyMissing;
    assert_eq!(sign(&mut bench, SECRET), Err(missing));
    assert_eq!(expand(&mut bench, SIGNER, b"x"), Err(missing));
    assert_eq!(make(&mut bench, SIGNER, KeyUsage::Expand), Err(missing));
    destroy(&mut bench, SIGNER);
    destroy(&mut bench, SIGNER);
    assert_eq!(sign(&mut bench, SIGNER), Err(missing));
    let other = make(&mut bench, SIGNER, KeyUsage::Sign).expect("made");
    assert_ne!(other, Some(public));
}

#[test]
fn only_who_entered_the_pin_uses_keys_and_it_stays_while_there_are_some() {
    let mut bench = Bench::new(1);
    assert_eq!(make(&mut bench, SIGNER, KeyUsage::Sign), Err(ErrorCode::PinNotSet));
    let mut bench = owned(1);
    make(&mut bench, SIGNER, KeyUsage::Sign).expect("made");
    let commands = [
        KeyCommand::Make { name: SIGNER, usage: KeyUsage::Sign },
        KeyCommand::Sign { name: SIGNER, hash: Fixed(HASH) },
        KeyCommand::Expand { name: SIGNER, info: bytes(b"x") },
        KeyCommand::Destroy { name: SIGNER },
    ];
    let before = bench.records();
    for command in commands {
        assert_eq!(ask(&mut bench, 2, command).err(), Some(ErrorCode::PinNeeded));
    }
    assert_eq!(set_pin(&mut bench, ""), Err(ErrorCode::PinKept));
    assert_eq!(bench.records(), before);
    assert_eq!(set_pin(&mut bench, "5678"), Ok(()));
    destroy(&mut bench, SIGNER);
    assert_eq!(set_pin(&mut bench, ""), Ok(()));
}

#[test]
fn a_container_takes_so_many_keys_and_says_how_many_it_keeps() {
    let mut bench = owned(1);
    for n in 0..VENDOR_KEYS_MAX {
        make(&mut bench, KeyName::new([n; 7]), KeyUsage::Expand).expect("room");
    }
    let last = KeyName::new([0xff; 7]);
    let full = make(&mut bench, last, KeyUsage::Expand);
    assert_eq!(full, Err(ErrorCode::VendorKeysFull));
    let Reply::Info(info) = bench.command(Command::Info) else { panic!("no info") };
    assert_eq!(info.vendor_keys, VENDOR_KEYS_MAX);
    destroy(&mut bench, KeyName::new([0; 7]));
    assert_eq!(make(&mut bench, last, KeyUsage::Expand), Ok(None));
}

/// Wherever the power is cut: a key that was answered is there, and one that was not can be made
/// under the same name.
#[test]
fn a_cut_while_a_key_is_made_or_destroyed_loses_none_that_was_answered() {
    let (mut cuts, mut answered) = (0, 0);
    for torn in [TornMode::Before, TornMode::During, TornMode::After] {
        for at in 0.. {
            let mut bench = owned(1 + at);
            let kept = make(&mut bench, SECRET, KeyUsage::Sign).expect("made");
            bench.flash().cut_power_after(at, torn);
            let made = make(&mut bench, SIGNER, KeyUsage::Sign);
            let gone = made.is_ok()
                && matches!(
                    ask(&mut bench, 1, KeyCommand::Destroy { name: SECRET }),
                    Ok(Reply::Done)
                );
            let was_cut = bench.flash().power_up().is_some();
            bench.power_up().expect("the flash is in order");
            enter(&mut bench);
            let again = make(&mut bench, SIGNER, KeyUsage::Sign).expect("made, or made again");
            if let Ok(public) = made {
                assert_eq!(again, public, "{torn:?} at write {at}");
                answered += 1;
            }
            let signed = sign(&mut bench, SECRET);
            match gone {
                true => assert_eq!(signed, Err(ErrorCode::VendorKeyMissing)),
                // A destruction whose answer was lost may have been done.
                false if made.is_err() => {
                    let verified = ecdsa::verify_hash(&kept.unwrap(), &HASH, &signed.unwrap());
                    assert_eq!(verified, Ok(()), "{torn:?} at write {at}");
                }
                false => assert!(signed.is_ok() || signed == Err(ErrorCode::VendorKeyMissing)),
            }
            if !was_cut {
                break;
            }
            cuts += 1;
        }
    }
    println!("figure: cuts in making and destroying a key: {cuts}, answered {answered}");
    assert!(cuts > 12 && answered > 3);
}
