//! Everything that happened in a simulated world, as a hash, and the end of it for people.

use std::collections::VecDeque;

use protocol::crypto::hash::Sha256;

/// Lines that are shown when a promise is broken.
const LINES: usize = 400;

/// What happened.
pub struct Trace {
    hash: Sha256,
    lines: VecDeque<String>,
}

impl Default for Trace {
    fn default() -> Self {
        Trace { hash: Sha256::new(), lines: VecDeque::new() }
    }
}

impl Trace {
    /// Bytes that were said.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    /// Something that happened at a time.
    pub fn line(&mut self, at_ms: u64, line: &str) {
        self.hash.update(line.as_bytes());
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(format!("{at_ms:>8} ms {line}"));
    }

    /// Everything that was said so far, as one number.
    pub fn hash(self) -> [u8; 32] {
        self.hash.finish()
    }

    /// The end of it.
    pub fn text(&self) -> String {
        let lines: Vec<&str> = self.lines.iter().map(String::as_str).collect();
        lines.join("\n")
    }
}
