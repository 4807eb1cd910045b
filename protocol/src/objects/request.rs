//! Requests that follow each other: how a vendor's server tells a container from its copy.
//!
//! A container whose home can be copied draws a random number before it asks, and keeps it until
//! the answer is there. So a lost answer is asked for again by the same request, and two copies ask
//! by different ones at the latest when both of them have had an answer.

use serde::{Deserialize, Serialize};

use crate::codec::{self, Fixed};
use crate::crypto::hash::{Hash32, Sha256};
use crate::ids::{ContainerId, RootFp};
use crate::objects::enrollment::Attested;

/// What a container asks by, in its contexts, until it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// From 1.
    pub number: u64,
    /// The head of the answer before; zero for the first.
    pub after: Fixed<32>,
    /// Drawn for this request, and durable before it was sent.
    pub draw: Fixed<32>,
    /// The machine's counter, as its TPM's attestation key certifies it over
    /// [`Request::qualifying`]; none where no TPM keeps the container.
    pub evidence: Option<Attested>,
}

/// What answers a request: a part of the update that does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What the request drew.
    pub draw: Fixed<32>,
    /// The new head.
    pub head: Fixed<32>,
    /// For how long the container may be used after its machine was copied or changed, seconds.
    pub grace_s: u32,
}

impl Request {
    /// Names the request: all of it but the evidence.
    pub fn hash(&self) -> Hash32 {
        let mut hash = Sha256::new();
        hash.update(b"strongroom/request/v1\0");
        hash.update(&codec::encode(&(self.number, self.after, self.draw)));
        hash.finish()
    }

    /// What a TPM signs with the evidence.
    pub fn qualifying(&self, root_fp: RootFp, container: ContainerId) -> Hash32 {
        let mut hash = Sha256::new();
        hash.update(b"strongroom/request-evidence/v1\0");
        hash.update(root_fp.bytes());
        hash.update(container.bytes());
        hash.update(&self.hash());
        hash.finish()
    }

    /// The head of its answer. `drawn` is the server's own, so that nobody knows the next head
    /// before it is given out.
    pub fn head(&self, drawn: &[u8; 32]) -> Hash32 {
        let mut hash = Sha256::new();
        hash.update(b"strongroom/request-head/v1\0");
        hash.update(&self.after.0);
        hash.update(&self.hash());
        hash.update(drawn);
        hash.finish()
    }
}
