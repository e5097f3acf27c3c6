//! Access tokens: JWTs of RFC 9068, signed with the key of the moment.

use crate::{Issuer, secret_text};
use model::{Registered, Timestamp};
use serde_json::{Map, Value, json};
use std::time::Duration;
use vault::VaultError;

/// What an access token says. Everything in it was decided before.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// `sub`: the person (`usr_…`), or the agent that acts for nobody (`agt_…`).
    pub subject: String,
    /// `act.sub`: the agent that acts for the person (RFC 8693 §4.1).
    pub actor: Option<String>,
    /// Who acted before that agent, the nearest first: nested in `act`.
    pub actors_before: Vec<String>,
    /// `agent_trust` and `agent_servers`: what the registry says of the agent.
    pub registered: Option<Registered>,
    /// `agent_id`.
    pub agent: Option<String>,
    /// `client_id`.
    pub client: String,
    /// `tenant_id`.
    pub tenant: String,
    /// `roles`.
    pub roles: Vec<String>,
    /// `groups`.
    pub groups: Vec<String>,
    /// `scope`.
    pub scopes: Vec<String>,
    /// `aud`: the canonical URI of the one resource.
    pub resource: String,
    /// `grant_id`: what can be revoked as a whole.
    pub grant: Option<String>,
    /// `sid`: the browser session it came from.
    pub session: Option<String>,
    /// `auth_time`: when the person last proved who they are.
    pub auth_time: Option<Timestamp>,
    /// `cnf`: the key the token is bound to (RFC 7800, RFC 8705 §3.1).
    pub confirmation: Option<Value>,
    /// An end that comes sooner than the usual one.
    pub not_after: Option<Timestamp>,
}

/// A minted token.
pub struct Minted {
    /// The token.
    pub token: String,
    /// Its `jti`.
    pub id: String,
    /// For how long it is good.
    pub expires_in: Duration,
}

/// No token.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The keys.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Makes an access token.
///
/// # Errors
/// [`MintError`].
pub fn mint(issuer: &Issuer, subject: &Subject) -> Result<Minted, MintError> {
    let config = issuer.config();
    let now = issuer.now();
    let usual = now.after(config.access_token);
    let expires = subject.not_after.map_or(usual, |end| end.min(usual));
    let id = secret_text::id("tok_", issuer.dice.as_ref());
    let mut claims = Map::new();
    let mut put = |name: &str, value: Value| drop(claims.insert(name.to_owned(), value));
    put("iss", json!(config.issuer));
    put("sub", json!(subject.subject));
    put("aud", json!(subject.resource));
    put("iat", json!(now.seconds()));
    put("exp", json!(expires.seconds()));
    put("jti", json!(id));
    put("client_id", json!(subject.client));
    put("tenant_id", json!(subject.tenant));
    put("roles", json!(subject.roles));
    put("groups", json!(subject.groups));
    put("scope", json!(subject.scopes.join(" ")));
    for (name, value) in [
        ("grant_id", subject.grant.as_ref().map(|id| json!(id))),
        ("sid", subject.session.as_ref().map(|id| json!(id))),
        ("auth_time", subject.auth_time.map(|moment| json!(moment.seconds()))),
        ("act", subject.actor.as_ref().map(|actor| chain(actor, &subject.actors_before))),
        ("agent_trust", subject.registered.as_ref().map(|agent| json!(agent.trust))),
        (
            "agent_servers",
            subject.registered.as_ref().and_then(|agent| agent.servers.as_ref()).map(|all| json!(all)),
        ),
        ("agent_id", subject.agent.as_ref().map(|id| json!(id))),
        ("cnf", subject.confirmation.clone()),
    ] {
        if let Some(value) = value {
            put(name, value);
        }
    }
    let signed = issuer.keys.sign("at+jwt", Value::Object(claims).to_string().as_bytes())?;
    Ok(Minted { token: signed.token, id, expires_in: expires.since(now) })
}

/// `act` with whoever acted before nested in it (RFC 8693 §4.1).
fn chain(actor: &str, before: &[String]) -> Value {
    let nested = before.iter().rev().fold(None, |inner: Option<Value>, actor| Some(link(actor, inner)));
    link(actor, nested)
}

fn link(actor: &str, before: Option<Value>) -> Value {
    match before {
        Some(before) => json!({ "sub": actor, "act": before }),
        None => json!({ "sub": actor }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_of_actors_is_nested_with_the_nearest_outside() {
        assert_eq!(chain("a", &[]), json!({"sub": "a"}));
        assert_eq!(
            chain("a", &["b".into(), "c".into()]),
            json!({"sub": "a", "act": {"sub": "b", "act": {"sub": "c"}}})
        );
    }
}
