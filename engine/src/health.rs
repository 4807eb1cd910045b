//! Whether a source of random bytes is alive: asked before keys and sessions are made of it.
//!
//! It tells a source that is stuck or repeats, which is how they fail at power-up; none tells a
//! stream that somebody else knows.

use protocol::crypto::{Random, RandomFailed};

const BLOCK_LEN: usize = 16;

/// Draws four blocks. No two may be equal, and none may repeat within itself: in a source that
/// works, that happens less than once in 2^60 times.
///
/// # Errors
/// [`RandomFailed`] where the source fails, is stuck, or repeats.
pub fn check_random(random: &mut (impl Random + ?Sized)) -> Result<(), RandomFailed> {
    let mut blocks = [[0; BLOCK_LEN]; 4];
    for block in &mut blocks {
        random.fill(block)?;
    }
    let repeats = |block: &[u8; BLOCK_LEN]| {
        (1..=BLOCK_LEN / 2).any(|period| block[period..] == block[..BLOCK_LEN - period])
    };
    let is_again = |at: usize| blocks[..at].contains(&blocks[at]);
    let is_bad = blocks.iter().any(repeats) || (1..blocks.len()).any(is_again);
    if is_bad { Err(RandomFailed) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(mut next: impl FnMut() -> u8) -> bool {
        let mut random = |out: &mut [u8]| {
            out.iter_mut().for_each(|byte| *byte = next());
            Ok(())
        };
        check_random(&mut random).is_ok()
    }

    #[test]
    fn sec_s20_a_source_that_is_stuck_or_repeats_is_refused() {
        for stuck in [0x00, 0x55, 0xff] {
            assert!(!checked(|| stuck));
        }
        for period in [2, 3, 4, 8, 16, 32, 48] {
            let mut at = 0_usize;
            let counted = checked(|| {
                at += 1;
                (at % period) as u8 ^ 0x5a
            });
            assert!(!counted, "period {period}");
        }
        let mut state = 1_u32;
        assert!(checked(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        }));
    }
}
