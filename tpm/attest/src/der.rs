//! A reader of DER, as far as certificates need it that were verified before (X.690).

/// Tags that are used here.
pub(crate) mod tag {
    pub(crate) const OCTETS: u8 = 0x04;
    pub(crate) const OID: u8 = 0x06;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;
    /// Context-specific and constructed, number 3.
    pub(crate) const CONTEXT_3: u8 = 0xa3;
    /// Context-specific and constructed, number 4.
    pub(crate) const CONTEXT_4: u8 = 0xa4;
}

/// One value, and its tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
}

impl<'a> Value<'a> {
    /// The values in it, if it has this tag.
    pub(crate) fn values(self, tag: u8) -> Option<Values<'a>> {
        (self.tag == tag).then_some(Values(self.content))
    }

    /// Its content, if it has this tag.
    pub(crate) fn content(self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.content)
    }
}

/// Values behind one another. What is no value ends them.
#[derive(Debug, Clone)]
pub(crate) struct Values<'a>(pub(crate) &'a [u8]);

impl<'a> Values<'a> {
    /// What was not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (len, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81 => rest.split_first().map(|(&len, rest)| (len.into(), rest))?,
            0x82 => rest.split_first_chunk().map(|(&len, rest)| (be(len), rest))?,
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some(Value { tag, content })
    }
}

fn be(len: [u8; 2]) -> usize {
    u16::from_be_bytes(len).into()
}
