//! An MCP server of both eras that does to each tool's calls what it is told, and remembers all it was sent.

mod act;
mod body;
mod serve;

pub use act::Act;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};

use crate::client::Era;
use crate::patience::eventually;

/// A running server; gone when dropped.
pub struct FakeUpstream {
    url: String,
    address: SocketAddr,
    house: Arc<House>,
    serving: Mutex<tokio::task::JoinHandle<()>>,
}

/// One request as the server received it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `POST`, `GET` or `DELETE`.
    pub method: http::Method,
    /// All of its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

pub(crate) struct House {
    eras: Vec<Era>,
    tools: Mutex<Vec<Value>>,
    /// Tools that are listed only to clients that declare a capability.
    shy: Mutex<Vec<Value>>,
    /// Sessions of such clients.
    askable: Mutex<Vec<String>>,
    acts: Mutex<HashMap<String, Act>>,
    seen: Mutex<Vec<Seen>>,
    forgets: AtomicBool,
    /// Open streams of what is new.
    streams: AtomicUsize,
    /// Sessions begun, and those that have not ended.
    begun: AtomicUsize,
    sessions: Mutex<HashSet<String>>,
    abandoned: AtomicUsize,
    held: AtomicUsize,
    gate: watch::Sender<bool>,
    /// What is said unasked, and in which session; in all, if in none.
    news: broadcast::Sender<(Option<String>, Value)>,
    /// Answers of clients to questions, and in which session.
    answers: broadcast::Sender<(Option<String>, Value)>,
}

impl FakeUpstream {
    /// A server of both eras with the tools `echo` and `write`.
    pub async fn start() -> Self {
        Self::of(&[Era::Stateless, Era::Session]).await
    }

    /// A server of these eras.
    pub async fn of(eras: &[Era]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("http://{address}/mcp");
        let house = Arc::new(House {
            eras: eras.to_vec(),
            tools: Mutex::new(vec![tool("echo"), tool("write")]),
            shy: Mutex::default(),
            askable: Mutex::default(),
            acts: Mutex::new(HashMap::new()),
            seen: Mutex::new(Vec::new()),
            forgets: AtomicBool::new(false),
            streams: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            sessions: Mutex::default(),
            abandoned: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            gate: watch::Sender::new(false),
            news: broadcast::Sender::new(64),
            answers: broadcast::Sender::new(64),
        });
        let serving = Mutex::new(tokio::spawn(serve::serve(listener, Arc::clone(&house))));
        Self { url, address, house, serving }
    }

    /// Ends every connection, forgets every session, and serves again at the same address.
    pub async fn restart(&self) {
        self.serving.lock().unwrap().abort();
        self.house.sessions.lock().unwrap().clear();
        self.house.askable.lock().unwrap().clear();
        let listener =
            eventually("the address to be free", async || TcpListener::bind(self.address).await.ok()).await;
        *self.serving.lock().unwrap() = tokio::spawn(serve::serve(listener, Arc::clone(&self.house)));
    }

    /// Remembers no longer what it is sent, so that it can be sent a great deal.
    pub fn forgets(&self) {
        self.house.forgets.store(true, Ordering::SeqCst);
    }

    /// Streams on which somebody hears what is new.
    pub fn streams(&self) -> usize {
        self.house.streams.load(Ordering::SeqCst)
    }

    /// Sessions that have begun and not ended.
    pub fn sessions(&self) -> usize {
        self.house.sessions.lock().unwrap().len()
    }

    /// Its MCP endpoint.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Adds a tool whose calls end in `act`. Before a gateway discovers it, or say [`FakeUpstream::changed`].
    #[must_use]
    pub fn with(self, name: &str, act: Act) -> Self {
        self.house.tools.lock().unwrap().push(tool(name));
        self.acts(name, act);
        self
    }

    /// Adds a tool that is listed only to clients that declare a capability.
    #[must_use]
    pub fn with_shy(self, name: &str) -> Self {
        self.house.shy.lock().unwrap().push(tool(name));
        self
    }

    /// What becomes of the calls of a tool from now on.
    pub fn acts(&self, name: &str, act: Act) {
        self.house.acts.lock().unwrap().insert(name.to_owned(), act);
    }

    /// Replaces its tools, and tells whoever listens.
    pub fn changed(&self, tools: Vec<Value>) {
        *self.house.tools.lock().unwrap() = tools;
        // Nobody may be listening.
        drop(
            self.house
                .news
                .send((None, json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}))),
        );
    }

    /// Tells whoever follows a resource that it was updated.
    pub fn updated(&self, uri: &str) {
        let told =
            json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}});
        // Nobody may be listening.
        drop(self.house.news.send((None, told)));
    }

    /// Says something unasked, to whoever listens.
    pub fn says(&self, message: Value) {
        // Nobody may be listening.
        drop(self.house.news.send((None, message)));
    }

    /// Everything it was sent, in order of arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.house.seen.lock().unwrap().clone()
    }

    /// The `tools/call` requests it was sent.
    pub fn calls(&self) -> Vec<Value> {
        let body = |seen: &Seen| serde_json::from_slice::<Value>(&seen.body).ok();
        self.seen().iter().filter_map(body).filter(|body| body["method"] == "tools/call").collect()
    }

    /// Waits until it was sent a call of this tool, and returns that.
    pub async fn call_of(&self, tool: &str) -> Value {
        let find = || self.calls().into_iter().find(|call| call["params"]["name"] == tool);
        eventually("a call at the server", || std::future::ready(find())).await
    }

    /// Waits until this many requests were given up by the gateway before they were answered.
    pub async fn abandoned(&self, count: usize) {
        let enough = || (self.house.abandoned.load(Ordering::SeqCst) >= count).then_some(());
        eventually("an abandoned request", || std::future::ready(enough())).await;
    }

    /// Waits until this many calls stand at an [`Act::Hold`].
    pub async fn holding(&self, count: usize) {
        let enough = || (self.house.held.load(Ordering::SeqCst) >= count).then_some(());
        eventually("a held call", || std::future::ready(enough())).await;
    }

    /// Lets every held call go on.
    pub fn release(&self) {
        self.house.gate.send_replace(true);
    }
}

impl Drop for FakeUpstream {
    fn drop(&mut self) {
        self.serving.lock().unwrap().abort();
    }
}

/// A tool with one text, one number and a nested number.
pub fn tool(name: &str) -> Value {
    json!({
        "name": name,
        "description": format!("does {name}"),
        "inputSchema": {
            "type": "object",
            "properties": {
                "text": {"type": "string"},
                "amount": {"type": "integer"},
                "options": {"type": "object", "properties": {"level": {"type": "integer"}}},
            },
        },
    })
}
