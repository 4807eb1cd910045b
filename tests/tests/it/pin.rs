//! The owner's PIN, and those who guess it.

use firmware_sim::flash::TornMode;
use protocol::codec::{Bytes, Fixed, Text};
use protocol::command::{Command, Reply};
use protocol::errors::ErrorCode;
use protocol::ids::OpId;
use protocol::limits::PIN_TRIES;
use strongroom_tests::bench::Bench;
use strongroom_tests::dice::Dice;
use strongroom_tests::vendor::Vendor;

const RECOVERY: [u8; 16] = [7; 16];

fn done(reply: Reply) -> Result<(), ErrorCode> {
    match reply {
        Reply::Done | Reply::Receipt(_) => Ok(()),
        Reply::Failed(failure) | Reply::UpdateRefused { failure, .. } => {
            Err(failure.known().expect("a known number"))
        }
        _ => panic!("an answer to something else"),
    }
}

fn enter(bench: &mut Bench, channel: u32, pin: &str) -> Result<(), ErrorCode> {
    let pin = Bytes::new(pin.as_bytes()).expect("a short PIN");
    done(bench.engine().carry_out(channel, Command::EnterPin(pin)))
}

fn set(
    bench: &mut Bench,
    channel: u32,
    pin: &str,
    forgotten: Option<[u8; 16]>,
) -> Result<(), ErrorCode> {
    let pin = Bytes::new(pin.as_bytes()).expect("a short PIN");
    let forgotten = forgotten.map(Fixed);
    let command = Command::SetPin { pin, recovery: Fixed(RECOVERY), forgotten };
    done(bench.engine().carry_out(channel, command))
}

fn rename(bench: &mut Bench, channel: u32) -> Result<(), ErrorCode> {
    let name = Text::new("desk").expect("a short name");
    let op = OpId::new([channel as u8; 16]);
    done(bench.engine().carry_out(channel, Command::Rename { op, name }))
}

fn tries(bench: &mut Bench) -> Option<u8> {
    match bench.command(Command::Info) {
        Reply::Info(info) => info.pin_tries,
        _ => panic!("no info"),
    }
}

fn with_pin(seed: u64) -> Bench {
    let mut bench = Bench::new(seed);
    set(&mut bench, 1, "1234", None).expect("the first PIN is anybody's to set");
    bench
}

#[test]
fn what_is_the_owners_needs_the_pin_on_each_channel_and_licenses_do_not() {
    let mut bench = with_pin(1);
    assert_eq!(tries(&mut bench), Some(PIN_TRIES));
    assert_eq!(rename(&mut bench, 1), Ok(()));
    assert_eq!(rename(&mut bench, 2), Err(ErrorCode::PinNeeded));
    assert_eq!(set(&mut bench, 2, "9999", None), Err(ErrorCode::PinNeeded));
    assert_eq!(enter(&mut bench, 2, "1234"), Ok(()));
    assert_eq!(rename(&mut bench, 2), Ok(()));
    bench.engine().closed(2);
    assert_eq!(rename(&mut bench, 2), Err(ErrorCode::PinNeeded));
    // A new firm is let in by the owner; one that is here goes on without him.
    let vendor = Vendor::new("Acme", &mut Dice::new(1));
    let first = vendor.update(&vendor.first_place(bench.id()), &[]);
    assert_eq!(done(bench.apply(&first)), Err(ErrorCode::PinNeeded));
    let pin = Bytes::new(&b"1234"[..]).expect("a short PIN");
    assert_eq!(done(bench.command(Command::EnterPin(pin))), Ok(()));
    assert_eq!(done(bench.apply(&first)), Ok(()));
    bench.power_up().expect("in order");
    let next = vendor.update(&first.after(), &[]);
    assert_eq!(done(bench.apply(&next)), Ok(()));
}

#[test]
fn a_new_pin_ends_what_the_old_one_opened() {
    let mut bench = with_pin(1);
    assert_eq!(enter(&mut bench, 2, "1234"), Ok(()));
    assert_eq!(set(&mut bench, 1, "5678", None), Ok(()));
    assert_eq!(rename(&mut bench, 2), Err(ErrorCode::PinNeeded));
    assert_eq!(enter(&mut bench, 2, "1234"), Err(ErrorCode::PinWrong));
    assert_eq!(enter(&mut bench, 2, "5678"), Ok(()));
    assert_eq!(tries(&mut bench), Some(PIN_TRIES), "a right one gives the tries back");
    assert_eq!(set(&mut bench, 2, "", None), Ok(()));
    assert_eq!(tries(&mut bench), None);
    assert_eq!(rename(&mut bench, 3), Ok(()));
    assert_eq!(enter(&mut bench, 3, "5678"), Err(ErrorCode::NoPin));
}

#[test]
fn sec_k17_the_eighth_wrong_pin_locks_and_the_recovery_code_opens() {
    let mut bench = with_pin(1);
    for left in (1..PIN_TRIES).rev() {
        assert_eq!(enter(&mut bench, 2, "0000"), Err(ErrorCode::PinWrong));
        bench.power_up().expect("in order");
        assert_eq!(tries(&mut bench), Some(left));
    }
    assert_eq!(enter(&mut bench, 2, "0000"), Err(ErrorCode::PinLocked));
    assert_eq!(enter(&mut bench, 2, "1234"), Err(ErrorCode::PinLocked), "right, and too late");
    assert_eq!(set(&mut bench, 2, "5678", None), Err(ErrorCode::PinNeeded));
    assert_eq!(set(&mut bench, 2, "5678", Some([8; 16])), Err(ErrorCode::RecoveryWrong));
    assert_eq!(set(&mut bench, 2, "5678", Some(RECOVERY)), Ok(()));
    assert_eq!(enter(&mut bench, 3, "5678"), Ok(()));
    for _ in 0..PIN_TRIES {
        assert_eq!(set(&mut bench, 4, "1", Some([8; 16])), Err(ErrorCode::RecoveryWrong));
    }
    let late = set(&mut bench, 4, "1", Some(RECOVERY));
    assert_eq!(late, Err(ErrorCode::RecoveryWrong), "right, and too late");
}

/// K17: wherever the power is cut, a guess that was compared was counted, also where its outcome
/// shows in nothing but what the container does next.
#[test]
fn sec_k17_no_power_cut_gives_a_free_guess() {
    let (mut cuts, mut counted) = (0, 0);
    for torn in [TornMode::Before, TornMode::During, TornMode::After] {
        for at in 0.. {
            let mut bench = with_pin(1 + at);
            bench.flash().cut_power_after(at, torn);
            let taken = bench.storage_key_taken();
            let guessed = enter(&mut bench, 2, "0000");
            let compared = bench.storage_key_taken() > taken;
            let was_cut = bench.flash().power_up().is_some();
            bench.power_up().expect("the flash is in order");
            let left = tries(&mut bench).expect("a PIN is set");
            assert!(left == PIN_TRIES || left == PIN_TRIES - 1);
            assert!(compared || guessed != Err(ErrorCode::PinWrong));
            if compared {
                assert_eq!(left, PIN_TRIES - 1, "a free guess: {torn:?} at write {at}");
                counted += 1;
            }
            if !was_cut {
                break;
            }
            cuts += 1;
        }
    }
    println!("figure: cuts in a PIN attempt: {cuts}, outcomes seen {counted}");
    assert!(cuts > 6 && counted >= 3);
}
