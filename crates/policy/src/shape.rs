//! What policy needs to know about a tool, a prompt or a server's resources.

use model::{Impact, ServerName};
use serde_json::value::RawValue;
use std::sync::Arc;

/// A tool as its server lists it, with the operator's impact class.
#[derive(Clone, Debug)]
pub struct ToolShape {
    /// The server that lists it.
    pub server: ServerName,
    /// The upstream's own name: any text.
    pub name: String,
    /// The definition's `inputSchema` as listed. `None` if the definition has none: no argument is typed.
    pub input_schema: Option<Box<RawValue>>,
    /// The operator's class, never the server's hint.
    pub impact: Impact,
}

/// A prompt as its server lists it. Prompt arguments are always strings (MCP, prompts).
#[derive(Clone, Debug)]
pub struct PromptShape {
    /// The server that lists it.
    pub server: ServerName,
    /// The upstream's own name: any text.
    pub name: String,
    /// Argument name, and whether the definition requires it.
    pub arguments: Vec<(String, bool)>,
    /// The operator's class.
    pub impact: Impact,
}

/// Something a policy can speak about.
#[derive(Clone, Debug)]
pub enum Shape {
    /// `Action::"<server>/<tool>"`.
    Tool(Arc<ToolShape>),
    /// `Action::"prompt:<server>/<prompt>"`.
    Prompt(Arc<PromptShape>),
    /// A configured server: `Action::"resource:<server>"` for reading and subscribing to its resources,
    /// `Action::"discover:<server>"` for asking it what it has, and `Action::"ask:<server>/<question>"` for what it asks.
    Server(ServerName),
}

impl Shape {
    /// The server this belongs to.
    pub fn server(&self) -> &ServerName {
        match self {
            Self::Tool(tool) => &tool.server,
            Self::Prompt(prompt) => &prompt.server,
            Self::Server(server) => server,
        }
    }
}
