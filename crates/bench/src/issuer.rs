//! An access token issuer for measurements: one ES256 key, tokens as RFC 9068 describes them.

mod serve;

pub use serve::serve;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::Timestamp;

/// Signs tokens and publishes its key.
pub struct Issuer {
    url: String,
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Issuer {
    /// An issuer that is found at `url` (no trailing slash), with a key of its own.
    ///
    /// # Errors
    /// When no key could be made.
    pub fn new(url: String) -> anyhow::Result<Self> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|_| anyhow::anyhow!("failed to generate a P-256 key"))?;
        Ok(Self { url, key, random: SystemRandom::new() })
    }

    /// The discovery document (OpenID Connect Discovery 1.0 §3), as far as a resource server reads it.
    pub fn discovery(&self) -> String {
        serde_json::json!({
            "issuer": self.url,
            "jwks_uri": format!("{}/jwks", self.url),
            "authorization_endpoint": format!("{}/authorize", self.url),
            "token_endpoint": format!("{}/token", self.url),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
        .to_string()
    }

    /// The key set (RFC 7517 §5).
    pub fn jwks(&self) -> String {
        let point = self.key.public_key().as_ref();
        // Uncompressed: 0x04, then x and y of 32 bytes each (SEC 1 §2.3.3).
        let (x, y) = (point.get(1..33).unwrap_or_default(), point.get(33..65).unwrap_or_default());
        serde_json::json!({"keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KEY_ID,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        }]})
        .to_string()
    }

    /// A token for `audience`, good for half a day. Tokens of equal audience and different `serial` have equal length.
    ///
    /// # Errors
    /// When signing fails.
    pub fn token(&self, audience: &str, serial: u32, now: Timestamp) -> anyhow::Result<String> {
        let header = serde_json::json!({"alg": "ES256", "typ": "at+jwt", "kid": KEY_ID}).to_string();
        let claims = serde_json::json!({
            "iss": self.url, "aud": audience, "sub": "alice", "client_id": "bench-client", "tenant": "acme",
            "roles": ["analyst", "reader"], "groups": ["staff"], "scope": "mcp",
            "iat": now.seconds() - 5, "exp": now.seconds() + 43_200, "jti": format!("{serial:010}"),
        })
        .to_string();
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self
            .key
            .sign(&self.random, signed.as_bytes())
            .map_err(|_| anyhow::anyhow!("failed to sign a token"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }
}

const KEY_ID: &str = "bench-1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_but_not_in_length() {
        let issuer = Issuer::new("http://127.0.0.1:1".to_owned()).unwrap();
        let (one, two) =
            (issuer.token("x", 1, Timestamp(0)).unwrap(), issuer.token("x", 999, Timestamp(0)).unwrap());
        assert_ne!(one, two);
        assert_eq!(one.len(), two.len());
    }
}
