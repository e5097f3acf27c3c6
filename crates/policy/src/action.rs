//! What can be asked for, by name, and the handle a name resolves to.

use crate::condition::Outcomes;
use crate::rule::Rule;
use crate::schema::Record;
use crate::standing::Shared;
use cedar_policy_core::ast;
use model::{Impact, ServerName};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

/// The name of something a policy permits or forbids. The texts cannot collide: a tool's starts with a server
/// name and `/`, and a server name holds no `:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionName<'a> {
    /// `tools/call`: `Action::"<server>/<tool>"`.
    Tool(&'a ServerName, &'a str),
    /// `prompts/get`, and completion of its arguments: `Action::"prompt:<server>/<prompt>"`.
    Prompt(&'a ServerName, &'a str),
    /// `resources/read`, `subscribe`, `unsubscribe`, and completion of a template: `Action::"resource:<server>"`.
    /// The arguments are `{"uri": "..."}`.
    Resource(&'a ServerName),
    /// Listing what a server has, and its `initialize` or `server/discover`: `Action::"discover:<server>"`.
    /// The arguments are `{}`.
    Discover(&'a ServerName),
    /// What a server asks its caller in the middle of a call: `Action::"ask:<server>/<question>"`. The arguments are
    /// `{}`.
    Ask(&'a ServerName, Question),
}

/// What a server may ask its caller (MCP, client features).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// `elicitation/create`: to fill in a form, to visit a page.
    Elicitation,
    /// `sampling/createMessage`: to let the caller's own model answer.
    Sampling,
    /// `roots/list`: which folders it works in.
    Roots,
}

impl Question {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Elicitation, Self::Sampling, Self::Roots];

    /// The client capability that announces it, which is its name in policies too.
    pub const fn capability(self) -> &'static str {
        match self {
            Self::Elicitation => "elicitation",
            Self::Sampling => "sampling",
            Self::Roots => "roots",
        }
    }

    const fn method(self) -> &'static str {
        match self {
            Self::Elicitation => "elicitation/create",
            Self::Sampling => "sampling/createMessage",
            Self::Roots => "roots/list",
        }
    }
}

impl ActionName<'_> {
    /// The id of the Cedar action entity.
    pub fn id(&self) -> String {
        match self {
            Self::Tool(server, tool) => format!("{server}/{tool}"),
            Self::Prompt(server, prompt) => format!("prompt:{server}/{prompt}"),
            Self::Resource(server) => format!("resource:{server}"),
            Self::Discover(server) => format!("discover:{server}"),
            Self::Ask(server, question) => format!("ask:{server}/{}", question.capability()),
        }
    }

    /// The server it belongs to.
    pub fn server(&self) -> &ServerName {
        match self {
            Self::Tool(server, _)
            | Self::Prompt(server, _)
            | Self::Resource(server)
            | Self::Discover(server)
            | Self::Ask(server, _) => server,
        }
    }

    /// The groups the action is in: its method, its server if it does something there, its impact class if it has one.
    pub(crate) fn groups(&self, impact: Option<Impact>) -> Vec<String> {
        let method = match self {
            Self::Tool(..) => "tools/call",
            Self::Prompt(..) => "prompts/get",
            Self::Resource(_) => "resources/read",
            Self::Discover(_) => "server/discover",
            Self::Ask(_, question) => question.method(),
        };
        let mut groups = vec![format!("method:{method}")];
        match self {
            Self::Tool(server, _) | Self::Prompt(server, _) | Self::Resource(server) => {
                groups.push(format!("server:{server}"));
            }
            // A policy for the server's tools may read arguments that these do not have.
            Self::Discover(_) => {}
            Self::Ask(server, _) => groups.push(format!("ask:{server}")),
        }
        groups.extend(impact.map(|impact| format!("impact:{}", impact.as_str())));
        groups
    }
}

/// An action of one revision, with the policies that can reach it. Looked up once per call
/// ([`crate::Revision::action`]); cheap to clone and to keep. A kept one goes on deciding by its own revision.
#[derive(Clone)]
pub struct Action(pub(crate) Arc<Slice>);

impl Action {
    /// The id of the Cedar action entity.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Whether nobody may call or see it, because a live policy does not validate against it.
    pub fn is_withheld(&self) -> bool {
        self.0.withheld
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Action").field(&self.0.id).finish()
    }
}

/// One action with the rules whose action and server scope reach it.
#[derive(Debug)]
pub(crate) struct Slice {
    /// Tells this slice from every other one of the process.
    pub(crate) serial: u64,
    /// The serial of all of its server's slices, and which of them it is.
    pub(crate) place: (u64, usize),
    pub(crate) id: Box<str>,
    pub(crate) groups: Vec<String>,
    pub(crate) arguments: Arc<Record>,
    /// In the order of files and texts.
    pub(crate) rules: Vec<Arc<Rule>>,
    pub(crate) withheld: bool,
    /// What was worked out for kinds of principals.
    pub(crate) shared: Shared,
    /// The set of rules all this belongs to: atoms are numbered within it.
    pub(crate) rules_serial: u64,
    pub(crate) uid: Arc<ast::EntityUID>,
    pub(crate) server_uid: Arc<ast::EntityUID>,
    /// The action and the server as entities.
    pub(crate) entities: [Arc<ast::Entity>; 2],
}

impl Slice {
    /// Whether `subject`, whose atoms come out as `judge` says, could be permitted.
    pub(crate) fn listable(&self, judge: &mut dyn FnMut(&crate::condition::Atom) -> Outcomes) -> bool {
        if self.withheld {
            return false;
        }
        let mut permitted = false;
        for rule in &self.rules {
            let outcomes = rule.condition.outcomes(judge, &self.arguments);
            if rule.permit {
                permitted |= outcomes.can(Outcomes::TRUE);
            } else if !outcomes.can(Outcomes::FALSE) {
                return false;
            }
            if outcomes == Outcomes::ERROR {
                return false;
            }
        }
        permitted
    }
}

/// A number no other slice or set of rules of this process has. It only identifies; no decision depends on it.
pub(crate) fn serial() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The entity types of the schema.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    User,
    Action,
    Server,
}

/// `<kind>::"<id>"`.
pub(crate) fn uid(kind: Kind, id: &str) -> ast::EntityUID {
    let ty = match kind {
        Kind::User => &KINDS.0,
        Kind::Action => &KINDS.1,
        Kind::Server => &KINDS.2,
    };
    ast::EntityUID::from_components(ty.clone(), ast::Eid::new(id), None)
}

static KINDS: LazyLock<(ast::EntityType, ast::EntityType, ast::EntityType)> = LazyLock::new(|| {
    #[allow(clippy::expect_used, reason = "three identifiers that every test makes")]
    let ty = |name: &str| name.parse::<ast::EntityType>().expect("an identifier");
    (ty("User"), ty("Action"), ty("Server"))
});
