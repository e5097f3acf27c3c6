//! `cargo xtask test`: everything the project tests, and what that needs.
//!
//! A step that fails does not keep the later ones from running; the last line counts both.

pub(crate) mod install;
mod peers;
pub(crate) mod postgres;

use std::time::Instant;

use anyhow::bail;

use crate::ground::Ground;
use crate::{shell, tidy};

/// Which steps to run.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these steps, in their usual order.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Names the steps and does nothing.
    #[arg(long)]
    list: bool,
}

/// One step: its name, what it is, what it does.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&Ground) -> anyhow::Result<()>,
}

/// The steps in their order: the quick ones that fail often come first.
const STEPS: [Step; 10] = [
    Step { name: "fmt", about: "rustfmt agrees", run: fmt },
    Step { name: "clippy", about: "no lint, in any target", run: clippy },
    Step { name: "build", about: "every target builds", run: build },
    Step { name: "rust", about: "the Rust tests", run: rust },
    Step { name: "docs", about: "no broken link in the API's documentation", run: docs },
    Step { name: "deny", about: "licences, bans and sources of dependencies", run: deny },
    Step { name: "tidy", about: "the house is as its documents say", run: tidy::run },
    Step { name: "demo", about: "the demo's self-test, on real servers too", run: demo },
    Step { name: "conformance", about: "the official MCP conformance suite", run: peers::conformance },
    Step {
        name: "interop",
        about: "real clients against real servers through the gateway",
        run: peers::interop,
    },
];

/// Runs the steps.
pub(crate) fn run(ground: &Ground, arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.list {
        STEPS.iter().for_each(|step| shell::say(&format!("{:<12} {}", step.name, step.about)));
        return Ok(());
    }
    if let Some(unknown) = arguments.only.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        bail!("no step is called {unknown}; `cargo xtask test --list` names them");
    }
    let chosen =
        |step: &&Step| arguments.only.is_empty() || arguments.only.iter().any(|name| name == step.name);
    let (mut passed, mut failed) = (0, Vec::new());
    for step in STEPS.iter().filter(chosen) {
        shell::say(&format!("── {}: {}", step.name, step.about));
        #[allow(clippy::disallowed_methods, reason = "how long a step took, for the person who waited")]
        let begun = Instant::now();
        let outcome = (step.run)(ground);
        let seconds = begun.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                passed += 1;
                shell::say(&format!("── {}: passed in {seconds:.1} s", step.name));
            }
            Err(error) => {
                failed.push(step.name);
                shell::say(&format!("── {}: FAILED in {seconds:.1} s: {error:#}", step.name));
                shell::say(&format!("   again: cargo xtask test --only {}", step.name));
            }
        }
    }
    shell::say(&format!("{passed} passed, {} failed", failed.len()));
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

fn cargo(ground: &Ground, arguments: &[&str]) -> anyhow::Result<()> {
    shell::run(shell::command("cargo").args(arguments).current_dir(&ground.root))
}

fn fmt(ground: &Ground) -> anyhow::Result<()> {
    cargo(ground, &["fmt", "--all", "--check"])
}

fn clippy(ground: &Ground) -> anyhow::Result<()> {
    cargo(ground, &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

fn build(ground: &Ground) -> anyhow::Result<()> {
    cargo(ground, &["build", "--quiet", "--workspace", "--all-targets"])
}

fn rust(ground: &Ground) -> anyhow::Result<()> {
    install::system_packages()?;
    let postgres = postgres::Postgres::start()?;
    let named = (postgres::WHERE, postgres.url());
    if install::nextest(ground).is_ok() {
        let run = ["nextest", "run", "--workspace", "--no-fail-fast", "--status-level", "fail"];
        let mut tests = install::with_cached_programs(ground, "cargo");
        shell::run(tests.args(run).env(named.0, named.1).current_dir(&ground.root))
    } else {
        let run = ["test", "--quiet", "--workspace", "--no-fail-fast"];
        shell::run(shell::command("cargo").args(run).env(named.0, named.1).current_dir(&ground.root))
    }
}

fn docs(ground: &Ground) -> anyhow::Result<()> {
    let doc = ["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"];
    shell::run(shell::command("cargo").args(doc).env("RUSTDOCFLAGS", "-D warnings").current_dir(&ground.root))
}

fn demo(ground: &Ground) -> anyhow::Result<()> {
    build(ground)?;
    crate::demo::check(ground)
}

fn deny(ground: &Ground) -> anyhow::Result<()> {
    install::deny(ground)?;
    // It reads the manifests of all targets' crates, of which a build fetches only this machine's.
    cargo(ground, &["fetch", "--quiet", "--locked"])?;
    // The advisory database is not among the registries; `check advisories` is for whoever has it.
    let check = ["deny", "--offline", "--workspace", "check", "licenses", "bans", "sources"];
    shell::run(install::with_cached_programs(ground, "cargo").args(check).current_dir(&ground.root))
}

/// The steps with real peers, for the soak.
pub(crate) fn peers(ground: &Ground) -> anyhow::Result<()> {
    peers::conformance(ground)?;
    peers::interop(ground)
}
