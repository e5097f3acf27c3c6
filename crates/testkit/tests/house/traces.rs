//! Traces: what a collector is told of a request, what it is never told, and that nothing depends on it. One collector and
//! one reading of its spans serve all of these, so they stay together.

use super::bed::{Bed, UP, bed_of, bed_with, served};
use serde_json::{Value, json};
use std::process::Stdio;
use testkit::{
    Act, Caller, Era, FakeCollector, FakeIdp, FakeUpstream, Mood, SeenSpan, Setup, clock, eventually,
    free_address,
};
use tokio::io::AsyncReadExt as _;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

/// A bed whose gateway tells this collector.
async fn told(collector: &FakeCollector, up: FakeUpstream) -> Bed {
    bed_of(up, |setup| setup.set(&["traces"], json!({"endpoint": collector.url()}))).await
}

async fn traced() -> (FakeCollector, Bed) {
    let collector = FakeCollector::start().await;
    let bed = told(&collector, FakeUpstream::start().await).await;
    (collector, bed)
}

/// Calls `echo` within a trace that the message names.
async fn echo_in(caller: &Caller, traceparent: &str) {
    let params = json!({"name": "echo", "arguments": {"text": "a"}, "_meta": {"traceparent": traceparent}});
    served(&caller.ask("tools/call", params).await, "a");
}

/// What a counter says; `None` if it was never counted.
async fn metric(bed: &Bed, name: &str) -> Option<u64> {
    let page = bed.gateway.admin("/metrics").await;
    let text = String::from_utf8_lossy(&page.body).into_owned();
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

async fn counted(bed: &Bed, name: &str, enough: u64) -> u64 {
    eventually(name, || async { metric(bed, name).await.filter(|count| *count >= enough) }).await
}

const DROPPED: &str = r#"portunus_spans_dropped_total{reason="collector"}"#;
const OVERFLOWN: &str = r#"portunus_spans_dropped_total{reason="queue"}"#;
const SENT: &str = "portunus_spans_sent_total";

fn names(spans: &[SeenSpan]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

/// The last call that the server got: its `_meta`, and its `traceparent` header.
fn at_the_server(bed: &Bed) -> (Value, Option<String>) {
    let call = bed
        .up
        .seen()
        .into_iter()
        .rfind(|seen| seen.body.windows(12).any(|part| part == b"\"tools/call\""))
        .unwrap();
    let body: Value = serde_json::from_slice(&call.body).unwrap();
    let header = call.headers.get("traceparent").map(|value| value.to_str().unwrap().to_owned());
    (body["params"]["_meta"].clone(), header)
}

#[tokio::test]
async fn a_permitted_call_is_a_span_with_one_for_each_stage_in_order_and_within_it() {
    let (collector, bed) = traced().await;
    served(&bed.caller("alice").call("echo", json!({"text": "hello"})).await, "hello");
    let (root, stages) = collector.request("tools/call echo").await;
    let expected = [
        "authenticate",
        "admit",
        "resolve",
        "authorize",
        "inspect",
        "record",
        "attach",
        "tools/call echo",
        "release",
    ];
    assert_eq!(names(&stages), expected);
    let mut last = root.start;
    for stage in &stages {
        assert_eq!((stage.start, &stage.trace), (last, &root.trace), "{stage:?}");
        assert!(stage.end >= stage.start && stage.end <= root.end, "{stage:?} in {root:?}");
        let client = stage.name == "tools/call echo";
        assert_eq!(stage.kind, if client { "CLIENT" } else { "INTERNAL" }, "{stage:?}");
        assert!(!stage.failed);
        last = stage.end;
    }
    let recorded = bed.call_on_record("echo");
    let (leaf, outcome) = (recorded.leaf, recorded.outcome.unwrap());
    assert_eq!(leaf["trace"], root.trace, "the record names the trace");
    for (key, value) in [
        ("mcp.method.name", "tools/call"),
        ("mcp.protocol.version", "2026-07-28"),
        ("gen_ai.tool.name", "echo"),
        ("gen_ai.operation.name", "execute_tool"),
        ("jsonrpc.request.id", "1"),
        ("network.transport", "tcp"),
        ("client.address", "127.0.0.1"),
        ("portunus.call", leaf["call"].as_str().unwrap()),
        ("portunus.server", "up"),
        ("portunus.endpoint", UP),
        ("portunus.tenant", "acme"),
        ("portunus.effect", "permit"),
        ("portunus.outcome", "ok"),
        ("portunus.request_bytes", &leaf["request_bytes"].to_string()),
        ("portunus.reply_bytes", &outcome["reply_bytes"].to_string()),
    ] {
        assert_eq!(root.says(key), value, "{key} in {root:?}");
    }
    assert!(!root.failed && root.parent.is_empty() && !root.attributes.contains_key("error.type"));
    // The server works under the span of the way to it.
    let way = &stages[7];
    let (meta, header) = at_the_server(&bed);
    let expected = format!("00-{}-{}-01", root.trace, way.id);
    assert_eq!((meta["traceparent"].as_str(), header), (Some(expected.as_str()), Some(expected.clone())));
    assert_eq!(collector.resource()["service.name"], "portunus");
}

#[tokio::test]
async fn what_is_answered_here_and_what_is_denied_have_no_way_to_a_server() {
    let collector = FakeCollector::start().await;
    let text = r#"@id("no-writes") forbid (principal, action == Action::"up/write", resource) when { context.args has amount };"#;
    let bed =
        bed_with(|setup| setup.policy("tool", text).set(&["traces"], json!({"endpoint": collector.url()})))
            .await;
    let caller = bed.caller("alice");
    assert_eq!(caller.tools().await.len(), 2);
    let (list, stages) = collector.request("tools/list").await;
    assert_eq!(names(&stages), ["authenticate", "admit", "authorize", "record"]);
    assert_eq!((list.says("portunus.outcome"), list.failed), ("ok", false));

    assert!(caller.call("write", json!({"amount": 1})).await.is_tool_error());
    let (denied, stages) = collector.request("tools/call write").await;
    assert_eq!(names(&stages), ["authenticate", "admit", "resolve", "authorize"]);
    assert!(denied.failed, "{denied:?}");
    for (key, value) in [
        ("portunus.effect", "deny"),
        ("portunus.outcome", "denied"),
        ("portunus.code", "PTN-3001"),
        ("error.type", "denied"),
        ("portunus.call", bed.denial()["call"].as_str().unwrap()),
    ] {
        assert_eq!(denied.says(key), value, "{key} in {denied:?}");
    }

    // The name of something that nobody lists is its caller's own words.
    assert_eq!(caller.call("nonsense", json!({})).await.error_code(), -32602);
    let (unknown, _) = collector.request("tools/call").await;
    assert_eq!((unknown.says("error.type"), unknown.says("portunus.code")), ("-32602", "PTN-1010"));
    // Who is not known is counted, as on record.
    let stranger = bed.caller("alice").with_token(Some("nonsense".to_owned()));
    assert_eq!(stranger.ask("tools/list", json!({})).await.status, 401);
    let caller = caller.open().await;
    collector.request("initialize").await;
    drop(caller);
    let roots = collector.spans().into_iter().filter(|span| span.kind == "SERVER");
    assert_eq!(roots.count(), 4, "{:?}", names(&collector.spans()));
}

#[tokio::test]
async fn a_failed_server_is_a_failed_way_to_it_however_it_fails() {
    for (act, outcome, failure) in [
        (Act::Close, "upstream", "4002"),
        (Act::Hang, "timed_out", "4003"),
        (Act::Fail(-32000, "canary".to_owned()), "upstream", "upstream"),
        (Act::Answer(json!({"content": [], "isError": true})), "tool_error", "tool_error"),
    ] {
        let collector = FakeCollector::start().await;
        let up = FakeUpstream::start().await.with("bad", act.clone());
        let bed = bed_of(up, |setup| {
            setup
                .set(&["servers", "up", "timeout"], json!("300ms"))
                .set(&["traces"], json!({"endpoint": collector.url()}))
        })
        .await;
        assert!(!bed.caller("alice").call("bad", json!({})).await.is_success());
        let (root, stages) = collector.request("tools/call bad").await;
        let way = stages.iter().find(|span| span.kind == "CLIENT").unwrap_or_else(|| panic!("{act:?}"));
        for span in [&root, way] {
            assert_eq!((span.says("error.type"), span.failed), (failure, true), "{act:?}: {span:?}");
        }
        assert_eq!(root.says("portunus.outcome"), outcome, "{act:?}");
        assert!(way.end <= root.end && way.start >= root.start);
    }
}

#[tokio::test]
async fn a_call_that_its_caller_gives_up_is_told_as_cancelled() {
    let collector = FakeCollector::start().await;
    let bed = told(&collector, FakeUpstream::start().await.with("slow", Act::Hang)).await;
    let caller = bed.caller("alice");
    let call = caller.request("tools/call", json!({"name": "slow", "arguments": {}}));
    let line = caller.begin(call).await;
    bed.up.call_of("slow").await;
    drop(line);
    let (root, stages) = collector.request("tools/call slow").await;
    assert_eq!((root.says("portunus.outcome"), root.failed), ("cancelled", true));
    let (meta, _) = at_the_server(&bed);
    let way = stages.last().unwrap();
    assert_eq!(meta["traceparent"], format!("00-{}-{}-01", root.trace, way.id), "{stages:?}");
}

#[tokio::test]
async fn a_callers_trace_goes_on_from_its_header_or_its_message_in_either_era() {
    for era in [Era::Stateless, Era::Session] {
        let collector = FakeCollector::start().await;
        let bed = told(&collector, FakeUpstream::of(&[era]).await).await;
        let caller = bed.caller("alice");
        let mut call = caller
            .request("tools/call", json!({"name": "echo", "arguments": {"text": "a"}, "_meta": {"a": 1}}));
        call.headers_mut().insert("traceparent", traceparent("01").parse().unwrap());
        call.headers_mut().insert("tracestate", "a=b".parse().unwrap());
        served(&caller.send(call).await, "a");
        let (root, stages) = collector.request("tools/call echo").await;
        assert_eq!((root.trace.as_str(), root.parent.as_str()), (TRACE, PARENT), "{era:?}");
        let way = stages.iter().find(|span| span.kind == "CLIENT").unwrap();
        let (meta, header) = at_the_server(&bed);
        let expected = format!("00-{TRACE}-{}-01", way.id);
        assert_eq!(meta["traceparent"], expected, "{era:?}");
        assert_eq!((header, &meta["a"]), (Some(expected), &json!(1)), "{era:?}");
        let seen = bed.up.seen().into_iter().rfind(|seen| seen.headers.contains_key("traceparent")).unwrap();
        assert_eq!(seen.headers["tracestate"], "a=b");
    }
}

#[tokio::test]
async fn the_message_counts_before_the_header_which_is_linked() {
    let (collector, bed) = traced().await;
    let caller = bed.caller("alice");
    let meta = json!({"traceparent": traceparent("01")});
    let params = json!({"name": "echo", "arguments": {"text": "a"}, "_meta": meta});
    let mut call = caller.request("tools/call", params);
    let other = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    call.headers_mut().insert("traceparent", other.parse().unwrap());
    served(&caller.send(call).await, "a");
    let (root, _) = collector.request("tools/call echo").await;
    assert_eq!((root.trace.as_str(), root.parent.as_str()), (TRACE, PARENT));
    assert_eq!(root.links, ["b7ad6b7169203331"]);
}

#[tokio::test]
async fn a_trace_that_its_caller_does_not_keep_is_not_told_and_goes_on_as_it_came() {
    let (collector, bed) = traced().await;
    let caller = bed.caller("alice");
    echo_in(&caller, &traceparent("00")).await;
    let (meta, header) = at_the_server(&bed);
    assert_eq!((meta["traceparent"].as_str(), header), (Some(&*traceparent("00")), Some(traceparent("00"))));
    // Another that is kept comes after it, alone.
    caller.call("write", json!({"text": "b"})).await;
    collector.request("tools/call write").await;
    assert!(!collector.spans().iter().any(|span| span.trace == TRACE), "{:?}", collector.spans());
}

#[tokio::test]
async fn the_share_decides_of_traces_that_begin_here_and_of_no_others() {
    let collector = FakeCollector::start().await;
    let traces = json!({"endpoint": collector.url(), "sample": 0, "service_name": "front"});
    let bed = bed_with(|setup| setup.set(&["traces"], traces)).await;
    let caller = bed.caller("alice");
    served(&caller.call("echo", json!({"text": "alone"})).await, "alone");
    let (meta, header) = at_the_server(&bed);
    assert!(meta.get("traceparent").is_none() && header.is_none(), "{meta}");
    echo_in(&caller, &traceparent("01")).await;
    let (root, _) = collector.request("tools/call echo").await;
    assert_eq!(root.trace, TRACE);
    assert_eq!(collector.spans().iter().filter(|span| span.kind == "SERVER").count(), 1);
    assert_eq!(collector.resource()["service.name"], "front");
}

#[tokio::test]
async fn what_is_no_trace_context_begins_a_trace_and_takes_its_state_along_nowhere() {
    let (collector, bed) = traced().await;
    let caller = bed.caller("alice");
    let meta = json!({"traceparent": "nonsense", "tracestate": "a=b"});
    let params = json!({"name": "echo", "arguments": {"text": "a"}, "_meta": meta});
    served(&caller.ask("tools/call", params).await, "a");
    let (root, _) = collector.request("tools/call echo").await;
    assert!(root.parent.is_empty());
    let (meta, header) = at_the_server(&bed);
    assert!(header.unwrap().starts_with(&format!("00-{}-", root.trace)));
    assert!(meta.get("tracestate").is_none(), "{meta}");
}

#[tokio::test]
async fn traces_are_off_unless_they_are_configured() {
    let bed = bed_with(|setup| setup).await;
    let caller = bed.caller("alice");
    served(&caller.call("echo", json!({"text": "alone"})).await, "alone");
    let (meta, header) = at_the_server(&bed);
    assert!(meta.get("traceparent").is_none() && header.is_none(), "{meta}");
    echo_in(&caller, &traceparent("01")).await;
    let (meta, header) = at_the_server(&bed);
    assert_eq!((meta["traceparent"].as_str(), header), (Some(&*traceparent("01")), Some(traceparent("01"))));
    assert_eq!(metric(&bed, SENT).await, Some(0));
    assert!(bed.gateway.record()[0].leaf.get("trace").is_none());

    // And before there is something to tell, nobody is contacted.
    let (collector, bed) = traced().await;
    bed.caller("alice").ask("ping", json!({})).await;
    assert_eq!(collector.connections(), 0);
}

#[tokio::test]
async fn every_leg_of_a_call_has_a_span_in_one_trace() {
    let question = ("roots/list".to_owned(), json!({}));
    let up = FakeUpstream::of(&[Era::Stateless]).await.with("ask", Act::Ask(question.0, question.1));
    let collector = FakeCollector::start().await;
    let bed = told(&collector, up).await;
    let caller = bed.caller("alice").capable_of(json!({"roots": {}})).open().await;
    let call = caller.request("tools/call", json!({"name": "ask", "arguments": {"text": "a"}}));
    let mut stream = caller.stream(call).await;
    let question = stream.next().await.unwrap();
    let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"roots": []}});
    assert_eq!(caller.send(caller.post(&answer)).await.status, 202);
    assert!(stream.next().await.unwrap()["result"].is_object());
    let legs = eventually("two legs", || {
        let roots = collector.spans().into_iter().filter(|span| span.name == "tools/call ask");
        let roots: Vec<_> = roots.filter(|span| span.kind == "SERVER").collect();
        std::future::ready((roots.len() == 2).then_some(roots))
    })
    .await;
    assert_eq!(legs[0].says("portunus.outcome"), "input_required");
    assert_eq!(legs[1].says("portunus.outcome"), "ok");
    assert!(!legs[0].failed && !legs[1].failed && legs[0].id != legs[1].id);
    assert_eq!(legs[0].trace, legs[1].trace);
    assert_eq!(legs[0].says("portunus.call"), legs[1].says("portunus.call"));
    let told: Vec<Value> =
        bed.up.calls().iter().map(|call| call["params"]["_meta"]["traceparent"].clone()).collect();
    assert!(told.len() == 2 && told[0] != told[1], "{told:?}");
}

#[tokio::test]
async fn the_way_to_a_server_that_asks_on_a_stream_ends_with_its_question() {
    let up =
        FakeUpstream::of(&[Era::Session]).await.with("ask", Act::Ask("roots/list".to_owned(), json!({})));
    let collector = FakeCollector::start().await;
    let bed = bed_of(up, |setup| {
        // So short that the answer is always a stream.
        setup
            .set(&["limits"], json!({"keep_alive": "1ms"}))
            .set(&["traces"], json!({"endpoint": collector.url()}))
    })
    .await;
    let caller = bed.caller("alice").capable_of(json!({"roots": {}}));
    let reply = caller.call("ask", json!({"text": "a"})).await;
    assert_eq!(reply.result()["resultType"], "input_required", "{}", reply.text());
    let (_, stages) = collector.request("tools/call ask").await;
    assert_eq!(names(&stages)[6..], ["attach", "tools/call ask", "release"]);
}

#[tokio::test]
async fn a_collector_that_fails_leaves_calls_alone_and_what_is_lost_is_counted() {
    for mood in [None, Some(Mood::Says(500)), Some(Mood::Says(400)), Some(Mood::Hangs)] {
        let collector = FakeCollector::start().await;
        let url = match mood {
            Some(mood) => {
                collector.mood(mood);
                collector.url().to_owned()
            }
            None => format!("http://{}/v1/traces", free_address()),
        };
        let mut bed = bed_with(|setup| setup.set(&["traces"], json!({"endpoint": url}))).await;
        served(&bed.caller("alice").call("echo", json!({"text": "a"})).await, "a");
        if mood.is_some() {
            collector.asked().await;
        }
        bed.bystander_is_served().await;
        counted(&bed, DROPPED, 10).await;
        assert_eq!(metric(&bed, SENT).await, Some(0), "{mood:?}");
        if mood.is_some() {
            // Well again, it is told again.
            collector.mood(Mood::Takes);
            bed.bystander_is_served().await;
            counted(&bed, SENT, 10).await;
        }
        bed.gateway.shutdown().await;
    }
}

#[tokio::test]
async fn a_queue_that_is_full_drops_and_counts_and_holds_nobody_up() {
    let (collector, bed) = traced().await;
    collector.mood(Mood::Hangs);
    let caller = bed.caller("alice");
    caller.tools().await;
    collector.asked().await;
    let mut asked = 0;
    while metric(&bed, OVERFLOWN).await.is_none() {
        for _ in 0..100 {
            assert_eq!(caller.tools().await.len(), 2);
        }
        asked += 100;
        assert!(asked < 10_000, "the queue has no end");
    }
    served(&caller.call("echo", json!({"text": "still here"})).await, "still here");
}

#[tokio::test]
async fn a_collector_that_is_busy_is_asked_again_and_what_it_refuses_is_counted() {
    let (collector, bed) = traced().await;
    collector.mood(Mood::Says(503));
    served(&bed.caller("alice").call("echo", json!({"text": "a"})).await, "a");
    collector.asked().await;
    collector.mood(Mood::Refuses(3));
    assert_eq!(counted(&bed, SENT, 1).await, 7);
    assert_eq!(metric(&bed, DROPPED).await, Some(3));
    assert_eq!(collector.seen()[0].1, collector.seen()[1].1);
}

#[tokio::test]
async fn the_last_spans_are_delivered_at_the_end_unless_nobody_takes_them() {
    let (collector, mut bed) = traced().await;
    served(&bed.caller("alice").call("echo", json!({"text": "a"})).await, "a");
    bed.gateway.shutdown().await;
    assert_eq!(collector.spans().len(), 10, "{:?}", names(&collector.spans()));

    let (collector, mut bed) = traced().await;
    collector.mood(Mood::Hangs);
    served(&bed.caller("alice").call("echo", json!({"text": "a"})).await, "a");
    bed.gateway.shutdown().await;
    collector.asked().await;
}

#[tokio::test]
async fn neither_token_nor_secret_nor_argument_nor_name_is_ever_in_a_span() {
    let collector = FakeCollector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let secret = |name: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("canary-{name}")).unwrap();
        json!({"from_file": path})
    };
    let up = FakeUpstream::start()
        .await
        .with("bad", Act::Close)
        .with("fails", Act::Fail(-32000, "canary-error".to_owned()))
        .with("says", Act::Answer(json!({"content": [{"type": "text", "text": "canary-result"}]})));
    let server = json!({
        "http": {"url": up.url(), "allow_loopback": true, "headers": {"X-Api-Key": secret("server-key")}},
    });
    let bed = bed_of(up, |setup| {
        setup.set(&["servers", "up"], server).set(&["record", "arguments"], json!("value")).set(
            &["traces"],
            json!({"endpoint": collector.url(), "headers": {"X-Key": secret("collector-key")}}),
        )
    })
    .await;
    let token = bed.gateway.token(&bed.idp, "canary-user", UP).claim("jti", "canary-jti").sign();
    let caller = Caller::new(bed.gateway.address(), UP, Some(token.clone()));
    let meta = json!({
        "traceparent": traceparent("01"), "tracestate": "canary=state", "baggage": "canary=baggage",
        "example.com/canary": "canary-meta",
    });
    let text = json!({"text": "canary-argument"});
    for (method, params) in [
        ("tools/call", json!({"name": "echo", "arguments": text, "_meta": meta})),
        ("tools/call", json!({"name": "says", "arguments": text, "_meta": meta})),
        ("tools/call", json!({"name": "bad", "arguments": text})),
        ("tools/call", json!({"name": "fails", "arguments": text})),
        ("tools/call", json!({"name": "canary-unknown", "arguments": text})),
        ("tools/call", json!({"name": "echo", "arguments": "canary-wrong"})),
        ("prompts/get", json!({"name": "greet", "arguments": {"who": "canary-who"}})),
        ("resources/read", json!({"uri": "fake://canary:canary@note?canary=query#canary"})),
        ("canary/method", json!({})),
        ("tools/list", json!({"cursor": "canary-cursor"})),
    ] {
        let mut request = caller.request(method, params);
        for (name, value) in [("cookie", "canary-cookie"), ("x-canary", "canary-header")] {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        caller.send(request).await;
    }
    let older = caller.open().await;
    let session = older.session().to_owned();
    assert!(older.call("echo", json!({"text": "canary-argument"})).await.is_success());
    older.send(older.leaving()).await;
    let (last, _) = collector.request("DELETE").await;
    assert_eq!(last.says("portunus.outcome"), "ok");
    assert!(collector.spans().iter().any(|span| span.says("mcp.resource.uri").starts_with("fake://")));

    let parts: Vec<&str> = token.split('.').skip(1).chain([session.as_str(), "canary"]).collect();
    for (headers, body) in collector.seen() {
        // Its own secret reaches the collector, and nothing else does.
        assert_eq!(headers["x-key"], "canary-collector-key");
        let body = String::from_utf8_lossy(&body);
        for part in &parts {
            assert!(!body.contains(part), "{part} in {body}");
        }
    }
}

#[tokio::test]
async fn a_collector_that_fails_is_in_the_log_once_and_once_when_it_is_well_again() {
    let (idp, up, collector) =
        (FakeIdp::start(clock()).await, FakeUpstream::start().await, FakeCollector::start().await);
    let (address, admin) = (free_address(), free_address());
    let (config, _folder) = Setup::trusting(&idp)
        .server("up", &up)
        .set(&["listen", "address"], json!(address))
        .set(&["admin", "address"], json!(admin))
        .set(&["traces"], json!({"endpoint": collector.url()}))
        .write();
    collector.mood(Mood::Says(500));
    let mut child = tokio::process::Command::new(super::killed::portunus())
        .args(["run", "--config"])
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut err = child.stderr.take().unwrap();
    let log = tokio::spawn(async move {
        let mut log = String::new();
        err.read_to_string(&mut log).await.unwrap();
        log
    });
    super::killed::ready(&admin).await;
    let token = idp.token("alice", &format!("http://{address}{UP}")).sign();
    let caller = Caller::new(address.parse().unwrap(), UP, Some(token));
    for batches in 1..=4 {
        if batches == 3 {
            collector.mood(Mood::Takes);
        }
        assert!(caller.call("echo", json!({"text": "a"})).await.is_success());
        let enough = || (collector.seen().len() >= batches).then_some(());
        eventually("another batch", || std::future::ready(enough())).await;
    }
    super::killed::terminate(&child);
    eventually("the end", || std::future::ready(child.try_wait().unwrap())).await;
    let log = log.await.unwrap();
    for line in ["spans are not taken", "spans are taken again"] {
        assert_eq!(log.matches(line).count(), 1, "{line} in {log}");
    }
}
