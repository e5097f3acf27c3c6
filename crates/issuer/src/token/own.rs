//! Reading an access token of our own, whoever shows it and whatever resource it is for.

use crate::Issuer;
use authn::Algorithm;
use authn::jose::{Jws, KeySet};
use serde_json::{Map, Value};

/// The claims of an access token that we signed and that has not expired. Whether it was revoked is another question.
pub(crate) fn read(issuer: &Issuer, token: &str) -> Option<Map<String, Value>> {
    if token.len() > TOKEN_BYTES {
        return None;
    }
    let jws = Jws::parse(token.as_bytes()).ok()?;
    if jws.token_type.as_deref() != Some("at+jwt") {
        return None;
    }
    let keys = issuer.keys.jwks();
    let keys = KeySet::parse(keys.as_object()?, &[Algorithm::Es256])?;
    // Ours always name their key.
    let key = keys.find(Some(jws.kid.as_deref()?))?;
    key.verify(&jws.algorithm, jws.signed, &jws.signature).ok()?;
    let now = issuer.now().seconds();
    let is_ours = jws.claims.get("iss").and_then(Value::as_str) == Some(issuer.config().issuer.as_str());
    let is_good = jws.claims.get("exp").and_then(Value::as_i64).is_some_and(|end| end > now);
    (is_ours && is_good).then_some(jws.claims)
}

/// The longest token, in bytes.
const TOKEN_BYTES: usize = 16 << 10;
