//! Signed assertions: of agents about themselves (RFC 7523 §3), and of identity providers about people. Read strictly,
//! verified by a key that is known beforehand, and believed for as long as they say, five minutes at most.

use authn::Algorithm;
use authn::jose::{Jws, Key, KeySet};
use model::Timestamp;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// A verified assertion.
#[derive(Debug)]
pub(crate) struct Assertion {
    /// Its claims.
    pub(crate) claims: Map<String, Value>,
    /// `jti`.
    pub(crate) id: String,
    /// `exp`.
    pub(crate) expires_at: Timestamp,
}

/// What an assertion must be.
pub(crate) struct Expected<'a> {
    /// Accepted `typ`, in lower case; empty: `JWT`, none, or `client-authentication+jwt`.
    pub(crate) typ: Option<&'a str>,
    /// `iss`.
    pub(crate) issuer: &'a str,
    /// Accepted `aud`; it names one of these and nothing else.
    pub(crate) audiences: &'a [&'a str],
    /// Now.
    pub(crate) now: Timestamp,
}

/// The one key of a registered JWK.
pub(crate) fn key_of(jwk: &Value) -> Option<KeySet> {
    let mut jwk = jwk.clone();
    // Which key it is was decided by looking at the ids; this one verifies or does not.
    jwk.as_object_mut()?.remove("kid");
    KeySet::parse(
        json!({ "keys": [jwk] }).as_object()?,
        &[Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa],
    )
}

impl Assertion {
    /// Takes an assertion apart and verifies it with `key`.
    ///
    /// # Errors
    /// What is wrong with it, in words that name a claim and never its value.
    pub(crate) fn verify(jws: Jws<'_>, key: &Key, expected: &Expected<'_>) -> Result<Self, &'static str> {
        let typ = jws.token_type.as_deref().map(|typ| {
            let typ = typ.to_ascii_lowercase();
            typ.strip_prefix("application/").map_or(typ.clone(), str::to_owned)
        });
        let fits = match (expected.typ, typ.as_deref()) {
            (Some(wanted), found) => found == Some(wanted),
            (None, None | Some("jwt" | "client-authentication+jwt")) => true,
            (None, Some(_)) => false,
        };
        if !fits {
            return Err("`typ` is another");
        }
        key.verify(&jws.algorithm, jws.signed, &jws.signature)
            .map_err(|_| "the signature does not verify")?;
        let claims = jws.claims;
        if claims.get("iss").and_then(Value::as_str) != Some(expected.issuer) {
            return Err("`iss` is another");
        }
        let audience = match claims.get("aud") {
            Some(Value::String(audience)) => Some(audience.as_str()),
            // One, and no other: an assertion for two could be used at either.
            Some(Value::Array(list)) => match list.as_slice() {
                [only] => only.as_str(),
                _ => None,
            },
            _ => None,
        };
        if !audience.is_some_and(|audience| expected.audiences.contains(&audience)) {
            return Err("`aud` does not name this authorization server alone");
        }
        let date = |name: &str| claims.get(name).and_then(Value::as_i64).map(Timestamp::from_seconds);
        let (now, late) = (expected.now, expected.now.after(SKEW));
        let expires_at = date("exp").ok_or("`exp` is missing")?;
        let issued_at = match claims.get("iat") {
            None => None,
            Some(_) => Some(date("iat").ok_or("`iat` is no date")?),
        };
        if expires_at.after(SKEW) <= now {
            return Err("it has expired");
        }
        if issued_at.is_some_and(|at| at > late)
            || (claims.contains_key("nbf") && date("nbf").is_none_or(|at| at > late))
        {
            return Err("it is not valid yet");
        }
        if expires_at.since(issued_at.unwrap_or(now)) > LIFE + SKEW || expires_at.since(now) > LIFE + SKEW {
            return Err("it lives longer than five minutes");
        }
        let id = claims.get("jti").and_then(Value::as_str).filter(|id| (1..=256).contains(&id.len()));
        let id = id.ok_or("`jti` is missing or too long")?.to_owned();
        // The skew, so that it is remembered for as long as it is taken.
        Ok(Self { id, expires_at: expires_at.after(SKEW), claims })
    }

    /// A claim that is text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty() && text.len() <= 2048)
    }
}

/// How far clocks may differ.
const SKEW: Duration = Duration::from_secs(30);
/// The longest life.
const LIFE: Duration = Duration::from_secs(300);
