//! Bytes that lie: lengths, depth, leftovers, second encodings, buffers that are not clean.

use std::hint::black_box;

use protocol::codec::{self, DecodeError, List};
use protocol::command::{Command, Reply, SeatCommand};
use protocol::crypto::channel::{Established, Initiator, Transport};
use protocol::errors::ErrorCode;
use protocol::ids::{ArtifactId, OpId, ProductCode};
use protocol::limits::{COMMAND_LEN_MAX, MESSAGE_LEN_MAX, UPDATE_OPS_MAX};
use protocol::objects::device::{Device, DeviceBody};
use protocol::objects::file::{self, FileKind};
use protocol::objects::root::{Root, RootBody};
use protocol::objects::test_root;
use protocol::objects::update::{UpdateOp, read_ops, write_ops};
use protocol::signed::{UnverifiedObject, write_object};
use protocol::testing::decoded;
use strongroom_tests::bench::Bench;
use strongroom_tests::dice::Dice;
use strongroom_tests::mutate::{flipped_bits, long_varints, lying_lengths, varint};
use strongroom_tests::samples::{self, Sample};
use strongroom_tests::vendor::{Update, Vendor, commands};

/// Runs `work` on `input` and holds its peak of allocations against what P01 allows.
fn bounded<T>(what: &str, input: &[u8], work: impl FnOnce(&[u8]) -> T) -> T {
    let mut made = None;
    let used = allocation_counter::measure(|| made = Some(work(input)));
    let allowed = 2 * input.len() as u64 + 64 * 1024;
    assert!(used.bytes_max <= allowed, "{what}: {} bytes for {}", used.bytes_max, input.len());
    made.expect("the work was done")
}

fn vendor() -> Vendor {
    Vendor::new("Acme", &mut Dice::new(1))
}

fn types() -> Vec<Sample> {
    samples::all(&vendor().root.body)
}

#[test]
fn sec_p01_a_length_that_lies_costs_no_memory_in_any_type() {
    let mut refused = 0;
    for Sample { name, decode, encodings } in types() {
        for lie in encodings.iter().flat_map(|bytes| lying_lengths(bytes)) {
            // The largest bound of all, so that nothing is refused for its size alone.
            match bounded(name, &lie, |lie| decode(lie, usize::MAX)) {
                Ok(again) => assert_eq!(again, lie, "{name}: another encoding is accepted"),
                Err(_) => refused += 1,
            }
        }
    }
    println!("figure: lying lengths refused: {refused}");
}

/// As many bytes are there as elements are declared, but an element takes more memory than a byte.
#[test]
fn sec_p01_a_length_reserves_no_memory_even_where_so_many_bytes_follow() {
    let tail = [&varint(60_000)[..], &[0; 60_000]].concat();
    for Sample { name, decode, encodings } in types() {
        for bytes in &encodings {
            for at in 0..bytes.len() {
                let long = [&bytes[..at], &tail].concat();
                let taken = bounded(name, &long, |long| decode(long, usize::MAX));
                assert!(taken.is_err(), "{name}: 60,000 of something");
            }
        }
    }
}

#[test]
fn sec_p01_a_length_that_lies_costs_no_memory_in_objects_and_bodies() {
    let vendor = vendor();
    let place = vendor.first_place(Bench::new(1).id());
    let update = vendor.update(&place, &samples::ops());
    let objects = [vendor.root_object.clone(), update.object()];
    for lie in objects.iter().flat_map(|bytes| lying_lengths(bytes)) {
        bounded("object", &lie, |lie| {
            if let Ok((object, rest)) = UnverifiedObject::read(lie, usize::MAX) {
                assert!(object.header().body_len as usize + rest.len() < lie.len());
                black_box(Root::verify_first(&object).is_ok());
            }
        });
    }
    for lie in lying_lengths(&update.body) {
        let read = bounded("operations", &lie, read_ops);
        assert!(read.is_err() || read.is_ok_and(|ops| write_ops(&ops).as_ref() == Ok(&lie)));
    }
}

/// Each length in a message of a session, in the message that begins one, and in the answer to it.
#[test]
fn sec_p01_a_length_that_lies_costs_no_memory_in_the_engine_and_the_host() {
    let mut bench = Bench::new(1);
    let mut hello = vec![0; MESSAGE_LEN_MAX];
    let mut ones = ones();
    let (_, len) = Initiator::start_nx(&mut ones, &[], &mut hello).expect("a fresh buffer");
    let mut response = Vec::with_capacity(MESSAGE_LEN_MAX);
    for lie in lying_lengths(&hello[..len]).step_by(7) {
        bounded("handshake", &lie, |lie| bench.engine().message(1, lie, &mut response));
        bench.engine().closed(1);
    }
    let mut session = Session::open(&mut bench, 2, Vec::new());
    for command in samples::commands() {
        for lie in lying_lengths(&codec::encode(&command)).step_by(5) {
            let answer = session.say(&mut bench, &lie, |bench, request, response| {
                bounded("command", request, |request| bench.engine().message(2, request, response));
            });
            let accepted = codec::decode::<Command>(&lie, COMMAND_LEN_MAX).is_ok();
            let malformed = Reply::Failed(ErrorCode::Malformed.failure());
            assert!(accepted || answer == malformed, "garbage is answered otherwise");
        }
    }
}

/// Randomness that is always the same.
fn ones() -> impl FnMut(&mut [u8]) -> Result<(), protocol::crypto::RandomFailed> {
    |out: &mut [u8]| {
        out.fill(1);
        Ok(())
    }
}

/// The host's end of a channel, with the buffer for answers in sight.
struct Session {
    channel: u32,
    transport: Transport,
    buffer: Vec<u8>,
    /// All that the dongle let out.
    heard: Vec<Vec<u8>>,
}

impl Session {
    fn open(bench: &mut Bench, channel: u32, buffer: Vec<u8>) -> Self {
        let mut request = vec![0; MESSAGE_LEN_MAX];
        let (initiator, len) =
            Initiator::start_nx(&mut ones(), &[], &mut request).expect("a fresh buffer");
        let mut answer = buffer.clone();
        bench.engine().message(channel, &request[..len], &mut answer);
        let heard = vec![answer.clone()];
        let Established { transport, .. } = initiator.finish(&mut answer).expect("our own dongle");
        Session { channel, transport, buffer, heard }
    }

    fn say(
        &mut self,
        bench: &mut Bench,
        plaintext: &[u8],
        send: impl FnOnce(&mut Bench, &[u8], &mut Vec<u8>),
    ) -> Reply {
        let mut request = plaintext.to_vec();
        request.resize(plaintext.len() + 16, 0);
        self.transport.seal(&mut request, plaintext.len()).expect("an open channel");
        let mut answer = self.buffer.clone();
        send(bench, &request, &mut answer);
        self.heard.push(answer.clone());
        let len = self.transport.open(&mut answer).expect("a sealed answer");
        codec::decode(&answer[..len], COMMAND_LEN_MAX).expect("a canonical reply")
    }

    fn ask(&mut self, bench: &mut Bench, command: &Command) -> Reply {
        let channel = self.channel;
        self.say(bench, &codec::encode(command), |bench, request, response| {
            bench.engine().message(channel, request, response);
        })
    }
}

/// Two dongles that differ only in what their buffers held before let out the very same bytes.
#[test]
fn sec_p02_what_a_buffer_held_before_never_leaves() {
    let heard = |pattern: u8| {
        let mut bench = Bench::new(1);
        let vendor = vendor();
        let place = vendor.first_place(bench.id());
        let key = vendor.set_key(&bench.sealing_key(), &place, Default::default());
        let update = vendor.update(&place, &[UpdateOp::SetItem(samples::item()), key]);
        let mut session = Session::open(&mut bench, 1, vec![pattern; 2 * MESSAGE_LEN_MAX]);
        let mut all = update.commands();
        all.extend(samples::commands());
        all.push(Command::Items { firm: vendor.fp(), after: None });
        all.push(Command::Receipt { firm: vendor.fp(), seq: 0 });
        all.iter().for_each(|command| drop(session.ask(&mut bench, command)));
        // Refusals in clear: a broken message, three times, and a broken handshake.
        for garbage in [&[0; 40][..], &[1; 20], &[2; 17], &[3; 9], &[]] {
            let mut answer = vec![pattern; 300];
            bench.engine().message(1, garbage, &mut answer);
            session.heard.push(answer);
        }
        session.heard
    };
    let (one, other) = (heard(0xc7), heard(0x38));
    assert!(one.len() > 25 && one.iter().all(|answer| !answer.is_empty()));
    assert_eq!(one, other, "an answer depends on what its buffer held");
}

/// The time that a hang would take is told by the work done: allocations are counted.
#[test]
fn sec_p04_depth_and_a_million_elements_end_early_on_a_small_stack() {
    let on_small_stack = std::thread::Builder::new().stack_size(256 * 1024);
    let work = || {
        for Sample { name, decode, encodings } in types() {
            for bytes in &encodings {
                for at in 0..bytes.len() {
                    for endless in endless(&bytes[..at]) {
                        let mut result = None;
                        let used = allocation_counter::measure(|| {
                            result = Some(decode(&endless, usize::MAX));
                        });
                        assert!(result.is_some_and(|result| result.is_err()), "{name} at {at}");
                        assert!(used.count_total < 500, "{name}: {} steps", used.count_total);
                    }
                }
            }
        }
    };
    on_small_stack.spawn(work).expect("a thread").join().expect("no overflow and no panic");
}

/// A good beginning, then a hundred thousand containers in each other, or a million elements.
fn endless(start: &[u8]) -> [Vec<u8>; 2] {
    let nested = [start, &[1; 100_000]].concat();
    let many = [start, &[0xc0, 0x84, 0x3d], &[0; 1_000_000]].concat();
    [nested, many]
}

#[test]
fn sec_p04_a_list_of_a_million_is_refused_by_its_type() {
    let million = [&[0xc0, 0x84, 0x3d][..], &[0; 1_000_000]].concat();
    let refused = codec::decode::<List<u8, 512>>(&million, usize::MAX);
    assert_eq!(refused, Err(DecodeError::Malformed));
}

#[test]
fn sec_p04_an_update_of_too_many_operations_is_refused_by_host_and_engine() {
    let nop = [0, 1, 0];
    let body = nop.repeat(UPDATE_OPS_MAX + 1);
    assert!(read_ops(&body).is_err() && read_ops(&nop.repeat(1_000_000)).is_err());
    let (vendor, mut bench) = (vendor(), Bench::new(1));
    let place = vendor.first_place(bench.id());
    let refused = bench.apply(&vendor.update_of_bytes(&place, body));
    let Reply::UpdateRefused { failure, .. } = refused else { panic!("not refused") };
    assert_eq!(failure, ErrorCode::UpdateOp.with(UPDATE_OPS_MAX as u64, 0));
    assert!(bench.firm_records().is_empty());
}

/// How often this thread has begun to decode any body that only a proof makes readable.
fn bodies_decoded() -> u64 {
    decoded::<UpdateOp>() + decoded::<RootBody>() + decoded::<DeviceBody>()
}

#[test]
fn sec_p05_no_body_is_decoded_before_its_proof_holds() {
    let (vendor, mut bench, mut dice) = (vendor(), Bench::new(1), Dice::new(2));
    let first = vendor.update(&vendor.first_place(bench.id()), &samples::ops()[..2]);
    assert!(matches!(bench.apply(&first), Reply::Receipt(_)));
    let next = vendor.update(&first.after(), &samples::ops()[..2]);
    assert!(!matches!(bench.apply(&damaged(&next, 0)), Reply::Receipt(_)));
    let before = bodies_decoded();
    for _ in 0..10_000 {
        let at = dice.below(144 + 2 + 70);
        let head = next.head();
        let mut forged = head.clone();
        forged[at.min(head.len() - 1)] ^= 1 << dice.below(8);
        let answer = apply_bytes(&mut bench, &[], &forged, &next.body);
        assert!(!matches!(answer, Reply::Receipt(_)), "a forged update is applied");
    }
    assert_eq!(bodies_decoded(), before, "a body was decoded before its proof held");
    assert!(matches!(bench.apply(&next), Reply::Receipt(_)));
    assert!(bodies_decoded() > before, "the counter counts nothing");
}

/// A body under a header whose proof holds, but not the body that was signed.
#[test]
fn sec_p05_no_operation_is_decoded_before_the_hash_of_the_body_holds() {
    let (vendor, mut bench) = (vendor(), Bench::new(1));
    let update = vendor.update(&vendor.first_place(bench.id()), &samples::ops()[..2]);
    let before = decoded::<UpdateOp>();
    for body in flipped_bits(&update.body) {
        let answer = apply_bytes(&mut bench, &update.root, &update.head(), &body);
        let Reply::UpdateRefused { failure, .. } = answer else { panic!("not refused") };
        assert_eq!(failure.known(), Some(ErrorCode::UpdateBody));
    }
    assert_eq!(decoded::<UpdateOp>(), before, "an operation was decoded too early");
}

#[test]
fn sec_p05_no_certificate_is_decoded_before_its_proof_holds() {
    let maker = test_root::root().expect("the test root");
    let keys = strongroom_tests::bench::new_keys(1);
    let certificate = engine::platform::Keys::certificate(&*keys);
    let (object, _) = UnverifiedObject::read(certificate, 1024).expect("a certificate");
    let body_at = certificate.len() - object.header().body_len as usize;
    let (before, mut judged) = (decoded::<DeviceBody>(), 0);
    for head in flipped_bits(&certificate[..body_at]) {
        let forged = [&head, &certificate[body_at..]].concat();
        let Ok((object, _)) = UnverifiedObject::read(&forged, 1024) else { continue };
        assert!(Device::verify(&object, &maker).is_err(), "a forged certificate is accepted");
        judged += 1;
    }
    assert!(judged > 1000, "only {judged} forgeries could be read");
    assert_eq!(decoded::<DeviceBody>(), before, "a body was decoded before its proof held");
    assert!(Device::verify(&object, &maker).is_ok() && decoded::<DeviceBody>() > before);
}

fn damaged(update: &Update, bit: usize) -> Update {
    let mut damaged = update.clone();
    damaged.header.issued_s ^= 1 << bit;
    damaged
}

fn apply_bytes(bench: &mut Bench, root: &[u8], head: &[u8], body: &[u8]) -> Reply {
    let mut answer = Reply::Done;
    for command in commands(root, head, body) {
        answer = bench.command(command);
        if !matches!(answer, Reply::Done) {
            break;
        }
    }
    answer
}

#[test]
fn sec_p06_nothing_but_the_one_encoding_is_accepted() {
    for Sample { name, decode, encodings } in types() {
        for bytes in &encodings {
            assert_eq!(decode(bytes, usize::MAX).as_ref(), Ok(bytes), "{name}");
            for more in [&[0][..], &[1], &[0xff], &[0, 0]] {
                let longer = [bytes, more].concat();
                assert_eq!(decode(&longer, usize::MAX), Err(DecodeError::Trailing), "{name}");
            }
            for long in long_varints(bytes) {
                let taken = decode(&long, usize::MAX);
                assert!(taken.is_err() || taken.as_ref() == Ok(&long), "{name}: two encodings");
                assert_ne!(taken.as_ref(), Ok(bytes), "{name}: two encodings");
            }
        }
    }
}

/// Lists in which order counts: options of an item, roles of a root.
#[test]
fn sec_p06_another_order_is_refused() {
    let mut item = samples::item();
    let mut options = item.options.into_vec();
    options.swap(0, 1);
    item.options = List::new(options).expect("as many as before");
    assert!(write_ops(&[UpdateOp::SetItem(item.clone())]).is_err());
    let op = codec::encode(&UpdateOp::SetItem(item));
    let body = [&(op.len() as u16).to_be_bytes()[..], &op].concat();
    assert!(read_ops(&body).is_err());
    let (vendor, mut bench) = (vendor(), Bench::new(1));
    let update = vendor.update_of_bytes(&vendor.first_place(bench.id()), body);
    let Reply::UpdateRefused { failure, .. } = bench.apply(&update) else { panic!("accepted") };
    assert_eq!(failure, ErrorCode::UpdateOp.failure());
}

/// Objects and files with something behind them.
#[test]
fn sec_p06_leftovers_behind_an_object_are_refused() {
    let (vendor, mut bench) = (vendor(), Bench::new(1));
    let update = vendor.update(&vendor.first_place(bench.id()), &[UpdateOp::Nop]);
    let (root, head) = (vendor.root_object.clone(), update.head());
    let longer = |bytes: &[u8]| [bytes, &[0]].concat();
    for (root, head) in [(&longer(&root), &head), (&root, &longer(&head))] {
        let answer = apply_bytes(&mut bench, root, head, &update.body);
        assert!(matches!(answer, Reply::UpdateRefused { .. }), "leftovers are accepted");
    }
    let written = file::write(FileKind::Root, &[&longer(&root)]);
    let objects = file::expect(&written, FileKind::Root).expect("our own file");
    let (_, rest) = file::next_object(objects, 4096).expect("our own root");
    assert!(file::finish(rest).is_err());
    assert!(matches!(bench.apply(&update), Reply::Receipt(_)));
}

/// The proof is not signed, so only the codec keeps it from having two forms.
#[test]
fn sec_p06_a_proof_has_one_form() {
    let update = vendor().update(&vendor().first_place(Bench::new(1).id()), &[UpdateOp::Nop]);
    let good = write_object(&update.header, &update.proof, &[]);
    let proof = &good[146..];
    for long in long_varints(proof) {
        let len = (long.len() as u16).to_be_bytes();
        let other = [&good[..144], &len, &long].concat();
        if let Ok((object, _)) = UnverifiedObject::read(&[&other[..], &update.body].concat(), 4096)
        {
            assert_ne!(object.proof(), &update.proof, "a proof has two forms");
        }
    }
}

#[test]
fn commands_of_the_samples_are_all_there_are() {
    let seat = |command: &Command| matches!(command, Command::Seat(_));
    let commands = samples::commands();
    assert_eq!(commands.iter().filter(|command| seat(command)).count(), 9);
    // Numbers on the wire rise from 0 without a gap, and the next one is not known.
    let mut numbers: Vec<u8> = commands.iter().map(|command| codec::encode(command)[0]).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert!(numbers.iter().enumerate().all(|(at, number)| at == usize::from(*number)));
    let next = [&[numbers.len() as u8][..], &[0; 80]].concat();
    assert!((0..80).all(|len| codec::decode::<Command>(&next[..len], 4096).is_err()));
    let open = SeatCommand::Open {
        op: OpId::default(),
        requirement: vendor().requirement(ProductCode(1)),
        artifact: ArtifactId::default(),
    };
    assert!(seat(&Command::Seat(open)));
}
