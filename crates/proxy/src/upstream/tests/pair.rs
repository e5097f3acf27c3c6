//! HTTP+SSE (2024-11-05): a GET stream that names an endpoint, and POSTs to it.

use super::*;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const MODERN: Version = Version::V2026_07_28;
const OLDER: Version = Version::V2025_11_25;

/// What the server does with a POSTed message, by its method: what it says on its stream.
type Script = fn(&Post) -> Vec<String>;

#[derive(Clone, Debug)]
struct Post {
    path: String,
    body: serde_json::Value,
    authorization: Option<String>,
}

impl Post {
    fn method(&self) -> &str {
        self.body["method"].as_str().unwrap_or("")
    }

    fn result(&self, result: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, self.body["id"])
    }
}

struct House {
    /// How the endpoint is named; `{}` is the session.
    endpoint: String,
    script: Script,
    /// Whether a message is worked on before it is taken with 202.
    slow: bool,
    streams: Mutex<HashMap<String, mpsc::Sender<String>>>,
    posts: Mutex<Vec<Post>>,
    /// The credentials with which streams were opened.
    credentials: Mutex<Vec<Option<String>>>,
    /// Whether calls are refused after the server has worked on them.
    refuses: AtomicBool,
    opened: AtomicUsize,
    /// Messages to the address of the stream, which takes none.
    astray: AtomicUsize,
}

struct Server {
    house: Arc<House>,
    address: std::net::SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(endpoint: &str, slow: bool, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let house = Arc::new(House {
            endpoint: endpoint
                .replace("{origin}", &format!("http://{address}"))
                .replace("{address}", &address.to_string()),
            script,
            slow,
            streams: Mutex::default(),
            posts: Mutex::default(),
            credentials: Mutex::default(),
            refuses: AtomicBool::new(false),
            opened: AtomicUsize::new(0),
            astray: AtomicUsize::new(0),
        });
        let serving = Arc::clone(&house);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let house = Arc::clone(&serving);
                connections.spawn(async move { drop(house.converse(stream).await) });
            }
        });
        Self { house, address, task }
    }

    fn upstreams(&self) -> Upstreams {
        upstreams(Limits::default(), &[over_http("s", self.url())])
    }

    fn url(&self) -> ::http::Uri {
        format!("http://{}/tools/sse", self.address).parse().unwrap()
    }

    fn posts(&self) -> Vec<Post> {
        self.house.posts.lock().unwrap().clone()
    }

    async fn wait(&self, what: &str, fits: impl Fn(&Self) -> bool) {
        for _ in 0..500 {
            if fits(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{what}: {:?}", self.posts());
    }

    fn open_streams(&self) -> usize {
        self.house.streams.lock().unwrap().values().filter(|stream| !stream.is_closed()).count()
    }
}

impl House {
    async fn converse(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut pending = Vec::new();
        loop {
            let Some((head, body)) = read(&mut stream, &mut pending).await? else { return Ok(()) };
            let mut first = head.lines().next().unwrap().split(' ');
            let (verb, path) = (first.next().unwrap(), first.next().unwrap().to_owned());
            let authorization = head.lines().find_map(|line| line.strip_prefix("authorization: "));
            let authorization = authorization.map(str::to_owned);
            if verb == "GET" && path == "/tools/sse" {
                self.credentials.lock().unwrap().push(authorization);
                return self.stream(stream).await;
            }
            let session = path.split("session=").nth(1).unwrap_or_default();
            let out = self.streams.lock().unwrap().get(session).cloned();
            let (Some(out), "POST") = (out, verb) else {
                self.astray.fetch_add(usize::from(path == "/tools/sse"), Ordering::SeqCst);
                let status = if path == "/tools/sse" { "405 Method Not Allowed" } else { "404 Not Found" };
                stream
                    .write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes())
                    .await?;
                continue;
            };
            let body = serde_json::from_slice(&body).unwrap();
            let post = Post { path, body, authorization };
            self.posts.lock().unwrap().push(post.clone());
            let taken = b"HTTP/1.1 202 Accepted\r\ncontent-length: 8\r\n\r\nAccepted";
            if !self.slow {
                stream.write_all(taken).await?;
            }
            for said in (self.script)(&post) {
                drop(out.send(format!("event: message\r\ndata: {said}\r\n\r\n")).await);
            }
            if self.slow {
                tokio::time::sleep(Duration::from_millis(200)).await;
                let refused = post.method() == "tools/call" && self.refuses.load(Ordering::SeqCst);
                let failed = b"HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(if refused { failed } else { taken }).await?;
            }
        }
    }

    async fn stream(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let session = self.opened.fetch_add(1, Ordering::SeqCst).to_string();
        let (sender, mut said) = mpsc::channel::<String>(64);
        let endpoint = format!("event: endpoint\r\ndata: {}\r\n\r\n", self.endpoint.replace("{}", &session));
        self.streams.lock().unwrap().insert(session, sender);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        stream.write_all(format!("{head}{endpoint}").as_bytes()).await?;
        let (mut reader, mut writer) = stream.split();
        let mut nothing = [0; 16];
        loop {
            tokio::select! {
                event = said.recv() => match event {
                    Some(event) => writer.write_all(event.as_bytes()).await?,
                    None => return Ok(()),
                },
                read = reader.read(&mut nothing) => if read.map_or(true, |count| count == 0) { return Ok(()) },
            }
        }
    }
}

async fn read(stream: &mut TcpStream, pending: &mut Vec<u8>) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut chunk = [0; 4096];
    loop {
        if let Some(end) = pending.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&pending[..end]).into_owned();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = length.map_or(0, |length| length.parse::<usize>().unwrap());
            if pending.len() >= end + 4 + length {
                let body = pending[end + 4..end + 4 + length].to_vec();
                pending.drain(..end + 4 + length);
                return Ok(Some((head, body)));
            }
        }
        let count = stream.read(&mut chunk).await?;
        if count == 0 {
            return Ok(None);
        }
        pending.extend_from_slice(&chunk[..count]);
    }
}

fn plain(post: &Post) -> Vec<String> {
    match post.method() {
        "initialize" => vec![post.result(
            r#"{"protocolVersion":"2024-11-05","capabilities":{},"serverInfo":{"name":"s","version":"1"}}"#,
        )],
        "tools/call" => vec![post.result(r#"{"content":[]}"#)],
        _ => vec![],
    }
}

#[tokio::test]
async fn a_server_of_the_older_transport_serves_clients_of_both_eras() {
    for (endpoint, folder) in [
        ("/messages?session={}", "/messages"),
        ("messages?session={}", "/tools/messages"),
        ("?session={}", "/tools/sse"),
        ("../messages?session={}", "/messages"),
        ("/messages?to=http://elsewhere/&session={}", "/messages"),
        ("{origin}/tools/messages?session={}", "/tools/messages"),
        ("HTTP://{address}/tools/messages?session={}", "/tools/messages"),
    ] {
        let server = Server::start(endpoint, false, plain).await;
        let upstreams = server.upstreams();
        assert_eq!(answer(&upstreams, call("s", OLDER)).await, r#"{"content":[]}"#, "{endpoint}");
        let text = answer(&upstreams, call("s", MODERN)).await;
        assert!(text.contains("resultType"), "{text}");
        let methods: Vec<_> = server.posts().iter().map(|post| post.method().to_owned()).collect();
        let opening = ["initialize", "notifications/initialized", "tools/call"];
        assert_eq!(methods, [opening, opening].concat(), "one for each client session, opened once");
        assert!(server.posts().iter().all(|post| post.path.starts_with(folder)), "{:?}", server.posts());
    }
}

#[tokio::test]
async fn an_endpoint_of_another_origin_is_refused() {
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = other.local_addr().unwrap().to_string();
    for endpoint in [
        format!("http://{elsewhere}/m?session={{}}"),
        format!("HTTP://{elsewhere}/m?session={{}}"),
        format!("http://{{address}}@{elsewhere}/m?session={{}}"),
        "http://user:secret@{address}/m?session={}".into(),
        "https://{address}/m?session={}".into(),
        format!("//{elsewhere}/m"),
        format!("http:/{elsewhere}/m"),
        format!("http:\\\\{elsewhere}/m"),
        format!("\\\\{elsewhere}\\m"),
        format!("/%2f{elsewhere}/m"),
        "https://x/ y".into(),
    ] {
        let server = Server::start(&endpoint, false, plain).await;
        let text = answer(&server.upstreams(), call("s", OLDER)).await;
        assert!(text.contains("NotSent"), "{text}");
        assert_eq!(server.posts().len(), 0, "{endpoint}");
    }
    let nobody = tokio::time::timeout(Duration::from_millis(100), other.accept()).await;
    assert!(nobody.is_err(), "the other origin was contacted");
}

#[tokio::test]
async fn a_page_of_json_names_no_endpoint() {
    let fake = super::fake::Fake::start(|seen| match seen.verb.as_str() {
        "GET" => super::fake::json(r#"{"status":"ok"}"#.to_owned()),
        _ => super::fake::status(405, ""),
    })
    .await;
    let upstreams = upstreams(Limits::default(), &[over_http("s", fake.url())]);
    let text = answer(&upstreams, call("s", OLDER)).await;
    assert!(text.contains("NotSent"), "{text}");
    let seen = fake.seen();
    assert!(
        seen.iter().any(|seen| seen.verb == "GET") && seen.iter().all(|seen| seen.path == "/mcp?x=1"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn an_answer_may_come_before_its_request_is_taken() {
    let server = Server::start("/messages?session={}", true, plain).await;
    assert_eq!(answer(&server.upstreams(), call("s", OLDER)).await, r#"{"content":[]}"#);
}

#[tokio::test]
async fn a_server_that_forgot_its_session_is_opened_again() {
    let server = Server::start("/messages?session={}", false, plain).await;
    let upstreams = server.upstreams();
    answer(&upstreams, call("s", OLDER)).await;
    // The stream stays, but the endpoint knows its session no more.
    let kept = std::mem::take(&mut *server.house.streams.lock().unwrap());
    assert_eq!(answer(&upstreams, call("s", OLDER)).await, r#"{"content":[]}"#);
    assert_eq!(server.house.opened.load(Ordering::SeqCst), 2);
    drop(kept);
}

#[tokio::test]
async fn a_stream_that_ends_fails_its_calls_and_the_next_call_opens_another() {
    let silent: Script = |post| if post.method() == "tools/call" { vec![] } else { plain(post) };
    let server = Server::start("/messages?session={}", false, silent).await;
    let upstreams = server.upstreams();
    let mut exchange = upstreams.exchange(call("s", OLDER)).await.unwrap();
    server.house.streams.lock().unwrap().clear();
    let error = exchange.next().await.err().unwrap();
    assert_eq!(error.sent, Sent::Unknown, "{}", error.detail());
    drop(exchange);
    drop(upstreams.exchange(call("s", OLDER)).await.unwrap());
    assert_eq!(server.house.opened.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn questions_progress_and_withdrawal_travel_as_on_a_pipe() {
    let asks: Script = |post| match post.method() {
        "tools/call" => vec![
            r#"{"jsonrpc":"2.0","id":"q","method":"roots/list"}"#.into(),
            r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#.into(),
        ],
        _ => plain(post),
    };
    let server = Server::start("/messages?session={}", false, asks).await;
    let upstreams = server.upstreams();
    let mut exchange = upstreams.exchange(call("s", OLDER)).await.unwrap();
    let Ok(Inbound::Request(question)) = exchange.next().await else { panic!("no question") };
    let bytes = protocol::reply::result(&question.id, br#"{"roots":[]}"#);
    let result = raw(r#"{"roots":[]}"#).members().unwrap();
    exchange
        .answer(Response { id: Some(question.id), outcome: Outcome::Result(result), bytes })
        .await
        .unwrap();
    let answered =
        |id: &'static str| move |post: &Post| post.body["id"] == id && post.body["result"].is_object();
    server
        .wait("the answers", |server| {
            let posts = server.posts();
            posts.iter().any(answered("q")) && posts.iter().any(answered("p"))
        })
        .await;
    drop(exchange);
    server
        .wait("the withdrawal", |server| {
            server.posts().iter().any(|post| post.method() == "notifications/cancelled")
        })
        .await;
}

#[tokio::test]
async fn the_credential_is_on_the_stream_and_on_every_message_and_nothing_is_left_open() {
    let server = Server::start("/messages?session={}", false, plain).await;
    let mut headers = broker::Plan::headers(
        "a",
        vec![(::http::header::AUTHORIZATION, {
            let file = std::env::temp_dir().join(format!("portunus-pair-{}", std::process::id()));
            std::fs::write(&file, "k-1").unwrap();
            broker::Reference::file(&file).with_prefix("Bearer ")
        })],
    );
    let plan = headers.as_mut().unwrap();
    let upstreams = server.upstreams();
    let mut out = call("s", OLDER);
    out.credential = broker::attach(plan, None, None).unwrap();
    answer(&upstreams, out).await;
    let posts = server.posts();
    assert_eq!(posts.len(), 3);
    assert!(posts.iter().all(|post| post.authorization.as_deref() == Some("Bearer k-1")), "{posts:?}");
    assert_eq!(*server.house.credentials.lock().unwrap(), [Some("Bearer k-1".to_owned())]);
    assert_eq!(server.open_streams(), 1);
    upstreams.end(&Owner { principal: principal(1), session: Some(Digest([1; 32])) });
    server.wait("the end of the stream", |server| server.open_streams() == 0).await;
}

#[tokio::test]
async fn a_call_that_is_refused_after_the_server_has_spoken_may_have_taken_effect() {
    let speaks: Script = |post| match post.method() {
        "tools/call" => vec![
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}"#.into(),
        ],
        _ => plain(post),
    };
    let server = Server::start("/messages?session={}", true, speaks).await;
    server.house.refuses.store(true, Ordering::SeqCst);
    let upstreams = server.upstreams();
    let mut exchange = upstreams.exchange(call("s", OLDER)).await.unwrap();
    assert!(matches!(exchange.next().await.unwrap(), Inbound::Notification(_)));
    let next = tokio::time::timeout(Duration::from_secs(10), exchange.next()).await;
    let error = next.expect("it waits for an answer that does not come").err().unwrap();
    assert_eq!((error.code, error.sent), (model::Code::UPSTREAM_FAILED, Sent::Unknown));
}

#[tokio::test]
async fn an_endpoint_that_is_not_named_is_not_waited_for_long() {
    use super::fake::{Fake, Say, Then, status};
    let unnamed: [Say; 2] = [Say::Hang, Say::Events(vec![], Then::Silence)];
    let asked = unnamed.map(|stream| async move {
        let script =
            move |seen: &super::fake::Seen| if seen.verb == "GET" { stream.clone() } else { status(405, "") };
        let fake = Fake::start(script).await;
        let upstreams = upstreams(Limits::default(), &[over_http("s", fake.url())]);
        answer(&upstreams, call("s", OLDER)).await
    });
    for text in futures_util::future::join_all(asked).await {
        assert!(text.starts_with("PTN-4001") && text.contains("NotSent"), "{text}");
    }
}

#[tokio::test]
async fn a_followed_resource_ends_with_its_link() {
    let script: Script = |post| match post.method() {
        "resources/subscribe" => vec![post.result("{}")],
        _ => plain(post),
    };
    let server = Server::start("/messages?session={}", false, script).await;
    let upstreams = server.upstreams();
    let mut out = call("s", MODERN);
    out.method = Method::SubscriptionsListen;
    out.params = raw(r#"{"notifications":{"resourceSubscriptions":["x://1"]}}"#).members();
    let mut exchange = upstreams.exchange(out).await.unwrap();
    upstreams.reload(&BTreeMap::new());
    let next = tokio::time::timeout(Duration::from_secs(10), exchange.next()).await;
    assert!(next.expect("it is followed for ever").is_err());
}

#[tokio::test]
async fn the_transport_is_found_out_once_and_again_when_it_has_changed() {
    let server = Server::start("/messages?session={}", false, plain).await;
    let upstreams = server.upstreams();
    for _ in 0..3 {
        assert_eq!(answer(&upstreams, call("s", OLDER)).await, r#"{"content":[]}"#);
    }
    assert_eq!(server.house.astray.load(Ordering::SeqCst), 1);
    let address = server.address;
    let streams = Arc::clone(&server.house);
    drop(server);
    streams.streams.lock().unwrap().clear();
    let _other = super::fake::Fake::start_at(address, |seen| match seen.method() {
        "initialize" => super::fake::json(seen.result(
            r#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}"#,
        )),
        "tools/call" => super::fake::json(seen.result(r#"{"content":[{}]}"#)),
        _ if seen.verb == "GET" => super::fake::status(405, ""),
        _ => super::fake::status(202, ""),
    })
    .await;
    let mut answers = Vec::new();
    while answers.last().map(String::as_str) != Some(r#"{"content":[{}]}"#) {
        assert!(answers.len() < 50, "{answers:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        answers.push(answer(&upstreams, call("s", OLDER)).await);
    }
}

#[tokio::test]
async fn a_server_that_is_ill_is_not_taken_for_one_of_the_older_transport() {
    for ill in [401, 503] {
        let script = move |seen: &super::fake::Seen| match seen.verb.as_str() {
            "POST" => super::fake::status(ill, ""),
            _ => super::fake::status(405, ""),
        };
        let fake = super::fake::Fake::start(script).await;
        answer(&upstreams(Limits::default(), &[over_http("s", fake.url())]), call("s", OLDER)).await;
        assert!(fake.seen().iter().all(|seen| seen.verb == "POST"), "{ill}: {:?}", fake.seen());
    }
}

#[tokio::test]
async fn a_stream_that_no_call_uses_is_closed() {
    let server = Server::start("/messages?session={}", false, plain).await;
    let limits = Limits { idle_timeout: Duration::from_millis(200), ..Limits::default() };
    let upstreams = upstreams(limits, &[over_http("s", server.url())]);
    answer(&upstreams, call("s", OLDER)).await;
    server.wait("the end of the stream", |server| server.open_streams() == 0).await;
}
