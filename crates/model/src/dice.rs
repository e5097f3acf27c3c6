//! Randomness as an argument.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroize as _;

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

/// The operating system's generator, through the cryptographic provider. Small rolls, of which every call needs
/// one, are cut from a page that each thread rolls in advance: a roll costs the same for 16 bytes as for 512.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemDice;

impl Dice for SystemDice {
    fn fill(&self, out: &mut [u8]) {
        let cut = PAGE.try_with(|page| page.borrow_mut().cut(out));
        // A thread that ends has no page any more.
        if !cut.unwrap_or(false) {
            roll(out);
        }
    }
}

fn roll(out: &mut [u8]) {
    #[allow(clippy::disallowed_methods, reason = "the one place that rolls real dice")]
    let filled = aws_lc_rs::rand::fill(out);
    if filled.is_err() {
        // INVARIANT: nothing is sealed, signed or named without randomness.
        std::process::abort();
    }
}

thread_local! {
    static PAGE: RefCell<Page> = const { RefCell::new(Page { bytes: [0; PAGE_BYTES], used: PAGE_BYTES }) };
}

/// Random bytes, each given out once and wiped.
struct Page {
    bytes: [u8; PAGE_BYTES],
    used: usize,
}

impl Page {
    /// Fills `out`; false if that is no small roll.
    fn cut(&mut self, out: &mut [u8]) -> bool {
        if out.len() > SMALL_BYTES {
            return false;
        }
        if self.used + out.len() > PAGE_BYTES {
            roll(&mut self.bytes);
            self.used = 0;
        }
        let Some(cut) = self.bytes.get_mut(self.used..self.used + out.len()) else { return false };
        out.copy_from_slice(cut);
        cut.zeroize();
        self.used += out.len();
        true
    }
}

const PAGE_BYTES: usize = 512;
const SMALL_BYTES: usize = 32;

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_byte_of_a_page_is_given_out_twice() {
        let rolls: HashSet<[u8; 16]> = (0..10_000).map(|_| SystemDice.bytes()).collect();
        assert_eq!(rolls.len(), 10_000);
        PAGE.with(|page| {
            let page = page.borrow();
            assert!(page.bytes.iter().take(page.used).all(|byte| *byte == 0));
        });
        let long: [u8; 64] = SystemDice.bytes();
        assert_ne!(long, [0; 64]);
    }
}
