//! Shares of private keys: any K of N give them back, K - 1 say nothing of them.
//!
//! ```text
//! STRGSHAR version[1] set[16] threshold[1] count[1] number[1] salt[16] nonce[12] sealed check[8]
//! sealed = a share of the records of a key file, and a tag
//! check = the first bytes of SHA-256 over all before it
//! ```
//!
//! Shamir's secret sharing over bytes. Each share has a passphrase of its own, so that it may lie
//! where others come by. The check tells a damaged share from a wrong passphrase. Shares are joined
//! in memory, for one command.

use std::path::{Path, PathBuf};

use blahaj::{Share, Sharks};
use protocol::crypto::aead::{self, TAG_LEN};
use protocol::crypto::hash::sha256;
use protocol::errors::ErrorCode;
use protocol::objects::root::Mode;
use zeroize::Zeroizing;

use crate::files;
use crate::keys::{KeyRing, fill, stretch};
use crate::passphrase::Passphrase;
use crate::secrets::Secrets;
use crate::{Result, Shown};

const MAGIC: &[u8; 8] = b"STRGSHAR";
const VERSION: u8 = 1;
const CHECK_LEN: usize = 8;
/// All in front of the salt: what every share shows, and its tag covers.
const HEAD_LEN: usize = 8 + 1 + 16 + 3;
const SEALED_LEN_MAX: usize = 16 * 1024;

/// A share as it lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedShare {
    /// The same in all shares of one split.
    set: [u8; 16],
    threshold: u8,
    count: u8,
    /// From 1.
    number: u8,
    salt: [u8; 16],
    nonce: [u8; 12],
    sealed: Vec<u8>,
}

/// Splits the keys: one share for each file and its passphrase, of which `threshold` give the keys
/// back.
pub fn split(
    keys: &KeyRing,
    threshold: u8,
    files: &[(PathBuf, Passphrase)],
) -> Result<Vec<SealedShare>> {
    let mut set = [0; 16];
    fill(&mut set)?;
    let count = u8::try_from(files.len()).map_err(|_| ErrorCode::TooLong.failure())?;
    let records = keys.to_records();
    let shares = Sharks(threshold).dealer(&records).zip(files).zip(1..=count);
    let sealed = shares.map(|((share, (_, passphrase)), number)| {
        let mut sealed = SealedShare {
            set,
            threshold,
            count,
            number,
            salt: [0; 16],
            nonce: [0; 12],
            sealed: Vec::new(),
        };
        sealed.seal(&Zeroizing::new(Vec::from(&share)), passphrase)?;
        Ok(sealed)
    });
    sealed.collect()
}

/// Reads shares back that were just written: the last `threshold` of them must give the keys.
pub fn try_out(keys: &KeyRing, files: &[(PathBuf, Passphrase)], threshold: u8) -> Result<()> {
    let needed = usize::from(threshold);
    let read = |(path, passphrase): &(PathBuf, Passphrase)| {
        let share = SealedShare::parse(&files::read(path)?)?;
        share.open(passphrase)
    };
    let opened: Result<Vec<Share>> = files.iter().rev().take(needed).map(read).collect();
    if recover(&opened?, needed)?.to_records() == keys.to_records() {
        return Ok(());
    }
    Err(ErrorCode::ShareDamaged.failure().into())
}

/// Joins the shares that are named, in memory only.
pub fn join(secrets: &dyn Secrets, mode: Mode) -> Result<KeyRing> {
    let mut shares: Vec<(SealedShare, &Path, usize)> = Vec::new();
    for (at, path) in secrets.shares().iter().enumerate() {
        let share = SealedShare::parse(&files::read(path)?);
        let share = share.map_err(|error| error.about(path.display()))?;
        let first = shares.first().map(|(first, ..)| first);
        if first.is_some_and(|first| !first.is_of_one_set_with(&share)) {
            return Err(Shown::from(ErrorCode::ShareOther.failure()).about(path.display()));
        }
        // One share twice is one share.
        if shares.iter().all(|(known, ..)| known.number != share.number) {
            shares.push((share, path, at));
        }
    }
    let needed = shares.first().map_or(0, |(first, ..)| usize::from(first.threshold));
    let missing = needed.saturating_sub(shares.len());
    if missing > 0 {
        return Err(ErrorCode::SharesMissing.with(missing as u64, needed as u64).into());
    }
    let mut opened = Vec::new();
    for (share, path, at) in shares.iter().take(needed) {
        let passphrase = secrets.share_passphrase(*at, mode)?;
        opened.push(share.open(&passphrase).map_err(|error| error.about(path.display()))?);
    }
    recover(&opened, needed)
}

/// The keys, if the shares are of one split and enough.
fn recover(shares: &[Share], needed: usize) -> Result<KeyRing> {
    let damaged = || Shown::from(ErrorCode::ShareDamaged.failure());
    let threshold = u8::try_from(needed).map_err(|_| damaged())?;
    let records = Sharks(threshold).recover(shares).map_err(|_| damaged())?;
    KeyRing::from_records(&Zeroizing::new(records)).ok_or_else(damaged)
}

impl SealedShare {
    /// Takes a file's bytes apart.
    pub fn parse(file: &[u8]) -> Result<Self> {
        let damaged = || Shown::from(ErrorCode::ShareDamaged.failure());
        let (whole, check) = file.split_last_chunk::<CHECK_LEN>().ok_or_else(damaged)?;
        let rest = whole.strip_prefix(MAGIC).ok_or_else(damaged)?;
        if sha256(whole)[..CHECK_LEN] != check[..] {
            return Err(damaged());
        }
        let ([version], rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        if *version > VERSION {
            return Err(ErrorCode::NewerVersion.with((*version).into(), 0).into());
        }
        let (set, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (&[threshold, count, number], rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (salt, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (nonce, sealed) = rest.split_first_chunk().ok_or_else(damaged)?;
        let share = SealedShare {
            set: *set,
            threshold,
            count,
            number,
            salt: *salt,
            nonce: *nonce,
            sealed: sealed.to_vec(),
        };
        let numbered = threshold >= 2 && threshold <= count && (1..=count).contains(&number);
        let bounded = (TAG_LEN + 2..=SEALED_LEN_MAX).contains(&sealed.len());
        (*version == VERSION && numbered && bounded).then_some(share).ok_or_else(damaged)
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = [&self.head()[..], &self.salt, &self.nonce, &self.sealed].concat();
        let check = sha256(&out);
        out.extend_from_slice(&check[..CHECK_LEN]);
        out
    }

    fn is_of_one_set_with(&self, other: &SealedShare) -> bool {
        (self.set, self.threshold, self.count) == (other.set, other.threshold, other.count)
    }

    fn head(&self) -> [u8; HEAD_LEN] {
        let mut head = [0; HEAD_LEN];
        head[..8].copy_from_slice(MAGIC);
        head[8] = VERSION;
        head[9..25].copy_from_slice(&self.set);
        head[25..].copy_from_slice(&[self.threshold, self.count, self.number]);
        head
    }

    fn seal(&mut self, share: &[u8], passphrase: &Passphrase) -> Result<()> {
        fill(&mut self.salt)?;
        fill(&mut self.nonce)?;
        let key = stretch(passphrase, &self.salt)?;
        let mut plain = Zeroizing::new(share.to_vec());
        let tag = aead::seal_in_place(&key, &self.nonce, &self.head(), &mut plain);
        self.sealed = [&plain[..], &tag].concat();
        Ok(())
    }

    fn open(&self, passphrase: &Passphrase) -> Result<Share> {
        let damaged = || Shown::from(ErrorCode::ShareDamaged.failure());
        let key = stretch(passphrase, &self.salt)?;
        let (bytes, tag) = self.sealed.split_last_chunk::<TAG_LEN>().ok_or_else(damaged)?;
        let mut plain = Zeroizing::new(bytes.to_vec());
        aead::open_in_place(&key, &self.nonce, &self.head(), &mut plain, tag).map_err(|_| {
            let failure = Shown::from(ErrorCode::VendorPassphrase.failure());
            failure.hinting("Name the file that holds it with --share-passphrase-file.")
        })?;
        let share = Share::try_from(&plain[..]).map_err(|_| damaged())?;
        // The place of a share is its number; the secret itself is at 0.
        if plain[0] == self.number { Ok(share) } else { Err(damaged()) }
    }
}

#[cfg(test)]
mod tests {
    use protocol::signed::Role;

    use super::*;
    use crate::keys::Home;

    fn shares_of(ring: &KeyRing, threshold: u8, count: usize) -> Vec<SealedShare> {
        let file = |_| (PathBuf::new(), Passphrase::empty());
        split(ring, threshold, &(0..count).map(file).collect::<Vec<_>>()).unwrap()
    }

    /// All choices of shares, by the bits of a number.
    fn chosen(shares: &[SealedShare], bits: usize) -> Vec<Share> {
        let chosen = shares.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
        chosen.map(|(_, share)| share.open(&Passphrase::empty()).unwrap()).collect()
    }

    #[test]
    fn any_k_of_n_give_the_keys_back_and_fewer_do_not() {
        let mut ring = KeyRing::default();
        ring.draw(Role::Root, Home::File).unwrap();
        let records = ring.to_records();
        let shares = shares_of(&ring, 3, 5);
        for bits in 0..32_usize {
            let chosen = chosen(&shares, bits);
            let joined = recover(&chosen, 3);
            assert_eq!(joined.is_ok(), chosen.len() >= 3, "{bits:#b}");
            if let Ok(joined) = joined {
                assert_eq!(joined.to_records(), records, "{bits:#b}");
            }
            // Two shares taken for enough give anything but the keys.
            if let (2, Ok(other)) = (chosen.len(), recover(&chosen, 2)) {
                assert_ne!(other.to_records(), records, "{bits:#b}");
            }
        }
    }

    #[test]
    fn a_share_with_any_bit_changed_is_damaged() {
        let mut ring = KeyRing::default();
        ring.draw(Role::Root, Home::File).unwrap();
        let share = &shares_of(&ring, 2, 2)[0];
        let bytes = share.to_bytes();
        assert_eq!(SealedShare::parse(&bytes).ok().as_ref(), Some(share));
        for bit in 0..8 * bytes.len() {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let refused = SealedShare::parse(&changed).map_err(|error| error.code());
            assert_eq!(refused, Err("S0A11".into()), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(SealedShare::parse(&bytes[..len]).is_err(), "{len}");
        }
    }
}
