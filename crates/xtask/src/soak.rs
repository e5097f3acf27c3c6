//! `cargo xtask soak`: the counts that are too long for every change.

use anyhow::Context as _;

use crate::ground::Ground;
use crate::{shell, test};

/// How long is long.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Cases of every property test.
    #[arg(long, default_value_t = 20_000)]
    cases: u32,
    /// Seconds of every fuzz target.
    #[arg(long, default_value_t = 300)]
    fuzz_seconds: u32,
    /// Rounds of the conformance suite and of the interop matrix.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
}

/// Runs all of it; stops at the first failure.
pub(crate) fn run(ground: &Ground, arguments: &Arguments) -> anyhow::Result<()> {
    let cargo = || {
        let mut cargo = shell::command("cargo");
        cargo.current_dir(&ground.root);
        cargo
    };
    shell::say(&format!("── {} cases of every property, ignored tests too", arguments.cases));
    let tests = ["test", "--quiet", "--workspace", "--", "--include-ignored"];
    shell::run(cargo().args(tests).env("PROPTEST_CASES", arguments.cases.to_string()))?;

    for target in fuzz_targets(ground)? {
        shell::say(&format!("── fuzzing {target} for {} s", arguments.fuzz_seconds));
        let time = format!("-max_total_time={}", arguments.fuzz_seconds);
        // Without a sanitizer, stable Rust is enough; there is no unsafe code to sanitize.
        shell::run(cargo().args(["fuzz", "run", "--sanitizer", "none", &target, "--", &time]))
            .context("`cargo install --locked cargo-fuzz` if it is missing")?;
    }
    for round in 1..=arguments.rounds {
        shell::say(&format!("── real peers, round {round} of {}", arguments.rounds));
        test::peers(ground)?;
    }
    Ok(())
}

/// The names in `fuzz/fuzz_targets`.
fn fuzz_targets(ground: &Ground) -> anyhow::Result<Vec<String>> {
    let folder = ground.root.join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}
