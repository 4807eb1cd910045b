//! Leases: what a program that holds seats is given to show, signed once for all of a commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::codec::{self, Fixed};
use protocol::errors::Shown;
use protocol::ids::ProductCode;
use protocol::objects::lease::LeaseBody;
use protocol::signed::{Header, Kind};
use uuid::Uuid;

use super::desk::Asked;
use super::firm::{Firm, Grounds, Leaf};
use super::firms::Firms;
use super::refusal::Outcome;
use super::seats::Held;
use crate::store::seats::{Seat, SeatState};

/// What a lease says beside the seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Whose license it is.
    pub tenant: Arc<str>,
    /// The grant's id, without its prefix.
    pub grant: [u8; 16],
    /// The product.
    pub product: u32,
}

/// Signs leases for seats that are held: one signature for each firm. By their places in `asked`;
/// a tenant that has no firm here signs none.
pub fn sign(
    firms: &Firms,
    asked: &[Asked],
    held: &[Outcome<Held>],
    now_ms: i64,
) -> BTreeMap<usize, Result<Vec<u8>, Shown>> {
    let mut by_firm: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, held) in held.iter().enumerate() {
        let is_held = |held: &Held| held.seat.state == SeatState::Held;
        if held.as_ref().is_ok_and(is_held) {
            by_firm.entry(&asked[at].lease.tenant).or_default().push(at);
        }
    }
    let mut signed = BTreeMap::new();
    for (tenant, places) in by_firm {
        let Some(firm) = firms.get(tenant) else { continue };
        let leaf = |at: &usize| {
            let held = held[*at].as_ref().ok()?;
            Some(leaf(&asked[*at].lease, &firm, &held.seat, now_ms))
        };
        match firm.signer.sign_leases(places.iter().filter_map(leaf).collect()) {
            Ok(objects) => signed.extend(places.into_iter().zip(objects.into_iter().map(Ok))),
            Err(why) => signed.extend(places.into_iter().map(|at| (at, Err(why.clone())))),
        }
    }
    signed
}

fn leaf(lease: &Lease, firm: &Firm, seat: &Seat, now_ms: i64) -> Leaf {
    let (high, low) = (seat.key.high.cast_unsigned(), seat.key.low.cast_unsigned());
    let body = codec::encode(&LeaseBody {
        session: Fixed(*Uuid::from_u64_pair(high, low).as_bytes()),
        product: ProductCode(lease.product),
        seats: u32::try_from(seat.seats).unwrap_or(u32::MAX),
    });
    let number = |number: i64| u64::try_from(number).unwrap_or(0);
    let root_fp = firm.trust.root.as_ref().map(|root| root.root_fp).unwrap_or_default();
    let header = Header {
        root_fp,
        target: lease.grant,
        seq: number(seat.n),
        issued_s: number(now_ms / 1000),
        // The last whole second before the time at which it is not held any more.
        until_s: number((seat.until_ms - 1) / 1000),
        ..Header::new(Kind::Lease, &body)
    };
    Leaf { header, body, claims: Vec::new(), grounds: Grounds::default() }
}
