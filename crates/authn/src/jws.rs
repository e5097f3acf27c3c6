//! A compact JWS (RFC 7515 §7.1), read in its one strict form, before anything in it is believed.

use crate::{AuthnError, strict};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// A token taken apart. Nothing in it is true until [`Key::verify`](crate::jose::Key::verify) says so.
pub struct Jws<'a> {
    /// The `alg` header, which must turn out to be the key's own.
    pub algorithm: String,
    /// The `kid` header.
    pub kid: Option<String>,
    /// The `typ` header.
    pub token_type: Option<String>,
    /// The payload.
    pub claims: Map<String, Value>,
    /// What was signed: header and payload as they came.
    pub signed: &'a [u8],
    /// The signature.
    pub signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// [`AuthnError::Malformed`] for anything but three base64url parts with two strict JSON objects, and
    /// for headers that change how the rest is to be read or where a key is to come from.
    pub fn parse(token: &'a [u8]) -> Result<Self, AuthnError> {
        let mut dots = token.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at);
        let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else {
            return Err(AuthnError::Malformed);
        };
        let part = |range: Option<&[u8]>| {
            range.and_then(|bytes| URL_SAFE_NO_PAD.decode(bytes).ok()).ok_or(AuthnError::Malformed)
        };
        let mut header = strict::object(&part(token.get(..first))?).ok_or(AuthnError::Malformed)?;
        let claims = strict::object(&part(token.get(first + 1..second))?).ok_or(AuthnError::Malformed)?;
        let signature = part(token.get(second + 1..))?;
        if REFUSED_HEADERS.iter().any(|name| header.contains_key(*name)) {
            return Err(AuthnError::Malformed);
        }
        let mut text = |name: &str| match header.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= HEADER_BYTES => Ok(Some(text)),
            Some(_) => Err(AuthnError::Malformed),
        };
        Ok(Self {
            algorithm: text("alg")?.ok_or(AuthnError::Malformed)?,
            kid: text("kid")?,
            token_type: text("typ")?,
            claims,
            signed: token.get(..second).ok_or(AuthnError::Malformed)?,
            signature,
        })
    }
}

/// Extensions we do not implement, and keys that a token would bring along (RFC 8725 §3.10).
const REFUSED_HEADERS: [&str; 7] = ["crit", "b64", "zip", "enc", "jwk", "jku", "x5u"];
/// The longest `alg`, `kid` or `typ`, in bytes.
const HEADER_BYTES: usize = 256;
