//! The signed objects' contents, and the files that carry them.

pub mod artifact;
pub mod block;
pub mod configuration;
pub mod data;
pub mod delegation;
pub mod device;
pub mod enrollment;
pub mod file;
pub mod lease;
pub mod license;
pub mod option;
pub mod proof;
pub mod request;
pub mod revocation;
pub mod root;
pub mod statement;
pub mod test_root;
pub mod update;
pub mod usage;
