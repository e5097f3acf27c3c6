//! Capabilities of clients that are not passed on: told to the record once for each client of a principal, since
//! a stateless client declares them with every request.

use crate::house::House;
use crate::trail::Trail;
use ledger::{Event, Leaf, What};
use model::Digest;
use protocol::capability::Stripped;
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// What the record was told of.
pub(crate) struct Told {
    seen: Mutex<HashSet<Digest>>,
}

/// Remembered before the memory is emptied and things are told again.
const REMEMBERED: usize = 4096;

impl Told {
    pub(crate) fn new() -> Self {
        Self { seen: Mutex::new(HashSet::new()) }
    }

    /// Puts what was stripped on record, unless it was before.
    pub(crate) fn tell(&self, house: &House, trail: &Trail, stripped: &[Stripped]) {
        let (Some(key), Some(principal)) = (trail.key, &trail.principal) else { return };
        for strip in stripped {
            let name = Digest::of_parts(&[&key.0.0, strip.path.as_bytes()]);
            {
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                if seen.len() >= REMEMBERED {
                    seen.clear();
                }
                if !seen.insert(name) {
                    continue;
                }
            }
            let detail =
                format!("declared by client {} of {}: {}", principal.client, principal.user, strip.reason);
            let event = Event {
                name: Some(Cow::Borrowed(&strip.path)),
                detail: Some(Cow::Owned(detail)),
                ..Event::of(What::ExtensionStripped)
            };
            if house.audit.append(trail.at, &Leaf::Event(event)).is_err() {
                tracing::warn!("a stripped capability could not be recorded");
            }
        }
    }
}
