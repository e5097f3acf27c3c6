//! Sections `listen` and `admin`.

use super::address::{WebAddress, is_loopback};
use super::check::{At, Check};
use model::Principal;
use net::listen::{ClientCertificates, TlsFiles};
use schemars::JsonSchema;
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where clients connect.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ListenSection {
    /// Address and port of the listener. Default: 127.0.0.1:7575.
    address: Option<String>,
    /// The address clients use: scheme, host and port, no path. It is the audience tokens are checked
    /// against. Default on a loopback listener: its own address.
    public_url: Option<String>,
    /// Certificate and key. Without them the listener speaks plain HTTP (for loopback, or behind a
    /// terminating proxy).
    tls: Option<TlsSection>,
    /// `Host` values served besides the public URL's own.
    allowed_hosts: Vec<String>,
    /// `Origin` values of browser clients that may call.
    allowed_origins: Vec<String>,
    /// DANGER: every caller is this person, without a token. Loopback listeners only.
    danger_anonymous: Option<AnonymousSection>,
}

/// Files of the listener's certificate.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsSection {
    /// PEM file of the certificate and its chain.
    cert_file: PathBuf,
    /// PEM file of the private key.
    key_file: PathBuf,
    /// Certificates that clients may show: agents that sign in with one, and tokens bound to one (RFC 8705). A client
    /// without one is served all the same.
    client_certificates: Option<ClientCertificatesSection>,
}

/// Whose client certificates are accepted. All files are read again when they change.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClientCertificatesSection {
    /// PEM file of the certificate authorities.
    ca_file: Option<PathBuf>,
    /// PEM files of their lists of revoked certificates. With one there must be one of every authority in a chain, and
    /// none past its next update.
    crl_files: Vec<PathBuf>,
    /// Whether self-signed certificates get through, for agents that are registered with their certificate.
    self_signed: bool,
}

/// The person every caller of an anonymous listener is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnonymousSection {
    /// The user.
    user: String,
    /// The tenant.
    tenant: String,
    /// The client. Default: `anonymous`.
    client: Option<String>,
    /// The agent.
    agent: Option<String>,
    /// Roles.
    #[serde(default)]
    roles: Vec<String>,
    /// Groups.
    #[serde(default)]
    groups: Vec<String>,
    /// Scopes.
    #[serde(default)]
    scopes: Vec<String>,
}

/// The admin listener: `/healthz`, `/readyz`, `/metrics`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AdminSection {
    /// Address and port. Default: 127.0.0.1:7576.
    address: Option<String>,
}

/// The checked listener.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// What clients call it. `None`: whatever address it gets (loopback only).
    pub public_url: Option<String>,
    /// Certificate and key files.
    pub tls: Option<TlsFiles>,
    /// `Host` values served besides the public URL's own.
    pub allowed_hosts: Vec<String>,
    /// `Origin` values of browser clients that may call.
    pub allowed_origins: Vec<String>,
    /// The principal of every caller, if the listener asks for no token.
    pub anonymous: Option<Arc<Principal>>,
}

const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7575);
const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7576);

fn address(text: Option<&str>, default: SocketAddr, at: &At, check: &mut Check) -> SocketAddr {
    let Some(text) = text else { return default };
    text.parse().unwrap_or_else(|_| {
        check.fault(
            at,
            "not an address and port",
            "an IP address and a port, such as 127.0.0.1:7575 or [::]:7575",
        );
        default
    })
}

impl ListenSection {
    pub(super) fn check(self, base: &Path, at: &At, check: &mut Check) -> Listen {
        let address = address(self.address.as_deref(), LISTEN, &at.key("address"), check);
        let loopback = address.ip().is_loopback();
        let public_url = self.public_url.and_then(|text| {
            let here = at.key("public_url");
            match WebAddress::parse(&text) {
                Ok(url) if url.path != "/" => {
                    check.fault(&here, "a public URL has no path", "scheme, host and port only");
                }
                Ok(url) if url.scheme == "http" && !is_loopback(&url.host) => {
                    check.fault(
                        &here,
                        "tokens would travel in the clear",
                        "https://, or http:// with a loopback host",
                    );
                }
                Ok(url) => return Some(url.origin()),
                Err(why) => check.fault(&here, why, "an address such as https://mcp.example.org"),
            }
            None
        });
        if !loopback && public_url.is_none() && !check.is_broken(at) {
            check.fault(
                at,
                "`public_url` is missing",
                "the URL clients use; only a loopback listener can do without",
            );
        }
        let tls = self.tls.map(|tls| {
            let (cert_file, key_file) = (base.join(tls.cert_file), base.join(tls.key_file));
            check.readable(&cert_file, &at.key("tls").key("cert_file"));
            check.readable(&key_file, &at.key("tls").key("key_file"));
            let here = at.key("tls").key("client_certificates");
            let clients = tls.client_certificates.map(|section| section.check(base, &here, check));
            TlsFiles { cert_file, key_file, clients }
        });
        for (index, host) in self.allowed_hosts.iter().enumerate() {
            if host.is_empty() || host.contains('/') {
                check.fault(
                    &at.key("allowed_hosts").index(index),
                    "not a host",
                    "a host or host:port, without a scheme",
                );
            }
        }
        for (index, origin) in self.allowed_origins.iter().enumerate() {
            if WebAddress::parse(origin).map(|url| url.origin()).ok().as_deref() != Some(origin) {
                check.fault(
                    &at.key("allowed_origins").index(index),
                    "not an origin",
                    "scheme://host[:port], without a path",
                );
            }
        }
        if self.danger_anonymous.is_some() && !loopback {
            check.fault(
                &at.key("danger_anonymous"),
                "anyone who reaches this address would be this person",
                "a loopback `listen.address`, or no `danger_anonymous`",
            );
        }
        Listen {
            address,
            public_url,
            tls,
            allowed_hosts: self.allowed_hosts,
            allowed_origins: self.allowed_origins,
            anonymous: self.danger_anonymous.map(AnonymousSection::principal),
        }
    }
}

impl ClientCertificatesSection {
    fn check(self, base: &Path, at: &At, check: &mut Check) -> ClientCertificates {
        if self.ca_file.is_none() && !self.self_signed {
            check.fault(at, "no certificate would be accepted", "`ca_file`, or `self_signed: true`");
        }
        if self.ca_file.is_none() && !self.crl_files.is_empty() {
            check.fault(&at.key("crl_files"), "lists of no authority", "`ca_file` beside them");
        }
        let ca_file = self.ca_file.map(|path| base.join(path));
        let crl_files: Vec<PathBuf> = self.crl_files.iter().map(|path| base.join(path)).collect();
        for (path, here) in ca_file.iter().map(|path| (path, at.key("ca_file"))) {
            check.readable(path, &here);
        }
        for (index, path) in crl_files.iter().enumerate() {
            check.readable(path, &at.key("crl_files").index(index));
        }
        ClientCertificates { ca_file, crl_files, self_signed: self.self_signed }
    }
}

impl AnonymousSection {
    fn principal(self) -> Arc<Principal> {
        let list = |items: Vec<String>| {
            let sorted: std::collections::BTreeSet<Arc<str>> = items.into_iter().map(Into::into).collect();
            sorted.into_iter().collect()
        };
        Arc::new(Principal {
            user: self.user.into(),
            client: self.client.unwrap_or_else(|| "anonymous".to_owned()).into(),
            agent: self.agent.map(Into::into),
            actors: Vec::new(),
            tenant: self.tenant.into(),
            roles: list(self.roles),
            groups: list(self.groups),
            scopes: list(self.scopes),
            issuer: "portunus:anonymous".into(),
            registered: None,
        })
    }
}

impl AdminSection {
    pub(super) fn check(&self, listen: &Listen, at: &At, check: &mut Check) -> SocketAddr {
        let here = at.key("address");
        let admin = address(self.address.as_deref(), ADMIN, &here, check);
        if admin == listen.address && admin.port() != 0 {
            check.fault(&here, "the same as `listen.address`", "another port");
        }
        admin
    }
}
