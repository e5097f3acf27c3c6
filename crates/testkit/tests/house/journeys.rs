//! What people come for: calls that are allowed, and calls that are not, at each of the four levels of policy.

use super::bed::{SHARED, UP, bed, bed_with, code, served};
use serde_json::{Value, json};
use testkit::{Recorded, Reply};

/// The caller is told no, in words a model can read, and the record says by which rule.
fn denied(reply: &Reply, recorded: &Recorded, rule: &str) {
    assert!(reply.status == 200 && reply.is_tool_error(), "{}", reply.text());
    assert_eq!(code(reply), "PTN-3001");
    let leaf = &recorded.leaf;
    assert_eq!((&leaf["kind"], &leaf["code"]), (&json!("denial"), &json!("PTN-3001")), "{leaf}");
    assert_eq!(leaf["decision"]["effect"], "deny");
    assert!(leaf["decision"]["rules"].as_array().unwrap().contains(&json!(rule)), "{leaf}");
    assert!(
        reply.text().contains(leaf["call"].as_str().unwrap()),
        "the reply names the call: {}",
        reply.text()
    );
}

#[tokio::test]
async fn an_allowed_call_is_made_and_its_record_says_everything() {
    let bed = bed().await;
    let token = bed.gateway.token(&bed.idp, "alice", UP).claim("agent", "robot").claim("azp", "ignored");
    let caller = bed.gateway.with_token(UP, &token);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let params = json!({"name": "echo", "arguments": {"text": "hello"}, "_meta": {"traceparent": trace}});
    served(&caller.ask("tools/call", params).await, "hello");
    let Recorded { leaf, outcome, unknown } = bed.call_on_record("echo");
    let outcome = outcome.unwrap();
    assert!(!unknown);
    assert_eq!(
        (
            &leaf["caller"]["user"],
            &leaf["caller"]["client"],
            &leaf["caller"]["tenant"],
            &leaf["caller"]["issuer"]
        ),
        (&json!("alice"), &json!("test-client"), &json!("acme"), &json!(bed.idp.issuer()))
    );
    assert_eq!(
        (&leaf["target"]["server"], &leaf["impact"], &leaf["endpoint"]),
        (&json!("up"), &json!("read"), &json!(UP))
    );
    assert_eq!(leaf["downstream"]["strategy"], "none");
    assert_eq!(leaf["trace"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(leaf["decision"]["rules"], json!(["readers"]));
    for digest in [&leaf["target"]["definition"], &leaf["arguments"]["digest"], &leaf["decision"]["policy"]] {
        assert_eq!(digest.as_str().map(str::len), Some(64), "{leaf}");
    }
    let expected = model::Digest::of(br#"{"text":"hello"}"#).to_string();
    assert_eq!(leaf["arguments"]["digest"], json!(expected));
    assert!(leaf["arguments"].get("value").is_none(), "by digest only, unless configured");
    assert_eq!((&outcome["status"], &outcome["attempt"]), (&json!("ok"), &json!("answered")));
    assert!(outcome["upstream"].is_string() && outcome["answer_bytes"].as_u64() > Some(0), "{outcome}");
    assert!(outcome["latency"]["total"].as_u64() > Some(0), "{outcome}");
    assert_eq!(leaf["conversation"]["source"], "trace");
}

#[tokio::test]
async fn arguments_are_on_record_by_value_if_configured() {
    let bed = bed_with(|setup| setup.set(&["record", "arguments"], json!("value"))).await;
    served(&bed.caller("alice").call("echo", json!({"text": "kept"})).await, "kept");
    assert_eq!(bed.call_on_record("echo").leaf["arguments"]["value"], json!({"text": "kept"}));
}

#[tokio::test]
async fn a_call_may_be_denied_by_tool() {
    let text = r#"@id("no-writes") forbid (principal, action == Action::"up/write", resource) when { context.args has amount };"#;
    let bed = bed_with(|setup| setup.policy("tool", text)).await;
    let reply = bed.caller("alice").call("write", json!({"amount": 1})).await;
    denied(&reply, &bed.call_on_record("write"), "no-writes");
    assert!(bed.up.calls().is_empty());
    served(&bed.caller("alice").call("echo", json!({"text": "a"})).await, "a");
}

#[tokio::test]
async fn a_call_may_be_denied_by_agent() {
    let text = r#"@id("no-robots") forbid (principal, action == Action::"up/write", resource)
        when { principal.client == "robot" && context.args has amount };"#;
    let bed = bed_with(|setup| setup.policy("agent", text)).await;
    let robot = bed.gateway.token(&bed.idp, "alice", UP).claim("client_id", "robot");
    let reply = bed.gateway.with_token(UP, &robot).call("write", json!({"amount": 1})).await;
    denied(&reply, &bed.call_on_record("write"), "no-robots");
    served(&bed.caller("alice").call("write", json!({"amount": 1})).await, "1");
}

#[tokio::test]
async fn a_call_may_be_denied_by_a_nested_argument() {
    let text = r#"@id("low-levels") forbid (principal, action == Action::"up/write", resource)
        when { context.args has options && context.args.options has level && context.args.options.level > 3 };"#;
    let bed = bed_with(|setup| setup.policy("nested", text)).await;
    let caller = bed.caller("alice");
    let reply = caller.call("write", json!({"options": {"level": 4}})).await;
    denied(&reply, &bed.call_on_record("write"), "low-levels");
    served(&caller.call("write", json!({"options": {"level": 3}})).await, "3");
    served(&caller.call("write", json!({"options": {}})).await, "options");
    assert_eq!(bed.up.calls().len(), 2);
}

#[tokio::test]
async fn a_call_may_be_denied_by_time() {
    // Every hour of the day but one that is not: the clock of the test does not matter.
    let text = r#"@id("never-now") forbid (principal, action == Action::"up/write", resource)
        when { context.time.hour >= 0 && context.time.zone == "Europe/Berlin" && context.args has text };"#;
    let bed =
        bed_with(|setup| setup.policy("time", text).set(&["policy_zone"], json!("Europe/Berlin"))).await;
    let reply = bed.caller("alice").call("write", json!({"text": "a"})).await;
    denied(&reply, &bed.call_on_record("write"), "never-now");
}

#[tokio::test]
async fn a_call_may_be_denied_by_tenant() {
    let text = r#"@id("acme-only") forbid (principal, action == Action::"up/write", resource)
        when { context.args has text } unless { principal.tenant == "acme" };"#;
    let bed = bed_with(|setup| setup.policy("tenant", text)).await;
    let other = bed.gateway.token(&bed.idp, "alice", UP).claim("tenant", "other");
    let reply = bed.gateway.with_token(UP, &other).call("write", json!({"text": "a"})).await;
    denied(&reply, &bed.call_on_record("write"), "acme-only");
    served(&bed.caller("alice").call("write", json!({"text": "a"})).await, "a");
}

#[tokio::test]
async fn a_call_may_be_denied_by_network() {
    let text = r#"@id("not-from-here") forbid (principal, action == Action::"up/write", resource)
        when { context.network.ip.isLoopback() };"#;
    let bed = bed_with(|setup| setup.policy("network", text)).await;
    let reply = bed.caller("alice").call("write", json!({"text": "a"})).await;
    denied(&reply, &bed.call_on_record("write"), "not-from-here");
}

#[tokio::test]
async fn an_unmet_obligation_is_a_denial_that_names_it() {
    let text = r#"@id("approve") @obligation("approval:finance")
        forbid (principal, action == Action::"up/write", resource)
        unless { context.granted.contains("approval:finance") };"#;
    let bed = bed_with(|setup| setup.policy("obligation", text)).await;
    let caller = bed.caller("alice");
    assert!(caller.tools().await.contains(&"write".to_owned()), "it could be permitted, so it is listed");
    let reply = caller.call("write", json!({"text": "a"})).await;
    assert!(reply.is_tool_error() && reply.text().contains("approval:finance"), "{}", reply.text());
    let leaf = bed.call_on_record("write").leaf;
    assert_eq!(
        (&leaf["code"], &leaf["decision"]["obligations"]),
        (&json!("PTN-3002"), &json!(["approval:finance"]))
    );
    assert!(bed.up.calls().is_empty());
}

#[tokio::test]
async fn no_policy_permits_nothing() {
    let bed = bed_with(testkit::Setup::without_policies).await;
    let caller = bed.caller("alice");
    let reply = caller.call("echo", json!({"text": "a"})).await;
    assert!(!reply.is_success(), "{}", reply.text());
    let list = caller.ask("tools/list", json!({})).await;
    assert!(list.result()["tools"].as_array().is_none_or(Vec::is_empty), "{}", list.text());
    assert!(bed.up.calls().is_empty());
}

#[tokio::test]
async fn every_door_of_a_server_leads_to_it_under_its_own_names() {
    let bed = bed_with(|setup| setup.set(&["toolsets", "few"], json!({"tools": ["up/echo"]}))).await;
    for (path, name) in [(UP, "echo"), (SHARED, "up__echo"), ("/toolsets/few/mcp", "up__echo")] {
        let caller = bed.gateway.caller(&bed.idp, "alice", path);
        served(&caller.call(name, json!({"text": path})).await, path);
        assert_eq!(caller.tools().await.len(), if path.starts_with("/toolsets") { 1 } else { 2 }, "{path}");
    }
    let few = bed.gateway.caller(&bed.idp, "alice", "/toolsets/few/mcp");
    assert_eq!(few.call("up__write", json!({})).await.error_code(), -32602);
    assert_eq!(bed.up.calls().len(), 3);
}

#[tokio::test]
async fn prompts_resources_and_completions_go_through() {
    let bed = bed().await;
    let caller = bed.caller("alice");
    let prompt = caller.ask("prompts/get", json!({"name": "greet", "arguments": {"who": "you"}})).await;
    assert!(prompt.text().contains("hello") && prompt.is_success(), "{}", prompt.text());
    let resource = caller.ask("resources/read", json!({"uri": "fake://note"})).await;
    assert!(resource.text().contains("a note") && resource.is_success(), "{}", resource.text());
    let reference =
        json!({"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "who", "value": "w"}});
    let completion = caller.ask("completion/complete", reference).await;
    assert_eq!(completion.result()["completion"]["values"], json!(["world"]), "{}", completion.text());
    let kinds: Vec<Value> = bed.gateway.record().iter().map(|found| found.leaf["method"].clone()).collect();
    for method in ["prompts/get", "resources/read", "completion/complete"] {
        assert!(kinds.contains(&json!(method)), "{kinds:?}");
    }
}
