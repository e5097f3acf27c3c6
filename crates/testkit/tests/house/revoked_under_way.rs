//! What is under way when something is revoked ends with it: calls, streams, sessions, children, and calls that wait.

use super::bed::{UP, code, served};
use super::children::script;
use super::revocation::{Fleet, is_refused};
use authn::revocations::{Kind, Revocation, lift};
use serde_json::{Value, json};
use std::path::Path;
use testdb::TestDb;
use testkit::{Act, Caller, Era, FakeUpstream, TestGateway, clock, eventually};

async fn alone() -> Fleet {
    Fleet::of(TestDb::sqlite().await, 1).await
}

fn of(kind: Kind, id: &str) -> Revocation {
    Revocation::new(kind, id, "operator")
}

/// The outcome of the one call of a tool, once it is on record.
async fn outcome(gateway: &TestGateway, tool: &str) -> Value {
    let found = || async { gateway.record_of(tool).into_iter().find_map(|found| found.outcome) };
    eventually("an outcome", found).await
}

#[tokio::test]
async fn a_call_under_way_ends_with_what_it_stands_on() {
    for (kind, id, status, told) in
        [(Kind::User, "alice", 401, "PTN-2100"), (Kind::Server, "up", 503, "PTN-2102")]
    {
        let fleet = alone().await;
        let gateway = &fleet.gateways[0];
        fleet.up.acts("write", Act::Hang);
        let caller = gateway.caller(&fleet.idp, "alice", UP);
        let (reply, ()) = tokio::join!(caller.call("write", json!({"text": "w"})), async {
            fleet.up.call_of("write").await;
            fleet.revoke(of(kind, id)).await;
        });
        assert_eq!((reply.status, code(&reply).as_str()), (status, told), "{}", reply.text());
        fleet.up.abandoned(1).await;
        let outcome = outcome(gateway, "write").await;
        assert_eq!((&outcome["status"], &outcome["code"]), (&json!("cancelled"), &json!(told)), "{outcome}");
        assert_eq!(outcome["attempt"], "unknown");
    }
}

#[tokio::test]
async fn a_call_of_a_session_ends_with_it_and_its_client_and_the_record_hear_why() {
    let fleet = alone().await;
    let gateway = &fleet.gateways[0];
    fleet.up.acts("write", Act::Hang);
    let caller = gateway.caller(&fleet.idp, "alice", UP).open().await;
    let (reply, ()) = tokio::join!(caller.call("write", json!({"text": "w"})), async {
        fleet.up.call_of("write").await;
        fleet.revoke(of(Kind::User, "alice")).await;
    });
    assert_eq!((reply.status, code(&reply).as_str()), (401, "PTN-2100"), "{}", reply.text());
    fleet.up.abandoned(1).await;
    let outcome = outcome(gateway, "write").await;
    assert_eq!(
        (&outcome["status"], &outcome["code"]),
        (&json!("cancelled"), &json!("PTN-2100")),
        "{outcome}"
    );
}

#[tokio::test]
async fn a_contained_server_gets_nothing() {
    let fleet = alone().await;
    let gateway = &fleet.gateways[0];
    let caller = gateway.caller(&fleet.idp, "alice", UP);
    served(&caller.call("echo", json!({"text": "one"})).await, "one");
    fleet.revoke(of(Kind::Server, "up")).await;
    let refused = || async {
        let reply = caller.call("echo", json!({"text": "two"})).await;
        (!reply.is_success()).then_some(reply)
    };
    let refused = eventually("a refusal", refused).await;
    assert_eq!((refused.status, code(&refused).as_str()), (503, "PTN-2102"), "{}", refused.text());
    let sent = fleet.up.calls().len();
    for tool in ["echo", "write"] {
        assert_eq!(code(&caller.call(tool, json!({"text": "three"})).await), "PTN-2102");
    }
    assert_eq!(fleet.up.calls().len(), sent);
    // Nor does the gateway itself listen there any more.
    eventually("the end of its streams", || std::future::ready((fleet.up.streams() == 0).then_some(())))
        .await;
    assert!(lift(&fleet.db, &of(Kind::Server, "up"), clock().now()).await.unwrap());
    eventually("to be served again", || async {
        caller.call("echo", json!({"text": "four"})).await.is_success().then_some(())
    })
    .await;
}

#[tokio::test]
async fn streams_and_sessions_end_with_what_they_stand_on() {
    let fleet = alone().await;
    let gateway = &fleet.gateways[0];
    let alice = gateway.caller(&fleet.idp, "alice", UP);
    let session = gateway.caller(&fleet.idp, "alice", UP).open().await;
    served(&session.call("write", json!({"text": "in the session"})).await, "in the session");
    let bob = gateway.caller(&fleet.idp, "bob", UP);
    let wanted = json!({"notifications": {"toolsListChanged": true}});
    let mut streams = [
        alice.stream(alice.request("subscriptions/listen", wanted.clone())).await,
        session.stream(session.listening()).await,
    ];
    let mut other = bob.stream(bob.request("subscriptions/listen", wanted)).await;
    assert!(other.next().await.is_some());
    let opened = fleet.up.sessions();
    let now = clock().now();
    fleet.revoke(of(Kind::User, "alice").issued_before(now)).await;
    for stream in &mut streams {
        while stream.next().await.is_some() {}
    }
    is_refused(&alice).await;
    // What was open for it at the server ends.
    let ended = || std::future::ready((fleet.up.sessions() < opened).then_some(()));
    eventually("the end of the session at the server", ended).await;
    // The session is over for good, also for a token that would be good.
    let fresh = gateway.token(&fleet.idp, "alice", UP).claim("iat", now.seconds() + 3).sign();
    let session = session.with_token(Some(fresh));
    let gone = session.call("write", json!({"text": "after"})).await;
    assert_eq!(gone.status, 404, "{}", gone.text());
    fleet.up.changed(vec![testkit::tool("echo")]);
    assert!(other.next().await.is_some(), "others hear on");
}

/// Whether a process is no more, or only its name is left.
fn is_gone(pid: &str) -> bool {
    std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"))
        .map_or(true, |state| state.contains(") Z "))
}

#[tokio::test]
async fn a_child_is_killed_with_its_principal() {
    let fleet = alone().await;
    for modern in [true, false] {
        // Deaf to everything but the one signal that cannot be ignored, and so is what it starts.
        let text = format!("trap '' TERM HUP; sleep 300 & own=$!\n{}", script(modern, "$$ $own"));
        let stdio = json!({"stdio": {"command": "/bin/sh", "args": ["-c", text]}});
        let gateway = fleet.beside(stdio).await;
        let look = async |user: &str| {
            let caller = gateway.caller(&fleet.idp, user, "/servers/child/mcp");
            assert_eq!(caller.tools().await, ["look"]);
            caller.call("look", json!({})).await.content()
        };
        let (alice, bob) = (look(&format!("alice-{modern}")).await, look("bob").await);
        let pids = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!((pids(&alice).len(), pids(&bob).len()), (2, 2), "{alice} {bob}");
        fleet.revoke(of(Kind::User, &format!("alice-{modern}"))).await;
        let gone = || std::future::ready(pids(&alice).iter().all(|pid| is_gone(pid)).then_some(()));
        eventually("the end of the group", gone).await;
        assert!(!pids(&bob).iter().any(|pid| is_gone(pid)), "another's goes on");
        fleet.revoke(of(Kind::Server, "child")).await;
        let gone = || std::future::ready(pids(&bob).iter().all(|pid| is_gone(pid)).then_some(()));
        eventually("the end of all of them", gone).await;
        assert!(lift(&fleet.db, &of(Kind::Server, "child"), clock().now()).await.unwrap());
    }
}

#[tokio::test]
async fn a_call_that_waits_for_its_caller_ends_with_it() {
    let fleet = alone().await;
    let form = json!({"message": "which?", "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}}});
    let asking =
        FakeUpstream::of(&[Era::Session]).await.with("ask", Act::Ask("elicitation/create".to_owned(), form));
    let config = json!({"http": {"url": asking.url(), "allow_loopback": true}});
    let gateway = fleet.beside(config).await;
    let path = "/servers/child/mcp";
    let caller: Caller = gateway.caller(&fleet.idp, "alice", path).capable_of(json!({"elicitation": {}}));
    let first = caller.call("ask", json!({"text": "a"})).await.result();
    assert_eq!(first["resultType"], "input_required", "{first}");
    fleet.revoke(of(Kind::User, "alice")).await;
    let ended = || async {
        let found = gateway.record_of("ask").into_iter().find(|found| found.leaf["kind"] == "denial");
        found.map(|found| found.leaf)
    };
    let ended = eventually("its end on record", ended).await;
    assert_eq!((&ended["status"], &ended["code"]), (&json!("cancelled"), &json!("PTN-2100")), "{ended}");
    let quiet =
        || async { gateway.admin("/metrics").await.text().contains("portunus_calls_parked 0").then_some(()) };
    eventually("nobody to wait", quiet).await;
}
