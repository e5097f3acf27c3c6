//! Only what is read is built.

use super::*;
use crate::condition::Reads;
use crate::schema::arguments_of;
use crate::tests::{RICH, alice, moment};

fn build(reads: &[&str], arguments: &str) -> Result<String, Unrepresentable> {
    let types = arguments_of(&serde_json::from_str(RICH).unwrap()).record;
    let mut tree = Reads::default();
    for path in reads {
        let condition: cedar_policy::Policy =
            format!("permit (principal, action, resource) when {{ {path} }};").parse().unwrap();
        for clause in condition.to_pst().unwrap().body().clauses() {
            if let cedar_policy::pst::Clause::When(expr) = clause {
                tree.add(expr);
            }
        }
    }
    let wanted = Wanted::of(&tree, &types);
    let read = wanted.read(arguments.as_bytes())?;
    let context = wanted.context(&read, &moment(), &Zone::utc(), &Subject::of(&alice()))?;
    Ok(context.to_string())
}

#[test]
fn the_context_holds_only_what_is_read() {
    let arguments =
        r#"{"id":"x","amount":7,"options":{"nested":{"priority":1,"tag":"t"},"mode":"fast"},"price":1e-9}"#;
    for (reads, expect) in [
        (&["principal.a"][..], "{}"),
        (&["context.args.amount > 1"], "{args: {amount: 7}}"),
        (&["context.args has amount"], "{args: {amount: true}}"),
        (&["context.args.options.nested.priority == 1"], "{args: {options: {nested: {priority: 1}}}}"),
        (&["context.args has options.nested"], "{args: {options: {nested: {}}}}"),
        (&["context.args.options.nested == {}"], r#"{args: {options: {nested: {priority: 1, tag: "t"}}}}"#),
        (
            &["context.conversation.source == \"x\"", "context.granted.isEmpty()"],
            r#"{conversation: {source: "session"}, granted: []}"#,
        ),
    ] {
        assert_eq!(build(reads, arguments).unwrap(), expect, "{reads:?}");
    }
    assert_eq!(build(&["context.args == {}"], arguments).unwrap_err().pointer, "/price");
}
