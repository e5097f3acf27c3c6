//! What each method answers, by era and by kind of principal, as one table: a change of coverage is a diff.

use super::bed::{Bed, UP, bed_with};
use protocol::Method;
use serde_json::{Value, json};
use std::fmt::Write as _;
use testkit::{Caller, Reply};

/// Params that name something real, for methods that name something.
fn params(method: Method) -> Value {
    match method.name() {
        "tools/call" => json!({"name": "echo", "arguments": {"text": "a"}}),
        "prompts/get" => json!({"name": "greet", "arguments": {"who": "you"}}),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => json!({"uri": "fake://note"}),
        "completion/complete" => {
            json!({"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "who", "value": "w"}})
        }
        "logging/setLevel" => json!({"level": "info"}),
        "subscriptions/listen" => json!({"notifications": {"toolsListChanged": true}}),
        "initialize" => {
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}})
        }
        _ => json!({}),
    }
}

/// A reply in a few words.
fn outcome(reply: &Reply) -> String {
    let status = reply.status;
    let answer = reply.json();
    if let Some(error) = answer.get("error") {
        return format!("{status} error {}", error["code"]);
    }
    let Some(result) = answer.get("result") else { return format!("{status}") };
    if result["isError"] == true {
        return format!("{status} tool error");
    }
    let items = ["tools", "prompts", "resources", "resourceTemplates"]
        .iter()
        .find_map(|list| result[list].as_array());
    items.map_or_else(|| format!("{status} result"), |items| format!("{status} {} items", items.len()))
}

async fn answer(caller: &Caller, method: Method) -> String {
    let notification = method.name().starts_with("notifications/");
    let mut message = caller.message(method.name(), params(method));
    if notification {
        message.as_object_mut().unwrap().remove("id");
    }
    let mut request = caller.post(&message);
    if method.name() == "initialize" {
        for name in ["mcp-protocol-version", "mcp-method", "mcp-session-id"] {
            request.headers_mut().remove(name);
        }
    }
    let mut stream = caller.stream(request).await;
    if stream.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream") {
        let first = stream.next().await.unwrap_or(Value::Null);
        let what = first["method"].as_str().map_or_else(|| "result".to_owned(), str::to_owned);
        return format!("{} stream: {what}", stream.status);
    }
    outcome(&stream.whole().await)
}

/// Nobody, somebody whom no policy knows, and a reader.
fn principals(bed: &Bed) -> [(&'static str, Caller); 3] {
    let token = bed.gateway.token(&bed.idp, "someone", UP).claim("roles", json!([]));
    [
        ("nobody", Caller::new(bed.gateway.address(), UP, None)),
        ("unknown to policy", bed.gateway.with_token(UP, &token)),
        ("reader", bed.caller("alice")),
    ]
}

#[tokio::test]
async fn what_each_method_answers_by_era_and_principal() {
    let bed = bed_with(|setup| setup).await;
    let mut table = String::new();
    for method in Method::ALL {
        for (who, caller) in principals(&bed) {
            let stateless = answer(&caller, *method).await;
            // Whoever has no token has no session either.
            let session = if who == "nobody" {
                let mut message =
                    json!({"jsonrpc": "2.0", "id": 1, "method": method.name(), "params": params(*method)});
                if method.name().starts_with("notifications/") {
                    message.as_object_mut().unwrap().remove("id");
                }
                let mut request = caller.post(&message);
                for name in ["mcp-protocol-version", "mcp-method", "mcp-name"] {
                    request.headers_mut().remove(name);
                }
                outcome(&caller.send(request).await)
            } else {
                answer(&caller.open().await, *method).await
            };
            writeln!(table, "{:<40} {who:<18} {stateless:<50} {session}", method.name()).unwrap();
        }
    }
    let head = format!("{:<40} {:<18} {:<50} {}\n", "method", "principal", "2026-07-28", "2025-11-25");
    insta::assert_snapshot!(format!("{head}{table}"));
}
