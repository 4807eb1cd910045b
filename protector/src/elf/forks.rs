//! Whether a program may fork without anyone watching the child.
//!
//! Dynamic programs on glibc get a hook that starts a watcher in each child. Static ones have no
//! place for it, so a child that does not call exec soon would run without its own seat.

use std::fmt;
use std::fs::File;

use super::raw::{PF_X, PT_LOAD, PT_NOTE, SHT_SYMTAB, Section, Segment, c_string, read_at};
use super::raw::{u16_at, u32_at};

const SYMBOL_LEN: usize = 24;
/// Larger symbol tables are not read; the instructions then decide.
const MAX_TABLE_LEN: u64 = 256 << 20;
const MAX_NOTE_LEN: u64 = 64 * 1024;
const NOTE_HEAD_LEN: usize = 12;
const FORK_NAMES: [&[u8]; 4] = [b"fork", b"__fork", b"__libc_fork", b"_Fork"];

const WINDOW_LEN: u64 = 1 << 20;
/// How far before `syscall` its number and flags are looked for: compilers set them just before.
const LOOK_BACK_LEN: usize = 48;
const SYSCALL: [u8; 2] = [0x0f, 0x05];
const SYS_CLONE: u32 = 56;
const SYS_FORK: u32 = 57;
const SIGCHLD: u32 = 17;
const CLONE_VM: u32 = 0x100;
const CLONE_VFORK: u32 = 0x4000;

/// What is known about the forks of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forks {
    /// Dynamic, on the C library whose fork can be hooked: children are watched.
    Watched,
    /// Dynamic, on another C library: whether children are watched is not known.
    OtherLibrary {
        /// Its interpreter.
        interpreter: String,
    },
    /// A Go program: it forks only to call exec at once.
    Go,
    /// Static; its symbol table names a fork function.
    Named {
        /// The function.
        function: String,
    },
    /// Static and without such a name, but an instruction sequence looks like a fork. A guess.
    Guessed {
        /// Address of the `syscall` instruction.
        address: u64,
    },
    /// Static, and neither name nor instructions of a fork were found. No proof.
    NoneFound,
}

impl fmt::Display for Forks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Watched => write!(f, "its forked children get a watcher of their own"),
            Self::OtherLibrary { interpreter } => {
                write!(f, "its C library ({interpreter}) is not one whose fork can be watched")
            }
            Self::Go => write!(f, "a Go program forks only to run another program"),
            Self::Named { function } => write!(f, "it is static and contains {function}()"),
            Self::Guessed { address } => write!(
                f,
                "it is static, and the instructions at {address:#x} look like a fork \
                 (a guess: it has no symbol that says so)"
            ),
            Self::NoneFound => write!(
                f,
                "no fork was found in this static program, by symbols and by common \
                 instruction sequences, which is no proof"
            ),
        }
    }
}

pub(super) fn in_dynamic(interpreter: Option<&str>) -> Forks {
    let interpreter = interpreter.unwrap_or_default();
    let name = interpreter.rsplit('/').next().unwrap_or_default();
    match name.starts_with("ld-linux") || name.starts_with("ld-2.") {
        true => Forks::Watched,
        false => Forks::OtherLibrary { interpreter: interpreter.to_owned() },
    }
}

pub(super) fn in_static(file: &File, segments: &[Segment], sections: Option<&[Section]>) -> Forks {
    if is_go(file, segments, sections) {
        return Forks::Go;
    }
    if let Some(function) = sections.and_then(|sections| fork_symbol(file, sections)) {
        return Forks::Named { function };
    }
    let code = segments.iter().filter(|s| s.kind == PT_LOAD && s.flags & PF_X != 0);
    match code.filter_map(|segment| fork_in_code(file, segment)).next() {
        Some(address) => Forks::Guessed { address },
        None => Forks::NoneFound,
    }
}

/// Go's linker leaves a section, and a note that also survives stripping of section headers.
fn is_go(file: &File, segments: &[Segment], sections: Option<&[Section]>) -> bool {
    if sections.is_some_and(|all| all.iter().any(|s| s.name == b".go.buildinfo")) {
        return true;
    }
    let notes = segments.iter().filter(|s| s.kind == PT_NOTE && s.file_len <= MAX_NOTE_LEN);
    notes
        .filter_map(|s| read_at(file, s.offset, s.file_len as usize).ok())
        .any(|notes| has_note(&notes, b"Go\0\0"))
}

/// Whether a run of notes (aligned to 4 bytes) has one by this owner.
fn has_note(mut notes: &[u8], owner: &[u8]) -> bool {
    while let Some((head, rest)) = notes.split_first_chunk::<NOTE_HEAD_LEN>() {
        let [owner_len, content_len] =
            [0, 4].map(|at| (u32_at(head, at) as usize).next_multiple_of(4));
        if rest.get(..owner_len) == Some(owner) {
            return true;
        }
        notes = rest.get(owner_len + content_len..).unwrap_or_default();
    }
    false
}

/// The name of a fork function that the program defines.
fn fork_symbol(file: &File, sections: &[Section]) -> Option<String> {
    let table = sections.iter().find(|s| s.kind == SHT_SYMTAB)?;
    let names = sections.get(table.link as usize)?;
    if table.len > MAX_TABLE_LEN || names.len > MAX_TABLE_LEN {
        return None;
    }
    let table = read_at(file, table.offset, table.len as usize).ok()?;
    let names = read_at(file, names.offset, names.len as usize).ok()?;
    table.chunks_exact(SYMBOL_LEN).filter_map(<[u8]>::first_chunk::<SYMBOL_LEN>).find_map(
        |symbol| {
            let is_defined = u16_at(symbol, 6) != 0;
            let name = c_string(&names, u32_at(symbol, 0) as usize);
            (is_defined && FORK_NAMES.contains(&name)).then(|| String::from_utf8_lossy(name).into())
        },
    )
}

/// The address of the first system call in a segment that looks like a fork.
fn fork_in_code(file: &File, segment: &Segment) -> Option<u64> {
    let mut start = 0;
    while start < segment.file_len {
        let len = WINDOW_LEN.min(segment.file_len - start);
        let window = read_at(file, segment.offset.checked_add(start)?, len as usize).ok()?;
        if let Some(at) = fork_in_window(&window) {
            return segment.vaddr.checked_add(start)?.checked_add(at as u64);
        }
        if len < WINDOW_LEN {
            break;
        }
        // Windows overlap, so that no sequence is lost at an edge.
        start += WINDOW_LEN - (LOOK_BACK_LEN + SYSCALL.len()) as u64;
    }
    None
}

fn fork_in_window(window: &[u8]) -> Option<usize> {
    window.windows(2).enumerate().filter(|(_, pair)| *pair == SYSCALL).map(|(at, _)| at).find(
        |at| {
            let before = &window[at.saturating_sub(LOOK_BACK_LEN)..*at];
            match last_operand(before, 0xb8) {
                Some(SYS_FORK) => true,
                Some(SYS_CLONE) => last_operand(before, 0xbf).is_some_and(is_fork_flags),
                _ => false,
            }
        },
    )
}

/// The operand of the last `mov $imm32` into eax (0xb8) or edi (0xbf) that is below 2^26: flags and
/// numbers are, and a chance byte in the middle of another instruction mostly gives more.
fn last_operand(code: &[u8], opcode: u8) -> Option<u32> {
    code.windows(5).rev().filter(|w| w[0] == opcode).find_map(|w| {
        let operand = u32::from_le_bytes([w[1], w[2], w[3], w[4]]);
        (operand < 1 << 26).then_some(operand)
    })
}

/// A child with its own memory that reports its end to the parent: a fork, not a thread or vfork.
fn is_fork_flags(flags: u32) -> bool {
    flags & 0xff == SIGCHLD && flags & (CLONE_VM | CLONE_VFORK) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET_NUMBER: [u8; 5] = [0xb8, 56, 0, 0, 0];

    #[test]
    fn fork_sequences_of_two_c_libraries() {
        let glibc = [&[0xbf, 0x11, 0, 0x20, 1, 0x90][..], &SET_NUMBER, &SYSCALL].concat();
        let musl = [&[0xb8, 57, 0, 0, 0][..], &SYSCALL].concat();
        assert_eq!(fork_in_window(&glibc), Some(11));
        assert_eq!(fork_in_window(&musl), Some(5));
    }

    #[test]
    fn threads_spawns_and_other_calls_are_not_forks() {
        let thread = [&[0xbf, 0, 0x0f, 0x3d, 0][..], &SET_NUMBER, &SYSCALL].concat();
        let spawn = [&[0xbf, 0x11, 0x41, 0, 0][..], &SET_NUMBER, &SYSCALL].concat();
        let vfork = [&[0xb8, 58, 0, 0, 0][..], &SYSCALL].concat();
        let unknown_flags = [&SET_NUMBER[..], &SYSCALL].concat();
        for code in [&thread, &spawn, &vfork, &unknown_flags, &SYSCALL.to_vec()] {
            assert_eq!(fork_in_window(code), None, "{code:x?}");
        }
    }
}
