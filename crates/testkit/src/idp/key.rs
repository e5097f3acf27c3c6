//! Signing keys.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

/// A private key with its `kid`.
#[derive(Clone)]
pub struct Key {
    /// The id under which it is published.
    pub id: String,
    pair: Pair,
}

#[derive(Clone)]
enum Pair {
    Es256(Arc<EcdsaKeyPair>),
    Rs256(Arc<RsaKeyPair>),
    EdDsa(Arc<Ed25519KeyPair>),
}

impl Key {
    /// One key of each kind, named after `generation`.
    pub(super) fn one_of_each(generation: usize) -> Vec<Self> {
        vec![
            Self::es256(&format!("ec-{generation}")),
            Self::rs256(&format!("rsa-{generation}")),
            Self::ed_dsa(&format!("ed-{generation}")),
        ]
    }

    /// A P-256 key that is published nowhere.
    pub fn es256(id: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { id: id.to_owned(), pair: Pair::Es256(Arc::new(pair)) }
    }

    /// An Ed25519 key that is published nowhere.
    pub fn ed_dsa(id: &str) -> Self {
        Self { id: id.to_owned(), pair: Pair::EdDsa(Arc::new(Ed25519KeyPair::generate().unwrap())) }
    }

    /// The RSA key of this test process: making one takes long.
    pub fn rs256(id: &str) -> Self {
        static PKCS8: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
            der.as_ref().to_vec()
        });
        Self { id: id.to_owned(), pair: Pair::Rs256(Arc::new(RsaKeyPair::from_pkcs8(&PKCS8).unwrap())) }
    }

    /// `ES256`, `RS256` or `EdDSA`.
    pub fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Es256(_) => "ES256",
            Pair::Rs256(_) => "RS256",
            Pair::EdDsa(_) => "EdDSA",
        }
    }

    /// The public key as a JWK (RFC 7517).
    pub fn public(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.pair {
            Pair::Es256(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..65])})
            }
            Pair::Rs256(pair) => {
                // RSAPublicKey (RFC 8017 A.1.1) of 2048 bits: 9 bytes before the modulus, 2 before the exponent.
                let der = pair.public_key().as_ref();
                json!({"kty": "RSA", "n": text(&der[9..265]), "e": text(&der[267..])})
            }
            Pair::EdDsa(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref())})
            }
        };
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.algorithm());
        jwk
    }

    /// A signature over `message`.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Es256(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Pair::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}
