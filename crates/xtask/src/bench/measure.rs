//! One burst, and what many bursts say together.

use super::process::{self, Core};
use anyhow::Context as _;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::Path;

/// How long a burst is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) span_ms: u64,
    pub(super) warm_up_ms: u64,
}

/// What is asked in a burst, and of whom.
#[derive(Clone, Debug)]
pub(super) struct Burst<'a> {
    pub(super) address: SocketAddr,
    pub(super) path: &'a str,
    /// `None` asks for the list.
    pub(super) tool: Option<&'a str>,
    pub(super) era: &'a str,
    pub(super) connections: u32,
    pub(super) tokens: &'a Path,
    pub(super) watch: Vec<u32>,
}

/// The load generator's line.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Report {
    pub(super) calls: u64,
    pub(super) failures: u64,
    pub(super) first_failure: Option<String>,
    pub(super) calls_per_second: f64,
    pub(super) p50_us: u32,
    pub(super) p99_us: u32,
    pub(super) cpu_us_per_call: f64,
    pub(super) resident_kib: u64,
}

impl Burst<'_> {
    pub(super) fn run(&self, load: &Path, pace: Pace) -> anyhow::Result<Report> {
        let mut arguments = vec![
            "run".to_owned(),
            format!("--address={}", self.address),
            format!("--path={}", self.path),
            format!("--era={}", self.era),
            format!("--connections={}", self.connections),
            format!("--tokens={}", self.tokens.display()),
            format!("--span-ms={}", pace.span_ms),
            format!("--warm-up-ms={}", pace.warm_up_ms),
        ];
        arguments.extend(self.tool.map(|tool| format!("--tool={tool}")));
        arguments.extend(self.watch.iter().map(|pid| format!("--watch={pid}")));
        let line = process::output(Core::Rest, load, &arguments)?;
        let report: Report = serde_json::from_str(&line).context("an unreadable report")?;
        anyhow::ensure!(
            report.failures == 0 && report.calls > 0,
            "{} of {} answers were wrong: {}",
            report.failures,
            report.calls + report.failures,
            report.first_failure.unwrap_or_default()
        );
        Ok(report)
    }
}

/// The middle of some figures, 0 of none.
pub(super) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let upper = figures.get(middle).copied().unwrap_or(0.0);
    if figures.len() % 2 == 1 {
        return upper;
    }
    let lower = middle.checked_sub(1).and_then(|place| figures.get(place)).copied().unwrap_or(upper);
    f64::midpoint(lower, upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert!((median(vec![4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < 1e-9);
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!(median(Vec::new()).abs() < 1e-9);
    }
}
