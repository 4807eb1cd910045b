//! Counts what is decoded on this thread: attack tests look whether a body was read before its
//! proof held.

use std::cell::RefCell;
use std::collections::BTreeMap;

std::thread_local! {
    static DECODED: RefCell<BTreeMap<&'static str, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// Notes that somebody decodes a `T`.
pub(crate) fn note<T>() {
    DECODED.with_borrow_mut(|counts| *counts.entry(core::any::type_name::<T>()).or_default() += 1);
}

/// How often this thread has begun to decode a `T`.
pub fn decoded<T>() -> u64 {
    DECODED.with_borrow(|counts| counts.get(core::any::type_name::<T>()).copied().unwrap_or(0))
}
