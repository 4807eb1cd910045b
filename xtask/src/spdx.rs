//! Decides whether a license expression can be met with allowed licenses.

/// Whether `expression` (SPDX, also with the old `/` for OR) has a choice that is allowed in full.
/// What cannot be read is not allowed.
pub(crate) fn allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut reader = Reader { words: spaced.split_whitespace().collect(), at: 0, allowed };
    let answer = reader.any();
    answer == Some(true) && reader.at == reader.words.len()
}

struct Reader<'a> {
    words: Vec<&'a str>,
    at: usize,
    allowed: &'a [String],
}

/// `OR` binds weaker than `AND`, that weaker than `WITH`. `None`: no expression.
impl Reader<'_> {
    fn any(&mut self) -> Option<bool> {
        let mut answer = self.all()?;
        while self.take("OR") {
            answer |= self.all()?;
        }
        Some(answer)
    }

    fn all(&mut self) -> Option<bool> {
        let mut answer = self.one()?;
        while self.take("AND") {
            answer &= self.one()?;
        }
        Some(answer)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let answer = self.any()?;
            return self.take(")").then_some(answer);
        }
        let mut license = (*self.words.get(self.at)?).to_owned();
        self.at += 1;
        if self.take("WITH") {
            license = format!("{license} WITH {}", self.words.get(self.at)?);
            self.at += 1;
        }
        Some(self.allowed.contains(&license))
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.get(self.at) == Some(&word);
        self.at += usize::from(found);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(expression: &str) -> bool {
        let list = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "ISC"];
        allowed(expression, &list.map(str::to_owned))
    }

    #[test]
    fn one_allowed_choice_is_enough() {
        assert!(ok("MIT") && ok("GPL-3.0 OR MIT") && ok("MIT/GPL-3.0"));
        assert!(!ok("GPL-3.0") && !ok("GPL-3.0 OR AGPL-3.0"));
    }

    #[test]
    fn all_parts_of_a_conjunction_must_be_allowed() {
        assert!(ok("ISC AND (GPL-3.0 OR MIT)") && ok("GPL-3.0 OR MIT AND ISC"));
        assert!(!ok("ISC AND GPL-3.0") && !ok("(GPL-3.0 OR MIT) AND GPL-3.0"));
    }

    #[test]
    fn an_exception_is_part_of_the_license() {
        assert!(ok("Apache-2.0 WITH LLVM-exception"));
        assert!(!ok("MIT WITH LLVM-exception"));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for bad in ["", "MIT MIT", "MIT OR", "(MIT", "MIT)", "OR MIT", "MIT WITH"] {
            assert!(!ok(bad), "{bad:?}");
        }
    }
}
