//! An agent proves who it is at the token endpoint: by a signed assertion, its certificate, or, where its tenant allows
//! that, a secret. One way at a time (RFC 6749 §2.3).

use super::assertion::{Assertion, Expected, key_of};
use super::certificate::proves;
use super::credential::{Credential, Credentials, Proof, SECRET};
use super::{Agent, Agents};
use crate::{Form, Issuer, OauthError, replay, secret_text};
use authn::jose::Jws;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use model::{Digest, Timestamp};
use net::listen::Peer;
use std::sync::Arc;

/// An agent that proved who it is.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The agent.
    pub agent: Agent,
    /// What it proved itself with.
    pub credential: Credential,
    /// SHA-256 of its connection's certificate: its tokens are bound to it.
    pub certificate: Option<Digest>,
}

/// The agent that asks, if an agent asks: its id begins with `agt_`, which no other client's does.
///
/// # Errors
/// `invalid_client`, the same for an agent that is not known, one that is stopped, and one that proves nothing;
/// `invalid_request` for two proofs at once.
pub(crate) async fn admit(
    issuer: &Issuer,
    form: &Form,
    headers: &HeaderMap,
    peer: &Peer,
) -> Result<Option<Actor>, OauthError> {
    let basic = basic(headers)?;
    let assertion = form.get("client_assertion");
    let jws = assertion.and_then(|assertion| Jws::parse(assertion.as_bytes()).ok());
    let asserted = jws.as_ref().and_then(|jws| jws.claims.get("sub")).and_then(serde_json::Value::as_str);
    let named = form.get("client_id").or(basic.as_ref().map(|(id, _)| id.as_str())).or(asserted);
    let Some(id) = named.filter(|id| id.starts_with("agt_")).map(str::to_owned) else { return Ok(None) };
    let secret = basic.as_ref().map(|(_, secret)| secret.as_str()).or(form.get("client_secret"));
    if assertion.is_some() && secret.is_some() || (basic.is_some() && form.get("client_secret").is_some()) {
        return Err(OauthError::invalid_request("more than one proof of who the client is"));
    }
    // SECURITY: the three that may name the client agree (test: `an_agent_is_the_one_that_all_of_its_proofs_name`).
    if [form.get("client_id"), basic.as_ref().map(|(id, _)| id.as_str()), asserted]
        .iter()
        .flatten()
        .any(|named| *named != id)
    {
        return Err(OauthError::invalid_client("the client is named in two ways"));
    }
    let refused =
        || OauthError::invalid_client("the agent is not known, is stopped, or did not prove who it is");
    let now = issuer.now();
    let (agents, credentials) = (issuer.agents(), issuer.agent_credentials());
    let agent = agents.find(&id).await?.filter(|agent| agent.is_active(now)).ok_or_else(refused)?;
    let good = credentials.good(&id).await?;
    let proved = match (jws, secret) {
        (Some(jws), _) => {
            let kind = form.get("client_assertion_type");
            if kind != Some(JWT_BEARER) {
                return Err(OauthError::invalid_client("`client_assertion_type` is another"));
            }
            let proved = by_assertion(issuer, &id, jws, &good, now).map_err(OauthError::invalid_client)?;
            let (credential, assertion) = proved;
            // SECURITY: an assertion is taken once (test: `an_assertion_of_an_agent_is_taken_once`).
            if !replay::is_first(issuer, &id, &assertion.id, assertion.expires_at).await? {
                return Err(OauthError::invalid_client("the assertion was used before"));
            }
            Some(credential)
        }
        (None, _) if assertion.is_some() => None,
        (None, Some(secret)) => {
            if !issuer.allows_secrets(&agent.tenant) {
                return Err(OauthError::invalid_client("the tenant does not allow client secrets"));
            }
            let digest = secret_text::digest(secret);
            credentials.by_digest(SECRET, &digest).await?.filter(|credential| credential.agent == id)
        }
        (None, None) => {
            let certificate = peer.certificate.as_deref();
            certificate.and_then(|certificate| proves(certificate, &good, now)).cloned()
        }
    };
    let credential = proved.ok_or_else(refused)?;
    noted(&agents, &credentials, &agent, &credential).await?;
    let certificate = peer.certificate.as_ref().map(|certificate| certificate.digest);
    Ok(Some(Actor { agent, credential, certificate }))
}

/// Notes that both were used.
pub(super) async fn noted(
    agents: &Agents,
    credentials: &Credentials,
    agent: &Agent,
    credential: &Credential,
) -> Result<(), OauthError> {
    agents.used(&agent.id).await?;
    credentials.used(&credential.id).await?;
    Ok(())
}

fn by_assertion(
    issuer: &Issuer,
    id: &str,
    jws: Jws<'_>,
    good: &[Credential],
    now: Timestamp,
) -> Result<(Credential, Assertion), &'static str> {
    let config = issuer.config();
    let endpoint = format!("{}/oauth/token", config.issuer);
    let audiences = [config.issuer.as_str(), endpoint.as_str()];
    let expected = Expected { typ: None, issuer: id, audiences: &audiences, now };
    let kid = jws.kid.clone();
    let fits = |jwk: &serde_json::Value| {
        let known = jwk.get("kid").and_then(serde_json::Value::as_str);
        kid.as_deref().zip(known).is_none_or(|(asked, known)| asked == known)
    };
    let mut candidates = good.iter().filter_map(|credential| match &credential.proof {
        Some(Proof::Jwk(jwk)) if fits(jwk) => Some((credential, key_of(jwk)?)),
        _ => None,
    });
    let signed_by = candidates.find(|(_, keys)| {
        keys.find(None).is_some_and(|key| key.verify(&jws.algorithm, jws.signed, &jws.signature).is_ok())
    });
    let (credential, keys) = signed_by.ok_or("no key of the agent verifies the assertion")?;
    let key = keys.find(None).ok_or("no key of the agent verifies the assertion")?;
    let assertion = Assertion::verify(jws, key, &expected)?;
    if assertion.text("sub") != Some(id) {
        return Err("`sub` is another");
    }
    Ok((credential.clone(), assertion))
}

/// Client id and secret of HTTP Basic, which are form-encoded within it (RFC 6749 §2.3.1).
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, OauthError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let bad = || OauthError::invalid_client("the authorization header is not HTTP Basic");
    if values.next().is_some() {
        return Err(bad());
    }
    let text = value.to_str().map_err(|_| bad())?;
    let (scheme, encoded) = text.split_once(' ').ok_or_else(bad)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(bad());
    }
    let decoded = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let (id, secret) = decoded.as_deref().and_then(|text| text.split_once(':')).ok_or_else(bad)?;
    let plain = |text: &str| {
        let pair = format!("v={text}");
        form_urlencoded::parse(pair.as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    Ok(Some((plain(id), plain(secret))))
}

impl Issuer {
    /// The registry of agents.
    pub fn agents(&self) -> Agents {
        Agents::new(self.db.clone(), Arc::clone(&self.clock), Arc::clone(&self.dice))
    }

    /// Their credentials.
    pub fn agent_credentials(&self) -> Credentials {
        Credentials::new(self.db.clone(), Arc::clone(&self.clock), Arc::clone(&self.dice))
    }

    /// What people let them do.
    pub fn agent_consents(&self) -> super::AgentConsents {
        super::AgentConsents::new(self.db.clone(), Arc::clone(&self.clock))
    }

    /// Whether a tenant's agents may have secrets.
    pub fn allows_secrets(&self, tenant: &str) -> bool {
        self.config().agents.get(tenant).is_some_and(|tenant| tenant.allow_client_secrets)
    }
}

/// RFC 7523 §2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
