//! An issuer's keys (RFC 7517). Each knows the one algorithm it verifies.

use crate::Algorithm;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// One key.
pub struct Key {
    pub(crate) kid: Option<String>,
    algorithm: Algorithm,
    public: ParsedPublicKey,
}

impl Key {
    /// Whether `signature` over `signed` is this key's, and `algorithm` (from the token's header) is what
    /// this key signs with. SECURITY: the header chooses nothing
    /// (test: `forged_tokens_are_refused`).
    ///
    /// # Errors
    /// [`crate::AuthnError::WrongAlgorithm`], [`crate::AuthnError::BadSignature`].
    pub fn verify(&self, algorithm: &str, signed: &[u8], signature: &[u8]) -> Result<(), crate::AuthnError> {
        if algorithm != self.algorithm.as_str() {
            return Err(crate::AuthnError::WrongAlgorithm);
        }
        self.public.verify_sig(signed, signature).map_err(|_| crate::AuthnError::BadSignature)
    }
}

impl Algorithm {
    /// The name in JOSE headers (RFC 7518 §3.1, RFC 8037 §3.1).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// The usable keys of an issuer.
pub struct KeySet {
    keys: Vec<Key>,
    /// Tells two sets apart.
    pub(crate) digest: model::Digest,
}

impl KeySet {
    /// The usable keys of a JWK set: signing keys of an accepted algorithm. Other keys are left out, and so
    /// is a second key of the same id. `None` when nothing usable is left.
    pub fn parse(document: &Map<String, Value>, accepted: &[Algorithm]) -> Option<Self> {
        let mut keys: Vec<Key> = Vec::new();
        let mut facts = Vec::new();
        for jwk in document.get("keys")?.as_array()?.iter().take(KEYS) {
            let Some((key, material)) = parse_key(jwk, accepted) else { continue };
            if keys.iter().any(|known| known.kid == key.kid && key.kid.is_some()) {
                continue;
            }
            facts.extend_from_slice(key.algorithm.as_str().as_bytes());
            for part in [key.kid.as_deref().unwrap_or_default().as_bytes(), &material] {
                facts.extend_from_slice(&part.len().to_be_bytes());
                facts.extend_from_slice(part);
            }
            keys.push(key);
        }
        (!keys.is_empty()).then(|| Self { keys, digest: model::Digest::of(&facts) })
    }

    /// The key of that id. A token without one is served only by an issuer with a single key.
    pub fn find(&self, kid: Option<&str>) -> Option<&Key> {
        match (kid, self.keys.as_slice()) {
            (Some(kid), keys) => keys.iter().find(|key| key.kid.as_deref() == Some(kid)),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    /// How many keys.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}

fn parse_key(jwk: &Value, accepted: &[Algorithm]) -> Option<(Key, Vec<u8>)> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
    // Absent, or saying what we need; a field of another shape is not a pass.
    let signs = match jwk.get("use") {
        None => true,
        Some(purpose) => purpose.as_str() == Some("sig"),
    };
    let verifies = match jwk.get("key_ops") {
        None => true,
        Some(operations) => operations.as_array().is_some_and(|all| all.iter().any(|one| one == "verify")),
    };
    if !signs || !verifies {
        return None;
    }
    let (algorithm, public, material) = match (text("kty")?, text("crv")) {
        ("RSA", None) => {
            // Some providers write the modulus as a signed number, with a zero in front.
            let n = bytes("n")?.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
            let e = bytes("e")?;
            let material = [n.as_slice(), e.as_slice()].concat();
            let public =
                PublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()?;
            (Algorithm::Rs256, public, material)
        }
        ("EC", Some("P-256")) => {
            let (x, y) = (bytes("x")?, bytes("y")?);
            let point = [[4].as_slice(), &x, &y].concat();
            if x.len() != P256_BYTES || y.len() != P256_BYTES {
                return None;
            }
            (Algorithm::Es256, ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).ok()?, point)
        }
        ("OKP", Some("Ed25519")) => {
            let point = bytes("x")?;
            (Algorithm::EdDsa, ParsedPublicKey::new(&ED25519, &point).ok()?, point)
        }
        _ => return None,
    };
    let named = match jwk.get("alg") {
        None => true,
        Some(name) => name.as_str() == Some(algorithm.as_str()),
    };
    let kid = match jwk.get("kid") {
        None => None,
        Some(kid) => Some(kid.as_str()?.to_owned()),
    };
    (named && accepted.contains(&algorithm)).then_some((Key { kid, algorithm, public }, material))
}

/// A coordinate of P-256 (RFC 7518 §6.2.1.2).
const P256_BYTES: usize = 32;
/// Keys read from one set.
const KEYS: usize = 64;
