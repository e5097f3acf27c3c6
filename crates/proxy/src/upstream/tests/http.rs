//! Streamable HTTP of both eras: scripted servers, and one test for each thing that such a server may say or leave unsaid.
//! One long table, kept whole so that what is covered is seen at a glance.

use super::fake::{Fake, Say, Seen, Then, data, json, status};
use super::*;

pub(super) const MODERN: Version = Version::V2026_07_28;
pub(super) const OLDER: Version = Version::V2025_06_18;
const DISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{}}"#;
pub(super) const INITIALIZED: &str =
    r#"{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"s","version":"1"}}"#;
const DONE: &str = r#"{"resultType":"complete","content":[ ]}"#;

/// A server of 2026-07-28 only.
pub(super) fn modern(seen: &Seen) -> Say {
    match seen.method() {
        "server/discover" => json(seen.result(DISCOVERED)),
        "initialize" => status(400, &seen.error(-32022, r#"{"supported":["2026-07-28"]}"#)),
        _ => json(seen.result(DONE)),
    }
}

/// A server of the older era only.
pub(super) fn older(seen: &Seen) -> Say {
    let known = seen.header("mcp-session-id") == "s-1";
    match (seen.verb.as_str(), seen.method()) {
        ("GET", _) => status(405, ""),
        ("DELETE", _) => status(200, ""),
        (_, "initialize") => {
            let id = vec![("mcp-session-id", "s-1".to_owned())];
            Say::Whole(200, "application/json", id, seen.result(INITIALIZED))
        }
        (_, "notifications/initialized" | "notifications/cancelled") if known => {
            Say::Whole(202, "", vec![], String::new())
        }
        (_, _) if known => json(seen.result(r#"{"content":[]}"#)),
        _ => status(400, r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no session"}}"#),
    }
}

pub(super) async fn one(script: impl Fn(&Seen) -> Say + Send + Sync + 'static) -> (Fake, Upstreams) {
    with(Limits::default(), script).await
}

pub(super) async fn with(
    limits: Limits,
    script: impl Fn(&Seen) -> Say + Send + Sync + 'static,
) -> (Fake, Upstreams) {
    let fake = Fake::start(script).await;
    let upstreams = upstreams(limits, &[over_http("s", fake.url())]);
    (fake, upstreams)
}

#[tokio::test]
async fn a_stateless_call_is_rebuilt_from_the_judged_body() {
    let (fake, upstreams) = one(modern).await;
    let mut out = call("s", MODERN);
    out.tool_headers = vec![header("a")].into();
    out.unknown_headers = vec![(HeaderName::from_static("mcp-param-x"), HeaderValue::from_static("kept"))];
    out.trace.parent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    out.params = raw(r#"{"name":"écho","arguments":{"a": 7},"z":[1, 2],"_meta":{"own":1}}"#).members();
    assert_eq!(answer(&upstreams, out).await, DONE);
    let sent = fake.wait(|seen| seen.method() == "tools/call").await;
    assert_eq!(sent.header("mcp-protocol-version"), "2026-07-28");
    assert_eq!(sent.header("mcp-method"), "tools/call");
    assert_eq!(sent.header("mcp-name"), "=?base64?w6ljaG8=?=");
    assert_eq!((sent.header("mcp-param-a"), sent.header("mcp-param-x")), ("7", "kept"));
    assert!(sent.header("traceparent").starts_with("00-0af7"));
    let meta = &sent.body["params"]["_meta"];
    assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], serde_json::json!({"roots": {}}));
    assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "client");
    assert_eq!((&meta["own"], &sent.body["params"]["z"][1]), (&1.into(), &2.into()));
}

fn header(param: &str) -> HeaderParam {
    let schema = format!(
        r#"{{"type":"object","properties":{{"{param}":{{"type":"integer","x-mcp-header":"{param}"}}}}}}"#
    );
    protocol::header::params_of(&raw(&schema)).unwrap().remove(0)
}

#[tokio::test]
async fn the_era_is_asked_for_once() {
    let (fake, upstreams) = one(modern).await;
    for _ in 0..3 {
        assert_eq!(answer(&upstreams, call("s", MODERN)).await, DONE);
    }
    assert_eq!((fake.count("server/discover"), fake.count("tools/call")), (1, 3));
    let ids: std::collections::HashSet<_> =
        fake.seen().iter().map(|seen| seen.body["id"].to_string()).collect();
    assert_eq!(ids.len(), 4, "every request has its own id");
}

#[tokio::test]
async fn an_older_server_gets_a_session_and_its_answer_is_translated() {
    let (fake, upstreams) = one(older).await;
    for _ in 0..2 {
        let text = answer(&upstreams, call("s", MODERN)).await;
        assert!(text.contains(r#""resultType":"complete""#), "{text}");
    }
    assert_eq!((fake.count("server/discover"), fake.count("initialize")), (1, 1));
    let sent = fake.wait(|seen| seen.method() == "tools/call").await;
    assert_eq!(sent.header("mcp-protocol-version"), "2025-06-18");
    assert!(!sent.headers.contains_key("mcp-method"));
    assert_eq!(sent.body["params"]["_meta"], serde_json::Value::Null);
    let opened = fake.wait(|seen| seen.method() == "initialize").await;
    assert_eq!(opened.body["params"]["capabilities"], serde_json::json!({"roots": {}}));
}

#[tokio::test]
async fn an_older_server_that_refuses_under_an_id_of_its_own_gets_a_session() {
    // As the servers of the Python SDK 1.x do.
    let refusal = r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Bad Request: Missing session ID"}}"#;
    let (fake, upstreams) = one(move |seen| match seen.method() {
        "server/discover" => Say::Whole(400, "application/json", vec![], refusal.to_owned()),
        _ => older(seen),
    })
    .await;
    let text = answer(&upstreams, call("s", MODERN)).await;
    assert!(text.contains(r#""resultType":"complete""#), "{text}");
    assert_eq!((fake.count("server/discover"), fake.count("initialize")), (1, 1));
}

#[tokio::test]
async fn a_server_of_both_eras_is_spoken_to_in_the_clients() {
    let (fake, upstreams) = one(|seen| match seen.method() {
        "server/discover" => modern(seen),
        _ if seen.header("mcp-protocol-version") == "2026-07-28" => modern(seen),
        _ => older(seen),
    })
    .await;
    assert_eq!(answer(&upstreams, call("s", MODERN)).await, DONE);
    assert_eq!(answer(&upstreams, call("s", OLDER)).await, r#"{"content":[]}"#);
    assert_eq!(fake.count("initialize"), 1);
    let opened = fake.wait(|seen| seen.method() == "initialize").await;
    assert_eq!(opened.body["params"]["protocolVersion"], "2025-06-18");
    assert_eq!(opened.body["params"]["capabilities"], serde_json::json!({"roots": {}}));
}

#[tokio::test]
async fn an_older_client_reaches_a_modern_server() {
    let (fake, upstreams) = one(modern).await;
    assert_eq!(answer(&upstreams, call("s", OLDER)).await, r#"{"content":[ ]}"#);
    let mut out = call("s", OLDER);
    out.method = Method::ResourcesSubscribe;
    out.params = raw(r#"{"uri":"a:b"}"#).members();
    let text = answer(&upstreams, out).await;
    assert!(text.starts_with("PTN-1008") && text.contains("NotSent"), "{text}");
    assert_eq!(fake.count("resources/subscribe"), 0);
}

#[tokio::test]
async fn sessions_belong_to_one_principal_and_one_client_session() {
    let (fake, upstreams) = one(older).await;
    let owners = [(1, 1), (1, 1), (1, 2), (2, 1)];
    for (who, session) in owners {
        let mut out = call("s", OLDER);
        out.owner = Owner { principal: principal(who), session: Some(Digest([session; 32])) };
        answer(&upstreams, out).await;
    }
    assert_eq!((fake.count("initialize"), fake.count("tools/call")), (3, 4));
    upstreams.end(&Owner { principal: principal(1), session: Some(Digest([2; 32])) });
    fake.wait(|seen| seen.verb == "DELETE").await;
    upstreams.close(Duration::from_secs(5)).await;
    assert_eq!(fake.seen().iter().filter(|seen| seen.verb == "DELETE").count(), 3);
}

#[tokio::test]
async fn a_lost_session_is_opened_again() {
    for code in [404, 400] {
        let lost = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&lost);
        let (fake, upstreams) = one(move |seen| {
            if seen.method() == "tools/call" && flag.swap(false, Ordering::SeqCst) {
                return status(code, r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"?"}}"#);
            }
            older(seen)
        })
        .await;
        assert_eq!(answer(&upstreams, call("s", OLDER)).await, r#"{"content":[]}"#);
        lost.store(true, Ordering::SeqCst);
        assert_eq!(answer(&upstreams, call("s", OLDER)).await, r#"{"content":[]}"#);
        assert_eq!((fake.count("initialize"), fake.count("tools/call")), (2, 3));
    }
}

#[tokio::test]
async fn a_server_that_keeps_no_session_is_given_up() {
    let (fake, upstreams) =
        one(|seen| if seen.method() == "tools/call" { status(404, "") } else { older(seen) }).await;
    let text = answer(&upstreams, call("s", OLDER)).await;
    assert!(text.contains("HTTP 404") && text.ends_with("(NotSent)"), "{text}");
    assert_eq!((fake.count("initialize"), fake.count("tools/call")), (2, 2));
}

#[tokio::test]
async fn many_first_calls_open_one_session() {
    let (fake, upstreams) = one(older).await;
    let calls = (0..20).map(|_| answer(&upstreams, call("s", OLDER)));
    let answers = futures_util::future::join_all(calls).await;
    assert!(answers.iter().all(|text| text == r#"{"content":[]}"#));
    assert_eq!(fake.count("initialize"), 1);
}

#[tokio::test]
async fn a_refused_credential_says_nothing_of_the_era() {
    let (fake, upstreams) = one(|_| status(401, "")).await;
    let text = answer(&upstreams, call("s", MODERN)).await;
    assert!(text.starts_with("PTN-4001") && text.contains("HTTP 401"), "{text}");
    assert_eq!(fake.count("initialize"), 0);
    assert_eq!(spoken(&upstreams, "s"), era::Spoken::default());
}

#[tokio::test]
async fn what_is_not_there_was_not_sent() {
    let (fake, upstreams) = one(modern).await;
    let address = fake.address;
    answer(&upstreams, call("s", MODERN)).await;
    drop(fake);
    while std::net::TcpListener::bind(address).is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A connection in the pool may have been closed under the first request.
    answer(&upstreams, call("s", MODERN)).await;
    let text = answer(&upstreams, call("s", MODERN)).await;
    assert!(text.starts_with("PTN-4001") && text.ends_with("(NotSent)"), "{text}");
}

/// A modern server whose `tools/call` misbehaves.
fn bad(say: impl Fn(&Seen) -> Say + Send + Sync + 'static) -> impl Fn(&Seen) -> Say + Send + Sync + 'static {
    move |seen| if seen.method() == "tools/call" { say(seen) } else { modern(seen) }
}

#[tokio::test]
async fn bad_answers_are_refused() {
    let whole = |kind, body: &str| Say::Whole(200, kind, Vec::new(), body.to_owned());
    let cases: Vec<(&str, Say)> = vec![
        ("close before the answer", Say::Cut),
        ("close mid-stream", Say::Events(vec![data(r#"{"jsonrpc":"2.0","method":"x"}"#)], Then::Cut)),
        ("end without an answer", Say::Events(vec![], Then::End)),
        ("garbage", whole("application/json", "garbage")),
        ("garbage in the stream", Say::Events(vec![data("garbage")], Then::End)),
        ("a batch", whole("application/json", r#"[{"jsonrpc":"2.0","id":1,"result":{}}]"#)),
        ("duplicate keys", whole("application/json", r#"{"jsonrpc":"2.0","id":1,"id":1,"result":{}}"#)),
        ("wrong id", whole("application/json", r#"{"jsonrpc":"2.0","id":999999,"result":{}}"#)),
        (
            "wrong id in the stream",
            Say::Events(vec![data(r#"{"jsonrpc":"2.0","id":"x","result":{}}"#)], Then::End),
        ),
        ("another type", whole("text/html", "<html>")),
        ("no type", whole("", "{}")),
        ("a request", whole("application/json", r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)),
        (
            "a request in a stateless stream",
            Say::Events(vec![data(r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#)], Then::End),
        ),
        ("accepted", Say::Whole(202, "", Vec::new(), String::new())),
        ("server error", status(500, "")),
    ];
    for (what, say) in cases {
        let (_fake, upstreams) = one(bad(move |_| say.clone())).await;
        let text = answer(&upstreams, call("s", MODERN)).await;
        assert!(text.starts_with("PTN-4002") && text.ends_with("(Unknown)"), "{what}: {text}");
    }
}

#[tokio::test]
async fn an_answer_of_100_mb_is_refused_before_it_is_read() {
    let (fake, upstreams) = one(bad(|_| Say::Huge(100 << 20))).await;
    let text = answer(&upstreams, call("s", MODERN)).await;
    assert!(text.contains("longer than"), "{text}");
    fake.wait_abandoned().await;
}

#[tokio::test]
async fn an_endless_stream_ends_at_the_bound_of_bytes() {
    let limits = Limits { answer_bytes: 1 << 16, ..Limits::default() };
    let news = data(r#"{"jsonrpc":"2.0","method":"notifications/x","params":{}}"#);
    let (fake, upstreams) = with(limits.clone(), bad(move |_| Say::Endless(news.clone()))).await;
    let text = answer(&upstreams, call("s", MODERN)).await;
    assert!(text.contains("over the bound"), "{text}");
    fake.wait_abandoned().await;
    // One event without an end.
    let (fake, upstreams) = with(limits, bad(|_| Say::Endless("data: xxxxxxxx".to_owned()))).await;
    let text = answer(&upstreams, call("s", MODERN)).await;
    assert!(text.starts_with("PTN-4002"), "{text}");
    fake.wait_abandoned().await;
}

#[tokio::test]
async fn the_deadline_holds_whatever_the_progress() {
    let progress = |seen: &Seen| {
        let token = &seen.body["params"]["_meta"]["progressToken"];
        data(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1}}}}"#
        ))
    };
    for say in [0, 1] {
        let (fake, upstreams) = one(bad(move |seen| match say {
            0 => Say::Hang,
            _ => Say::Events(vec![progress(seen)], Then::Silence),
        }))
        .await;
        let mut first = call("s", MODERN);
        first.method = Method::PromptsGet;
        assert_eq!(answer(&upstreams, first).await, DONE);
        let mut out = call("s", MODERN);
        out.deadline = Duration::from_millis(500);
        out.progress = Some(Id::Text("t".into()));
        let text = answer(&upstreams, out).await;
        assert!(text.starts_with("PTN-4003") && text.ends_with("(Unknown)"), "{text}");
        fake.wait_abandoned().await;
    }
}

#[tokio::test]
async fn a_hanging_server_does_not_delay_another() {
    let (hanging, fine) = (Fake::start(|_| Say::Hang).await, Fake::start(modern).await);
    let servers = [over_http("bad", hanging.url()), over_http("good", fine.url())];
    let upstreams = Arc::new(upstreams(Limits::default(), &servers));
    for _ in 0..50 {
        let upstreams = Arc::clone(&upstreams);
        tokio::spawn(async move { answer(&upstreams, call("bad", MODERN)).await });
    }
    hanging.wait(|_| true).await;
    let start = stopwatch();
    assert_eq!(answer(&upstreams, call("good", MODERN)).await, DONE);
    // The others wait for 20 s.
    assert!(start() < Duration::from_secs(10));
}

#[tokio::test]
async fn progress_tokens_are_fresh_and_mapped_back() {
    let (fake, upstreams) = one(bad(|seen| {
        let token = &seen.body["params"]["_meta"]["progressToken"];
        let news = |token: &str| {
            data(&format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1}}}}"#))
        };
        Say::Events(vec![news("\"other\""), news(&token.to_string()), data(&seen.result(DONE))], Then::End)
    }))
    .await;
    let mut out = call("s", MODERN);
    out.params = raw(r#"{"name":"echo","_meta":{"progressToken":"mine"}}"#).members();
    out.progress = Some(Id::Text("mine".into()));
    let mut exchange = upstreams.exchange(out).await.unwrap();
    let Inbound::Notification(news) = exchange.next().await.unwrap() else { panic!() };
    assert_eq!(news.params.unwrap().text("progressToken").unwrap(), "mine");
    assert!(matches!(exchange.next().await.unwrap(), Inbound::Final(_)));
    let sent = fake.wait(|seen| seen.method() == "tools/call").await;
    let token = &sent.body["params"]["_meta"]["progressToken"];
    assert!(token.is_i64() && *token == sent.body["id"], "{token}");
}

#[tokio::test]
async fn a_call_hears_the_log_that_it_asked_for() {
    let logs = |seen: &Seen| match seen.method() {
        "initialize" => {
            let document =
                r#"{"protocolVersion":"2025-06-18","capabilities":{"logging":{}},"serverInfo":{}}"#;
            json(seen.result(document))
        }
        "tools/call" => {
            let log = |level| {
                data(&format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"{level}","data":1}}}}"#
                ))
            };
            Say::Events(vec![log("info"), log("error"), data(&seen.result("{}"))], Then::End)
        }
        "notifications/initialized" => Say::Whole(202, "", vec![], String::new()),
        "logging/setLevel" => json(seen.result("{}")),
        _ => older(seen),
    };
    for version in [MODERN, OLDER] {
        let (fake, upstreams) = one(logs).await;
        let mut heard = Vec::new();
        for level in [None, Some(LogLevel::Warning), Some(LogLevel::Warning), Some(LogLevel::Debug)] {
            let mut out = call("s", version);
            out.log_level = level;
            let (mut exchange, mut count) = (upstreams.exchange(out).await.unwrap(), 0);
            while let Inbound::Notification(_) = exchange.next().await.unwrap() {
                count += 1;
            }
            heard.push(count);
        }
        let unasked = if version == MODERN { 0 } else { 2 };
        assert_eq!(heard, [unasked, 1, 1, 2]);
        assert_eq!(fake.count("logging/setLevel"), 2);
    }
}

#[tokio::test]
async fn a_connection_serves_one_call_after_another() {
    let (fake, upstreams) = one(bad(|seen| Say::Events(vec![data(&seen.result(DONE))], Then::End))).await;
    for _ in 0..5 {
        assert_eq!(answer(&upstreams, call("s", MODERN)).await, DONE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(fake.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn dropping_a_call_withdraws_it() {
    let silent = |seen: &Seen| {
        if seen.method() == "tools/call" { Say::Events(vec![], Then::Silence) } else { older(seen) }
    };
    let (fake, upstreams) = one(silent).await;
    let mut exchange = upstreams.exchange(call("s", OLDER)).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), exchange.next()).await.is_err());
    let id = exchange.upstream_id().unwrap().clone();
    drop(exchange);
    let told = fake.wait(|seen| seen.method() == "notifications/cancelled").await;
    assert_eq!(Id::Number(told.body["params"]["requestId"].as_i64().unwrap()), id);
    assert_eq!(told.header("mcp-session-id"), "s-1");
    fake.wait_abandoned().await;
    // Also before anything came back.
    let (fake, upstreams) =
        one(|seen| if seen.method() == "tools/call" { Say::Hang } else { older(seen) }).await;
    let upstreams = Arc::new(upstreams);
    let own = Arc::clone(&upstreams);
    let waiting = tokio::spawn(async move { own.exchange(call("s", OLDER)).await.is_ok() });
    fake.wait(|seen| seen.method() == "tools/call").await;
    waiting.abort();
    fake.wait(|seen| seen.method() == "notifications/cancelled").await;
    // A stateless server sees the stream closed, and nothing else.
    let (fake, upstreams) = one(bad(|_| Say::Events(vec![], Then::Silence))).await;
    drop(upstreams.exchange(super::call("s", MODERN)).await.unwrap());
    fake.wait_abandoned().await;
    assert_eq!(fake.count("notifications/cancelled"), 0);
}

#[tokio::test]
async fn questions_of_the_server_are_answered_by_post() {
    let asks = |seen: &Seen| match seen.method() {
        "tools/call" => {
            let ask = |id: &str, method: &str| {
                data(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}"#))
            };
            let events = vec![ask("77", "ping"), ask("\"q\"", "roots/list"), data(&seen.result("{}"))];
            Say::Events(events, Then::End)
        }
        "" if seen.verb == "POST" => Say::Whole(202, "", vec![], String::new()),
        _ => older(seen),
    };
    let (fake, upstreams) = one(asks).await;
    let mut exchange = upstreams.exchange(call("s", OLDER)).await.unwrap();
    let Inbound::Request(request) = exchange.next().await.unwrap() else { panic!() };
    assert_eq!((request.id.clone(), request.method.as_str()), (Id::Text("q".into()), "roots/list"));
    let bytes = protocol::reply::result(&request.id, br#"{"roots":[]}"#);
    let bounds = protocol::Bounds { bytes: 1 << 16, depth: 16, items: 100 };
    let Message::Response(response) = protocol::decode(bytes, &bounds).unwrap() else { panic!() };
    exchange.answer(response).await.unwrap();
    assert!(matches!(exchange.next().await.unwrap(), Inbound::Final(_)));
    let answered = fake.wait(|seen| seen.body["id"] == "q").await;
    assert_eq!(answered.body["result"]["roots"], serde_json::json!([]));
    assert_eq!(answered.header("mcp-session-id"), "s-1");
    fake.wait(|seen| seen.body["id"] == 77 && seen.body["result"].is_object()).await;
    // A newer client is asked too, if it declared anything; else the gateway declines.
    let (_fake, upstreams) = one(asks).await;
    let mut exchange = upstreams.exchange(call("s", MODERN)).await.unwrap();
    assert!(matches!(exchange.next().await.unwrap(), Inbound::Request(_)));
    let (fake, upstreams) = one(asks).await;
    let mut mute = call("s", MODERN);
    mute.client_capabilities = None;
    answer(&upstreams, mute).await;
    let declined = fake.wait(|seen| seen.body["id"] == "q").await;
    assert_eq!(declined.body["error"]["code"], -32601);
}

#[tokio::test]
async fn an_answer_that_the_server_does_not_take_ends_with_its_call() {
    let (_fake, upstreams) = one(|seen| match seen.method() {
        "tools/call" => {
            let ask = data(r#"{"jsonrpc":"2.0","id":"q","method":"roots/list"}"#);
            Say::Events(vec![ask], Then::Silence)
        }
        "" if seen.verb == "POST" => Say::Hang,
        _ => older(seen),
    })
    .await;
    let mut out = call("s", OLDER);
    out.deadline = Duration::from_millis(1500);
    let mut exchange = upstreams.exchange(out).await.unwrap();
    let Inbound::Request(request) = exchange.next().await.unwrap() else { panic!() };
    let response = crate::reply::cannot_ask(&request.id);
    let answered = tokio::time::timeout(Duration::from_secs(10), exchange.answer(response)).await;
    let error = answered.expect("it waits for ever").err().unwrap();
    assert_eq!((error.code, error.sent), (model::Code::UPSTREAM_TIMEOUT, Sent::Unknown));
}

#[tokio::test]
async fn what_is_said_unasked_reaches_the_inbox() {
    let (fake, upstreams) = one(|seen| match (seen.verb.as_str(), seen.method()) {
        ("GET", _) => {
            let told = data(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
            let asked = data(r#"{"jsonrpc":"2.0","id":5,"method":"roots/list"}"#);
            Say::Events(vec![told, asked], Then::Silence)
        }
        ("POST", "") => Say::Whole(202, "", vec![], String::new()),
        _ => older(seen),
    })
    .await;
    let (inbox, mut mail) = mpsc::channel(4);
    let mut out = call("s", OLDER);
    out.inbox = Some(inbox);
    answer(&upstreams, out).await;
    let told = mail.recv().await.unwrap();
    assert!(matches!(&told.message, Message::Notification(_)) && told.server == name("s"));
    let asked = mail.recv().await.unwrap();
    let Message::Request(request) = &asked.message else { panic!() };
    let bytes = protocol::reply::result(&request.id, b"{}");
    let bounds = protocol::Bounds { bytes: 1 << 16, depth: 16, items: 100 };
    let Message::Response(response) = protocol::decode(bytes, &bounds).unwrap() else { panic!() };
    asked.answer(&response);
    fake.wait(|seen| seen.body["id"] == 5 && seen.header("mcp-session-id") == "s-1").await;
    let get = fake.wait(|seen| seen.verb == "GET").await;
    assert_eq!(get.header("mcp-protocol-version"), "2025-06-18");
}

#[tokio::test]
async fn stale_headers_are_mended_once() {
    let (fake, upstreams) = one(|seen| match seen.method() {
        "tools/list" => json(seen.result(
            r#"{"resultType":"complete","tools":[{"name":"echo","inputSchema":{"type":"object","properties":{"a":{"type":"integer","x-mcp-header":"A"}}}}]}"#,
        )),
        "tools/call" if seen.header("mcp-param-a") != "1" => status(400, &seen.error(-32020, "null")),
        _ => modern(seen),
    })
    .await;
    let mut out = call("s", MODERN);
    out.params = raw(r#"{"name":"echo","arguments":{"a":1}}"#).members();
    assert_eq!(answer(&upstreams, out).await, DONE);
    assert_eq!((fake.count("tools/call"), fake.count("tools/list")), (2, 1));
    // A server that is never content is asked twice, not for ever.
    let (fake, upstreams) = one(bad(|seen| status(400, &seen.error(-32020, "null")))).await;
    assert_eq!(answer(&upstreams, call("s", MODERN)).await, "error -32020");
    assert!(fake.count("tools/call") <= 2);
}

#[tokio::test]
async fn errors_with_a_status_are_answers() {
    let (_fake, upstreams) = one(bad(|seen| status(404, &seen.error(-32601, "null")))).await;
    assert_eq!(answer(&upstreams, call("s", MODERN)).await, "error -32601");
    let (_fake, upstreams) =
        one(bad(|seen| status(400, &seen.error(-32021, r#"{"requiredCapabilities":{}}"#)))).await;
    assert_eq!(answer(&upstreams, call("s", MODERN)).await, "error -32021");
}

#[tokio::test]
async fn a_broken_stream_with_event_ids_is_taken_up_again() {
    let (fake, upstreams) = one(|seen| match (seen.verb.as_str(), seen.method()) {
        ("GET", _) if seen.header("last-event-id") == "e1" => {
            Say::Events(vec![data(r#"{"jsonrpc":"2.0","id":2,"result":{"late":true}}"#)], Then::End)
        }
        (_, "tools/call") => Say::Events(vec!["id: e1\nretry: 10\ndata:\n\n".to_owned()], Then::End),
        _ => older(seen),
    })
    .await;
    // The session opens with id 1, so the call has id 2.
    assert_eq!(answer(&upstreams, call("s", OLDER)).await, r#"{"late":true}"#);
    fake.wait(|seen| seen.verb == "GET").await;
}

#[tokio::test]
async fn a_broken_stream_is_taken_up_again_however_often_its_reader_looks() {
    let (fake, upstreams) = one(|seen| match (seen.verb.as_str(), seen.method()) {
        ("GET", _) if seen.header("last-event-id") == "e1" => {
            Say::Events(vec![data(r#"{"jsonrpc":"2.0","id":2,"result":{"late":true}}"#)], Then::End)
        }
        (_, "tools/call") => Say::Events(vec!["id: e1\nretry: 300\ndata:\n\n".to_owned()], Then::End),
        _ => older(seen),
    })
    .await;
    let mut exchange = upstreams.exchange(call("s", OLDER)).await.unwrap();
    let mut looks = 0;
    let last = loop {
        // As a relay does that tells its client that it is alive.
        match tokio::time::timeout(Duration::from_millis(20), exchange.next()).await {
            Ok(inbound) => break inbound.unwrap(),
            Err(_) => looks += 1,
        }
        assert!(looks < 200, "it begins anew each time: {:?}", fake.seen());
    };
    assert!(matches!(last, Inbound::Final(_)) && looks > 0);
}

#[tokio::test]
async fn a_subscription_may_come_as_lines_of_json() {
    let (_fake, upstreams) = one(|seen| match seen.method() {
        "subscriptions/listen" => {
            let told = r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{}}"#;
            json(format!("{told}\n\n{}", seen.result(DONE)))
        }
        _ => modern(seen),
    })
    .await;
    let mut out = call("s", MODERN);
    out.method = Method::SubscriptionsListen;
    out.params = raw(r#"{"notifications":{"toolsListChanged":true}}"#).members();
    let mut exchange = upstreams.exchange(out).await.unwrap();
    assert!(matches!(exchange.next().await.unwrap(), Inbound::Notification(_)));
    assert!(matches!(exchange.next().await.unwrap(), Inbound::Final(_)));
}

#[tokio::test]
async fn a_server_that_changes_its_era_is_asked_again() {
    let now_older = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&now_older);
    let (_fake, upstreams) =
        one(move |seen| if flag.load(Ordering::SeqCst) { older(seen) } else { modern(seen) }).await;
    assert_eq!(answer(&upstreams, call("s", MODERN)).await, DONE);
    now_older.store(true, Ordering::SeqCst);
    let text = answer(&upstreams, call("s", MODERN)).await;
    assert!(text.contains("resultType"), "{text}");
}

#[tokio::test]
async fn idle_sessions_are_deleted() {
    let limits = Limits { idle_timeout: Duration::from_millis(100), ..Limits::default() };
    let (fake, upstreams) = with(limits, older).await;
    answer(&upstreams, call("s", OLDER)).await;
    fake.wait(|seen| seen.verb == "DELETE").await;
    answer(&upstreams, call("s", OLDER)).await;
    assert_eq!(fake.count("initialize"), 2);
}

#[tokio::test]
async fn the_credential_is_on_every_request_and_sensitive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "s3cret").unwrap();
    let plan = || {
        let reference = broker::Reference::file(&path);
        Plan::headers("bot", vec![(::http::header::AUTHORIZATION, reference)]).unwrap()
    };
    let (fake, upstreams) = one(older).await;
    let (inbox, _mail) = mpsc::channel(1);
    let mut out = call("s", MODERN);
    (out.credential, out.inbox) = (broker::attach(&plan(), None, None).unwrap(), Some(inbox));
    answer(&upstreams, out).await;
    fake.wait(|seen| seen.verb == "GET").await;
    upstreams.close(Duration::from_secs(5)).await;
    let seen = fake.seen();
    assert!(seen.len() >= 6 && seen.iter().all(|seen| seen.header("authorization") == "s3cret"), "{seen:?}");
}
