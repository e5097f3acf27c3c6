//! ID tokens, believed only after every check of OpenID Connect Core 1.0 §3.1.3.7.

use super::provider::{Provider, ProviderError};
use super::{ProviderConfig, fetch};
use authn::AuthnError;
use authn::jose::Jws;
use aws_lc_rs::digest::{SHA256, SHA512, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::Timestamp;
use serde_json::{Map, Value};
use std::time::Duration;

/// An ID token is not believed. The texts are fixed: nothing of the token is in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// Not a signed token in its one strict form.
    #[error("it is no signed token")]
    Malformed,
    /// Another kind of token.
    #[error("it is a token of another type")]
    Type,
    /// Of another issuer.
    #[error("its `iss` is not the provider's issuer")]
    Issuer,
    /// For another client.
    #[error("its `aud` is not our client id")]
    Audience,
    /// Issued to another client, or to several without a word which.
    #[error("its `azp` is not our client id")]
    Party,
    /// The signature, or the key's algorithm.
    #[error("its signature does not verify: {0}")]
    Signature(AuthnError),
    /// Past its time.
    #[error("it has expired")]
    Expired,
    /// From the future.
    #[error("it is from the future: one of the two clocks is wrong")]
    NotYet,
    /// Made long ago.
    #[error("it was made too long ago")]
    Old,
    /// Not an answer to our request.
    #[error("its `nonce` is not ours")]
    Nonce,
    /// It came with another access token.
    #[error("its `at_hash` is not that of the access token beside it")]
    AccessToken,
    /// A claim is missing or of the wrong shape.
    #[error("its claim `{0}` is missing or malformed")]
    Claim(&'static str),
    /// Of another organisation at the same provider.
    #[error("its claim `{0}` names another organisation")]
    Directory(&'static str),
}

/// What an ID token has to fit.
pub(crate) struct Expected<'a> {
    /// Of the request; none in what a refresh token brings.
    pub(crate) nonce: Option<&'a str>,
    pub(crate) access_token: Option<&'a str>,
    pub(crate) now: Timestamp,
}

/// A token's claims after its signature was verified by a key of the provider's, and its header's algorithm.
pub(crate) async fn open(
    token: &str,
    provider: &Provider,
    types: &[&str],
) -> Result<(Map<String, Value>, String), OpenError> {
    if token.len() > TOKEN_BYTES {
        return Err(IdTokenError::Malformed.into());
    }
    let jws = Jws::parse(token.as_bytes()).map_err(|_| IdTokenError::Malformed)?;
    let kind = jws.token_type.as_deref().unwrap_or("JWT").to_ascii_lowercase();
    let kind = kind.strip_prefix("application/").unwrap_or(&kind);
    // SECURITY: access tokens, logout tokens and others are none of ours (test: `id_tokens_are_held_to_every_rule`).
    if !types.contains(&kind) {
        return Err(IdTokenError::Type.into());
    }
    let keys = provider.keys_with(jws.kid.as_deref()).await?;
    let key = keys.find(jws.kid.as_deref()).ok_or(ProviderError::UnknownKey)?;
    key.verify(&jws.algorithm, jws.signed, &jws.signature).map_err(IdTokenError::Signature)?;
    Ok((jws.claims, jws.algorithm))
}

/// A token could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The token is not believed.
    #[error("the token is refused: {0}")]
    Token(#[from] IdTokenError),
    /// The keys could not be had.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

/// Holds an ID token's claims to the rules.
pub(crate) fn check(
    claims: &Map<String, Value>,
    algorithm: &str,
    config: &ProviderConfig,
    expected: &Expected<'_>,
) -> Result<(), IdTokenError> {
    is_of(claims, config)?;
    if claims.contains_key("events") {
        return Err(IdTokenError::Type);
    }
    let date = |name: &'static str| claims.get(name).and_then(numeric_date).ok_or(IdTokenError::Claim(name));
    let (expires, issued) = (date("exp")?, date("iat")?);
    if expires.after(config.skew) <= expected.now {
        return Err(IdTokenError::Expired);
    }
    if issued > expected.now.after(config.skew) {
        return Err(IdTokenError::NotYet);
    }
    if expected.now.since(issued) > OLDEST {
        return Err(IdTokenError::Old);
    }
    if expected.nonce.is_some() && claims.get("nonce").and_then(Value::as_str) != expected.nonce {
        return Err(IdTokenError::Nonce);
    }
    match (claims.get("at_hash"), expected.access_token) {
        (None, _) => {}
        (Some(Value::String(hash)), Some(token)) if *hash == half_hash(token, algorithm) => {}
        (Some(_), _) => return Err(IdTokenError::AccessToken),
    }
    is_of_directory(claims, config)
}

/// Issuer, audience and party: what ID tokens and logout tokens have in common.
pub(crate) fn is_of(claims: &Map<String, Value>, config: &ProviderConfig) -> Result<(), IdTokenError> {
    if claims.get("iss").and_then(Value::as_str) != Some(config.issuer.as_str()) {
        return Err(IdTokenError::Issuer);
    }
    let client = config.client_id.as_str();
    let several = match claims.get("aud") {
        Some(Value::String(audience)) if audience == client => false,
        Some(Value::Array(all)) if all.iter().any(|audience| audience == client) => all.len() > 1,
        _ => return Err(IdTokenError::Audience),
    };
    match claims.get("azp") {
        None if several => Err(IdTokenError::Party),
        None => Ok(()),
        Some(party) if party == client => Ok(()),
        Some(_) => Err(IdTokenError::Party),
    }
}

/// SECURITY: a provider of many organisations vouches for members of all of them; only ours are let in
/// (test: `a_member_of_another_organisation_is_refused`).
pub(crate) fn is_of_directory(
    claims: &Map<String, Value>,
    config: &ProviderConfig,
) -> Result<(), IdTokenError> {
    let (Some(name), Some(directory)) = (config.profile.directory, &config.directory) else { return Ok(()) };
    let found = claims.get(name).and_then(Value::as_str);
    if found == Some(directory.as_str()) { Ok(()) } else { Err(IdTokenError::Directory(name)) }
}

/// Half of the hash of the access token, by the hash of the signature's algorithm (§3.1.3.6).
fn half_hash(token: &str, algorithm: &str) -> String {
    let hash = digest(if algorithm == "EdDSA" { &SHA512 } else { &SHA256 }, token.as_bytes());
    let bytes = hash.as_ref();
    URL_SAFE_NO_PAD.encode(bytes.get(..bytes.len() / 2).unwrap_or_default())
}

/// Seconds since the epoch, a whole number or one with a fraction.
pub(crate) fn numeric_date(value: &Value) -> Option<Timestamp> {
    let number = value.as_number()?.to_string();
    let seconds = number.split('.').next()?.parse::<i64>().ok().filter(|seconds| *seconds >= 0)?;
    Some(Timestamp::from_seconds(seconds))
}

/// The `error` a provider sent a browser back with, if it is one.
pub(crate) fn error_word(text: &str) -> &str {
    if fetch::is_word(text) { text } else { "error" }
}

/// The longest token read.
const TOKEN_BYTES: usize = 32 << 10;
/// The oldest ID token: it is made for the code that is redeemed at once.
const OLDEST: Duration = Duration::from_secs(900);

#[cfg(test)]
pub(crate) mod tests {
    use super::super::{ClientAuth, Overage, Profile};
    use super::*;
    use authn::Algorithm;
    use net::egress::Rule;
    use serde_json::json;
    use std::collections::BTreeMap;

    pub(crate) fn config(profile: &'static Profile) -> ProviderConfig {
        let paths = |names: &[&str]| names.iter().map(|name| authn::ClaimPath::new(name)).collect();
        ProviderConfig {
            name: "main".into(),
            display_name: "Main".into(),
            issuer: "https://idp.example".into(),
            discovery_url: None,
            profile,
            client_id: "portunus".into(),
            client_auth: ClientAuth::None,
            scopes: Vec::new(),
            roles: paths(profile.roles),
            groups: paths(profile.groups),
            role_map: BTreeMap::new(),
            default_roles: Vec::new(),
            directory: None,
            overage: Overage::Deny,
            recheck: None,
            pkce: true,
            userinfo: false,
            algorithms: vec![Algorithm::Es256],
            skew: Duration::from_secs(30),
            rule: Rule::PUBLIC,
        }
    }

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn good() -> Value {
        json!({
            "iss": "https://idp.example", "aud": "portunus", "sub": "s1", "nonce": "n",
            "iat": 1_700_000_000, "exp": 1_700_000_300, "at_hash": half_hash("token", "ES256"),
        })
    }

    fn checked(claims: &Value) -> Result<(), IdTokenError> {
        let expected = Expected { nonce: Some("n"), access_token: Some("token"), now: NOW };
        check(claims.as_object().unwrap(), "ES256", &config(Profile::GENERIC), &expected)
    }

    #[test]
    fn id_tokens_are_held_to_every_rule() {
        assert_eq!(checked(&good()), Ok(()));
        let several = json!(["portunus", "other"]);
        for (name, value, error) in [
            ("iss", json!("https://idp.example/"), IdTokenError::Issuer),
            ("iss", json!(["https://idp.example"]), IdTokenError::Issuer),
            ("iss", Value::Null, IdTokenError::Issuer),
            ("aud", json!("other"), IdTokenError::Audience),
            ("aud", json!([]), IdTokenError::Audience),
            ("aud", several.clone(), IdTokenError::Party),
            ("azp", json!("other"), IdTokenError::Party),
            ("azp", json!(7), IdTokenError::Party),
            ("exp", json!(1_699_999_970), IdTokenError::Expired),
            ("exp", json!("1700000300"), IdTokenError::Claim("exp")),
            ("exp", Value::Null, IdTokenError::Claim("exp")),
            ("iat", Value::Null, IdTokenError::Claim("iat")),
            ("iat", json!(1_700_000_031), IdTokenError::NotYet),
            ("iat", json!(1_699_999_000), IdTokenError::Old),
            ("nonce", json!("m"), IdTokenError::Nonce),
            ("nonce", Value::Null, IdTokenError::Nonce),
            ("at_hash", json!(half_hash("other", "ES256")), IdTokenError::AccessToken),
            ("at_hash", json!(7), IdTokenError::AccessToken),
            ("events", json!({}), IdTokenError::Type),
        ] {
            let mut claims = good();
            claims[name] = value.clone();
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            }
            assert_eq!(checked(&claims), Err(error), "{name} {value}");
        }
        for (name, value) in [
            ("iat", json!(1_700_000_029)),
            ("exp", json!(1_699_999_971)),
            ("azp", json!("portunus")),
            ("aud", json!(["portunus"])),
        ] {
            let mut claims = good();
            claims[name] = value;
            assert_eq!(checked(&claims), Ok(()), "{name}");
        }
        let mut claims = good();
        claims["aud"] = several;
        claims["azp"] = json!("portunus");
        assert_eq!(checked(&claims), Ok(()));
    }

    #[test]
    fn a_member_of_another_organisation_is_refused() {
        for (profile, claim) in [("entra", "tid"), ("google", "hd")] {
            let config =
                ProviderConfig { directory: Some("ours".into()), ..config(Profile::named(profile).unwrap()) };
            let expected = Expected { nonce: Some("n"), access_token: Some("token"), now: NOW };
            let mut claims = good();
            let verdict = |claims: &Value| check(claims.as_object().unwrap(), "ES256", &config, &expected);
            assert_eq!(verdict(&claims), Err(IdTokenError::Directory(claim)));
            claims[claim] = json!("theirs");
            assert_eq!(verdict(&claims), Err(IdTokenError::Directory(claim)));
            claims[claim] = json!("ours");
            assert_eq!(verdict(&claims), Ok(()));
        }
    }
}
