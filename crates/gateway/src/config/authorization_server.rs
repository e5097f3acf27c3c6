//! Section `authorization_server`: Portunus signs people in and issues tokens itself.

use super::address::{WebAddress, is_loopback};
use super::check::{At, Check};
use super::server::{SecretSection, Surroundings};
use super::tenant::{self, TenantSection};
use super::units::Span;
use ::issuer::client::{Keys, Method};
use ::issuer::session::Lasting;
use ::issuer::{Config, ConfiguredClient, Documents, Registration, ResourceConfig};
use model::Digest;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The authorization server. Its issuer is the public URL; it needs a database, and makes one in the data folder
/// where there is no section `storage`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AuthorizationServerSection {
    /// How long an access token lives. Default: 5m; at most 1h.
    access_token_lifetime: Option<Span>,
    /// How long a refresh token may go unused. Default: 30d.
    refresh_token_lifetime: Option<Span>,
    /// How long a grant lives, however often it is refreshed. Default: 90d.
    grant_lifetime: Option<Span>,
    /// Clients written down here, by their id.
    clients: BTreeMap<String, ClientSection>,
    /// Clients whose id is the URL of their own document.
    client_documents: DocumentsSection,
    /// Dynamic registration (RFC 7591).
    registration: RegistrationSection,
    /// The tenants, by name: whose people sign in where.
    tenants: BTreeMap<String, TenantSection>,
    /// How long a session of a browser lasts without being used. Default: 1h.
    session_idle: Option<Span>,
    /// How long it lasts at most. Default: 12h.
    session_lifetime: Option<Span>,
    /// How long a person's consent lasts before they are asked again. Default: 365d.
    consent_lifetime: Option<Span>,
}

/// A client written down here.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ClientSection {
    /// What people are shown.
    name: String,
    /// Where it may be sent back to: exactly these, but for the port of a loopback address.
    #[serde(default)]
    redirect_uris: Vec<String>,
    /// Its secret, by reference. Without secret and keys it is a public client.
    secret: Option<SecretSection>,
    /// The URL of its keys, for `private_key_jwt`.
    jwks_uri: Option<String>,
    /// A file with its keys (RFC 7517), for `private_key_jwt`.
    jwks_file: Option<PathBuf>,
    /// The most it may ask for. Default: whatever the endpoint has.
    scopes: Option<Vec<String>>,
    /// The URLs of the endpoints about whose tokens it may ask at `/oauth/introspect`.
    #[serde(default)]
    introspects: Vec<String>,
    /// Whether nobody is asked for consent, because the operator gives it for everybody. A client on a loopback
    /// address is asked about all the same.
    #[serde(default)]
    trusted: bool,
}

/// Clients whose id is the URL of their own document (OAuth Client ID Metadata Document).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct DocumentsSection {
    /// Whether there are any. Default: true.
    enabled: bool,
    /// The hosts whose documents are taken. Default: any.
    allowed_hosts: Option<Vec<String>>,
    /// Whether documents may be on a loopback address, over plain HTTP too. For tests of clients only.
    danger_allow_loopback: bool,
}

impl Default for DocumentsSection {
    fn default() -> Self {
        Self { enabled: true, allowed_hosts: None, danger_allow_loopback: false }
    }
}

/// Dynamic registration (RFC 7591).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RegistrationSection {
    /// Whether clients may register themselves. Default: true.
    enabled: bool,
    /// The most registrations a minute, of everybody together. Default: 60.
    per_minute: Option<u32>,
}

impl Default for RegistrationSection {
    fn default() -> Self {
        Self { enabled: true, per_minute: None }
    }
}

/// The checked section; the issuer and its resources are known once the listener is bound.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthorizationServer(Config);

impl AuthorizationServer {
    /// What the room is told.
    pub fn config(&self, issuer: &str, resources: Vec<ResourceConfig>) -> Config {
        Config { issuer: issuer.to_owned(), resources, ..self.0.clone() }
    }
}

impl AuthorizationServerSection {
    pub(super) fn check(
        self,
        public_url: Option<&str>,
        around: &Surroundings<'_>,
        at: &At,
        check: &mut Check,
    ) -> AuthorizationServer {
        if let Some(Ok(url)) = public_url.map(WebAddress::parse)
            && url.scheme == "http"
            && !is_loopback(&url.host)
        {
            check.fault(at, "people would sign in over plain HTTP", "an https:// `listen.public_url`");
        }
        let usual = Config::new("", Vec::new());
        let span = |given: Option<Span>, usual: Duration, most: Duration, key: &str, check: &mut Check| {
            let span = given.map_or(usual, |span| span.0);
            if span < SHORTEST || span > most {
                let accepts = format!("from {}s to {}s", SHORTEST.as_secs(), most.as_secs());
                check.fault(&at.key(key), "a lifetime out of range", accepts);
            }
            span
        };
        let access_token = span(
            self.access_token_lifetime,
            usual.access_token,
            LONGEST_TOKEN,
            "access_token_lifetime",
            check,
        );
        let refresh_token = span(
            self.refresh_token_lifetime,
            usual.refresh_token,
            LONGEST_GRANT,
            "refresh_token_lifetime",
            check,
        );
        let grant = span(self.grant_lifetime, usual.grant, LONGEST_GRANT, "grant_lifetime", check);
        let sessions = Lasting {
            idle: span(self.session_idle, usual.sessions.idle, LONGEST_SESSION, "session_idle", check),
            absolute: span(
                self.session_lifetime,
                usual.sessions.absolute,
                LONGEST_SESSION,
                "session_lifetime",
                check,
            ),
        };
        let consent = span(self.consent_lifetime, usual.consent, LONGEST_GRANT, "consent_lifetime", check);
        if self.registration.per_minute == Some(0) {
            let here = at.key("registration").key("per_minute");
            check.fault(&here, "no registration would pass", "at least 1, or `enabled: false`");
        }
        let usual_registration = Registration::default();
        let (tenants, agents) = tenant::check(self.tenants, around, &at.key("tenants"), check);
        AuthorizationServer(Config {
            access_token,
            refresh_token,
            grant,
            sessions,
            consent,
            tenants,
            agents,
            clients: clients(self.clients, around, &at.key("clients"), check),
            documents: self.client_documents.enabled.then(|| Documents {
                allowed_hosts: self
                    .client_documents
                    .allowed_hosts
                    .map(|hosts| hosts.iter().map(|host| host.to_ascii_lowercase()).collect()),
                danger_allow_loopback: self.client_documents.danger_allow_loopback,
            }),
            registration: self.registration.enabled.then(|| Registration {
                per_minute: self.registration.per_minute.unwrap_or(usual_registration.per_minute),
            }),
            ..usual
        })
    }
}

fn clients(
    sections: BTreeMap<String, ClientSection>,
    around: &Surroundings<'_>,
    at: &At,
    check: &mut Check,
) -> BTreeMap<String, ConfiguredClient> {
    let mut clients = BTreeMap::new();
    for (id, section) in sections {
        let here = at.key(&id);
        if !::issuer::client::is_configurable_id(&id) {
            check.fault(
                &here,
                "not a client's id",
                "1 to 128 of letters, digits, `-`, `.` and `_`, not beginning with `dyn_` or `agt_`",
            );
            continue;
        }
        clients.extend(section.check(around, &here, check).map(|client| (id, client)));
    }
    clients
}

impl ClientSection {
    fn check(self, around: &Surroundings<'_>, at: &At, check: &mut Check) -> Option<ConfiguredClient> {
        for (index, uri) in self.redirect_uris.iter().enumerate() {
            if let Err(why) = ::issuer::client::check_redirect_uri(uri) {
                let accepts = "https://, http:// on a loopback host, or a scheme of the client's own";
                check.fault(&at.key("redirect_uris").index(index), why, accepts);
            }
        }
        let given = [self.secret.is_some(), self.jwks_uri.is_some(), self.jwks_file.is_some()];
        if given.iter().filter(|given| **given).count() > 1 {
            check.fault(at, "more than one credential", "one of secret, jwks_uri, jwks_file, or none");
        }
        let (mut method, mut keys, mut secret) = (Method::None, Keys::None, None);
        if let Some(section) = self.secret {
            let here = at.key("secret");
            method = Method::Secret;
            secret = match section.reference(around, &here, check)?.read() {
                Ok(read) => Some(read.lend(|bytes| Digest::of(bytes.trim_ascii()))),
                Err(error) => {
                    check.fault(&here, error.to_string(), "a secret that can be read");
                    return None;
                }
            };
        }
        if let Some(uri) = self.jwks_uri {
            if let Err(why) = WebAddress::parse(&uri) {
                check.fault(&at.key("jwks_uri"), why, "an address such as https://app.example.org/jwks.json");
            }
            (method, keys) = (Method::PrivateKeyJwt, Keys::At(uri));
        }
        if let Some(path) = self.jwks_file {
            let text = std::fs::read(around.base.join(path)).ok();
            let Some(document) = text.and_then(|text| serde_json::from_slice(&text).ok()) else {
                check.fault(&at.key("jwks_file"), "not a file of keys that can be read", "a JSON key set");
                return None;
            };
            (method, keys) = (Method::PrivateKeyJwt, Keys::Inline(Arc::new(document)));
        }
        Some(ConfiguredClient {
            name: self.name,
            redirect_uris: self.redirect_uris,
            method,
            keys,
            secret,
            scopes: self.scopes,
            introspects: self.introspects,
            trusted: self.trusted,
        })
    }
}

/// The shortest lifetime that lets a client do anything.
const SHORTEST: Duration = Duration::from_secs(10);
/// An access token that lives longer is no longer short-lived.
const LONGEST_TOKEN: Duration = Duration::from_secs(3600);
/// Longer than a month nobody is taken to be still there.
const LONGEST_SESSION: Duration = Duration::from_secs(31 * 24 * 3600);
/// A year.
const LONGEST_GRANT: Duration = Duration::from_secs(366 * 24 * 3600);
