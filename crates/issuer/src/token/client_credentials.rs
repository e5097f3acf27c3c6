//! `client_credentials`: a token for an agent that acts for nobody (OAuth 2.1 §4.2). It is its own subject.

use super::mint::Subject;
use super::narrow::{resource_of, scopes_of};
use super::reply::Issued;
use crate::agent::Actor;
use crate::{Form, Issuer, OauthError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Answers.
pub(super) fn grant(issuer: &Issuer, form: &Form, actor: &Actor) -> Result<Issued, OauthError> {
    let resource = resource_of(issuer, form)?;
    let agent = &actor.agent;
    if !agent.may_use(&issuer.config().issuer, &resource.canonical) {
        return Err(super::narrow::unknown_resource());
    }
    let scopes = scopes_of(form, &resource, &actor.credential.scopes(agent))?;
    let subject = Subject {
        subject: agent.id.clone(),
        agent: Some(agent.id.clone()),
        client: agent.id.clone(),
        tenant: agent.tenant.clone(),
        scopes,
        resource: resource.canonical,
        registered: Some(agent.registered()),
        confirmation: confirmation(actor),
        not_after: end(actor),
        ..Subject::default()
    };
    Ok(Issued { subject, refresh_token: None, besides: Vec::new() })
}

/// `cnf`: the certificate of the connection, if it has one (RFC 8705 §3.1).
pub(super) fn confirmation(actor: &Actor) -> Option<Value> {
    actor.certificate.map(|digest| json!({ "x5t#S256": URL_SAFE_NO_PAD.encode(digest.0) }))
}

/// No token outlives its agent, or what the agent proved itself with.
pub(super) fn end(actor: &Actor) -> Option<model::Timestamp> {
    actor.agent.expires_at.into_iter().chain(actor.credential.not_after).min()
}
