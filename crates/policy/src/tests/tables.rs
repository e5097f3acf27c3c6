//! Tables of examples.

use super::*;
use crate::PolicyTable;

#[test]
fn a_table_tells_which_rows_are_wrong() {
    let revision = compile(
        r#"
        @id("small") permit (principal, action == Action::"s/t", resource) when { principal.tenant == "acme" && context.args has amount && context.args.amount < 10 };
        @id("ask") @obligation("boss") forbid (principal, action == Action::"s/t", resource) when { context.args has amount && context.args.amount > 5 } unless { context.granted.contains("boss") };
        @id("late") forbid (principal, action == Action::"s/t", resource) when { context.time.hour >= 22 };
        "#,
        &[tool("s", "t", Impact::Read, RICH), tool("s", "u", Impact::Read, RICH)],
    );
    let table: PolicyTable = serde_json::from_value(serde_json::json!({
        "defaults": { "principal": { "user": "alice", "tenant": "acme" } },
        "rows": [
            {"name": "small is fine", "action": "s/t", "arguments": {"amount": 1}, "expect": "permit", "rules": ["small"]},
            {"name": "more asks", "action": "s/t", "arguments": {"amount": 6}, "expect": "deny", "rules": ["ask"], "obligations": ["boss"]},
            {"name": "and goes", "action": "s/t", "arguments": {"amount": 6}, "environment": {"granted": ["boss"]}, "expect": "permit"},
            {"name": "not at night", "action": "s/t", "arguments": {"amount": 1}, "environment": {"now": "2026-11-20T22:30:00+01:00"}, "expect": "deny", "rules": ["late"]},
            {"name": "not others", "principal": {"tenant": "x"}, "action": "s/t", "arguments": {"amount": 1}, "expect": "deny", "rules": []},
            {"name": "shown", "action": "s/t", "expect": "listed"},
            {"name": "not shown", "action": "s/u", "expect": "hidden"},
            {"name": "wrong effect", "action": "s/t", "arguments": {"amount": 1}, "expect": "deny"},
            {"name": "wrong rules", "action": "s/t", "arguments": {"amount": 1}, "expect": "permit", "rules": ["x"]},
            {"name": "wrong list", "action": "s/u", "expect": "listed"},
            {"name": "unknown", "action": "s/x", "expect": "deny"},
            {"name": "no time", "action": "s/t", "environment": {"now": "noon"}, "expect": "deny"},
        ]
    }))
    .unwrap();
    let wrong: Vec<String> =
        table.run(&revision).into_iter().filter(|row| row.failure.is_some()).map(|row| row.name).collect();
    assert_eq!(wrong, ["wrong effect", "wrong rules", "wrong list", "unknown", "no time"]);
}

#[test]
fn a_misspelt_field_of_a_table_is_refused() {
    let text = r#"{"rows":[{"name":"x","action":"s/t","expect":"deny","argumnets":{}}]}"#;
    assert!(serde_json::from_str::<PolicyTable>(text).is_err());
}
