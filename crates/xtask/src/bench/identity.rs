//! What identity costs a call, in process: each beside the least it could cost.

use super::process::{Core, output};
use super::table::Targets;
use crate::shell::say;
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
pub(super) struct Measured {
    signature: Spread,
    mint: Spread,
    digest: Spread,
    authenticate: Spread,
    recheck: Spread,
}

#[derive(Deserialize)]
struct Spread {
    p50_us: f64,
    p99_us: f64,
}

/// Runs the program that measures.
pub(super) fn run(program: &Path) -> anyhow::Result<Measured> {
    Ok(serde_json::from_str(&output::<&str>(Core::Measured, program, &[])?)?)
}

impl Measured {
    pub(super) fn print(&self) {
        say("| identity, in process | p50 µs | p99 µs | × the least |\n|---|--:|--:|--:|");
        for (name, spread, least) in [
            ("a bare signature (ES256)", &self.signature, &self.signature),
            ("a token for a server", &self.mint, &self.signature),
            ("a bare digest of a token", &self.digest, &self.digest),
            ("a known caller, revocation checked", &self.authenticate, &self.digest),
            ("a caller held against 8,000 revocations", &self.recheck, &self.digest),
        ] {
            let times = spread.p50_us / least.p50_us;
            say(&format!("| {name} | {:.2} | {:.2} | {times:.2} |", spread.p50_us, spread.p99_us));
        }
        say("");
    }

    pub(super) fn judge(&self, targets: &mut Targets) {
        targets.at_most("a token for a server, µs".to_owned(), Some(self.mint.p50_us), 60.0);
        targets.at_most(
            "a known caller, revocation checked, µs".to_owned(),
            Some(self.authenticate.p50_us),
            5.0,
        );
    }
}
