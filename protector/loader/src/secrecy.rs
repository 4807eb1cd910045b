//! Closes the process to others before anything secret is in it, and refuses where somebody is in
//! already.

use linux_raw_sys::auxvec::AT_SECURE;

use crate::resident::reasons;
use crate::resident::{Refusal, sys};
use crate::stack::InitialStack;

/// Makes the process non-dumpable, then looks for a tracer: one that comes later is refused by the
/// kernel.
///
/// # Errors
/// Raised rights, a tracer, or no way to know.
pub(crate) fn close(stack: &InitialStack) -> Result<(), Refusal> {
    sys::hide_memory();
    if stack.aux(AT_SECURE) != Some(0) {
        return Err(reasons::raised_rights());
    }
    match tracer().ok_or_else(reasons::no_proc)? {
        0 => Ok(()),
        _ => Err(reasons::traced()),
    }
}

/// Process that traces this one; 0 = none.
fn tracer() -> Option<u64> {
    let mut text = [0; 4096];
    tracer_in(sys::read_file(c"/proc/self/status", &mut text).ok()?)
}

fn tracer_in(status: &[u8]) -> Option<u64> {
    let lines = &mut status.split(|&byte| byte == b'\n');
    let value = lines.find_map(|line| line.strip_prefix(b"TracerPid:"))?;
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::tracer_in;

    #[test]
    fn reads_the_tracer_and_trusts_nothing_else() {
        assert_eq!(tracer_in(b"Name:\tx\nTracerPid:\t0\nUid:\t1\n"), Some(0));
        assert_eq!(tracer_in(b"Name:\tx\nTracerPid:\t71\n"), Some(71));
        assert_eq!(tracer_in(b"Name:\tTracerPid: 0\n"), None);
        assert_eq!(tracer_in(b""), None);
    }
}
