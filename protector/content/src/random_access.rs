//! Reading any range of complete content, from a file or from memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use zeroize::Zeroizing;

use crate::layout::{CHUNK_LEN, HEADER_LEN, SEALED_CHUNK_LEN, Shape, TAG_LEN, chunk_offset};
use crate::{Error, Opener};

/// Where sealed content is read from, at any offset and without a position of its own.
pub trait ReadAt {
    /// Bytes in the source.
    ///
    /// # Errors
    /// Those of the source.
    fn len_bytes(&self) -> io::Result<u64>;

    /// `len` bytes at `offset`, borrowed from the source if it has them in memory, else read into
    /// the front of `scratch`, which is at least that long.
    ///
    /// # Errors
    /// `UnexpectedEof` if the source ends before; else those of the source.
    fn bytes_at<'a>(
        &'a self,
        offset: u64,
        len: usize,
        scratch: &'a mut [u8],
    ) -> io::Result<&'a [u8]>;
}

impl ReadAt for File {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn bytes_at<'a>(
        &'a self,
        offset: u64,
        len: usize,
        scratch: &'a mut [u8],
    ) -> io::Result<&'a [u8]> {
        let out = &mut scratch[..len];
        self.read_exact_at(out, offset)?;
        Ok(out)
    }
}

impl ReadAt for &[u8] {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn bytes_at<'a>(&'a self, offset: u64, len: usize, _: &'a mut [u8]) -> io::Result<&'a [u8]> {
        usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..start.checked_add(len)?))
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// Complete content, open for reading at any offset. Reading needs no `&mut`: threads may fill
/// different parts of one buffer at once.
pub struct RandomAccess<R> {
    opener: Opener,
    shape: Shape,
    source: R,
}

impl<R: ReadAt> RandomAccess<R> {
    /// Checks the commitment, then the length by opening the final chunk, so that content which
    /// was cut anywhere is refused before a byte of it is handed out.
    ///
    /// # Errors
    /// Those of [`Opener::new`] and [`Opener::open_chunk`], and [`Error::Io`].
    pub fn open(input_key: &[u8; 32], context: &[u8], source: R) -> Result<Self, Error> {
        let len = source.len_bytes()?;
        if len < HEADER_LEN as u64 {
            return Err(Error::Truncated);
        }
        let mut header = [0; HEADER_LEN];
        let mut scratch = [0; HEADER_LEN];
        header.copy_from_slice(stored(&source, 0, HEADER_LEN, &mut scratch)?);
        let opener = Opener::new(input_key, context, &header)?;
        let content = Self { opener, shape: Shape::of(len)?, source };
        let mut plain = Zeroizing::new([0; CHUNK_LEN]);
        let out = &mut plain[..content.shape.final_len];
        content.open_chunk(content.shape.full_chunks, out, &mut [0; SEALED_CHUNK_LEN])?;
        Ok(content)
    }

    /// Bytes of plaintext.
    pub fn plaintext_len(&self) -> u64 {
        self.shape.full_chunks * CHUNK_LEN as u64 + self.shape.final_len as u64
    }

    /// Reads plaintext from `offset` on and returns how much: all of `buf`, or less at the end of
    /// the content, or 0 behind it. Whole chunks are decrypted straight into `buf`. After an
    /// error `buf` holds zeros.
    ///
    /// # Errors
    /// Those of [`Opener::open_chunk`], and [`Error::Io`].
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        let left = self.plaintext_len().saturating_sub(offset);
        let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let done = self.read_within(offset, &mut buf[..len]);
        if done.is_err() {
            buf.fill(0);
        }
        done.map(|()| len)
    }

    /// `offset..offset + out.len()` lies inside the content.
    fn read_within(&self, mut offset: u64, mut out: &mut [u8]) -> Result<(), Error> {
        let mut sealed = [0; SEALED_CHUNK_LEN];
        let mut whole = None;
        while !out.is_empty() {
            let index = offset / CHUNK_LEN as u64;
            let start = (offset % CHUNK_LEN as u64) as usize;
            let chunk_len = self.chunk_len(index);
            let take = out.len().min(chunk_len - start);
            let (now, later) = out.split_at_mut(take);
            if take == chunk_len {
                self.open_chunk(index, now, &mut sealed)?;
            } else {
                let whole = whole.get_or_insert_with(|| Zeroizing::new([0; CHUNK_LEN]));
                self.open_chunk(index, &mut whole[..chunk_len], &mut sealed)?;
                now.copy_from_slice(&whole[start..start + take]);
            }
            offset += take as u64;
            out = later;
        }
        Ok(())
    }

    fn open_chunk(
        &self,
        index: u64,
        out: &mut [u8],
        scratch: &mut [u8; SEALED_CHUNK_LEN],
    ) -> Result<(), Error> {
        let len = out.len() + TAG_LEN;
        let sealed = stored(&self.source, chunk_offset(index), len, scratch)?;
        self.opener.open_chunk(index, index == self.shape.full_chunks, sealed, out)
    }

    fn chunk_len(&self, index: u64) -> usize {
        if index < self.shape.full_chunks { CHUNK_LEN } else { self.shape.final_len }
    }
}

/// Bytes of the source; a source that has become shorter than it was counts as truncated.
fn stored<'a>(
    source: &'a impl ReadAt,
    offset: u64,
    len: usize,
    scratch: &'a mut [u8],
) -> Result<&'a [u8], Error> {
    source.bytes_at(offset, len, scratch).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => Error::Truncated,
        _ => Error::Io(e),
    })
}
