//! Servers that break every promise: the caller learns it, the record knows it, and nobody else notices.

use super::bed::{Bed, SHARED, bed_where, code};
use bytes::Bytes;
use serde_json::{Value, json};
use testkit::{Act, FakeIdp, FakeUpstream, Reply, Setup, clock, eventually, tool};

/// A call of a tool that `act`s, while a bystander is served; the reply and the outcome on record.
async fn meets(act: Act, change: impl FnOnce(Setup) -> Setup) -> (Bed, Reply, Value) {
    let bed = bed_where("bad", act, change).await;
    let caller = bed.caller("alice");
    let call = caller.call("bad", json!({"text": "x"}));
    let beside = async {
        bed.up.call_of("bad").await;
        bed.bystander_is_served().await;
    };
    let (reply, ()) = tokio::join!(call, beside);
    let outcome = bed.call_on_record("bad").outcome.unwrap();
    bed.bystander_is_served().await;
    (bed, reply, outcome)
}

/// The call failed with this code, as `status` on record, and may have had its effect.
fn failed((_bed, reply, outcome): (Bed, Reply, Value), expected: &str, status: &str) {
    assert!(!reply.is_success(), "{}", reply.text());
    assert_eq!(code(&reply), expected, "{}", reply.text());
    assert_eq!((&outcome["code"], &outcome["status"]), (&json!(expected), &json!(status)), "{outcome}");
    assert_eq!(outcome["attempt"], "unknown", "{outcome}");
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_at_its_deadline() {
    let met = meets(Act::Hang, |setup| setup.set(&["servers", "up", "timeout"], json!("300ms"))).await;
    met.0.up.abandoned(1).await;
    failed(met, "PTN-4003", "timed_out");
}

#[tokio::test]
async fn a_server_that_closes_before_it_answers_has_failed() {
    failed(meets(Act::Close, |setup| setup).await, "PTN-4002", "upstream");
}

#[tokio::test]
async fn a_server_that_closes_mid_stream_has_failed() {
    failed(meets(Act::CloseMidStream, |setup| setup).await, "PTN-4002", "upstream");
}

#[tokio::test]
async fn a_server_that_answers_garbage_has_failed() {
    for (kind, body) in [
        ("application/json", &b"<html>"[..]),
        ("application/json", b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}trailing"),
        ("application/json", b"[]"),
        (
            "application/json",
            b"{\"jsonrpc\":\"2.0\",\"result\":{},\"error\":{\"code\":1,\"message\":\"both\"}}",
        ),
        ("application/json", b"\xff\xfe"),
        ("text/event-stream", b"data: not json\n\n"),
        ("text/event-stream", b"data: {}\n\n"),
        ("text/html", b"<html>"),
        ("application/json", b""),
    ] {
        let act = Act::Garbage(kind, Bytes::from_static(body));
        failed(meets(act, |setup| setup).await, "PTN-4002", "upstream");
    }
}

#[tokio::test]
async fn an_answer_to_another_request_is_not_this_ones() {
    let met = meets(Act::WrongId, |setup| setup.set(&["servers", "up", "timeout"], json!("500ms"))).await;
    assert!(!met.1.text().contains("not yours"), "{}", met.1.text());
    failed(met, "PTN-4002", "upstream");
}

#[tokio::test]
async fn a_stream_without_end_is_cut_off() {
    let met = meets(Act::EndlessStream, |setup| {
        setup
            .set(&["servers", "up", "timeout"], json!("500ms"))
            .set(&["limits", "answer_bytes"], json!("4MiB"))
    })
    .await;
    let (_, reply, outcome) = &met;
    assert!(!reply.is_success(), "{}", reply.text());
    assert!(
        ["timed_out", "upstream", "too_much"].iter().any(|status| outcome["status"] == *status),
        "{outcome}"
    );
}

#[tokio::test]
async fn a_hundred_megabytes_are_refused_and_not_kept() {
    failed(meets(Act::Huge(100 << 20), |setup| setup).await, "PTN-4002", "upstream");
}

#[tokio::test]
async fn an_answer_with_a_string_over_its_bound_does_not_reach_the_caller() {
    let bound = |setup: Setup| setup.set(&["limits", "string_bytes"], json!("4KiB"));
    let (_, reply, outcome) = meets(Act::Huge(5000), bound).await;
    assert_eq!(
        (code(&reply).as_str(), reply.text().contains("xxx")),
        ("PTN-4002", false),
        "{}",
        reply.text()
    );
    let found = "bounds: a string of more than 4096 bytes at \"/content/0/text\"";
    assert_eq!((&outcome["attempt"], &outcome["reason"]), (&json!("answered"), &json!(found)), "{outcome}");
}

#[tokio::test]
async fn news_with_a_string_over_its_bound_are_left_out() {
    let said = |data: &str| {
        let params = json!({"level": "error", "data": data});
        let message = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": params});
        format!("data: {message}\n\n")
    };
    let news = said(&"x".repeat(5000)) + &said("short");
    let act = Act::Garbage("text/event-stream", news.into());
    let bed = bed_where("bad", act, |setup| setup.set(&["limits", "string_bytes"], json!("4KiB"))).await;
    let caller = bed.caller("alice").open().await;
    let reply = caller.call("bad", json!({})).await;
    assert!(reply.text().contains("short") && !reply.text().contains("xxx"), "{}", reply.text());
}

#[tokio::test]
async fn a_server_that_answers_with_a_status_of_its_own_has_failed() {
    for status in [500, 503, 302, 204, 401] {
        let (_, reply, outcome) = meets(Act::Status(status), |setup| setup).await;
        assert!(!reply.is_success(), "{status}: {}", reply.text());
        assert_eq!(outcome["status"], "upstream", "{status}: {outcome}");
    }
}

#[tokio::test]
async fn a_servers_own_error_is_the_callers() {
    let (_, reply, outcome) = meets(Act::Fail(-32000, "out of paper".to_owned()), |setup| setup).await;
    assert!(reply.text().contains("out of paper"), "{}", reply.text());
    assert_eq!(outcome["attempt"], "answered", "{outcome}");
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_was_sent_nothing() {
    let bed = bed_where("bad", Act::Echo, |setup| setup).await;
    bed.bystander_is_served().await;
    let Bed { idp, up, gateway } = bed;
    drop(up);
    let caller = gateway.caller(&idp, "alice", super::bed::UP);
    let reply = eventually("the server to be gone", || async {
        let reply = caller.call("write", json!({})).await;
        (!reply.is_success()).then_some(reply)
    })
    .await;
    assert!(["PTN-4001", "PTN-4002"].contains(&code(&reply).as_str()), "{}", reply.text());
    let last = gateway.record_of("write").pop().unwrap();
    assert!(last.outcome.is_some(), "{last:?}");
}

#[tokio::test]
async fn one_bad_server_neither_delays_nor_hides_another_and_is_named() {
    let (idp, good, bad) =
        (FakeIdp::start(clock()).await, FakeUpstream::start().await, FakeUpstream::start().await);
    let address = bad.url().to_owned();
    drop(bad);
    let gateway = Setup::trusting(&idp)
        .server("good", &good)
        .set(&["servers", "bad"], json!({"http": {"url": address, "allow_loopback": true}}))
        .set(&["limits", "discovery_timeout"], json!("500ms"))
        .start()
        .await;
    let caller = gateway.caller(&idp, "alice", SHARED);
    let reply = caller.ask("tools/list", json!({})).await;
    let names: Vec<Value> =
        reply.result()["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect();
    assert_eq!(names, [json!("good__echo"), json!("good__write")]);
    let meta = reply.result()["_meta"].to_string();
    assert!(meta.contains("bad") && meta.contains("PTN-4001"), "{meta}");
    assert!(caller.call("good__echo", json!({"text": "fine"})).await.is_success());
    let named = gateway
        .record()
        .iter()
        .any(|found| found.leaf["what"] == "server_missing" && found.leaf["server"] == "bad");
    assert!(named, "{:?}", gateway.record());
}

#[tokio::test]
async fn a_server_that_is_added_and_never_answers_holds_up_no_call() {
    let mut bed =
        super::bed::bed_with(|setup| setup.set(&["limits", "discovery_timeout"], json!("1h"))).await;
    bed.bystander_is_served().await;
    // Accepts, and says nothing: its first discovery is never over within this test.
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/mcp", silent.local_addr().unwrap());
    bed.gateway.write_config(|config| {
        config["servers"]["silent"] = json!({"http": {"url": url, "allow_loopback": true}});
    });
    bed.gateway.reload().await.unwrap();
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn a_changed_definition_is_seen_recorded_and_judged_anew() {
    let forbids = r#"@id("level") forbid (principal, action == Action::"up/echo", resource)
        when { context.args has options && context.args.options has level && context.args.options.level > 3 };"#;
    let bed = bed_where("extra", Act::Echo, |setup| setup.policy("level", forbids)).await;
    let caller = bed.caller("alice");
    assert!(caller.call("echo", json!({"options": {"level": 1}})).await.is_success());
    // The nested argument that the policy reads becomes a text: the policy no longer fits the tool.
    let mut changed = tool("echo");
    changed["inputSchema"]["properties"]["options"] = json!({"type": "string"});
    bed.up.changed(vec![changed, tool("write")]);
    eventually("the change to be seen", || async {
        (!caller.tools().await.contains(&"extra".to_owned())).then_some(())
    })
    .await;
    assert!(
        !caller.tools().await.contains(&"echo".to_owned()),
        "a tool that its policy does not fit is withheld"
    );
    let reply = caller.call("echo", json!({"options": "4"})).await;
    assert!(!reply.is_success(), "{}", reply.text());
    assert!(caller.call("write", json!({})).await.is_success(), "the other tool is not blocked");
    let events: Vec<String> = bed
        .gateway
        .record()
        .iter()
        .filter(|found| found.leaf["kind"] == "event")
        .map(|found| {
            format!("{} {}", found.leaf["what"].as_str().unwrap(), found.leaf["name"].as_str().unwrap_or(""))
        })
        .collect();
    for expected in ["definition_changed echo", "definition_removed extra", "tool_withheld up/echo"] {
        assert!(events.iter().any(|event| event == expected), "{expected}: {events:?}");
    }
}
