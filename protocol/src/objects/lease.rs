//! Leases: a server's signed word that seats are held, for a program that cannot ask all the time.

use serde::{Deserialize, Serialize};

use crate::codec::Fixed;
use crate::ids::ProductCode;
#[cfg(feature = "aws-lc")]
use crate::{
    codec,
    errors::{ErrorCode, Failure},
    limits::LEASE_BODY_LEN_MAX,
    objects::delegation::Delegate,
    objects::file::{finish, next_object, object_failure},
    objects::root::Root,
    signed::hybrid::UnverifiedHybrid,
    signed::{HYBRID_SUITE, Header, Kind, Role},
};

/// The body of a lease. The header has the grant as `target`, the number of the request as `seq`,
/// and the last second in which the seats are held as `until_s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseBody {
    /// The session that holds them, as its client drew it.
    pub session: Fixed<16>,
    /// The product.
    pub product: ProductCode,
    /// How many.
    pub seats: u32,
}

/// A lease that holds, and the suite that it was signed under.
#[cfg(feature = "aws-lc")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedLease {
    /// Its header.
    pub header: Header,
    /// What it says.
    pub body: LeaseBody,
    /// 1 or 2.
    pub suite: u8,
}

/// Verifies a lease on a host, by the newest root that it trusts and the right that was handed on,
/// if one was. The root fixes the suite: where its role `licensing` has a key of suite 2, a lease
/// that P-256 alone signed is none.
///
/// # Errors
/// It is no lease, is of the other suite, or is not signed by the firm.
#[cfg(feature = "aws-lc")]
pub fn verify(
    root: &Root,
    delegate: Option<&Delegate>,
    bytes: &[u8],
) -> Result<VerifiedLease, Failure> {
    let suite = root.body.host_suite(Role::Licensing);
    let found = bytes.first().copied().unwrap_or_default();
    if found != suite {
        return Err(ErrorCode::LeaseSuite.with(found.into(), suite.into()));
    }
    let refused = |_| ErrorCode::LeaseRefused.failure();
    let object = match suite {
        HYBRID_SUITE => {
            let (object, rest) =
                UnverifiedHybrid::read(bytes, LEASE_BODY_LEN_MAX).map_err(object_failure)?;
            finish(rest)?;
            object.verify(&root.body).map_err(refused)?
        }
        _ => {
            let (object, rest) = next_object(bytes, LEASE_BODY_LEN_MAX)?;
            finish(rest)?;
            let own = root.key(Role::Licensing, object.header().key_id);
            let key = own.or_else(|| delegate.map(|delegate| delegate.key));
            let key = key.ok_or(ErrorCode::LeaseRefused.failure())?;
            object.verify_role(Role::Licensing, &key).map_err(refused)?
        }
    };
    if object.header.kind != Kind::Lease || object.header.root_fp != root.root_fp {
        return Err(ErrorCode::LeaseRefused.failure());
    }
    let body = codec::decode(object.body, LEASE_BODY_LEN_MAX);
    let body = body.map_err(|_| ErrorCode::Malformed.failure())?;
    Ok(VerifiedLease { header: object.header, body, suite })
}
