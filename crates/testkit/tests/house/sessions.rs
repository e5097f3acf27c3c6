//! Sessions of the older era: sealed, one caller's own, ended for good.

use super::bed::{Bed, SHARED, UP, bed, bed_where, code, served};
use model::FixedClock;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use testkit::{Act, Caller, Era, FakeIdp, FakeUpstream, Setup, clock, eventually};

#[tokio::test]
async fn a_session_lists_calls_pings_and_ends() {
    let bed = bed().await;
    let caller = bed.caller("alice").open().await;
    assert_eq!(caller.tools().await, ["echo", "write"]);
    served(&caller.call("echo", json!({"text": "in session"})).await, "in session");
    assert_eq!(caller.ask("ping", json!({})).await.result(), json!({}));
    assert!(caller.ask("logging/setLevel", json!({"level": "warning"})).await.is_success());
    assert_eq!(bed.call_on_record("echo").leaf["conversation"]["source"], "session");
    let left = caller.send(caller.leaving()).await;
    assert!(matches!(left.status, 200 | 204), "{}", left.text());
    let after = caller.ask("tools/list", json!({})).await;
    assert_eq!((after.status, code(&after).as_str()), (404, "PTN-1006"));
    let ended = bed.gateway.record().into_iter().find(|found| found.leaf["method"] == "DELETE").unwrap();
    assert_eq!(
        (&ended.leaf["caller"]["user"], &ended.outcome.unwrap()["status"]),
        (&json!("alice"), &json!("ok"))
    );
}

#[tokio::test]
async fn a_session_of_another_principal_is_unknown() {
    let bed = bed().await;
    let alice = bed.caller("alice").open().await;
    let stolen = alice.session().to_owned();
    for (who, path) in [("mallory", UP), ("alice", SHARED)] {
        let thief = bed.gateway.caller(&bed.idp, who, path);
        let mut request =
            thief.post(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}));
        for name in ["mcp-protocol-version", "mcp-method"] {
            request.headers_mut().remove(name);
        }
        request.headers_mut().insert("mcp-session-id", stolen.parse().unwrap());
        let reply = thief.send(request).await;
        assert_eq!((reply.status, code(&reply).as_str()), (404, "PTN-1006"), "{who} at {path}");
    }
    assert_eq!(alice.tools().await, ["echo", "write"]);
}

#[tokio::test]
async fn a_session_id_that_was_changed_anywhere_is_unknown() {
    let bed = bed().await;
    let alice = bed.caller("alice").open().await;
    let id = alice.session().to_owned();
    for place in [0, id.len() / 2, id.len() - 1] {
        let mut changed = id.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        let mut request = alice.request("tools/list", json!({}));
        request.headers_mut().insert("mcp-session-id", String::from_utf8(changed).unwrap().parse().unwrap());
        assert_eq!(alice.send(request).await.status, 404, "changed at {place}");
    }
}

#[tokio::test]
async fn a_session_survives_a_restart_and_an_ended_one_stays_ended() {
    let data = tempfile::tempdir().unwrap();
    let idp = testkit::FakeIdp::start(testkit::clock()).await;
    let up = testkit::FakeUpstream::start().await;
    let address = testkit::free_address();
    let start = || async {
        let setup = testkit::Setup::trusting(&idp).server("up", &up).data_dir(data.path());
        setup.set(&["listen", "address"], json!(address)).start().await
    };
    let mut gateway = start().await;
    let kept = gateway.caller(&idp, "alice", UP).open().await;
    let ended = gateway.caller(&idp, "alice", UP).open().await;
    ended.send(ended.leaving()).await;
    gateway.shutdown().await;
    let _again = start().await;
    served(&kept.call("echo", json!({"text": "still"})).await, "still");
    assert_eq!(ended.ask("tools/list", json!({})).await.status, 404);
}

#[tokio::test]
async fn upstream_sessions_are_never_shared() {
    let bed = bed_where("any", Act::Echo, |setup| setup).await;
    for user in ["alice", "bob"] {
        let caller = bed.caller(user).open().await;
        served(&caller.call("any", json!({"text": user})).await, user);
    }
    assert_ne!(session_of(&bed.up, "alice"), session_of(&bed.up, "bob"));
}

/// The session at the server in which a call that says `text` came.
fn session_of(up: &FakeUpstream, text: &str) -> String {
    let seen = up.seen().into_iter().find(|seen| {
        let body = String::from_utf8_lossy(&seen.body);
        body.contains("tools/call") && body.contains(text)
    });
    seen.unwrap().headers["mcp-session-id"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn stateless_callers_share_no_session_of_an_older_server() {
    let idp = FakeIdp::start(clock()).await;
    let up = FakeUpstream::of(&[Era::Session]).await;
    let gateway = Setup::trusting(&idp).server("up", &up).start().await;
    for (user, text) in [("alice", "first"), ("bob", "other"), ("alice", "again")] {
        let caller = gateway.caller(&idp, user, UP);
        assert_eq!(caller.tools().await, ["echo", "write"]);
        served(&caller.call("echo", json!({"text": text})).await, text);
    }
    assert_ne!(session_of(&up, "first"), session_of(&up, "other"));
    assert_eq!(session_of(&up, "first"), session_of(&up, "again"));
}

#[tokio::test]
async fn a_session_ends_with_its_lifetime() {
    let time = Arc::new(FixedClock::at(clock().now()));
    let idp = FakeIdp::start(Arc::<FixedClock>::clone(&time)).await;
    let up = FakeUpstream::start().await;
    let setup = Setup::trusting(&idp).server("up", &up).clock(Arc::<FixedClock>::clone(&time));
    let gateway = setup.set(&["limits", "session_lifetime"], json!("10m")).start().await;
    let caller = gateway.caller(&idp, "alice", UP).open().await;
    assert_eq!(caller.tools().await, ["echo", "write"]);
    time.advance(Duration::from_secs(601));
    let reply = caller.ask("tools/list", json!({})).await;
    assert_eq!((reply.status, code(&reply).as_str()), (404, "PTN-1006"), "{}", reply.text());
}

/// A question, as a server asks it.
fn question() -> serde_json::Value {
    json!({"message": "sure?", "requestedSchema": {"type": "object", "properties": {}}})
}

#[tokio::test]
async fn a_question_on_the_stream_of_a_call_needs_the_capability() {
    let bed = bed_where("ask", Act::Ask("elicitation/create".to_owned(), question()), |setup| setup).await;
    let caller = bed.caller("alice").capable_of(json!({"sampling": {}})).open().await;
    let reply = caller.call("ask", json!({})).await;
    assert!(reply.messages().iter().all(|message| message.get("method").is_none()), "{}", reply.text());
    // The server was told that nobody is asked.
    let told = bed.up.seen().iter().any(|seen| {
        let body = String::from_utf8_lossy(&seen.body);
        body.contains("question-") && body.contains("\"error\"")
    });
    assert!(told, "{}", reply.text());
}

#[tokio::test]
async fn a_question_over_its_bound_is_not_asked() {
    let mut long = question();
    long["message"] = json!("x".repeat(5000));
    let act = Act::Ask("elicitation/create".to_owned(), long);
    let bed = bed_where("ask", act, |setup| setup.set(&["limits", "string_bytes"], json!("4KiB"))).await;
    let caller = bed.caller("alice").capable_of(json!({"elicitation": {}})).open().await;
    let call = caller.request("tools/call", json!({"name": "ask", "arguments": {}}));
    let first = caller.stream(call).await.next().await.unwrap();
    assert!(first.get("method").is_none(), "{first}");
}

/// A session whose GET stream is open, as is that of its session at the server.
async fn listens(bed: &Bed, user: &str, capabilities: serde_json::Value) -> (Caller, testkit::Stream) {
    let caller = bed.caller(user).capable_of(capabilities).open().await;
    let stream = caller.stream(caller.listening()).await;
    served(&caller.call("echo", json!({"text": user})).await, user);
    let session = session_of(&bed.up, user);
    eventually("the server's own stream", || {
        let open = bed.up.seen().iter().any(|seen| {
            seen.method == "GET" && seen.headers.get("mcp-session-id").is_some_and(|id| *id == session)
        });
        std::future::ready(open.then_some(()))
    })
    .await;
    (caller, stream)
}

#[tokio::test]
async fn a_question_outside_of_a_call_needs_the_capability() {
    let bed = bed().await;
    let (_alice, mut asked) = listens(&bed, "alice", json!({"elicitation": {}})).await;
    let (_bob, mut spared) = listens(&bed, "bob", json!({"sampling": {}})).await;
    let question =
        json!({"jsonrpc": "2.0", "id": "unasked", "method": "elicitation/create", "params": question()});
    bed.up.says(question);
    bed.up.says(json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "error", "data": "after it"}}));
    assert_eq!(asked.next().await.unwrap()["method"], "elicitation/create");
    // What came after the question is the first that bob hears.
    assert_eq!(spared.next().await.unwrap()["params"]["data"], "after it");
}

#[tokio::test]
async fn a_session_call_is_withdrawn_by_its_notification() {
    let bed = bed_where("slow", Act::Hang, |setup| setup).await;
    let caller = bed.caller("alice").open().await;
    let mut call = caller.message("tools/call", json!({"name": "slow", "arguments": {}}));
    call["id"] = json!("to-withdraw");
    let _line = caller.begin(caller.post(&call)).await;
    bed.up.call_of("slow").await;
    let withdraw = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "to-withdraw"}});
    assert_eq!(caller.send(caller.post(&withdraw)).await.status, 202);
    let outcome = eventually("the outcome", || {
        std::future::ready(bed.gateway.record_of("slow").pop().and_then(|found| found.outcome))
    })
    .await;
    assert_eq!(outcome["status"], "cancelled", "{outcome}");
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn a_servers_question_reaches_its_caller_and_the_answer_its_server() {
    let question = Act::Ask(
        "elicitation/create".to_owned(),
        json!({"message": "sure?", "requestedSchema": {"type": "object", "properties": {}}}),
    );
    let bed = bed_where("ask", question, |setup| setup).await;
    let caller = bed.caller("alice").capable_of(json!({"elicitation": {}})).open().await;
    let mut stream =
        caller.stream(caller.request("tools/call", json!({"name": "ask", "arguments": {}}))).await;
    let asked = stream.next().await.unwrap();
    assert_eq!(asked["method"], "elicitation/create", "{asked}");
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"said": "yes"}}});
    // Somebody else cannot answer it.
    let mallory = bed.caller("mallory").open().await;
    mallory.send(mallory.post(&answer)).await;
    assert_eq!(caller.send(caller.post(&answer)).await.status, 202);
    let done = stream.next().await.unwrap();
    assert!(done["result"]["content"][0]["text"].as_str().unwrap().contains("yes"), "{done}");
    let answers =
        bed.up.seen().iter().filter(|seen| String::from_utf8_lossy(&seen.body).contains("\"said\"")).count();
    assert_eq!(answers, 1);
}

#[tokio::test]
async fn calls_that_are_withdrawn_take_their_questions_along() {
    let bed = bed_where("ask", Act::Ask("elicitation/create".to_owned(), question()), |setup| setup).await;
    let caller = bed.caller("alice").capable_of(json!({"elicitation": {}})).open().await;
    // More than may wait for one client.
    for number in 0..70 {
        let mut call = caller.message("tools/call", json!({"name": "ask", "arguments": {}}));
        call["id"] = json!(format!("call-{number}"));
        let mut stream = caller.stream(caller.post(&call)).await;
        let asked = stream.next().await.unwrap();
        assert_eq!(asked["method"], "elicitation/create", "after {number}: {asked}");
        let withdraw = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": call["id"]}});
        assert_eq!(caller.send(caller.post(&withdraw)).await.status, 202);
        while stream.next().await.is_some() {}
    }
}

#[tokio::test]
async fn a_server_withdraws_its_own_questions_and_no_others() {
    let act = Act::AskAndWithdraw("elicitation/create".to_owned(), question());
    let bed = bed_where("ask", act, |setup| setup).await;
    let caller = bed.caller("alice").capable_of(json!({"elicitation": {}})).open().await;
    let reply = caller.call("ask", json!({})).await;
    let messages = reply.messages();
    let asked = messages.iter().find(|message| message["method"] == "elicitation/create").unwrap();
    let withdrawn: Vec<_> =
        messages.iter().filter(|message| message["method"] == "notifications/cancelled").collect();
    assert_eq!(withdrawn.len(), 1, "{}", reply.text());
    assert_eq!(withdrawn[0]["params"]["requestId"], asked["id"], "{}", reply.text());
    assert_eq!(reply.content(), "done");
}

#[tokio::test]
async fn progress_reaches_who_asked_for_it_under_its_own_token() {
    let bed = bed_where("steps", Act::Progress(3), |setup| setup).await;
    for caller in [bed.caller("alice"), bed.caller("bob").open().await] {
        let params = json!({"name": "steps", "arguments": {}, "_meta": {"progressToken": "mine"}});
        let reply = caller.ask("tools/call", params).await;
        let messages = reply.messages();
        let steps: Vec<_> =
            messages.iter().filter(|message| message["method"] == "notifications/progress").collect();
        assert_eq!(steps.len(), 3, "{}", reply.text());
        assert!(steps.iter().all(|step| step["params"]["progressToken"] == "mine"), "{}", reply.text());
        assert_eq!(reply.content(), "done");
    }
    let calls = bed.up.calls();
    assert!(
        calls.iter().all(|call| call["params"]["_meta"]["progressToken"] != "mine"),
        "tokens are our own upstream"
    );
}

#[tokio::test]
async fn an_anonymous_caller_opens_no_session() {
    let bed = bed().await;
    let stranger = Caller::new(bed.gateway.address(), UP, None);
    let mut message = stranger.message("initialize", json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}));
    message["params"].as_object_mut().unwrap().remove("_meta");
    let reply = stranger.send(stranger.post(&message)).await;
    assert_eq!(reply.status, 401);
    assert!(reply.headers.get("mcp-session-id").is_none());
}

#[tokio::test]
async fn what_a_session_follows_ends_when_its_client_is_not_heard_of_any_more() {
    let time = Arc::new(FixedClock::at(clock().now()));
    let idp = FakeIdp::start(Arc::<FixedClock>::clone(&time)).await;
    let up = FakeUpstream::of(&[Era::Stateless]).await;
    let setup = Setup::trusting(&idp).server("up", &up).clock(Arc::<FixedClock>::clone(&time));
    let gateway = setup.set(&["limits", "idle_timeout"], json!("1s")).start().await;
    let caller = gateway.caller(&idp, "alice", UP).open().await;
    let open = |count: usize| {
        let up = &up;
        move || std::future::ready((up.streams() == count).then_some(()))
    };
    eventually("the catalog's own stream", open(1)).await;
    assert!(caller.ask("resources/subscribe", json!({"uri": "fake://note"})).await.is_success());
    eventually("the followed resource", open(2)).await;
    time.advance(Duration::from_secs(7));
    // However much the server says meanwhile.
    let over = || {
        up.updated("fake://note");
        std::future::ready((up.streams() == 1).then_some(()))
    };
    eventually("the end of the following", over).await;
}
