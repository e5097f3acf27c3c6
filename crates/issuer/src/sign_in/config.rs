//! What the operator says about tenants and their providers.

use super::Profile;
use authn::{Algorithm, ClaimPath};
use model::{Digest, Secret};
use net::egress::Rule;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// One tenant: whose people sign in where.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantConfig {
    /// Its name: what tokens say in `tenant_id`.
    pub name: Arc<str>,
    /// What pages call it.
    pub display_name: String,
    /// Its providers, by name, in the order of their buttons.
    pub providers: Vec<Arc<ProviderConfig>>,
    /// Whether people may have a password of ours.
    pub local_accounts: bool,
}

impl TenantConfig {
    /// The provider of that name.
    pub fn provider(&self, name: &str) -> Option<&Arc<ProviderConfig>> {
        self.providers.iter().find(|provider| provider.name == name)
    }
}

/// An identity provider.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderConfig {
    /// Its name, in URLs: `[a-z0-9-]{1,32}`.
    pub name: String,
    /// What its button says.
    pub display_name: String,
    /// Its issuer, exactly as its metadata and tokens say.
    pub issuer: String,
    /// Where its metadata is looked for if that is not below the issuer.
    pub discovery_url: Option<String>,
    /// What is special about its make.
    pub profile: &'static Profile,
    /// Our client id there.
    pub client_id: String,
    /// How we show there that we are that client.
    pub client_auth: ClientAuth,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// Where roles are, all of them.
    pub roles: Vec<ClaimPath>,
    /// Where groups are, all of them.
    pub groups: Vec<ClaimPath>,
    /// The roles here of whoever has a role or group there. Where this is empty, roles are taken over as they are.
    pub role_map: BTreeMap<String, Vec<String>>,
    /// The roles of everybody who comes from there.
    pub default_roles: Vec<String>,
    /// The organisation within the provider: Entra's tenant id, Google's domain.
    pub directory: Option<String>,
    /// What happens when the provider has too many groups for a token.
    pub overage: Overage,
    /// Whether the provider is asked again, at refreshes, if it still vouches for people.
    pub recheck: Option<Recheck>,
    /// Whether PKCE is used: always, unless the provider refuses it.
    pub pkce: bool,
    /// Whether claims are also fetched from the userinfo endpoint.
    pub userinfo: bool,
    /// Algorithms that its keys may have.
    pub algorithms: Vec<Algorithm>,
    /// How far its clock and ours may differ.
    pub skew: Duration,
    /// Which addresses it may have.
    pub rule: Rule,
}

/// How often a provider is asked again whether it still vouches for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recheck {
    /// For so long what it said is taken as true.
    pub every: Duration,
    /// While it cannot be asked, refreshes go on for so long since it last vouched.
    pub grace: Duration,
}

impl Default for Recheck {
    fn default() -> Self {
        Self { every: Duration::from_secs(15 * 60), grace: Duration::from_secs(3600) }
    }
}

/// How we show a provider who we are.
#[derive(Clone)]
pub enum ClientAuth {
    /// A secret, in the `Authorization` header or in the form, as the provider's metadata prefers.
    Secret(Arc<Secret>),
    /// An assertion signed by the gateway's own key (RFC 7523 §2.2); the provider fetches our key set.
    PrivateKeyJwt,
    /// Not at all: a public client, held by PKCE alone.
    None,
}

impl PartialEq for ClientAuth {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Secret(one), Self::Secret(other)) => one.lend(Digest::of) == other.lend(Digest::of),
            (Self::PrivateKeyJwt, Self::PrivateKeyJwt) | (Self::None, Self::None) => true,
            _ => false,
        }
    }
}

impl std::fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret",
            Self::PrivateKeyJwt => "PrivateKeyJwt",
            Self::None => "None",
        })
    }
}

/// What to do about groups that are elsewhere. Never: as if there were none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overage {
    /// Nobody signs in with an unknown number of groups.
    #[default]
    Deny,
    /// Groups are not used at this provider: roles alone count, and policies see no groups of anybody from there.
    IgnoreGroups,
}
