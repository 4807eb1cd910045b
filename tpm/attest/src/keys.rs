//! Which keys of a TPM count.

mod attestation;
mod endorsement;

pub use attestation::{AkError, AttestationKey, check_ak};
pub use endorsement::{EkError, EndorsementKey, check_ek};
