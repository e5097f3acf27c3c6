//! Forms and query strings as OAuth sends them: a parameter may come once (RFC 6749 §3.1 and §3.2).

use crate::OauthError;
use axum::http::{HeaderMap, header};
use std::collections::BTreeMap;

/// A parsed form. Parameters without a value are as if they had not been sent (RFC 6749 §3.1).
#[derive(Default)]
pub struct Form(BTreeMap<String, String>);

/// A form that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// A parameter came twice. SECURITY: which of them counts would be anybody's guess
    /// (test: `a_parameter_that_comes_twice_is_refused`).
    #[error("the parameter `{0}` came more than once")]
    Twice(String),
    /// More parameters than anybody needs.
    #[error("more than {PARAMETERS} parameters")]
    Many,
    /// Not text.
    #[error("a parameter is not UTF-8, or has a control character in it")]
    Text,
}

impl Form {
    /// Reads `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    /// [`FormError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FormError> {
        let mut form = BTreeMap::new();
        for (at, (name, value)) in form_urlencoded::parse(bytes).enumerate() {
            if at >= PARAMETERS {
                return Err(FormError::Many);
            }
            let bad = |text: &str| text.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER);
            if bad(&name) || bad(&value) {
                return Err(FormError::Text);
            }
            if form.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(FormError::Twice(name.chars().take(64).collect()));
            }
        }
        form.retain(|_, value: &mut String| !value.is_empty());
        Ok(Self(form))
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Takes a value out of the form.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }
}

/// The form of a request's body.
///
/// # Errors
/// `invalid_request` for another content type, and for what [`Form::parse`] refuses.
pub(crate) fn of_request(headers: &HeaderMap, body: &[u8]) -> Result<Form, OauthError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(OauthError::invalid_request("the body is not application/x-www-form-urlencoded"));
    }
    Form::parse(body).map_err(|error| OauthError::invalid_request(error.to_string()))
}

/// The most parameters of one form.
const PARAMETERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_comes_twice_is_refused() {
        for twice in ["a=1&a=1", "a=1&b=2&%61=3", "a=&a="] {
            assert_eq!(Form::parse(twice.as_bytes()).err(), Some(FormError::Twice("a".into())), "{twice}");
        }
        let form = Form::parse(b"a=1&b=x+y%26z&c=").unwrap();
        assert_eq!((form.get("a"), form.get("b"), form.get("c")), (Some("1"), Some("x y&z"), None));
    }

    #[test]
    fn forms_are_text_and_bounded() {
        for bad in ["a=%00", "a=%0d%0a", "a=%ff"] {
            assert_eq!(Form::parse(bad.as_bytes()).err(), Some(FormError::Text), "{bad}");
        }
        let many: String = (0..=PARAMETERS).map(|at| format!("p{at}=1&")).collect();
        assert_eq!(Form::parse(many.as_bytes()).err(), Some(FormError::Many));
    }
}
