//! `cargo xtask soak`: the counts that are too long for every change.

use serde_json::Value;

use crate::ground::{self, Ground};
use crate::{shell, test};

/// How long is long.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Cases of every property test.
    #[arg(long, default_value_t = 5_000)]
    cases: u32,
    /// Seconds of every fuzz target.
    #[arg(long, default_value_t = 120)]
    fuzz_seconds: u32,
    /// Calls that are parked, and resources that are followed, at once.
    #[arg(long, default_value_t = 1_000)]
    parked: u32,
    /// Interleaved calls of two tenants.
    #[arg(long, default_value_t = 1_000_000)]
    calls: u32,
    /// Callers that are revoked while they call, on each database.
    #[arg(long, default_value_t = 3_000)]
    revoked: u32,
    /// Rounds of the conformance suite and of the interop matrix.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
}

/// Runs all of it; stops at the first failure.
pub(crate) fn run(ground: &Ground, arguments: &Arguments) -> anyhow::Result<()> {
    let postgres = test::postgres::Postgres::start()?;
    let cargo = || {
        let mut cargo = shell::command("cargo");
        cargo.current_dir(&ground.root).env(test::postgres::WHERE, postgres.url());
        cargo
    };
    shell::say(&format!("── {} cases of every property, ignored tests too", arguments.cases));
    let tests = ["test", "--quiet", "--workspace", "--", "--include-ignored"];
    shell::run(cargo().args(tests).env("PROPTEST_CASES", arguments.cases.to_string()))?;

    shell::say(&format!(
        "── {} conversations that break off, {} interleaved calls, {} revoked while they call",
        arguments.parked, arguments.calls, arguments.revoked
    ));
    // Optimized: the counts are of the gateway, not of the compiler's checks.
    let tests = ["test", "--release", "--quiet", "--package", "testkit", "--test", "house"];
    let filter = ["--", "house::soaking", "house::revoking", "--nocapture", "--test-threads", "1"];
    let mut soaking = cargo();
    soaking
        .args(tests)
        .args(filter)
        .env("PORTUNUS_SOAK_PARKED_ROUNDS", "10")
        .env("PORTUNUS_SOAK_WITHDRAWN", "200");
    soaking.env("PORTUNUS_SOAK_PARKED", arguments.parked.to_string());
    soaking.env("PORTUNUS_SOAK_REVOKED", arguments.revoked.to_string());
    shell::run(soaking.env("PORTUNUS_SOAK_CALLS", arguments.calls.to_string()))?;

    test::install::fuzz(ground)?;
    for target in fuzz_targets(ground)? {
        shell::say(&format!("── fuzzing {target} for {} s", arguments.fuzz_seconds));
        let time = format!("-max_total_time={}", arguments.fuzz_seconds);
        // Without a sanitizer, stable Rust is enough; there is no unsafe code to sanitize.
        let run = ["fuzz", "run", "--sanitizer", "none", &target, "--", &time];
        shell::run(test::install::with_cached_programs(ground, "cargo").args(run).current_dir(&ground.root))?;
    }
    for round in 1..=arguments.rounds {
        shell::say(&format!("── real peers, round {round} of {}", arguments.rounds));
        test::peers(ground)?;
    }
    Ok(())
}

/// The names of the fuzz targets.
fn fuzz_targets(ground: &Ground) -> anyhow::Result<Vec<String>> {
    let list =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let found = ground::metadata(&ground.root.join("fuzz"))?;
    let targets = list(&found, "packages").into_iter().flat_map(|package| list(&package, "targets"));
    Ok(targets.filter_map(|target| Some(target.get("name")?.as_str()?.to_owned())).collect())
}
