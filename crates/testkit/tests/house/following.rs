//! A newer client follows resources of an older server: `subscriptions/listen` here, `resources/subscribe` there (MCP
//! 2026-07-28, subscriptions; 2025-11-25, resources).

use super::bed::{Bed, code};
use serde_json::{Value, json};
use testkit::{Caller, Era, FakeIdp, FakeUpstream, Setup, Stream, clock, eventually};

async fn older_server() -> Bed {
    let idp = FakeIdp::start(clock()).await;
    let up = FakeUpstream::of(&[Era::Session]).await;
    let gateway = Setup::trusting(&idp).server("up", &up).start().await;
    Bed { idp, up, gateway }
}

async fn follow(caller: &Caller, uris: Value) -> Stream {
    let wanted = json!({"notifications": {"resourceSubscriptions": uris}});
    caller.stream(caller.request("subscriptions/listen", wanted)).await
}

/// How often the server was sent a method.
fn sent(bed: &Bed, method: &str) -> usize {
    let bodies =
        bed.up.seen().into_iter().filter_map(|seen| serde_json::from_slice::<Value>(&seen.body).ok());
    bodies.filter(|body| body["method"] == method && body["params"]["uri"] == "fake://note").count()
}

#[tokio::test]
async fn a_newer_client_follows_a_resource_of_an_older_server() {
    let bed = older_server().await;
    let caller = bed.caller("alice");
    let mut stream = follow(&caller, json!(["fake://note"])).await;
    let acknowledged = stream.next().await.unwrap();
    assert_eq!(acknowledged["params"]["notifications"]["resourceSubscriptions"], json!(["fake://note"]));
    let subscription = &acknowledged["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
    bed.up.updated("fake://other");
    bed.up.updated("fake://note");
    let told = stream.next().await.unwrap();
    assert_eq!(told["method"], "notifications/resources/updated");
    let meta = json!({"io.modelcontextprotocol/subscriptionId": subscription});
    assert_eq!(told["params"], json!({"uri": "fake://note", "_meta": meta}));
    // A second follower; the server is told that nobody follows with the last of them.
    let mut second = follow(&caller, json!(["fake://note"])).await;
    assert!(second.next().await.is_some());
    drop(stream);
    bed.up.updated("fake://note");
    assert_eq!(second.next().await.unwrap()["params"]["uri"], "fake://note");
    assert_eq!((sent(&bed, "resources/subscribe"), sent(&bed, "resources/unsubscribe")), (2, 0));
    drop(second);
    let told = || std::future::ready((sent(&bed, "resources/unsubscribe") == 1).then_some(()));
    eventually("the end of the following", told).await;
    // Each following is a call of its own on record, and its end.
    let ended = || {
        let followed = bed.gateway.record_of("fake://note");
        let ended: Vec<_> = followed.iter().filter_map(|call| call.outcome.clone()).collect();
        std::future::ready((ended.len() == 2).then_some(ended))
    };
    let ended = eventually("both outcomes", ended).await;
    assert!(ended.iter().all(|outcome| outcome["status"] == "cancelled"), "{ended:?}");
}

#[tokio::test]
async fn what_a_caller_may_not_read_it_does_not_follow() {
    let bed = older_server().await;
    bed.gateway.write_policy(
        "closed",
        "@id(\"closed\") forbid (principal, action == Action::\"resource:up\", resource) when { context.args.uri == \"fake://secret\" };",
    );
    bed.gateway.reload().await.unwrap();
    let caller = bed.caller("alice");
    let refused = caller.send(caller.request(
        "subscriptions/listen",
        json!({"notifications": {"resourceSubscriptions": ["fake://secret"]}}),
    ));
    let refused = refused.await;
    assert!(code(&refused).starts_with("PTN-"), "{}", refused.text());
    assert_eq!(
        bed.up.seen().iter().filter(|seen| seen.body.windows(9).any(|w| w == b"subscribe")).count(),
        0
    );
    let mut stream = follow(&caller, json!(["fake://secret", "fake://note"])).await;
    let acknowledged = stream.next().await.unwrap();
    assert_eq!(acknowledged["params"]["notifications"]["resourceSubscriptions"], json!(["fake://note"]));
}

#[tokio::test]
async fn an_older_client_is_told_once_more_when_what_it_follows_ends_by_itself() {
    let idp = FakeIdp::start(clock()).await;
    let up = FakeUpstream::of(&[Era::Stateless]).await;
    let gateway = Setup::trusting(&idp).server("up", &up).start().await;
    let bed = Bed { idp, up, gateway };
    let caller = bed.caller("alice").open().await;
    let mut stream = caller.stream(caller.listening()).await;
    assert!(caller.ask("resources/subscribe", json!({"uri": "fake://note"})).await.is_success());
    bed.up.restart().await;
    let told = stream.next().await.unwrap();
    assert_eq!(
        (&told["method"], &told["params"]),
        (&json!("notifications/resources/updated"), &json!({"uri": "fake://note"}))
    );
    // It follows again by asking again.
    assert!(caller.ask("resources/subscribe", json!({"uri": "fake://note"})).await.is_success());
    bed.up.updated("fake://note");
    assert_eq!(stream.next().await.unwrap()["params"]["uri"], "fake://note");
}
