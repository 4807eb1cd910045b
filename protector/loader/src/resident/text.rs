//! Text of bounded length without a heap.

use core::fmt;

/// UTF-8 of at most `N` bytes; what does not fit is cut off at a character.
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    /// No text.
    pub const EMPTY: Self = Self { bytes: [0; N], len: 0 };

    /// As much of `text` as fits.
    pub fn new(text: &str) -> Self {
        let mut made = Self::EMPTY;
        made.push(text);
        made
    }

    /// Appends as much of `text` as fits.
    pub fn push(&mut self, text: &str) {
        let mut utf8 = [0; 4];
        for c in text.chars() {
            let c = c.encode_utf8(&mut utf8).as_bytes();
            let end = self.len.saturating_add(c.len());
            let Some(room) = self.bytes.get_mut(self.len..end) else { return };
            for (to, from) in room.iter_mut().zip(c) {
                *to = *from;
            }
            self.len = end;
        }
    }

    /// Appends a number in decimal.
    pub fn push_number(&mut self, number: u64) {
        let mut digits = [0u8; 20];
        let (mut rest, mut used) = (number, 0usize);
        for digit in digits.iter_mut().rev() {
            *digit = b'0'.wrapping_add((rest % 10) as u8);
            rest /= 10;
            used = used.wrapping_add(1);
            if rest == 0 {
                break;
            }
        }
        let from = digits.len().saturating_sub(used);
        self.push(core::str::from_utf8(digits.get(from..).unwrap_or(&[])).unwrap_or(""));
    }

    /// Appends `text` as the inside of a JSON string.
    pub fn push_json(&mut self, text: &str) {
        let mut utf8 = [0; 4];
        for c in text.chars() {
            match c {
                '"' => self.push("\\\""),
                '\\' => self.push("\\\\"),
                '\n' => self.push("\\n"),
                c if c < ' ' => self.push(" "),
                c => self.push(c.encode_utf8(&mut utf8)),
            }
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or("")
    }

    /// The text's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn cuts_at_a_character() {
        assert_eq!(Text::<4>::new("abcé").as_str(), "abc");
        assert_eq!(Text::<5>::new("abcé").as_str(), "abcé");
    }

    #[test]
    fn writes_numbers() {
        for number in [0, 7, 10, 125, u64::MAX] {
            let mut text = Text::<32>::EMPTY;
            text.push_number(number);
            assert_eq!(text.as_str(), number.to_string());
        }
    }

    #[test]
    fn escapes_for_json() {
        let mut text = Text::<64>::EMPTY;
        text.push_json("a\"b\\c\nd\u{1}é");
        assert_eq!(text.as_str(), "a\\\"b\\\\c\\nd é");
    }
}
