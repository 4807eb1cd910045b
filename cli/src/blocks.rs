//! Files of blocks, and what goes into one.

use std::path::Path;

use protocol::codec::{self, Bytes};
use protocol::errors::{ErrorCode, Failure};
use protocol::limits::{BLOCK_LEN_MAX, SEALED_BLOCK_FILE_LEN_MAX};
use protocol::objects::block::{KeySource, SealedBlock};
use protocol::objects::data::DataField;
use protocol::objects::file::{self, FileKind};
use protocol::objects::license::Requirement;
use vendor::{Result, Shown, files};
use zeroize::Zeroizing;

/// Reads what shall be encrypted.
pub(crate) fn read_plain(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let bytes = Zeroizing::new(files::read(path)?);
    if bytes.len() > BLOCK_LEN_MAX {
        let failure = ErrorCode::TooLong.with(bytes.len() as u64, BLOCK_LEN_MAX as u64);
        return Err(Shown::from(failure).about(path.display()));
    }
    Ok(bytes)
}

/// Reads the file of a block.
pub(crate) fn read(path: &Path) -> Result<SealedBlock> {
    parse(&files::read(path)?).map_err(|failure| Shown::from(failure).about(path.display()))
}

/// The block that a file holds.
pub(crate) fn parse(bytes: &[u8]) -> std::result::Result<SealedBlock, Failure> {
    body(file::expect(bytes, FileKind::Block)?)
}

/// The block behind the prefix of its file.
pub(crate) fn body(bytes: &[u8]) -> std::result::Result<SealedBlock, Failure> {
    codec::decode(bytes, SEALED_BLOCK_FILE_LEN_MAX).map_err(|_| ErrorCode::Malformed.failure())
}

/// The file of a block.
pub(crate) fn write(requirement: Requirement, source: KeySource, bytes: &[u8]) -> Result<Vec<u8>> {
    let bytes = Bytes::new(bytes).ok_or(ErrorCode::TooLong.failure())?;
    let block = codec::encode(&SealedBlock { requirement, source, bytes });
    Ok(file::write(FileKind::Block, &[&block]))
}

/// Where a block's key comes from, as it is named on the command line.
pub(crate) fn source(text: &str) -> Result<KeySource> {
    let field = match text {
        "item-key" => return Ok(KeySource::ItemKey),
        _ => vendor::data_field(text),
    };
    match field {
        Ok(DataField::Hidden(number)) => Ok(KeySource::Hidden(number)),
        Ok(DataField::Secret(number)) => Ok(KeySource::Secret(number)),
        _ => Err(Shown::usage(
            format!("{text:?} is no source of keys"),
            "Write item-key, hidden:N or secret:N: what others may read is no key.",
        )),
    }
}
