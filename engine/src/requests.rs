//! Requests to the firm's server: a new one is drawn once the last was answered, so that copies of
//! a container ask by different ones. Only where the home can be copied.

use alloc::vec::Vec;

use protocol::codec::{self, Fixed};
use protocol::crypto::Random;
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::RootFp;
use protocol::objects::device::AnchorClass;
use protocol::objects::enrollment::Attested;
use protocol::objects::request::{Answer, Request};
use serde::{Deserialize, Serialize};

use crate::engine::{Engine, store_failure};
use crate::platform::{Keys, Platform, Store, StoreError};
use crate::records;

/// What a container had of its answers, and what it asks by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Requests {
    /// Requests that were answered.
    number: u64,
    /// The head of the last answer.
    head: Fixed<32>,
    last: Answered,
    open: Option<Open>,
}

/// A request without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    draw: Fixed<32>,
    evidence: Option<Attested>,
}

/// The last answer of a firm's server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// When it was given, by the firm's clock, Unix seconds UTC; 0 = never.
    pub at_s: u64,
    /// For how long the container may be used after its machine was copied or changed, seconds.
    pub grace_s: u32,
}

/// The last answer that a container had, by its records.
///
/// # Errors
/// They cannot be read.
pub fn answered(store: &mut impl Store) -> Result<Answered, StoreError> {
    let kept: Option<Requests> = records::read(store, records::REQUESTS)?;
    Ok(kept.unwrap_or_default().last)
}

impl Requests {
    fn open(&self) -> Option<Request> {
        let Open { draw, evidence } = self.open.clone()?;
        Some(Request { number: self.number + 1, after: self.head, draw, evidence })
    }

    /// Takes an answer of `at_s` in.
    pub(crate) fn answer(&mut self, answer: &Answer, at_s: u64) -> Result<(), Failure> {
        if self.open.as_ref().is_none_or(|open| open.draw != answer.draw) {
            return Err(ErrorCode::AnswerOther.failure());
        }
        let last = Answered { at_s, grace_s: answer.grace_s };
        *self = Requests { number: self.number + 1, head: answer.head, last, open: None };
        Ok(())
    }
}

impl<P: Platform> Engine<P> {
    /// What a context to this firm asks by: durable before it is told.
    pub(crate) fn request(&mut self, root_fp: RootFp) -> Result<Option<Request>, Failure> {
        let asks = matches!(self.profile.anchor, AnchorClass::Tpm | AnchorClass::None);
        let parts = self.platform.parts();
        let id = parts.keys.id();
        if !asks || parts.keys.only_firm() != Some(root_fp) {
            return Ok(None);
        }
        let kept = records::read(parts.store, records::REQUESTS).map_err(store_failure)?;
        let mut kept: Requests = kept.unwrap_or_default();
        if kept.open.is_none() {
            let mut draw = Fixed([0; 32]);
            let drawn = parts.random.fill(&mut draw.0);
            drawn.map_err(|_| ErrorCode::RandomFailed.failure())?;
            kept.open = Some(Open { draw, evidence: None });
            if let Some(over) = kept.open().map(|request| request.qualifying(root_fp, id)) {
                let evidence = self.platform.attest(&over).map_err(store_failure)?;
                kept.open = Some(Open { draw, evidence });
            }
            self.commit(Vec::from([(records::REQUESTS, Some(codec::encode(&kept)))]))?;
        }
        Ok(kept.open())
    }
}
