//! A part of a source as a source of its own.

use std::io;

use crate::ReadAt;

/// The bytes of `source` in one range, numbered from 0.
#[derive(Debug, Clone, Copy)]
pub struct Section<R> {
    source: R,
    offset_bytes: u64,
    len_bytes: u64,
}

impl<R> Section<R> {
    /// `len_bytes` of `source` from `offset_bytes` on. That the source has them shows when they
    /// are read.
    pub fn new(source: R, offset_bytes: u64, len_bytes: u64) -> Self {
        Self { source, offset_bytes, len_bytes }
    }
}

impl<R: ReadAt> ReadAt for Section<R> {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.len_bytes)
    }

    fn bytes_at<'a>(
        &'a self,
        offset: u64,
        len: usize,
        scratch: &'a mut [u8],
    ) -> io::Result<&'a [u8]> {
        let inside = offset.checked_add(len as u64).is_some_and(|end| end <= self.len_bytes);
        let at = self.offset_bytes.checked_add(offset).filter(|_| inside);
        self.source.bytes_at(at.ok_or(io::ErrorKind::UnexpectedEof)?, len, scratch)
    }
}

impl<R: ReadAt + ?Sized> ReadAt for &R {
    fn len_bytes(&self) -> io::Result<u64> {
        (**self).len_bytes()
    }

    fn bytes_at<'a>(
        &'a self,
        offset: u64,
        len: usize,
        scratch: &'a mut [u8],
    ) -> io::Result<&'a [u8]> {
        (**self).bytes_at(offset, len, scratch)
    }
}
