//! Host library: find a license container, open it, use a license.
//!
//! ```text
//! Registry  -> Container -> Seat         what applications meet
//!   Backend -> Channel                   the waist: bytes out, bytes back
//! ```
//!
//! Messages are end to end between this program and the container: whatever carries them is a
//! relay.
#![forbid(unsafe_code)]

mod backend;
mod clock;
mod container;
#[cfg(feature = "testing")]
pub mod contract;
pub mod dongle;
mod error;
mod registry;
mod seat;
mod secure;
mod socket;
mod who;

pub use backend::{Address, Backend, Channel, Found};
pub use container::{Container, Makers, UpdateError, furthest};
pub use error::Error;
pub use registry::{Discovery, Registry};
pub use seat::{KeptSeat, Seat};
pub use socket::MessageSocket;
pub use who::{RUNTIME_VERSION, UserKey, Who};
