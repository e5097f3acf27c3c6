//! `WWW-Authenticate` (RFC 6750 §3, RFC 9728 §5.1).

use crate::{AuthnError, Resource};
use http::HeaderValue;

/// The challenge that goes with a refusal. `None` for a refusal that signing in does not mend.
pub fn challenge(error: AuthnError, resource: &Resource) -> Option<HeaderValue> {
    if error.kind() == model::ErrorKind::Unavailable {
        return None;
    }
    let scopes =
        if error == AuthnError::InsufficientScope { resource.required_scopes() } else { resource.scopes() };
    Some(build(error.bearer_error(), Some(&error.to_string()), scopes, resource))
}

/// The challenge of a 403: all the scopes this operation needs, at once (MCP, authorization: scope
/// challenge handling).
pub fn insufficient_scope(scopes: &[String], resource: &Resource) -> HeaderValue {
    build(AuthnError::InsufficientScope.bearer_error(), None, scopes, resource)
}

fn build(
    error: Option<&str>,
    description: Option<&str>,
    scopes: &[String],
    resource: &Resource,
) -> HeaderValue {
    let mut text = String::from("Bearer ");
    if let Some(error) = error {
        put(&mut text, "error", error);
        if let Some(description) = description {
            put(&mut text, "error_description", description);
        }
    }
    if !scopes.is_empty() {
        put(&mut text, "scope", &scopes.join(" "));
    }
    put(&mut text, "resource_metadata", resource.metadata_url());
    // Every part is ASCII: fixed texts, a URI, and scopes (RFC 6749 §3.3), of which others are left out.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
}

/// Appends `name="value"`; characters that a quoted string cannot hold are left out.
fn put(text: &mut String, name: &str, value: &str) {
    if !text.ends_with(' ') {
        text.push_str(", ");
    }
    text.push_str(name);
    text.push_str("=\"");
    text.extend(value.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')));
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_name_the_metadata_and_all_scopes() {
        let resource = Resource::new(
            "https://gw.test/mcp",
            vec![],
            vec!["mcp:call".into()],
            vec!["mcp:call".into(), "mcp:read".into()],
        )
        .unwrap();
        let text = |error| challenge(error, &resource).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(
            text(AuthnError::Missing).unwrap(),
            "Bearer scope=\"mcp:call mcp:read\", \
             resource_metadata=\"https://gw.test/.well-known/oauth-protected-resource/mcp\""
        );
        assert_eq!(
            text(AuthnError::Expired).unwrap(),
            "Bearer error=\"invalid_token\", error_description=\"the token has expired\", \
             scope=\"mcp:call mcp:read\", \
             resource_metadata=\"https://gw.test/.well-known/oauth-protected-resource/mcp\""
        );
        assert_eq!(
            text(AuthnError::InsufficientScope).unwrap(),
            "Bearer error=\"insufficient_scope\", error_description=\"the token lacks a required scope\", \
             scope=\"mcp:call\", \
             resource_metadata=\"https://gw.test/.well-known/oauth-protected-resource/mcp\""
        );
        assert_eq!(text(AuthnError::IssuerUnavailable), None);
        let quoted = insufficient_scope(&["a\"b\\c".into()], &resource);
        assert!(quoted.to_str().unwrap().contains("scope=\"abc\""));
    }
}
