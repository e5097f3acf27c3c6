use super::*;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt as _;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A server that hands each connection to `serve` and counts them.
async fn server<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream));
        }
    });
    (address, count)
}

/// Reads one request: its head and as many body bytes as it announces.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes).into_owned();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse::<usize>().unwrap());
            if bytes.len() >= end + 4 + length {
                return Some(head);
            }
        }
        match stream.read_buf(&mut bytes).await {
            Ok(1..) => {}
            _ => return None,
        }
    }
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

async fn always_ok(mut stream: TcpStream) {
    while read_request(&mut stream).await.is_some() {
        stream.write_all(OK).await.unwrap();
    }
}

fn client() -> Client {
    Client::new(&Config { connect_timeout: Duration::from_secs(2), ..Config::default() }).unwrap()
}

fn local(client: &Client, address: SocketAddr) -> Destination {
    client.destination(&format!("http://{address}").parse().unwrap(), Rule::LOOPBACK).unwrap()
}

fn post(path: &str) -> Request<Bytes> {
    Request::post(path).body(Bytes::from_static(b"body")).unwrap()
}

async fn text(answer: Response<Answer>) -> String {
    String::from_utf8(crate::collect(answer.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn an_answer_read_to_its_end_gives_its_connection_back() {
    let (address, connections) = server(always_ok).await;
    let client = client();
    let to = local(&client, address);
    for _ in 0..5 {
        assert_eq!(text(client.send(&to, post("/a?b=c")).await.unwrap()).await, "hello");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn chunked_and_empty_answers_give_their_connections_back() {
    let (address, connections) = server(|mut stream| async move {
        for reply in [
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlast",
        ] {
            read_request(&mut stream).await.unwrap();
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
    })
    .await;
    let client = client();
    let to = local(&client, address);
    for expect in ["abcde", "", "", "last"] {
        assert_eq!(text(client.send(&to, post("/")).await.unwrap()).await, expect);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_request_goes_out_in_origin_form_with_its_own_host() {
    let (seen, mut heads) = tokio::sync::mpsc::channel(1);
    let (address, _) = server(move |mut stream| {
        let seen = seen.clone();
        async move {
            seen.send(read_request(&mut stream).await.unwrap()).await.unwrap();
            stream.write_all(OK).await.unwrap();
        }
    })
    .await;
    let client = client();
    let mut request = post("http://elsewhere.test/x?y=z");
    request.headers_mut().insert(HOST, HeaderValue::from_static("elsewhere.test"));
    client.send(&local(&client, address), request).await.unwrap();
    let head = heads.recv().await.unwrap();
    assert!(head.starts_with("POST /x?y=z HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: {address}\r\n")) && !head.contains("elsewhere"), "{head}");
}

#[tokio::test]
async fn an_answer_dropped_early_closes_its_connection() {
    let (closed, mut closings) = tokio::sync::mpsc::channel(1);
    let (address, _) = server(move |mut stream| {
        let closed = closed.clone();
        async move {
            read_request(&mut stream).await.unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
                .await
                .unwrap();
            // The end of the stream is the only news there can be.
            assert!(matches!(stream.read(&mut [0; 16]).await, Ok(0) | Err(_)));
            closed.send(()).await.unwrap();
        }
    })
    .await;
    let client = client();
    let mut answer = client.send(&local(&client, address), post("/")).await.unwrap().into_body();
    assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap(), "abc");
    drop(answer);
    closings.recv().await.unwrap();
}

#[tokio::test]
async fn a_request_dropped_before_its_answer_closes_its_connection() {
    let (closed, mut closings) = tokio::sync::mpsc::channel(1);
    let (address, _) = server(move |mut stream| {
        let closed = closed.clone();
        async move {
            read_request(&mut stream).await.unwrap();
            closed.send("asked").await.unwrap();
            assert!(matches!(stream.read(&mut [0; 16]).await, Ok(0) | Err(_)));
            closed.send("closed").await.unwrap();
        }
    })
    .await;
    let client = client();
    let to = local(&client, address);
    let send = tokio::spawn(async move { client.send(&to, post("/")).await.map(|_| ()) });
    assert_eq!(closings.recv().await.unwrap(), "asked");
    send.abort();
    assert_eq!(closings.recv().await.unwrap(), "closed");
}

#[tokio::test]
async fn a_pooled_connection_that_was_closed_is_not_used_again() {
    let (address, connections) = server(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(OK).await.unwrap();
    })
    .await;
    let client = client();
    let to = local(&client, address);
    for _ in 0..3 {
        assert_eq!(text(client.send(&to, post("/")).await.unwrap()).await, "hello");
        // Let the news of the close arrive.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_not_sent_twice() {
    let (address, connections) = server(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(OK).await.unwrap();
        read_request(&mut stream).await.unwrap();
        // Closed after the second request, without an answer.
    })
    .await;
    let client = client();
    let to = local(&client, address);
    assert_eq!(text(client.send(&to, post("/")).await.unwrap()).await, "hello");
    let error = client.send(&to, post("/")).await.err().unwrap();
    assert!(matches!(error, EgressError::Unknown(_)), "{error:?}");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn nobody_listening_means_not_sent() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let client = client();
    let error = client.send(&local(&client, address), post("/")).await.err().unwrap();
    assert!(error.is_not_sent() && matches!(error, EgressError::NotSent(DialError::Connect(_))), "{error:?}");
}

#[tokio::test]
async fn redirects_are_answers_like_any_other() {
    let (address, connections) = server(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        let reply = b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(reply).await.unwrap();
    })
    .await;
    let client = client();
    let answer = client.send(&local(&client, address), post("/")).await.unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_pool_keeps_no_more_than_its_bound_and_not_for_long() {
    let (address, connections) = server(always_ok).await;
    let client = Client::new(&Config {
        idle_connections: 2,
        idle_timeout: Duration::from_millis(60),
        ..Config::default()
    })
    .unwrap();
    let to = local(&client, address);
    let answers = futures_util::future::join_all((0..4).map(|_| client.send(&to, post("/")))).await;
    for answer in answers {
        text(answer.unwrap()).await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 4);
    let parked = || to.pool.len();
    assert_eq!(parked(), 2);
    tokio::time::timeout(Duration::from_secs(5), async {
        while parked() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_body_over_its_bound_is_refused() {
    let (address, _) = server(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while stream.write_all(b"5\r\nhello\r\n").await.is_ok() {}
    })
    .await;
    let client = client();
    let answer = client.send(&local(&client, address), post("/")).await.unwrap();
    let error = crate::collect(answer.into_body(), 1000).await.err().unwrap();
    assert!(matches!(error, crate::body::CollectError::TooLong(1000)), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_taken_for_whole() {
    for reply in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let (address, _) = server(move |mut stream| async move {
            read_request(&mut stream).await.unwrap();
            stream.write_all(reply.as_bytes()).await.unwrap();
        })
        .await;
        let client = client();
        let answer = client.send(&local(&client, address), post("/")).await.unwrap();
        let error = crate::collect(answer.into_body(), 1000).await.err().unwrap();
        assert!(matches!(error, crate::body::CollectError::Broken(_)), "{error:?}");
    }
    // Without a length, the close is the end (RFC 9112 §6.3).
    let (address, _) = server(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").await.unwrap();
    })
    .await;
    let client = client();
    assert_eq!(text(client.send(&local(&client, address), post("/")).await.unwrap()).await, "hello");
}

/// Answers in order: a name that changes its mind.
struct Script(Mutex<VecDeque<Vec<IpAddr>>>);

impl Resolve for Script {
    fn resolve<'a>(&'a self, _: &'a str, port: u16) -> BoxFuture<'a, std::io::Result<Vec<SocketAddr>>> {
        let next = self.0.lock().unwrap().pop_front().unwrap_or_default();
        std::future::ready(Ok(next.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())).boxed()
    }
}

/// A client whose name service gives the scripted answers.
fn scripted(answers: &[&[&str]]) -> Client {
    let answers = answers.iter().map(|answer| answer.iter().map(|text| text.parse().unwrap()).collect());
    client().resolving_by(Arc::new(Script(Mutex::new(answers.collect()))))
}

async fn refusal(url: &str, rule: Rule, answers: &[&[&str]]) -> DialError {
    let client = scripted(answers);
    let to = client.destination(&url.parse().unwrap(), rule).unwrap();
    match client.send(&to, post("/")).await {
        Err(EgressError::NotSent(error)) => error,
        other => panic!("{url} {answers:?}: {:?}", other.map(|_| ())),
    }
}

#[tokio::test]
async fn names_may_only_resolve_to_what_their_rule_allows() {
    for answers in
        [["127.0.0.1"], ["::1"], ["10.0.0.1"], ["169.254.169.254"], ["::ffff:127.0.0.1"], ["0.0.0.0"]]
    {
        let error = refusal("https://name.test", Rule::PUBLIC, &[&answers]).await;
        assert!(matches!(error, DialError::Forbidden(_)), "{answers:?} {error:?}");
    }
    // One bad address among good ones is enough.
    let error = refusal("https://name.test", Rule::PUBLIC, &[&["8.8.8.8", "10.0.0.1"]]).await;
    assert!(matches!(error, DialError::Forbidden(_)));
    let error = refusal("http://name.test", Rule::LOOPBACK, &[&["8.8.8.8"]]).await;
    assert!(matches!(error, DialError::Plain(_)));
    assert!(matches!(refusal("https://name.test", Rule::PUBLIC, &[&[]]).await, DialError::NoAddress));
}

#[tokio::test]
async fn a_name_that_turns_private_is_refused() {
    let (address, connections) = server(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(OK).await.unwrap();
    })
    .await;
    let client = scripted(&[&["127.0.0.1"], &["10.0.0.1"]]);
    let to = client
        .destination(&format!("http://name.test:{}", address.port()).parse().unwrap(), Rule::LOOPBACK)
        .unwrap();
    assert_eq!(text(client.send(&to, post("/")).await.unwrap()).await, "hello");
    tokio::time::sleep(Duration::from_millis(20)).await;
    let error = client.send(&to, post("/")).await.err().unwrap();
    assert!(matches!(error, EgressError::NotSent(DialError::Forbidden(_))), "{error:?}");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[test]
fn urls_that_are_no_destination_are_refused() {
    let client = client();
    for (url, expect) in [
        ("ftp://a.test/", DestinationError::Scheme),
        ("/path", DestinationError::Scheme),
        ("https://user:pass@a.test/", DestinationError::UserInfo),
        ("https://127.0.0.1/", DestinationError::Forbidden("127.0.0.1".parse().unwrap())),
        ("https://[::ffff:10.0.0.1]/", DestinationError::Forbidden("::ffff:10.0.0.1".parse().unwrap())),
        ("http://169.254.169.254/latest", DestinationError::Forbidden("169.254.169.254".parse().unwrap())),
    ] {
        let error = client.destination(&url.parse().unwrap(), Rule::PUBLIC).err();
        assert_eq!(error, Some(expect), "{url}");
    }
}

#[tokio::test]
async fn hosts_in_disguise_are_judged_by_what_they_resolve_to() {
    // The system's resolver reads these as loopback or fails; neither way is anything dialled.
    for host in ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost"] {
        let client = client();
        let Ok(to) = client.destination(&format!("https://{host}").parse().unwrap(), Rule::PUBLIC) else {
            continue;
        };
        let error = client.send(&to, post("/")).await.err().unwrap();
        let refused = matches!(
            error,
            EgressError::NotSent(DialError::Forbidden(_) | DialError::Resolve(_) | DialError::NoAddress)
        );
        assert!(refused, "{host}: {error:?}");
    }
}

#[tokio::test]
async fn tls_is_believed_by_its_authority_and_name() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let files = crate::listen::TlsFiles {
        cert_file: folder.path().join("cert.pem"),
        key_file: folder.path().join("key.pem"),
        clients: None,
    };
    std::fs::write(&files.cert_file, made.cert.pem()).unwrap();
    std::fs::write(&files.key_file, made.signing_key.serialize_pem()).unwrap();
    let listening = crate::listen::Config::new("127.0.0.1:0".parse().unwrap(), &model::Limits::default());
    let tls = crate::listen::Tls::load(files.clone()).unwrap();
    let listener = crate::listen::Listener::bind(listening, Some(tls)).await.unwrap();
    let port = listener.address().unwrap().port();
    let answer = |_, _| std::future::ready(Response::new(crate::Body::full("hello")));
    tokio::spawn(listener.serve(answer, std::future::pending()));

    let trusting = Config { extra_ca_file: Some(files.cert_file.clone()), ..Config::default() };
    let trusting = Client::new(&trusting).unwrap();
    let to = |host: &str| format!("https://{host}:{port}").parse().unwrap();
    let named = trusting.destination(&to("localhost"), Rule::LOOPBACK).unwrap();
    assert_eq!(text(trusting.send(&named, post("/")).await.unwrap()).await, "hello");
    let unnamed = trusting.destination(&to("127.0.0.1"), Rule::LOOPBACK).unwrap();
    let error = trusting.send(&unnamed, post("/")).await.err().unwrap();
    assert!(matches!(error, EgressError::NotSent(DialError::Tls(_))), "{error:?}");
    let stranger = client();
    let error =
        stranger.send(&stranger.destination(&to("localhost"), Rule::LOOPBACK).unwrap(), post("/")).await;
    assert!(matches!(error, Err(EgressError::NotSent(DialError::Tls(_)))));
    let empty = Config { extra_ca_file: Some(files.key_file), ..Config::default() };
    assert!(matches!(Client::new(&empty), Err(RootsError::Certificate { .. })));
}
