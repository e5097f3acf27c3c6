//! What a caller may not see answers exactly as what is not there (invariant 6).

use super::bed::{SHARED, UP, bed_with};
use serde_json::{Value, json};
use testkit::{Caller, Reply};

const ONLY_ECHO: &str = r#"
@id("see") permit (principal, action == Action::"discover:up", resource);
@id("echo") permit (principal, action == Action::"up/echo", resource);
"#;

/// All a caller can tell one answer from another by, save the name it asked for and the reference it was given.
fn face(reply: &Reply, name: &str) -> (u16, Vec<(String, usize)>, String) {
    let mut headers: Vec<(String, usize)> = reply
        .headers
        .iter()
        .filter(|(name, _)| *name != "date")
        .map(|(name, value)| (name.to_string(), value.len()))
        .collect();
    headers.sort();
    let mut body = reply.json();
    let mut mask = |pointer: &str| {
        if let Some(place) = body.pointer_mut(pointer) {
            *place = json!("masked");
        }
    };
    mask("/id");
    mask("/error/data/call");
    mask("/error/data/reference");
    (reply.status, headers, body.to_string().replace(name, "NAME"))
}

async fn alike(
    caller: &Caller,
    method: &str,
    hidden: Value,
    missing: Value,
    (hidden_name, missing_name): (&str, &str),
) {
    let (hidden, missing) = (caller.ask(method, hidden).await, caller.ask(method, missing).await);
    assert_eq!(face(&hidden, hidden_name), face(&missing, missing_name), "{method}");
    assert_eq!(hidden.error_code(), -32602, "{}", hidden.text());
}

#[tokio::test]
async fn an_invisible_tool_answers_exactly_as_an_unknown_one() {
    let bed = bed_with(|setup| setup.without_policies().policy("only-echo", ONLY_ECHO)).await;
    let named = |name: &str| json!({"name": name, "arguments": {"text": "a"}});
    for (path, prefix) in [(UP, ""), (SHARED, "up__")] {
        // Names of one length, so that lengths can be compared.
        let (hidden, missing) = (format!("{prefix}write"), format!("{prefix}wrote"));
        let stateless = bed.gateway.caller(&bed.idp, "alice", path);
        let older = bed.gateway.caller(&bed.idp, "alice", path).open().await;
        for caller in [stateless, older] {
            assert_eq!(caller.tools().await, [format!("{prefix}echo")]);
            alike(&caller, "tools/call", named(&hidden), named(&missing), (&hidden, &missing)).await;
        }
    }
    assert!(bed.up.calls().is_empty());
    // The record tells them apart.
    let reasons = |name: &str| -> Vec<Value> {
        bed.gateway
            .record()
            .iter()
            .filter(|found| found.leaf["kind"] == "denial" && found.leaf.to_string().contains(name))
            .map(|found| found.leaf.clone())
            .collect()
    };
    let (hidden, missing) = (reasons("write"), reasons("wrote"));
    assert_eq!(hidden.len(), 4, "{hidden:?}");
    assert!(
        hidden.iter().all(|leaf| leaf["decision"]["effect"] == "deny" && leaf["code"] == "PTN-1010"),
        "{hidden:?}"
    );
    assert!(
        missing.iter().all(|leaf| leaf["decision"].is_null() && leaf["code"] == "PTN-1010"),
        "{missing:?}"
    );
}

#[tokio::test]
async fn an_invisible_prompt_answers_exactly_as_an_unknown_one() {
    let bed = bed_with(|setup| setup.without_policies().policy("only-echo", ONLY_ECHO)).await;
    let caller = bed.caller("alice");
    alike(&caller, "prompts/get", json!({"name": "greet"}), json!({"name": "great"}), ("greet", "great"))
        .await;
}

#[tokio::test]
async fn an_invisible_servers_tools_answer_as_those_of_no_server() {
    let bed = bed_with(testkit::Setup::without_policies).await;
    let caller = bed.gateway.caller(&bed.idp, "alice", SHARED);
    let named = |name: &str| json!({"name": name, "arguments": {}});
    alike(&caller, "tools/call", named("up__echo"), named("no__echo"), ("up__echo", "no__echo")).await;
}

#[tokio::test]
async fn nothing_in_a_list_or_a_greeting_names_what_is_invisible() {
    let bed = bed_with(|setup| setup.without_policies().policy("only-echo", ONLY_ECHO)).await;
    let caller = bed.gateway.caller(&bed.idp, "alice", SHARED);
    for method in ["tools/list", "prompts/list", "resources/list", "server/discover"] {
        let text = caller.ask(method, json!({})).await.text();
        for hidden in ["write", "greet", "fake://"] {
            assert!(!text.contains(hidden), "{method}: {text}");
        }
    }
}
