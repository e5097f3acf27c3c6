//! The checked configuration, whole.

use super::check::{At, Check};
use super::file::File;
use super::server::Surroundings;
use super::storage::StorageSection;
use super::{
    AuthorizationServer, Listen, Log, NAME_ACCEPTS, Record, Traces, downstream, issuer, opaque, server,
    toolset,
};
use model::{Limits, ServerName, ToolsetName};
use proxy::{ServerConfig, Toolset};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Everything the operator said, checked, with paths made absolute to the file's folder.
#[derive(Clone)]
pub struct Settings {
    /// The listener for clients. Read at start only.
    pub listen: Listen,
    /// The admin listener. Read at start only.
    pub admin: SocketAddr,
    /// Folder of the record and of generated keys. Read at start only.
    pub data_dir: PathBuf,
    /// Folder of policies.
    pub policies: PathBuf,
    /// The zone of policies.
    pub zone: policy::Zone,
    /// The way out. Read at start only.
    pub egress: net::egress::Client,
    /// The identity providers.
    pub issuers: Vec<authn::IssuerConfig>,
    /// How their opaque tokens are told apart, and where to ask about them.
    pub opaque: Vec<authn::OpaqueConfig>,
    /// Where groups are looked up that are too many for a token.
    pub group_directories: Vec<authn::GroupDirectory>,
    /// Scopes named in challenges and in the resource metadata.
    pub scopes: Vec<String>,
    /// Scopes without which a token is refused.
    pub required_scopes: Vec<String>,
    /// The file of revoked tokens.
    pub revoked_tokens_file: Option<PathBuf>,
    /// How old the view of what was revoked may be. Read at start only.
    pub revocation: authn::revocations::Ages,
    /// The database, if there is one. Read at start only.
    pub storage: Option<::storage::Config>,
    /// The authorization server, if there is one. Whether there is one is read at start only.
    pub authorization_server: Option<AuthorizationServer>,
    /// The admin API, if there is one. Whether there is one is read at start only.
    pub admin_api: Option<::admin::Config>,
    /// Folder of the key files. Read at start only.
    pub keys_dir: PathBuf,
    /// The servers, by name.
    pub servers: BTreeMap<ServerName, Arc<ServerConfig>>,
    /// How long a server's lists are served before it is asked again. Read at start only.
    pub catalog_refresh: Duration,
    /// The toolsets, by name.
    pub toolsets: BTreeMap<ToolsetName, Arc<Toolset>>,
    /// What the record holds.
    pub record: Record,
    /// The bounds of the request path.
    pub limits: Limits,
    /// The log. Read at start only.
    pub log: Log,
    /// Traces, if they are on. Read at start only.
    pub traces: Option<Traces>,
    /// Worker threads; `None`: one for each core. Read at start only.
    pub workers: Option<u16>,
}

impl Settings {
    /// What `authn` is told; `own` is our own authorization server, which metadata names first.
    pub fn authn(&self, own: Option<authn::IssuerConfig>) -> authn::Config {
        authn::Config {
            issuers: own.into_iter().chain(self.issuers.iter().cloned()).collect(),
            opaque: self.opaque.clone(),
            group_directories: self.group_directories.clone(),
            danger_anonymous: self.listen.anonymous.as_deref().cloned(),
            revoked_tokens_file: self.revoked_tokens_file.clone(),
            cached_tokens: self.limits.cached_tokens,
            ..authn::Config::default()
        }
    }

    /// What clients call a listener that got `bound`: what the operator says, else that address.
    pub fn public_url(&self, bound: SocketAddr) -> String {
        let scheme = if self.listen.tls.is_some() { "https" } else { "http" };
        self.listen.public_url.clone().unwrap_or_else(|| format!("{scheme}://{bound}"))
    }

    /// Whether any server is told who calls.
    pub fn mints(&self) -> bool {
        self.servers.values().any(|server| server.plan.assertion().is_some())
    }

    /// What the data plane is told, under the given public URL.
    pub fn data_plane(&self, public_url: &str) -> proxy::Config {
        proxy::Config {
            public_url: public_url.to_owned(),
            loopback: self.listen.address.ip().is_loopback(),
            allowed_hosts: self.listen.allowed_hosts.clone(),
            allowed_origins: self.listen.allowed_origins.clone(),
            servers: self.servers.clone(),
            toolsets: self.toolsets.clone(),
            limits: self.limits.clone(),
            record_arguments: self.record.arguments,
            conversation_key: self.record.conversation_key.as_deref().map(Into::into),
            conversation_idle: self.record.conversation_idle,
        }
    }
}

impl File {
    /// Checks every section, noting every fault. `None` when something essential could not be made.
    pub(super) fn check(self, base: &Path, check: &mut Check) -> Option<Settings> {
        let root = At::default();
        let at = |name: &str| root.key(name);
        match self.version {
            Some(1) => {}
            None if check.is_broken(&at("version")) => {}
            None => check.fault(&at("version"), "`version` is missing", "version: 1"),
            Some(_) => check.fault(&at("version"), "unknown version", "1"),
        }
        let listen = self.listen.check(base, &at("listen"), check);
        let admin = self.admin.check(&listen, &at("admin"), check);
        let policies = base.join(self.policies.unwrap_or_else(|| "policies".into()));
        check.folder(&policies, &at("policies"));
        let zone = self.policy_zone.map_or(Ok(policy::Zone::utc()), |name| policy::Zone::parse(&name));
        let zone = zone.unwrap_or_else(|error| {
            check.fault(&at("policy_zone"), error.to_string(), "an IANA name such as Europe/Berlin");
            policy::Zone::utc()
        });
        let vouched = !self.issuers.is_empty() || self.authorization_server.is_some();
        if !vouched && listen.anonymous.is_none() && !check.is_broken(&at("issuers")) {
            check.absent(&at("issuers"), "nobody could sign in", "at least one issuer");
        }
        let limits = self.limits.check(&at("limits"), check);
        let egress = self.egress.check(base, &limits, &at("egress"), check);
        let broken: Vec<String> = check.entries_broken(&at("servers"));
        let names: Vec<String> = self.servers.keys().cloned().chain(broken).collect();
        if names.is_empty() && !check.is_broken(&at("servers")) {
            check.absent(&at("servers"), "a gateway to nothing", "at least one server");
        }
        let around = Surroundings { base, limits: &limits, egress: egress.as_ref() };
        let (issuers, opaque) = issuer::check(self.issuers, &around, &at("issuers"), check);
        let group_directories =
            opaque::directories(self.group_directories, &around, &at("group_directories"), check);
        let servers = servers(self.servers, &around, check);
        downstream::check_audiences(&servers, listen.public_url.as_deref(), &at("servers"), check);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let toolsets = if check.is_broken(&at("servers")) {
            BTreeMap::new()
        } else {
            toolset::check(self.toolsets, &names, &at("toolsets"), check)
        };
        let revoked_tokens_file = self.revoked_tokens_file.map(|path| base.join(path));
        if let Some(path) = &revoked_tokens_file {
            check.readable(path, &at("revoked_tokens_file"));
        }
        if self.workers == Some(0) {
            check.fault(&at("workers"), "nobody would work", "at least 1");
        }
        let log = self.log.check(&at("log"), check);
        let traces = self.traces.and_then(|section| section.check(&around, &at("traces"), check));
        let data_dir = base.join(self.data_dir.as_deref().unwrap_or(Path::new(DATA_DIR)));
        let public_url = listen.public_url.as_deref();
        let authorization_server = self
            .authorization_server
            .map(|section| section.check(public_url, &around, &at("authorization_server"), check));
        // People, grants and the keys that sign are rows, so whoever needs any of them has a database, told or not.
        let admin_api = self.admin_api.map(|section| section.check(&at("admin_api"), check));
        let needed = authorization_server.is_some()
            || admin_api.is_some()
            || servers.values().any(|server| server.plan.assertion().is_some());
        let storage = self.storage.or_else(|| needed.then(StorageSection::default));
        let storage = storage.and_then(|section| section.check(&data_dir, &around, &at("storage"), check));
        Some(Settings {
            listen,
            admin,
            storage,
            revocation: self.revocation.check(&at("revocation"), check),
            authorization_server,
            admin_api,
            keys_dir: self.keys_dir.map_or_else(|| data_dir.join("keys"), |path| base.join(path)),
            data_dir,
            policies,
            zone,
            egress: egress?,
            issuers,
            opaque,
            group_directories,
            scopes: self.scopes,
            required_scopes: self.required_scopes,
            revoked_tokens_file,
            servers,
            catalog_refresh: self.catalog_refresh.map_or(CATALOG_REFRESH, |span| span.0),
            toolsets,
            record: self.record.check(),
            limits,
            log,
            traces,
            workers: self.workers,
        })
    }
}

/// How long a server's lists are served before it is asked again, by default.
const CATALOG_REFRESH: Duration = Duration::from_secs(60);

fn servers(
    sections: BTreeMap<String, server::ServerSection>,
    surroundings: &Surroundings<'_>,
    check: &mut Check,
) -> BTreeMap<ServerName, Arc<ServerConfig>> {
    let mut servers = BTreeMap::new();
    for (name, section) in sections {
        let here = At::default().key("servers").key(&name);
        match ServerName::new(&name) {
            Err(_) => check.fault(&here, "not a server's name", NAME_ACCEPTS),
            Ok(name) => {
                if let Some(config) = section.check(name.clone(), surroundings, &here, check) {
                    servers.insert(name, Arc::new(config));
                }
            }
        }
    }
    servers
}

/// Where record and keys are kept unless the file says otherwise.
pub(super) const DATA_DIR: &str = "data";
