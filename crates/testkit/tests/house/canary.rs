//! The caller's token never leaves the gateway: not to a server, not to a log, not to the record (invariant 2).

use super::bed::{UP, bed_with};
use super::revocation::storage_of;
use super::signing_in::{APP, house_with};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use model::{Clock, SystemClock, Timestamp};
use serde_json::{Value, json};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use storage::{Place, sqlx};
use testdb::TestDb;
use testkit::{
    Act, Caller, Era, FakeCollector, FakeIdp, FakeUpstream, Setup, clock, eventually, free_address, parameter,
};
use tokio::io::AsyncReadExt as _;

/// Pieces of a token, and what they look like in other clothes: in hexadecimal, percent-encoded, in base64 of either
/// alphabet wherever they begin in it.
fn traces(token: &str) -> Vec<String> {
    let each = |text: &str, form: fn(u8) -> String| text.bytes().map(form).collect::<String>();
    let mut traces: Vec<String> = ["canary-jti", "canary-cookie", "canary-proxy"].map(str::to_owned).into();
    // The first part of a token says nothing: all tokens of a key begin with it. The second may begin as ours do.
    for part in token.split('.').skip(1) {
        let middle = part.len() / 2;
        let pieces = [part.get(middle..middle + PIECE), part.get(part.len() - PIECE..)];
        for piece in pieces.into_iter().flatten() {
            traces.push(piece.to_owned());
            traces.push(each(piece, |byte| format!("{byte:02x}")));
            traces.push(each(piece, |byte| format!("{byte:02X}")));
            traces.push(each(piece, |byte| format!("%{byte:02X}")));
            traces.push(each(piece, |byte| format!("%{byte:02x}")));
            for begin in 0..3 {
                let whole = (piece.len() - begin) / 3 * 3;
                let inside = &piece[begin..begin + whole];
                traces.extend([STANDARD.encode(inside), URL_SAFE_NO_PAD.encode(inside)]);
            }
        }
    }
    traces
}

/// So many characters of a token are it.
const PIECE: usize = 24;

fn clean(place: &str, bytes: &[u8], token: &str) {
    let text = String::from_utf8_lossy(bytes);
    for trace in traces(token) {
        assert!(!text.contains(&trace), "{place} holds {trace}");
    }
}

/// Everything that a server was sent: addresses, headers, bodies.
fn all_is_clean(up: &FakeUpstream, token: &str) {
    let seen = up.seen();
    assert!(seen.len() > 5);
    for request in &seen {
        clean("a request upstream", format!("{:?}", request.headers).as_bytes(), token);
        for value in request.headers.values() {
            clean("a header upstream", value.as_bytes(), token);
        }
        clean("a body upstream", &request.body, token);
    }
}

#[test]
fn a_canary_is_found_in_every_dress() {
    let token = format!("head.{}.{}", "Ab3-_".repeat(20), "xY9_-".repeat(17));
    let percent: String = token.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for dress in [
        token.clone(),
        percent,
        STANDARD.encode(&token),
        URL_SAFE_NO_PAD.encode(format!("a{token}")),
        STANDARD.encode(format!("ab{token}")),
    ] {
        let found = std::panic::catch_unwind(|| clean("a dress", format!("x{dress}y").as_bytes(), &token));
        assert!(found.is_err(), "{dress}");
    }
    clean("nothing", b"nothing at all", &token);
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
    for request in bed.up.seen() {
        assert!(request.headers.get("authorization").is_none(), "{:?}", request.headers);
    }
    all_is_clean(&bed.up, &token);
    clean("the data folder", &bed.gateway.data(), &token);
    for page in ["/metrics", "/readyz", "/healthz"] {
        clean(page, &bed.gateway.admin(page).await.body, &token);
    }
}

#[tokio::test]
async fn where_callers_are_named_to_servers_their_own_tokens_still_stay_here() {
    let collector = FakeCollector::start().await;
    let bed = super::bed::bed_where("bad", Act::Close, |setup| {
        setup
            .set(&["servers", "up", "identity"], json!({"groups": true}))
            .set(&["storage"], json!({}))
            .set(&["record", "arguments"], json!("value"))
            .set(&["traces"], json!({"endpoint": collector.url()}))
    })
    .await;
    let token = bed.gateway.token(&bed.idp, "alice", UP).claim("jti", "canary-jti").sign();
    sing(Caller::new(bed.gateway.address(), UP, Some(token.clone()))).await;
    let ours =
        |seen: &testkit::Seen| seen.headers["authorization"].to_str().unwrap().starts_with("Bearer ey");
    assert!(bed.up.seen().iter().all(ours));
    all_is_clean(&bed.up, &token);
    let mut gateway = bed.gateway;
    gateway.shutdown().await;
    // The record, the database with all that was ever written to it, the keys.
    let data = gateway.data();
    assert!(String::from_utf8_lossy(&data).contains("SQLite format 3"));
    clean("the data folder", &data, &token);
    let spans = collector.spans();
    assert!(!spans.is_empty());
    clean("a span", format!("{spans:?}").as_bytes(), &token);
    // What the servers got is not kept either.
    for seen in bed.up.seen() {
        let sent =
            seen.headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned();
        clean("the data folder", &data, &sent);
        clean("a span", format!("{spans:?}").as_bytes(), &sent);
    }
}

/// Every row of every table, as text; of a file, the file.
async fn rows(test: &TestDb) -> Vec<u8> {
    const TABLES: &str =
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'";
    let db = match (&test.config.place, &test.db.pool) {
        (Place::Sqlite(path), _) => {
            let wal = path.with_extension("db-wal");
            return [std::fs::read(path).unwrap(), std::fs::read(wal).unwrap_or_default()].concat();
        }
        (_, storage::__pool::Postgres(pool)) => pool,
        _ => unreachable!("a database of another kind"),
    };
    let tables: Vec<String> = sqlx::query_scalar(TABLES).fetch_all(db).await.unwrap();
    let mut all = String::new();
    for table in tables {
        let text = sqlx::AssertSqlSafe(format!("SELECT t::text FROM \"{table}\" t"));
        let rows: Vec<String> = sqlx::query_scalar(text).fetch_all(db).await.unwrap();
        all.push_str(&rows.join("\n"));
    }
    assert!(all.contains("usr_") && all.contains("grt_"), "the rows of people and grants: {all}");
    all.into_bytes()
}

#[tokio::test]
async fn nothing_that_the_authorization_server_hands_out_is_kept() {
    for test in TestDb::each().await {
        let folder = tempfile::tempdir().unwrap();
        let storage = storage_of(&test, folder.path(), None);
        let house = house_with(|setup, _| {
            setup.set(&["storage"], storage).set(&["record", "arguments"], json!("value"))
        })
        .await;
        let browser = house.browser();
        let at = house.begin(&browser, "app", APP, "").await;
        let page = house.sign_in(&browser, &at).await;
        let location = house.allow(&browser, &page).await;
        let first = house.redeem("app", APP, &location).await.json();
        let text = |answer: &Value, name: &str| answer[name].as_str().unwrap().to_owned();
        let again = [("grant_type", "refresh_token"), ("client_id", "app")];
        let refresh = text(&first, "refresh_token");
        let again: Vec<_> = again.into_iter().chain([("refresh_token", refresh.as_str())]).collect();
        let second = browser.post("/oauth/token", &again).await.json();
        sing(house.caller(&second)).await;
        let mut secrets = browser.cookies();
        // A cookie that was taken away is empty.
        secrets.retain(|cookie| !cookie.is_empty());
        assert!(!secrets.is_empty());
        secrets.push(parameter(&location, "code").unwrap());
        for answer in [&first, &second] {
            secrets.extend(["access_token", "refresh_token"].map(|name| text(answer, name)));
        }
        let mut gateway = house.gateway;
        gateway.shutdown().await;
        let kept = [gateway.data(), rows(&test).await].concat();
        for secret in secrets {
            // What is no JWT is looked for as a whole.
            let secret = if secret.starts_with("ey") { secret } else { format!("x.{secret}") };
            clean("what is kept", &kept, &secret);
            all_is_clean(&house.up, &secret);
        }
    }
}

/// A clock that breaks whoever reads it for the so many-th time, on the thread that serves.
struct Breaking {
    real: SystemClock,
    thread: std::thread::ThreadId,
    left: AtomicU32,
}

impl Clock for Breaking {
    fn now(&self) -> Timestamp {
        self.real.now()
    }

    fn ticks(&self) -> u64 {
        if std::thread::current().id() == self.thread {
            let left = self.left.load(Ordering::SeqCst);
            self.left.store(left.saturating_sub(1), Ordering::SeqCst);
            assert!(left != 1, "the clock breaks");
        }
        self.real.ticks()
    }
}

#[tokio::test]
async fn a_panic_in_the_middle_of_a_call_shows_no_token() {
    static SAID: Mutex<String> = Mutex::new(String::new());
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let trace = std::backtrace::Backtrace::force_capture();
        *SAID.lock().unwrap() += &format!("{info}\n{trace}\n");
        before(info);
    }));
    let thread = std::thread::current().id();
    let clock = Arc::new(Breaking { real: SystemClock::default(), thread, left: AtomicU32::new(0) });
    let running: Arc<dyn Clock> = Arc::<Breaking>::clone(&clock);
    let bed = bed_with(|setup| {
        setup
            .set(&["servers", "up", "identity"], json!({}))
            .set(&["record", "arguments"], json!("value"))
            .clock(running)
    })
    .await;
    let token = bed.gateway.token(&bed.idp, "alice", UP).claim("jti", "canary-jti").sign();
    let caller = Caller::new(bed.gateway.address(), UP, Some(token.clone()));
    sing(Caller::new(bed.gateway.address(), UP, Some(token.clone()))).await;
    // Every stage reads it as it ends.
    for read in 1..15 {
        clock.left.store(read, Ordering::SeqCst);
        let call = caller.request("tools/call", json!({"name": "write", "arguments": {"text": "a"}}));
        // Whatever the client sees of it, if it sees anything.
        let mut line = caller.begin(call).await;
        let reply = line.reply().await;
        clean("an answer", format!("{:?} {}", reply.headers, reply.text()).as_bytes(), &token);
    }
    clock.left.store(0, Ordering::SeqCst);
    let said = SAID.lock().unwrap().clone();
    let broken = said.matches("the clock breaks").count();
    assert!(broken > 5, "{broken}: {said}");
    clean("a panic", said.as_bytes(), &token);
    all_is_clean(&bed.up, &token);
    clean("the data folder", &bed.gateway.data(), &token);
    bed.bystander_is_served().await;
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
        .set(&["servers", "up", "identity"], json!({"header": "X-Identity"}))
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
    for seen in up.seen() {
        clean("the log", &log, seen.headers["x-identity"].to_str().unwrap());
    }
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
