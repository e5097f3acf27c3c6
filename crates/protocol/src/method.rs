//! The one table of methods: everything MCP has, in both eras, and what each needs from the house.
//!
//! A method without a row does not compile. The printed matrix is compared with `method/matrix.txt`, so a
//! change of coverage is a diff.

mod table;

use crate::version::Era;

/// A method or notification of MCP that we carry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Method {
    /// Opens a session.
    Initialize,
    /// Is the other side there.
    Ping,
    /// What the server is and can do.
    ServerDiscover,
    /// Lists tools.
    ToolsList,
    /// Calls a tool.
    ToolsCall,
    /// Lists prompts.
    PromptsList,
    /// Fills in a prompt.
    PromptsGet,
    /// Lists resources.
    ResourcesList,
    /// Lists templates of resources.
    ResourcesTemplatesList,
    /// Reads a resource.
    ResourcesRead,
    /// Wants to be told of a resource's changes.
    ResourcesSubscribe,
    /// No longer does.
    ResourcesUnsubscribe,
    /// Completes an argument of a prompt or template.
    CompletionComplete,
    /// Sets the level of log notifications.
    LoggingSetLevel,
    /// Opens a stream of change notifications.
    SubscriptionsListen,
    /// Asks the client's model.
    SamplingCreateMessage,
    /// Asks the client's user.
    ElicitationCreate,
    /// Asks for the client's roots.
    RootsList,
    /// The session is open.
    Initialized,
    /// A request is withdrawn.
    Cancelled,
    /// A request gets on.
    Progress,
    /// The client's roots changed.
    RootsListChanged,
    /// A log line.
    Message,
    /// The tools changed.
    ToolsListChanged,
    /// The prompts changed.
    PromptsListChanged,
    /// The resources changed.
    ResourcesListChanged,
    /// A resource changed.
    ResourcesUpdated,
    /// The stream is open, with what it will carry.
    SubscriptionsAcknowledged,
    /// A URL elicitation is done.
    ElicitationComplete,
}

/// In which eras a method exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Eras {
    /// Only 2026-07-28.
    Stateless,
    /// Only 2025-11-25 and earlier.
    Session,
    /// Both.
    Both,
}

/// Who sends it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// The client.
    ToServer,
    /// The server.
    ToClient,
    /// Either.
    Both,
}

/// How it is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// By the gateway itself.
    Local,
    /// By one server.
    Target,
    /// From many servers, one decision per item.
    FanOut,
    /// By a stream that stays open.
    Stream,
    /// By the client: a server asks.
    Ask,
    /// Not at all.
    Notification,
}

/// What its params name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Names {
    /// A tool, by `name`.
    Tool,
    /// A prompt, by `name`.
    Prompt,
    /// A resource, by `uri`.
    ResourceUri,
    /// A prompt or template, by `ref`.
    Completion,
    /// Nothing that a policy could know.
    Nothing,
}

/// Which way guard reads it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inspect {
    /// Not at all.
    Nothing,
    /// What goes out; the answer is empty.
    Arguments,
    /// What comes back.
    Answer,
    /// What goes out and what comes back.
    Both,
}

/// How it is recorded (design §8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Record {
    /// Not at all.
    Nothing,
    /// As a plain read.
    Read,
    /// As the tool's impact class says.
    ByImpact,
}

/// What is known about a method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// On the wire.
    pub name: &'static str,
    /// Where it exists.
    pub eras: Eras,
    /// Who sends it.
    pub direction: Direction,
    /// How it is answered.
    pub shape: Shape,
    /// What it names.
    pub names: Names,
    /// Whether policy must permit it (a list: each of its items).
    pub permit: bool,
    /// Which way it is inspected.
    pub inspect: Inspect,
    /// How it is recorded.
    pub record: Record,
    /// The member of a list's result that holds the items.
    pub items: Option<&'static str>,
    /// Whether its result carries `ttlMs` and `cacheScope` (2026-07-28, server/utilities/caching).
    pub cacheable: bool,
    /// Whether it may be answered with `input_required` (2026-07-28, basic/patterns/mrtr).
    pub may_ask: bool,
}

impl Method {
    /// The method of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| method.row().name == name)
    }

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether it exists in this era.
    pub fn in_era(self, era: Era) -> bool {
        match self.row().eras {
            Eras::Both => true,
            Eras::Stateless => era == Era::Stateless,
            Eras::Session => era == Era::Session,
        }
    }
}

/// The whole table as text, one row per line.
pub fn matrix() -> String {
    let mut out = String::from(
        "method | eras | sent by | shape | names | permit | inspect | record | items | cacheable | may ask\n",
    );
    let yes = |flag: bool| if flag { "yes" } else { "-" };
    for method in Method::ALL {
        let row = method.row();
        let sender = match row.direction {
            Direction::ToServer => "client",
            Direction::ToClient => "server",
            Direction::Both => "both",
        };
        out.push_str(&format!(
            "{} | {:?} | {sender} | {:?} | {:?} | {} | {:?} | {:?} | {} | {} | {}\n",
            row.name,
            row.eras,
            row.shape,
            row.names,
            yes(row.permit),
            row.inspect,
            row.record,
            row.items.unwrap_or("-"),
            yes(row.cacheable),
            yes(row.may_ask),
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_is_as_committed() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/method/matrix.txt");
        let committed = std::fs::read_to_string(file).unwrap_or_default();
        assert_eq!(matrix(), committed, "if this is meant, write the printed matrix to {file}");
    }

    #[test]
    fn names_are_unique_and_survive_their_text() {
        for (index, method) in Method::ALL.iter().enumerate() {
            assert_eq!(Method::parse(method.name()), Some(*method));
            assert_eq!(*method as usize, index, "ALL is in the order of the enum");
        }
        assert_eq!(Method::parse("tools/Call"), None);
    }

    #[test]
    fn whatever_reaches_a_server_needs_a_permit() {
        for method in Method::ALL {
            let row = method.row();
            let reaches = matches!(row.shape, Shape::Target | Shape::FanOut | Shape::Stream);
            assert_eq!(row.permit, reaches, "{}", row.name);
            assert_eq!(row.shape == Shape::FanOut, row.items.is_some(), "{}", row.name);
            assert!(!reaches || row.record != Record::Nothing, "{}", row.name);
        }
    }
}
