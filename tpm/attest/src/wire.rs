//! Structures of a TPM, big-endian, read and written strictly (TCG TPM 2.0 Library, Part 2).

/// Why a structure was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// It ends before its last field.
    #[error("the structure is cut short")]
    Short,
    /// This many bytes follow its last field.
    #[error("{0} bytes follow the structure")]
    Remainder(usize),
    /// A field of this many bytes, where at most so many are allowed.
    #[error("a field has {0} bytes, at most {1} are allowed")]
    Long(usize, usize),
    /// A field, named, has a value that is not used here.
    #[error("{0} is {1:#x}, which is not used here")]
    Value(&'static str, u32),
    /// There is another way to write the same.
    #[error("the structure is not in its one form")]
    Form,
}

/// Takes fields off the front of a structure.
#[derive(Debug, Clone)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Over all of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`WireError::Short`], as of the next three.
    pub fn u8(&mut self) -> Result<u8, WireError> {
        self.array().map(u8::from_be_bytes)
    }

    /// The next two bytes.
    pub fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next four bytes.
    pub fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next eight bytes.
    pub fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_be_bytes)
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// [`WireError::Short`].
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A sized buffer (`TPM2B_*`): two bytes of length, then at most `len_max` bytes.
    ///
    /// # Errors
    /// [`WireError::Short`] or [`WireError::Long`].
    pub fn sized(&mut self, len_max: usize) -> Result<&'a [u8], WireError> {
        let len = usize::from(self.u16()?);
        if len > len_max { Err(WireError::Long(len, len_max)) } else { self.take(len) }
    }

    /// The structure ends here.
    ///
    /// # Errors
    /// [`WireError::Remainder`].
    pub fn finish(self) -> Result<(), WireError> {
        if self.0.is_empty() { Ok(()) } else { Err(WireError::Remainder(self.0.len())) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(*taken)
    }
}

/// Puts fields behind one another.
#[derive(Debug, Clone, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Two bytes.
    pub fn u16(self, value: u16) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// Four bytes.
    pub fn u32(self, value: u32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// `bytes` as they are.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A sized buffer (`TPM2B_*`). No structure of a TPM has 64 KiB.
    pub fn sized(self, bytes: &[u8]) -> Self {
        debug_assert!(bytes.len() <= usize::from(u16::MAX));
        self.u16(bytes.len() as u16).raw(bytes)
    }

    /// The structure.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}
