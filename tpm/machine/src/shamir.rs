//! Shamir's secret sharing of 32 bytes over GF(2^8), for a handful of shares.
//!
//! The field is that of AES (FIPS 197, section 4): bytes as polynomials, modulo
//! x^8 + x^4 + x^3 + x + 1. Nothing is looked up at, and nothing branches on, a byte of a secret. A
//! trait that weighs more simply holds more shares.

use std::hint::black_box;

use protocol::crypto::{Random, RandomFailed};
use zeroize::Zeroizing;

/// The secret, or the value of each byte's polynomial somewhere.
pub(crate) type Block = [u8; 32];

/// The values of a polynomial at one place.
pub(crate) struct Share {
    /// Never 0, which is the place of the secret. No secret itself.
    pub(crate) x: u8,
    /// 32 bytes.
    pub(crate) y: Zeroizing<Block>,
}

/// A polynomial for each byte of a secret, which is its value at 0.
pub(crate) struct Polynomial {
    /// By rising powers, the secret first.
    coefficients: Vec<Zeroizing<Block>>,
}

impl Polynomial {
    /// Draws one that `threshold` shares determine, and one less says nothing of the secret.
    pub(crate) fn draw(
        secret: &Block,
        threshold: u8,
        random: &mut impl Random,
    ) -> Result<Self, RandomFailed> {
        let mut coefficients = Vec::with_capacity(threshold.into());
        coefficients.push(Zeroizing::new(*secret));
        for _ in 1..threshold {
            // Every byte is as good as any other, 0 in front included: else shares would tell.
            let mut coefficient = Zeroizing::new([0; 32]);
            random.fill(&mut coefficient[..])?;
            coefficients.push(coefficient);
        }
        Ok(Polynomial { coefficients })
    }

    /// The share at `x`.
    pub(crate) fn share(&self, x: u8) -> Share {
        let mut y = Zeroizing::new([0; 32]);
        for coefficient in self.coefficients.iter().rev() {
            for (value, addend) in y.iter_mut().zip(&coefficient[..]) {
                *value = mul(*value, x) ^ addend;
            }
        }
        Share { x, y }
    }
}

/// The values at `x` of the polynomials of least degree through `shares`, which lie at different
/// places.
pub(crate) fn interpolate(shares: &[&Share], x: u8) -> Zeroizing<Block> {
    let mut values = Zeroizing::new([0; 32]);
    for share in shares {
        let (mut over, mut under) = (1, 1);
        for other in shares.iter().filter(|other| other.x != share.x) {
            over = mul(over, x ^ other.x);
            under = mul(under, share.x ^ other.x);
        }
        let factor = mul(over, inverse(under));
        for (value, y) in values.iter_mut().zip(&share.y[..]) {
            *value ^= mul(*y, factor);
        }
    }
    values
}

/// The product in the field, in the same steps for all factors.
fn mul(a: u8, b: u8) -> u8 {
    let (mut shifted, mut product) = (a, 0);
    for bit in 0..8 {
        product ^= shifted & mask(b >> bit);
        shifted = (shifted << 1) ^ (0x1b & mask(shifted >> 7));
    }
    product
}

/// All bits are the lowest of `bit`.
fn mask(bit: u8) -> u8 {
    // Else the compiler might see that there are two cases, and branch.
    black_box(bit & 1).wrapping_neg()
}

/// The inverse in the field: a^254, since a^255 is 1. 0 has none, and gives 0.
fn inverse(a: u8) -> u8 {
    let (mut power, mut product) = (a, 1);
    for _ in 1..8 {
        power = mul(power, power);
        product = mul(product, power);
    }
    product
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{hex, random};

    fn polynomial(secret: &Block, threshold: u8, seed: u64) -> Polynomial {
        Polynomial::draw(secret, threshold, &mut random(seed)).unwrap()
    }

    fn block(byte: impl Fn(usize) -> usize) -> Block {
        std::array::from_fn(|at| byte(at) as u8)
    }

    #[test]
    fn the_field_is_that_of_aes() {
        // FIPS 197, sections 4.2 and 5.1.1.
        assert_eq!((mul(0x57, 0x83), mul(0x57, 0x13), inverse(0x53)), (0xc1, 0xfe, 0xca));
        for a in 1..=u8::MAX {
            assert_eq!((mul(a, inverse(a)), mul(a, 0), mul(a, 1)), (1, 0, a));
        }
        assert_eq!(inverse(0), 0);
    }

    /// Computed apart, by multiplying without carry and then dividing by 0x11b. Byte j of the
    /// secret is 7j + 1, byte j of the coefficient of x^k, for k = 1, 2, 3, is 31k + 5j + 3, all
    /// modulo 256; byte j of the share at x is the sum over k of that times x^k.
    #[test]
    fn shares_are_as_computed_apart() {
        let coefficient = |k: usize| Zeroizing::new(block(|j| 31 * k + 5 * j + 3));
        let secret = Zeroizing::new(block(|j| 7 * j + 1));
        let polynomial = Polynomial {
            coefficients: vec![secret.clone(), coefficient(1), coefficient(2), coefficient(3)],
        };
        let known = [
            (1, "020c02180a3c4a9092ecf2f8ea1c2a20222c22186a7c6a50524c32384a5c4a40"),
            (2, "77401d7ab3c411473e79c4d38adbde9910277aa6421500b7cee99483ba1d387f"),
            (17, "c7cee57c0b15a8dd0c751029b039854bc4cde690d5eb6cd7061f3c05fc9c00ce"),
            (255, "b44eda1fd18f3a25bb319601ae7afb60dd27b3c83b459d6cf21875e22d70d14a"),
        ];
        let shares = known.map(|(x, y)| {
            let share = polynomial.share(x);
            assert_eq!(hex(&share.y[..]), y, "at {x}");
            share
        });
        assert!(interpolate(&shares.each_ref(), 0) == secret);
    }

    /// Pearson's statistic over the 256 values of a byte, 255 degrees of freedom: above 380 it is
    /// once in a million. Without the value 0, or with odd values only, it is above 600.
    #[test]
    fn every_coefficient_is_any_byte_equally_often() {
        const DRAWS: u64 = 5_000;
        let mut counts = [[0_u32; 256]; 13];
        for seed in 0..DRAWS {
            let polynomial = polynomial(&[0; 32], 14, seed);
            for (counts, coefficient) in counts.iter_mut().zip(&polynomial.coefficients[1..]) {
                coefficient.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
            }
        }
        let expected = (DRAWS * 32) as f64 / 256.0;
        for (power, counts) in (1..).zip(counts) {
            let deviations = counts.map(|count| (f64::from(count) - expected).powi(2) / expected);
            let statistic: f64 = deviations.iter().sum();
            assert!(statistic < 380.0, "x^{power}: {statistic}");
            assert!(counts[0] > 0 && counts[2] > 0, "x^{power}");
        }
    }

    #[test]
    fn a_failed_source_of_randomness_gives_no_polynomial() {
        let mut failed = |_: &mut [u8]| Err(RandomFailed);
        assert!(Polynomial::draw(&[0; 32], 2, &mut failed).is_err());
    }

    proptest! {
        #[test]
        fn any_threshold_of_shares_gives_the_secret_and_every_share_back(
            secret: Block,
            threshold in 2_u8..=14,
            seed: u64,
            places in Just((1..=17).collect::<Vec<u8>>()).prop_shuffle(),
        ) {
            let polynomial = polynomial(&secret, threshold, seed);
            let shares: Vec<_> = places.iter().map(|x| polynomial.share(*x)).collect();
            let all: Vec<_> = shares.iter().collect();
            let enough = &all[..threshold.into()];
            prop_assert!(*interpolate(enough, 0) == secret);
            for share in &all {
                prop_assert!(interpolate(enough, share.x) == share.y);
            }
            // Off by 2^-256.
            prop_assert!(*interpolate(&enough[1..], 0) != secret);
        }

        /// What one share less leaves open: with it, each secret is as possible as any other.
        #[test]
        fn one_share_less_fits_every_secret(secret: Block, other: Block, seed: u64) {
            let polynomial = polynomial(&secret, 5, seed);
            let shares: Vec<_> = (1..5).map(|x| polynomial.share(x)).collect();
            let claimed = Share { x: 0, y: Zeroizing::new(other) };
            let with: Vec<_> = shares.iter().chain([&claimed]).collect();
            let fifth = Share { x: 5, y: interpolate(&with, 5) };
            let enough: Vec<_> = shares.iter().chain([&fifth]).collect();
            prop_assert!(*interpolate(&enough, 0) == other);
        }
    }
}
