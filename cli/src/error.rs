//! How a command fails.

pub(crate) use protocol::errors::Shown;

pub(crate) type Result<T> = std::result::Result<T, Shown>;
