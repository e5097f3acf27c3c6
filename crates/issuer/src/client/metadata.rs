//! Members of a client's metadata (RFC 7591 §2) that documents and registrations share.

use super::Keys;
use serde_json::{Map, Value};
use std::sync::Arc;

/// A name fit to be shown; `None` if there is none.
pub(super) fn name(value: Option<&Value>) -> Result<Option<String>, String> {
    let Some(value) = value else { return Ok(None) };
    let name = value.as_str().map(str::trim).filter(|name| !name.is_empty() && name.len() <= NAME_BYTES);
    let name = name.ok_or("its `client_name` is empty, too long, or not text")?;
    // SECURITY: characters that turn or hide text would let a client be shown as another.
    let misleads = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    if name.chars().any(misleads) {
        return Err("its `client_name` has characters that are not seen".into());
    }
    Ok(Some(name.to_owned()))
}

/// A list of texts; `None` if there is none.
pub(super) fn texts(
    document: &Map<String, Value>,
    member: &str,
    most: usize,
) -> Result<Option<Vec<String>>, String> {
    let Some(value) = document.get(member) else { return Ok(None) };
    let items = value.as_array().filter(|items| items.len() <= most);
    let texts = items.and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
    texts.map(Some).ok_or_else(|| format!("its `{member}` is not a list of at most {most} texts"))
}

/// The keys of `jwks` or `jwks_uri`.
pub(super) fn keys(document: &Map<String, Value>) -> Result<Keys, String> {
    match (document.get("jwks"), document.get("jwks_uri")) {
        (None, None) => Ok(Keys::None),
        (Some(_), Some(_)) => Err("it has both `jwks` and `jwks_uri`".into()),
        (None, Some(uri)) => match uri.as_str() {
            Some(uri) if uri.starts_with("https://") && uri.len() <= 1024 => Ok(Keys::At(uri.to_owned())),
            _ => Err("its `jwks_uri` is not an https URL".into()),
        },
        (Some(set), None) => {
            let keys = set.get("keys").and_then(Value::as_array).ok_or("its `jwks` is not a key set")?;
            let private = |key: &Value| ["d", "p", "q", "k"].iter().any(|part| key.get(part).is_some());
            if keys.iter().any(private) {
                return Err("its `jwks` holds a private key".into());
            }
            Ok(Keys::Inline(Arc::new(set.clone())))
        }
    }
}

/// The longest name, in bytes.
const NAME_BYTES: usize = 128;
