//! The caller's token never leaves the gateway: not to a server, not to a log, not to the record (invariant 2).

use super::bed::{UP, bed_with};
use serde_json::json;
use std::process::Stdio;
use testkit::{Act, Caller, Era, FakeIdp, FakeUpstream, Setup, clock, eventually, free_address};
use tokio::io::AsyncReadExt as _;

/// The parts of a token, and what they look like in other clothes.
fn traces(token: &str) -> Vec<String> {
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let parts: Vec<&str> = token.split('.').collect();
    let mut traces: Vec<String> = parts[1..].iter().map(|part| (*part).to_owned()).collect();
    traces.extend(parts[1..].iter().map(|part| hex(part)));
    traces.extend(["canary-jti", "canary-cookie", "canary-proxy"].map(str::to_owned));
    traces
}

fn clean(place: &str, bytes: &[u8], token: &str) {
    let text = String::from_utf8_lossy(bytes);
    for trace in traces(token) {
        assert!(!text.contains(&trace), "{place} holds {trace}");
    }
}

/// Says everything a client says, with the canary wherever a client could put it.
async fn sing(caller: Caller) {
    let mut call = caller.request("tools/call", json!({"name": "echo", "arguments": {"text": "a"}}));
    for (name, value) in [("cookie", "canary-cookie"), ("proxy-authorization", "Bearer canary-proxy")] {
        call.headers_mut().insert(name, value.parse().unwrap());
    }
    assert!(caller.send(call).await.is_success());
    for (method, params) in [
        ("tools/list", json!({})),
        ("tools/call", json!({"name": "bad", "arguments": {}})),
        ("tools/call", json!({"name": "unknown", "arguments": {}})),
        ("prompts/get", json!({"name": "greet", "arguments": {"who": "you"}})),
        ("resources/read", json!({"uri": "fake://note"})),
        ("unknown/method", json!({})),
    ] {
        caller.ask(method, params).await;
    }
    let older = caller.open().await;
    assert!(older.call("echo", json!({"text": "b"})).await.is_success());
    older.send(older.leaving()).await;
}

#[tokio::test]
async fn the_callers_token_never_leaves_the_gateway() {
    let bed =
        super::bed::bed_where("bad", Act::Close, |setup| setup.set(&["record", "arguments"], json!("value")))
            .await;
    let token = bed.gateway.token(&bed.idp, "alice", UP).claim("jti", "canary-jti").sign();
    sing(Caller::new(bed.gateway.address(), UP, Some(token.clone()))).await;
    let seen = bed.up.seen();
    assert!(seen.len() > 5);
    for request in &seen {
        assert!(request.headers.get("authorization").is_none(), "{:?}", request.headers);
        clean("a request upstream", format!("{:?}", request.headers).as_bytes(), &token);
        clean("a body upstream", &request.body, &token);
    }
    clean("the data folder", &bed.gateway.data(), &token);
    for page in ["/metrics", "/readyz", "/healthz"] {
        clean(page, &bed.gateway.admin(page).await.body, &token);
    }
}

#[tokio::test]
async fn neither_token_nor_secret_nor_argument_is_ever_in_a_log() {
    let (idp, up) = (FakeIdp::start(clock()).await, FakeUpstream::start().await.with("bad", Act::Close));
    let (address, admin) = (free_address(), free_address());
    let secret = "canary-upstream-secret";
    let server = json!({
        "http": {"url": up.url(), "allow_loopback": true,
            "headers": {"X-Api-Key": {"from_env": "CANARY_KEY"}}},
        "impact": {"tools": {"echo": "read"}},
    });
    let (config, _folder) = Setup::trusting(&idp)
        .set(&["servers", "up"], server)
        .set(&["listen", "address"], json!(address))
        .set(&["admin", "address"], json!(admin))
        .set(&["log", "level"], json!("trace"))
        .write();
    let mut child = tokio::process::Command::new(super::killed::portunus())
        .args(["run", "--config"])
        .arg(&config)
        .env("CANARY_KEY", secret)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let log = tokio::spawn(async move {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let (_, _) = tokio::join!(out.read_to_end(&mut first), err.read_to_end(&mut second));
        [first, second].concat()
    });
    super::killed::ready(&admin).await;
    let token = idp.token("alice", &format!("http://{address}{UP}")).claim("jti", "canary-jti").sign();
    let caller = Caller::new(address.parse().unwrap(), UP, Some(token.clone()));
    assert!(caller.call("echo", json!({"text": "canary-argument"})).await.is_success());
    sing(caller).await;
    assert!(up.seen().iter().any(|seen| seen.headers.get("x-api-key").is_some_and(|key| key == secret)));
    super::killed::terminate(&child);
    eventually("the end", || std::future::ready(child.try_wait().unwrap())).await;
    let log = log.await.unwrap();
    assert!(!log.is_empty());
    clean("the log", &log, &token);
    let text = String::from_utf8_lossy(&log);
    assert!(!text.contains(secret) && !text.contains("canary-argument"), "{text}");
}

#[tokio::test]
async fn headers_that_are_not_ours_to_pass_on_stay_here() {
    let bed = bed_with(|setup| setup).await;
    let caller = bed.caller("alice");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let meta = json!({"traceparent": trace, "tracestate": "a=b", "baggage": "user=alice"});
    let params = json!({"name": "echo", "arguments": {"text": "a"}, "_meta": meta});
    let mut call = caller.request("tools/call", params);
    for (name, value) in [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-api-key", "mine"),
        ("baggage", "user=alice"),
        ("forwarded", "for=203.0.113.9"),
        ("traceparent", trace),
        ("mcp-param-region", "eu"),
    ] {
        call.headers_mut().insert(name, value.parse().unwrap());
    }
    assert!(caller.send(call).await.is_success());
    let seen = bed
        .up
        .seen()
        .into_iter()
        .rfind(|seen| seen.body.windows(10).any(|part| part == b"tools/call"))
        .unwrap();
    for name in ["x-forwarded-for", "x-api-key", "baggage", "forwarded", "authorization", "cookie"] {
        assert!(seen.headers.get(name).is_none(), "{name}: {:?}", seen.headers);
    }
    // An unknown Mcp-Param is passed on (MCP 2026-07-28, basic/transports/streamable-http).
    assert_eq!(seen.headers["mcp-param-region"], "eu");
    // The trace goes on under the same id (W3C Trace Context §2).
    let parent = seen.headers["traceparent"].to_str().unwrap();
    assert!(parent.contains("4bf92f3577b34da6a3ce929d0e0e4736"), "{parent}");
    let body = String::from_utf8_lossy(&seen.body);
    assert!(body.contains("4bf92f3577b34da6a3ce929d0e0e4736") && !body.contains("user=alice"), "{body}");
}

#[tokio::test]
async fn baggage_stays_here_whatever_the_server_speaks() {
    let idp = FakeIdp::start(clock()).await;
    for era in [Era::Stateless, Era::Session] {
        let up = FakeUpstream::of(&[era]).await;
        let gateway = Setup::trusting(&idp).server("up", &up).start().await;
        for caller in [gateway.caller(&idp, "alice", UP), gateway.caller(&idp, "alice", UP).open().await] {
            let meta = json!({"baggage": "user=alice", "example.com/kept": "as it came"});
            let params = json!({"name": "echo", "arguments": {"text": "a"}, "_meta": meta});
            assert!(caller.ask("tools/call", params).await.is_success());
        }
        let calls = up.calls();
        assert_eq!(calls.len(), 2);
        for call in calls {
            let meta = &call["params"]["_meta"];
            assert_eq!(meta["example.com/kept"], "as it came", "{era:?}: {meta}");
            assert!(meta.get("baggage").is_none(), "{era:?}: {meta}");
        }
    }
}

#[tokio::test]
async fn a_capability_that_is_not_carried_stays_here_and_is_on_record() {
    let idp = FakeIdp::start(clock()).await;
    let declared = json!({"elicitation": {}, "extensions": {"example.com/more": {}}});
    for era in [Era::Stateless, Era::Session] {
        let up = FakeUpstream::of(&[era]).await;
        let gateway = Setup::trusting(&idp).server("up", &up).start().await;
        let stateless = gateway.caller(&idp, "alice", UP).capable_of(declared.clone());
        let older = gateway.caller(&idp, "alice", UP).capable_of(declared.clone()).open().await;
        for caller in [stateless, older] {
            assert!(caller.call("echo", json!({"text": "a"})).await.is_success());
        }
        let told: Vec<String> =
            up.seen().iter().map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).collect();
        assert!(told.iter().any(|body| body.contains("elicitation")), "{era:?}: {told:?}");
        assert!(!told.iter().any(|body| body.contains("example.com/more")), "{era:?}: {told:?}");
        let stripped = gateway.record().into_iter().find(|found| found.leaf["what"] == "extension_stripped");
        assert_eq!(stripped.unwrap().leaf["name"], "extensions.example.com/more");
    }
}
