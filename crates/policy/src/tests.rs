//! The room as its callers see it.

mod bench;
mod decisions;
mod equivalence;
mod explaining;
mod faults;
mod listing;
mod reload;
mod shipped;
mod tables;
mod traps;

use crate::{
    Action, ActionName, Decision, Denial, DenyReason, Environment, Plan, PolicyFile, PromptShape, Revision,
    Settings, Shape, Subject, ToolShape, Zone,
};
use model::{Impact, Principal, ServerName, Timestamp};
use serde_json::value::RawValue;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

pub(crate) fn file(text: &str) -> Vec<PolicyFile> {
    vec![PolicyFile { name: "p.cedar".to_owned(), text: text.to_owned() }]
}

pub(crate) fn server(name: &str) -> ServerName {
    ServerName::new(name).unwrap()
}

pub(crate) fn tool(server_name: &str, name: &str, impact: Impact, schema: &str) -> Shape {
    Shape::Tool(Arc::new(ToolShape {
        server: server(server_name),
        name: name.to_owned(),
        input_schema: Some(RawValue::from_string(schema.to_owned()).unwrap()),
        impact,
    }))
}

pub(crate) fn prompt(server_name: &str, name: &str) -> Shape {
    Shape::Prompt(Arc::new(PromptShape {
        server: server(server_name),
        name: name.to_owned(),
        arguments: vec![("topic".to_owned(), true), ("tone".to_owned(), false)],
        impact: Impact::Read,
    }))
}

pub(crate) fn settings() -> Settings {
    Settings { zone: Zone::parse("Europe/Berlin").unwrap() }
}

pub(crate) fn compile(text: &str, shapes: &[Shape]) -> Revision {
    Revision::compile(&file(text), shapes, &settings())
        .unwrap_or_else(|faults| panic!("{}", faults.iter().map(|f| format!("{f}\n")).collect::<String>()))
}

pub(crate) fn alice() -> Principal {
    Principal {
        user: "alice".into(),
        client: "claude".into(),
        agent: None,
        actors: Vec::new(),
        tenant: "acme".into(),
        roles: vec!["engineer".into()],
        groups: vec!["staff".into()],
        scopes: Vec::new(),
        issuer: "https://id.example".into(),
        registered: None,
    }
}

/// Friday 2026-11-20 09:30 UTC, 10:30 in Berlin.
pub(crate) const FRIDAY: Timestamp = Timestamp(1_795_167_000_000);

pub(crate) fn moment() -> Environment<'static> {
    Environment {
        now: FRIDAY,
        ip: IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)),
        plan: Plan { strategy: "header", account: Some("bot"), audience: None },
        conversation_source: "session",
        granted: &[],
    }
}

pub(crate) fn find(revision: &Revision, id: &str) -> Action {
    let (name, tool) = id.split_once('/').unwrap();
    revision.action(&ActionName::Tool(&server(name), tool)).unwrap()
}

/// Judges one call of alice.
pub(crate) fn judge(revision: &Revision, id: &str, arguments: &str) -> Decision {
    judge_as(revision, &alice(), id, arguments, &moment())
}

pub(crate) fn judge_as(
    revision: &Revision,
    principal: &Principal,
    id: &str,
    arguments: &str,
    environment: &Environment<'_>,
) -> Decision {
    revision.decide(&Subject::of(principal), &find(revision, id), arguments.as_bytes(), environment)
}

/// `permit: a b`, `forbidden: a [obligation]`, `no permit`, ... for short expectations.
pub(crate) fn short(decision: &Decision) -> String {
    match decision {
        Decision::Permit { rules } => format!("permit: {}", rules.join(" ")),
        Decision::Deny(Denial { rules, reason, obligations }) => {
            let obligations =
                if obligations.is_empty() { String::new() } else { format!(" [{}]", obligations.join(" ")) };
            let rules = rules.join(" ");
            match reason {
                DenyReason::Forbidden => format!("forbidden: {rules}{obligations}"),
                DenyReason::NoPermit => "no permit".to_owned(),
                DenyReason::Error(_) => format!("error: {rules}"),
                DenyReason::Unrepresentable { pointer, .. } => format!("unrepresentable: {pointer}"),
                DenyReason::Withheld => "withheld".to_owned(),
            }
        }
    }
}

/// A schema with an argument of every kind.
pub(crate) const RICH: &str = r##"{
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "amount": {"type": "integer"},
        "price": {"type": "number"},
        "dry_run": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "note": {"type": ["string", "null"]},
        "x-y": {"type": "string"},
        "options": {"type": "object", "properties": {
            "nested": {"type": "object", "properties": {
                "priority": {"type": "integer"}, "tag": {"type": "string"}
            }},
            "mode": {"enum": ["fast", "safe"]}
        }},
        "tree": {"$ref": "#"},
        "anything": {}
    }
}"##;
