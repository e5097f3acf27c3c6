//! Starting programs, and talking to whoever sits at the terminal.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// A program to start.
#[allow(clippy::disallowed_methods, reason = "xtask starts tools; the gateway's children are another matter")]
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// A variable of the environment.
#[allow(clippy::disallowed_methods, reason = "xtask is told by the environment where its cache is")]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Runs a program with its output on the terminal; an exit code other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("starting {name}"))?;
    if !status.success() {
        bail!("{name} ended with {status}");
    }
    Ok(())
}

/// Runs a program and keeps its output to itself, unless it fails.
pub(crate) fn quietly(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("starting {name}"))?;
    if !output.status.success() {
        say(&String::from_utf8_lossy(&output.stdout));
        complain(&String::from_utf8_lossy(&output.stderr));
        bail!("{name} ended with {}", output.status);
    }
    Ok(())
}

/// Whether a program is there and answers with exit code 0.
pub(crate) fn answers(program: impl AsRef<OsStr>, arguments: &[&str]) -> bool {
    let mut command = command(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A line on standard output.
#[allow(clippy::print_stdout, reason = "a program for people at a terminal")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// A line on standard error.
#[allow(clippy::print_stderr, reason = "a program for people at a terminal")]
pub(crate) fn complain(line: &str) {
    eprintln!("{line}");
}
