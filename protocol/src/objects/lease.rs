//! Leases: a server's signed word that seats are held, for a program that cannot ask all the time.

use serde::{Deserialize, Serialize};

use crate::codec::Fixed;
use crate::ids::ProductCode;

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
