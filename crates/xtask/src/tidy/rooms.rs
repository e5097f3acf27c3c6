//! The table of rooms in ARCHITECTURE.md against `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use serde_json::Value;

use crate::ground::Ground;

/// Room → the rooms it may import.
pub(super) type Rooms = BTreeMap<String, BTreeSet<String>>;

pub(super) fn check(ground: &Ground) -> anyhow::Result<Vec<String>> {
    let text =
        std::fs::read_to_string(ground.root.join("ARCHITECTURE.md")).context("reading ARCHITECTURE.md")?;
    Ok(compare(&table(&text), &imports(&ground.metadata)))
}

/// The rows "| `room` | what it is | imports |", in their order.
pub(super) fn table(text: &str) -> Rooms {
    let mut rooms = Rooms::new();
    let rows = text.lines().skip_while(|line| !line.starts_with("| crate ")).skip(2);
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let (Some(room), Some(imports)) = (cells.first(), cells.get(2)) else { continue };
        let above = || rooms.keys().cloned().collect::<BTreeSet<_>>();
        let allowed = match *imports {
            "–" => BTreeSet::new(),
            "all above" => above(),
            named => named.split(',').map(|room| room.trim().trim_matches('`').to_owned()).collect(),
        };
        rooms.insert(room.trim_matches('`').to_owned(), allowed);
    }
    rooms
}

/// What the manifests say, dependencies of tests included.
pub(super) fn imports(metadata: &Value) -> Rooms {
    let packages = metadata.get("packages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let name = |value: &Value| value.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let ours: BTreeSet<_> = packages.iter().map(name).collect();
    packages
        .iter()
        .map(|package| {
            let dependencies = package.get("dependencies").and_then(Value::as_array);
            let imported = dependencies.into_iter().flatten().map(name).filter(|name| ours.contains(name));
            (name(package), imported.collect())
        })
        .collect()
}

/// Every difference.
pub(super) fn compare(table: &Rooms, imports: &Rooms) -> Vec<String> {
    let mut faults = Vec::new();
    for (room, imported) in imports {
        let Some(allowed) = table.get(room) else {
            faults.push(format!("ARCHITECTURE.md: the room {room} has no row"));
            continue;
        };
        for other in imported.difference(allowed) {
            faults.push(format!("crates/{room}/Cargo.toml: {room} may not import {other}; ARCHITECTURE.md"));
        }
    }
    let gone = table.keys().filter(|room| !imports.contains_key(*room));
    faults.extend(gone.map(|room| format!("ARCHITECTURE.md: there is no room {room}")));
    faults
}
