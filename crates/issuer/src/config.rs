//! What the operator says about the authorization server. Reloadable as a whole.

use crate::client::{Keys, Method};
use crate::session::Lasting;
use crate::sign_in::TenantConfig;
use model::Digest;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Everything the room needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The issuer identifier: the gateway's public URL, without a path.
    pub issuer: String,
    /// The endpoints for which tokens are issued.
    pub resources: Vec<ResourceConfig>,
    /// How long an access token lives.
    pub access_token: Duration,
    /// How long a refresh token may go unused.
    pub refresh_token: Duration,
    /// How long a grant lives, however often it is refreshed; then its person signs in again.
    pub grant: Duration,
    /// Clients that the operator wrote down, by id.
    pub clients: BTreeMap<String, ConfiguredClient>,
    /// Clients named by the URL of their own document; `None` if there are none of these.
    pub documents: Option<Documents>,
    /// Dynamic registration; `None` if there is none.
    pub registration: Option<Registration>,
    /// What tenants let agents do, by tenant; what is not here is not allowed.
    pub agents: BTreeMap<String, AgentRules>,
    /// Whose people sign in where.
    pub tenants: Vec<Arc<TenantConfig>>,
    /// How long sessions of browsers last.
    pub sessions: Lasting,
    /// How long a consent lasts.
    pub consent: Duration,
}

/// What a tenant lets agents and clients do without a person being asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentRules {
    /// Whether agents may have secrets, beside keys and certificates.
    pub allow_client_secrets: bool,
    /// The tenant's providers, by name, whose assertions give clients tokens (ID-JAG).
    pub identity_assertions: Vec<String>,
}

impl Config {
    /// An authorization server for these resources with the usual times, documents of any host and registration.
    pub fn new(issuer: impl Into<String>, resources: Vec<ResourceConfig>) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            issuer: issuer.into(),
            resources,
            access_token: Duration::from_secs(300),
            refresh_token: 30 * DAY,
            grant: 90 * DAY,
            clients: BTreeMap::new(),
            documents: Some(Documents::default()),
            registration: Some(Registration::default()),
            agents: BTreeMap::new(),
            tenants: Vec::new(),
            sessions: Lasting::default(),
            consent: 365 * DAY,
        }
    }
}

/// One endpoint as an audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceConfig {
    /// Its canonical URI.
    pub canonical: String,
    /// Every scope it knows.
    pub scopes: Vec<String>,
}

/// A client that the operator wrote down.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfiguredClient {
    /// What people are shown.
    pub name: String,
    /// Where it may be sent back to.
    pub redirect_uris: Vec<String>,
    /// How it proves who it is.
    pub method: Method,
    /// Its keys, for `private_key_jwt`.
    pub keys: Keys,
    /// SHA-256 of its secret, for `client_secret_basic` and `client_secret_post`.
    pub secret: Option<Digest>,
    /// The most it may ask for; `None`: whatever the resource has.
    pub scopes: Option<Vec<String>>,
    /// The resources about whose tokens it may ask (RFC 7662), besides its own tokens.
    pub introspects: Vec<String>,
    /// Nobody is asked for consent: the operator gave it for everybody.
    pub trusted: bool,
}

/// Clients named by the URL of their own document (OAuth Client ID Metadata Document).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Documents {
    /// The hosts whose documents are taken; `None`: any.
    pub allowed_hosts: Option<Vec<String>>,
    /// Documents on this machine, over plain http too. For tests of clients only.
    pub danger_allow_loopback: bool,
}

/// Dynamic registration (RFC 7591).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The most registrations a minute, of everybody together, on this replica.
    pub per_minute: u32,
}

impl Default for Registration {
    fn default() -> Self {
        Self { per_minute: 60 }
    }
}
