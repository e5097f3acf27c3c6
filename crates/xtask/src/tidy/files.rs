//! Files by name and content: no dead Rust file, no name that says nothing, no path of somebody's machine.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::ground::{self, Ground};
use crate::shell;

/// Names that say nothing about what a file does.
const EMPTY_NAMES: [&str; 12] = [
    "mod", "util", "utils", "helper", "helpers", "common", "types", "manager", "handler", "handlers", "misc",
    "shared",
];

pub(super) fn check(ground: &Ground, files: &[String]) -> anyhow::Result<Vec<String>> {
    let mut faults: Vec<_> = files.iter().filter_map(|file| empty_name(file)).collect();
    faults.extend(dead(ground, files)?);
    faults.extend(machine_paths(ground, files));
    Ok(faults)
}

pub(super) fn empty_name(file: &str) -> Option<String> {
    let stem = Path::new(file).file_stem()?.to_str()?;
    EMPTY_NAMES.contains(&stem).then(|| format!("{file}: the name `{stem}` says nothing"))
}

/// Rust files that no target of cargo reaches.
fn dead(ground: &Ground, files: &[String]) -> anyhow::Result<Vec<String>> {
    let roots = roots(ground)?;
    let mut reached = BTreeSet::new();
    let mut open: Vec<PathBuf> = roots.iter().cloned().collect();
    while let Some(file) = open.pop() {
        let Ok(text) = std::fs::read_to_string(ground.root.join(&file)) else { continue };
        let beside = file.parent().unwrap_or(Path::new("")).to_owned();
        // The modules of a crate root lie beside it, those of another file in the folder of its name.
        let below = if roots.contains(&file) {
            beside.clone()
        } else {
            beside.join(file.file_stem().unwrap_or_default())
        };
        if reached.insert(file) {
            open.extend(modules(&text).into_iter().map(|module| match module {
                Module::Named(name) => below.join(format!("{name}.rs")),
                Module::At(path) => resolved(&beside.join(path)),
            }));
        }
    }
    let dead = files.iter().filter(|file| file.ends_with(".rs") && !reached.contains(Path::new(file)));
    Ok(dead.map(|file| format!("{file}: no crate reaches it")).collect())
}

/// The files that cargo starts from, relative to the checkout; the fuzz targets are a workspace of their own.
fn roots(ground: &Ground) -> anyhow::Result<BTreeSet<PathBuf>> {
    let list =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let source = |target: &Value| {
        let path = Path::new(target.get("src_path")?.as_str()?);
        path.strip_prefix(&ground.root).ok().map(Path::to_owned)
    };
    let packages = [ground.metadata.clone(), ground::metadata(&ground.root.join("fuzz"))?];
    let targets = packages.iter().flat_map(|found| list(found, "packages")).flat_map(|p| list(&p, "targets"));
    Ok(targets.filter_map(|target| source(&target)).collect())
}

/// Where a module lies.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Module {
    /// `mod name;`, under the folders of the inline modules around it.
    Named(String),
    /// `#[path = "…"] mod name;`, relative to the folder of the file.
    At(String),
}

/// The `mod name;` items of a formatted file, those inside of `mod name { … }` by their path.
pub(super) fn modules(text: &str) -> Vec<Module> {
    let mut path = None;
    let mut inline: Vec<(usize, &str)> = Vec::new();
    let mut found = Vec::new();
    for line in text.lines() {
        let item = line.trim_start();
        let indent = line.len() - item.len();
        if item.starts_with('}') && inline.last().is_some_and(|(opened, _)| *opened == indent) {
            inline.pop();
        }
        if let Some(given) = item.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]")) {
            path = Some(given.to_owned());
            continue;
        }
        let item =
            item.strip_prefix("pub").map_or(item, |rest| rest.trim_start_matches(|c| c != ' ').trim_start());
        let Some(rest) = item.strip_prefix("mod ") else { continue };
        if let Some(name) = rest.strip_suffix(" {") {
            inline.push((indent, name));
        } else if let Some(name) = rest.strip_suffix(';') {
            let folders = inline.iter().map(|(_, folder)| format!("{folder}/")).collect::<String>();
            found.push(path.take().map_or_else(|| Module::Named(folders + name), Module::At));
        }
    }
    found
}

/// A relative path without its `..`.
fn resolved(path: &Path) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            whole.pop();
        } else {
            whole.push(part);
        }
    }
    whole
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
