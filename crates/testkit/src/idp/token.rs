//! Access tokens, good and forged.

use super::Key;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::Timestamp;
use serde_json::{Value, json};

/// A token before it is signed. It starts out good (RFC 9068).
#[derive(Clone)]
pub struct Token {
    key: Key,
    header: Value,
    claims: Value,
}

impl Token {
    pub(super) fn new(key: Key, issuer: &str, user: &str, audience: &str, now: Timestamp) -> Self {
        let header = json!({"alg": key.algorithm(), "typ": "at+jwt", "kid": key.id});
        let claims = json!({
            "iss": issuer, "sub": user, "aud": audience, "client_id": "test-client", "tenant": "acme",
            "roles": ["reader"], "groups": ["staff"], "scope": "mcp", "jti": format!("{user}-{}", now.0),
            "iat": now.seconds() - 10, "exp": now.seconds() + 3600,
        });
        Self { key, header, claims }
    }

    /// Sets a claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    /// Takes a claim away.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.claims.as_object_mut().unwrap().remove(name);
        self
    }

    /// Sets a header parameter.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    /// Takes a header parameter away.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.as_object_mut().unwrap().remove(name);
        self
    }

    /// Signs with another key, and says so in the header.
    #[must_use]
    pub fn by(mut self, key: Key) -> Self {
        self.header["alg"] = json!(key.algorithm());
        self.header["kid"] = json!(key.id);
        self.key = key;
        self
    }

    /// A claim's value, to start from.
    pub fn value(&self, name: &str) -> &Value {
        &self.claims[name]
    }

    /// Signed by its key, whatever its header says.
    pub fn sign(&self) -> String {
        self.seal(&self.header.to_string(), &self.claims.to_string(), |message| self.key.sign(message))
    }

    /// With an empty signature.
    pub fn unsigned(&self) -> String {
        self.seal(&self.header.to_string(), &self.claims.to_string(), |_| Vec::new())
    }

    /// With an HMAC under `secret` for a signature.
    pub fn hmac(&self, secret: &[u8]) -> String {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
        self.seal(&self.header.to_string(), &self.claims.to_string(), |message| {
            aws_lc_rs::hmac::sign(&key, message).as_ref().to_vec()
        })
    }

    /// Signed over claims that are this text, JSON or not.
    pub fn sign_claims(&self, claims: &str) -> String {
        self.seal(&self.header.to_string(), claims, |message| self.key.sign(message))
    }

    /// Signed under a header that is this text, JSON or not.
    pub fn sign_header(&self, header: &str) -> String {
        self.seal(header, &self.claims.to_string(), |message| self.key.sign(message))
    }

    /// The claims as they will be signed.
    pub fn claims(&self) -> String {
        self.claims.to_string()
    }

    fn seal(&self, header: &str, claims: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
