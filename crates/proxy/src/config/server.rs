//! What the operator says about one MCP server.

use model::{Impact, ServerName};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// One configured server, already checked. Equal configurations keep their connections and children over a
/// reload.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerConfig {
    /// The name: `[a-z0-9-]{1,32}`.
    pub name: ServerName,
    /// How it is reached.
    pub transport: Transport,
    /// What its tools can do to the world.
    pub impact: ImpactRules,
    /// How long one call may take in all, whatever its progress.
    pub timeout: Duration,
    /// The credential its calls carry, by reference.
    pub plan: Arc<broker::Plan>,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Streamable HTTP.
    Http(HttpServer),
    /// A child process that speaks over its standard streams.
    Stdio(StdioServer),
}

/// A server reached over streamable HTTP (MCP 2026-07-28 and 2025-03-26 to 2025-11-25).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpServer {
    /// Its MCP endpoint: an absolute `http` or `https` URL.
    pub url: http::Uri,
    /// Which addresses its name may resolve to.
    pub rule: net::egress::Rule,
}

/// A server that runs as a child process: no shell, an own process group, a cleared environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StdioServer {
    /// The program; a name without a slash is looked up in the child's PATH.
    pub command: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Declared variables with plain values; secrets come from the broker's plan.
    pub env: BTreeMap<String, String>,
    /// Its working directory; the gateway's own if absent.
    pub cwd: Option<PathBuf>,
    /// One child for every principal instead of one each. It is told of no client capabilities and none of
    /// its requests are forwarded.
    pub shared: bool,
}

/// Impact classes by tool; the server's own annotations are never trusted (design §7).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ImpactRules {
    /// The class of every tool without an entry of its own.
    pub default: Impact,
    /// Classes by tool name.
    pub tools: BTreeMap<String, Impact>,
}

impl ImpactRules {
    /// The class of a tool.
    pub fn of(&self, tool: &str) -> Impact {
        self.tools.get(tool).copied().unwrap_or(self.default)
    }
}

impl ServerConfig {
    /// Whether one child serves every principal.
    pub fn is_shared(&self) -> bool {
        matches!(&self.transport, Transport::Stdio(StdioServer { shared: true, .. }))
    }
}
