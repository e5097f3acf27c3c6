//! `cargo xtask tidy`: the house is as its documents say.
//!
//! In: the files git knows, the table of rooms in ARCHITECTURE.md, `cargo metadata`. Out: every fault at once,
//! one a line, each with its file.

mod files;
mod links;
mod rooms;
#[cfg(test)]
mod tests;

use anyhow::{Context as _, bail};

use crate::ground::Ground;
use crate::shell;

/// Checks everything.
pub(crate) fn run(ground: &Ground) -> anyhow::Result<()> {
    let files = tracked(ground)?;
    let mut faults = rooms::check(ground)?;
    faults.extend(files::check(ground, &files)?);
    faults.extend(links::check(ground, &files)?);
    faults.extend(fresh(ground).unwrap_or_else(|error| vec![format!("generated files: {error:#}")]));
    faults.iter().for_each(|fault| shell::say(&format!("   {fault}")));
    if faults.is_empty() { Ok(()) } else { bail!("{} untidy things", faults.len()) }
}

/// Writes the generated files into the checkout.
pub(crate) fn generate(ground: &Ground) -> anyhow::Result<()> {
    write_generated(ground, &ground.root)
}

/// Generated files that are not what the code of today generates.
fn fresh(ground: &Ground) -> anyhow::Result<Vec<String>> {
    let now = ground.target.join("generated");
    if now.exists() {
        std::fs::remove_dir_all(&now).context("clearing what was generated before")?;
    }
    write_generated(ground, &now)?;
    let mut faults = Vec::new();
    let mut folders = vec![now.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&now).unwrap_or(&path);
                if std::fs::read(ground.root.join(name)).ok() != std::fs::read(&path).ok() {
                    faults.push(format!("{}: stale; `cargo xtask gen` writes it again", name.display()));
                }
            }
        }
    }
    Ok(faults)
}

fn write_generated(ground: &Ground, to: &std::path::Path) -> anyhow::Result<()> {
    let build = ["build", "--quiet", "--workspace", "--all-targets"];
    shell::run(shell::command("cargo").args(build).current_dir(&ground.root))?;
    shell::run(shell::command(ground.program("portunus")).args(["generate", "--root"]).arg(to))
}

/// What git knows, and what it would know if it were added; relative to the checkout.
fn tracked(ground: &Ground) -> anyhow::Result<Vec<String>> {
    let list = shell::command("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(&ground.root)
        .output()
        .context("running git ls-files")?;
    let names = String::from_utf8(list.stdout).context("a file name that is not UTF-8")?;
    Ok(names.lines().filter(|name| ground.root.join(name).exists()).map(str::to_owned).collect())
}
