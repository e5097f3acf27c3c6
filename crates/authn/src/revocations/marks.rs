//! By what a token can be revoked.

use model::{Digest, Principal, Timestamp};
use std::sync::Arc;

/// What a verified token says of itself, beside its principal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    /// `jti`.
    pub(crate) id: Option<Arc<str>>,
    /// `grant_id`.
    pub(crate) grant: Option<Arc<str>>,
    /// `sid`.
    pub(crate) session: Option<Arc<str>>,
    /// `sub`, where another claim names the user.
    pub(crate) subject: Option<Arc<str>>,
    /// `kid` of the key that signed it.
    pub(crate) key: Option<Arc<str>>,
    /// `iat`.
    pub(crate) issued_at: Option<Timestamp>,
    /// `may_act` (RFC 8693 §4.4): who may act for the user. No revocation reads it.
    pub(crate) may_act: Option<Arc<serde_json::Value>>,
}

/// Everything about a token that a revocation can mean.
pub(crate) struct Facts<'a> {
    pub(crate) digest: Digest,
    pub(crate) principal: &'a Principal,
    pub(crate) marks: &'a Marks,
}

impl Facts<'_> {
    /// Whoever is named: the subject, the agent that acts, and whoever acted before it, however deep.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let Principal { user, agent, actors, .. } = self.principal;
        let others = [agent.as_deref(), self.marks.subject.as_deref()].into_iter().flatten();
        std::iter::once(&**user).chain(others).chain(actors.iter().map(|actor| &**actor))
    }
}
