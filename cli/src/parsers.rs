//! The command line's parsers, for the fuzzer alone: nothing here is meant to be built upon.
//!
//! Each takes any bytes and returns what it read, or `None` for what is refused. Where there is a
//! writer, the bytes that it makes come along.

use std::fmt::Debug;

use protocol::ids::RootFp;
use vendor::keys::Sealed;
use vendor::ledger::Ledger;
use vendor::shares::SealedShare;
use vendor::store::StoreFile;
use vendor::trust::Trust;
use vendor::{Certifiers, Passphrase, Shown, features, parse_template, products, times};

use crate::commands::doctor::replay::replay;
use crate::commands::protect::texts;
use crate::support::Bundle;

/// The list of products.
pub fn read_products(bytes: &[u8]) -> Option<(impl PartialEq + Debug + use<>, Vec<u8>)> {
    let products = shown(products::parse(bytes))?;
    let written = shown(products::write(products.clone()))?;
    Some((products, written.into_bytes()))
}

/// The record of what a container was sent. Whatever it says, a place is found or refused.
pub fn read_ledger(bytes: &[u8]) -> Option<(impl PartialEq + Debug + use<>, Vec<u8>)> {
    let ledger = shown(Ledger::parse(bytes))?;
    let numbers = ledger.outstanding.iter().take(16).map(|issued| Some(issued.after.seq));
    for supersede in numbers.chain([None]) {
        if let Some(before) = shown(ledger.next(supersede)) {
            assert!(before.seq < u64::MAX, "no number is left");
        }
    }
    if let Some(last) = ledger.outstanding.last() {
        let mut settled = ledger.clone();
        assert!(settled.settle(last.after).is_ok(), "what was issued is not known");
    }
    let written = ledger.to_json();
    Some((ledger, written))
}

/// A support bundle, replayed: how many uses come out as it says.
pub fn replay_bundle(bytes: &[u8]) -> Option<usize> {
    let bundle = Bundle::parse(bytes).ok()?;
    let again = serde_json::to_vec(&bundle).ok()?;
    assert_eq!(Bundle::parse(&again).ok()?, bundle, "it is read otherwise than it is written");
    replay(&bundle).ok().map(|all| all.len())
}

/// An inventory for a firm: how many records it holds.
pub fn read_inventory(bytes: &[u8], root_fp: RootFp) -> Option<usize> {
    let (_, records) = vendor::read_inventory(bytes, Certifiers::simulated(root_fp)).ok()?;
    Some(records.len())
}

/// The key store, as far as it is read without a passphrase: the bytes that it is written as.
pub fn read_key_store(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(shown(Sealed::parse(bytes))?.to_bytes())
}

/// Where keys are that are not in a file.
pub fn read_store(bytes: &[u8]) -> Option<(impl PartialEq + Debug + use<>, Vec<u8>)> {
    let store = shown(StoreFile::parse(bytes))?;
    let written = shown(store.write())?;
    Some((store, written.into_bytes()))
}

/// A share of private keys, as far as it is read without a passphrase.
pub fn read_share(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(shown(SealedShare::parse(bytes))?.to_bytes())
}

/// A passphrase file: whether it is one.
pub fn is_passphrase(bytes: &[u8]) -> bool {
    shown(Passphrase::from_file(bytes)).is_some()
}

/// Roots, revocations and delegations of a file, as they are shown before they are applied: how
/// many objects there are.
pub fn read_trust(bytes: &[u8]) -> Option<usize> {
    let (trust, rest) = Trust::take(bytes).ok()?;
    let taken: usize = trust.objects().map(|part| part.bytes.len()).sum();
    assert_eq!(taken + rest.len(), bytes.len(), "bytes are lost");
    let (lines, _) = trust.describe(None);
    assert!(lines.iter().all(|line| !line.is_empty()));
    Some(trust.objects().count())
}

/// The vendor's texts for a refusal: how many there are.
pub fn read_refusal_texts(bytes: &[u8]) -> Option<usize> {
    Some(shown(texts::parse(bytes))?.len())
}

/// A license template, and the options that come of it: how many there are.
pub fn read_template(bytes: &[u8]) -> Option<usize> {
    let options = shown(shown(parse_template(bytes))?.options())?;
    assert!(options.windows(2).all(|pair| pair[0].kind() < pair[1].kind()), "not in order");
    Some(options.len())
}

/// A time, in Unix seconds.
pub fn read_time(text: &str) -> Option<u64> {
    shown(times::parse(text))
}

/// A time in words.
pub fn show_time(unix_s: u64) -> String {
    times::show(unix_s)
}

/// A feature map.
pub fn read_features(text: &str) -> Option<u64> {
    shown(features(text))
}

/// What was read. A refusal has words, and never the exit code of success.
fn shown<T>(read: Result<T, Shown>) -> Option<T> {
    read.map_err(|error| {
        assert!(error.exit() != 0 && !error.title(&times::show).is_empty(), "{error:?}")
    })
    .ok()
}
