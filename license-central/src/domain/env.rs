//! What a step may not make up: the time, random numbers, who asks.

use std::cell::Cell;

use uuid::Builder;

/// Where ids and tickets come from. A simulation gives one that can be repeated.
pub trait Random: Send + Sync {
    /// Fills with random bytes.
    fn fill(&self, out: &mut [u8]);
}

/// The system's randomness.
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, out: &mut [u8]) {
        // Without randomness nothing that follows could be trusted, nor answered.
        getrandom::fill(out).expect("the system gives random bytes");
    }
}

/// One request, as a step sees it.
pub struct Env<'a> {
    /// When it is handled, milliseconds since 1970 UTC.
    pub now_ms: i64,
    /// Randomness.
    pub random: &'a dyn Random,
    /// Who asks, for the audit.
    pub actor: &'a str,
    /// Ids that were drawn for it.
    drawn: Cell<u16>,
}

impl<'a> Env<'a> {
    /// Of a request that comes now.
    pub fn new(now_ms: i64, random: &'a dyn Random, actor: &'a str) -> Self {
        Env { now_ms, random, actor, drawn: Cell::new(0) }
    }

    /// The time in seconds.
    pub fn now_s(&self) -> u64 {
        u64::try_from(self.now_ms / 1000).unwrap_or(0)
    }

    /// A new id, such as `ord_0192…`: a UUID of version 7 (RFC 9562), which rises with time. Those
    /// of one request are counted, so that they stay in order.
    pub fn id(&self, prefix: &str) -> String {
        let count = self.drawn.get();
        self.drawn.set(count.wrapping_add(1));
        let mut bytes = [0; 10];
        self.random.fill(&mut bytes);
        // 12 bits of counter, behind the 4 bits that the version takes.
        bytes[0] = (count >> 8) as u8 & 0x0f;
        bytes[1] = count as u8;
        let now_ms = u64::try_from(self.now_ms).unwrap_or(0);
        format!(
            "{prefix}_{}",
            Builder::from_unix_timestamp_millis(now_ms, &bytes).into_uuid().simple()
        )
    }

    /// What no id of this time or later comes before.
    pub fn first_id(at_ms: i64, prefix: &str) -> String {
        let at_ms = u64::try_from(at_ms).unwrap_or(0);
        format!(
            "{prefix}_{}",
            Builder::from_unix_timestamp_millis(at_ms, &[0; 10]).into_uuid().simple()
        )
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_request_rise_and_none_comes_twice() {
        let env = Env::new(1_700_000_000_000, &SystemRandom, "me");
        let ids: Vec<String> = (0..4096).map(|_| env.id("ord")).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(Env::first_id(env.now_ms, "ord") <= ids[0]);
        assert!(Env::first_id(env.now_ms + 1, "ord") > ids[4095]);
        let later = Env::new(1_700_000_000_001, &SystemRandom, "me");
        assert!(later.id("ord") > ids[4095]);
        assert_eq!(ids[0].len(), "ord_".len() + 32);
    }
}
