//! A TPM 2.0 in software for tests: swtpm on loopback, a wire to cut and to listen to, and tools.
//!
//! It needs swtpm and its tools, tpm2-tools, and setpriv of util-linux, and touches nothing outside
//! of folders for temporary files. There is no resource manager before it: what a killed program
//! leaves in the TPM stays there ([`Swtpm::flush_all`]).

mod certificate;
mod codes;
mod handles;
mod instance;
mod manufacture;
mod other_user;
mod ports;
mod process;
mod proxy;
mod raw;
mod tools;

pub use codes::CommandCode;
pub use instance::{Snapshot, Swtpm};
pub use manufacture::{Authorities, Model};
pub use other_user::OtherUser;
pub use ports::Ports;
pub use proxy::{Act, Exchange, Held, Hold, Proxy, hold};
pub use raw::{Connection, get_random};
pub use tools::Tools;
