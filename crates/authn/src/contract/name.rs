//! Names of claims that live as long as the program, so that an error can carry one and stay a plain value.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The same text, kept for good. Contracts come from operators and repeat their names, so the table stays small; if it
/// ever should not, a name beyond its bound becomes `claim`.
pub(crate) fn interned(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    if names.len() >= MOST_NAMES || name.len() > super::compile::NAME_BYTES {
        return "claim";
    }
    let kept: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(kept);
    kept
}

const MOST_NAMES: usize = 4096;
