//! Tables of examples beside the policies: what `portunus policy test` runs. Reading YAML is the caller's.

use crate::{ActionName, Decision, Environment, Plan, Question, Revision, Subject};
use model::{Principal, ServerName, Timestamp};
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// One `tests/*.yaml` file. A row's own fields win over `defaults`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyTable {
    /// What rows that say nothing mean.
    #[serde(default)]
    pub defaults: Defaults,
    /// The examples.
    pub rows: Vec<Row>,
}

/// What rows that say nothing mean.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// The principal of such rows.
    pub principal: Option<TablePrincipal>,
    /// The environment of such rows.
    pub environment: Option<TableEnvironment>,
}

/// One example.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// A sentence.
    pub name: String,
    /// Who calls.
    pub principal: Option<TablePrincipal>,
    /// The action's id: `<server>/<tool>`, `prompt:<server>/<prompt>`, `resource:<server>`,
    /// `discover:<server>` or `ask:<server>/<question>`.
    pub action: String,
    /// The arguments; `{}` if left out.
    pub arguments: Option<serde_json::Value>,
    /// The moment.
    pub environment: Option<TableEnvironment>,
    /// What should come out.
    pub expect: Expect,
    /// If given: exactly these rules decide.
    pub rules: Option<Vec<String>>,
    /// If given: exactly these obligations are open.
    pub obligations: Option<Vec<String>>,
}

/// The principal of a row; what is left out is empty, and a tenant is `default`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TablePrincipal {
    /// See [`Principal`]; the same for what follows.
    pub user: String,
    /// `client`.
    pub client: String,
    /// `agent`.
    pub agent: Option<String>,
    /// `agent_trust`: the tier of a registered agent.
    pub agent_trust: Option<String>,
    /// `tenant`.
    pub tenant: Option<String>,
    /// `roles`.
    pub roles: Vec<String>,
    /// `groups`.
    pub groups: Vec<String>,
    /// `scopes`.
    pub scopes: Vec<String>,
    /// `issuer`.
    pub issuer: String,
}

/// The moment of a row. What is left out is: 1970-01-01T00:00:00Z, 127.0.0.1, strategy `none`, source `session`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TableEnvironment {
    /// RFC 3339.
    pub now: Option<String>,
    /// The peer's address.
    pub ip: Option<IpAddr>,
    /// The broker's strategy.
    pub strategy: Option<String>,
    /// The downstream account.
    pub account: Option<String>,
    /// Whom the tokens of ours are for.
    pub audience: Option<String>,
    /// How the conversation was told apart.
    pub conversation: Option<String>,
    /// Obligations already met.
    pub granted: Vec<String>,
}

/// What a row expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// The call is permitted.
    Permit,
    /// The call is denied.
    Deny,
    /// The action is listed.
    Listed,
    /// The action is hidden.
    Hidden,
}

/// How a row came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowOutcome {
    /// The row's name.
    pub name: String,
    /// `None` if it came out as expected, else what is different.
    pub failure: Option<String>,
    /// The decision, if the row asked for one.
    pub decision: Option<Decision>,
}

impl PolicyTable {
    /// Runs every row against `revision`.
    pub fn run(&self, revision: &Revision) -> Vec<RowOutcome> {
        self.rows
            .iter()
            .map(|row| {
                let (failure, decision) = match self.judge(row, revision) {
                    Ok((failure, decision)) => (failure, decision),
                    Err(fault) => (Some(fault), None),
                };
                RowOutcome { name: row.name.clone(), failure, decision }
            })
            .collect()
    }

    fn judge(&self, row: &Row, revision: &Revision) -> Result<(Option<String>, Option<Decision>), String> {
        let principal = row.principal.clone().or_else(|| self.defaults.principal.clone()).unwrap_or_default();
        let moment =
            row.environment.clone().or_else(|| self.defaults.environment.clone()).unwrap_or_default();
        let subject = Subject::of(&principal.principal());
        let action = action(&row.action, revision)?;
        if let Expect::Listed | Expect::Hidden = row.expect {
            let listed = revision.listable(&subject, &action);
            let wrong = listed != (row.expect == Expect::Listed);
            return Ok((wrong.then(|| format!("it is {}", if listed { "listed" } else { "hidden" })), None));
        }
        let arguments = match &row.arguments {
            None => "{}".to_owned(),
            Some(arguments) => arguments.to_string(),
        };
        let granted: Vec<Arc<str>> = moment.granted.iter().map(|name| name.as_str().into()).collect();
        let decision =
            revision.decide(&subject, &action, arguments.as_bytes(), &moment.environment(&granted)?);
        Ok((row.compare(&decision), Some(decision)))
    }
}

impl Row {
    /// What is different, if anything is.
    fn compare(&self, decision: &Decision) -> Option<String> {
        let nothing = Vec::new();
        let (rules, obligations) = match decision {
            Decision::Permit { rules } => (rules, &nothing),
            Decision::Deny(denial) => (&denial.rules, &denial.obligations),
        };
        if decision.is_permit() != (self.expect == Expect::Permit) {
            return Some(match decision {
                Decision::Permit { .. } => format!("it is permitted by {}", list(rules)),
                Decision::Deny(denial) => format!("it is denied: {:?}, by {}", denial.reason, list(rules)),
            });
        }
        for (what, expected, found) in
            [("rules", &self.rules, rules), ("obligations", &self.obligations, obligations)]
        {
            if let Some(expected) = expected {
                let mut expected: Vec<&str> = expected.iter().map(String::as_str).collect();
                expected.sort_unstable();
                if expected.iter().copied().ne(found.iter().map(AsRef::as_ref)) {
                    return Some(format!("the {what} are {}", list(found)));
                }
            }
        }
        None
    }
}

fn list(ids: &[Arc<str>]) -> String {
    if ids.is_empty() { "none".to_owned() } else { ids.join(", ") }
}

/// The action an id names.
fn action(id: &str, revision: &Revision) -> Result<crate::Action, String> {
    let unknown = || format!("no action {id:?} is known");
    let server = |name: &str| ServerName::new(name).map_err(|error| error.to_string());
    let found = match id.split_once(':') {
        Some(("resource", name)) => revision.action(&ActionName::Resource(&server(name)?)),
        Some(("discover", name)) => revision.action(&ActionName::Discover(&server(name)?)),
        Some(("prompt", rest)) => {
            let (name, prompt) = rest.split_once('/').ok_or_else(unknown)?;
            revision.action(&ActionName::Prompt(&server(name)?, prompt))
        }
        Some(("ask", rest)) => {
            let (name, asked) = rest.split_once('/').ok_or_else(unknown)?;
            let question = Question::ALL.into_iter().find(|question| question.capability() == asked);
            revision.action(&ActionName::Ask(&server(name)?, question.ok_or_else(unknown)?))
        }
        _ => {
            let (name, tool) = id.split_once('/').ok_or_else(unknown)?;
            revision.action(&ActionName::Tool(&server(name)?, tool))
        }
    };
    found.ok_or_else(unknown)
}

impl TablePrincipal {
    /// The principal it describes.
    pub fn principal(&self) -> Principal {
        let text = |text: &str| -> Arc<str> { text.into() };
        let set = |items: &[String]| {
            let mut items: Vec<Arc<str>> = items.iter().map(|item| text(item)).collect();
            items.sort();
            items.dedup();
            items
        };
        Principal {
            user: text(&self.user),
            client: text(&self.client),
            agent: self.agent.as_deref().map(text),
            actors: Vec::new(),
            tenant: text(self.tenant.as_deref().unwrap_or("default")),
            roles: set(&self.roles),
            groups: set(&self.groups),
            scopes: set(&self.scopes),
            issuer: text(&self.issuer),
            registered: self
                .agent_trust
                .as_deref()
                .map(|trust| Arc::new(model::Registered { trust: text(trust), servers: None })),
        }
    }
}

impl TableEnvironment {
    /// The environment it describes; `granted` holds [`Self::granted`].
    ///
    /// # Errors
    /// `now` is no RFC 3339 time.
    pub fn environment<'a>(&'a self, granted: &'a [Arc<str>]) -> Result<Environment<'a>, String> {
        let now = match &self.now {
            None => Timestamp(0),
            Some(text) => {
                let moment: jiff::Timestamp =
                    text.parse().map_err(|_| format!("{text:?} is no RFC 3339 time"))?;
                Timestamp(moment.as_millisecond())
            }
        };
        Ok(Environment {
            now,
            ip: self.ip.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            plan: Plan {
                strategy: self.strategy.as_deref().unwrap_or("none"),
                account: self.account.as_deref(),
                audience: self.audience.as_deref(),
            },
            conversation_source: self.conversation.as_deref().unwrap_or("session"),
            granted,
        })
    }
}
