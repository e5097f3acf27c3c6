//! Public keys as JSON Web Keys (RFC 7517).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::Digest;

/// A P-256 key that verifies ES256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Its id: the thumbprint of RFC 7638.
    pub kid: String,
    /// The uncompressed point: 0x04 ‖ x ‖ y, 65 bytes.
    pub point: Vec<u8>,
}

impl PublicKey {
    /// A key from its uncompressed point; `None` if it is none.
    pub fn new(point: &[u8]) -> Option<Self> {
        let (x, y) = coordinates(point)?;
        // RFC 7638 §3.2: the required members, in lexicographic order, without white space.
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(Digest::of(text.as_bytes()).0);
        Some(Self { kid, point: point.to_vec() })
    }

    /// The key as its document shows it.
    pub fn to_json(&self) -> serde_json::Value {
        let (x, y) = coordinates(&self.point).unwrap_or_default();
        serde_json::json!({
            "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": self.kid, "alg": "ES256", "use": "sig"
        })
    }
}

fn coordinates(point: &[u8]) -> Option<(String, String)> {
    let (4, rest) = point.split_first().map(|(first, rest)| (*first, rest))? else { return None };
    let (x, y) = rest.split_at_checked(32).filter(|(_, y)| y.len() == 32)?;
    Some((URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y)))
}
