//! Which calls belong together. A conversation groups and never grants (design §6).

use model::{Digest, Principal, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A conversation's id and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conversation {
    pub(crate) id: Arc<str>,
    pub(crate) source: Source,
}

/// Where a conversation's id comes from, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The sealed session of an older client.
    Session,
    /// The `_meta` key the operator named.
    Declared,
    /// The W3C trace id.
    Trace,
    /// Principal and client, cut at idle gaps.
    Inferred,
}

impl Source {
    /// The name in the record and in policy.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Declared => "declared",
            Self::Trace => "trace",
            Self::Inferred => "inferred",
        }
    }
}

/// The inferred conversations of this node: a bounded table, each entry cut at an idle gap.
pub(crate) struct Inferred {
    bound: usize,
    table: Mutex<HashMap<Digest, Entry>>,
}

struct Entry {
    id: Arc<str>,
    last: Timestamp,
}

impl Inferred {
    /// A table of at most `bound` principals.
    pub(crate) fn new(bound: usize) -> Self {
        Self { bound, table: Mutex::new(HashMap::new()) }
    }

    /// The conversation of this principal and client now; another one begins after `idle` without a call.
    pub(crate) fn touch(
        &self,
        principal: &Principal,
        owner: Digest,
        now: Timestamp,
        idle: Duration,
    ) -> Arc<str> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = table.get_mut(&owner)
            && now.since(entry.last) <= idle
        {
            entry.last = now;
            return Arc::clone(&entry.id);
        }
        if table.len() >= self.bound {
            table.retain(|_, entry| now.since(entry.last) <= idle);
        }
        if table.len() >= self.bound {
            let oldest = table.iter().min_by_key(|(_, entry)| entry.last).map(|(owner, _)| *owner);
            oldest.and_then(|owner| table.remove(&owner));
        }
        let name =
            Digest::of_parts(&[&owner.0, principal.client.as_bytes(), &now.0.to_be_bytes()]).to_string();
        let id: Arc<str> = name.get(..32).unwrap_or(&name).into();
        table.insert(owner, Entry { id: Arc::clone(&id), last: now });
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_gap_begins_another_conversation_and_the_table_stays_bounded() {
        let inferred = Inferred::new(2);
        let who = Principal::service();
        let idle = Duration::from_secs(10);
        let at = |owner: &[u8], ms| inferred.touch(&who, Digest::of(owner), Timestamp(ms), idle);
        let first = at(b"a", 0);
        assert_eq!(first, at(b"a", 9_000));
        assert_eq!(first, at(b"a", 19_000));
        assert_ne!(first, at(b"a", 30_000));
        at(b"b", 30_000);
        at(b"c", 30_001);
        assert!(inferred.table.lock().unwrap().len() <= 2);
    }
}
