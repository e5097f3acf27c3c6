//! Section `issuers`: who may vouch for callers.

use super::address::{WebAddress, is_loopback};
use super::check::{At, Check};
use super::opaque::IntrospectionSection;
use super::server::Surroundings;
use super::units::{Names, Span};
use authn::{ClaimNames, ClaimPath, IssuerConfig, KeySource, OpaqueConfig, TenantSource};
use net::egress::Rule;
use schemars::JsonSchema;
use serde::Deserialize;

/// One identity provider and what its tokens mean here.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuerSection {
    /// The issuer, exactly as its tokens say in `iss`.
    issuer: String,
    /// Where its keys are. Default: found by RFC 8414 or OpenID Connect discovery.
    jwks_uri: Option<String>,
    /// Signature algorithms accepted. Default: all three.
    algorithms: Option<Vec<Algorithm>>,
    /// Accepted `typ` headers; `none` is a token without one. Default: at+jwt (RFC 9068); many providers send JWT.
    token_types: Option<Vec<String>>,
    /// Which claims hold what.
    #[serde(default)]
    claims: ClaimsSection,
    /// The tenant of every token of this issuer, instead of a claim.
    tenant: Option<String>,
    /// Audiences accepted at every endpoint besides the endpoint's own resource. A wider audience lets a
    /// token for one endpoint be used at another.
    #[serde(default)]
    extra_audiences: Vec<String>,
    /// How far the issuer's clock and ours may differ. Default: 30s.
    skew: Option<Span>,
    /// The longest life a token may have. Default: 24h.
    max_lifetime: Option<Span>,
    /// Its opaque tokens, if it has any.
    introspection: Option<IntrospectionSection>,
    /// Whether the issuer may be on a loopback address, and then over plain HTTP (development).
    #[serde(default)]
    allow_loopback: bool,
    /// Whether the issuer may be on a private address.
    #[serde(default)]
    allow_private: bool,
}

/// A signature algorithm (RFC 7518 §3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
enum Algorithm {
    /// RSA PKCS #1 v1.5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// Claim names, or lists of names of which the first present counts. `/a/b` is a JSON pointer, and
/// `realm_access.roles` reaches into objects.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ClaimsSection {
    /// The person. Default: sub.
    user: Option<Names>,
    /// The OAuth client. Default: client_id, azp.
    client: Option<Names>,
    /// The agent, if it is known apart from the client. Default: none.
    agent: Option<Names>,
    /// The tenant, unless the issuer has a fixed one. Default: tenant_id, tenant.
    tenant: Option<Names>,
    /// Roles. Default: roles.
    roles: Option<Names>,
    /// Groups. Default: groups.
    groups: Option<Names>,
    /// Scopes, as a list or as words. Default: scope, scp.
    scopes: Option<Names>,
}

/// The checked issuers, and how their opaque tokens are told apart.
pub(super) fn check(
    sections: Vec<IssuerSection>,
    around: &Surroundings<'_>,
    at: &At,
    check: &mut Check,
) -> (Vec<IssuerConfig>, Vec<OpaqueConfig>) {
    let mut seen = std::collections::BTreeSet::new();
    let (mut issuers, mut opaque) = (Vec::new(), Vec::new());
    for (index, section) in sections.into_iter().enumerate() {
        let here = at.index(index);
        if !seen.insert(section.issuer.clone()) {
            check.fault(&here.key("issuer"), "the same issuer twice", "each issuer once");
        }
        let (issuer, tokens) = section.check(around, &here, check);
        issuers.push(issuer);
        opaque.extend(tokens);
    }
    for fault in OpaqueConfig::faults(&opaque, |_| true) {
        check.fault(at, fault.to_string(), "prefixes or endpoints that no other issuer has");
    }
    (issuers, opaque)
}

impl IssuerSection {
    fn check(
        self,
        around: &Surroundings<'_>,
        at: &At,
        check: &mut Check,
    ) -> (IssuerConfig, Option<OpaqueConfig>) {
        let rule = Rule { allow_loopback: self.allow_loopback, allow_private: self.allow_private };
        url(&self.issuer, rule, &at.key("issuer"), check);
        if let Some(uri) = &self.jwks_uri {
            url(uri, rule, &at.key("jwks_uri"), check);
        }
        if self.tenant.as_deref() == Some("") {
            check.fault(&at.key("tenant"), "an empty tenant", "a name");
        }
        let mut empty = |present: bool, key: &str| {
            if present {
                check.fault(
                    &at.key(key),
                    "a list of nothing accepts nothing",
                    "at least one, or leave it out",
                );
            }
        };
        empty(self.algorithms.as_ref().is_some_and(Vec::is_empty), "algorithms");
        empty(self.token_types.as_ref().is_some_and(Vec::is_empty), "token_types");
        let default = IssuerConfig::new(self.issuer);
        let tenant = match self.tenant {
            Some(tenant) => TenantSource::Fixed(tenant.into()),
            None => TenantSource::Claims(
                self.claims
                    .tenant
                    .as_ref()
                    .map_or_else(|| ["tenant_id", "tenant"].map(ClaimPath::new).into(), paths),
            ),
        };
        let algorithms = self.algorithms.map(|list| list.into_iter().map(Into::into).collect());
        let only = self.introspection.as_ref().is_some_and(|section| section.only);
        if only && self.jwks_uri.is_some() {
            check.fault(
                &at.key("jwks_uri"),
                "keys of an issuer that signs nothing",
                "no `introspection.only`",
            );
        }
        let keys = if only { KeySource::None } else { KeySource::Discovery };
        let here = at.key("introspection");
        let opaque =
            self.introspection.and_then(|section| section.check(&default.issuer, rule, around, &here, check));
        let issuer = IssuerConfig {
            keys: self.jwks_uri.map_or(keys, KeySource::JwksUri),
            algorithms: algorithms.unwrap_or(default.algorithms),
            token_types: self.token_types.unwrap_or(default.token_types),
            claims: self.claims.names(),
            tenant,
            extra_audiences: self.extra_audiences,
            skew: self.skew.map_or(default.skew, |span| span.0),
            max_lifetime: self.max_lifetime.map_or(default.max_lifetime, |span| span.0),
            rule,
            issuer: default.issuer,
        };
        (issuer, opaque)
    }
}

pub(super) fn url(text: &str, rule: Rule, at: &At, check: &mut Check) {
    match WebAddress::parse(text) {
        Err(why) => check.fault(at, why, "an address such as https://idp.example.org"),
        Ok(url) if is_loopback(&url.host) && !rule.allow_loopback => {
            check.fault(at, "a loopback address", "`allow_loopback: true` beside it");
        }
        Ok(url) if url.scheme == "http" && !is_loopback(&url.host) => {
            check.fault(at, "keys would travel in the clear", "https://, or http:// with a loopback host");
        }
        Ok(_) => {}
    }
}

fn paths(names: &Names) -> Vec<ClaimPath> {
    names.0.iter().map(|name| ClaimPath::new(name)).collect()
}

impl ClaimsSection {
    fn names(&self) -> ClaimNames {
        let default = ClaimNames::default();
        let or = |names: &Option<Names>, default| names.as_ref().map_or(default, paths);
        ClaimNames {
            user: or(&self.user, default.user),
            client: or(&self.client, default.client),
            agent: or(&self.agent, default.agent),
            roles: or(&self.roles, default.roles),
            groups: or(&self.groups, default.groups),
            scopes: or(&self.scopes, default.scopes),
        }
    }
}

impl From<Algorithm> for authn::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rs256 => Self::Rs256,
            Algorithm::Es256 => Self::Es256,
            Algorithm::EdDsa => Self::EdDsa,
        }
    }
}
