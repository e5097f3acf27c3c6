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
    let over = async || {
        let metrics = bed.gateway.admin("/metrics").await.text();
        metrics.contains("portunus_streams_open 0").then_some(())
    };
    eventually("the end of the stream", over).await;
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
