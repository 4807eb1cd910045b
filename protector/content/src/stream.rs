//! Sealing and opening from a reader to a writer, in the memory of two chunks.

use std::io::{self, Read, Write};

use zeroize::Zeroizing;

use crate::layout::{CHUNK_LEN, HEADER_LEN, SEALED_CHUNK_LEN, TAG_LEN};
use crate::{Error, Opener, Sealer};

/// Seals all of `reader` into `writer`, header first. Returns the plaintext bytes sealed.
///
/// # Errors
/// [`Error::Io`] from either side; what was written by then is no complete content.
pub fn seal_reader(
    mut sealer: Sealer,
    mut reader: impl Read,
    mut writer: impl Write,
) -> Result<u64, Error> {
    let mut plain = Zeroizing::new([0; CHUNK_LEN]);
    let mut sealed = [0; SEALED_CHUNK_LEN];
    let mut total = 0;
    writer.write_all(sealer.header())?;
    loop {
        let len = fill(&mut reader, &mut *plain)?;
        total += len as u64;
        if len < CHUNK_LEN {
            let out = &mut sealed[..len + TAG_LEN];
            sealer.seal_final(&plain[..len], out)?;
            writer.write_all(out)?;
            return Ok(total);
        }
        sealer.seal_chunk(&plain, &mut sealed)?;
        writer.write_all(&sealed)?;
    }
}

/// Opens all of `reader` into `writer`. Returns the plaintext bytes written. Nothing is written
/// before the commitment is checked and nothing that is not authentic, but whether the content
/// is complete is known only at its end: after an error the caller discards the output.
///
/// # Errors
/// Those of [`Opener`], and [`Error::Io`] from either side.
pub fn open_reader(
    input_key: &[u8; 32],
    context: &[u8],
    mut reader: impl Read,
    mut writer: impl Write,
) -> Result<u64, Error> {
    let mut header = [0; HEADER_LEN];
    if fill(&mut reader, &mut header)? < HEADER_LEN {
        return Err(Error::Truncated);
    }
    let opener = Opener::new(input_key, context, &header)?;
    let mut sealed = [0; SEALED_CHUNK_LEN];
    let mut plain = Zeroizing::new([0; CHUNK_LEN]);
    let (mut index, mut total) = (0, 0);
    loop {
        let len = fill(&mut reader, &mut sealed)?;
        let plain_len = len.checked_sub(TAG_LEN).ok_or(Error::Truncated)?;
        let out = &mut plain[..plain_len];
        let is_final = plain_len < CHUNK_LEN;
        opener.open_chunk(index, is_final, &sealed[..len], out)?;
        writer.write_all(out)?;
        total += plain_len as u64;
        if is_final {
            return Ok(total);
        }
        index += 1;
    }
}

/// Reads until `buf` is full or the reader ends.
fn fill(reader: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buf.len() {
        match reader.read(&mut buf[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(len)
}
