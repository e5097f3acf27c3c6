//! `cargo xtask bench`: what the gateway costs, beside nginx and beside the floor, in one interleaved session; and what
//! identity costs a call, in process.
//!
//! The measured process has core 0 to itself; load, fixture and issuer share core 1, so calls per second say
//! little more than that core 1 is full, and CPU per call is the figure to trust. What is measured and what came
//! out is in `docs/performance.md`.

mod identity;
mod measure;
mod process;
mod ready;
mod scale;
mod session;
mod stand;
mod table;
mod text;

use anyhow::{Context as _, ensure};
use std::path::{Path, PathBuf};

use crate::shell;
use measure::Pace;
use table::Targets;

/// What to measure, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Rounds of the session; each second one runs backwards.
    #[arg(long, default_value_t = 6)]
    rounds: u32,
    /// How long each burst is counted, in milliseconds.
    #[arg(long, default_value_t = 1500)]
    span_ms: u64,
    /// Pairs of the scaling scenario; 0 leaves it out.
    #[arg(long, default_value_t = 10)]
    pairs: u32,
    /// Measures only whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Use the binaries that are there.
    #[arg(long)]
    no_build: bool,
    /// Exit with an error when a target is missed.
    #[arg(long)]
    strict: bool,
}

/// Builds, measures and prints.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = root()?;
    crate::test::install::nginx()?;
    let binaries = build(&root, arguments.no_build)?;
    let scratch = process::Scratch::new()?;
    let pace = Pace { span_ms: arguments.span_ms, warm_up_ms: 400 };
    let stand = stand::Stand::raise(&root, &binaries, scratch.path())?;
    table::heading(&stand.machine);
    let mut targets = Targets::default();
    if arguments.only.as_deref().is_none_or(|only| "identity".contains(only)) {
        let identity = identity::run(&binaries.identity)?;
        identity.print();
        identity.judge(&mut targets);
    }
    let session = session::run(&stand, pace, arguments.rounds, arguments.only.as_deref())?;
    session.print();
    session.judge(&mut targets);
    drop(stand);
    if arguments.pairs > 0 {
        let scale = scale::run(&root, &binaries, scratch.path(), pace, arguments.pairs)?;
        scale.print();
        scale.judge(&mut targets);
    }
    targets.print();
    ensure!(!arguments.strict || targets.missed() == 0, "{} targets missed", targets.missed());
    Ok(())
}

/// The programs that take part.
struct Binaries {
    load: PathBuf,
    floor: PathBuf,
    fixture: PathBuf,
    identity: PathBuf,
    portunus: PathBuf,
}

/// What is measured is what is shipped.
const PROFILE: &str = "dist";

fn build(root: &Path, there: bool) -> anyhow::Result<Binaries> {
    if !there {
        let mut cargo = shell::command("cargo");
        cargo.current_dir(root).args(["build", "--profile", PROFILE, "--workspace"]);
        cargo.args(
            ["load", "floor", "fixture", "identity", "portunus"].iter().flat_map(|name| ["--bin", name]),
        );
        shell::run(&mut cargo)?;
    }
    // This program lies in `<target>/<profile>/`.
    let target = std::env::current_exe()?.ancestors().nth(2).context("no target directory")?.join(PROFILE);
    let of = |name: &str| {
        let path = target.join(name);
        ensure!(path.exists(), "{} is missing", path.display());
        Ok(path)
    };
    Ok(Binaries {
        load: of("load")?,
        floor: of("floor")?,
        fixture: of("fixture")?,
        identity: of("identity")?,
        portunus: of("portunus")?,
    })
}

fn root() -> anyhow::Result<PathBuf> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("no workspace")?.to_owned())
}
