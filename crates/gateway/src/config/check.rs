//! Gathering faults: a check goes on after the first one.

use super::fault::Fault;
use std::collections::BTreeSet;
use std::path::Path;

/// A place in the document: the keys and indices that lead to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At(pub(crate) Vec<String>);

impl At {
    /// The place `name` below this one.
    pub(crate) fn key(&self, name: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(name.to_owned());
        Self(steps)
    }

    /// The element `index` of the list at this place.
    pub(crate) fn index(&self, index: usize) -> Self {
        self.key(&index.to_string())
    }

    /// The JSON pointer of the place (RFC 6901).
    pub(crate) fn pointer(&self) -> String {
        self.0.iter().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect()
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "(the file)" } else { "" })?;
        f.write_str(&self.0.join("."))
    }
}

/// The faults so far.
#[derive(Debug, Default)]
pub(crate) struct Check {
    pub(super) faults: Vec<Fault>,
    /// Sections and entries whose shape was already refused: nothing is said about them twice.
    pub(super) broken: BTreeSet<At>,
}

impl Check {
    /// Notes a fault at a place: what is wrong, what would be accepted.
    pub(crate) fn fault(&mut self, at: &At, what: impl Into<String>, accepts: impl Into<String>) {
        self.faults.push(Fault::new(at.clone(), what, accepts));
    }

    /// Notes that what is written rightly speaks of something that is not there.
    pub(crate) fn absent(&mut self, at: &At, what: impl Into<String>, accepts: impl Into<String>) {
        self.faults.push(Fault { absent: true, ..Fault::new(at.clone(), what, accepts) });
    }

    /// Notes a fault with the name that was probably meant.
    pub(crate) fn unknown(&mut self, at: &At, what: impl Into<String>, name: &str, known: &[&str]) {
        self.faults.push(Fault::new(at.clone(), what, Fault::one_of(known)).meant(name, known));
    }

    /// Notes a file that cannot be opened.
    pub(crate) fn readable(&mut self, path: &Path, at: &At) {
        if let Err(error) = std::fs::File::open(path) {
            self.fault(at, format!("cannot read {}: {error}", path.display()), "a file the gateway may read");
        }
    }

    /// Notes a folder that is not there.
    pub(crate) fn folder(&mut self, path: &Path, at: &At) {
        if !path.is_dir() {
            self.absent(
                at,
                format!("no folder {}", path.display()),
                "a folder, from this file's own folder on",
            );
        }
    }

    /// Whether the place itself, or all of what holds it, was refused for its shape.
    pub(crate) fn is_broken(&self, at: &At) -> bool {
        (1..=at.0.len()).any(|n| at.0.get(..n).is_some_and(|head| self.broken.contains(&At(head.to_vec()))))
    }

    /// The entries of a table that were refused for their shape.
    pub(crate) fn entries_broken(&self, table: &At) -> Vec<String> {
        let below = |at: &&At| at.0.len() == table.0.len() + 1 && at.0.starts_with(&table.0);
        self.broken.iter().filter(below).filter_map(|at| at.0.last().cloned()).collect()
    }
}
