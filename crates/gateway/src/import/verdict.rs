//! What the gateway's own check says of the result.

use crate::config::{self, Refusal};
use std::collections::BTreeSet;
use std::path::Path;

/// The result would pass, but for what a person still has to bring; or it would not.
#[derive(Default)]
pub(crate) struct Verdict {
    /// What a person still has to bring.
    pub(crate) missing: Vec<Missing>,
    /// Why it would not pass.
    pub(crate) refusal: Option<Box<Refusal>>,
}

/// Something that is not there yet.
pub(crate) struct Missing {
    /// The place in the configuration that speaks of it (RFC 6901).
    pub(crate) pointer: String,
    /// What is missing.
    pub(crate) what: String,
}

/// Checks a text. That things are absent at the `expected` places, or that there is no issuer, is no fault.
pub(super) fn judge(path: &Path, text: &str, expected: &BTreeSet<String>) -> Verdict {
    let checked = config::parse(&path.display().to_string(), text, config::folder_of(path));
    let Err(refusal) = checked else { return Verdict::default() };
    let is_expected = |fault: &config::Fault| {
        let pointer = fault.pointer();
        fault.is_absent() && (pointer == ISSUERS || expected.contains(&pointer))
    };
    if refusal.faults().iter().all(is_expected) {
        let missing = |fault: &config::Fault| Missing {
            pointer: fault.pointer(),
            what: format!("{fault}; accepted: {}", fault.accepts()),
        };
        return Verdict { missing: refusal.faults().iter().map(missing).collect(), refusal: None };
    }
    Verdict { missing: Vec::new(), refusal: Some(Box::new(refusal)) }
}

/// Where issuers are.
pub(super) const ISSUERS: &str = "/issuers";
