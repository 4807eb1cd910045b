//! A Rust source file, told apart into code, comments and literals, so that rules look at the right
//! part.

/// A file and its parts. The two masks have the same length and lines as the text.
pub(crate) struct Source {
    /// As it stands.
    pub(crate) text: String,
    /// Comments and the insides of literals blanked.
    pub(crate) code: String,
    /// Only comments blanked.
    pub(crate) uncommented: String,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Line of the word `fn`, from 1.
    pub(crate) line: usize,
    /// From that line to the closing brace, both counted.
    pub(crate) lines: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Code,
    Comment,
    Literal,
}

impl Source {
    /// Tells the parts of `text` apart. Text that is no Rust yields some answer, never an error.
    pub(crate) fn new(text: &str) -> Self {
        let parts = split(text.as_bytes());
        let mask = |blank: &dyn Fn(Part) -> bool| {
            let keep = |(&byte, &part)| if byte != b'\n' && blank(part) { b' ' } else { byte };
            let bytes = text.as_bytes().iter().zip(&parts).map(keep).collect();
            String::from_utf8(bytes).unwrap_or_default()
        };
        Self {
            text: text.to_owned(),
            code: mask(&|part| part != Part::Code),
            uncommented: mask(&|part| part == Part::Comment),
        }
    }

    /// All functions with a body, nested ones too.
    pub(crate) fn functions(&self) -> Vec<Function> {
        words(&self.code, "fn").filter_map(|at| self.function_at(at)).collect()
    }

    fn function_at(&self, at: usize) -> Option<Function> {
        let rest = self.code.get(at + 2..)?;
        let name: String = rest.trim_start().chars().take_while(|&c| is_word(c)).collect();
        if name.is_empty() {
            return None; // a function pointer type
        }
        let end = body_end(rest)?;
        let (line, last) = (self.line_of(at), self.line_of(at + 2 + end));
        Some(Function { name, line, lines: last - line + 1 })
    }

    /// Line of a byte offset, from 1.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.text.as_bytes().iter().take(offset).filter(|&&b| b == b'\n').count() + 1
    }
}

/// Offsets at which `word` stands as a whole word.
pub(crate) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Offset of the brace that closes the first body in `code`; none where a `;` ends the signature
/// first.
fn body_end(code: &str) -> Option<usize> {
    let (mut brackets, mut braces) = (0_i32, 0_i32);
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets -= 1,
            b';' if brackets == 0 && braces == 0 => return None,
            b'{' => braces += 1,
            b'}' if braces == 1 => return Some(at),
            b'}' => braces -= 1,
            _ => {}
        }
    }
    None
}

/// The part that each byte belongs to.
fn split(text: &[u8]) -> Vec<Part> {
    let mut parts = vec![Part::Code; text.len()];
    let mut at = 0;
    while at < text.len() {
        let (part, len) = token(&text[at..]);
        let end = (at + len.max(1)).min(text.len());
        parts[at..end].fill(part);
        at = end;
    }
    parts
}

/// Kind and length of what `text` begins with.
fn token(text: &[u8]) -> (Part, usize) {
    match text {
        [b'/', b'/', ..] => {
            (Part::Comment, text.iter().position(|&b| b == b'\n').unwrap_or(text.len()))
        }
        [b'/', b'*', ..] => (Part::Comment, block_comment(text)),
        [b'"', ..] => (Part::Literal, quoted(text)),
        [b'\'', ..] => character(text).map_or((Part::Code, 1), |len| (Part::Literal, len)),
        [first, ..] if first.is_ascii_alphanumeric() || *first == b'_' => word(text),
        _ => (Part::Code, 1),
    }
}

/// A word, which may be the prefix of a raw string.
fn word(text: &[u8]) -> (Part, usize) {
    let ends = |b: &u8| !(b.is_ascii_alphanumeric() || *b == b'_');
    let len = text.iter().position(ends).unwrap_or(text.len());
    if !matches!(&text[..len], b"r" | b"br" | b"cr") {
        return (Part::Code, len);
    }
    let hashes = text[len..].iter().take_while(|&&b| b == b'#').count();
    if text.get(len + hashes) != Some(&b'"') {
        return (Part::Code, len);
    }
    let mut close = vec![b'"'];
    close.resize(hashes + 1, b'#');
    let start = len + hashes + 1;
    let inside = text[start..].windows(close.len()).position(|w| w == close);
    (Part::Literal, inside.map_or(text.len(), |inside| start + inside + close.len()))
}

fn block_comment(text: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match &text[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// Length of a literal that ends at the next quote of its own kind without a backslash before it.
fn quoted(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            byte if byte == text[0] => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// Length of a character literal; none for a lifetime.
fn character(text: &[u8]) -> Option<usize> {
    let second = *text.get(1)?;
    if second == b'\\' {
        return Some(quoted(text));
    }
    let width = match second {
        0..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    };
    (text.get(1 + width) == Some(&b'\'')).then_some(2 + width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_told_from_code() {
        let source = Source::new("a // b\n\"c//d\" 'e' r#\"f\"# /* g /* h */ i */ j<'k>");
        let words: Vec<&str> = source.code.split_whitespace().collect();
        assert_eq!(words, ["a", "j<'k>"]);
        assert!(source.uncommented.contains("c//d") && !source.uncommented.contains('g'));
    }

    #[test]
    fn an_escaped_quote_does_not_end_a_literal() {
        let source = Source::new(r#"let a = "b\"c"; let d = '\''; let e = '"'; f"#);
        assert!(source.code.ends_with("; f") && !source.code.contains('c'));
    }

    #[test]
    fn masks_keep_length_and_lines() {
        let text = "let x = \"ä\n\"; // ö\nlet y = 'ß';\n";
        let source = Source::new(text);
        assert_eq!(source.code.lines().count(), text.lines().count());
        assert_eq!(source.code.len(), text.len());
    }

    #[test]
    fn functions_are_measured_from_fn_to_brace() {
        let text = "trait T { fn no_body(&self) -> [u8; 2]; }\n\
            fn a(f: fn(u8) -> u8) {\n  \"}\";\n}\nfn b() {}\n";
        let found: Vec<_> = Source::new(text).functions();
        let a = Function { name: "a".into(), line: 2, lines: 3 };
        let b = Function { name: "b".into(), line: 5, lines: 1 };
        assert_eq!(found, [a, b]);
    }
}
