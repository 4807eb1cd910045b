//! What can go wrong in the loader itself, with numbers of its block, `0x0800`.

use crate::resident::Refusal;
use crate::resident::sys::Errno;

const ASK_VENDOR: &str = "ask the vendor for this program in another form";

/// The file carries no protected program.
pub fn no_payload() -> Refusal {
    Refusal::new(
        0x0800,
        "this file holds no protected program",
        "install it again; it was cut or never completed",
    )
}

/// The protected program is of a kind or version that this loader does not know.
pub fn unknown_payload(kind: u8, version: u8) -> Refusal {
    let hint = "install it again; if that does not help, tell the vendor";
    let mut made =
        Refusal::new(0x0801, "this program was protected in a way its loader does not know", hint);
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
        0x0802,
        "a protected program does not run with raised rights (set-user-id, set-group-id or file capabilities)",
        "remove those bits from the file, and start it as the user that it needs",
    )
}

/// Somebody traces the process.
pub fn traced() -> Refusal {
    Refusal::new(
        0x0803,
        "a tracer is attached to this program",
        "start it without debugger, strace or the like",
    )
}

/// The process cannot find out about itself.
pub fn no_proc() -> Refusal {
    Refusal::new(0x0804, "/proc/self/status cannot be read", "mount /proc where this program runs")
}

/// The content is no program that can be mapped here.
pub fn bad_program(what: &str) -> Refusal {
    Refusal::new(0x0805, "the protected program cannot be mapped", ASK_VENDOR).detail(what)
}

/// An address the program must have is in use.
pub fn address_taken() -> Refusal {
    bad_program("the address it was linked for is in use")
}

/// No memory.
pub fn no_memory(errno: Errno) -> Refusal {
    Refusal::new(
        0x0806,
        "no memory for the program",
        "raise the limit of memory (ulimit -v, vm.overcommit_memory) or free some",
    )
    .errno(errno)
}

/// Memory may not become executable, not even a mapped memory file.
pub fn not_executable(errno: Errno) -> Refusal {
    Refusal::new(
        0x0807,
        "this system does not let memory become executable",
        "allow it for this program: MemoryDenyWriteExecute in its unit, SELinux execmem, PaX MPROTECT",
    )
    .errno(errno)
}

/// The program's dynamic linker cannot be opened.
pub fn no_interpreter(path: &str) -> Refusal {
    Refusal::new(
        0x080c,
        "the dynamic linker of this program cannot be used",
        "install the C library the program was built for",
    )
    .detail(path)
}

/// The loader itself failed.
pub fn internal() -> Refusal {
    Refusal::new(
        0x080d,
        "the loader of this program failed",
        "tell the vendor what is written above this line",
    )
}
