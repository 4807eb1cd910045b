//! Files of state: sealed under a key that exists for one epoch only.
//!
//! The key of an epoch is in the TPM, and each commit replaces it. So an older file is noise, and
//! so is a draft whose key was never stored.

use protocol::crypto::{aead, kdf};
use protocol::ids::ContainerId;
use protocol::objects::file::{self, FileKind};
use zeroize::Zeroizing;

/// Bytes of a state, at most.
pub const STATE_LEN_MAX: usize = 8 * 1024 * 1024;

/// Container, epoch, hash of the file before.
const HEADER_LEN: usize = file::PREFIX_LEN + 16 + 8 + 32;
/// Bytes of a file, at most.
pub const FILE_LEN_MAX: usize = HEADER_LEN + aead::NONCE_LEN + STATE_LEN_MAX + aead::TAG_LEN;

/// Where a state belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The container.
    pub container: ContainerId,
    /// Rises by one with each commit.
    pub epoch: u64,
    /// SHA-256 of the file of the epoch before; zero for the first.
    pub previous: [u8; 32],
}

/// What opens a file: the container's key, and that of its epoch.
pub struct EpochKeys<'a> {
    /// Of the container, from the blob that the TPM opens.
    pub root: &'a [u8; 32],
    /// Of the epoch, from the TPM's index.
    pub epoch: &'a [u8; 32],
}

/// Seals a state. `nonce` is random; the key is used for this file alone.
pub fn seal(
    at: &Position,
    keys: &EpochKeys<'_>,
    nonce: &[u8; aead::NONCE_LEN],
    state: &[u8],
) -> Vec<u8> {
    let mut bytes = header(at);
    bytes.extend_from_slice(nonce);
    let body = bytes.len();
    bytes.extend_from_slice(state);
    let (front, plain) = bytes.split_at_mut(body);
    let tag = aead::seal_in_place(&key(at, keys), nonce, &front[..HEADER_LEN], plain);
    bytes.extend_from_slice(&tag);
    bytes
}

/// Opens a file; none if it is not the file of this position under these keys. Which file came
/// before is not asked: `previous` of the position is not compared, and the file's own is returned.
pub fn open(
    container: ContainerId,
    epoch: u64,
    keys: &EpochKeys<'_>,
    bytes: &[u8],
) -> Option<(Position, Zeroizing<Vec<u8>>)> {
    let (head, sealed) = bytes.split_at_checked(HEADER_LEN)?;
    let previous = head.last_chunk::<32>()?;
    let at = Position { container, epoch, previous: *previous };
    if head != header(&at) {
        return None;
    }
    let (nonce, sealed) = sealed.split_first_chunk::<{ aead::NONCE_LEN }>()?;
    let mut state = Zeroizing::new(sealed.to_vec());
    let len = aead::open_appended(&key(&at, keys), nonce, head, &mut state).ok()?;
    state.truncate(len);
    Some((at, state))
}

/// The name of a file. The hash of its bytes is in it, so that two drafts of one epoch never
/// overwrite each other.
pub fn name(epoch: u64, hash: &[u8; 32]) -> String {
    let [a, b, c, d, ..] = hash;
    format!("state.{epoch}.{a:02x}{b:02x}{c:02x}{d:02x}")
}

/// The epoch of a file, by its name.
pub fn epoch_of(name: &str) -> Option<u64> {
    let (number, _) = name.strip_prefix("state.")?.split_once('.')?;
    let epoch: u64 = number.parse().ok()?;
    // Not `+1` or `01`.
    (number == epoch.to_string()).then_some(epoch)
}

fn header(at: &Position) -> Vec<u8> {
    let mut bytes = file::prefix(FileKind::SoftState).to_vec();
    bytes.extend_from_slice(at.container.bytes());
    bytes.extend_from_slice(&at.epoch.to_be_bytes());
    bytes.extend_from_slice(&at.previous);
    bytes
}

fn key(at: &Position, keys: &EpochKeys<'_>) -> Zeroizing<[u8; 32]> {
    let (id, epoch) = (at.container.bytes(), at.epoch.to_be_bytes());
    let info = [&b"strongroom/soft-state/v1\0"[..], id, &epoch].concat();
    kdf::hkdf(keys.root, keys.epoch, &info)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: EpochKeys<'static> = EpochKeys { root: &[1; 32], epoch: &[2; 32] };

    fn position(epoch: u64) -> Position {
        Position { container: ContainerId::new([7; 16]), epoch, previous: [9; 32] }
    }

    #[test]
    fn a_file_opens_at_its_own_place_only() {
        let at = position(5);
        let bytes = seal(&at, &KEYS, &[3; 12], b"state");
        let opened = open(at.container, 5, &KEYS, &bytes).unwrap();
        assert_eq!((opened.0, &opened.1[..]), (at, &b"state"[..]));
        assert!(open(at.container, 6, &KEYS, &bytes).is_none());
        assert!(open(ContainerId::new([8; 16]), 5, &KEYS, &bytes).is_none());
        let other = EpochKeys { epoch: &[4; 32], ..KEYS };
        assert!(open(at.container, 5, &other, &bytes).is_none());
        let other = EpochKeys { root: &[4; 32], ..KEYS };
        assert!(open(at.container, 5, &other, &bytes).is_none());
    }

    #[test]
    fn a_file_that_was_changed_or_cut_opens_nowhere() {
        let at = position(5);
        let bytes = seal(&at, &KEYS, &[3; 12], b"state");
        for at_byte in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at_byte] ^= 1;
            assert!(open(at.container, 5, &KEYS, &changed).is_none(), "byte {at_byte}");
            assert!(open(at.container, 5, &KEYS, &bytes[..at_byte]).is_none(), "{at_byte} bytes");
        }
        assert!(open(at.container, 5, &KEYS, &[&bytes[..], &[0]].concat()).is_none());
    }

    #[test]
    fn epochs_are_read_from_names_as_they_are_written() {
        assert_eq!(epoch_of(&name(u64::MAX, &[9; 32])), Some(u64::MAX));
        for other in
            ["state.", "state.1", "state.x.0", "state.+1.0", "state.01.0", ".draft.state.1.0"]
        {
            assert_eq!(epoch_of(other), None, "{other}");
        }
    }
}
