//! `authorization_server.tenants`: whose people sign in where.

use super::address::{WebAddress, is_loopback};
use super::check::{At, Check};
use super::server::{SecretSection, Surroundings};
use super::units::{Names, Span};
use ::issuer::AgentRules;
use ::issuer::sign_in::{ClientAuth, Overage, Profile, ProviderConfig, Recheck, TenantConfig};
use authn::{Algorithm, ClaimPath};
use net::egress::Rule;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A tenant: an organisation, and where its people sign in.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TenantSection {
    /// What pages call it. Default: its name.
    display_name: Option<String>,
    /// Its identity providers, in the order of their buttons.
    providers: Vec<ProviderSection>,
    /// Whether people may have accounts with a password kept here. Default: false.
    local_accounts: bool,
    /// Whether agents may have client secrets, beside keys and certificates. Default: false.
    allow_client_secrets: bool,
    /// Providers, by name, whose assertions give clients tokens for people without asking them (enterprise-managed
    /// authorization, ID-JAG). Default: none.
    identity_assertions: Vec<String>,
}

/// An identity provider (OpenID Connect). The redirect URI to register there is `<public_url>/sign-in/callback`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProviderSection {
    /// Its name, in URLs and on record: 1 to 32 of a-z, 0-9 and -.
    name: String,
    /// What its button says. Default: its name.
    display_name: Option<String>,
    /// What make it is, which sets what follows. Default: generic.
    #[serde(default)]
    profile: ProfileName,
    /// Its issuer, exactly as its metadata and its tokens say.
    issuer: String,
    /// Where its metadata is looked for, if not below the issuer (Entra's v1 issuers).
    discovery_url: Option<String>,
    /// The gateway's client id there.
    client_id: String,
    /// The gateway's client secret there, by reference.
    client_secret: Option<SecretSection>,
    /// How the gateway shows who it is there. Default: client_secret where there is one, else none.
    client_auth: Option<ClientAuthName>,
    /// The organisation within a provider of many: Entra's tenant id, Google's domain.
    directory: Option<String>,
    /// What is asked for. Default: as the profile says; openid profile email.
    scopes: Option<Vec<String>>,
    /// Which claims hold what.
    #[serde(default)]
    claims: ProviderClaims,
    /// The roles here, by role or group there. Without it, roles are taken over as they are.
    #[serde(default)]
    role_map: BTreeMap<String, Vec<String>>,
    /// Roles of everybody who comes from there.
    #[serde(default)]
    default_roles: Vec<String>,
    /// What happens when the provider has too many groups for a token. Default: deny.
    #[serde(default)]
    groups_overage: OverageName,
    /// Whether the provider is asked again, when a client refreshes, if it still vouches for the person. It has to give refresh
    /// tokens, which are kept sealed. Default: it is not asked; `{}` is every 15m, with a grace of 1h.
    recheck: Option<RecheckSection>,
    /// Whether PKCE is used. Default: true; false only for a provider that refuses it.
    pkce: Option<bool>,
    /// Whether claims are fetched from the userinfo endpoint besides. Default: false.
    #[serde(default)]
    userinfo: bool,
    /// Signature algorithms accepted. Default: ES256, RS256 and EdDSA.
    algorithms: Option<Vec<AlgorithmName>>,
    /// How far the provider's clock and ours may differ. Default: 30s; at most 60s.
    skew: Option<Span>,
    /// Whether the provider may be on a loopback address, and then over plain HTTP (development).
    #[serde(default)]
    allow_loopback: bool,
    /// Whether the provider may be on a private address.
    #[serde(default)]
    allow_private: bool,
}

/// How often a provider is asked again whether it still vouches for somebody.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RecheckSection {
    /// For how long what it said is taken as true: 1m to 24h. Default: 15m.
    every: Option<Span>,
    /// While it cannot be asked, for how long refreshes go on since it last vouched: `every` to 24h. Default: 1h.
    grace: Option<Span>,
}

/// A make of provider.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum ProfileName {
    /// Microsoft Entra ID.
    Entra,
    /// Okta.
    Okta,
    /// Auth0.
    Auth0,
    /// Keycloak.
    Keycloak,
    /// Google Workspace.
    Google,
    /// Any other.
    #[default]
    Generic,
}

/// How the gateway shows a provider who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum ClientAuthName {
    /// By its secret.
    ClientSecret,
    /// By an assertion signed with its own key (RFC 7523); the provider fetches `<public_url>/.well-known/jwks.json`.
    PrivateKeyJwt,
    /// Not at all: a public client, held by PKCE alone.
    None,
}

/// What to do about groups that are elsewhere.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum OverageName {
    /// Refuse the sign-in.
    #[default]
    Deny,
    /// Use no groups of this provider at all, of anybody.
    IgnoreGroups,
}

/// A signature algorithm (RFC 7518 §3.1, RFC 8037).
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
enum AlgorithmName {
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

/// Claim names, or lists of them, of which all that are there count. `/a/b` is a JSON pointer, `a.b` reaches into
/// objects, `<client_id>` stands for the client id.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ProviderClaims {
    /// Roles. Default: as the profile says.
    roles: Option<Names>,
    /// Groups. Default: as the profile says.
    groups: Option<Names>,
}

/// The checked tenants.
pub(super) fn check(
    sections: BTreeMap<String, TenantSection>,
    around: &Surroundings<'_>,
    at: &At,
    check: &mut Check,
) -> (Vec<Arc<TenantConfig>>, BTreeMap<String, AgentRules>) {
    let (mut tenants, mut agents) = (Vec::new(), BTreeMap::new());
    for (name, section) in sections {
        let here = at.key(&name);
        if model::ServerName::new(&name).is_err() {
            check.fault(&here, "not a tenant's name", super::NAME_ACCEPTS);
        }
        if section.providers.is_empty() && !section.local_accounts && !check.is_broken(&here.key("providers"))
        {
            check.absent(&here, "nobody could sign in", "at least one provider, or `local_accounts: true`");
        }
        let mut providers: Vec<Arc<ProviderConfig>> = Vec::new();
        for (index, provider) in section.providers.into_iter().enumerate() {
            let here = here.key("providers").index(index);
            let Some(provider) = provider.check(around, &here, check) else { continue };
            if providers.iter().any(|known| known.name == provider.name) {
                check.fault(&here.key("name"), "the same name twice", "each provider its own name");
            }
            providers.push(Arc::new(provider));
        }
        for (index, named) in section.identity_assertions.iter().enumerate() {
            if !providers.iter().any(|known| known.name == *named) && !check.is_broken(&here.key("providers"))
            {
                let names: Vec<&str> = providers.iter().map(|known| known.name.as_str()).collect();
                let place = here.key("identity_assertions").index(index);
                check.unknown(&place, "no provider of this tenant", named, &names);
            }
        }
        let rules = AgentRules {
            allow_client_secrets: section.allow_client_secrets,
            identity_assertions: section.identity_assertions,
        };
        agents.insert(name.clone(), rules);
        tenants.push(Arc::new(TenantConfig {
            display_name: section.display_name.unwrap_or_else(|| name.clone()),
            name: name.into(),
            providers,
            local_accounts: section.local_accounts,
        }));
    }
    (tenants, agents)
}

impl RecheckSection {
    fn check(self, at: &At, check: &mut Check) -> Recheck {
        let usual = Recheck::default();
        let every = self.every.map_or(usual.every, |span| span.0);
        let grace = self.grace.map_or(usual.grace.max(every), |span| span.0);
        if !(SHORTEST_RECHECK..=LONGEST_RECHECK).contains(&every) {
            check.fault(&at.key("every"), "too short or too long", "1m to 24h");
        }
        if !(every..=LONGEST_RECHECK).contains(&grace) {
            check.fault(&at.key("grace"), "shorter than `every`, or too long", "`every` to 24h");
        }
        Recheck { every, grace }
    }
}

impl ProviderSection {
    fn check(self, around: &Surroundings<'_>, at: &At, check: &mut Check) -> Option<ProviderConfig> {
        let profile = Profile::named(match self.profile {
            ProfileName::Entra => "entra",
            ProfileName::Okta => "okta",
            ProfileName::Auth0 => "auth0",
            ProfileName::Keycloak => "keycloak",
            ProfileName::Google => "google",
            ProfileName::Generic => "generic",
        })
        .unwrap_or(Profile::GENERIC);
        if model::ServerName::new(&self.name).is_err() {
            check.fault(&at.key("name"), "not a provider's name", super::NAME_ACCEPTS);
        }
        for (key, url) in [("issuer", Some(&self.issuer)), ("discovery_url", self.discovery_url.as_ref())] {
            let Some(url) = url else { continue };
            match WebAddress::parse(url) {
                Err(why) => check.fault(&at.key(key), why, "an address such as https://idp.example.org"),
                Ok(found)
                    if found.scheme == "http"
                        && !(self.allow_loopback && is_loopback(&found.host))
                        && !self.allow_private =>
                {
                    check.fault(
                        &at.key(key),
                        "plain HTTP",
                        "https://, or `allow_loopback: true` for this machine",
                    );
                }
                Ok(_) => {}
            }
        }
        let directory = self.directory.or_else(|| in_issuer(profile, &self.issuer));
        if profile.needs_directory && directory.is_none() {
            let what = format!("anybody with an account at {} could sign in", profile.name);
            check.fault(&at.key("directory"), what, "the one organisation whose people are let in");
        }
        let client_auth = client_auth(self.client_auth, self.client_secret, around, at, check)?;
        let scopes = self.scopes.unwrap_or_else(|| profile.scopes.iter().map(ToString::to_string).collect());
        if !scopes.iter().any(|scope| scope == "openid") {
            check.fault(&at.key("scopes"), "without `openid` there is no ID token", "openid among them");
        }
        let recheck = self.recheck.map(|section| section.check(&at.key("recheck"), check));
        let pkce = self.pkce.unwrap_or(true);
        if !pkce && client_auth == ClientAuth::None {
            check.fault(&at.key("pkce"), "nothing would protect the code", "PKCE, or a client secret");
        }
        let skew = self.skew.map_or(SKEW, |span| span.0);
        if skew > MOST_SKEW {
            check.fault(&at.key("skew"), "clocks that differ more have to be set", "at most 60s");
        }
        let paths = |given: Option<Names>, usual: &[&str]| match given {
            Some(names) => names.0.iter().map(|name| ClaimPath::new(name)).collect(),
            None => usual.iter().map(|name| ClaimPath::new(name)).collect(),
        };
        let algorithm = |name: AlgorithmName| match name {
            AlgorithmName::Rs256 => Algorithm::Rs256,
            AlgorithmName::Es256 => Algorithm::Es256,
            AlgorithmName::EdDsa => Algorithm::EdDsa,
        };
        let algorithms: Option<Vec<Algorithm>> =
            self.algorithms.map(|names| names.into_iter().map(algorithm).collect());
        if algorithms.as_ref().is_some_and(Vec::is_empty) {
            check.fault(&at.key("algorithms"), "none would be accepted", "at least one");
        }
        Some(ProviderConfig {
            display_name: self.display_name.unwrap_or_else(|| self.name.clone()),
            name: self.name,
            issuer: self.issuer,
            discovery_url: self.discovery_url,
            profile,
            client_id: self.client_id,
            client_auth,
            scopes,
            roles: paths(self.claims.roles, profile.roles),
            groups: paths(self.claims.groups, profile.groups),
            role_map: self.role_map,
            default_roles: self.default_roles,
            directory,
            overage: match self.groups_overage {
                OverageName::Deny => Overage::Deny,
                OverageName::IgnoreGroups => Overage::IgnoreGroups,
            },
            recheck,
            pkce,
            userinfo: self.userinfo,
            algorithms: algorithms
                .unwrap_or_else(|| vec![Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa]),
            skew,
            rule: Rule { allow_loopback: self.allow_loopback, allow_private: self.allow_private },
        })
    }
}

fn client_auth(
    named: Option<ClientAuthName>,
    secret: Option<SecretSection>,
    around: &Surroundings<'_>,
    at: &At,
    check: &mut Check,
) -> Option<ClientAuth> {
    let here = at.key("client_secret");
    match (named, secret) {
        (None | Some(ClientAuthName::ClientSecret), Some(section)) => {
            match section.reference(around, &here, check)?.read() {
                Ok(secret) => Some(ClientAuth::Secret(secret)),
                Err(error) => {
                    check.fault(&here, error.to_string(), "a secret that can be read");
                    None
                }
            }
        }
        (Some(ClientAuthName::ClientSecret), None) => {
            check.fault(&here, "the secret is missing", "`client_secret`, by reference");
            None
        }
        (Some(_), Some(_)) => {
            check.fault(&here, "a secret that is not used", "`client_auth: client_secret`, or no secret");
            None
        }
        (Some(ClientAuthName::PrivateKeyJwt), None) => Some(ClientAuth::PrivateKeyJwt),
        (None | Some(ClientAuthName::None), None) => Some(ClientAuth::None),
    }
}

/// The organisation that an issuer of this make names in its path: the first part of it, if it is an id.
fn in_issuer(profile: &Profile, issuer: &str) -> Option<String> {
    let address = WebAddress::parse(issuer).ok().filter(|_| profile.directory_in_issuer)?;
    let first = address.path.split('/').find(|part| !part.is_empty())?;
    let is_id = first.len() == 36 && first.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_id.then(|| first.to_owned())
}

const SHORTEST_RECHECK: Duration = Duration::from_secs(60);
const LONGEST_RECHECK: Duration = Duration::from_secs(24 * 3600);
const SKEW: Duration = Duration::from_secs(30);
const MOST_SKEW: Duration = Duration::from_secs(60);
