//! Artifacts come back through their slots; altered, cut, mixed or weakened ones do not (row K06).

mod common;

use std::io::{self, Read};

use common::vendor::{ISSUED_S, Vendor, file_content, plaintext, program_options};
use content::{CHUNK_LEN, HEADER_LEN, SEALED_CHUNK_LEN};
use protocol::codec::{self, List};
use protocol::crypto::RandomFailed;
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{ArtifactId, Generation, ProductCode, RootFp};
use protocol::objects::artifact::{ArtifactBody, ArtifactKind, unwrap_content_key};
use protocol::objects::file::{FileKind, PREFIX_LEN, prefix};
use protocol::objects::license::{AccessMode, Requirement};
use protocol::objects::root::Mode;
use protocol::signed::{Header, Kind, sign_batch, write_object};
use strongroom_protector::artifact::{
    ARTIFACT_HEAD_LEN_MAX, ArtifactError, ArtifactHead, ArtifactWriteError, Content, Signer,
    open_content, read_artifact_head, write_artifact,
};

fn read(bytes: &[u8]) -> Result<ArtifactHead, ArtifactError> {
    read_artifact_head(&bytes)
}

fn open(vendor: &Vendor, bytes: &[u8], slot: usize) -> Result<Vec<u8>, ArtifactError> {
    let head = read(bytes)?;
    let key = vendor.part_key(&head, slot).expect("the slot is the vendor's");
    let content = open_content(&head, &key, bytes)?;
    let mut plain = vec![0; content.plaintext_len() as usize];
    content.read_at(0, &mut plain)?;
    Ok(plain)
}

fn failure<T>(result: Result<T, ArtifactError>) -> Option<Failure> {
    result.err().and_then(|error| error.failure())
}

fn code<T>(result: Result<T, ArtifactError>) -> Option<ErrorCode> {
    failure(result).and_then(|failure| failure.known())
}

#[test]
fn content_of_any_length_comes_back_through_its_slot() {
    let vendor = Vendor::new(1);
    for len in [0, 1, CHUNK_LEN - 1, CHUNK_LEN, 2 * CHUNK_LEN + 77] {
        let plain = plaintext(len);
        let (written, bytes) = vendor.artifact(&plain, 1);
        assert_eq!(read(&bytes).unwrap(), written);
        assert_eq!(written.artifact_len(), bytes.len() as u64);
        assert_eq!(open(&vendor, &bytes, 0).unwrap(), plain);
    }
}

#[test]
fn the_head_says_who_made_what() {
    let vendor = Vendor::new(1);
    let (head, _) = vendor.artifact(b"content", 1);
    assert_eq!(head.root_fp(), vendor.root_fp());
    assert_eq!((head.body.kind, head.body.mode), (ArtifactKind::File, Mode::Test));
    assert_eq!((&*head.body.firm_name, &*head.body.name), ("Example Ltd", "planets.db"));
    assert_eq!((head.body.content_len, head.body.parts), (7, 1));
    assert_eq!((head.header.issued_s, head.context), (ISSUED_S, head.header.hash()));
    let content = Content { program: Some(program_options()), ..file_content(&b"content"[..], 7) };
    let protection = vendor.protection(vec![vendor.slot(vendor.requirement())]);
    let program = vendor.write(&protection, content, 1, &mut Vec::new()).unwrap();
    assert_eq!(program.body.kind, ArtifactKind::Program);
    assert_eq!(program.body.program, Some(program_options()));
}

/// A new key for protecting comes with the root that names it, and with no other.
#[test]
fn an_artifact_brings_the_roots_that_lead_to_its_key() {
    let (vendor, [first, second]) = Vendor::rotated(1);
    let plain = plaintext(1000);
    let (head, bytes) = vendor.artifact(&plain, 1);
    assert_eq!((head.root.version, head.root_fp()), (2, Vendor::new(1).root_fp()));
    assert_eq!(open(&vendor, &bytes, 0).unwrap(), plain);
    let rest = &bytes[PREFIX_LEN + first.len() + second.len()..];
    let start = &bytes[..PREFIX_LEN];
    let without = [start, &first, rest].concat();
    assert!(matches!(read(&without), Err(ArtifactError::Header(_))), "the first root's key");
    let skipped = [start, &second, rest].concat();
    assert!(matches!(read(&skipped), Err(ArtifactError::Root(_))), "no first root");
    let (_, [_, others]) = Vendor::rotated(2);
    let mixed = [start, &first, &others, rest].concat();
    assert!(matches!(read(&mixed), Err(ArtifactError::Root(_))), "the root of another vendor");
}

#[test]
fn each_of_sixteen_slots_opens_it_and_no_more_fit() {
    let vendor = Vendor::new(1);
    let slots = |count: u32| {
        let slot =
            |code| vendor.slot(Requirement { product: ProductCode(code), ..vendor.requirement() });
        (0..count).map(slot).collect::<Vec<_>>()
    };
    let plain = plaintext(1000);
    let write = |count| {
        let mut out = Vec::new();
        let content = file_content(&plain[..], plain.len());
        vendor.write(&vendor.protection(slots(count)), content, 1, &mut out).map(|_| out)
    };
    let bytes = write(16).unwrap();
    for slot in 0..16 {
        assert_eq!(open(&vendor, &bytes, slot).unwrap(), plain);
    }
    let head = read(&bytes).unwrap();
    let mut salts: Vec<_> = head.body.slots.iter().map(|slot| slot.wrapped.salt).collect();
    salts.sort();
    salts.dedup();
    assert_eq!(salts.len(), 16, "a salt of its own for each slot");
    for count in [0, 17] {
        let refused = write(count).unwrap_err();
        assert!(matches!(refused, ArtifactWriteError::Slots(n) if n == count as usize));
    }
}

#[test]
fn nothing_is_the_same_in_two_artifacts_of_one_content() {
    let vendor = Vendor::new(1);
    let (a, a_bytes) = vendor.artifact(b"content", 1);
    let (b, b_bytes) = vendor.artifact(b"content", 2);
    assert_ne!(a.artifact_id, b.artifact_id);
    assert_ne!(a.body.slots[0].wrapped.salt, b.body.slots[0].wrapped.salt);
    let sealed = |head: &ArtifactHead, bytes: &[u8]| bytes[head.content_offset as usize..].to_vec();
    let (a, b) = (sealed(&a, &a_bytes), sealed(&b, &b_bytes));
    assert_ne!(a[..HEADER_LEN], b[..HEADER_LEN]);
    assert_ne!(a[HEADER_LEN..], b[HEADER_LEN..]);
}

#[test]
fn sec_k06_a_weaker_requirement_gives_another_key() {
    let vendor = Vendor::new(1);
    let (head, _) = vendor.artifact(b"content", 1);
    let slot = &head.body.slots[0];
    let right = slot.requirement;
    let changed = [
        Requirement { root_fp: Vendor::new(2).root_fp(), ..right },
        Requirement { product: ProductCode(8), ..right },
        Requirement { features: 0, ..right },
        Requirement { features: 0b100, ..right },
        Requirement { units: 0, ..right },
        Requirement { release_s: 0, ..right },
        Requirement { access: AccessMode::NoUserLimit, ..right },
        Requirement { access: AccessMode::StationShare, ..right },
        Requirement { certified_age_s: 0, ..right },
        Requirement { generation: Generation(0), ..right },
    ];
    // The item key itself is the right one: whoever asks a container names the requirement only.
    let key = vendor.item_key(&right);
    for weaker in changed {
        let unwrapped = unwrap_content_key(&key, head.artifact_id, &weaker, &slot.wrapped);
        assert!(unwrapped.is_none(), "{weaker:?}");
    }
    let other = ArtifactId::new([9; 16]);
    assert!(unwrap_content_key(&key, other, &right, &slot.wrapped).is_none());
    let mut salted = slot.wrapped;
    salted.salt.0[0] ^= 1;
    assert!(unwrap_content_key(&key, head.artifact_id, &right, &salted).is_none());
    assert!(unwrap_content_key(&key, head.artifact_id, &right, &slot.wrapped).is_some());
}

#[test]
fn sec_k06_any_changed_byte_before_the_content_is_refused() {
    let vendor = Vendor::new(1);
    // Longer than any head, so that a damaged length is not taken for a cut file.
    let (head, bytes) = vendor.artifact(&plaintext(2 * ARTIFACT_HEAD_LEN_MAX), 1);
    let second_object = PREFIX_LEN + vendor.firm.object().len();
    for place in 0..head.content_offset as usize {
        for flip in [0x01, 0x80] {
            let mut changed = bytes.clone();
            changed[place] ^= flip;
            let expected = match place {
                0..8 => ErrorCode::NotStrongroom,
                8 if flip == 0x01 => ErrorCode::OtherFileKind,
                8 | 9 | PREFIX_LEN => ErrorCode::NewerVersion,
                place if place == second_object => ErrorCode::NewerVersion,
                _ => ErrorCode::ArtifactBroken,
            };
            assert_eq!(code(read(&changed)), Some(expected), "byte {place} ^ {flip:#x}");
        }
    }
}

#[test]
fn sec_k06_any_changed_byte_of_the_content_is_refused() {
    let vendor = Vendor::new(1);
    let (head, bytes) = vendor.artifact(&plaintext(CHUNK_LEN + 20), 1);
    let start = head.content_offset as usize;
    let chunk = start + HEADER_LEN;
    let mut places: Vec<usize> = (start..chunk).collect();
    places.extend([chunk, chunk + 9000, chunk + SEALED_CHUNK_LEN - 1]);
    places.extend(chunk + SEALED_CHUNK_LEN..bytes.len());
    for place in places {
        let mut changed = bytes.clone();
        changed[place] ^= 0x01;
        let opened = open(&vendor, &changed, 0);
        assert_eq!(code(opened), Some(ErrorCode::ContentBroken), "byte {place}");
    }
}

#[test]
fn sec_k06_a_cut_anywhere_is_named_as_one() {
    let vendor = Vendor::new(1);
    let (head, bytes) = vendor.artifact(&plaintext(CHUNK_LEN + 20), 1);
    let start = head.content_offset as usize;
    assert_eq!(code(read(b"")), Some(ErrorCode::NotStrongroom));
    for cut in (1..start).chain(start..start + HEADER_LEN + 40).chain(bytes.len() - 40..bytes.len())
    {
        let found = failure(read(&bytes[..cut])).unwrap();
        assert_eq!(found.known(), Some(ErrorCode::CutShort), "cut at {cut}");
        let missing = (bytes.len() - cut) as u64;
        assert!((1..=missing).contains(&found.a), "cut at {cut}: {} missing", found.a);
        assert!(cut < start || found.a == missing, "cut at {cut}: {} missing", found.a);
    }
    let longer = [&bytes[..], b"x"].concat();
    let error = read(&longer).unwrap_err();
    assert!(matches!(error, ArtifactError::ContentLong { extra_bytes: 1 }));
    assert_eq!(code::<()>(Err(error)), Some(ErrorCode::ContentBroken));
    let key = vendor.part_key(&head, 0).unwrap();
    for other in [&bytes[..bytes.len() - 1], &longer] {
        assert!(open_content(&head, &key, other).is_err(), "the source changed after the head");
    }
}

#[test]
fn sec_k06_parts_of_two_artifacts_do_not_mix() {
    let vendor = Vendor::new(1);
    let plain = plaintext(2 * CHUNK_LEN + 20);
    let (head, ours) = vendor.artifact(&plain, 1);
    let (theirs_head, theirs) = vendor.artifact(&plain, 2);
    assert_eq!(head.content_offset, theirs_head.content_offset);
    let start = head.content_offset as usize;
    let chunk = |index: usize| {
        let from = start + HEADER_LEN + index * SEALED_CHUNK_LEN;
        from..ours.len().min(from + SEALED_CHUNK_LEN)
    };
    for region in [chunk(0), chunk(1), chunk(2), start..start + HEADER_LEN, start..ours.len()] {
        let mut mixed = ours.clone();
        mixed[region.clone()].copy_from_slice(&theirs[region.clone()]);
        assert_eq!(code(open(&vendor, &mixed, 0)), Some(ErrorCode::ContentBroken), "{region:?}");
    }
}

#[test]
fn sec_k06_a_header_counts_under_its_own_root_only() {
    let (ours, theirs) = (Vendor::new(1), Vendor::new(2));
    let (_, bytes) = ours.artifact(b"content", 1);
    let rest = &bytes[PREFIX_LEN + ours.firm.object().len()..];
    let spliced = [&prefix(FileKind::Artifact)[..], theirs.firm.object(), rest].concat();
    assert_eq!(code(read(&spliced)), Some(ErrorCode::ArtifactBroken));

    let write = |key| {
        let protection = ours.protection(vec![ours.slot(ours.requirement())]);
        let mut random = common::vendor::chance(1);
        let mut signer = Signer { key, random: &mut random };
        let mut out = Vec::new();
        let content = file_content(&b"content"[..], 7);
        let result = write_artifact(&protection, &mut signer, content, &mut out, &mut |_, _| ());
        (result, out)
    };
    for key in [&ours.licensing, &theirs.protect] {
        let (result, out) = write(key);
        assert!(matches!(result, Err(ArtifactWriteError::Unreadable(ArtifactError::Header(_)))));
        assert!(out.is_empty(), "nothing is written for nobody to read");
    }
}

/// Prefix, root and a header signed by the right key over any body.
fn signed(vendor: &Vendor, body: &[u8], change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut header = Header {
        root_fp: vendor.root_fp(),
        target: [1; 16],
        issued_s: ISSUED_S,
        ..Header::new(Kind::Artifact, body)
    };
    change(&mut header);
    let mut headers = [header];
    let proofs = sign_batch(&mut headers, &vendor.protect, &[3; 32]).unwrap();
    let object = write_object(&headers[0], &proofs[0], body);
    [&prefix(FileKind::Artifact)[..], vendor.firm.object(), &object].concat()
}

#[test]
fn a_signed_header_that_contradicts_itself_is_refused() {
    let vendor = Vendor::new(1);
    let body = vendor.artifact(b"", 1).0.body;
    let mut foreign = body.slots.to_vec();
    foreign[0].requirement.root_fp = RootFp::new([5; 16]);
    let bodies = [
        ArtifactBody { mode: Mode::Live, ..body.clone() },
        ArtifactBody { slots: List::default(), ..body.clone() },
        ArtifactBody { slots: List::new(foreign).unwrap(), ..body.clone() },
        ArtifactBody { kind: ArtifactKind::Program, ..body.clone() },
        ArtifactBody { program: Some(program_options()), ..body.clone() },
        ArtifactBody { parts: 0, ..body.clone() },
        ArtifactBody { content_len: u64::MAX, ..body.clone() },
    ];
    let refused = |bytes: &[u8]| {
        let error = read(bytes).unwrap_err();
        assert!(matches!(error, ArtifactError::Contents(_)), "{error}");
        assert_eq!(code::<()>(Err(error)), Some(ErrorCode::ArtifactBroken));
    };
    for contradiction in bodies {
        refused(&signed(&vendor, &codec::encode(&contradiction), |_| ()));
    }
    let sound = codec::encode(&body);
    let changes: [fn(&mut Header); 5] = [
        |header| header.seq = 1,
        |header| header.state[31] = 1,
        |header| header.until_s = 1,
        |header| header.log_index = 1,
        |header| header.root_fp = RootFp::new([5; 16]),
    ];
    for change in changes {
        refused(&signed(&vendor, &sound, change));
    }
    let cut = failure(read(&signed(&vendor, &sound, |_| ())));
    assert_eq!(cut, Some(ErrorCode::CutShort.with(72, 0)), "all but the content is sound");
}

#[test]
fn a_signed_body_of_unknown_form_is_from_a_newer_version() {
    let vendor = Vendor::new(1);
    let sound = codec::encode(&vendor.artifact(b"", 1).0.body);
    for body in [&[&sound[..], &[0]].concat()[..], &sound[1..], &[0xff; 40], b""] {
        let error = read(&signed(&vendor, body, |_| ())).unwrap_err();
        assert!(matches!(error, ArtifactError::Body(_)), "{error}");
        assert_eq!(code::<()>(Err(error)), Some(ErrorCode::NewerVersion));
    }
}

#[test]
fn a_source_that_breaks_or_ends_early_is_told_from_a_sink_that_does() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the medium"))
        }
    }
    let vendor = Vendor::new(1);
    let protection = || vendor.protection(vec![vendor.slot(vendor.requirement())]);
    let start = plaintext(20_000);
    let mut out = Vec::new();
    let content = file_content((&start[..]).chain(Broken), 30_000);
    let error = vendor.write(&protection(), content, 1, &mut out).unwrap_err();
    assert!(matches!(error, ArtifactWriteError::Read(e) if e.to_string() == "the medium"));

    let error = vendor.write(&protection(), file_content(&start[..], 20_001), 1, &mut out);
    let early = ArtifactWriteError::ContentLen { want_bytes: 20_001, got_bytes: 20_000 };
    assert_eq!(error.unwrap_err().to_string(), early.to_string());

    let mut random = common::vendor::chance(1);
    let mut signer = Signer { key: &vendor.protect, random: &mut random };
    let mut room = [0; 20_000];
    let content = file_content(&start[..], 20_000);
    let error = write_artifact(&protection(), &mut signer, content, &mut room[..], &mut |_, _| ());
    assert!(matches!(error, Err(ArtifactWriteError::Write(_))));
}

#[test]
fn without_random_bytes_nothing_is_made() {
    let vendor = Vendor::new(1);
    let protection = vendor.protection(vec![vendor.slot(vendor.requirement())]);
    // Artifact id, content key, salt of the slot, entropy of the signature, salt of the content.
    for good in 0..5 {
        let mut left = good;
        let mut random = |out: &mut [u8]| {
            left -= 1;
            out.fill(1);
            if left < 0 { Err(RandomFailed) } else { Ok(()) }
        };
        let mut signer = Signer { key: &vendor.protect, random: &mut random };
        let content = file_content(&b"content"[..], 7);
        let made = write_artifact(&protection, &mut signer, content, io::sink(), &mut |_, _| ());
        assert!(matches!(made, Err(ArtifactWriteError::Random)), "{good}");
    }
}

#[test]
fn progress_rises_to_the_whole() {
    let vendor = Vendor::new(1);
    let plain = plaintext(3 * CHUNK_LEN + 5);
    let protection = vendor.protection(vec![vendor.slot(vendor.requirement())]);
    let mut random = common::vendor::chance(1);
    let mut signer = Signer { key: &vendor.protect, random: &mut random };
    let mut told = Vec::new();
    let mut progress = |done, total| told.push((done, total));
    let content = file_content(&plain[..], plain.len());
    write_artifact(&protection, &mut signer, content, io::sink(), &mut progress).unwrap();
    let total = plain.len() as u64;
    assert_eq!(told.last(), Some(&(total, total)));
    assert!(told.is_sorted() && told.len() == 4);
}
