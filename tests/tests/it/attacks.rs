//! Emulators, read-out dongles and dead sources of randomness.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use container::{Address, Channel, Container, Error, Makers};
use engine::platform::Keys;
use firmware_sim::keys::SimKeys;
use protocol::command::{Command, Reply};
use protocol::crypto::{RandomFailed, aead};
use protocol::errors::ErrorCode;
use protocol::ids::{ArtifactId, Generation, ProductCode};
use protocol::objects::artifact::{MAIN_PART, SecretKey, WrappedKey, unwrap_content_key};
use protocol::objects::device::ClockClass;
use protocol::objects::license::{ItemRef, ProductItem, Requirement};
use protocol::objects::update::UpdateOp;
use strongroom_tests::bench::{Bench, new_keys};
use strongroom_tests::dice::Dice;
use strongroom_tests::vendor::Vendor;
use strongroom_tests::wire::Socket;

use crate::license::{ITEM, Licensed};

const ARTIFACT: ArtifactId = ArtifactId::new([6; 16]);
const CONTENT_KEY: [u8; 32] = [5; 32];

type Messages = Arc<Mutex<Vec<(Vec<u8>, Vec<u8>)>>>;

/// A wire to a dongle that writes down what passes.
struct Recorder {
    made: Arc<Mutex<Licensed>>,
    channel: u32,
    messages: Messages,
}

impl Channel for Recorder {
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, Error> {
        let mut response = Vec::new();
        let mut made = self.made.lock().expect("no panic before");
        made.bench.engine().message(self.channel, request, &mut response);
        let message = (request.to_vec(), response.clone());
        self.messages.lock().expect("no panic before").push(message);
        Ok(response)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.made.lock().expect("no panic before").bench.engine().closed(self.channel);
    }
}

/// An emulator: it answers with what it recorded, the n-th answer to the n-th question, or in any
/// order.
struct Emulator {
    answers: Vec<Vec<u8>>,
    at: usize,
}

impl Channel for Emulator {
    fn exchange(&mut self, _: &[u8]) -> Result<Vec<u8>, Error> {
        let answer = self.answers[self.at % self.answers.len()].clone();
        self.at += 1;
        Ok(answer)
    }
}

/// What a protected program does: open, seat, key.
fn use_it(wire: Box<dyn Channel>, need: &Requirement, wrapped: &WrappedKey) -> Result<(), Error> {
    let address = Address::ReportSocket(PathBuf::from("bench"));
    let container = Container::open(wire, address, &Makers::standard())?;
    let seat = container.open_seat(need, ARTIFACT)?;
    seat.release_key(wrapped, MAIN_PART).map(|_| ())
}

/// K01: a table of recorded exchanges answers no program, and no two runs look alike.
#[test]
fn sec_k01_no_recorded_session_answers_another_one() {
    let made = Licensed::new(vec![]);
    let need = made.requirement(0);
    let wrapped = made.vendor.wrap(&need, ARTIFACT, &CONTENT_KEY);
    let made = Arc::new(Mutex::new(made));
    let runs: Vec<Vec<(Vec<u8>, Vec<u8>)>> = (1..=20)
        .map(|channel| {
            let messages = Messages::default();
            let (made, kept) = (made.clone(), messages.clone());
            use_it(Box::new(Recorder { made, channel, messages }), &need, &wrapped)
                .expect("licensed");
            std::mem::take(&mut *kept.lock().expect("no panic before"))
        })
        .collect();
    no_block_twice(&runs);
    let replays = if std::env::var_os("STRONGROOM_SOAK").is_some() { 1_000_000 } else { 10_000 };
    let mut dice = Dice::new(101);
    for _ in 0..replays {
        let run = &runs[dice.below(runs.len())];
        let mut answers: Vec<Vec<u8>> = run.iter().map(|(_, answer)| answer.clone()).collect();
        if dice.one_in(3) {
            let other = &runs[dice.below(runs.len())];
            answers.extend(other.iter().map(|(_, answer)| answer.clone()));
            let at = dice.below(answers.len());
            answers.rotate_left(at);
        }
        let emulator = Emulator { answers, at: 0 };
        assert!(use_it(Box::new(emulator), &need, &wrapped).is_err(), "an emulator was believed");
    }
    println!("figure: {replays} replays of recorded sessions, 0 believed");
}

fn no_block_twice(runs: &[Vec<(Vec<u8>, Vec<u8>)>]) {
    let mut seen: HashSet<[u8; 16]> = HashSet::new();
    for run in runs {
        let of_run: HashSet<[u8; 16]> = run
            .iter()
            .flat_map(|(request, response)| [request, response])
            .flat_map(|message| message.windows(16))
            .map(|block| block.try_into().expect("16 bytes"))
            .collect();
        assert!(of_run.len() > 500 && seen.is_disjoint(&of_run), "two runs share a block");
        seen.extend(of_run);
    }
}

/// K04: from a dongle that was read out, flash and storage key, comes what it was entitled to: no
/// key of another product or generation, nothing of the firm's key, and without the storage key
/// nothing at all.
#[test]
fn sec_k04_a_read_out_dongle_gives_its_own_item_keys_alone() {
    let (mut bench, vendor) = (Bench::new(1), Vendor::new("Acme", &mut Dice::new(1)));
    let place = vendor.first_place(bench.id());
    let entitled: Vec<(ProductCode, Generation)> =
        vec![(ProductCode(7), Generation(0)), (ProductCode(8), Generation(2))];
    let mut ops = Vec::new();
    for (product, generation) in &entitled {
        let item = ItemRef { product: *product, ..ITEM };
        ops.push(UpdateOp::SetItem(ProductItem { item, options: Default::default() }));
        ops.push(vendor.set_key(&bench.sealing_key(), &place, (*product, *generation)));
    }
    assert!(matches!(bench.apply(&vendor.update(&place, &ops)), Reply::Receipt(_)));
    let records = bench.records();
    let read_out: Vec<u8> = records.iter().flat_map(|(_, value)| value.clone()).collect();
    let opened = opened(&records, new_keys(1).storage_key());
    assert_eq!(opened.len(), entitled.len());
    let raw: Vec<[u8; 32]> = read_out.windows(32).map(|key| key.try_into().expect("32")).collect();
    let candidates = || raw.iter().copied().chain(opened.iter().map(|key| **key));
    for product in 6..10 {
        for generation in 0..4 {
            let slot = (ProductCode(product), Generation(generation));
            let need = Requirement { generation: slot.1, ..vendor.requirement(slot.0) };
            let wrapped = vendor.wrap(&need, ARTIFACT, &CONTENT_KEY);
            let opens =
                |key: &[u8; 32]| unwrap_content_key(key, ARTIFACT, &need, &wrapped).is_some();
            assert!(!raw.iter().any(opens), "{slot:?} opens without the storage key");
            let has_key = candidates().any(|key| opens(&key));
            assert_eq!(has_key, entitled.contains(&slot), "{slot:?}");
        }
    }
}

/// Item keys in records, by the storage key.
fn opened(records: &[(u64, Vec<u8>)], storage_key: &[u8; 32]) -> Vec<SecretKey> {
    let is_item_key = |key: u64| key >> 56 == 0x21;
    let sealed = records.iter().filter(|(key, _)| is_item_key(*key));
    let open = |(record, value): &(u64, Vec<u8>)| {
        let (nonce, sealed) = value.split_first_chunk::<12>()?;
        let (sealed, tag) = sealed.split_last_chunk::<16>()?;
        let mut key = SecretKey::new(sealed.try_into().ok()?);
        let aad = record.to_be_bytes();
        aead::open_in_place(storage_key, nonce, &aad, &mut key[..], tag).ok().map(|()| key)
    };
    sealed.filter_map(open).collect()
}

/// S20: a device whose source of randomness is stuck or repeats makes no keys.
#[test]
fn sec_s20_no_keys_come_of_a_dead_source() {
    let repeat = |pattern: Vec<u8>| {
        let mut at = 0;
        move |out: &mut [u8]| -> Result<(), RandomFailed> {
            for byte in out {
                *byte = pattern[at % pattern.len()];
                at += 1;
            }
            Ok(())
        }
    };
    let varied: Vec<u8> = (0..32_u8).map(|n| n.wrapping_mul(37) ^ 11).collect();
    for pattern in [vec![0], vec![0xff], vec![0x55, 0xaa], varied] {
        assert!(SimKeys::generate(ClockClass::Session, &mut repeat(pattern)).is_err());
    }
    let mut failed = |_: &mut [u8]| Err(RandomFailed);
    assert!(SimKeys::generate(ClockClass::Session, &mut failed).is_err());
}

/// S20: a dongle whose source dies opens no session and draws no nonce, and does not start again.
#[test]
fn sec_s20_no_session_comes_of_a_dead_source() {
    let mut made = Licensed::new(vec![]);
    made.bench.kill_random();
    let firm = made.fp();
    let Reply::Failed(failure) = made.bench.command(Command::TimeNonce { firm }) else {
        panic!("a nonce")
    };
    assert_eq!(failure.known(), Some(ErrorCode::RandomFailed));
    let socket = Socket::new(made.bench);
    assert!(socket.open().is_err_and(|error| error.is(ErrorCode::RandomFailed)));
    assert!(socket.bench(|bench| bench.power_up().is_err()));
}

/// S20: two devices of one image have nothing in common.
#[test]
fn sec_s20_two_devices_of_one_image_have_different_keys() {
    let mut system = firmware_sim::device::SimRandom::new(None);
    let mut new =
        || SimKeys::generate(ClockClass::Session, &mut system).expect("a source that works");
    let (one, two) = (new(), new());
    assert_ne!(one.id().bytes(), two.id().bytes());
    assert!(one.storage_key() != two.storage_key() && one.identity_id() != two.identity_id());
    let public = |keys: &SimKeys| {
        [keys.channel_key(), keys.sealing_key()].map(|key| key.public().to_compressed())
    };
    let (one, two) = (public(&one), public(&two));
    assert!(one[0] != two[0] && one[1] != two[1] && one[0] != one[1]);
}
