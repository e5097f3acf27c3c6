//! How long a failing server is left alone. Pure: time comes in, a verdict goes out.

use std::time::Duration;

/// Counts failures in a row and says when the next attempt may be made.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Backoff {
    failures: u32,
    /// Nanoseconds of `Clock::ticks`.
    until: u64,
}

impl Backoff {
    /// The pause after the first failure; it doubles with each further one.
    pub(crate) const FIRST: Duration = Duration::from_millis(500);
    /// The longest pause.
    pub(crate) const LONGEST: Duration = Duration::from_secs(30);

    /// How long to wait still, or nothing when an attempt may be made.
    pub(crate) fn remaining(&self, ticks: u64) -> Option<Duration> {
        (ticks < self.until).then(|| Duration::from_nanos(self.until.saturating_sub(ticks)))
    }

    /// Notes a failure. `noise` (any byte) spreads the pause over 75 to 100 % of its length.
    pub(crate) fn failed(&mut self, ticks: u64, noise: u8) {
        let pause = pause(self.failures, noise);
        self.failures = self.failures.saturating_add(1);
        self.until = ticks.saturating_add(u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Notes a success.
    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Failures in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

/// The pause after `failures` earlier failures in a row.
pub(crate) fn pause(failures: u32, noise: u8) -> Duration {
    let full = Backoff::FIRST.saturating_mul(1 << failures.min(10)).min(Backoff::LONGEST);
    full.saturating_sub((full / 4).saturating_mul(u32::from(noise)) / 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_end_with_a_success() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.remaining(0), None);
        let mut last = Duration::ZERO;
        for _ in 0..20 {
            backoff.failed(1000, 0);
            let pause = backoff.remaining(1000).unwrap();
            assert!(pause >= last && pause <= Backoff::LONGEST);
            last = pause;
        }
        assert_eq!(last, Backoff::LONGEST);
        backoff.succeeded();
        assert_eq!((backoff.remaining(1000), backoff.failures()), (None, 0));
    }

    #[test]
    fn noise_shortens_a_pause_by_a_quarter_at_most() {
        assert_eq!(pause(0, 0), Backoff::FIRST);
        assert_eq!(pause(0, 255), Backoff::FIRST * 3 / 4);
        assert_eq!(pause(u32::MAX, 0), Backoff::LONGEST);
    }
}
