//! Files by name and content: no dead Rust file, no name that says nothing, no path of somebody's machine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::ground::Ground;
use crate::shell;

/// Names that say nothing about what a file does.
const EMPTY_NAMES: [&str; 12] = [
    "mod", "util", "utils", "helper", "helpers", "common", "types", "manager", "handler", "handlers", "misc",
    "shared",
];

pub(super) fn check(ground: &Ground, files: &[String]) -> Vec<String> {
    let mut faults: Vec<_> = files.iter().filter_map(|file| empty_name(file)).collect();
    faults.extend(dead(ground, files));
    faults.extend(machine_paths(ground, files));
    faults
}

pub(super) fn empty_name(file: &str) -> Option<String> {
    let stem = Path::new(file).file_stem()?.to_str()?;
    EMPTY_NAMES.contains(&stem).then(|| format!("{file}: the name `{stem}` says nothing"))
}

/// Rust files that no target of cargo reaches.
fn dead(ground: &Ground, files: &[String]) -> Vec<String> {
    let roots = roots(ground, files);
    let mut reached = BTreeSet::new();
    let mut open: Vec<PathBuf> = roots.iter().cloned().collect();
    while let Some(file) = open.pop() {
        let Ok(text) = std::fs::read_to_string(ground.root.join(&file)) else { continue };
        let beside = file.parent().unwrap_or(Path::new("")).to_owned();
        // The modules of a crate root lie beside it, those of another file in the folder of its name.
        let folder =
            if roots.contains(&file) { beside } else { beside.join(file.file_stem().unwrap_or_default()) };
        if reached.insert(file) {
            open.extend(modules(&text).iter().map(|name| folder.join(format!("{name}.rs"))));
        }
    }
    let dead = files.iter().filter(|file| file.ends_with(".rs") && !reached.contains(Path::new(file)));
    dead.map(|file| format!("{file}: no crate reaches it")).collect()
}

/// The files that cargo starts from, and the fuzz targets, which are a workspace of their own.
fn roots(ground: &Ground, files: &[String]) -> BTreeSet<PathBuf> {
    let list =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let source = |target: &Value| {
        let path = Path::new(target.get("src_path")?.as_str()?);
        path.strip_prefix(&ground.root).ok().map(Path::to_owned)
    };
    let targets =
        list(&ground.metadata, "packages").into_iter().flat_map(|package| list(&package, "targets"));
    let fuzz = files.iter().filter(|file| file.starts_with("fuzz/fuzz_targets/")).map(PathBuf::from);
    targets.filter_map(|target| source(&target)).chain(fuzz).collect()
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
fn machine_paths(ground: &Ground, files: &[String]) -> Vec<String> {
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
    faults
}
