//! What is printed: the tables, and the targets with what became of them.

use crate::shell::say;

/// One line of a table.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) calls_per_second: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) cpu_us_per_call: f64,
    pub(super) to_nginx: Option<f64>,
    pub(super) to_floor: Option<f64>,
    pub(super) resident_mb: f64,
}

/// The machine, once.
pub(super) fn heading(machine: &str) {
    say(&format!(
        "{machine}\nMedians over the rounds; CPU is that of the measured process; 1 MB is 10^6 bytes.\n"
    ));
}

/// The table of one number of connections, in Markdown.
pub(super) fn print(connections: u32, rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    say(&format!(
        "| at {connections} | calls/s | p50 µs | p99 µs | CPU ms per 10,000 calls | × nginx | × floor | MB |\n|---|--:|--:|--:|--:|--:|--:|--:|"
    ));
    for row in rows {
        say(&format!(
            "| {} | {:.0} | {:.0} | {:.0} | {:.0} | {} | {} | {:.1} |",
            row.name,
            row.calls_per_second,
            row.p50_us,
            row.p99_us,
            // Microseconds per call and milliseconds per 10,000 calls: a factor of ten.
            row.cpu_us_per_call * 10.0,
            ratio(row.to_nginx),
            ratio(row.to_floor),
            row.resident_mb,
        ));
    }
    say("");
}

/// The targets, and whether they were met.
#[derive(Default)]
pub(super) struct Targets(Vec<Target>);

pub(super) struct Target {
    name: String,
    is: Option<f64>,
    bound: f64,
    at_most: bool,
}

impl Targets {
    pub(super) fn at_most(&mut self, name: String, is: Option<f64>, bound: f64) {
        self.0.push(Target { name, is, bound, at_most: true });
    }

    pub(super) fn at_least(&mut self, name: String, is: Option<f64>, bound: f64) {
        self.0.push(Target { name, is, bound, at_most: false });
    }

    pub(super) fn missed(&self) -> usize {
        self.0.iter().filter(|target| target.met() == Some(false)).count()
    }

    pub(super) fn print(&self) {
        say("| target | is | bound | |\n|---|--:|--:|---|");
        for target in &self.0 {
            let is = target.is.map_or_else(|| "not measured".to_owned(), |is| format!("{is:.2}"));
            let sign = if target.at_most { "≤" } else { "≥" };
            let verdict = match target.met() {
                Some(true) => "met",
                Some(false) => "MISSED",
                None => "",
            };
            say(&format!("| {} | {is} | {sign} {} | {verdict} |", target.name, target.bound));
        }
        say("");
    }
}

impl Target {
    fn met(&self) -> Option<bool> {
        self.is.map(|is| if self.at_most { is <= self.bound } else { is >= self.bound })
    }
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_was_not_measured_is_neither_met_nor_missed() {
        let mut targets = Targets::default();
        targets.at_most("a".to_owned(), None, 1.0);
        targets.at_most("b".to_owned(), Some(1.0), 1.0);
        targets.at_least("c".to_owned(), Some(0.5), 1.0);
        assert_eq!(targets.missed(), 1);
    }
}
