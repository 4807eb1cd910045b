//! Attacks on the protocol, the engine and the host library, and power cuts under the engine.

mod answers;
mod attacks;
mod bounds;
mod costs;
mod heap;
mod isolation;
mod keys;
mod license;
mod memory;
mod parsers;
mod pin;
mod power;
mod put_back;
mod receiving;
mod refusals;
mod reports;
mod retire;
mod seats;
mod signatures;
mod simulation;
mod time;
mod trust;
mod units;
mod updates;
mod vectors;
mod vendor_keys;
