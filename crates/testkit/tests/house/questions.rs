//! Calls that wait for their caller (MCP 2026-07-28, basic/patterns/mrtr): the state between two legs is sealed.

use super::bed::{Bed, UP, bed_where, code};
use model::FixedClock;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use testkit::{Act, Caller, Era, FakeIdp, FakeUpstream, Reply, Setup, Stream, clock};

/// A server that asks before it acts, and keeps its own state with the client.
async fn asking() -> Bed {
    asking_by(clock()).await
}

/// The same, behind a gateway that goes by this clock.
async fn asking_by(clock: Arc<dyn model::Clock>) -> Bed {
    let question = json!({
        "resultType": "input_required", "requestState": "the-servers-own-state",
        "inputRequests": {"sure": {"method": "elicitation/create", "params": {
            "message": "sure?", "requestedSchema": {"type": "object", "properties": {}},
        }}},
    });
    bed_where("ask", Act::Answer(question), |setup| setup.clock(clock)).await
}

fn asker(bed: &Bed, user: &str) -> Caller {
    bed.caller(user).capable_of(json!({"elicitation": {}}))
}

async fn leg(caller: &Caller, tool: &str, arguments: Value, state: &str) -> Reply {
    let answers = json!({"sure": {"action": "accept", "content": {}}});
    let params =
        json!({"name": tool, "arguments": arguments, "requestState": state, "inputResponses": answers});
    caller.ask("tools/call", params).await
}

#[tokio::test]
async fn a_question_of_the_server_and_its_answer_go_through() {
    let bed = asking().await;
    let caller = asker(&bed, "alice");
    let first = caller.call("ask", json!({"text": "a"})).await.result();
    assert_eq!(first["resultType"], "input_required", "{first}");
    assert!(first["inputRequests"].as_object().is_some_and(|requests| requests.len() == 1), "{first}");
    let state = first["requestState"].as_str().unwrap();
    assert!(!state.contains("the-servers-own-state"), "{state}");
    let second = leg(&caller, "ask", json!({"text": "a"}), state).await;
    assert_eq!(second.result()["resultType"], "input_required", "{}", second.text());
    let sent = bed.up.calls().pop().unwrap();
    assert_eq!(sent["params"]["requestState"], "the-servers-own-state", "{sent}");
    assert_eq!(sent["params"]["inputResponses"]["sure"]["action"], "accept", "{sent}");
    // Both legs are one call on record.
    let calls: Vec<Value> =
        bed.gateway.record_of("ask").iter().map(|found| found.leaf["call"].clone()).collect();
    assert!(calls.iter().all(|call| *call == calls[0]), "{calls:?}");
}

#[tokio::test]
async fn a_forged_or_foreign_request_state_is_refused() {
    let bed = asking().await;
    let caller = asker(&bed, "alice");
    let first = caller.call("ask", json!({"text": "a"})).await.result();
    let state = first["requestState"].as_str().unwrap().to_owned();
    let mut changed = state.clone().into_bytes();
    let middle = changed.len() / 2;
    changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    let mallory = asker(&bed, "mallory");
    let same = json!({"text": "a"});
    for (name, reply) in [
        ("made up", leg(&caller, "ask", same.clone(), "the-servers-own-state").await),
        ("changed", leg(&caller, "ask", same.clone(), &changed).await),
        ("somebody else's", leg(&mallory, "ask", same.clone(), &state).await),
        ("of other arguments", leg(&caller, "ask", json!({"text": "b"}), &state).await),
        ("of another tool", leg(&caller, "write", same.clone(), &state).await),
    ] {
        assert!(!reply.is_success(), "{name}: {}", reply.text());
        assert_eq!(code(&reply), "PTN-1013", "{name}: {}", reply.text());
    }
    assert_eq!(bed.up.calls().len(), 1, "only the first leg was sent from {UP}");
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn a_request_state_expires() {
    let time = Arc::new(FixedClock::at(clock().now()));
    let bed = asking_by(Arc::<FixedClock>::clone(&time)).await;
    let caller = asker(&bed, "alice");
    let first = caller.call("ask", json!({"text": "a"})).await.result();
    let state = first["requestState"].as_str().unwrap();
    time.advance(Duration::from_secs(601));
    let reply = leg(&caller, "ask", json!({"text": "a"}), state).await;
    assert_eq!(code(&reply), "PTN-1013", "{}", reply.text());
    assert_eq!(bed.up.calls().len(), 1);
}

#[tokio::test]
async fn a_question_that_the_caller_did_not_declare_does_not_reach_it() {
    let bed = asking().await;
    let caller = bed.caller("alice").capable_of(json!({"sampling": {}}));
    let reply = caller.call("ask", json!({"text": "a"})).await;
    assert_eq!(code(&reply), "PTN-4002", "{}", reply.text());
    assert!(!reply.text().contains("sure?"), "{}", reply.text());
}

#[tokio::test]
async fn policy_narrows_what_a_server_may_ask() {
    let sampling = Act::Ask("sampling/createMessage".to_owned(), json!({"messages": [], "maxTokens": 1}));
    for server in [Era::Session, Era::Stateless] {
        let idp = FakeIdp::start(clock()).await;
        let up = FakeUpstream::of(&[server]).await.with("ask", sampling.clone());
        let gateway = Setup::trusting(&idp).server("up", &up).start().await;
        gateway.write_policy(
            "asking-less",
            "@id(\"less\") forbid (principal, action == Action::\"ask:up/sampling\", resource) when { principal.user == \"mallory\" };",
        );
        gateway.reload().await.unwrap();
        let bed = Bed { idp, up, gateway };
        for client in [Era::Session, Era::Stateless] {
            for (user, asked) in [("alice", true), ("mallory", false)] {
                let everything = json!({"elicitation": {}, "sampling": {}, "roots": {}});
                let caller = bed.caller(user).capable_of(everything.clone());
                let caller = if client == Era::Session { caller.open().await } else { caller };
                let call = caller.request("tools/call", json!({"name": "ask", "arguments": {"text": user}}));
                let first = first_of(caller.stream(call).await).await;
                let puts = first.to_string().contains("sampling/createMessage");
                assert_eq!(puts, asked, "{client:?} at {server:?}, {user}: {first}");
                let told = told(&bed, server, user);
                let mut narrowed = everything;
                if !asked {
                    narrowed.as_object_mut().unwrap().remove("sampling");
                }
                assert_eq!(told, narrowed, "{client:?} at {server:?}, {user}");
            }
        }
        let events = bed.gateway.record().into_iter().filter(|found| found.leaf["kind"] == "event");
        let told = events.filter(|event| event.leaf["name"] == "ask:up/sampling").count();
        assert_eq!(told, 1, "once for a caller");
    }
}

/// The first message of an answer, whole or a stream.
async fn first_of(mut stream: Stream) -> Value {
    if stream.headers["content-type"] == "text/event-stream" {
        return stream.next().await.unwrap();
    }
    stream.whole().await.json()
}

/// The capabilities that the server was last told of.
fn told(bed: &Bed, server: Era, user: &str) -> Value {
    let bodies =
        bed.up.seen().into_iter().filter_map(|seen| serde_json::from_slice::<Value>(&seen.body).ok());
    match server {
        Era::Stateless => {
            let calls = bodies.filter(|body| body["params"]["arguments"]["text"] == user);
            let last = calls.last().unwrap();
            last["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"].clone()
        }
        Era::Session => {
            let opened = bodies.filter(|body| body["method"] == "initialize").last().unwrap();
            opened["params"]["capabilities"].clone()
        }
    }
}
