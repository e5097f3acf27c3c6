//! The calls that show what the gateway does, each with its id on record.

use super::caller::Caller;
use super::people::{ASSISTANT, NIGHTLY};
use super::visitor::Visitor;
use super::{Demo, DemoError, real};
use audit::query::{Filter, query};
use ledger::Leaf;
use model::{Clock as _, SystemClock, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// One step and what came of it.
#[derive(Debug)]
pub(crate) struct Step {
    /// Who asked, through what, for what.
    pub(crate) what: String,
    /// Whether it came out as it should.
    pub(crate) passed: bool,
    /// What came of it.
    pub(crate) outcome: &'static str,
    /// What the caller read.
    pub(crate) text: String,
    /// The call's id on record, if it was a call.
    pub(crate) record: Option<String>,
}

struct Plan {
    user: &'static str,
    /// The client that the person talks to, or the agent that acts for them.
    through: &'static str,
    tool: &'static str,
    arguments: Value,
    allowed: bool,
    outcome: &'static str,
}

const fn plan(
    user: &'static str,
    through: &'static str,
    tool: &'static str,
    arguments: Value,
    allowed: bool,
    outcome: &'static str,
) -> Plan {
    Plan { user, through, tool, arguments, allowed, outcome }
}

/// One call to each real server, and two that policy stops.
fn plans_of_real_servers(folder: &Path) -> Vec<Plan> {
    let ana = |tool, arguments, allowed, outcome| plan("ana", ASSISTANT, tool, arguments, allowed, outcome);
    let file = |name: &str| json!({"path": real::files(folder).join(name)});
    let repository = json!({"repo_path": real::repository(folder)});
    vec![
        ana("everything__echo", json!({"message": "hello"}), true, "allowed"),
        ana("filesystem__read_text_file", file("hello.txt"), true, "allowed"),
        ana("filesystem__read_text_file", file("private/diary.txt"), false, "denied by parameter"),
        ana("memory__search_nodes", json!({"query": "portunus"}), true, "allowed"),
        ana("git__git_status", repository.clone(), true, "allowed"),
        ana("git__git_reset", repository, false, "denied by tool"),
        ana("time__get_current_time", json!({"timezone": "Europe/Berlin"}), true, "allowed"),
    ]
}

fn plans() -> Vec<Plan> {
    let refund = |amount: u32| json!({"order": 7, "money": {"amount": amount, "currency": "EUR"}});
    vec![
        plan("ana", ASSISTANT, "notes__search_notes", json!({"query": "launch"}), true, "allowed"),
        plan("ana", ASSISTANT, "payments__refund", refund(20), false, "denied by tool"),
        plan("cho", ASSISTANT, "payments__refund", refund(200), true, "allowed"),
        plan("cho", ASSISTANT, "payments__refund", refund(9999), false, "denied by parameter"),
        plan(
            "ana",
            NIGHTLY,
            "tickets__open_ticket",
            json!({"title": "x", "priority": "low"}),
            false,
            "denied by agent",
        ),
        plan(
            "ana",
            ASSISTANT,
            "notes__delete_note",
            json!({"title": "launch"}),
            false,
            "denied until approved",
        ),
        plan("dee", ASSISTANT, "weather__forecast", json!({"city": "Rome"}), false, "server misbehaved"),
    ]
}

/// Makes every call through the gateway, as a client would.
pub(super) async fn run(demo: &Demo) -> Result<Vec<Step>, DemoError> {
    let (tokens, signed_in) = sign_in(demo).await?;
    let mut steps = vec![signed_in, lists(demo, &tokens).await?];
    let mut plans = plans();
    if demo.real {
        plans.extend(plans_of_real_servers(&demo.folder));
    }
    for plan in plans {
        let since = SystemClock::default().now();
        let answer = tokens.caller(demo, plan.user, plan.through)?.call(plan.tool, &plan.arguments).await?;
        let passed = answer.is_allowed() == plan.allowed;
        let what = format!("{} via {} → {}", plan.user, plan.through, plan.tool.replace("__", "."));
        let outcome = if passed { plan.outcome } else { "NOT AS EXPECTED" };
        steps.push(Step {
            what,
            passed,
            outcome,
            text: answer.text(),
            record: on_record(demo, &plan, since).await,
        });
    }
    Ok(steps)
}

/// What the client and the agent hold, by the person they are for.
#[derive(Default)]
struct Tokens(BTreeMap<(&'static str, &'static str), String>);

impl Tokens {
    fn caller(&self, demo: &Demo, user: &'static str, through: &'static str) -> Result<Caller, DemoError> {
        let token = self.0.get(&(user, through)).cloned();
        let token = token.ok_or_else(|| DemoError::Call(format!("nobody signed {user} in for {through}")))?;
        Caller::new(&demo.url(), token)
    }
}

/// Everybody who calls signs in, in a browser of their own, and the agent gets a token to act for one of them.
async fn sign_in(demo: &Demo) -> Result<(Tokens, Step), DemoError> {
    let mut tokens = Tokens::default();
    for user in ["ana", "cho", "dee"] {
        let mut visitor = Visitor::new(demo.gateway.public_url())?;
        let token = visitor.sign_in(ASSISTANT, (user, demo.password()), &demo.url()).await?;
        if user == "ana" {
            let (agent, secret) = &demo.staff.agent;
            let acting = visitor.on_behalf((agent, secret), &token, &demo.url()).await?;
            tokens.0.insert((user, NIGHTLY), acting);
        }
        tokens.0.insert((user, ASSISTANT), token);
    }
    let text = format!("each agreed to {ASSISTANT}; {NIGHTLY} took a token to act for ana");
    let what = "ana, cho, dee → sign in".to_owned();
    Ok((tokens, Step { what, passed: true, outcome: "signed in", text, record: None }))
}

/// Each person sees what that person could use, and nothing else.
async fn lists(demo: &Demo, tokens: &Tokens) -> Result<Step, DemoError> {
    let mut seen = Vec::new();
    for user in ["ana", "cho"] {
        seen.push(tokens.caller(demo, user, ASSISTANT)?.tools().await?);
    }
    let has =
        |who: usize, tool: &str| seen.get(who).is_some_and(|tools| tools.iter().any(|name| name == tool));
    let passed = has(0, "tickets__open_ticket")
        && !has(0, "payments__refund")
        && has(1, "payments__refund")
        && !has(1, "tickets__open_ticket");
    let counts: Vec<String> = seen.iter().map(|tools| tools.len().to_string()).collect();
    let text = format!(
        "of all tools ana sees {}, cho sees {}",
        counts.first().map_or("?", |c| c),
        counts.get(1).map_or("?", |c| c)
    );
    let outcome = if passed { "filtered list" } else { "NOT AS EXPECTED" };
    Ok(Step { what: "ana, cho → tools/list".to_owned(), passed, outcome, text, record: None })
}

/// The id under which the call is on record. A denial may follow its answer by a moment.
async fn on_record(demo: &Demo, plan: &Plan, since: Timestamp) -> Option<String> {
    let filter =
        Filter { user: demo.staff.people.get(plan.user).cloned(), from: Some(since), ..Filter::default() };
    let record = demo.folder.join("data").join(crate::RECORD);
    for _ in 0..LOOKS {
        let found = query(&record, &filter, 1).ok()?.found;
        let id = found.first().and_then(|found| match found.leaf().entry().ok()?.leaf {
            Leaf::Intent(intent) => Some(intent.call.id),
            Leaf::Denial(denial) => Some(denial.call.id),
            _ => None,
        });
        if let Some(id) = id {
            return Some(id.to_string());
        }
        tokio::time::sleep(LOOK).await;
    }
    None
}

/// How often the record is looked at before a call counts as missing from it.
const LOOKS: u32 = 40;
const LOOK: std::time::Duration = std::time::Duration::from_millis(25);
