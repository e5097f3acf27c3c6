//! An issuer for these tests: it signs anything, and serves metadata and keys over a real socket.

use super::*;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, Response, StatusCode};
use net::Body;
use net::listen::{Listener, Peer};
use serde_json::{Value, json};
use std::sync::Mutex;

pub(super) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A private key.
pub(super) struct Signer {
    pub(super) kid: String,
    pair: Pair,
}

enum Pair {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl Signer {
    pub(super) fn new(kid: &str, algorithm: Algorithm) -> Self {
        let pair = match algorithm {
            Algorithm::Es256 => {
                Pair::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
            }
            Algorithm::Rs256 => Pair::Rs256(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
            Algorithm::EdDsa => Pair::EdDsa(Ed25519KeyPair::generate().unwrap()),
        };
        Self { kid: kid.into(), pair }
    }

    /// The public key as it is published, in the form that a confused verifier would use as a secret.
    pub(super) fn public(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Es256(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Rs256(pair) => pair.public_key().as_ref().to_vec(),
            Pair::EdDsa(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    pub(super) fn jwk(&self) -> Value {
        let public = self.public();
        match &self.pair {
            Pair::Es256(_) => json!({
                "kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig", "alg": "ES256",
                "x": b64(&public[1..33]), "y": b64(&public[33..]),
            }),
            // PKCS#1 in DER: nine bytes before the modulus of 2048 bits, two before the exponent of three bytes.
            Pair::Rs256(_) => json!({
                "kty": "RSA", "kid": self.kid, "use": "sig",
                "n": b64(&public[9..265]), "e": b64(&public[267..]),
            }),
            Pair::EdDsa(_) => json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": b64(&public) }),
        }
    }

    pub(super) fn algorithm(&self) -> &'static str {
        match &self.pair {
            Pair::Es256(_) => "ES256",
            Pair::Rs256(_) => "RS256",
            Pair::EdDsa(_) => "EdDSA",
        }
    }

    /// A token with exactly this header and payload, whatever they say.
    pub(super) fn sign_raw(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", b64(header), b64(payload));
        let signature = match &self.pair {
            Pair::Es256(pair) => {
                pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap().as_ref().to_vec()
            }
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
                    .unwrap();
                signature
            }
            Pair::EdDsa(pair) => pair.sign(signed.as_bytes()).as_ref().to_vec(),
        };
        format!("{signed}.{}", b64(signature))
    }

    pub(super) fn sign(&self, payload: &Value) -> String {
        let header = json!({ "alg": self.algorithm(), "kid": self.kid, "typ": "at+jwt" });
        self.sign_raw(&header.to_string(), &payload.to_string())
    }
}

/// A running issuer.
pub(super) struct Idp {
    pub(super) issuer: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    issuer: String,
    jwks_uri: String,
    keys: Vec<Value>,
    down: bool,
    key_requests: usize,
}

impl Idp {
    pub(super) async fn start(keys: &[&Signer]) -> Self {
        let config = net::listen::Config::new("127.0.0.1:0".parse().unwrap(), &model::Limits::default());
        let listener = Listener::bind(config, None).await.unwrap();
        let issuer = format!("http://{}/tenant", listener.address().unwrap());
        let jwks_uri = issuer.replace("/tenant", "/keys");
        let shared = Shared { issuer: issuer.clone(), jwks_uri, ..Shared::default() };
        let shared = Arc::new(Mutex::new(shared));
        let serving = Arc::clone(&shared);
        let answer = move |request: Request<hyper::body::Incoming>, _: Peer| {
            std::future::ready(serving.lock().unwrap().answer(request.uri().path()))
        };
        tokio::spawn(listener.serve(answer, std::future::pending()));
        let idp = Self { issuer, shared };
        idp.publish(keys);
        idp
    }

    pub(super) fn publish(&self, keys: &[&Signer]) {
        self.shared.lock().unwrap().keys = keys.iter().map(|key| key.jwk()).collect();
    }

    pub(super) fn down(&self, down: bool) {
        self.shared.lock().unwrap().down = down;
    }

    /// Makes the metadata speak for somebody else.
    pub(super) fn pretend(&self, issuer: &str) {
        self.shared.lock().unwrap().issuer = issuer.into();
    }

    pub(super) fn key_requests(&self) -> usize {
        self.shared.lock().unwrap().key_requests
    }
}

impl Shared {
    fn answer(&mut self, path: &str) -> Response<Body> {
        let found = match path {
            _ if self.down => None,
            // Only the last of the three places has the metadata.
            "/tenant/.well-known/openid-configuration" => {
                // Good keys, whoever the metadata speaks for.
                Some(json!({ "issuer": self.issuer, "jwks_uri": self.jwks_uri }))
            }
            "/keys" => {
                self.key_requests += 1;
                Some(json!({ "keys": self.keys }))
            }
            _ => None,
        };
        match found {
            Some(document) => Response::new(Body::full(document.to_string())),
            None => {
                let mut missing = Response::new(Body::empty());
                *missing.status_mut() = StatusCode::NOT_FOUND;
                missing
            }
        }
    }
}
