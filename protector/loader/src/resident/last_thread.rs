//! Finds out when the program has ended thread by thread and only the watcher is left.

use super::sys;

/// The process's `stat`, kept open: the program may change its root.
#[derive(Debug)]
pub(super) struct LastThread {
    stat: Option<i32>,
}

impl LastThread {
    /// Opens it; where there is no `/proc` the rule does not work and the program ends by its last
    /// `exit_group`.
    pub(super) fn new() -> Self {
        Self { stat: sys::open_read(c"/proc/self/stat").ok() }
    }

    /// The descriptor to keep, if any.
    pub(super) fn descriptor(&self) -> Option<i32> {
        self.stat
    }

    /// The exit status of the program when no thread of it is left.
    pub(super) fn status(&self) -> Option<i32> {
        let mut text = [0; 1024];
        let len = sys::pread(self.stat?, &mut text, 0).ok()?;
        ended(text.get(..len)?)
    }
}

/// Reads a `stat` line: the first thread is a zombie and one more is left, which is the watcher.
/// The status is the first thread's: the kernel would report that of the last one.
fn ended(stat: &[u8]) -> Option<i32> {
    let behind_name = stat.iter().rposition(|&byte| byte == b')')?.checked_add(2)?;
    let mut fields = stat.get(behind_name..)?.split(|&byte| byte == b' ');
    if fields.next()? != b"Z" {
        return None;
    }
    // `state` is field 3; `num_threads` is field 20, `exit_code` field 52.
    let threads = number(fields.nth(16)?)?;
    let code = number(fields.nth(31)?)?;
    (threads == 2).then_some((code >> 8) as i32 & 0xff)
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().filter(|byte| byte.is_ascii_digit()).try_fold(0u32, |sum, &byte| {
        sum.checked_mul(10)?.checked_add(u32::from(byte.wrapping_sub(b'0')))
    })
}

#[cfg(test)]
mod tests {
    use super::ended;

    fn stat(name: &str, state: &str, threads: u32, code: u32) -> String {
        let between = "1 ".repeat(31);
        format!("7 ({name}) {state} {}{threads} {between}{code}\n", "1 ".repeat(16))
    }

    #[test]
    fn takes_the_first_threads_status() {
        assert_eq!(ended(stat("a", "Z", 2, 9 << 8).as_bytes()), Some(9));
        assert_eq!(ended(stat(") Z 1", "Z", 2, 0).as_bytes()), Some(0));
    }

    #[test]
    fn waits_for_other_threads_and_for_the_first() {
        assert_eq!(ended(stat("a", "Z", 3, 9 << 8).as_bytes()), None);
        assert_eq!(ended(stat("a", "S", 2, 0).as_bytes()), None);
        assert_eq!(ended(b"7 (a) Z"), None);
        assert_eq!(ended(b""), None);
    }
}
