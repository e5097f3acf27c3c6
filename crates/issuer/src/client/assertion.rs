//! `private_key_jwt`: a client proves who it is with a JWT it signed (RFC 7523 §2.2 and §3).

use super::{Client, keys};
use crate::{Issuer, OauthError, replay};
use authn::jose::{Jws, KeySet};
use model::Timestamp;
use serde_json::Value;
use std::time::Duration;

/// The client that an assertion claims to come from. Nothing is proven yet.
pub(crate) fn claimed(assertion: &str) -> Option<String> {
    let jws = Jws::parse(assertion.as_bytes()).ok()?;
    jws.claims.get("sub").and_then(Value::as_str).map(str::to_owned)
}

/// Verifies an assertion of `client` with its keys.
///
/// # Errors
/// `invalid_client` with a sentence that names the claim and never its value.
pub(crate) async fn verify(issuer: &Issuer, client: &Client, assertion: &str) -> Result<(), OauthError> {
    let jws = parse(assertion)?;
    let set = keys::of(issuer, client, jws.kid.as_deref()).await.map_err(OauthError::invalid_client)?;
    verify_with(issuer, &client.id, &jws, &set).await
}

/// Takes an assertion apart.
///
/// # Errors
/// `invalid_client`.
pub(crate) fn parse(assertion: &str) -> Result<Jws<'_>, OauthError> {
    if assertion.len() > ASSERTION_BYTES {
        return Err(OauthError::invalid_client("the assertion is too long"));
    }
    Jws::parse(assertion.as_bytes()).map_err(|_| OauthError::invalid_client("the assertion is malformed"))
}

/// Verifies an assertion of the client `id` with one of `set`, and uses it up.
///
/// # Errors
/// `invalid_client`.
pub(crate) async fn verify_with(
    issuer: &Issuer,
    id: &str,
    jws: &Jws<'_>,
    set: &KeySet,
) -> Result<(), OauthError> {
    let refuse = |why: &str| OauthError::invalid_client(format!("the assertion {why}"));
    // An access token, an ID token or an ID-JAG of the same key is no proof of a client (RFC 8725 §3.11).
    let kind = jws.token_type.as_deref().map(str::to_ascii_lowercase);
    if !matches!(kind.as_deref(), None | Some("jwt" | "client-authentication+jwt")) {
        return Err(refuse("is of another type"));
    }
    let key = set.find(jws.kid.as_deref()).ok_or_else(|| refuse("is signed with an unknown key"))?;
    key.verify(&jws.algorithm, jws.signed, &jws.signature).map_err(|_| refuse("does not verify"))?;
    let text = |name: &str| jws.claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(id) || text("sub") != Some(id) {
        return Err(refuse("has an `iss` or `sub` that is not the client's id"));
    }
    // SECURITY: for us alone: an assertion for several audiences could come from one of the others
    // (test: `an_assertion_proves_a_client_once_here_and_now`).
    let ours = issuer.config().issuer.clone();
    let is_ours = |audience: &Value| {
        audience.as_str().is_some_and(|it| it == ours || it == format!("{ours}/oauth/token"))
    };
    let fits = match jws.claims.get("aud") {
        Some(Value::Array(list)) => matches!(list.as_slice(), [one] if is_ours(one)),
        Some(one) => is_ours(one),
        None => false,
    };
    if !fits {
        return Err(refuse("has an `aud` that is neither our issuer nor our token endpoint"));
    }
    let date = |name: &str| {
        jws.claims
            .get(name)
            .map(|value| value.as_i64().ok_or_else(|| refuse("has a date that is no whole number")))
    };
    let now = issuer.now();
    let expires = Timestamp::from_seconds(date("exp").transpose()?.ok_or_else(|| refuse("has no `exp`"))?);
    if expires.after(SKEW) <= now {
        return Err(refuse("has expired"));
    }
    if expires > now.after(LONGEST + SKEW) {
        return Err(refuse("lives longer than five minutes"));
    }
    for name in ["iat", "nbf"] {
        if date(name).transpose()?.is_some_and(|moment| Timestamp::from_seconds(moment) > now.after(SKEW)) {
            return Err(refuse("is not valid yet"));
        }
    }
    let jti = text("jti").filter(|id| (1..=256).contains(&id.len())).ok_or_else(|| refuse("has no `jti`"))?;
    if !replay::is_first(issuer, id, jti, expires.after(SKEW)).await? {
        return Err(refuse("was used before"));
    }
    Ok(())
}

/// How far a client's clock and ours may differ.
const SKEW: Duration = Duration::from_secs(30);
/// The longest life.
const LONGEST: Duration = Duration::from_secs(300);
/// The longest assertion, in bytes.
const ASSERTION_BYTES: usize = 8 << 10;
