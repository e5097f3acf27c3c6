//! Who we are to an introspection endpoint: a client with a secret (RFC 6749 §2.3.1) or with a key (RFC 7523 §2.2).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use model::{Clock, Dice as _, Secret, SystemDice};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Where a secret is read when it is needed.
pub trait SecretSource: fmt::Debug + Send + Sync {
    /// The secret.
    ///
    /// # Errors
    /// Why it cannot be read; its place, never its value.
    fn read(&self) -> Result<Arc<Secret>, String>;
}

/// How we say who asks.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// `client_secret_basic`.
    Basic {
        /// Our id there.
        client_id: String,
        /// The secret.
        secret: Arc<dyn SecretSource>,
    },
    /// `private_key_jwt`.
    PrivateKey {
        /// Our id there.
        client_id: String,
        /// The `kid` that they know our key by.
        key_id: Option<String>,
        /// The key: PKCS #8 in PEM; P-256, RSA or Ed25519.
        key: Arc<dyn SecretSource>,
        /// `aud` of the assertion: mostly the issuer.
        audience: String,
    },
}

/// What goes with one request.
pub(super) struct Presented {
    /// The value of `Authorization`.
    pub(super) header: Option<Zeroizing<String>>,
    /// Further parameters of the form.
    pub(super) parameters: Vec<(&'static str, String)>,
}

impl ClientAuth {
    /// The credential for one request, read or signed anew.
    ///
    /// # Errors
    /// Why there is none, for the log.
    pub(super) fn present(&self, clock: &dyn Clock) -> Result<Presented, String> {
        match self {
            Self::Basic { client_id, secret } => {
                let secret = secret.read()?;
                let pair = secret.lend(|secret| {
                    let secret =
                        std::str::from_utf8(secret).map_err(|_| "the secret is no text".to_owned())?;
                    Ok::<_, String>(Zeroizing::new(format!("{}:{}", encoded(client_id), encoded(secret))))
                })?;
                let header = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
                Ok(Presented { header: Some(header), parameters: Vec::new() })
            }
            Self::PrivateKey { client_id, key_id, key, audience } => {
                let assertion = assertion(client_id, key_id.as_deref(), key.as_ref(), audience, clock)?;
                let parameters = vec![
                    ("client_id", client_id.clone()),
                    ("client_assertion_type", ASSERTION_TYPE.to_owned()),
                    ("client_assertion", assertion),
                ];
                Ok(Presented { header: None, parameters })
            }
        }
    }
}

/// RFC 6749 §2.3.1: id and secret are form-encoded before they are joined.
fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn assertion(
    client_id: &str,
    key_id: Option<&str>,
    key: &dyn SecretSource,
    audience: &str,
    clock: &dyn Clock,
) -> Result<String, String> {
    let key = key.read()?.lend(Key::parse)?;
    let now = clock.now().seconds();
    let id: [u8; 16] = SystemDice.bytes();
    let mut header = serde_json::json!({"typ": "JWT", "alg": key.algorithm()});
    if let (Some(key_id), Some(header)) = (key_id, header.as_object_mut()) {
        header.insert("kid".to_owned(), key_id.into());
    }
    let claims = serde_json::json!({
        "iss": client_id, "sub": client_id, "aud": audience, "iat": now, "exp": now + ASSERTION_SECONDS,
        "jti": URL_SAFE_NO_PAD.encode(id),
    });
    let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = key.sign(signed.as_bytes())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

enum Key {
    Es256(EcdsaKeyPair),
    Rs256(Box<RsaKeyPair>),
    EdDsa(Ed25519KeyPair),
}

impl Key {
    fn parse(pem: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(pem).map_err(|_| "the key is no PEM".to_owned())?;
        let inner = text
            .split("-----BEGIN PRIVATE KEY-----")
            .nth(1)
            .and_then(|rest| rest.split("-----END PRIVATE KEY-----").next())
            .ok_or_else(|| "the key is no PKCS #8 in PEM (`BEGIN PRIVATE KEY`)".to_owned())?;
        let inner: Zeroizing<String> =
            Zeroizing::new(inner.chars().filter(|c| !c.is_ascii_whitespace()).collect());
        let der = STANDARD.decode(inner.as_bytes()).map(Zeroizing::new);
        let der = der.map_err(|_| "the key's PEM is damaged".to_owned())?;
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der) {
            return Ok(Self::Es256(pair));
        }
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(&der) {
            return Ok(Self::EdDsa(pair));
        }
        let pair = RsaKeyPair::from_pkcs8(&der)
            .map_err(|_| "the key is neither P-256 nor Ed25519 nor RSA".to_owned());
        Ok(Self::Rs256(Box::new(pair?)))
    }

    const fn algorithm(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::Rs256(_) => "RS256",
            Self::EdDsa(_) => "EdDSA",
        }
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        let failed = |_| "the key does not sign".to_owned();
        match self {
            Self::Es256(pair) => pair
                .sign(&SystemRandom::new(), text)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(failed),
            Self::EdDsa(pair) => Ok(pair.sign(text).as_ref().to_vec()),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).map_err(failed)?;
                Ok(signature)
            }
        }
    }
}

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long an assertion is good for: the request that it goes with takes less.
const ASSERTION_SECONDS: i64 = 60;
