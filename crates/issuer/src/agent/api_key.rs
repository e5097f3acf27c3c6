//! API keys: a bearer token for agents that can neither sign nor redirect. Shown once, kept as a digest, scoped, ending.
//!
//! A key is presented at an endpoint like any token, and looked up there on every request: nothing of it is remembered,
//! so that it, its agent and its owner can be stopped at once, for the price of a row per call.

use super::credential::{API_KEY, KEY};
use super::{Agents, Credentials};
use authn::{KeyHolder, KeyLookup, LookUp, LookUpError};
use model::{Clock, Dice, Digest, Principal};
use std::sync::Arc;
use storage::{Db, StorageError};

/// Who holds an API key.
pub struct ApiKeys {
    issuer: String,
    agents: Agents,
    credentials: Credentials,
    clock: Arc<dyn Clock>,
}

impl ApiKeys {
    /// The keys of this database. `issuer` is whoever keeps the registry: the gateway's public URL.
    pub fn new(issuer: &str, db: Db, clock: Arc<dyn Clock>, dice: Arc<dyn Dice>) -> Self {
        Self {
            issuer: issuer.to_owned(),
            agents: Agents::new(db.clone(), Arc::clone(&clock), Arc::clone(&dice)),
            credentials: Credentials::new(db, Arc::clone(&clock), dice),
            clock,
        }
    }

    async fn find(&self, digest: Digest, resource: &str) -> Result<Option<KeyHolder>, StorageError> {
        let Some(credential) = self.credentials.by_digest(KEY, &digest.to_string()).await? else {
            return Ok(None);
        };
        let now = self.clock.now();
        let found = self.agents.find(&credential.agent).await?;
        let Some(agent) = found.filter(|agent| agent.is_active(now) && agent.may_use(&self.issuer, resource))
        else {
            return Ok(None);
        };
        self.agents.used(&agent.id).await?;
        self.credentials.used(&credential.id).await?;
        let id: Arc<str> = agent.id.as_str().into();
        let principal = Principal {
            user: Arc::clone(&id),
            client: Arc::clone(&id),
            agent: Some(id),
            actors: Vec::new(),
            tenant: agent.tenant.as_str().into(),
            roles: Vec::new(),
            groups: Vec::new(),
            scopes: credential.scopes(&agent).iter().map(|scope| scope.as_str().into()).collect(),
            issuer: self.issuer.as_str().into(),
            registered: Some(Arc::new(agent.registered())),
        };
        let end = credential.not_after.into_iter().chain(agent.expires_at).min();
        Ok(Some(KeyHolder { principal, expires_at: end, issued_at: now }))
    }
}

impl KeyLookup for ApiKeys {
    fn prefix(&self) -> &'static str {
        API_KEY
    }

    fn look_up<'a>(&'a self, digest: Digest, resource: &'a str) -> LookUp<'a> {
        Box::pin(async move {
            self.find(digest, resource).await.map_err(|error| {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "an API key could not be looked up"
                );
                LookUpError
            })
        })
    }
}
