//! Streams of older clients that break off and are taken up again (MCP 2025-11-25, resumability and redelivery).

use super::bed::{Bed, UP, code};
use http::{HeaderValue, Request};
use serde_json::{Value, json};
use testkit::{Act, Caller, Era, FakeIdp, FakeUpstream, Setup, Stream, clock, eventually};

/// A server whose tool `slow` answers when it is released.
async fn bed() -> Bed {
    let idp = FakeIdp::start(clock()).await;
    let up = FakeUpstream::of(&[Era::Session]).await.with("slow", Act::Hold);
    let gateway =
        Setup::trusting(&idp).server("up", &up).set(&["limits", "keep_alive"], json!("50ms")).start();
    let gateway = gateway.await;
    Bed { idp, up, gateway }
}

async fn older(bed: &Bed, user: &str) -> Caller {
    bed.gateway.caller(&bed.idp, user, UP).open().await
}

/// Calls `slow`, hears the first event of its stream, and breaks the connection; the id of that event.
async fn broken_off(bed: &Bed, caller: &Caller) -> String {
    let call = caller.request("tools/call", json!({"name": "slow", "arguments": {"text": "a"}}));
    let mut stream = caller.stream(call).await;
    bed.up.holding(1).await;
    let primed = stream.event().await.unwrap();
    assert!(primed.data.is_empty(), "{primed:?}");
    primed.id.unwrap()
}

fn from(caller: &Caller, last: &str) -> Request<bytes::Bytes> {
    let mut request = caller.listening();
    request.headers_mut().insert("last-event-id", HeaderValue::from_str(last).unwrap());
    request
}

async fn next(stream: &mut Stream) -> Option<(String, Value)> {
    let event = stream.event().await?;
    Some((event.id.unwrap(), serde_json::from_str(&event.data).unwrap()))
}

async fn no_stream_is_open(bed: &Bed) {
    let over = async || {
        let metrics = bed.gateway.admin("/metrics").await.text();
        metrics.contains("portunus_streams_open 0").then_some(())
    };
    eventually("the end of the stream", over).await;
}

#[tokio::test]
async fn a_call_whose_stream_broke_off_is_taken_up_and_its_answer_heard() {
    let bed = bed().await;
    let caller = older(&bed, "alice").await;
    let last = broken_off(&bed, &caller).await;
    // Before it has its answer, and once more after.
    let mut again = caller.stream(from(&caller, &last)).await;
    bed.up.release();
    let (id, answer) = next(&mut again).await.unwrap();
    assert!(answer["result"]["content"][0]["text"].as_str().unwrap().contains("\"a\""), "{answer}");
    assert!(next(&mut again).await.is_none());
    let mut late = caller.stream(from(&caller, &last)).await;
    assert_eq!(next(&mut late).await.unwrap(), (id.clone(), answer));
    assert!(next(&mut late).await.is_none());
    assert!(next(&mut caller.stream(from(&caller, &id)).await).await.is_none());
    // One call, which nobody cancelled.
    assert_eq!(bed.up.calls().len(), 1);
    assert_eq!(bed.call_on_record("slow").outcome.unwrap()["status"], "ok");
}

#[tokio::test]
async fn a_stream_is_taken_up_by_its_own_session_only() {
    let bed = bed().await;
    let (alice, mallory) = (older(&bed, "alice").await, older(&bed, "mallory").await);
    let last = broken_off(&bed, &alice).await;
    let second = older(&bed, "alice").await;
    for (who, caller) in [("another principal", &mallory), ("another session", &second)] {
        let refused = caller.send(from(caller, &last)).await;
        assert_eq!((refused.status, code(&refused).as_str()), (400, "PTN-1015"), "{who}: {}", refused.text());
    }
    for gone in ["7-1", "1-99"] {
        assert_eq!(code(&alice.send(from(&alice, gone)).await), "PTN-1015", "{gone}");
    }
    bed.up.release();
    assert!(next(&mut alice.stream(from(&alice, &last)).await).await.is_some());
}

#[tokio::test]
async fn what_was_said_unasked_while_the_session_stream_was_broken_is_heard_after() {
    let bed = bed().await;
    let caller = older(&bed, "alice").await;
    let mut stream = caller.stream(caller.listening()).await;
    bed.up.changed(vec![json!({"name": "one", "inputSchema": {"type": "object"}})]);
    let (id, told) = next(&mut stream).await.unwrap();
    assert_eq!(told["method"], "notifications/tools/list_changed");
    drop(stream);
    no_stream_is_open(&bed).await;
    // Somebody else listens, so that the change is known to have been told.
    let bob = older(&bed, "bob").await;
    let mut other = bob.stream(bob.listening()).await;
    bed.up.changed(vec![json!({"name": "two", "inputSchema": {"type": "object"}})]);
    assert!(next(&mut other).await.is_some());
    let mut again = caller.stream(from(&caller, &id)).await;
    let (resumed, told) = next(&mut again).await.unwrap();
    assert_eq!(told["method"], "notifications/tools/list_changed");
    assert_ne!(resumed, id);
}

#[tokio::test]
async fn a_stream_that_was_taken_up_ends_with_its_own_token() {
    let idp = FakeIdp::start(clock()).await;
    let up = FakeUpstream::of(&[Era::Session]).await.with("slow", Act::Hold);
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("revoked.yaml");
    std::fs::write(&list, "revoked: []\n").unwrap();
    let setup = Setup::trusting(&idp).server("up", &up).set(&["revoked_tokens_file"], json!(list));
    let gateway = setup.set(&["limits", "keep_alive"], json!("50ms")).start().await;
    let bed = Bed { idp, up, gateway };
    let first = older(&bed, "alice").await;
    let last = broken_off(&bed, &first).await;
    let stolen = bed.gateway.token(&bed.idp, "alice", UP).claim("jti", "stolen").sign();
    let mut request = from(&first, &last);
    request.headers_mut().insert("authorization", format!("Bearer {stolen}").parse().unwrap());
    let mut again = first.stream(request).await;
    assert_eq!(again.status, 200);
    std::fs::write(&list, json!({"revoked": [{"jti": "stolen", "issuer": bed.idp.issuer()}]}).to_string())
        .unwrap();
    // It ends by itself, with nothing to hear; the call goes on for the token that sent it.
    assert!(again.event().await.is_none());
    bed.up.release();
    assert!(next(&mut first.stream(from(&first, &last)).await).await.is_some());
}

#[tokio::test]
async fn a_question_that_nobody_heard_is_not_put_to_whoever_comes_back() {
    let form = json!({"message": "which?", "requestedSchema": {"type": "object", "properties": {}}});
    let idp = FakeIdp::start(clock()).await;
    let act = Act::AskAside("elicitation/create".to_owned(), form);
    let up = FakeUpstream::of(&[Era::Session]).await.with("ask", act);
    let gateway = Setup::trusting(&idp).server("up", &up).start().await;
    let bed = Bed { idp, up, gateway };
    let caller =
        bed.gateway.caller(&bed.idp, "alice", UP).capable_of(json!({"elicitation": {}})).open().await;
    let mut stream = caller.stream(caller.listening()).await;
    bed.up.changed(vec![testkit::tool("ask"), testkit::tool("one")]);
    let (id, _) = next(&mut stream).await.unwrap();
    drop(stream);
    no_stream_is_open(&bed).await;
    assert_eq!(caller.call("ask", json!({"text": "a"})).await.content(), "null");
    let mut again = caller.stream(from(&caller, &id)).await;
    bed.up.changed(vec![testkit::tool("ask"), testkit::tool("two")]);
    assert_eq!(next(&mut again).await.unwrap().1["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn a_session_stream_that_missed_nothing_hears_of_nothing() {
    let bed = bed().await;
    let caller = older(&bed, "alice").await;
    let one = |name: &str| vec![json!({"name": name, "inputSchema": {"type": "object"}})];
    let mut stream = caller.stream(caller.listening()).await;
    bed.up.changed(one("one"));
    let (id, _) = next(&mut stream).await.unwrap();
    drop(stream);
    no_stream_is_open(&bed).await;
    let mut again = caller.stream(from(&caller, &id)).await;
    for name in ["two", "three"] {
        bed.up.changed(one(name));
        let (_, told) = next(&mut again).await.unwrap();
        assert_eq!(told["method"], "notifications/tools/list_changed");
    }
}

#[tokio::test]
async fn a_session_stream_that_cannot_be_taken_up_says_that_anything_may_have_changed() {
    let bed = bed().await;
    let caller = older(&bed, "alice").await;
    let mut stream = caller.stream(from(&caller, "0-7")).await;
    let mut changed = Vec::new();
    for _ in 0..3 {
        changed.push(next(&mut stream).await.unwrap().1["method"].as_str().unwrap().to_owned());
    }
    changed.sort();
    let lists = ["prompts", "resources", "tools"].map(|list| format!("notifications/{list}/list_changed"));
    assert_eq!(changed, lists);
}
