use super::*;

mod client_certificates;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

/// A running listener. Dropping `stop` begins the drain.
struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<Drained>,
}

impl Running {
    async fn drained(mut self) -> Drained {
        drop(self.stop.take());
        self.served.await.unwrap()
    }

    async fn connect(&self) -> TcpStream {
        connect(self.address).await
    }
}

#[allow(clippy::disallowed_methods, reason = "the tests are the client of the door in")]
async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

fn config() -> Config {
    let limits = model::Limits { head_timeout: Duration::from_secs(5), ..model::Limits::default() };
    Config::new("127.0.0.1:0".parse().unwrap(), &limits)
}

async fn run<H, F>(config: Config, tls: Option<Tls>, handler: H) -> Running
where
    H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = Listener::bind(config, tls).await.unwrap();
    let address = listener.address().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(listener.serve(handler, async {
        let _ = stopped.await;
    }));
    Running { address, stop: Some(stop), served }
}

async fn echo(request: Request<Incoming>, _: Peer) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let body = crate::collect(request.into_body(), 1 << 20).await.unwrap();
    Response::new(Body::full([path.as_bytes(), b" ", &body].concat()))
}

/// Everything until the other side closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let running = run(config(), None, echo).await;
    let mut stream = running.connect().await;
    let text = "POST /1 HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\noneGET /2 HTTP/1.1\r\nhost: x\r\n\r\n\
                POST /3 HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 5\r\n\r\nthree";
    stream.write_all(text.as_bytes()).await.unwrap();
    let answers = rest(&mut stream).await;
    let found: Vec<_> =
        ["/1 one", "/2 ", "/3 three"].iter().map(|body| answers.find(body).unwrap()).collect();
    assert!(found.is_sorted(), "{answers}");
}

#[tokio::test]
async fn a_dropped_connection_drops_the_handler() {
    struct Bell(mpsc::Sender<&'static str>);
    impl Drop for Bell {
        fn drop(&mut self) {
            let _ = self.0.try_send("dropped");
        }
    }
    let (bell, mut rings) = mpsc::channel(4);
    let running = run(config(), None, move |request: Request<Incoming>, _| {
        let bell = bell.clone();
        async move {
            crate::collect(request.into_body(), 100).await.unwrap();
            bell.try_send("called").unwrap();
            let _bell = Bell(bell);
            std::future::pending::<Response<Body>>().await
        }
    })
    .await;
    let mut stream = running.connect().await;
    stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
    assert_eq!(rings.recv().await, Some("called"));
    drop(stream);
    assert_eq!(rings.recv().await, Some("dropped"));
}

#[tokio::test]
async fn a_dropped_connection_drops_the_stream_of_its_answer() {
    let (feed, feed_end) = mpsc::channel::<Bytes>(1);
    let end = Arc::new(std::sync::Mutex::new(Some(feed_end)));
    let running = run(config(), None, move |_, _| {
        let mut source = end.lock().unwrap().take().unwrap();
        let chunks = futures_util::stream::poll_fn(move |cx| source.poll_recv(cx).map(|chunk| chunk.map(Ok)));
        std::future::ready(Response::new(Body::stream(chunks)))
    })
    .await;
    let mut stream = running.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    feed.send(Bytes::from_static(b"first")).await.unwrap();
    let mut seen = String::new();
    while !seen.contains("first") {
        let mut bytes = [0; 256];
        let count = stream.read(&mut bytes).await.unwrap();
        seen.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    drop(stream);
    feed.closed().await;
}

#[tokio::test]
async fn a_slow_head_is_cut_off() {
    let limits = Config { head_timeout: Duration::from_millis(100), ..config() };
    let running = run(limits, None, echo).await;
    // Nothing at all, a head that never ends, and a pause after an answer.
    let mut silent = running.connect().await;
    assert_eq!(rest(&mut silent).await, "");
    let mut dribbling = running.connect().await;
    dribbling.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
    assert!(!rest(&mut dribbling).await.contains("200"));
    let mut idle = running.connect().await;
    idle.write_all(b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(rest(&mut idle).await.ends_with("/a "));
}

#[tokio::test]
async fn a_large_head_is_refused() {
    let running = run(Config { head_bytes: 4096, ..config() }, None, echo).await;
    for (length, status) in [(1000, "200"), (5000, "431"), (100_000, "431")] {
        let mut stream = running.connect().await;
        let text =
            format!("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: {}\r\n\r\n", "a".repeat(length));
        let _ = stream.write_all(text.as_bytes()).await;
        let answer = rest(&mut stream).await;
        // A client that is still writing may see the connection reset instead.
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) || (length > 50_000 && answer.is_empty()),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn garbage_is_no_request() {
    let running = run(config(), None, |_, _| async { panic!("called") }).await;
    for garbage in [
        "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
        "GET / HTTP/1.1\r\nhost : x\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
    ] {
        let mut stream = running.connect().await;
        stream.write_all(garbage.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        assert!(!rest(&mut stream).await.contains(" 200 "), "{garbage:?}");
    }
}

#[tokio::test]
async fn connections_over_the_cap_wait() {
    let running = run(Config { connections: 1, ..config() }, None, echo).await;
    let mut first = running.connect().await;
    first.write_all(b"GET /1 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();
    let mut second = running.connect().await;
    second.write_all(b"GET /2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(100), second.read(&mut byte)).await.is_err());
    drop(first);
    assert!(rest(&mut second).await.ends_with("/2 "));
}

#[tokio::test]
async fn a_drain_lets_requests_end_and_closes_idle_connections() {
    let (started, mut starts) = mpsc::channel(1);
    let (finish, finished) = tokio::sync::watch::channel(false);
    let running = run(config(), None, move |_, _| {
        let (started, mut finished) = (started.clone(), finished.clone());
        async move {
            started.send(()).await.unwrap();
            finished.wait_for(|done| *done).await.unwrap();
            Response::new(Body::full("done"))
        }
    })
    .await;
    let mut idle = running.connect().await;
    let mut busy = running.connect().await;
    busy.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    starts.recv().await.unwrap();
    let address = running.address;
    let drained = tokio::spawn(running.drained());
    // The listener is gone while the request is still under way.
    #[allow(clippy::disallowed_methods, reason = "the tests are the client of the door in")]
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    finish.send_replace(true);
    let answer = rest(&mut busy).await;
    assert!(answer.contains("connection: close") && answer.ends_with("done"), "{answer}");
    drop(busy);
    assert_eq!(rest(&mut idle).await, "");
    assert_eq!(drained.await.unwrap(), Drained { ended: 2, cut: 0 });
}

#[tokio::test]
async fn a_drain_ends_at_its_deadline() {
    let (started, mut starts) = mpsc::channel(1);
    let limits = Config { drain_timeout: Duration::from_millis(50), ..config() };
    let running = run(limits, None, move |_, _| {
        let started = started.clone();
        async move {
            started.send(()).await.unwrap();
            std::future::pending::<Response<Body>>().await
        }
    })
    .await;
    let mut stream = running.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    starts.recv().await.unwrap();
    assert_eq!(running.drained().await, Drained { ended: 0, cut: 1 });
    assert_eq!(rest(&mut stream).await, "");
}

/// A certificate for `localhost`, its key, and the files they stand in.
fn certificate(folder: &std::path::Path) -> (TlsFiles, rustls::pki_types::CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let files =
        TlsFiles { cert_file: folder.join("cert.pem"), key_file: folder.join("key.pem"), clients: None };
    std::fs::write(&files.cert_file, made.cert.pem()).unwrap();
    std::fs::write(&files.key_file, made.signing_key.serialize_pem()).unwrap();
    let der = rustls::pki_types::CertificateDer::from_pem_file(&files.cert_file).unwrap();
    (files, der)
}

/// A TLS client that trusts `root` and offers `alpn`.
async fn tls_connect(
    address: SocketAddr,
    root: &rustls::pki_types::CertificateDer<'static>,
    alpn: &[u8],
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = "localhost".try_into().unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, connect(address).await).await
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (files, first) = certificate(folder.path());
    let tls = Tls::load(files).unwrap();
    let running = run(config(), Some(tls.clone()), |_, peer: Peer| async move {
        assert!(peer.tls);
        Response::new(Body::full("hi"))
    })
    .await;
    let mut stream = tls_connect(running.address, &first, b"http/1.1").await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.ends_with(b"hi"));
    let (files, second) = certificate(folder.path());
    tls.reload().unwrap();
    assert!(tls_connect(running.address, &first, b"http/1.1").await.is_err());
    assert!(tls_connect(running.address, &second, b"http/1.1").await.is_ok());
    // A broken file leaves the certificate in use.
    std::fs::write(&files.key_file, "nonsense").unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::File { .. })));
    assert!(tls_connect(running.address, &second, b"http/1.1").await.is_ok());
}

async fn h2_get<S>(stream: S) -> String
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut send, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://x/h2").body(Empty::<Bytes>::new()).unwrap();
    let answer = send.send_request(request).await.unwrap();
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn http2_is_spoken_by_alpn_and_by_prior_knowledge() {
    let folder = tempfile::tempdir().unwrap();
    let (files, root) = certificate(folder.path());
    let running = run(config(), Some(Tls::load(files).unwrap()), echo).await;
    let stream = tls_connect(running.address, &root, b"h2").await.unwrap();
    assert_eq!(h2_get(stream).await, "/h2 ");
    let plain = run(config(), None, echo).await;
    assert_eq!(h2_get(plain.connect().await).await, "/h2 ");
    assert_eq!(plain.drained().await.cut, 0);
}

#[tokio::test]
async fn a_stalled_handshake_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = certificate(folder.path());
    let limits = Config { head_timeout: Duration::from_millis(100), ..config() };
    let running = run(limits, Some(Tls::load(files).unwrap()), echo).await;
    let mut stream = running.connect().await;
    stream.write_all(b"\x16\x03\x01").await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
}
