//! Enterprise-managed authorization: a person's identity provider says by an Identity Assertion JWT Authorization Grant
//! (`oauth-id-jag+jwt`, grant type of RFC 7523) that a client may have a token here, and nobody is asked.
//!
//! Every check of the profile is made, and a mismatch of any kind is `invalid_grant`: type, algorithm and signature by the
//! provider's own keys; issuer trusted by a tenant; audience this authorization server and nothing else; its client the one
//! that asks and that proved itself; resource one of ours and the one that is asked for; taken once.

use super::caller::Caller;
use super::client_credentials::{confirmation, end};
use super::mint::Subject;
use super::narrow::{lower_origin, scopes_of};
use super::reply::Issued;
use crate::agent::{Assertion, Expected};
use crate::person::{Arrival, Person, PersonError};
use crate::sign_in::{ProviderConfig, is_of_directory};
use crate::{Form, Issuer, OauthError, replay};
use authn::jose::Jws;
use model::Timestamp;
use serde_json::Value;

/// Answers.
pub(super) async fn grant(issuer: &Issuer, form: &Form, caller: &Caller) -> Result<Issued, OauthError> {
    if !caller.is_confidential() {
        return Err(OauthError::invalid_client("a client that proves nothing gets no token by an assertion"));
    }
    let assertion =
        form.get("assertion").ok_or_else(|| OauthError::invalid_request("`assertion` is missing"))?;
    let jws = Jws::parse(assertion.as_bytes()).map_err(|_| refuse("the assertion is malformed"))?;
    let from = jws.claims.get("iss").and_then(Value::as_str).unwrap_or_default().to_owned();
    let tenant = match caller {
        Caller::Agent(actor) => Some(actor.agent.tenant.as_str()),
        Caller::Client(_) => None,
    };
    // SECURITY: keys are those of a provider that the tenant trusts for this, by its exact issuer
    // (test: `an_assertion_that_is_not_all_it_must_be_is_refused`).
    let desk = issuer.desk();
    let (tenant, name) = trusted(issuer, &from, tenant)
        .ok_or_else(|| refuse("`iss` is not one provider whose assertions a tenant takes"))?;
    let provider = desk
        .federation
        .provider(&tenant, &name)
        .map_err(|_| refuse("`iss` is not one provider whose assertions a tenant takes"))?;
    let keys = provider.keys_with(jws.kid.as_deref()).await.map_err(|error| {
        tracing::warn!(
            issuer = from,
            error = &error as &dyn std::error::Error,
            "an assertion cannot be verified"
        );
        refuse("the provider's keys do not verify the assertion")
    })?;
    let key = keys.find(jws.kid.as_deref()).ok_or_else(|| refuse("the provider has no such key"))?;
    let own = issuer.config().issuer.clone();
    let audiences = [own.as_str()];
    let expected = Expected { typ: Some(TYP), issuer: &from, audiences: &audiences, now: issuer.now() };
    let assertion = Assertion::verify(jws, key, &expected).map_err(refuse)?;
    // SECURITY: as at a sign-in (test: `an_assertion_about_a_member_of_another_organisation_is_refused`).
    is_of_directory(&assertion.claims, &provider.config)
        .map_err(|error| refuse(format!("the assertion is refused: {error}")))?;
    let (subject, resource) = check(issuer, form, caller, &assertion, &provider.config)?;
    // SECURITY: the last check, and the one that decides between many at once (test: `an_id_jag_is_taken_once`).
    if !replay::is_first(issuer, &from, &assertion.id, assertion.expires_at).await? {
        return Err(refuse("the assertion was used before"));
    }
    let person = person(issuer, &tenant, &provider.config, &subject, &assertion).await?;
    let given = assertion.text("scope").unwrap_or_default();
    let given: Vec<String> = given.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    let held = caller.most(&given);
    // The intersection: what was asked for and not given is left out, as the profile has it.
    let asked = form.get("scope").map(|asked| asked.split(' ').map(str::to_owned).collect::<Vec<_>>());
    let held: Vec<String> =
        held.into_iter().filter(|scope| asked.as_ref().is_none_or(|asked| asked.contains(scope))).collect();
    let scopes = scopes_of(&Form::default(), &resource, &held)?;
    let mut token = Subject {
        subject: person.id,
        client: caller.id().to_owned(),
        tenant,
        roles: person.roles,
        groups: person.groups,
        scopes,
        resource: resource.canonical,
        auth_time: assertion.claims.get("auth_time").and_then(Value::as_i64).map(Timestamp::from_seconds),
        ..Subject::default()
    };
    if let Caller::Agent(actor) = caller {
        token.actor = Some(actor.agent.id.clone());
        token.agent = Some(actor.agent.id.clone());
        token.registered = Some(actor.agent.registered());
        token.confirmation = confirmation(actor);
        token.not_after = end(actor);
    }
    Ok(Issued { subject: token, refresh_token: None, besides: Vec::new() })
}

/// The one tenant, and its provider's name, that takes assertions of this issuer.
fn trusted(issuer: &Issuer, from: &str, tenant: Option<&str>) -> Option<(String, String)> {
    let config = issuer.config();
    let mut found = config
        .tenants
        .iter()
        .filter(|known| tenant.is_none_or(|tenant| *known.name == *tenant))
        .flat_map(|known| known.providers.iter().map(move |provider| (known, provider)))
        .filter(|(known, provider)| {
            let rules = config.agents.get(&*known.name);
            provider.issuer == from
                && rules.is_some_and(|rules| rules.identity_assertions.contains(&provider.name))
        });
    // Of two tenants with one provider, nobody says which is meant.
    let (known, provider) = found.next().filter(|_| found.next().is_none())?;
    Some((known.name.to_string(), provider.name.clone()))
}

/// The subject and the resource, once everything in it is as it must be.
fn check(
    issuer: &Issuer,
    form: &Form,
    caller: &Caller,
    assertion: &Assertion,
    provider: &ProviderConfig,
) -> Result<(String, crate::ResourceConfig), OauthError> {
    // SECURITY: an assertion for another client is nobody else's
    // (test: `an_assertion_that_is_not_all_it_must_be_is_refused`).
    if assertion.text("client_id") != Some(caller.id()) {
        return Err(refuse("`client_id` is not the client that asks"));
    }
    if assertion.claims.get("iat").and_then(Value::as_i64).is_none() {
        return Err(refuse("`iat` is missing"));
    }
    if assertion.claims.contains_key("cnf") {
        return Err(refuse("it is bound to a key, which is not checked here"));
    }
    // SECURITY: whom a sign-in knows by this claim is the same person here, disabled or not
    // (test: `an_assertion_finds_the_person_by_the_claim_that_a_sign_in_does`).
    let by = provider.profile.subject;
    let subject = assertion.text(by).ok_or_else(|| refuse(format!("`{by}` is missing")))?.to_owned();
    // SECURITY: `aud` and `resource` are a pair: both are ours, and the resource is the one that is asked for
    // (test: `an_assertion_that_is_not_all_it_must_be_is_refused`).
    let named = assertion.text("resource").ok_or_else(|| refuse("`resource` is missing, or is not one"))?;
    let named = lower_origin(named);
    if form.get("resource").is_some_and(|asked| lower_origin(asked) != named) {
        return Err(refuse("`resource` is not the one that is asked for"));
    }
    let resource = issuer.resource(&named).ok_or_else(|| refuse("`resource` is none of ours"))?;
    if let Caller::Agent(actor) = caller
        && !actor.agent.may_use(&issuer.config().issuer, &named)
    {
        return Err(refuse("`resource` is none of ours"));
    }
    Ok((subject, resource))
}

/// The person of that issuer and subject; made when first heard of, as at a first sign-in.
async fn person(
    issuer: &Issuer,
    tenant: &str,
    provider: &ProviderConfig,
    subject: &str,
    assertion: &Assertion,
) -> Result<Person, OauthError> {
    let people = &issuer.people;
    let known = people.known_as(tenant, &provider.issuer, subject).await?;
    let found = match known {
        Some(person) if person.is_active => Ok(person),
        Some(_) => Err(PersonError::Disabled),
        None => {
            let text = |name: &str| assertion.text(name).map(str::to_owned);
            people
                .arrive(&Arrival {
                    tenant: tenant.to_owned(),
                    provider: provider.name.clone(),
                    issuer: provider.issuer.clone(),
                    subject: subject.to_owned(),
                    name: text("name"),
                    email: text("email"),
                    roles: provider.default_roles.clone(),
                    groups: Vec::new(),
                })
                .await
        }
    };
    found.map_err(|error| match error {
        PersonError::Storage(error) => error.into(),
        _ => refuse("the person may not sign in"),
    })
}

fn refuse(description: impl Into<String>) -> OauthError {
    OauthError::invalid_grant(description)
}

/// RFC 7519 §5.1, without `application/`.
const TYP: &str = "oauth-id-jag+jwt";
/// What the metadata says of it (`authorization_grant_profiles_supported`).
pub(crate) const PROFILE: &str = "urn:ietf:params:oauth:grant-profile:id-jag";
