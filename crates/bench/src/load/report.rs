//! The figures of one burst.

use super::Samples;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What one burst showed. Printed as one line of JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Good answers within the span.
    pub calls: u64,
    /// Wrong answers within the span.
    pub failures: u64,
    /// What was wrong with the first of them.
    pub first_failure: Option<String>,
    /// Good answers per second.
    pub calls_per_second: f64,
    /// Median latency, in microseconds.
    pub p50_us: u32,
    /// 99th percentile of the latency, in microseconds.
    pub p99_us: u32,
    /// CPU time of the watched processes for each good answer, in microseconds.
    pub cpu_us_per_call: f64,
    /// How much of one core the watched processes used, 0 to 1 and more.
    pub cores: f64,
    /// Resident memory of the watched processes at the end, in KiB.
    pub resident_kib: u64,
    #[serde(skip)]
    latencies: Vec<u32>,
    #[serde(skip)]
    span: Duration,
    #[serde(skip)]
    cpu: Duration,
}

impl Report {
    pub(super) fn new(span: Duration, cpu: Duration, resident_kib: u64) -> Self {
        Self { span, cpu, resident_kib, ..Self::default() }
    }

    pub(super) fn add(&mut self, samples: Samples) {
        self.latencies.extend(samples.latencies);
        self.failures += samples.failures;
        self.first_failure = self.first_failure.take().or(samples.first_failure);
    }

    pub(super) fn finish(&mut self) {
        self.latencies.sort_unstable();
        self.calls = self.latencies.len() as u64;
        let (span, calls) = (self.span.as_secs_f64(), self.latencies.len() as f64);
        self.calls_per_second = calls / span;
        self.cores = self.cpu.as_secs_f64() / span;
        self.cpu_us_per_call = if self.calls == 0 { 0.0 } else { self.cpu.as_secs_f64() * 1e6 / calls };
        let at = |percent: usize| {
            let place = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
            self.latencies.get(place).copied().unwrap_or(0)
        };
        (self.p50_us, self.p99_us) = (at(50), at(99));
        self.latencies = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_good_answers_only() {
        let mut report = Report::new(Duration::from_secs(2), Duration::from_millis(100), 1);
        report.add(Samples {
            latencies: (1..=100).rev().collect(),
            failures: 3,
            first_failure: Some("x".into()),
        });
        report.finish();
        assert_eq!((report.calls, report.failures, report.p50_us, report.p99_us), (100, 3, 51, 100));
        assert!((report.cpu_us_per_call - 1000.0).abs() < 1e-9);
    }
}
