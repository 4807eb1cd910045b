//! What a program cannot answer without its license: blocks that only the container opens, proofs
//! for others; and traps for whoever asks for every key there is.

use protocol::codec::{self, Bytes, Fixed};
use protocol::command::{Command, Reply, SeatCommand, SeatReply, Trapped};
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{ArtifactId, Generation, SeatHandle};
use protocol::limits::{BLOCK_LEN_MAX, STATEMENT_BODY_LEN_MAX};
use protocol::objects::artifact::{WrappedKey, wrap_trap};
use protocol::objects::block::{BlockWay, KeySource, block_key, open_block, seal_block};
use protocol::objects::data::{DataContent, DataField};
use protocol::objects::license::{ItemOption, LostUnits, Requirement, UnitRule};
use protocol::objects::proof::ProofBody;
use protocol::objects::update::{UnitsChange, UpdateOp};
use protocol::signed::{Header, Kind, UnverifiedObject};
use strongroom_tests::bench::Bench;
use strongroom_tests::vendor::NOW_S;

use crate::license::{ITEM, Licensed, op};

const SECRET: &[u8] = b"a secret of the vendor's own";

fn opened(made: &mut Licensed, channel: u32, units: u32) -> SeatHandle {
    match made.open(channel, op(channel.into()), units) {
        Ok(SeatReply::Opened(grant)) => grant.handle,
        other => panic!("no seat: {:?}", other.err()),
    }
}

fn done(made: &mut Licensed, ops: &[UpdateOp]) {
    assert!(matches!(made.apply(ops), Reply::Receipt(_)));
}

/// A block through the container, on channel 1.
fn block(
    made: &mut Licensed,
    handle: SeatHandle,
    source: KeySource,
    way: BlockWay,
    bytes: &[u8],
) -> Result<Vec<u8>, Failure> {
    let bytes = Bytes::new(bytes).expect("a block");
    let command = Command::Block { handle, source, way, bytes };
    match made.bench.engine().carry_out(1, command) {
        Reply::Block(block) => Ok(block.to_vec()),
        Reply::Failed(failure) => Err(failure),
        _ => panic!("an answer to something else"),
    }
}

fn refused<T>(result: Result<T, Failure>) -> Option<ErrorCode> {
    result.err().and_then(|failure| failure.known())
}

/// A dongle with secret and hidden data, and a seat on channel 1.
fn with_secrets() -> (Licensed, SeatHandle) {
    let mut made = Licensed::new(vec![ItemOption::FeatureMap(3)]);
    for (field, code) in [(DataField::Secret(2), 0), (DataField::Hidden(2), 77)] {
        let write = made.sealed_data(field, code, SECRET);
        done(&mut made, &[write]);
    }
    let handle = opened(&mut made, 1, 0);
    (made, handle)
}

/// Each source, and the secret that the vendor knows of it.
fn sources(made: &Licensed) -> [(KeySource, Vec<u8>); 3] {
    let item_key = made.vendor.item_key(ITEM.product, Generation(0));
    [
        (KeySource::ItemKey, item_key.to_vec()),
        (KeySource::Secret(2), SECRET.to_vec()),
        (KeySource::Hidden(2), SECRET.to_vec()),
    ]
}

#[test]
fn a_block_is_opened_by_the_container_and_by_whoever_knows_the_source() {
    let (mut made, handle) = with_secrets();
    let requirement = made.requirement(0);
    for (source, secret) in sources(&made) {
        let key = block_key(&secret, source, &requirement);
        for plain in [&b""[..], b"answer", &[7; BLOCK_LEN_MAX]] {
            let sealed = block(&mut made, handle, source, BlockWay::Encrypt, plain).expect("ours");
            assert_eq!(open_block(&key, &sealed).expect("the same key").as_slice(), plain);
            let of_vendor = seal_block(&key, [9; 12], plain);
            let open = block(&mut made, handle, source, BlockWay::Decrypt, &of_vendor);
            assert_eq!(open, Ok(plain.to_vec()), "{source:?}");
        }
        let twice = [0; 2].map(|_| block(&mut made, handle, source, BlockWay::Encrypt, b"same"));
        assert!(twice[0] != twice[1], "a nonce is used once");
    }
}

#[test]
fn a_block_that_is_not_authentic_or_of_other_conditions_is_refused() {
    let (mut made, handle) = with_secrets();
    let requirement = made.requirement(0);
    for (source, secret) in sources(&made) {
        let good = seal_block(&block_key(&secret, source, &requirement), [9; 12], b"answer");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            let opened = block(&mut made, handle, source, BlockWay::Decrypt, &bad);
            assert_eq!(refused(opened), Some(ErrorCode::BlockRefused), "byte {at}");
        }
        for len in 0..28 {
            let opened = block(&mut made, handle, source, BlockWay::Decrypt, &good[..len]);
            assert_eq!(refused(opened), Some(ErrorCode::BlockRefused), "{len} bytes");
        }
        let stricter = Requirement { features: 1, ..requirement };
        let other = seal_block(&block_key(&secret, source, &stricter), [9; 12], b"answer");
        let opened = block(&mut made, handle, source, BlockWay::Decrypt, &other);
        assert_eq!(refused(opened), Some(ErrorCode::BlockRefused), "{source:?}");
    }
}

#[test]
fn a_block_needs_its_source_its_seat_and_its_license() {
    let (mut made, handle) = with_secrets();
    let encrypt = |made: &mut Licensed, handle, source| {
        refused(block(made, handle, source, BlockWay::Encrypt, b"x"))
    };
    for source in [KeySource::Secret(3), KeySource::Hidden(200)] {
        assert_eq!(encrypt(&mut made, handle, source), Some(ErrorCode::DataUnknown));
    }
    // Nobody reads the secret itself, and hidden data need no access code to be used.
    let (firm, field) = (made.fp(), DataField::Secret(2));
    let read = Command::Data { firm, item: ITEM, field, access_code: 0 };
    assert!(matches!(made.bench.command(read), Reply::Failed(_)));
    assert_eq!(encrypt(&mut made, SeatHandle(9), KeySource::ItemKey), Some(ErrorCode::SeatUnknown));
    let long = block(&mut made, handle, KeySource::ItemKey, BlockWay::Encrypt, &[1; 2049]);
    assert_eq!(refused(long), Some(ErrorCode::TooLong));
    let gone = DataContent::Plain(Bytes::default());
    done(&mut made, &[UpdateOp::SetData { item: ITEM, field, content: gone }]);
    assert_eq!(encrypt(&mut made, handle, KeySource::Secret(2)), Some(ErrorCode::DataUnknown));
    made.set(vec![ItemOption::ExpirationTime(NOW_S - 1)]);
    assert_eq!(encrypt(&mut made, handle, KeySource::ItemKey), Some(ErrorCode::Expired));
}

fn prove(made: &mut Licensed, handle: SeatHandle, challenge: u8) -> Result<Vec<u8>, Failure> {
    let challenge = Fixed([challenge; 32]);
    let command = Command::Prove { handle, challenge, purpose: 5 };
    match made.bench.engine().carry_out(1, command) {
        Reply::Proof(object) => Ok(object.to_vec()),
        Reply::Failed(failure) => Err(failure),
        _ => panic!("an answer to something else"),
    }
}

/// What a vendor's server reads, and whether it believes it.
fn read_proof(made: &Licensed, object: &[u8]) -> Option<(Header, ProofBody)> {
    let (object, _) = UnverifiedObject::read(object, STATEMENT_BODY_LEN_MAX).ok()?;
    let header = *object.header();
    let verified = object.verify_container(&made.bench.identity_key()).ok()?;
    let body = codec::decode(verified.body, STATEMENT_BODY_LEN_MAX).ok()?;
    (header.kind == Kind::Proof).then_some((header, body))
}

#[test]
fn a_proof_says_what_is_used_and_for_whom_it_was_made() {
    let mut made = Licensed::new(vec![
        ItemOption::LicenseQuantity(3),
        ItemOption::ExpirationTime(NOW_S + 1000),
        ItemOption::UnitCounter(UnitRule { reserve_max: 1, lost: LostUnits::Held }),
    ]);
    done(&mut made, &[UpdateOp::Units { item: ITEM, change: UnitsChange::Add(10) }]);
    let handle = opened(&mut made, 1, 4);
    let object = prove(&mut made, handle, 8).expect("in use");
    let (header, body) = read_proof(&made, &object).expect("signed by the container");
    let place = made.place();
    assert_eq!((header.root_fp, header.target), (made.fp(), *made.bench.id().bytes()));
    assert_eq!((header.seq + 1, header.state), (place.seq, place.state));
    assert_eq!((body.challenge, body.purpose), (Fixed([8; 32]), 5));
    assert_eq!((body.item, body.requirement), (ITEM, made.requirement(4)));
    assert_eq!((body.units, body.seats, body.ends_s), (6, 1, NOW_S + 1000));
    for at in 0..object.len() {
        let mut bad = object.clone();
        bad[at] ^= 1;
        assert!(read_proof(&made, &bad).is_none(), "byte {at}");
    }
    assert_eq!(refused(prove(&mut made, SeatHandle(9), 8)), Some(ErrorCode::SeatUnknown));
    made.set(vec![ItemOption::ExpirationTime(NOW_S - 1)]);
    assert_eq!(refused(prove(&mut made, handle, 8)), Some(ErrorCode::Expired));
}

fn release(
    made: &mut Licensed,
    channel: u32,
    handle: SeatHandle,
    wrapped: WrappedKey,
) -> Result<SeatReply, ErrorCode> {
    made.seat(channel, SeatCommand::KeyRelease { handle, wrapped, part: 1 })
}

/// A trap of the one product, for the artifact that seats are opened for.
fn trap(made: &Licensed, requirement: &Requirement) -> WrappedKey {
    let item_key = made.vendor.item_key(ITEM.product, Generation(0));
    wrap_trap(&item_key, [6; 16], ArtifactId::default(), requirement)
}

fn trapped(made: &mut Licensed) -> Option<Trapped> {
    let Reply::Firms(firms) = made.bench.command(Command::Firms { from: 0 }) else { panic!() };
    let firm = made.fp();
    firms.iter().find(|row| row.root_fp == firm).expect("the firm").trapped
}

#[test]
fn a_trap_locks_the_licenses_of_its_firm_until_the_firm_unlocks_them() {
    let mut made = Licensed::on(Bench::new(1), "Acme", vec![]);
    let (requirement, artifact) = (made.requirement(0), ArtifactId::default());
    let real = made.vendor.wrap(&requirement, artifact, &[5; 32]);
    let handle = opened(&mut made, 1, 0);
    assert!(release(&mut made, 1, handle, real).is_ok());
    // One of other conditions, or a key that is none, is no trap.
    let other = trap(&made, &Requirement { features: 1, ..requirement });
    let before = made.bench.records();
    assert_eq!(release(&mut made, 1, handle, other).err(), Some(ErrorCode::KeyMismatch));
    assert_eq!(made.bench.records(), before);
    let set = trap(&made, &requirement);
    assert_eq!(release(&mut made, 1, handle, set).err(), Some(ErrorCode::FirmLocked));
    let at_s = NOW_S + 1;
    made.power_cycle();
    assert_eq!(trapped(&mut made), Some(Trapped { product: ITEM.product, at_s }));
    let why = |made: &mut Licensed, requirement| match made.bench.command(Command::Why(requirement))
    {
        Reply::Failed(failure) => Some(failure),
        _ => None,
    };
    let locked = ErrorCode::FirmLocked.with(ITEM.product.0.into(), at_s);
    assert_eq!(why(&mut made, requirement), Some(locked));
    // Also for products that are not there, and whatever is issued meanwhile.
    let absent = Requirement { product: protocol::ids::ProductCode(99), ..requirement };
    assert_eq!(why(&mut made, absent), Some(locked));
    made.set(vec![ItemOption::FeatureMap(1)]);
    assert_eq!(why(&mut made, requirement), Some(locked));
    done(&mut made, &[UpdateOp::Unlock]);
    assert_eq!((trapped(&mut made), why(&mut made, requirement)), (None, None));
    let handle = opened(&mut made, 2, 0);
    assert!(release(&mut made, 2, handle, real).is_ok());
}

#[test]
fn a_trap_ends_uses_that_go_on_and_leaves_other_firms_alone() {
    let mut other = Licensed::on_other(Bench::new(1), vec![]);
    let theirs = opened(&mut other, 5, 0);
    let of_other = other.requirement(0);
    let mut made = Licensed::on(other.bench, "Acme", vec![]);
    let requirement = made.requirement(0);
    let (thief, honest) = (opened(&mut made, 1, 0), opened(&mut made, 2, 0));
    let set = trap(&made, &requirement);
    assert_eq!(release(&mut made, 1, thief, set).err(), Some(ErrorCode::FirmLocked));
    let beat = |handle| SeatCommand::Heartbeat { handle, n: 1 };
    assert_eq!(made.seat(2, beat(honest)).err(), Some(ErrorCode::FirmLocked));
    assert!(made.seat(5, beat(theirs)).is_ok());
    assert!(made.bench.command(Command::Why(of_other)) == Reply::Done);
}

/// A trap that is touched while an update is on its way is not forgotten by it.
#[test]
fn an_update_that_was_begun_before_the_trap_does_not_unlock() {
    let mut made = Licensed::new(vec![]);
    let handle = opened(&mut made, 1, 0);
    let update = made.vendor.update(&made.place(), &[UpdateOp::Nop]);
    let mut commands = update.commands();
    let commit = commands.pop().expect("a commit");
    for command in commands {
        assert!(made.bench.engine().carry_out(3, command) == Reply::Done);
    }
    let set = trap(&made, &made.requirement(0));
    assert_eq!(release(&mut made, 1, handle, set).err(), Some(ErrorCode::FirmLocked));
    assert!(matches!(made.bench.engine().carry_out(3, commit), Reply::Receipt(_)));
    assert!(trapped(&mut made).is_some());
}
