//! Sessions of older clients (MCP 2025-11-25 and before).
//!
//! A session id is sealed: it holds the immutable facts of the session, so any replica with the key can serve
//! it and it survives a restart. What changes (log level, streams, questions under way) is a bounded table on
//! this node and ends with it. A session belongs to the principal that opened it, at the endpoint where it
//! was opened.

pub(crate) mod conversation;
mod ended;
mod facts;
mod live;
pub(crate) mod replay;

pub use ended::{Ended, EndedError};
pub(crate) use facts::{DECLARED_BYTES, Facts};
pub(crate) use live::{GET_STREAM, Live, QUESTIONS, UnderWay};

use crate::config::Endpoint;
use authn::Verified;
use model::{Dice, Digest, Principal, Sealer, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The session id does not open a session for this caller. Says nothing more: which of the reasons it was is
/// the record's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown session")]
pub(crate) struct UnknownSession;

/// The sessions this node has met since it started, and those that have ended.
pub(crate) struct Sessions {
    sealer: Arc<Sealer>,
    ended: Ended,
    bound: usize,
    budget: Arc<replay::Budget>,
    table: Mutex<HashMap<Arc<str>, Arc<Live>>>,
}

impl Sessions {
    /// An empty table of at most `bound` sessions with mutable state.
    pub(crate) fn new(sealer: Arc<Sealer>, ended: Ended, bound: usize) -> Self {
        let (budget, table) = (Arc::default(), Mutex::default());
        Self { sealer, ended, bound, budget, table }
    }

    /// Seals the facts of a new session into its id.
    pub(crate) fn open(&self, facts: Facts, dice: &dyn Dice, now: Timestamp) -> Option<Arc<Live>> {
        let id: Arc<str> = self.sealer.seal(PURPOSE, &facts.encode(), dice).ok()?.into();
        let live = Arc::new(Live::new(Arc::clone(&id), facts, &self.budget, now));
        self.insert(id, Arc::clone(&live), now);
        Some(live)
    }

    /// The session of an id, if it was sealed here, belongs to this caller and endpoint, and has neither
    /// expired nor ended.
    pub(crate) fn find(
        &self,
        id: &str,
        principal: &Principal,
        endpoint: &Endpoint,
        now: Timestamp,
    ) -> Result<Arc<Live>, UnknownSession> {
        let met = self.table.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        let live = match met {
            Some(live) => live,
            None => {
                let plain = self.sealer.open(PURPOSE, id).map_err(|_| UnknownSession)?;
                let facts = Facts::decode(&plain).ok_or(UnknownSession)?;
                let id: Arc<str> = id.into();
                Arc::new(Live::new(id, facts, &self.budget, now))
            }
        };
        // SECURITY: a stolen id is useless to another principal: `a_session_of_another_principal_is_unknown`.
        let facts = live.facts();
        let mine = facts.owner == owner_of(principal) && facts.endpoint == *endpoint;
        if !mine || facts.expires <= now || self.ended.contains(&live.key()) {
            return Err(UnknownSession);
        }
        live.touch(now);
        self.insert(Arc::clone(live.id()), Arc::clone(&live), now);
        Ok(live)
    }

    /// Ends a session: remembered until it would have expired, its streams and questions dropped.
    ///
    /// # Errors
    /// [`EndedError`] when the ending could not be made durable; it has ended here all the same.
    pub(crate) fn end(&self, live: &Live, now: Timestamp) -> Result<(), EndedError> {
        self.forget(live, now);
        live.close();
        self.write_end(live)
    }

    /// Ends the sessions that nobody may use any more: of whom `revoked` says so. To write that down, which takes the disk's
    /// time, is for the caller: [`Sessions::write_end`].
    pub(crate) fn end_of(
        &self,
        revoked: impl Fn(&Verified) -> bool,
        now: Timestamp,
    ) -> Vec<(Arc<Live>, Vec<Verified>)> {
        let met: Vec<_> = {
            let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            table.values().map(Arc::clone).collect()
        };
        let over = |live: Arc<Live>| live.is_over(&revoked, now).map(|callers| (live, callers));
        let ended: Vec<_> = met.into_iter().filter_map(over).collect();
        for (live, _) in &ended {
            self.forget(live, now);
            live.close_to_new();
        }
        ended
    }

    /// Writes down that a session has ended.
    ///
    /// # Errors
    /// [`EndedError`] when that could not be made durable.
    pub(crate) fn write_end(&self, live: &Live) -> Result<(), EndedError> {
        self.ended.write(live.key(), live.facts().expires)
    }

    fn forget(&self, live: &Live, now: Timestamp) {
        // SECURITY: known as ended before it is gone from the table, or its id, which holds all that is needed, would open
        // it again: `nothing_opens_a_session_again_that_has_just_ended`.
        self.ended.add(live.key(), live.facts().expires, now);
        self.table.lock().unwrap_or_else(PoisonError::into_inner).remove(live.id());
    }

    /// How many sessions have mutable state here.
    pub(crate) fn size(&self) -> usize {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// At the bound, the session that was used least recently and has neither a stream nor a call loses its mutable state.
    fn insert(&self, id: Arc<str>, live: Arc<Live>, now: Timestamp) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if !table.contains_key(&id) && table.len() >= self.bound {
            table.retain(|_, live| live.facts().expires > now);
            if table.len() >= self.bound {
                let oldest = table
                    .values()
                    .filter(|live| !live.is_busy())
                    .min_by_key(|live| live.last_used())
                    .map(|live| Arc::clone(live.id()));
                oldest.and_then(|id| table.remove(&id));
            }
        }
        table.entry(id).or_insert(live);
    }
}

/// What a session is bound to: the caller without roles, groups and scopes, which may change under it.
pub(crate) fn owner_of(principal: &Principal) -> Digest {
    let agent = principal.agent.as_deref().unwrap_or_default();
    let parts = [&*principal.issuer, &*principal.user, &*principal.client, agent, &*principal.tenant];
    let mut text = Vec::with_capacity(160);
    for part in parts {
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    Digest::of(&text)
}

/// What the sealer binds a session id to.
const PURPOSE: &str = "mcp-session";

#[cfg(test)]
mod tests;
