//! Who asks at the token endpoint: an agent of the registry, or any other client.

use crate::agent::{self, Actor};
use crate::client::{Client, Method, authentication};
use crate::{Form, Issuer, OauthError};
use axum::http::HeaderMap;
use model::Code;
use net::listen::Peer;

/// Whoever asks, proven as it has to be.
pub(crate) enum Caller {
    /// An agent.
    Agent(Box<Actor>),
    /// Another client.
    Client(Box<Client>),
}

/// Finds out.
///
/// # Errors
/// `invalid_client`, `invalid_request`.
pub(crate) async fn of(
    issuer: &Issuer,
    form: &Form,
    headers: &HeaderMap,
    peer: &Peer,
) -> Result<Caller, OauthError> {
    match agent::admit(issuer, form, headers, peer).await? {
        Some(actor) => Ok(Caller::Agent(Box::new(actor))),
        None => {
            Ok(Caller::Client(Box::new(authentication::authenticate(issuer, headers, form, peer).await?)))
        }
    }
}

impl Caller {
    /// Its client id.
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Agent(actor) => &actor.agent.id,
            Self::Client(client) => &client.id,
        }
    }

    /// What people are shown.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Agent(actor) => &actor.agent.name,
            Self::Client(client) => &client.name,
        }
    }

    /// The agent.
    ///
    /// # Errors
    /// `unauthorized_client` for any other client.
    pub(crate) fn agent(&self) -> Result<&Actor, OauthError> {
        match self {
            Self::Agent(actor) => Ok(actor),
            Self::Client(_) => Err(OauthError::new(
                "unauthorized_client",
                Code::CLIENT_REFUSED,
                "this grant is for registered agents",
            )),
        }
    }

    /// The resources about whose tokens it may ask, besides its own tokens.
    pub(crate) fn introspects(&self) -> &[String] {
        match self {
            Self::Agent(_) => &[],
            Self::Client(client) => &client.introspects,
        }
    }

    /// Whether it proved who it is; a public client does not.
    pub(crate) fn is_confidential(&self) -> bool {
        match self {
            Self::Agent(_) => true,
            Self::Client(client) => client.method != Method::None,
        }
    }

    /// Of `scopes`, those that it may have.
    pub(crate) fn most(&self, scopes: &[String]) -> Vec<String> {
        let most: Option<Vec<String>> = match self {
            Self::Agent(actor) => {
                let own = actor.credential.scopes(&actor.agent);
                let delegated = actor.agent.delegation.scopes.as_ref();
                Some(own.into_iter().filter(|one| delegated.is_none_or(|all| all.contains(one))).collect())
            }
            Self::Client(client) => client.scopes.clone(),
        };
        let may = |scope: &&String| most.as_ref().is_none_or(|most| most.contains(scope));
        scopes.iter().filter(may).cloned().collect()
    }
}
