//! What is in force, since when, and what was refused after it.

use crate::health::Status;
use model::{Digest, Timestamp};
use serde_json::{Value, json};

/// One thing that is reloaded: the configuration, or the policies.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// Since when.
    pub(crate) since: Timestamp,
    /// Of which texts.
    pub(crate) revision: Digest,
    /// The latest text that was refused, unless a good one came after it.
    pub(crate) refused: Option<Refused>,
}

/// A text that was refused.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// When.
    pub(crate) at: Timestamp,
    /// Each fault with its place, one a line.
    pub(crate) faults: Vec<String>,
}

impl Standing {
    /// In force from `since` on.
    pub(crate) const fn new(since: Timestamp, revision: Digest) -> Self {
        Self { since, revision, refused: None }
    }

    /// Well, unless something newer was refused.
    pub(crate) const fn status(&self) -> Status {
        if self.refused.is_some() { Status::Degraded } else { Status::Ok }
    }

    /// The facts for `/readyz`.
    pub(crate) fn facts(&self, now: Timestamp) -> Value {
        let mut facts = json!({
            "revision": self.revision.to_string(), "since": self.since.to_string(),
            "age_seconds": now.since(self.since).as_secs(),
        });
        if let (Some(refused), Some(facts)) = (&self.refused, facts.as_object_mut()) {
            let faults: Vec<&String> = refused.faults.iter().take(SHOWN).collect();
            facts.insert("reason".to_owned(), "a newer one was refused; this one stays in force".into());
            facts.insert("refused_at".to_owned(), refused.at.to_string().into());
            facts.insert("faults".to_owned(), json!(faults));
        }
        facts
    }
}

/// The most faults shown; all are in the log.
const SHOWN: usize = 20;
