//! Files by name and content: no dead Rust file, no name that says nothing, no path of somebody's machine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::ground::Ground;
use crate::shell;

/// Names that say nothing about what a file does.
const EMPTY_NAMES: [&str; 12] = [
    "mod", "util", "utils", "helper", "helpers", "common", "types", "manager", "handler", "handlers", "misc",
    "shared",
];

pub(super) fn check(ground: &Ground, files: &[String]) -> anyhow::Result<Vec<String>> {
    let mut faults: Vec<_> = files.iter().filter_map(|file| empty_name(file)).collect();
    faults.extend(dead(&ground.root, files)?);
    faults.extend(machine_paths(ground, files)?);
    Ok(faults)
}

pub(super) fn empty_name(file: &str) -> Option<String> {
    let stem = Path::new(file).file_stem()?.to_str()?;
    EMPTY_NAMES.contains(&stem).then(|| format!("{file}: the name `{stem}` says nothing"))
}

/// Rust files that no crate root reaches.
fn dead(root: &Path, files: &[String]) -> anyhow::Result<Vec<String>> {
    let rust: Vec<_> = files.iter().filter(|file| file.ends_with(".rs")).collect();
    let mut reached = BTreeSet::new();
    let mut open: Vec<PathBuf> = rust.iter().filter(|file| is_root(file)).map(PathBuf::from).collect();
    while let Some(file) = open.pop() {
        if !reached.insert(file.clone()) {
            continue;
        }
        let text = std::fs::read_to_string(root.join(&file))
            .with_context(|| format!("reading {}", file.display()))?;
        let folder = module_folder(&file);
        for name in modules(&text) {
            open.extend(
                [folder.join(format!("{name}.rs"))].into_iter().filter(|path| root.join(path).exists()),
            );
        }
    }
    let dead = rust.into_iter().filter(|file| !reached.contains(Path::new(file)));
    Ok(dead.map(|file| format!("{file}: no crate reaches it")).collect())
}

/// Whether cargo starts from this file.
fn is_root(file: &str) -> bool {
    let folder = Path::new(file).parent().and_then(Path::file_name).and_then(|name| name.to_str());
    match folder {
        Some("src") => file.ends_with("/lib.rs") || file.ends_with("/main.rs"),
        Some("bin" | "tests" | "examples" | "benches" | "fuzz_targets") => {
            !file.contains("/src/") || file.contains("/src/bin/")
        }
        _ => file.ends_with("/build.rs"),
    }
}

/// Where the modules of a file lie: beside a crate root, else in the folder of its name.
fn module_folder(file: &Path) -> PathBuf {
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    if is_root(&file.to_string_lossy()) { folder } else { folder.join(file.file_stem().unwrap_or_default()) }
}

/// The names in `mod name;` items.
pub(super) fn modules(text: &str) -> Vec<String> {
    let item = |line: &str| {
        let line = line.trim_start();
        let line =
            line.strip_prefix("pub").map_or(line, |rest| rest.trim_start_matches(|c| c != ' ').trim_start());
        let name = line.strip_prefix("mod ")?.strip_suffix(';')?;
        Some(name.trim().to_owned())
    };
    text.lines().filter_map(item).collect()
}

/// Texts that name this checkout or this person's home; a lock file that names a registry's host.
fn machine_paths(ground: &Ground, files: &[String]) -> anyhow::Result<Vec<String>> {
    let mut places = vec![format!("{}/", ground.root.display()), format!("{}/", ground.target.display())];
    places.extend(shell::environment("HOME").filter(|home| home.len() > 1).map(|home| format!("{home}/.")));
    let mut faults = Vec::new();
    for file in files {
        // Binary files (a fuzz corpus) name no path.
        let Ok(text) = std::fs::read_to_string(ground.root.join(file)) else { continue };
        let named = places.iter().find(|place| text.contains(place.as_str()));
        faults.extend(named.map(|place| format!("{file}: names a path of this machine, {place}")));
        if file.ends_with("package-lock.json") && text.contains("\"resolved\"") {
            faults.push(format!("{file}: names a registry's host; .npmrc says how not to"));
        }
    }
    Ok(faults)
}
