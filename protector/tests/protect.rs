//! Files and programs are protected whole or not at all, and verified as far as can be.

mod common;

use std::fs::{self, File, FileTimes};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use common::vendor::{Vendor, chance, plaintext, program_options};
use common::{SmallDisk, as_nobody, compile, names_in, open_directory};
use content::{CHUNK_LEN, HEADER_LEN, SEALED_CHUNK_LEN};
use protocol::errors::ErrorCode;
use protocol::objects::artifact::ArtifactKind;
use strongroom_protector::artifact::{Signer, SlotSpec};
use strongroom_protector::atomic::{Existing, WriteError};
use strongroom_protector::elf::{Concern, Refusal};
use strongroom_protector::protect::{
    Paths, ProgramSettings, ProtectError, Protected, protect_file, protect_program,
};
use strongroom_protector::seal::SealError;
use strongroom_protector::verify::{ContentCheck, ProtectedFile, VerifyError, verify};

const TRIVIAL: &str = "int main(void) { return 7; }";
const FORKING: &str = "#include <unistd.h>\nint main(void) { return fork() == 0; }";

fn quiet(_: u64, _: u64) {}

fn slots(vendor: &Vendor) -> Vec<SlotSpec> {
    vec![vendor.slot(vendor.requirement())]
}

fn file_with(
    vendor: &Vendor,
    input: &Path,
    output: &Path,
    existing: Existing,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Protected, ProtectError> {
    let mut random = chance(1);
    let mut signer = Signer { key: &vendor.protect, random: &mut random };
    let protection = vendor.protection(slots(vendor));
    protect_file(Paths { input, output, existing }, &protection, &mut signer, progress)
}

fn file(vendor: &Vendor, input: &Path, output: &Path) -> Result<Protected, ProtectError> {
    file_with(vendor, input, output, Existing::Keep, &mut quiet)
}

fn program_with(
    vendor: &Vendor,
    loader: &[u8],
    input: &Path,
    output: &Path,
    accepted: &[String],
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Protected, ProtectError> {
    let mut random = chance(1);
    let mut signer = Signer { key: &vendor.protect, random: &mut random };
    let settings = ProgramSettings { loader, accepted, options: program_options() };
    let paths = Paths { input, output, existing: Existing::Keep };
    let protection = vendor.protection(slots(vendor));
    protect_program(paths, &settings, &protection, &mut signer, progress)
}

/// The content of a protected file, with the key that its license would release.
fn content(vendor: &Vendor, path: &Path) -> Vec<u8> {
    let file = ProtectedFile::open(path).unwrap();
    let key = vendor.part_key(file.head(), 0).unwrap();
    let content = file.into_content(&key).unwrap();
    let mut plain = vec![0; content.plaintext_len() as usize];
    assert_eq!(content.read_at(0, &mut plain).unwrap(), plain.len());
    plain
}

fn written(directory: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn write_kind(error: &ProtectError) -> Option<ErrorKind> {
    match error {
        ProtectError::Write(WriteError::Io { source, .. }) => Some(source.kind()),
        _ => None,
    }
}

#[test]
fn a_file_comes_back_with_its_mode() {
    let directory = open_directory();
    let vendor = Vendor::new(1);
    for len in [0, 1, 3 * CHUNK_LEN + 100] {
        let plain = plaintext(len);
        let input = written(directory.path(), &format!("in-{len}"), &plain);
        fs::set_permissions(&input, fs::Permissions::from_mode(0o4640)).unwrap();
        let output = directory.path().join(format!("out-{len}"));
        let made = file(&vendor, &input, &output).unwrap();
        assert_eq!(made.head.body.kind, ArtifactKind::File);
        assert_eq!(content(&vendor, &output), plain);
        assert_eq!(fs::metadata(&output).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(fs::read(&input).unwrap(), plain);
    }
}

#[test]
fn verifying_says_what_was_checked() {
    let directory = open_directory();
    let vendor = Vendor::new(1);
    let input = written(directory.path(), "in", &plaintext(CHUNK_LEN + 100));
    let output = directory.path().join("out");
    let made = file(&vendor, &input, &output).unwrap();
    let key = vendor.part_key(&made.head, 0).unwrap();
    let check = |key: Option<&[u8; 32]>| {
        verify(&output, Some(vendor.root_fp()), key, &mut quiet).map(|report| {
            assert_eq!((report.chunks, report.range.offset_bytes), (2, 0));
            assert_eq!(report.head, made.head);
            report.content
        })
    };
    assert_eq!(check(None).unwrap(), ContentCheck::LengthOnly);
    assert_eq!(check(Some(&key)).unwrap(), ContentCheck::EveryChunk);

    let first_chunk = made.head.content_offset + HEADER_LEN as u64;
    for chunk in 0..2 {
        let sealed = fs::read(&output).unwrap();
        let place = first_chunk + chunk * SEALED_CHUNK_LEN as u64;
        let altered = File::options().write(true).open(&output).unwrap();
        altered.write_all_at(&[!sealed[place as usize]], place).unwrap();
        assert_eq!(check(None).unwrap(), ContentCheck::LengthOnly, "not seen without the key");
        let failure = check(Some(&key)).unwrap_err().failure().unwrap();
        assert_eq!(failure.known(), Some(ErrorCode::ContentBroken));
        fs::write(&output, sealed).unwrap();
    }
    let failure = check(Some(&[9; 32])).unwrap_err().failure().unwrap();
    assert_eq!(failure.known(), Some(ErrorCode::ContentBroken), "another key");
}

#[test]
fn verifying_refuses_what_is_not_meant() {
    let directory = open_directory();
    let (vendor, other) = (Vendor::new(1), Vendor::new(2));
    let input = written(directory.path(), "in", b"content");
    let output = directory.path().join("out");
    file(&vendor, &input, &output).unwrap();
    let sealed = fs::read(&output).unwrap();
    let foreign = verify(&output, Some(other.root_fp()), None, &mut quiet).unwrap_err();
    assert!(matches!(foreign, VerifyError::OtherFirm { .. }));
    assert_eq!(foreign.failure().unwrap().known(), Some(ErrorCode::ArtifactBroken));

    let code = |bytes: &[u8]| {
        let path = written(directory.path(), "other", bytes);
        verify(&path, None, None, &mut quiet).unwrap_err().failure().and_then(|f| f.known())
    };
    for other in [&b""[..], b"x", b"content", b"\x7fELF", b"\x7fELF and more of it"] {
        assert_eq!(code(other), Some(ErrorCode::NotStrongroom), "{other:?}");
    }
    for cut in [4, 9, 400, sealed.len() - 1] {
        assert_eq!(code(&sealed[..cut]), Some(ErrorCode::CutShort), "{cut}");
    }
    let mut newer = sealed.clone();
    newer[9] += 1;
    assert_eq!(code(&newer), Some(ErrorCode::NewerVersion));
    let missing = verify(&directory.path().join("none"), None, None, &mut quiet).unwrap_err();
    assert!(missing.failure().is_none(), "the system says that there is no such file");
}

#[test]
fn a_program_comes_back_from_behind_the_loader() {
    let directory = open_directory();
    let vendor = Vendor::new(1);
    let loader = compile(directory.path(), "loader", TRIVIAL, &["-static-pie"]);
    let loader = fs::read(loader).unwrap();
    let input = compile(directory.path(), "program", FORKING, &[]);
    fs::set_permissions(&input, fs::Permissions::from_mode(0o711)).unwrap();
    let output = directory.path().join("out");
    let made = program_with(&vendor, &loader, &input, &output, &[], &mut quiet).unwrap();

    let program = made.suitability.unwrap().program.unwrap();
    let original = fs::read(&input).unwrap();
    assert_eq!(content(&vendor, &output), original[..program.sealed_len_bytes as usize]);
    assert_eq!(made.head.body.kind, ArtifactKind::Program);
    assert_eq!(made.head.body.program, Some(program_options()));
    assert_eq!(fs::metadata(&output).unwrap().permissions().mode() & 0o7777, 0o711);

    let key = vendor.part_key(&made.head, 0).unwrap();
    let report = verify(&output, Some(vendor.root_fp()), Some(&key), &mut quiet).unwrap();
    assert_eq!(report.content, ContentCheck::EveryChunk);
    assert!(report.range.offset_bytes >= loader.len() as u64);
    assert_eq!(report.range.len_bytes, made.head.artifact_len());
    let sealed = fs::read(&output).unwrap();
    let cut = written(directory.path(), "cut", &sealed[..sealed.len() - 5]);
    let failure = verify(&cut, None, None, &mut quiet).unwrap_err().failure();
    assert_eq!(failure, Some(ErrorCode::CutShort.with(5, 0)));
}

#[test]
fn what_may_work_differently_needs_its_flag() {
    let directory = open_directory();
    let vendor = Vendor::new(1);
    let loader = compile(directory.path(), "loader", TRIVIAL, &["-static-pie"]);
    let loader = fs::read(loader).unwrap();
    let input = compile(directory.path(), "program", FORKING, &["-static"]);
    let output = directory.path().join("out");
    let before = names_in(directory.path());
    let protect =
        |accepted: &[String]| program_with(&vendor, &loader, &input, &output, accepted, &mut quiet);
    for wrong in [&[][..], &["reads-itself".to_owned()]] {
        let error = protect(wrong).unwrap_err();
        assert!(error.to_string().contains("accepted by unwatched-forks"), "{error}");
        assert_eq!(error.failure().unwrap().known(), Some(ErrorCode::Unsuitable));
        let ProtectError::Concerns(concerns) = error else { panic!("{error}") };
        assert!(matches!(&concerns[..], [Concern::UnwatchedForks(_)]));
    }
    assert_eq!(names_in(directory.path()), before);
    let made = protect(&["unwatched-forks".to_owned()]).unwrap();
    assert!(made.head.body.program.unwrap().accept_unwatched_forks, "the loader is told");
}

#[test]
fn what_cannot_be_protected_leaves_nothing() {
    let directory = open_directory();
    let vendor = Vendor::new(1);
    let loader = fs::read(compile(directory.path(), "loader", TRIVIAL, &["-static-pie"])).unwrap();
    let data = written(directory.path(), "data", b"some data");
    let pipe = directory.path().join("pipe");
    let status = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(status.success());
    let protected_data = directory.path().join("protected-data");
    file(&vendor, &data, &protected_data).unwrap();
    let source = compile(directory.path(), "program", TRIVIAL, &[]);
    let protected_program = directory.path().join("protected-program");
    program_with(&vendor, &loader, &source, &protected_program, &[], &mut quiet).unwrap();

    let output = directory.path().join("out");
    let before = names_in(directory.path());
    let as_program =
        |input: &Path| program_with(&vendor, &loader, input, &output, &[], &mut quiet).unwrap_err();
    let as_file = |input: &Path| file(&vendor, input, &output).unwrap_err();
    assert!(matches!(as_program(&data), ProtectError::Unsuitable(Refusal::NotElf)));
    let again = as_program(&protected_program);
    assert!(matches!(again, ProtectError::Unsuitable(Refusal::AlreadyProtected)));
    for again in [&protected_data, &protected_program] {
        assert!(matches!(as_file(again), ProtectError::AlreadyProtected { .. }));
    }
    for no_file in [directory.path(), &pipe] {
        assert!(matches!(as_program(no_file), ProtectError::NotAFile { .. }));
        assert!(matches!(as_file(no_file), ProtectError::NotAFile { .. }));
        assert!(verify(no_file, None, None, &mut quiet).is_err());
    }
    let missing = directory.path().join("missing");
    assert!(matches!(as_file(&missing), ProtectError::Read { .. }));
    let broken = program_with(&vendor, b"no loader", &source, &output, &[], &mut quiet);
    assert!(matches!(broken, Err(ProtectError::Seal(SealError::Loader(_)))));
    assert_eq!(names_in(directory.path()), before);
}

#[test]
fn an_existing_file_stays_unless_asked() {
    let directory = open_directory();
    let vendor = Vendor::new(1);
    let input = written(directory.path(), "in", b"content");
    let output = written(directory.path(), "out", b"mine");
    let kept = file(&vendor, &input, &output).unwrap_err();
    assert!(matches!(kept, ProtectError::Write(WriteError::Exists { .. })));
    assert_eq!(fs::read(&output).unwrap(), b"mine");
    file_with(&vendor, &input, &output, Existing::Replace, &mut quiet).unwrap();
    assert_eq!(content(&vendor, &output), b"content");
    file_with(&vendor, &input, &input, Existing::Replace, &mut quiet).unwrap();
    assert_eq!(content(&vendor, &input), b"content", "in its own place");
}

#[test]
fn an_original_that_changes_meanwhile_is_refused() {
    let directory = open_directory();
    let vendor = Vendor::new(1);
    let loader = fs::read(compile(directory.path(), "loader", TRIVIAL, &["-static-pie"])).unwrap();
    let program = compile(directory.path(), "program", TRIVIAL, &[]);
    let input = written(directory.path(), "in", &plaintext(3 * CHUNK_LEN));
    let output = directory.path().join("out");
    let before = names_in(directory.path());
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let changes: [fn(&File); 3] = [
        |file| file.set_len(CHUNK_LEN as u64 + 1).unwrap(),
        |file| file.set_len(1 << 20).unwrap(),
        |file| file.write_all_at(b"new", 0).unwrap(),
    ];
    for change in changes {
        for path in [&input, &program] {
            let bytes = fs::read(path).unwrap();
            let writer = File::options().write(true).open(path).unwrap();
            writer.set_times(FileTimes::new().set_modified(long_ago)).unwrap();
            let mut progress = |_, _| change(&writer);
            let result = match path == &input {
                true => file_with(&vendor, path, &output, Existing::Keep, &mut progress),
                false => program_with(&vendor, &loader, path, &output, &[], &mut progress),
            };
            assert!(matches!(result, Err(ProtectError::Changed { .. })), "{result:?}");
            assert_eq!(names_in(directory.path()), before);
            fs::write(path, bytes).unwrap();
        }
    }
}

#[test]
fn a_full_disk_keeps_what_was_there() {
    let directory = open_directory();
    let vendor = Vendor::new(1);
    let disk = SmallDisk::mount(directory.path().join("disk"));
    let loader = fs::read(compile(directory.path(), "loader", TRIVIAL, &["-static-pie"])).unwrap();
    let program = compile(directory.path(), "program", TRIVIAL, &[]);
    let large = written(directory.path(), "large", &plaintext(1 << 20));
    let old = written(disk.path(), "old", b"old");
    let error = file_with(&vendor, &large, &old, Existing::Replace, &mut quiet).unwrap_err();
    assert_eq!(write_kind(&error), Some(ErrorKind::StorageFull), "{error}");
    assert!(error.to_string().contains("nothing was changed"), "{error}");
    let new = disk.path().join("new");
    let error = program_with(&vendor, &loader, &program, &new, &[], &mut quiet).unwrap_err();
    assert_eq!(write_kind(&error), Some(ErrorKind::StorageFull), "{error}");
    assert_eq!(fs::read(&old).unwrap(), b"old");
    assert_eq!(names_in(disk.path()), ["old"]);
}

#[test]
fn without_permission_nothing_is_written() {
    let directory = open_directory();
    let vendor = Vendor::new(1);
    let input = written(directory.path(), "in", b"content");
    let secret = written(directory.path(), "secret", b"content");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let output = directory.path().join("out");
    let error = as_nobody(|| file(&vendor, &input, &output)).unwrap_err();
    assert_eq!(write_kind(&error), Some(ErrorKind::PermissionDenied), "{error}");
    let error = as_nobody(|| file(&vendor, &secret, &output)).unwrap_err();
    assert!(matches!(error, ProtectError::Read { .. }), "{error}");
    assert_eq!(names_in(directory.path()), ["in", "secret"]);
}

#[test]
fn a_file_that_is_cut_while_it_is_verified_is_found() {
    let directory = open_directory();
    let vendor = Vendor::new(1);
    let input = written(directory.path(), "in", &plaintext(100_000));
    let output = directory.path().join("out");
    let made = file(&vendor, &input, &output).unwrap();
    let cut_at = made.head.content_offset + 1000;
    let writer = File::options().write(true).open(&output).unwrap();
    let mut told = 0;
    let mut progress = |_, _| {
        told += 1;
        writer.set_len(cut_at).unwrap();
    };
    let key = vendor.part_key(&made.head, 0).unwrap();
    let error = verify(&output, None, Some(&key), &mut progress).unwrap_err();
    assert!(error.failure().is_some(), "{error}");
    assert_eq!(told, 1, "found at the next chunk");
}
