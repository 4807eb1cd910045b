//! What can go wrong in the loader itself. Numbers are those of the error table, block `0x09`
//! (protected programs).

use super::refusal::Refusal;
use super::sys::Errno;

const ASK_VENDOR: &str = "ask the vendor for this program in another form";

/// The file carries no protected program.
pub fn no_payload() -> Refusal {
    Refusal::new(
        0x0901,
        "this file holds no protected program",
        "install it again; it was cut or never completed",
    )
}

/// The file ends before the protected program does.
pub fn cut_short() -> Refusal {
    Refusal::new(
        0x0107,
        "this protected program is cut short",
        "install it again; it was cut or never completed",
    )
}

/// The protected program is of a kind or version that this loader does not know.
pub fn unknown_payload(kind: u8, version: u8) -> Refusal {
    let hint = "install it again; if that does not help, tell the vendor";
    let mut made =
        Refusal::new(0x0103, "this program was protected in a way its loader does not know", hint);
    made.title.push(" (type ");
    made.title.push_number(u64::from(kind));
    made.title.push(", version ");
    made.title.push_number(u64::from(version));
    made.title.push(")");
    made
}

/// Set-user-id and the like.
pub fn raised_rights() -> Refusal {
    Refusal::new(
        0x0905,
        "a protected program does not run with raised rights (set-user-id, capabilities)",
        "remove such bits and capabilities from the file; start it as the user it needs",
    )
}

/// Somebody traces the process.
pub fn traced() -> Refusal {
    Refusal::new(
        0x0904,
        "a tracer is attached to this program",
        "start it without debugger, strace or the like",
    )
}

/// The process cannot find out about itself.
pub fn no_proc() -> Refusal {
    Refusal::new(0x0910, "/proc/self/status cannot be read", "mount /proc where this program runs")
}

/// The content is no program that can be mapped here.
pub fn bad_program(what: &str) -> Refusal {
    Refusal::new(0x0916, "the protected program cannot be mapped", ASK_VENDOR).detail(what)
}

/// The sealed program is not what the vendor sealed.
pub fn content_broken() -> Refusal {
    Refusal::new(
        0x0902,
        "the protected program was changed or damaged",
        "install it again from its source",
    )
}

/// An address the program must have is in use.
pub fn address_taken() -> Refusal {
    Refusal::new(0x0908, "the address that the program was linked for is in use", ASK_VENDOR)
}

/// No memory.
pub fn no_memory(errno: Errno) -> Refusal {
    Refusal::new(
        0x0906,
        "no memory for the program",
        "raise the limit of memory (ulimit -v, vm.overcommit_memory) or free some",
    )
    .errno(errno)
}

/// Memory may not become executable, not even a mapped memory file.
pub fn not_executable(errno: Errno) -> Refusal {
    Refusal::new(
        0x0907,
        "this system does not let memory become executable",
        "allow it: MemoryDenyWriteExecute in its unit, SELinux execmem, PaX MPROTECT",
    )
    .errno(errno)
}

/// The program's dynamic linker cannot be opened.
pub fn no_interpreter(path: &str) -> Refusal {
    Refusal::new(
        0x090a,
        "the dynamic linker of this program cannot be used",
        "install the C library the program was built for",
    )
    .detail(path)
}

/// The loader itself failed.
pub fn internal() -> Refusal {
    Refusal::new(
        0x0915,
        "the loader of this program failed",
        "tell the vendor what is written above this line",
    )
}

/// Nobody has answered for too long.
pub fn no_answer() -> Refusal {
    Refusal::new(
        0x0911,
        "the license was lost: its container no longer answers",
        "plug the dongle in or start the license service, then start the program again",
    )
}

/// No dead man's switch.
pub fn no_timer(errno: Errno) -> Refusal {
    Refusal::new(
        0x0912,
        "the license cannot be watched: the system refuses a timer",
        "raise the limit of pending signals (ulimit -i)",
    )
    .errno(errno)
}

/// No watcher.
pub fn no_thread(errno: Errno) -> Refusal {
    Refusal::new(
        0x0913,
        "the license cannot be watched: the system refuses another thread",
        "raise the limit of processes (ulimit -u) or of tasks in the service or container",
    )
    .errno(errno)
}

/// No place for the fork hook.
pub fn no_hook() -> Refusal {
    Refusal::new(
        0x0914,
        "the C library of this program offers no place for the license of forked children",
        "the vendor can protect the program so that children without a license are accepted",
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_has_its_own_number() {
        let errno = Errno::PERM;
        let all = [
            no_payload(),
            cut_short(),
            unknown_payload(1, 1),
            raised_rights(),
            traced(),
            no_proc(),
            bad_program(""),
            no_memory(errno),
            not_executable(errno),
            no_answer(),
            no_timer(errno),
            no_thread(errno),
            no_hook(),
            no_interpreter(""),
            internal(),
            address_taken(),
            content_broken(),
        ];
        let codes: BTreeSet<u16> = all.iter().map(|refusal| refusal.code).collect();
        assert_eq!(codes.len(), all.len());
    }
}
