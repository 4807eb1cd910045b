//! The signer: a process of its own that holds the vendors' keys. It takes typed updates, never
//! bytes to sign; keeps to the caps of a file that no route of the server reaches; and writes each
//! update into a journal of its own before it signs it. The time it certifies by its own clock, and
//! never one before what it certified.

pub mod caps;
pub mod index;
pub mod journal;
pub mod keeper;
pub mod leased;
pub mod link;
pub mod process;
pub mod times;
pub mod wire;
