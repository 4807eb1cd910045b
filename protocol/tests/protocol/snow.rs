//! The channel against `snow`, another implementation of Noise, in both roles of both patterns.

use ::snow::{Builder, TransportState};
use rand_chacha::rand_core::RngCore;
use strongroom_protocol::crypto::channel::{Initiator, Pattern, Responder, Transport};
use strongroom_protocol::crypto::ecdh::{SoftwareKey, StaticKey};

use crate::{bytes, rng, seeded};

const SEEDS: u64 = 24;
const PAYLOAD_LEN_MAX: u32 = 3_900;

#[test]
fn our_program_talks_to_a_container_of_snow() {
    for seed in 0..SEEDS {
        for pattern in [Pattern::Nx, Pattern::Nk] {
            let (ours, theirs) = our_initiator(seed, pattern);
            converse(seed, ours, theirs);
        }
    }
}

#[test]
fn our_container_talks_to_a_program_of_snow() {
    for seed in 0..SEEDS {
        for pattern in [Pattern::Nx, Pattern::Nk] {
            let (ours, theirs) = our_responder(seed, pattern);
            converse(seed, ours, theirs);
        }
    }
}

fn our_initiator(seed: u64, pattern: Pattern) -> (Transport, TransportState) {
    let (mut random, mut rng) = (seeded(seed), rng(seed ^ 0x5EED));
    let container = SoftwareKey::generate(&mut random).unwrap();
    let (secret, prologue) = (container.to_secret_bytes(), prologue(pattern));
    let mut theirs = Builder::new(pattern.protocol_name().parse().unwrap())
        .prologue(&prologue)
        .and_then(|builder| builder.local_private_key(&secret[..]))
        .and_then(|builder| builder.build_responder())
        .unwrap();

    let (first, second) = (bytes(&mut rng, PAYLOAD_LEN_MAX), bytes(&mut rng, PAYLOAD_LEN_MAX));
    let (mut wire, mut got) = ([0; 4096], [0; 4096]);
    let (initiator, len) = match pattern {
        Pattern::Nx => Initiator::start_nx(&mut random, &first, &mut wire),
        Pattern::Nk => Initiator::start_nk(&container.public(), &mut random, &first, &mut wire),
    }
    .unwrap();
    assert_eq!(len, first.len() + pattern.message_1_overhead_len(), "seed {seed}");
    assert_eq!(wire[..2], [1, pattern as u8]);
    let got_len = theirs.read_message(&wire[2..len], &mut got).unwrap();
    assert_eq!(got[..got_len], first, "seed {seed}");

    let len = theirs.write_message(&second, &mut wire[2..]).unwrap() + 2;
    assert_eq!(len, second.len() + pattern.message_2_overhead_len(), "seed {seed}");
    let established = initiator.finish(&mut wire[..len]).unwrap();
    assert_eq!(established.payload, second, "seed {seed}");
    assert_eq!(established.responder, container.public());
    let transport = established.transport;
    assert_eq!(transport.handshake_hash()[..], *theirs.get_handshake_hash(), "seed {seed}");
    (transport, theirs.into_transport_mode().unwrap())
}

fn our_responder(seed: u64, pattern: Pattern) -> (Transport, TransportState) {
    let (mut random, mut rng) = (seeded(seed), rng(seed ^ 0x5EED));
    let container = SoftwareKey::generate(&mut random).unwrap();
    let (public, prologue) = (container.public().to_uncompressed(), prologue(pattern));
    let mut builder =
        Builder::new(pattern.protocol_name().parse().unwrap()).prologue(&prologue).unwrap();
    if pattern == Pattern::Nk {
        builder = builder.remote_public_key(&public).unwrap();
    }
    let mut theirs = builder.build_initiator().unwrap();

    let (first, second) = (bytes(&mut rng, PAYLOAD_LEN_MAX), bytes(&mut rng, PAYLOAD_LEN_MAX));
    let (mut wire, mut got) = ([0; 4096], [0; 4096]);
    let len = theirs.write_message(&first, &mut wire[2..]).unwrap() + 2;
    wire[..2].copy_from_slice(&[1, pattern as u8]);
    let (responder, payload) = Responder::accept(&container, &mut wire[..len]).unwrap();
    assert_eq!(payload, first, "seed {seed}");
    assert_eq!(responder.pattern(), pattern);

    let (transport, len) = responder.reply(&mut random, &second, &mut wire).unwrap();
    let got_len = theirs.read_message(&wire[2..len], &mut got).unwrap();
    assert_eq!(got[..got_len], second, "seed {seed}");
    assert_eq!(theirs.get_remote_static(), Some(&public[..]));
    assert_eq!(transport.handshake_hash()[..], *theirs.get_handshake_hash(), "seed {seed}");
    (transport, theirs.into_transport_mode().unwrap())
}

/// Messages in random directions and of random lengths, with a new key now and then.
fn converse(seed: u64, mut ours: Transport, mut theirs: TransportState) {
    let mut rng = rng(seed ^ 0xC0FFEE);
    let mut wire = [0; 4096];
    for _ in 0..32 {
        let text = bytes(&mut rng, PAYLOAD_LEN_MAX);
        let mut got = [0; 4096];
        match rng.next_u32() % 4 {
            0 => {
                ours.rekey_send();
                theirs.rekey_incoming();
                ours.rekey_recv();
                theirs.rekey_outgoing();
            }
            1 => {
                wire[..text.len()].copy_from_slice(&text);
                let len = ours.seal(&mut wire, text.len()).unwrap();
                let len = theirs.read_message(&wire[..len], &mut got).unwrap();
                assert_eq!(got[..len], text, "seed {seed}");
            }
            _ => {
                let len = theirs.write_message(&text, &mut wire).unwrap();
                let len = ours.open(&mut wire[..len]).unwrap();
                assert_eq!(wire[..len], text, "seed {seed}");
            }
        }
        assert_eq!(ours.sent(), theirs.receiving_nonce(), "seed {seed}");
        assert_eq!(ours.received(), theirs.sending_nonce(), "seed {seed}");
    }
}

fn prologue(pattern: Pattern) -> Vec<u8> {
    [&b"strongroom/channel/v1\0\x01"[..], &[pattern as u8]].concat()
}
