//! Randomness as an argument.

use std::sync::atomic::{AtomicU64, Ordering};

/// Where randomness comes from.
pub trait Dice: Send + Sync + 'static {
    /// Fills `out` with random bytes.
    fn fill(&self, out: &mut [u8]);

    /// `N` random bytes.
    fn bytes<const N: usize>(&self) -> [u8; N]
    where
        Self: Sized,
    {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }
}

/// The operating system's generator, through the cryptographic provider.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemDice;

impl Dice for SystemDice {
    fn fill(&self, out: &mut [u8]) {
        #[allow(clippy::disallowed_methods, reason = "the one place that rolls real dice")]
        let filled = aws_lc_rs::rand::fill(out);
        if filled.is_err() {
            // INVARIANT: nothing is sealed, signed or named without randomness.
            std::process::abort();
        }
    }
}

/// Reproducible dice for tests (SplitMix64). Never for a running gateway.
#[derive(Debug)]
pub struct SeededDice(AtomicU64);

impl SeededDice {
    /// Dice whose every roll follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Dice for SeededDice {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let mut z =
                self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst).wrapping_add(0x9E37_79B9_7F4A_7C15);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            let word = (z ^ (z >> 31)).to_le_bytes();
            chunk.iter_mut().zip(word).for_each(|(slot, byte)| *slot = byte);
        }
    }
}
