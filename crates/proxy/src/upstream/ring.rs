//! The last lines a child wrote to its standard error, within a bound.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Keeps the newest bytes, at most [`Ring::BYTES`]. For operators asking why a child failed; never logged
/// beside arguments, never shown to a caller.
#[derive(Default)]
pub(crate) struct Ring(Mutex<VecDeque<u8>>);

impl Ring {
    /// Bytes kept.
    pub(crate) const BYTES: usize = 16 << 10;

    /// Appends, forgetting the oldest bytes.
    pub(crate) fn push(&self, bytes: &[u8]) {
        let fresh = bytes.get(bytes.len().saturating_sub(Self::BYTES)..).unwrap_or_default();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let excess = (kept.len() + fresh.len()).saturating_sub(Self::BYTES);
        kept.drain(..excess);
        kept.extend(fresh);
    }

    /// The last non-empty line, at most 300 characters, without control characters.
    pub(crate) fn last_line(&self) -> Option<String> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = kept.iter().copied().collect();
        drop(kept);
        let text = String::from_utf8_lossy(&bytes);
        let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
        Some(line.trim().chars().filter(|c| !c.is_control()).take(300).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_bytes_and_shows_the_last_line() {
        let ring = Ring::default();
        assert_eq!(ring.last_line(), None);
        ring.push(&vec![b'x'; 3 * Ring::BYTES]);
        ring.push(b"\nwhy \x07it failed\n\n");
        assert_eq!(ring.last_line().as_deref(), Some("why it failed"));
        assert_eq!(ring.0.lock().unwrap().len(), Ring::BYTES);
    }
}
