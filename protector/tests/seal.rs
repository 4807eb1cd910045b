//! Sealed programs run, the kernel maps their artifact, and failures leave nothing behind.

mod common;

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::{compile, names_in, open_directory};
use strongroom_protector::atomic::{Existing, WriteError};
use strongroom_protector::elf::{Refusal, Verdict, examine};
use strongroom_protector::seal::{FindError, SealError, find_artifact, seal};

/// Prints length, protection-independent sum and first bytes of the mapped artifact.
const PROBE: &str = r#"
#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/auxv.h>
extern const char __ehdr_start[];
static __thread int counter = 5;
int main(void) {
    const Elf64_Phdr *ph = (const void *)getauxval(AT_PHDR);
    for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++) {
        const unsigned char *at = (const void *)(__ehdr_start + ph[i].p_vaddr);
        if (ph[i].p_type != PT_LOAD || ph[i].p_flags != PF_R) continue;
        if (memcmp(at, "STRGROOM", 8) != 0) continue;
        unsigned long sum = 0;
        for (unsigned long k = 0; k < ph[i].p_filesz; k++) sum = sum * 31 + at[k];
        free(malloc(1 << 20));
        printf("%lu %lu %.16s %d\n", (unsigned long)ph[i].p_filesz, sum, at, counter);
        return 0;
    }
    return 1;
}
"#;

/// Held by each test: a child that another test forks while a program is written keeps it open
/// for writing until its own exec, and the kernel runs no such file.
fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

fn artifact(len: usize) -> Vec<u8> {
    let mut bytes = b"STRGROOM program".to_vec();
    bytes.extend((bytes.len()..len).map(|i| ((i * i) >> 3) as u8));
    bytes.truncate(len);
    bytes
}

fn expected_output(artifact: &[u8]) -> String {
    let sum =
        artifact.iter().fold(0_u64, |sum, b| sum.wrapping_mul(31).wrapping_add(u64::from(*b)));
    let text = String::from_utf8_lossy(&artifact[..16]);
    format!("{} {sum} {text} 5\n", artifact.len())
}

fn loader(directory: &Path) -> Vec<u8> {
    fs::read(compile(directory, "loader", PROBE, &["-static-pie"])).unwrap()
}

fn seal_bytes(
    loader: &[u8],
    destination: &Path,
    mode: u32,
    bytes: &[u8],
) -> Result<PathBuf, SealError> {
    let range = seal(loader, destination, mode, Existing::Keep, |out| out.write_all(bytes))?;
    assert_eq!(range.len_bytes, bytes.len() as u64);
    Ok(destination.to_owned())
}

#[test]
fn a_sealed_program_runs_and_finds_its_artifact() {
    let _alone = alone();
    let directory = open_directory();
    let loader = loader(directory.path());
    for len in [16, 4096, 4097, 5 << 20] {
        let bytes = artifact(len);
        let path = directory.path().join(format!("sealed-{len}"));
        seal_bytes(&loader, &path, 0o755, &bytes).unwrap();
        let output = Command::new(&path).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected_output(&bytes));
        assert!(output.status.success());

        let file = File::open(&path).unwrap();
        let range = find_artifact(&file).unwrap();
        assert_eq!(range.offset_bytes % 4096, 0);
        let mut found = vec![0; range.len_bytes as usize];
        file.read_exact_at(&mut found, range.offset_bytes).unwrap();
        assert!(found == bytes, "the artifact comes back");
        let verdict = examine(&path).unwrap().verdict;
        assert_eq!(verdict, Verdict::Refused(Refusal::AlreadyProtected));
    }
}

#[test]
fn only_one_program_header_of_the_loader_changes() {
    let _alone = alone();
    let directory = open_directory();
    let loader = loader(directory.path());
    let path = directory.path().join("sealed");
    seal_bytes(&loader, &path, 0o755, &artifact(100)).unwrap();
    let sealed = fs::read(&path).unwrap();
    let table = 64..64 + 56 * usize::from(loader[56]);
    assert_eq!(loader[..64], sealed[..64]);
    assert_eq!(loader[table.end..], sealed[table.end..loader.len()]);
    let entries = |bytes: &[u8]| -> Vec<Vec<u8>> {
        bytes[table.clone()].chunks(56).map(<[u8]>::to_vec).collect()
    };
    let (before, after) = (entries(&loader), entries(&sealed));
    let gone: Vec<_> = before.iter().filter(|e| !after.contains(e)).collect();
    let new: Vec<_> = after.iter().filter(|e| !before.contains(e)).collect();
    assert_eq!((gone.len(), new.len()), (1, 1));
    assert_eq!((gone[0][0], new[0][0], new[0][4]), (4, 1, 4), "a note became PT_LOAD, read only");
    let addresses: Vec<u64> = after
        .iter()
        .filter(|e| e[0] == 1)
        .map(|e| u64::from_le_bytes(e[16..24].try_into().unwrap()))
        .collect();
    assert!(addresses.is_sorted());
}

#[test]
fn an_execute_only_file_runs_for_another_user() {
    let _alone = alone();
    let directory = open_directory();
    let bytes = artifact(100_000);
    let path = directory.path().join("sealed");
    seal_bytes(&loader(directory.path()), &path, 0o6711, &bytes).unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o711, "set-id bits are dropped");
    let output = Command::new(&path).uid(65534).gid(65534).output().expect("run as root");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected_output(&bytes));
}

#[test]
fn an_existing_file_stays_unless_asked() {
    let _alone = alone();
    let directory = open_directory();
    let loader = loader(directory.path());
    let path = directory.path().join("taken");
    fs::write(&path, "mine").unwrap();
    let before = names_in(directory.path());
    let refused = seal_bytes(&loader, &path, 0o755, &artifact(100));
    assert!(matches!(refused, Err(SealError::Write(WriteError::Exists { .. }))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    assert_eq!(names_in(directory.path()), before);
    seal(&loader, &path, 0o755, Existing::Replace, |out| out.write_all(&artifact(100))).unwrap();
    assert!(find_artifact(&File::open(&path).unwrap()).is_ok());
    assert_eq!(names_in(directory.path()), before);
}

#[test]
fn what_cannot_be_sealed_leaves_nothing() {
    let _alone = alone();
    let directory = open_directory();
    let loader = loader(directory.path());
    let path = directory.path().join("sealed");
    let dynamic = fs::read(compile(directory.path(), "dynamic", PROBE, &[])).unwrap();
    let fixed = fs::read(compile(directory.path(), "fixed", PROBE, &["-static"])).unwrap();
    let mut no_note = loader.clone();
    for entry in no_note[64..64 + 56 * usize::from(loader[56])].chunks_mut(56) {
        if entry[0] == 4 {
            entry[0] = 0;
        }
    }
    let before = names_in(directory.path());
    for bad in [&dynamic[..], &fixed, &no_note, b"", b"\x7fELF", &[0; 5000]] {
        let refused = seal_bytes(bad, &path, 0o755, &artifact(100));
        assert!(matches!(refused, Err(SealError::Loader(_))));
    }
    for bad in [&b""[..], b"STRGROO", b"strgroom artifact"] {
        assert!(matches!(seal_bytes(&loader, &path, 0o755, bad), Err(SealError::Magic)));
    }
    let breaks = |out: &mut dyn Write| {
        out.write_all(&artifact(1000))?;
        Err(io::Error::other("the program could not be read"))
    };
    let refused = seal(&loader, &path, 0o755, Existing::Keep, breaks);
    assert!(matches!(refused, Err(SealError::Artifact(_))));
    assert_eq!(names_in(directory.path()), before);
}

#[test]
fn no_artifact_is_found_where_none_is() {
    let _alone = alone();
    let directory = open_directory();
    let loader = loader(directory.path());
    let path = directory.path().join("file");
    let found = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        find_artifact(&File::open(&path).unwrap())
    };
    for bytes in [&loader[..], b"", b"STRGROOM", &[0; 100]] {
        assert!(matches!(found(bytes), Err(FindError::NotProtected)));
    }
    let sealed = directory.path().join("sealed");
    seal_bytes(&loader, &sealed, 0o755, &artifact(9000)).unwrap();
    let sealed = fs::read(sealed).unwrap();
    let start = sealed.len() - 9000;
    for len in [start, start + 4, start + 8, sealed.len() - 1] {
        let missing = (sealed.len() - len) as u64;
        let cut =
            |e| matches!(e, FindError::CutShort { missing_bytes } if missing_bytes == missing);
        assert!(found(&sealed[..len]).is_err_and(cut), "{len}");
    }
    assert_eq!(found(&sealed).unwrap().offset_bytes, start as u64);
}
