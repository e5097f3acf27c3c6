//! `cargo xtask demo`: the main job on this machine, in one command.

use crate::ground::Ground;
use crate::shell;

/// What is passed on to `portunus demo`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Arguments of `portunus demo`, such as `--with-real-servers`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Builds the gateway and runs its demo.
pub(crate) fn run(ground: &Ground, arguments: &Arguments) -> anyhow::Result<()> {
    let build = ["build", "--quiet", "--workspace", "--bin", "portunus"];
    shell::run(shell::command("cargo").args(build).current_dir(&ground.root))?;
    shell::run(shell::command(ground.program("portunus")).arg("demo").args(&arguments.rest))
}
