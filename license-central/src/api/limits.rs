//! How much one client may ask: by key, by address, and for tickets and keys that were wrong.
//!
//! A limiter keeps for each client the time at which all that it asked would be paid off at the
//! allowed rate (the generic cell rate algorithm). It can be looked at without taking: a wrong
//! ticket costs, a right one does not.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

/// Clients that one limiter remembers before it forgets those that are paid off.
const CLIENTS_MAX: usize = 65_536;

/// A rate, and how much may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// From one to the next, microseconds.
    interval_us: u64,
    /// At once, after a pause.
    burst: u32,
}

/// All rates of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Requests with one key.
    pub per_key: Rate,
    /// Requests to the Gateway from one address. Those from this machine are not counted: behind a
    /// proxy that names no addresses they are everybody's.
    pub per_address: Rate,
    /// Wrong tickets, and wrong keys, from one address.
    pub wrong: Rate,
    /// Time tokens for one container, asked for from one address: those of a day are few for all.
    pub times: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Rates {
            per_key: Rate::per_minute(12_000, 2_000),
            per_address: Rate::per_minute(1_200, 600),
            wrong: Rate::per_minute(10, 30),
            times: Rate::per_minute(6, 12),
        }
    }
}

impl Rate {
    /// So many in a minute, and so many at once after a pause.
    pub const fn per_minute(count: u32, burst: u32) -> Self {
        let count = if count == 0 { 1 } else { count };
        Rate { interval_us: 60_000_000 / count as u64, burst }
    }

    /// One in an hour.
    pub const fn once_an_hour() -> Self {
        Rate { interval_us: 3_600_000_000, burst: 1 }
    }

    /// What may be owed by a client that may ask.
    fn credit_us(self) -> u64 {
        self.interval_us.saturating_mul(u64::from(self.burst.saturating_sub(1)))
    }
}

/// Counts what clients ask.
pub struct Limiter<K> {
    rate: Rate,
    paid_off_us: Mutex<HashMap<K, u64>>,
}

impl<K: Hash + Eq> Limiter<K> {
    /// At this rate.
    pub fn new(rate: Rate) -> Self {
        Limiter { rate, paid_off_us: Mutex::new(HashMap::new()) }
    }

    /// Whether this client may ask now; else after how many milliseconds. Costs nothing.
    pub fn look(&self, client: &K, now_ms: u64) -> Result<(), u64> {
        let clients = self.paid_off_us.lock().unwrap_or_else(PoisonError::into_inner);
        self.wait(clients.get(client).copied(), now_ms.saturating_mul(1000))
    }

    /// Counts a request, if the client may ask now.
    pub fn take(&self, client: K, now_ms: u64) -> Result<(), u64> {
        let mut clients = self.paid_off_us.lock().unwrap_or_else(PoisonError::into_inner);
        let now_us = now_ms.saturating_mul(1000);
        if clients.len() >= CLIENTS_MAX {
            clients.retain(|_, paid_off_us| *paid_off_us > now_us);
        }
        let known = clients.get(&client).copied();
        self.wait(known, now_us)?;
        clients.insert(client, known.unwrap_or(0).max(now_us) + self.rate.interval_us);
        Ok(())
    }

    fn wait(&self, paid_off_us: Option<u64>, now_us: u64) -> Result<(), u64> {
        let owed_us = paid_off_us.unwrap_or(0).saturating_sub(now_us);
        match owed_us.saturating_sub(self.rate.credit_us()) {
            0 => Ok(()),
            wait_us => Err(wait_us.div_ceil(1000)),
        }
    }
}

/// Which client an address counts as: with IPv6 a whole network of 64 bits, since that is what one
/// customer has.
pub fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate::per_minute(60, 3);

    #[test]
    fn a_burst_goes_through_and_then_one_in_each_interval() {
        let limiter = Limiter::new(RATE);
        let taken = |now_ms| (0..10).filter(|_| limiter.take("a", now_ms).is_ok()).count();
        assert_eq!(taken(5_000), 3);
        assert_eq!(limiter.take("a", 5_000), Err(1_000));
        assert_eq!(limiter.take("a", 5_999), Err(1));
        assert_eq!(taken(6_000), 1);
        assert_eq!(taken(8_000), 2);
        assert_eq!(taken(1_000_000), 3);
    }

    #[test]
    fn clients_do_not_pay_for_each_other() {
        let limiter = Limiter::new(RATE);
        (0..3).for_each(|_| limiter.take("a", 0).unwrap());
        limiter.take("a", 0).unwrap_err();
        limiter.take("b", 0).unwrap();
    }

    #[test]
    fn looking_costs_nothing() {
        let limiter = Limiter::new(RATE);
        (0..10).for_each(|_| limiter.look(&"a", 0).unwrap());
        (0..3).for_each(|_| limiter.take("a", 0).unwrap());
        assert_eq!(limiter.look(&"a", 0), Err(1_000));
        assert_eq!(limiter.look(&"a", 1_000), Ok(()));
    }

    #[test]
    fn who_is_paid_off_is_forgotten_and_nobody_else() {
        let limiter = Limiter::new(Rate::per_minute(1, 1));
        limiter.take(u64::MAX, 3_600_000).unwrap();
        (0..CLIENTS_MAX as u64 + 10).for_each(|client| limiter.take(client, 0).unwrap());
        limiter.take(1, 3_600_001).unwrap();
        assert!(limiter.paid_off_us.lock().unwrap().len() < 10);
        limiter.take(u64::MAX, 3_600_001).unwrap_err();
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let of = |text: &str| client_of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
