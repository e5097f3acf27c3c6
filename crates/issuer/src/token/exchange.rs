//! Token exchange (RFC 8693): an agent gets a token to act for a person. `sub` is the person, `act` the agent, with
//! whoever acted before nested in it.
//!
//! The person's token is one of ours, or one of another issuer that this gateway accepts (an opaque one of a legacy login
//! among them), verified exactly as an endpoint would. What comes out is for the same endpoint or a narrower one, with no
//! scope that either of the two lacks, ends with the person's token, and with its grant and session.

use super::client_credentials::{confirmation, end};
use super::mint::Subject;
use super::narrow::{is_within, resource_of, scopes_of, unknown_resource};
use super::reply::Issued;
use crate::agent::Actor;
use crate::{Form, Issuer, OauthError};
use authn::jose::Jws;
use authn::{Resource, Verified};
use model::{Code, Timestamp};
use serde_json::{Map, Value};

/// Answers.
pub(super) async fn grant(issuer: &Issuer, form: &Form, actor: &Actor) -> Result<Issued, OauthError> {
    kinds(form)?;
    let resource = resource_of(issuer, form)?;
    let own = issuer.config().issuer.clone();
    let agent = &actor.agent;
    if form.get("audience").is_some_and(|audience| audience != resource.canonical) {
        return Err(unknown_resource());
    }
    let person = subject(issuer, actor, form.get("subject_token"), &resource.canonical).await?;
    let principal = &person.verified.principal;
    if !principal.user.starts_with("usr_") {
        return Err(refuse("the subject of `subject_token` is not a person"));
    }
    // SECURITY: within one tenant (test: `an_agent_of_another_tenant_acts_for_nobody`).
    if *principal.tenant != *agent.tenant {
        return Err(refuse("the person is of another tenant"));
    }
    if !is_within(&own, &resource.canonical, &person.audience) || !agent.may_use(&own, &resource.canonical) {
        return Err(OauthError::new(
            "invalid_target",
            Code::OAUTH_REQUEST,
            "`resource` is not one that both the person's token and the agent may have",
        ));
    }
    let mut held: Vec<String> = principal.scopes.iter().map(ToString::to_string).collect();
    let most = agent.delegation.scopes.clone().unwrap_or_else(|| agent.scopes.clone());
    let by_credential = actor.credential.scopes(agent);
    held.retain(|scope| most.contains(scope) && by_credential.contains(scope));
    if let Some(token) = form.get("actor_token") {
        let actor_token = read(issuer, actor, Some(token), "actor_token").await?;
        let named = &actor_token.verified.principal;
        // SECURITY: who acts is who asks (test: `an_actor_token_narrows_and_is_the_agents_own`).
        if *named.user != *agent.id || !named.actors.is_empty() {
            return Err(refuse("`actor_token` is not a token of the agent that asks"));
        }
        if !is_within(&own, &resource.canonical, &actor_token.audience) {
            return Err(unknown_resource());
        }
        held.retain(|scope| named.scopes.iter().any(|own| **own == **scope));
    }
    if let Some(consented) = allowed(issuer, actor, &person, &resource.canonical).await? {
        held.retain(|scope| consented.contains(scope));
    }
    let scopes = scopes_of(form, &resource, &held)?;
    let before: Vec<String> =
        principal.agent.iter().chain(&principal.actors).map(ToString::to_string).collect();
    if before.len() >= usize::from(agent.delegation.depth) {
        return Err(refuse("the chain of actors would be longer than the agent's may be"));
    }
    let text = |name: &str| person.claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let own_end = [Some(person.expires_at), end(actor)].into_iter().flatten().min();
    let subject = Subject {
        subject: principal.user.to_string(),
        actor: Some(agent.id.clone()),
        actors_before: before,
        agent: Some(agent.id.clone()),
        client: agent.id.clone(),
        tenant: principal.tenant.to_string(),
        roles: principal.roles.iter().map(ToString::to_string).collect(),
        groups: principal.groups.iter().map(ToString::to_string).collect(),
        scopes,
        resource: resource.canonical,
        grant: text("grant_id"),
        session: text("sid"),
        auth_time: person.claims.get("auth_time").and_then(Value::as_i64).map(Timestamp::from_seconds),
        registered: Some(agent.registered()),
        confirmation: confirmation(actor),
        not_after: own_end,
    };
    Ok(Issued { subject, refresh_token: None, besides: vec![("issued_token_type", ACCESS_TOKEN.into())] })
}

/// What is asked for and what is shown are access tokens (RFC 8693 §2.1).
fn kinds(form: &Form) -> Result<(), OauthError> {
    let is = |name: &str, needed: bool| match form.get(name) {
        None => !needed,
        Some(kind) => kind == ACCESS_TOKEN || kind == JWT,
    };
    if !is("requested_token_type", false) {
        return Err(OauthError::invalid_request("`requested_token_type` is not an access token"));
    }
    if !is("subject_token_type", true) {
        return Err(OauthError::invalid_request(
            "`subject_token_type` is missing, or is not an access token",
        ));
    }
    if form.get("actor_token").is_some() != form.get("actor_token_type").is_some()
        || !is("actor_token_type", false)
    {
        return Err(OauthError::invalid_request(
            "`actor_token` and `actor_token_type` come together, for an access token",
        ));
    }
    Ok(())
}

/// A verified token of ours.
struct Read {
    verified: Verified,
    claims: Map<String, Value>,
    audience: String,
    expires_at: Timestamp,
}

/// Verifies a token as the endpoint that it is for would: signature, times, revocation, the certificate it is bound to.
async fn read(
    issuer: &Issuer,
    actor: &Actor,
    token: Option<&str>,
    name: &'static str,
) -> Result<Read, OauthError> {
    let token = token.ok_or_else(|| OauthError::invalid_request(format!("`{name}` is missing")))?;
    let refused = || refuse(format!("`{name}` is not a good token of this authorization server"));
    // Nothing in it is believed yet: this only finds the endpoint whose verification it has to pass.
    let claims = Jws::parse(token.as_bytes()).map_err(|_| refused())?.claims;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(&issuer.config().issuer) {
        return Err(refused());
    }
    let audience = text("aud").and_then(|audience| issuer.resource(audience)).ok_or_else(refused)?.canonical;
    let resource = Resource::new(&audience, Vec::new(), Vec::new(), Vec::new()).map_err(|_| refused())?;
    let verified = issuer.authn.token(token.as_bytes(), &resource, actor.certificate).await;
    let verified = verified.map_err(|error| match error.kind() {
        model::ErrorKind::Unavailable => OauthError::unavailable(),
        _ => refused(),
    })?;
    let expires_at =
        claims.get("exp").and_then(Value::as_i64).map(Timestamp::from_seconds).ok_or_else(refused)?;
    Ok(Read { verified, claims, audience, expires_at })
}

/// The person's token: ours, or one that another issuer made for the endpoint that is asked for.
async fn subject(
    issuer: &Issuer,
    actor: &Actor,
    token: Option<&str>,
    resource: &str,
) -> Result<Read, OauthError> {
    let token = token.ok_or_else(|| OauthError::invalid_request("`subject_token` is missing"))?;
    let own = Jws::parse(token.as_bytes()).is_ok_and(|jws| {
        jws.claims.get("iss").and_then(Value::as_str) == Some(issuer.config().issuer.as_str())
    });
    if own {
        read(issuer, actor, Some(token), "subject_token").await
    } else {
        foreign(issuer, actor, token, resource).await
    }
}

/// A token of another issuer, held against that issuer's contract at the endpoint, and the person of ours whom that issuer
/// knows. SECURITY: people are the same by (issuer, subject) and by nothing else, and nobody is made here: they have signed
/// in before (test: `a_token_of_another_issuer_is_exchanged_for_the_person_it_is_of`).
async fn foreign(issuer: &Issuer, actor: &Actor, token: &str, resource: &str) -> Result<Read, OauthError> {
    let refused = || refuse("`subject_token` is not a good token for `resource`");
    let place = Resource::new(resource, Vec::new(), Vec::new(), Vec::new()).map_err(|_| refused())?;
    let verified = issuer.authn.token(token.as_bytes(), &place, actor.certificate).await;
    let mut verified = verified.map_err(|error| match error.kind() {
        model::ErrorKind::Unavailable => OauthError::unavailable(),
        _ => refused(),
    })?;
    let seen = &verified.principal;
    if seen.agent.is_some() || !seen.actors.is_empty() {
        return Err(refuse("somebody acts by `subject_token` already, whom only its issuer knows"));
    }
    let person = issuer.people.known_as(&actor.agent.tenant, &seen.issuer, &seen.user).await?;
    let person = person.filter(|person| person.is_active && *person.tenant == *seen.tenant);
    let person = person
        .ok_or_else(|| refuse("nobody of this tenant is known here as the subject of `subject_token`"))?;
    let texts = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
    let principal = model::Principal {
        user: person.id.as_str().into(),
        roles: texts(&person.roles),
        groups: texts(&person.groups),
        ..model::Principal::clone(seen)
    };
    verified.principal = std::sync::Arc::new(principal);
    let expires_at = verified.expires_at;
    Ok(Read { verified, claims: Map::new(), audience: resource.to_owned(), expires_at })
}

/// Whether the agent may act for the person. What the person's token says (`may_act`) decides alone; without it a rule of
/// the agent; without one the person's consent, whose scopes are returned.
async fn allowed(
    issuer: &Issuer,
    actor: &Actor,
    person: &Read,
    resource: &str,
) -> Result<Option<Vec<String>>, OauthError> {
    let agent = &actor.agent;
    let principal = &person.verified.principal;
    if let Some(named) = person.verified.may_act() {
        let may = named.get("sub").and_then(Value::as_str) == Some(&agent.id)
            && named.get("iss").is_none_or(|iss| iss.as_str() == Some(&issuer.config().issuer));
        return if may {
            Ok(None)
        } else {
            Err(refuse("the person's token lets another act, and not this agent"))
        };
    }
    let groups: Vec<String> = principal.groups.iter().map(ToString::to_string).collect();
    if agent.may_act_for(&principal.user, &groups) {
        return Ok(None);
    }
    let consent = issuer.agent_consents().find(&principal.user, &agent.id, resource).await?;
    match consent {
        Some(scopes) => Ok(Some(scopes)),
        None => Err(refuse("no rule and no consent lets the agent act for this person")),
    }
}

/// RFC 8693 §2.2.2: a token that is invalid or unacceptable is `invalid_request`.
fn refuse(description: impl Into<String>) -> OauthError {
    OauthError::new("invalid_request", Code::EXCHANGE_REFUSED, description)
}

/// RFC 8693 §3.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
