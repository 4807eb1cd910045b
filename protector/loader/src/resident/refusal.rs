//! Why a program may not start or go on, and how that is said.

use super::sys;
use super::text::Text;

/// Exit status of a protected program that may not start or go on.
pub const EXIT_REFUSED: i32 = 125;

/// Milliseconds that a message may wait for whoever reads it.
const WRITE_WAIT_MS: u32 = 500;

/// Bytes written at once: a pipe that is ready takes that many without waiting.
const WRITE_LEN: usize = 4096;

/// A reason, for people and for programs.
#[derive(Debug, Clone, Copy)]
pub struct Refusal {
    /// Number in the error table.
    pub code: u16,
    /// What happened, one line.
    pub title: Text<224>,
    /// What to do next, one line.
    pub hint: Text<288>,
}

impl Refusal {
    /// A reason of given words.
    pub fn new(code: u16, title: &str, hint: &str) -> Self {
        Self { code, title: Text::new(title), hint: Text::new(hint) }
    }

    /// The same with `detail` behind the title, after a colon.
    pub fn detail(mut self, detail: &str) -> Self {
        self.title.push(": ");
        self.title.push(detail);
        self
    }

    /// The same with a system call's error number behind the title.
    pub fn errno(mut self, errno: sys::Errno) -> Self {
        self.title.push(" (errno ");
        self.title.push_number(errno.0 as u64);
        self.title.push(")");
        self
    }
}

/// Who speaks, and the vendor's own words.
#[derive(Debug, Clone, Copy)]
pub struct Speaker {
    /// The program's name.
    pub name: Text<64>,
    /// The vendor's text, before the reason; may have several lines.
    pub vendor: Text<1200>,
}

/// A message ready to be written.
pub type Message = Text<2048>;

/// The message for stderr: vendor's text, what happened, what to do.
pub fn for_people(speaker: &Speaker, refusal: &Refusal) -> Message {
    let mut text = Message::EMPTY;
    let mut title = Text::<240>::new(refusal.title.as_str());
    title.push(" (");
    push_code(&mut title, refusal.code);
    title.push(")");
    for lines in [speaker.vendor.as_str(), title.as_str(), refusal.hint.as_str()] {
        for line in lines.split('\n').filter(|line| !line.is_empty()) {
            text.push(speaker.name.as_str());
            text.push(": ");
            text.push(line);
            text.push("\n");
        }
    }
    text
}

/// `S` and four hexadecimal digits, as errors are shown everywhere.
fn push_code<const N: usize>(text: &mut Text<N>, code: u16) {
    text.push("S");
    for digit in [code >> 12, code >> 8, code >> 4, code] {
        let digit =
            char::from_digit(u32::from(digit & 0xf), 16).unwrap_or('0').to_ascii_uppercase();
        text.push(digit.encode_utf8(&mut [0; 4]));
    }
}

/// The message for programs, one JSON document and a line feed.
pub fn for_programs(refusal: &Refusal) -> Message {
    let mut text = Message::new("{\"schema\":\"strongroom.report/v1\",\"error\":{\"code\":\"");
    push_code(&mut text, refusal.code);
    text.push("\",\"title\":\"");
    text.push_json(refusal.title.as_str());
    text.push("\",\"hint\":\"");
    text.push_json(refusal.hint.as_str());
    text.push("\"}}\n");
    text
}

/// Writes a message, waiting at most half a second for each part; what cannot be written is lost.
pub fn write_bounded(fd: i32, bytes: &[u8]) {
    for part in bytes.chunks(WRITE_LEN) {
        let mut rest = part;
        while !rest.is_empty() {
            if sys::poll(fd, linux_raw_sys::general::POLLOUT, WRITE_WAIT_MS) != Ok(true) {
                return;
            }
            let Ok(n) = sys::write(fd, rest) else { return };
            rest = rest.get(n..).unwrap_or(&[]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_vendor_reason_and_way_out() {
        let speaker =
            Speaker { name: Text::new("prog"), vendor: Text::new("Ask us.\nshop.example") };
        let refusal = Refusal::new(0x0a07, "no license", "plug in the dongle").detail("expired");
        let text = for_people(&speaker, &refusal);
        let expected = "prog: Ask us.\nprog: shop.example\n\
                        prog: no license: expired (S0A07)\nprog: plug in the dongle\n";
        assert_eq!(text.as_str(), expected);
    }

    #[test]
    fn the_longest_report_is_still_json() {
        let refusal = Refusal::new(u16::MAX, &"\"".repeat(400), &"\\".repeat(400));
        let text = for_programs(&refusal);
        assert!(text.as_str().ends_with("\"}}\n"));
    }
}
