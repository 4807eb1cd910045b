//! The channel under attack, its nonces, and the example in its document.

use rand_chacha::rand_core::RngCore;
use strongroom_protocol::crypto::channel::{
    ChannelError, FAILURES_MAX, Initiator, Pattern, REKEY_MESSAGES, Responder, TRANSPORT_LEN,
    Transport,
};
use strongroom_protocol::crypto::ecdh::{PublicKey, SharedSecret, SoftwareKey, StaticKey};
use strongroom_protocol::crypto::{CryptoError, Random, RandomFailed};

use crate::{broken, constant, hex, rng, seeded};

const PATTERNS: [Pattern; 2] = [Pattern::Nx, Pattern::Nk];
const HELLO: &[u8] = b"first payload";
const ANSWER: &[u8] = b"payload of the answer";

#[test]
fn both_ends_agree() {
    for pattern in PATTERNS {
        let (mut program, mut container) = Run::new(pattern, 1).complete().unwrap();
        assert_eq!(program.handshake_hash(), container.handshake_hash());
        for n in 0..10 {
            let text = vec![n; usize::from(n) * 100];
            pass(&mut program, &mut container, &text);
            pass(&mut container, &mut program, &text);
        }
    }
}

/// Every byte of both messages, in both patterns, changed two ways: no channel comes to be.
#[test]
fn sec_s22_a_changed_byte_of_the_handshake_is_refused() {
    for pattern in PATTERNS {
        let lens = Run::new(pattern, 2).lens();
        for (which, len) in lens.into_iter().enumerate() {
            for at in 0..len {
                for flip in [0x01, 0x80] {
                    let mut run = Run::new(pattern, 2);
                    run.change = Some((which, Change::Flip { at, flip }));
                    let what = format!("{pattern:?} message {which} byte {at} ^ {flip:02x}");
                    assert!(run.complete().is_err(), "{what}");
                }
            }
        }
    }
}

#[test]
fn sec_s22_a_cut_or_lengthened_handshake_is_refused() {
    for pattern in PATTERNS {
        let lens = Run::new(pattern, 3).lens();
        for (which, len) in lens.into_iter().enumerate() {
            for new_len in (0..len).chain([len + 1]) {
                let mut run = Run::new(pattern, 3);
                run.change = Some((which, Change::Resize(new_len)));
                assert!(run.complete().is_err(), "{pattern:?} message {which} of {new_len}");
            }
        }
    }
}

#[test]
fn versions_and_patterns_have_their_own_errors() {
    for (at, flip, error) in
        [(0, 3, ChannelError::Version(2)), (1, 0x40, ChannelError::Pattern(0x41))]
    {
        for which in [0, 1] {
            let mut run = Run::new(Pattern::Nx, 4);
            run.change = Some((which, Change::Flip { at, flip }));
            assert_eq!(run.complete().err(), Some(error), "message {which}");
        }
    }
    let mut run = Run::new(Pattern::Nx, 4);
    run.change = Some((1, Change::Flip { at: 1, flip: 3 }));
    assert_eq!(
        run.complete().err(),
        Some(ChannelError::Pattern(2)),
        "the answer to another pattern"
    );
}

#[test]
fn nk_with_another_key_is_refused() {
    let (container, other) = (key(10), key(11));
    let mut wire = [0; 512];
    let mut random = seeded(12);
    let (_, len) = Initiator::start_nk(&other.public(), &mut random, HELLO, &mut wire).unwrap();
    let refused = Responder::accept(&container, &mut wire[..len]).err();
    assert_eq!(refused, Some(ChannelError::Refused));
}

#[test]
fn sec_s21_a_repeated_first_message_gives_another_channel() {
    let container = key(20);
    let mut random = seeded(21);
    let mut first = [0; 512];
    let (initiator, len) =
        Initiator::start_nk(&container.public(), &mut random, HELLO, &mut first).unwrap();
    let mut answer = |first: &[u8]| {
        let (mut first, mut wire) = (first.to_vec(), [0; 512]);
        let (responder, _) = Responder::accept(&container, &mut first).unwrap();
        let (transport, len) = responder.reply(&mut random, ANSWER, &mut wire).unwrap();
        (transport, wire[..len].to_vec())
    };
    let (mut mine, mut wire) = answer(&first[..len]);
    let (mut replayed, _) = answer(&first[..len]);
    assert_ne!(mine.handshake_hash(), replayed.handshake_hash());
    let mut program = initiator.finish(&mut wire).unwrap().transport;
    let mut message = seal(&mut program, b"command");
    assert_eq!(replayed.open(&mut message.clone()), Err(ChannelError::Refused));
    assert_eq!(mine.open(&mut message), Ok(7));
}

#[test]
fn sec_s22_repeated_reordered_dropped_and_foreign_messages_change_nothing() {
    for pattern in PATTERNS {
        let (mut program, mut container) = Run::new(pattern, 30).complete().unwrap();
        let (mut stranger, _) = Run::new(pattern, 31).complete().unwrap();
        let first = seal(&mut program, b"first");
        let second = seal(&mut program, b"second");
        let own = seal(&mut container, b"own");
        let foreign = seal(&mut stranger, b"first");
        let changed = |at: usize| {
            let mut message = first.clone();
            message[at] ^= 0x10;
            message
        };
        let attacks = [second.clone(), own, foreign, changed(0), changed(20), vec![], vec![0; 15]];
        for attack in attacks {
            let mut message = attack;
            let (_, mut container) = Run::new(pattern, 30).complete().unwrap();
            assert_eq!(container.open(&mut message), Err(ChannelError::Refused));
            assert!(message.iter().all(|byte| *byte == 0));
            assert_eq!((container.received(), container.is_dead()), (0, false));
            assert_eq!(container.open(&mut first.clone()), Ok(5));
            assert_eq!(container.open(&mut first.clone()), Err(ChannelError::Refused), "replay");
            assert_eq!(container.open(&mut second.clone()), Ok(6));
            assert_eq!(container.received(), 2);
        }
    }
}

#[test]
fn sec_s22_the_third_refusal_ends_the_channel() {
    let (mut program, mut container) = Run::new(Pattern::Nk, 40).complete().unwrap();
    let good = seal(&mut program, b"good");
    for n in 1..=FAILURES_MAX {
        assert_eq!(container.open(&mut [0xA5; 64]), Err(ChannelError::Refused));
        assert_eq!(container.is_dead(), n == FAILURES_MAX);
    }
    let mut message = good;
    assert_eq!(container.open(&mut message), Err(ChannelError::Dead));
    assert!(message.iter().all(|byte| *byte == 0));
    let mut buf = [0xA5; 64];
    assert_eq!(container.seal(&mut buf, 10), Err(ChannelError::Dead));
    assert_eq!(buf, [0xA5; 64], "a dead channel encrypts nothing");
    let mut bytes = [0; TRANSPORT_LEN];
    container.into_bytes(&mut bytes);
    assert_eq!(bytes[..64], [0; 64]);
    assert!(Transport::from_bytes(&mut bytes).is_dead(), "it stays dead in another owner's hands");
}

#[test]
fn a_channel_moves_to_another_owner_once() {
    let (mut program, mut container) = Run::new(Pattern::Nk, 41).complete().unwrap();
    pass(&mut program, &mut container, b"before");
    pass(&mut container, &mut program, b"before");
    assert_eq!(container.open(&mut [1; 40]), Err(ChannelError::Refused));
    let hash = *program.handshake_hash();
    let mut bytes = [0; TRANSPORT_LEN];
    program.into_bytes(&mut bytes);
    let mut program = Transport::from_bytes(&mut bytes);
    assert_eq!(bytes, [0; TRANSPORT_LEN], "the bytes are wiped");
    assert_eq!((program.sent(), program.received()), (1, 1));
    assert_eq!(*program.handshake_hash(), hash);
    pass(&mut program, &mut container, b"after");
    pass(&mut container, &mut program, b"after");
}

#[test]
fn failures_of_randomness_keys_and_room_are_said() {
    let random_failed = Some(ChannelError::Crypto(CryptoError::Random));
    let (container, mut out) = (key(50), [0; 512]);
    let started = Initiator::start_nx(&mut broken, HELLO, &mut out);
    assert_eq!(started.err(), random_failed);
    let started = Initiator::start_nk(&container.public(), &mut broken, HELLO, &mut out);
    assert_eq!(started.err(), random_failed);
    assert_eq!(out, [0; 512], "nothing is written");

    let (_, len) = Initiator::start_nx(&mut seeded(51), HELLO, &mut out).unwrap();
    let (responder, _) = Responder::accept(&container, &mut out[..len]).unwrap();
    assert_eq!(responder.reply(&mut broken, ANSWER, &mut [0; 512]).err(), random_failed);
    let (responder, _) = Responder::accept(&container, &mut out[..len]).unwrap();
    let replied = responder.reply(&mut seeded(52), ANSWER, &mut [0; 180]);
    assert_eq!(replied.err(), Some(ChannelError::Length));
    let started = Initiator::start_nx(&mut seeded(51), HELLO, &mut [0; 79]);
    assert_eq!(started.err(), Some(ChannelError::Length));

    let absent = AbsentKey(container.public());
    let (responder, _) = Responder::accept(&absent, &mut out[..len]).unwrap();
    let replied = responder.reply(&mut seeded(52), ANSWER, &mut [0; 512]);
    assert_eq!(replied.err(), Some(ChannelError::Crypto(CryptoError::KeyHome)));
}

#[test]
fn a_message_that_cannot_be_sealed_uses_no_number() {
    let (mut program, _) = Run::new(Pattern::Nx, 60).complete().unwrap();
    assert_eq!(program.seal(&mut [0; 20], 5), Err(ChannelError::Length));
    let mut large = vec![0; 70_000];
    assert_eq!(program.seal(&mut large, 65_520), Err(ChannelError::Length));
    assert_eq!(program.sent(), 0);
    assert_eq!(program.seal(&mut large, 65_519), Ok(65_535));
    assert_eq!(program.sent(), 1);
}

/// Zeros encrypt to the bare keystream, a function of key and nonce alone: a repeated pair would
/// repeat a block. One channel lives past its change of keys. Many others end in crashes, after
/// some of which the random source of one end starts from its beginning again, as on a bad device
/// or a reverted machine; the other end's does not.
#[test]
fn sec_s21_no_key_and_nonce_repeat_over_a_million_messages() {
    const SEED: u64 = 0x521;
    let mut blocks: Vec<u128> = Vec::with_capacity(3 << 20);
    let (mut program, mut container) = Run::new(Pattern::Nk, SEED).complete().unwrap();
    for n in 1..=REKEY_MESSAGES + 1_000 {
        blocks.push(keystream(&mut program, &mut container));
        assert_eq!((program.sent(), container.received()), (n, n));
    }
    let mut rng = rng(SEED);
    for reverted in [Reverted::Program, Reverted::Container] {
        let (mut program_random, mut container_random) = (seeded(100), seeded(200));
        for _ in 0..200 {
            match reverted {
                _ if rng.next_u32().is_multiple_of(2) => {}
                Reverted::Program => program_random = seeded(100),
                Reverted::Container => container_random = seeded(200),
            }
            let pattern = PATTERNS[(rng.next_u32() % 2) as usize];
            let (mut program, mut container) =
                handshake(pattern, reverted as u64, &mut program_random, &mut container_random);
            for _ in 0..rng.next_u32() % 300 {
                blocks.push(match rng.next_u32() % 2 {
                    0 => keystream(&mut program, &mut container),
                    _ => keystream(&mut container, &mut program),
                });
            }
        }
    }
    let count = blocks.len();
    assert!(count > 1_000_000);
    blocks.sort_unstable();
    blocks.dedup();
    assert_eq!(blocks.len(), count, "a pair of key and nonce was used twice; seed {SEED:#x}");
    println!("{count} messages, each under its own pair of key and nonce");
}

#[test]
fn the_example_in_the_document_holds() {
    let document = include_str!("../../../docs/formats/20-channel.md");
    for pattern in PATTERNS {
        let container = SoftwareKey::generate(&mut constant(0x33)).unwrap();
        let (mut first, mut second) = ([0; 256], [0; 256]);
        let (initiator, len) =
            begin(pattern, &container, &mut constant(0x11), b"hello", &mut first);
        check(document, pattern, "message 1", &first[..len]);
        let (responder, _) = Responder::accept(&container, &mut first[..len]).unwrap();
        let (mut there, len) =
            responder.reply(&mut constant(0x22), b"welcome", &mut second).unwrap();
        check(document, pattern, "message 2", &second[..len]);
        let mut here = initiator.finish(&mut second[..len]).unwrap().transport;
        check(document, pattern, "handshake hash", here.handshake_hash());
        check(document, pattern, "transport 0, program to container", &seal(&mut here, b"ping"));
        check(document, pattern, "transport 0, container to program", &seal(&mut there, b"pong"));
        check(document, pattern, "static key", &container.public().to_uncompressed());
    }
}

/// Compares with the hexadecimal lines under `Nx name:` in the document.
fn check(document: &str, pattern: Pattern, name: &str, bytes: &[u8]) {
    let title = format!("{pattern:?} {name}:");
    let lines = document.lines().skip_while(|line| *line != title).skip(1);
    let found: String = lines.take_while(|line| line.starts_with("  ")).map(str::trim).collect();
    assert_eq!(found, hex(bytes), "{title}");
}

/// Whose random source repeats itself.
#[derive(Clone, Copy)]
enum Reverted {
    Program,
    Container,
}

/// One handshake between a program and a container, with something in between.
struct Run {
    pattern: Pattern,
    seed: u64,
    change: Option<(usize, Change)>,
}

/// What happens to a message on the way.
#[derive(Clone, Copy)]
enum Change {
    Flip { at: usize, flip: u8 },
    Resize(usize),
}

impl Run {
    fn new(pattern: Pattern, seed: u64) -> Run {
        Run { pattern, seed, change: None }
    }

    fn lens(&self) -> [usize; 2] {
        [
            self.pattern.message_1_overhead_len() + HELLO.len(),
            self.pattern.message_2_overhead_len() + ANSWER.len(),
        ]
    }

    fn complete(&self) -> Result<(Transport, Transport), ChannelError> {
        let (container, mut random) = (key(self.seed), seeded(self.seed ^ 0x5EED));
        let (mut first, mut second) = ([0; 512], [0; 512]);
        let (initiator, len) = begin(self.pattern, &container, &mut random, HELLO, &mut first);
        let mut first = self.on_the_way(0, &first[..len]);
        let (responder, payload) = Responder::accept(&container, &mut first)?;
        let same = payload == HELLO;
        let (there, len) = responder.reply(&mut random, ANSWER, &mut second)?;
        let mut second = self.on_the_way(1, &second[..len]);
        let established = initiator.finish(&mut second)?;
        assert!(same && established.payload == ANSWER, "a change went unnoticed");
        assert_eq!(established.responder, container.public());
        Ok((established.transport, there))
    }

    fn on_the_way(&self, which: usize, message: &[u8]) -> Vec<u8> {
        let mut message = message.to_vec();
        match self.change {
            Some((w, Change::Flip { at, flip })) if w == which => message[at] ^= flip,
            Some((w, Change::Resize(len))) if w == which => message.resize(len, 0),
            _ => {}
        }
        message
    }
}

/// A key whose home does not answer.
struct AbsentKey(PublicKey);

impl StaticKey for AbsentKey {
    fn public(&self) -> PublicKey {
        self.0
    }

    fn diffie_hellman(&self, _: &PublicKey) -> Result<SharedSecret, CryptoError> {
        Err(CryptoError::KeyHome)
    }
}

fn key(seed: u64) -> SoftwareKey {
    SoftwareKey::generate(&mut seeded(seed)).unwrap()
}

fn begin(
    pattern: Pattern,
    container: &SoftwareKey,
    random: &mut dyn Random,
    payload: &[u8],
    out: &mut [u8],
) -> (Initiator, usize) {
    match pattern {
        Pattern::Nx => Initiator::start_nx(random, payload, out),
        Pattern::Nk => Initiator::start_nk(&container.public(), random, payload, out),
    }
    .unwrap()
}

fn handshake(
    pattern: Pattern,
    seed: u64,
    program: &mut impl FnMut(&mut [u8]) -> Result<(), RandomFailed>,
    container: &mut impl FnMut(&mut [u8]) -> Result<(), RandomFailed>,
) -> (Transport, Transport) {
    let (key, mut first, mut second) = (key(seed), [0; 512], [0; 512]);
    let (initiator, len) = begin(pattern, &key, program, HELLO, &mut first);
    let (responder, _) = Responder::accept(&key, &mut first[..len]).unwrap();
    let (there, len) = responder.reply(container, ANSWER, &mut second).unwrap();
    (initiator.finish(&mut second[..len]).unwrap().transport, there)
}

fn seal(from: &mut Transport, text: &[u8]) -> Vec<u8> {
    let mut message = [text, &[0; 16]].concat();
    assert_eq!(from.seal(&mut message, text.len()), Ok(message.len()));
    message
}

fn pass(from: &mut Transport, to: &mut Transport, text: &[u8]) {
    let mut message = seal(from, text);
    let len = to.open(&mut message).unwrap();
    assert_eq!(message[..len], *text);
}

/// Sends a block of zeros and returns what they became on the wire.
fn keystream(from: &mut Transport, to: &mut Transport) -> u128 {
    let mut message = [0; 32];
    from.seal(&mut message, 16).unwrap();
    let block = message[..16].try_into().map(u128::from_be_bytes).unwrap();
    assert_eq!(to.open(&mut message), Ok(16));
    block
}
