//! Attacks on the protocol, the engine and the host library, and power cuts under the engine.

mod heap;
mod keys;
mod memory;
mod parsers;
mod power;
mod reports;
mod signatures;
mod trust;
mod updates;
