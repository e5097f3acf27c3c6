//! Section `servers.<name>.identity`: what a server that trusts the gateway is told of its callers.

use super::address::WebAddress;
use super::check::{At, Check};
use super::units::Span;
use broker::{Assertion, Plan};
use http::HeaderName;
use http::header::AUTHORIZATION;
use proxy::{ServerConfig, Transport};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Who calls, as a token that the gateway signs (ES256, `at+jwt`): docs/identity-downstream.md.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct IdentitySection {
    /// `aud`: the server's own name for itself, a URL. Default: its `url`.
    audience: Option<String>,
    /// The header that carries it: `Authorization` as a bearer token, any other as the bare token. Default: Authorization.
    header: Option<String>,
    /// From `iat` to `exp`, 10s to 60s. Default: 60s.
    lifetime: Option<Span>,
    /// Whether it names the SHA-256 of what was judged. Default: true.
    request_digest: Option<bool>,
    /// Whether it names the caller's groups.
    groups: bool,
}

impl IdentitySection {
    /// The plan, saying who calls.
    pub(super) fn check(self, plan: Plan, transport: &Transport, at: &At, check: &mut Check) -> Option<Plan> {
        let Transport::Http(server) = transport else {
            check.fault(at, "a child process gets no headers", "`identity` at servers over `http`");
            return None;
        };
        let audience = self.audience.unwrap_or_else(|| server.url.to_string());
        if let Err(why) = WebAddress::parse(audience.split('?').next().unwrap_or_default()) {
            let accepted = "the server's own name for itself, such as https://tools.example.org/mcp";
            check.fault(&at.key("audience"), why, accepted);
        }
        let header = self.header.map_or(Ok(AUTHORIZATION), |name| HeaderName::from_bytes(name.as_bytes()));
        let Ok(header) = header else {
            check.fault(&at.key("header"), "not a header's name", "letters, digits and hyphens");
            return None;
        };
        let lifetime = self.lifetime.map_or(Assertion::LONGEST, |span| span.0);
        if lifetime < Assertion::SHORTEST || lifetime > Assertion::LONGEST {
            check.fault(
                &at.key("lifetime"),
                "too short to arrive, or longer than a revocation may wait",
                "10s to 60s",
            );
        }
        let assertion = Assertion {
            audience: audience.into(),
            header,
            lifetime,
            request_digest: self.request_digest.unwrap_or(true),
            groups: self.groups,
        };
        let free = "a header that carries nothing else, such as X-Portunus-Identity";
        plan.asserting(assertion)
            .map_err(|error| check.fault(&at.key("header"), error.to_string(), free))
            .ok()
    }
}

/// One server's tokens must be good nowhere else: not at another server, and not here.
pub(super) fn check_audiences(
    servers: &BTreeMap<model::ServerName, Arc<ServerConfig>>,
    public_url: Option<&str>,
    at: &At,
    check: &mut Check,
) {
    let mut known: HashMap<&str, &http::Uri> = HashMap::new();
    for (name, server) in servers {
        let (Some(audience), Transport::Http(http)) = (server.plan.audience(), &server.transport) else {
            continue;
        };
        let here = at.key(name.as_str()).key("identity").key("audience");
        if known.insert(audience, &http.url).is_some_and(|other| *other != http.url) {
            check.fault(
                &here,
                "another server has this audience, whose tokens would be good here",
                "an audience of its own",
            );
        }
        // SECURITY: a server cannot call us with the token it got: `a_servers_token_is_no_token_for_the_gateway`.
        if public_url.is_some_and(|ours| is_below(audience, ours)) {
            check.fault(&here, "an address of the gateway itself", "the server's own name for itself");
        }
    }
}

fn is_below(audience: &str, ours: &str) -> bool {
    let rest = audience.strip_prefix(ours.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}
