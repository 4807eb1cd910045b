//! Unpredictable bytes, always passed in.

/// A source of unpredictable bytes. Any `FnMut(&mut [u8]) -> Result<(), RandomFailed>` is one.
pub trait Random {
    /// Fills `out` completely, or fails; after a failure `out` must not be used.
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed>;
}

impl<F: FnMut(&mut [u8]) -> Result<(), RandomFailed>> Random for F {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        self(out)
    }
}

/// The source of random bytes failed its health test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomFailed;
