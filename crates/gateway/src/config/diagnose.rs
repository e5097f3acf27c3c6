//! A file was refused: find everything that is wrong with it, and where.

use super::check::{At, Check};
use super::fault::{Fault, Place, Refusal};
use super::file::File;
use super::shape;
use super::tree::Tree;
use serde_json::{Map, Value};
use std::path::Path;

/// Every fault of a file that is known to have some.
pub(super) fn refusal(name: &str, text: &str, base: &Path) -> Refusal {
    let tree: Tree = match serde_saphyr::from_str_with_options(text, super::options()) {
        Ok(tree) => tree,
        Err(error) => return Refusal::new(name, text, vec![syntax(&error)]),
    };
    let mut document = match tree.to_json() {
        Value::Null => Value::Object(Map::new()),
        other => other,
    };
    let mut faults = shape::faults(&super::schema(), &document);
    // Without its unknown keys an entry may have the right shape, and then more can be said about it.
    for fault in faults.iter().filter(|fault| fault.surplus) {
        remove(&mut document, &fault.at);
    }
    let mut check = Check::default();
    let file = salvage(document, &mut check);
    file.check(base, &mut check);
    faults.append(&mut check.faults);
    if faults.is_empty() {
        // The reader refused what the schema allows: say it in the reader's words.
        faults.extend(
            serde_saphyr::from_str_with_options::<File>(text, super::options()).err().map(|e| syntax(&e)),
        );
    }
    for fault in &mut faults {
        fault.place = fault.place.or_else(|| tree.place(&fault.at));
        fault.value = tree.shown(&fault.at);
    }
    Refusal::new(name, text, faults)
}

fn remove(document: &mut Value, at: &At) {
    let Some((name, above)) = at.0.split_last() else { return };
    let holder = document.pointer_mut(&At(above.to_vec()).pointer());
    if let Some(Value::Object(members)) = holder {
        members.remove(name);
    }
}

fn syntax(error: &serde_saphyr::Error) -> Fault {
    let mut fault = Fault::new(At::default(), error.to_string(), "YAML 1.2, each key once");
    fault.place = error.location().and_then(|location| {
        let offset = usize::try_from(location.span().byte_offset()?).ok()?;
        Some(Place { line: location.line(), column: location.column(), offset, length: 1 })
    });
    fault
}

/// The parts of the document that have the right shape. What has not is left out and noted as broken.
fn salvage(document: Value, check: &mut Check) -> File {
    let Value::Object(sections) = document else { return File::default() };
    let mut good = Map::new();
    for (name, section) in sections {
        let at = At::default().key(&name);
        match section {
            // Entries of a table stand or fall alone.
            Value::Object(entries) if name == "servers" || name == "toolsets" => {
                let entries = entries.into_iter().filter(|(key, entry)| {
                    let fits = fits(&name, Value::Object(Map::from_iter([(key.clone(), entry.clone())])));
                    if !fits {
                        check.broken.insert(at.key(key));
                    }
                    fits
                });
                let entries = entries.collect();
                good.insert(name, Value::Object(entries));
            }
            section if fits(&name, section.clone()) => {
                good.insert(name, section);
            }
            _ => {
                check.broken.insert(at);
            }
        }
    }
    serde_json::from_value(Value::Object(good)).unwrap_or_default()
}

fn fits(name: &str, section: Value) -> bool {
    serde_json::from_value::<File>(Value::Object(Map::from_iter([(name.to_owned(), section)]))).is_ok()
}
