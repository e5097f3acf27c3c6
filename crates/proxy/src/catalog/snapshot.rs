//! The catalog at one moment. Immutable and shared.

use super::Kind;
use model::{Code, Digest, Impact, ServerName};
use protocol::Raw;
use protocol::capability::Offer;
use protocol::header::HeaderParam;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// All servers, by name.
#[derive(Default)]
pub struct Snapshot {
    /// Counts every change.
    pub revision: u64,
    /// The servers.
    pub servers: BTreeMap<ServerName, Arc<ServerView>>,
}

/// One server as last discovered.
#[derive(Clone)]
pub struct ServerView {
    /// The server.
    pub name: ServerName,
    /// Whether it answers.
    pub state: State,
    /// Its capabilities, without what the gateway does not carry; an object.
    pub capabilities: Raw,
    /// Its instructions: a string.
    pub instructions: Option<Raw>,
    /// Its `serverInfo`.
    pub info: Option<Raw>,
    /// Its tools, sorted by name.
    pub tools: Vec<Arc<Item>>,
    /// Its prompts, sorted by name.
    pub prompts: Vec<Arc<Item>>,
    /// Its resources, sorted by URI, which is their name here.
    pub resources: Vec<Arc<Item>>,
    /// Its resource templates, sorted by template, which is their name here.
    pub templates: Vec<Arc<Item>>,
    /// What was left out: kind, name and reason.
    pub dropped: Vec<(Kind, Arc<str>, Arc<str>)>,
    pub(super) shared_tools: HashMap<Arc<str>, Arc<Item>>,
    pub(super) shared_prompts: HashMap<Arc<str>, Arc<Item>>,
}

/// Whether a server answers discovery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// It does.
    Ready,
    /// It does not, or has not yet. Its view may still hold what it listed before.
    Missing {
        /// The code shown in lists.
        code: Code,
        /// Why, for operators.
        reason: Arc<str>,
    },
}

/// One tool, prompt, resource or template.
pub struct Item {
    /// Whose it is.
    pub server: ServerName,
    /// The server's own name; a resource's URI; a template's `uriTemplate`.
    pub name: Arc<str>,
    /// The name on endpoints over several servers; of resources and templates the name itself.
    pub public_name: Arc<str>,
    /// The definition as listed, byte for byte.
    pub definition: Raw,
    /// SHA-256 of the definition's canonical form (RFC 8785).
    pub digest: Digest,
    /// The `x-mcp-header` annotations of a tool.
    pub tool_headers: Arc<[HeaderParam]>,
    /// The operator's class: a tool's own, else the server's default.
    pub impact: Impact,
    /// What policy needs to know; none for resources and templates.
    pub shape: Option<policy::Shape>,
}

impl Snapshot {
    /// The tool of that name on endpoints over several servers.
    pub fn shared_tool(&self, name: &str) -> Option<&Arc<Item>> {
        self.owner(name)?.shared_tools.get(name)
    }

    /// The prompt of that name on endpoints over several servers.
    pub fn shared_prompt(&self, name: &str) -> Option<&Arc<Item>> {
        self.owner(name)?.shared_prompts.get(name)
    }

    /// Shared names begin with the server's name, which holds no `_`, and `__`.
    fn owner(&self, name: &str) -> Option<&Arc<ServerView>> {
        self.servers.get(name.split_once("__")?.0)
    }
}

impl ServerView {
    /// A server that was never discovered.
    pub(super) fn missing(name: &ServerName, code: Code, reason: Arc<str>) -> Self {
        Self {
            name: name.clone(),
            state: State::Missing { code, reason },
            capabilities: Raw::empty_object(),
            instructions: None,
            info: None,
            tools: Vec::new(),
            prompts: Vec::new(),
            resources: Vec::new(),
            templates: Vec::new(),
            dropped: Vec::new(),
            shared_tools: HashMap::new(),
            shared_prompts: HashMap::new(),
        }
    }

    /// The tool of the server's own name.
    pub fn tool(&self, name: &str) -> Option<&Arc<Item>> {
        find(&self.tools, name)
    }

    /// The prompt of the server's own name.
    pub fn prompt(&self, name: &str) -> Option<&Arc<Item>> {
        find(&self.prompts, name)
    }

    /// Whether the server says that it has resources.
    pub fn offers_resources(&self) -> bool {
        self.capabilities.members().is_some_and(|capabilities| Offer::of(&capabilities).resources)
    }

    /// What policy needs to know of this server.
    pub fn shapes(&self) -> Vec<policy::Shape> {
        let items = self.tools.iter().chain(&self.prompts);
        std::iter::once(policy::Shape::Server(self.name.clone()))
            .chain(items.filter_map(|item| item.shape.clone()))
            .collect()
    }
}

fn find<'a>(items: &'a [Arc<Item>], name: &str) -> Option<&'a Arc<Item>> {
    let at = items.binary_search_by(|item| (*item.name).cmp(name)).ok()?;
    items.get(at)
}
