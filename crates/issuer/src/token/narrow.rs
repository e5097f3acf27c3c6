//! What a token is for: one resource of ours, and no more scopes than everybody who matters agrees to.

use crate::{Form, Issuer, OauthError, ResourceConfig};
use model::Code;

/// The one resource that is asked for (RFC 8707 §2).
///
/// # Errors
/// `invalid_target`.
pub(crate) fn resource_of(issuer: &Issuer, form: &Form) -> Result<ResourceConfig, OauthError> {
    let asked = form.get("resource").ok_or_else(|| {
        OauthError::new(
            "invalid_target",
            Code::OAUTH_REQUEST,
            "`resource` is missing: which endpoint is the token for?",
        )
    })?;
    issuer.resource(&lower_origin(asked)).ok_or_else(unknown_resource)
}

/// Whether `resource`, if it is named at all, is the one that was granted.
///
/// # Errors
/// `invalid_target`.
pub(super) fn is_granted(issuer: &Issuer, form: &Form, granted: &str) -> Result<(), OauthError> {
    match form.get("resource").map(lower_origin) {
        Some(asked) if asked != granted || issuer.resource(&asked).is_none() => {
            let why = "`resource` is not the one that was granted";
            Err(OauthError::new("invalid_target", Code::TARGET_UNKNOWN, why))
        }
        _ => Ok(()),
    }
}

/// Scheme and host in small letters: they mean the same in capitals (RFC 3986 §6.2.2.1). The rest is compared byte for
/// byte.
pub(crate) fn lower_origin(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    format!("{}://{}{path}", scheme.to_ascii_lowercase(), host.to_ascii_lowercase())
}

/// The scopes that a request names, but for those that are of no resource: a wish for a refresh token, and those for an ID
/// token. `None` if it names none.
pub(crate) fn scopes_asked(form: &Form) -> Option<Vec<&str>> {
    const OF_NO_RESOURCE: [&str; 4] = ["offline_access", "openid", "profile", "email"];
    let asked = form.get("scope")?.split(' ');
    let asked: Vec<&str> =
        asked.filter(|scope| !scope.is_empty() && !OF_NO_RESOURCE.contains(scope)).collect();
    (!asked.is_empty()).then_some(asked)
}

/// The same for a resource that is not there and for one that this client may not have.
pub(crate) fn unknown_resource() -> OauthError {
    OauthError::new("invalid_target", Code::OAUTH_REQUEST, "`resource` is not an endpoint of this gateway")
}

/// The scopes that are asked for, or all that may be had; each of `held` and of the resource's own.
///
/// # Errors
/// `invalid_scope` for one that cannot be had. SECURITY: refused rather than left out, so that a client knows
/// (test: `an_exchange_makes_the_agent_the_actor_and_no_more`).
pub(crate) fn scopes_of(
    form: &Form,
    resource: &ResourceConfig,
    held: &[String],
) -> Result<Vec<String>, OauthError> {
    let had =
        |scope: &str| held.iter().any(|own| own == scope) && resource.scopes.iter().any(|own| own == scope);
    let mut scopes: Vec<String> = match scopes_asked(form) {
        None => held.iter().filter(|scope| had(scope)).cloned().collect(),
        Some(asked) => asked.into_iter().map(str::to_owned).collect(),
    };
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.iter().all(|scope| had(scope)) {
        return Ok(scopes);
    }
    Err(OauthError::new("invalid_scope", Code::OAUTH_REQUEST, "a scope that cannot be had here"))
}

/// Whether a token for `held` may be exchanged for one for `asked`: the same endpoint, or one server of the endpoint
/// that shows them all. Never the other way round.
pub(super) fn is_within(issuer: &str, asked: &str, held: &str) -> bool {
    let path = |resource: &str| resource.strip_prefix(issuer).map(str::to_owned).unwrap_or_default();
    asked == held || (path(held) == "/mcp" && path(asked).starts_with("/servers/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_leads_to_the_same_endpoint_or_to_a_narrower_one() {
        let at = |path: &str| format!("https://gw.test{path}");
        for (asked, held, good) in [
            ("/mcp", "/mcp", true),
            ("/servers/git/mcp", "/mcp", true),
            ("/servers/git/mcp", "/servers/git/mcp", true),
            ("/mcp", "/servers/git/mcp", false),
            ("/servers/mail/mcp", "/servers/git/mcp", false),
            ("/toolsets/x/mcp", "/mcp", false),
            ("/servers/git/mcp", "/toolsets/x/mcp", false),
            ("/api/v1", "/mcp", false),
        ] {
            assert_eq!(is_within("https://gw.test", &at(asked), &at(held)), good, "{asked} from {held}");
        }
        assert!(!is_within("https://gw.test", "https://gw.test/servers/git/mcp", "https://evil.test/mcp"));
    }
}
