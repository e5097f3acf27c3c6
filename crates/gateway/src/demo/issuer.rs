//! The identity provider of the demo: real discovery, real keys, real signatures, on loopback.
//! Its tokens take the same way through `authn` as anyone else's.

use super::people::Person;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Response, StatusCode, header};
use model::Timestamp;
use net::Body;
use std::time::Duration;

/// Signs tokens for the demo people.
pub(super) struct Issuer {
    url: String,
    key: EcdsaKeyPair,
    random: SystemRandom,
}

/// The demo's key could not be made or used.
#[derive(Debug, thiserror::Error)]
#[error("the demo issuer cannot sign")]
pub(crate) struct IssuerError;

impl Issuer {
    /// An issuer found at `url`, with a key of its own that lives as long as the process.
    pub(super) fn new(url: String) -> Result<Self, IssuerError> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| IssuerError)?;
        Ok(Self { url, key, random: SystemRandom::new() })
    }

    /// Its documents: OpenID Connect Discovery 1.0 §3 and RFC 7517 §5.
    pub(super) fn answer(&self, path: &str) -> Response<Body> {
        let document = match path {
            "/.well-known/openid-configuration" => serde_json::json!({
                "issuer": self.url,
                "jwks_uri": format!("{}/jwks", self.url),
                "authorization_endpoint": format!("{}/authorize", self.url),
                "token_endpoint": format!("{}/token", self.url),
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            }),
            "/jwks" => self.jwks(),
            _ => return reply(StatusCode::NOT_FOUND, Body::empty()),
        };
        reply(StatusCode::OK, Body::full(document.to_string()))
    }

    fn jwks(&self) -> serde_json::Value {
        let point = self.key.public_key().as_ref();
        // Uncompressed: 0x04, then x and y of 32 bytes each (SEC 1 §2.3.3).
        let (x, y) = (point.get(1..33).unwrap_or_default(), point.get(33..65).unwrap_or_default());
        serde_json::json!({"keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KEY_ID,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        }]})
    }

    /// An access token (RFC 9068) for `person` calling through `agent`, good for [`LIFETIME`].
    pub(super) fn token(
        &self,
        person: &Person,
        agent: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<String, IssuerError> {
        let header = serde_json::json!({"alg": "ES256", "typ": "at+jwt", "kid": KEY_ID});
        let claims = serde_json::json!({
            "iss": self.url, "aud": audience, "sub": person.user, "client_id": "demo-client", "agent": agent,
            "tenant": "demo", "roles": person.roles, "groups": person.groups, "scope": "mcp",
            "iat": now.seconds(), "exp": now.after(LIFETIME).seconds(),
            "jti": format!("{}-{agent}-{}", person.user, now.0),
        });
        let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.key.sign(&self.random, signed.as_bytes()).map_err(|_| IssuerError)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }
}

fn reply(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

const KEY_ID: &str = "demo-1";
/// How long a demo token is good.
pub(super) const LIFETIME: Duration = Duration::from_secs(8 * 3600);
