//! An HTTP server that says whatever a test wants, byte by byte.

use serde_json::Value;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) verb: String,
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Value,
}

impl Seen {
    pub(crate) fn method(&self) -> &str {
        self.body["method"].as_str().unwrap_or("")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// `{"jsonrpc":"2.0","id":…,"result":…}`
    pub(crate) fn result(&self, result: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, self.body["id"])
    }

    pub(crate) fn error(&self, code: i64, data: &str) -> String {
        format!(
            r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":{code},"message":"no","data":{data}}}}}"#,
            self.body["id"]
        )
    }
}

/// What the server does.
#[derive(Clone)]
pub(crate) enum Say {
    /// A whole reply: status, content type, further headers, body.
    Whole(u16, &'static str, Vec<(&'static str, String)>, String),
    /// Events; then the end of the stream, silence, or a cut connection.
    Events(Vec<String>, Then),
    /// One event again and again.
    Endless(String),
    /// A JSON body of that many bytes.
    Huge(usize),
    /// Nothing, for ever.
    Hang,
    /// The end of the connection.
    Cut,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    End,
    Silence,
    Cut,
}

pub(crate) fn json(body: String) -> Say {
    Say::Whole(200, "application/json", Vec::new(), body)
}

pub(crate) fn status(code: u16, body: &str) -> Say {
    Say::Whole(code, "application/json", Vec::new(), body.to_owned())
}

pub(crate) fn data(message: &str) -> String {
    format!("data: {message}\n\n")
}

pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Connections that the gateway closed while the server was not done.
    pub(crate) abandoned: Arc<AtomicUsize>,
    pub(crate) connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    pub(crate) async fn start(script: impl Fn(&Seen) -> Say + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), script).await
    }

    /// Where another was before.
    pub(crate) async fn start_at(
        address: SocketAddr,
        script: impl Fn(&Seen) -> Say + Send + Sync + 'static,
    ) -> Self {
        let mut bound = TcpListener::bind(address).await;
        for _ in 0..200 {
            if bound.is_ok() {
                break;
            }
            // Whoever was there lets go of it soon.
            tokio::time::sleep(Duration::from_millis(10)).await;
            bound = TcpListener::bind(address).await;
        }
        let listener = bound.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, abandoned) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::<AtomicUsize>::default());
        let (list, count, script) = (Arc::clone(&seen), Arc::clone(&abandoned), Arc::new(script));
        let accepted = Arc::<AtomicUsize>::default();
        let opened = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                opened.fetch_add(1, Ordering::SeqCst);
                let (list, count, script) = (Arc::clone(&list), Arc::clone(&count), Arc::clone(&script));
                connections.spawn(async move {
                    let _ = converse(stream, &list, &count, script.as_ref()).await;
                });
            }
        });
        Self { address, seen, abandoned, connections: accepted, task }
    }

    pub(crate) fn url(&self) -> http::Uri {
        format!("http://{}/mcp?x=1", self.address).parse().unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, method: &str) -> usize {
        self.seen().iter().filter(|seen| seen.method() == method).count()
    }

    /// The first request that fits, as soon as it has come.
    pub(crate) async fn wait(&self, fits: impl Fn(&Seen) -> bool) -> Seen {
        for _ in 0..500 {
            if let Some(seen) = self.seen().into_iter().find(&fits) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no such request among {:?}", self.seen());
    }

    pub(crate) async fn wait_abandoned(&self) {
        for _ in 0..500 {
            if self.abandoned.load(Ordering::SeqCst) > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the connection was not closed");
    }
}

async fn converse(
    mut stream: TcpStream,
    list: &Mutex<Vec<Seen>>,
    abandoned: &AtomicUsize,
    script: &(impl Fn(&Seen) -> Say + Send + Sync),
) -> std::io::Result<()> {
    let mut pending = Vec::new();
    loop {
        let Some(seen) = read(&mut stream, &mut pending).await? else { return Ok(()) };
        list.lock().unwrap().push(seen.clone());
        let silent = async |stream: &mut TcpStream| {
            let mut rest = [0; 64];
            while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
            abandoned.fetch_add(1, Ordering::SeqCst);
        };
        match script(&seen) {
            Say::Whole(code, kind, headers, body) => {
                let mut head = format!("HTTP/1.1 {code} x\r\ncontent-length: {}\r\n", body.len());
                if !kind.is_empty() {
                    head += &format!("content-type: {kind}\r\n");
                }
                for (name, value) in headers {
                    head += &format!("{name}: {value}\r\n");
                }
                stream.write_all(format!("{head}\r\n{body}").as_bytes()).await?;
            }
            Say::Events(events, then) => {
                stream.write_all(EVENT_HEAD).await?;
                for event in events {
                    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
                    stream.write_all(chunk.as_bytes()).await?;
                }
                match then {
                    Then::End => stream.write_all(b"0\r\n\r\n").await?,
                    Then::Silence => {
                        silent(&mut stream).await;
                        return Ok(());
                    }
                    Then::Cut => return Ok(()),
                }
            }
            Say::Endless(event) => {
                stream.write_all(EVENT_HEAD).await?;
                let chunk = format!("{:x}\r\n{event}\r\n", event.len());
                while stream.write_all(chunk.as_bytes()).await.is_ok() {}
                abandoned.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
            Say::Huge(bytes) => {
                let head = format!(
                    "HTTP/1.1 200 x\r\ncontent-type: application/json\r\ncontent-length: {bytes}\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await?;
                let chunk = vec![b'1'; 1 << 16];
                for _ in 0..bytes / chunk.len() {
                    if stream.write_all(&chunk).await.is_err() {
                        abandoned.fetch_add(1, Ordering::SeqCst);
                        return Ok(());
                    }
                }
            }
            Say::Hang => {
                silent(&mut stream).await;
                return Ok(());
            }
            Say::Cut => return Ok(()),
        }
    }
}

async fn read(stream: &mut TcpStream, pending: &mut Vec<u8>) -> std::io::Result<Option<Seen>> {
    let mut chunk = [0; 4096];
    loop {
        if let Some(end) = pending.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&pending[..end]).into_owned();
            let mut lines = head.lines();
            let mut first = lines.next().unwrap().split(' ').map(str::to_owned);
            let (verb, path) = (first.next().unwrap(), first.next().unwrap());
            let headers: HashMap<String, String> = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect();
            let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
            while pending.len() < end + 4 + length {
                let count = stream.read(&mut chunk).await?;
                pending.extend_from_slice(&chunk[..count]);
            }
            let body = serde_json::from_slice(&pending[end + 4..end + 4 + length]).unwrap_or(Value::Null);
            pending.drain(..end + 4 + length);
            return Ok(Some(Seen { verb, path, headers, body }));
        }
        let count = stream.read(&mut chunk).await?;
        if count == 0 {
            return Ok(None);
        }
        pending.extend_from_slice(&chunk[..count]);
    }
}

const EVENT_HEAD: &[u8] =
    b"HTTP/1.1 200 x\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
