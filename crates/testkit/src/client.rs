//! A client of both eras, and a bare connection for what no client would say.

mod reply;
mod wire;

pub use reply::{Event, Reply, Stream};
pub use wire::{Kept, Line, raw};

use bytes::Bytes;
use http::{Method, Request, header};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::patience::soon;

/// Which of the two eras of MCP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// 2026-07-28.
    Stateless,
    /// 2025-11-25.
    Session,
}

/// Somebody with a token, at one endpoint. Each request has a connection of its own.
pub struct Caller {
    address: SocketAddr,
    path: String,
    token: Option<String>,
    era: Era,
    capabilities: Value,
    session: Option<String>,
    next: AtomicU64,
}

impl Caller {
    /// A caller of the stateless era.
    pub fn new(address: SocketAddr, path: &str, token: Option<String>) -> Self {
        let (path, capabilities, next) = (path.to_owned(), json!({}), AtomicU64::new(1));
        Self { address, path, token, era: Era::Stateless, capabilities, session: None, next }
    }

    /// Declares capabilities.
    #[must_use]
    pub fn capable_of(mut self, capabilities: Value) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// The same caller in the session era, with a session open.
    pub async fn open(mut self) -> Self {
        self.era = Era::Session;
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": self.capabilities,
            "clientInfo": {"name": "testkit", "version": "1"},
        });
        let reply = self.ask("initialize", params).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        self.session = reply.headers.get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
        let ready = self.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        assert_eq!(self.send(ready).await.status, 202);
        self
    }

    /// The id of the open session.
    pub fn session(&self) -> &str {
        self.session.as_deref().unwrap()
    }

    /// Uses another token from now on.
    #[must_use]
    pub fn with_token(mut self, token: Option<String>) -> Self {
        self.token = token;
        self
    }

    /// Asks and waits for the answer.
    pub async fn ask(&self, method: &str, params: Value) -> Reply {
        self.send(self.request(method, params)).await
    }

    /// Calls a tool.
    pub async fn call(&self, tool: &str, arguments: Value) -> Reply {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    /// The names of the tools that are listed for this caller.
    pub async fn tools(&self) -> Vec<String> {
        let reply = self.ask("tools/list", json!({})).await;
        let list = reply.result()["tools"].as_array().unwrap_or_else(|| panic!("{}", reply.text())).clone();
        list.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    /// A request as a proper client of this era sends it.
    pub fn request(&self, method: &str, params: Value) -> Request<Bytes> {
        self.post(&self.message(method, params))
    }

    /// Its JSON-RPC message.
    pub fn message(&self, method: &str, mut params: Value) -> Value {
        if self.era == Era::Stateless {
            params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
            params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = self.capabilities.clone();
        }
        json!({"jsonrpc": "2.0", "id": self.next.fetch_add(1, Ordering::SeqCst), "method": method, "params": params})
    }

    /// A POST of this message, with the headers that belong to it.
    pub fn post(&self, message: &Value) -> Request<Bytes> {
        let mut request = self.bare(Method::POST, message.to_string());
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        headers.insert(header::ACCEPT, "application/json, text/event-stream".parse().unwrap());
        if self.era == Era::Stateless {
            headers.insert("mcp-protocol-version", "2026-07-28".parse().unwrap());
            if let Some(method) = message["method"].as_str() {
                headers.insert("mcp-method", method.parse().unwrap());
            }
            let params = &message["params"];
            let named = match message["method"].as_str() {
                Some(method) if method.starts_with("resources/") => params["uri"].as_str(),
                Some("tools/call" | "prompts/get") => params["name"].as_str(),
                _ => None,
            };
            if let Some(name) = named {
                headers.insert("mcp-name", name.parse().unwrap());
            }
        }
        request
    }

    /// The session's GET stream.
    pub fn listening(&self) -> Request<Bytes> {
        let mut request = self.bare(Method::GET, "");
        request.headers_mut().insert(header::ACCEPT, "text/event-stream".parse().unwrap());
        request
    }

    /// The end of the session.
    pub fn leaving(&self) -> Request<Bytes> {
        self.bare(Method::DELETE, "")
    }

    /// What a browser would see at a path.
    pub async fn get(&self, path: &str) -> Reply {
        let mut request = self.bare(Method::GET, "");
        *request.uri_mut() = path.parse().unwrap();
        self.send(request).await
    }

    fn bare(&self, method: Method, body: impl Into<Bytes>) -> Request<Bytes> {
        let mut request = Request::new(body.into());
        *request.method_mut() = method;
        *request.uri_mut() = self.path.parse().unwrap();
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.address.to_string().parse().unwrap());
        if let Some(token) = &self.token {
            headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        }
        if let Some(session) = &self.session {
            headers.insert("mcp-session-id", session.parse().unwrap());
            headers.insert("mcp-protocol-version", "2025-11-25".parse().unwrap());
        }
        request
    }

    /// Sends a request and reads all of its answer.
    pub async fn send(&self, request: Request<Bytes>) -> Reply {
        soon("an answer", async { self.stream(request).await.whole().await }).await
    }

    /// Sends a request and returns once the head of its answer has come. Dropping the stream disconnects.
    pub async fn stream(&self, request: Request<Bytes>) -> Stream {
        soon("the head of an answer", wire::send(self.address, request)).await
    }

    /// A connection to the gateway that is used again and again.
    pub async fn connection(&self) -> Kept {
        Kept::open(self.address).await
    }

    /// Sends a request on a connection that closes when the line is dropped, without waiting for an answer.
    pub async fn begin(&self, request: Request<Bytes>) -> Line {
        let mut line = Line::open(self.address).await;
        line.write(&wire::text(&request)).await;
        line
    }
}
