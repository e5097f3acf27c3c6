//! What an older server asks on no call's stream reaches the newer client whose call it can only be about.

use super::bed::{Bed, UP, answering};
use serde_json::{Value, json};
use testkit::{Act, Caller, Era, FakeIdp, FakeUpstream, Setup, clock};

/// An older server whose tool asks aside, and lists another tool only to clients that can be asked.
async fn older_server() -> Bed {
    let form = json!({"message": "which?", "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}}});
    let act = Act::AskAside("elicitation/create".to_owned(), form);
    let idp = FakeIdp::start(clock()).await;
    let up = FakeUpstream::of(&[Era::Session]).await.with("ask", act);
    let gateway = Setup::trusting(&idp).server("up", &up).start().await;
    Bed { idp, up, gateway }
}

fn newer(bed: &Bed, user: &str) -> Caller {
    bed.caller(user).capable_of(json!({"elicitation": {}}))
}

async fn retry(caller: &Caller, text: &str, state: &Value, name: &str) -> testkit::Reply {
    caller.send(answering(caller, text, state, name)).await
}

#[tokio::test]
async fn a_question_on_the_sessions_stream_reaches_the_newer_client_whose_call_it_is() {
    let bed = older_server().await;
    let caller = newer(&bed, "alice");
    let first = caller.call("ask", json!({"text": "a"})).await.result();
    assert_eq!(first["inputRequests"]["question"]["params"]["message"], "[up] which?", "{first}");
    let last = retry(&caller, "a", &first["requestState"], "n").await;
    assert!(last.content().contains("\"name\":\"n\""), "{}", last.text());
    assert_eq!(bed.up.calls().len(), 1);
    // The next call in the same session of the server is the only one there again.
    let second = caller.call("ask", json!({"text": "b"})).await.result();
    assert_eq!(second["resultType"], "input_required", "{second}");
}

#[tokio::test]
async fn policy_narrows_what_is_asked_beside_a_call_too() {
    let bed = older_server().await;
    bed.gateway.write_policy(
        "asking-less",
        "@id(\"less\") forbid (principal, action == Action::\"ask:up/elicitation\", resource) when { principal.user == \"mallory\" };",
    );
    bed.gateway.reload().await.unwrap();
    let declared = json!({"elicitation": {}, "roots": {}});
    let caller = bed.gateway.caller(&bed.idp, "mallory", UP).capable_of(declared).open().await;
    let _beside = caller.stream(caller.listening()).await;
    // A server that asks although it was told that nobody answers.
    let reply = caller.call("ask", json!({"text": "a"})).await;
    assert_eq!(reply.content(), "null", "{}", reply.text());
}

#[tokio::test]
async fn the_gateway_answers_no_question_of_its_own_accord() {
    let bed = older_server().await;
    assert!(!bed.caller("alice").tools().await.is_empty());
    // Discovery declares that it could be asked, and declines.
    bed.up.says(json!({"jsonrpc": "2.0", "id": "whoever", "method": "roots/list"}));
    let declined = async || {
        let bodies =
            bed.up.seen().into_iter().filter_map(|seen| serde_json::from_slice::<Value>(&seen.body).ok());
        bodies.filter(|body| body["id"] == "whoever").last()
    };
    let declined = testkit::eventually("an answer", declined).await;
    assert!(declined["error"].is_object() && declined.get("result").is_none(), "{declined}");
}

#[tokio::test]
async fn calls_of_one_caller_at_once_are_asked_each_its_own_question() {
    let bed = older_server().await;
    let caller = newer(&bed, "alice");
    let mut states = Vec::new();
    for text in ["a", "b", "c"] {
        let first = caller.call("ask", json!({"text": text})).await.result();
        assert_eq!(first["resultType"], "input_required", "{first}");
        states.push((text, first["requestState"].clone()));
    }
    // Answered in another order than they were asked.
    for (text, state) in states.iter().rev() {
        let last = retry(&caller, text, state, text).await;
        assert!(last.content().contains(&format!("\"name\":\"{text}\"")), "{text}: {}", last.text());
    }
    assert_eq!(bed.up.calls().len(), 3);
}

#[tokio::test]
async fn a_question_on_the_sessions_stream_is_declined_for_a_client_that_hears_none() {
    let bed = older_server().await;
    let reply = bed.caller("alice").call("ask", json!({"text": "a"})).await;
    assert_eq!(reply.content(), "null", "{}", reply.text());
    let older = bed.gateway.caller(&bed.idp, "alice", UP).open().await;
    let reply = older.call("ask", json!({"text": "a"})).await;
    assert_eq!(reply.content(), "null", "{}", reply.text());
}

#[tokio::test]
async fn a_tool_that_is_listed_only_to_those_who_can_be_asked_is_found() {
    for era in [Era::Session, Era::Stateless] {
        let idp = FakeIdp::start(clock()).await;
        let up = FakeUpstream::of(&[era]).await.with_shy("shy");
        let gateway = Setup::trusting(&idp).server("up", &up).start().await;
        let bed = Bed { idp, up, gateway };
        let caller = newer(&bed, "alice");
        assert!(caller.tools().await.contains(&"shy".to_owned()));
        assert!(caller.call("shy", json!({"text": "a"})).await.is_success());
        // What was declared to find it is declared for no client.
        let bodies =
            bed.up.seen().into_iter().filter_map(|seen| serde_json::from_slice::<Value>(&seen.body).ok());
        let called = bodies.filter(|body| body["method"] == "tools/call" || body["method"] == "initialize");
        let declared = called.last().unwrap()["params"].clone();
        let declared = declared["_meta"].get("io.modelcontextprotocol/clientCapabilities").cloned();
        if era == Era::Stateless {
            assert_eq!(declared, Some(json!({"elicitation": {}})));
        }
    }
}

#[tokio::test]
async fn the_first_call_of_a_session_is_sent_once_its_stream_is_heard() {
    let bed = older_server().await;
    let alice = bed.gateway.caller(&bed.idp, "alice", UP).capable_of(json!({"elicitation": {}}));
    let caller = alice.open().await;
    let mut beside = caller.stream(caller.listening()).await;
    let call = caller.request("tools/call", json!({"name": "ask", "arguments": {"text": "a"}}));
    // The answer comes whole, so its head comes with it.
    let (answered, asked) = tokio::join!(caller.send(call), async {
        let question = beside.next().await.unwrap();
        let result = json!({"action": "accept", "content": {"name": "n"}});
        let message = json!({"jsonrpc": "2.0", "id": question["id"], "result": result});
        (question, caller.send(caller.post(&message)).await.status)
    });
    assert_eq!((asked.0["params"]["message"].as_str(), asked.1), (Some("[up] which?"), 202), "{}", asked.0);
    assert!(answered.content().contains("\"name\":\"n\""), "{}", answered.text());
}

#[tokio::test]
async fn a_question_beside_a_call_that_is_not_answered_in_time_is_declined() {
    let form = json!({"message": "which?", "requestedSchema": {"type": "object", "properties": {}}});
    let idp = FakeIdp::start(clock()).await;
    let act = Act::AskAside("elicitation/create".to_owned(), form);
    let up = FakeUpstream::of(&[Era::Session]).await.with("ask", act);
    let setup = Setup::trusting(&idp).server("up", &up).set(&["limits", "question_timeout"], json!("1s"));
    let bed = Bed { gateway: setup.start().await, idp, up };
    let alice = bed.gateway.caller(&bed.idp, "alice", UP).capable_of(json!({"elicitation": {}}));
    let caller = alice.open().await;
    let mut beside = caller.stream(caller.listening()).await;
    let call = caller.request("tools/call", json!({"name": "ask", "arguments": {"text": "a"}}));
    let (answered, asked) = tokio::join!(caller.send(call), beside.next());
    assert_eq!(answered.content(), "null", "{}", answered.text());
    let late = json!({"jsonrpc": "2.0", "id": asked.unwrap()["id"], "result": {"action": "cancel"}});
    assert_eq!(caller.send(caller.post(&late)).await.status, 400);
}

#[tokio::test]
async fn a_question_beside_a_call_is_withdrawn_by_the_server_that_asked_it() {
    let bed = older_server().await;
    let alice = bed.gateway.caller(&bed.idp, "alice", UP).capable_of(json!({"elicitation": {}}));
    let caller = alice.open().await;
    let mut beside = caller.stream(caller.listening()).await;
    let call = caller.request("tools/call", json!({"name": "ask", "arguments": {"text": "a"}}));
    let _line = caller.begin(call).await;
    let asked = beside.next().await.unwrap();
    let own = format!("aside-{}", bed.up.call_of("ask").await["id"]);
    for id in [asked["id"].as_str().unwrap(), &own] {
        bed.up.says(
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}),
        );
    }
    bed.up.says(
        json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "error", "data": 1}}),
    );
    let told = beside.next().await.unwrap();
    assert_eq!(
        (&told["method"], &told["params"]["requestId"]),
        (&json!("notifications/cancelled"), &asked["id"])
    );
    assert_eq!(beside.next().await.unwrap()["method"], "notifications/message");
    let late = json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "cancel"}});
    assert_eq!(caller.send(caller.post(&late)).await.status, 400);
}
