//! What can go wrong in the loader itself: rows of the error table.

use protocol::errors::ErrorCode;

use super::refusal::Refusal;
use super::seat::refusal_of;
use super::sys::Errno;

fn row(code: ErrorCode) -> Refusal {
    refusal_of(&code.failure())
}

/// The file carries no protected program.
pub fn no_payload() -> Refusal {
    row(ErrorCode::ArtifactBroken).detail("it holds no protected program")
}

/// The file ends before the protected program does.
pub fn cut_short() -> Refusal {
    row(ErrorCode::ArtifactBroken).detail("it was cut short")
}

/// The protected program is of a kind or version that this loader does not know.
pub fn unknown_payload(kind: u8, version: u8) -> Refusal {
    let mut made = refusal_of(&ErrorCode::NewerVersion.with(version.into(), 0));
    made.title.push(", type ");
    made.title.push_number(kind.into());
    made
}

/// Set-user-id and the like.
pub fn raised_rights() -> Refusal {
    row(ErrorCode::SetUserId)
}

/// Somebody traces the process.
pub fn traced() -> Refusal {
    row(ErrorCode::TracerAttached)
}

/// The process cannot find out about itself.
pub fn no_proc() -> Refusal {
    row(ErrorCode::NoProc)
}

/// The content is no program that can be mapped here.
pub fn bad_program(what: &str) -> Refusal {
    row(ErrorCode::NotMappable).detail(what)
}

/// The sealed program is not what the vendor sealed.
pub fn content_broken() -> Refusal {
    row(ErrorCode::ContentBroken)
}

/// An address the program must have is in use.
pub fn address_taken() -> Refusal {
    row(ErrorCode::AddressTaken)
}

/// No memory.
pub fn no_memory(errno: Errno) -> Refusal {
    row(ErrorCode::NoMemory).errno(errno)
}

/// Memory may not become executable, not even a mapped memory file.
pub fn not_executable(errno: Errno) -> Refusal {
    row(ErrorCode::ExecRefused).errno(errno)
}

/// The program's dynamic linker cannot be opened.
pub fn no_interpreter(path: &str) -> Refusal {
    row(ErrorCode::InterpreterMissing).detail(path)
}

/// The loader itself failed.
pub fn internal() -> Refusal {
    row(ErrorCode::LoaderFailed)
}

/// Nobody has answered for too long.
pub fn no_answer() -> Refusal {
    row(ErrorCode::LicenseSilent)
}

/// No dead man's switch.
pub fn no_timer(errno: Errno) -> Refusal {
    row(ErrorCode::NoTimer).errno(errno)
}

/// No watcher.
pub fn no_thread(errno: Errno) -> Refusal {
    row(ErrorCode::NoThread).errno(errno)
}

/// No place for the fork hook.
pub fn no_hook() -> Refusal {
    row(ErrorCode::NoForkHook)
}
