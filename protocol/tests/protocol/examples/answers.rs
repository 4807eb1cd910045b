//! Blocks, proofs and traps: docs/formats/33.

use strongroom_protocol::codec::Bytes;
use strongroom_protocol::limits::SEALED_BLOCK_FILE_LEN_MAX;
use strongroom_protocol::objects::artifact::{is_trap, wrap_trap};
use strongroom_protocol::objects::block::{SealedBlock, block_key, open_block, seal_block};
use strongroom_protocol::objects::proof::ProofBody;

use super::*;

const ANSWERS: &str = include_str!("../../../../docs/formats/33-blocks-and-proofs.md");

#[test]
fn blocks() {
    let requirement = requirement(Firm::new().fp());
    let source = KeySource::Secret(1);
    let key = block_key(b"a secret", source, &requirement);
    let bytes = seal_block(&key, [0x95; 12], b"Question");
    Example::default()
        .bytes("requirement", &codec::encode(&requirement))
        .bytes("source", &codec::encode(&source))
        .bytes("block key", &key[..])
        .bytes("block", &bytes)
        .stands_in(ANSWERS);
    assert_eq!(open_block(&key, &bytes).expect("its own key")[..], b"Question"[..]);
    let other = block_key(b"a secret", KeySource::Hidden(1), &requirement);
    assert!(open_block(&other, &bytes).is_none());
    let bytes = Bytes::new(bytes).expect("short");
    let body = codec::encode(&SealedBlock { requirement, source, bytes });
    let len_max = SEALED_BLOCK_FILE_LEN_MAX;
    let again = codec::decode::<SealedBlock>(&body, len_max).map(|block| codec::encode(&block));
    assert_eq!(again, Ok(body));
}

#[test]
fn proof() {
    let firm = Firm::new();
    let dongle = Dongle::new();
    let body = codec::encode(&ProofBody {
        challenge: Fixed([0x96; 32]),
        purpose: 1,
        session: Fixed([0x97; 32]),
        item: ItemRef { product: PRODUCT, entry: EntryNumber(0) },
        requirement: requirement(firm.fp()),
        ends_s: EXPIRES_S,
        units: 497,
        seats: 1,
        time: TimeInfo {
            floor_s: ISSUED_S,
            now_s: ISSUED_S,
            class: ClockClass::Rtc,
            certified_s: ISSUED_S,
        },
        commits: 3,
        firmware: 1 << 8,
    });
    let object = dongle.state(Kind::Proof, firm.fp(), (4, [0x98; 32]), &body);
    Example::default().bytes("proof", &object).stands_in(ANSWERS);
    let read = read(&object, STATEMENT_BODY_LEN_MAX);
    let verified = read.verify_container(&dongle.identity.verifying_key()).unwrap();
    assert!(codec::decode::<ProofBody>(verified.body, STATEMENT_BODY_LEN_MAX).is_ok());
}

#[test]
fn trap() {
    let requirement = requirement(Firm::new().fp());
    let (item_key, artifact) = ([0x99; 32], ArtifactId::new([0x9a; 16]));
    let trap = wrap_trap(&item_key, [0x9b; 16], artifact, &requirement);
    Example::default().bytes("trap", &codec::encode(&trap)).stands_in(ANSWERS);
    assert!(is_trap(&item_key, artifact, &requirement, &trap));
    assert!(!is_trap(&item_key, ArtifactId::default(), &requirement, &trap));
}

/// Commands of empty fields.
pub(super) fn block() -> Command {
    let (source, way) = (KeySource::ItemKey, BlockWay::Decrypt);
    Command::Block { handle: SeatHandle(0), source, way, bytes: Default::default() }
}

pub(super) fn key() -> Command {
    Command::Key(KeyCommand::Make { name: Default::default(), usage: KeyUsage::Sign })
}

pub(super) fn prove() -> Command {
    Command::Prove { handle: SeatHandle(0), challenge: Fixed([0; 32]), purpose: 0 }
}
