//! License Central: turns orders into licenses in customers' containers, and keeps account of them.
//!
//! [`store`] keeps records, [`domain`] says what may be done with them, [`api`] is what is reached
//! over HTTP, [`place`] where all of it lies on disk. The domain does no I/O but through the store
//! and the signer, and reads no clock.

#![forbid(unsafe_code)]

pub mod api;
pub mod args;
pub mod carrier;
pub mod clock;
pub mod commands;
pub mod domain;
pub mod listen;
pub mod place;
pub mod private;
pub mod recovery;
pub mod server;
pub mod signer;
pub mod store;
pub mod tls;
