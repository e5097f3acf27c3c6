//! What the data plane is told by the operator, already checked.

pub(crate) mod server;

use model::{Limits, ServerName, ToolsetName};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use server::ServerConfig;

/// The data plane's valid configuration. A reload replaces it whole.
#[derive(Clone)]
pub struct Config {
    /// Scheme, host and port under which clients reach the gateway, without a trailing slash. The canonical
    /// resource of an endpoint (RFC 8707 §2, RFC 9728 §1.2) is this and the endpoint's path; never the Host header.
    pub public_url: String,
    /// Whether the listener is bound to a loopback address: loopback names are then served as hosts and origins.
    pub loopback: bool,
    /// `Host` values served besides the public URL's own and, on a loopback listener, the loopback names.
    pub allowed_hosts: Vec<String>,
    /// `Origin` values of browser clients that may call.
    pub allowed_origins: Vec<String>,
    /// The servers, by name.
    pub servers: BTreeMap<ServerName, Arc<ServerConfig>>,
    /// The named selections of tools.
    pub toolsets: BTreeMap<ToolsetName, Arc<Toolset>>,
    /// Every bound of the request path.
    pub limits: Limits,
    /// Whether the record keeps arguments by value besides their digest.
    pub record_arguments: bool,
    /// The `_meta` key under which a client may declare its conversation.
    pub conversation_key: Option<Arc<str>>,
    /// The gap after which calls of one principal and client begin another inferred conversation.
    pub conversation_idle: Duration,
}

/// A named selection of tools, prompts and resources for a role or team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolset {
    /// What belongs to it; an item belongs if any selector matches.
    pub selectors: Vec<Selector>,
}

/// `server/name`, where the name may end in `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The server.
    pub server: ServerName,
    /// The name, or its prefix when `prefix` is set.
    pub name: String,
    /// Whether any name that begins with `name` matches.
    pub prefix: bool,
}

/// A selector could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not `server/name` or `server/prefix*`")]
pub struct ConfigFault(pub String);

impl Selector {
    /// Reads `server/name` or `server/prefix*`.
    ///
    /// # Errors
    /// [`ConfigFault`] when the text has no slash, the server is not a name, or the rest is empty.
    pub fn parse(text: &str) -> Result<Self, ConfigFault> {
        let fault = || ConfigFault(text.chars().take(200).collect());
        let (server, name) = text.split_once('/').ok_or_else(fault)?;
        let server = ServerName::new(server).map_err(|_| fault())?;
        if name.is_empty() {
            return Err(fault());
        }
        Ok(match name.strip_suffix('*') {
            Some(prefix) => Self { server, name: prefix.to_owned(), prefix: true },
            None => Self { server, name: name.to_owned(), prefix: false },
        })
    }
}

impl Toolset {
    /// Whether any selector matches.
    pub(crate) fn selects(&self, server: &ServerName, name: &str) -> bool {
        self.selectors.iter().any(|selector| {
            selector.server == *server
                && if selector.prefix { name.starts_with(&selector.name) } else { name == selector.name }
        })
    }

    /// Whether anything of the server is selected.
    pub(crate) fn touches(&self, server: &ServerName) -> bool {
        self.selectors.iter().any(|selector| selector.server == *server)
    }
}

/// One of the doors: each is its own protected resource with its own audience (design §6).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// `/mcp`: every server, names as `server__tool`.
    Shared,
    /// `/servers/<name>/mcp`: one server, names unchanged.
    Server(ServerName),
    /// `/toolsets/<name>/mcp`: a selection, names as on the shared endpoint.
    Toolset(ToolsetName),
}

impl Endpoint {
    /// The endpoint of a request path, whether or not it is configured.
    pub fn parse(path: &str) -> Option<Self> {
        if path == "/mcp" {
            return Some(Self::Shared);
        }
        let inner = path.strip_suffix("/mcp")?;
        if let Some(name) = inner.strip_prefix("/servers/") {
            return ServerName::new(name).ok().map(Self::Server);
        }
        inner.strip_prefix("/toolsets/").and_then(|name| ToolsetName::new(name).ok()).map(Self::Toolset)
    }

    /// The path, as in the canonical resource.
    pub fn path(&self) -> String {
        match self {
            Self::Shared => "/mcp".to_owned(),
            Self::Server(name) => format!("/servers/{name}/mcp"),
            Self::Toolset(name) => format!("/toolsets/{name}/mcp"),
        }
    }
}

impl Config {
    /// Every configured endpoint.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        std::iter::once(Endpoint::Shared)
            .chain(self.servers.keys().cloned().map(Endpoint::Server))
            .chain(self.toolsets.keys().cloned().map(Endpoint::Toolset))
            .collect()
    }

    /// Whether the endpoint exists.
    pub(crate) fn serves(&self, endpoint: &Endpoint) -> bool {
        match endpoint {
            Endpoint::Shared => true,
            Endpoint::Server(name) => self.servers.contains_key(name),
            Endpoint::Toolset(name) => self.toolsets.contains_key(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_survive_their_path() {
        for path in ["/mcp", "/servers/git/mcp", "/toolsets/dev-1/mcp"] {
            assert_eq!(Endpoint::parse(path).unwrap().path(), path);
        }
        for path in
            ["/", "/mcp/", "/servers//mcp", "/servers/A/mcp", "/servers/a/b/mcp", "/servers/a", "/x/a/mcp"]
        {
            assert_eq!(Endpoint::parse(path), None, "{path}");
        }
    }

    #[test]
    fn selectors_match_whole_names_or_prefixes() {
        let set = Toolset {
            selectors: vec![Selector::parse("git/git_log").unwrap(), Selector::parse("web/*").unwrap()],
        };
        let (git, web) = (ServerName::new("git").unwrap(), ServerName::new("web").unwrap());
        assert!(set.selects(&git, "git_log") && !set.selects(&git, "git_log2") && set.selects(&web, "x"));
        for bad in ["git", "/x", "git/", "G/x"] {
            assert!(Selector::parse(bad).is_err(), "{bad}");
        }
    }
}
