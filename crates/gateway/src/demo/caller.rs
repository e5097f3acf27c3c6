//! A small MCP client for the self-test: one stateless request a time (MCP 2026-07-28, streamable HTTP).

use super::DemoError;
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri};
use net::egress::{self, Rule};
use serde_json::{Value, json};

/// Calls one endpoint with one token.
pub(super) struct Caller {
    client: egress::Client,
    destination: egress::Destination,
    url: Uri,
    token: String,
}

/// What came back.
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: StatusCode,
    /// The JSON-RPC message.
    pub(super) message: Value,
}

impl Caller {
    /// A caller of `url`.
    pub(super) fn new(url: &str, token: String) -> Result<Self, DemoError> {
        let failed = |error: &dyn std::fmt::Display| DemoError::Call(error.to_string());
        let url: Uri = url.parse().map_err(|error: http::uri::InvalidUri| failed(&error))?;
        let client = egress::Client::new(&egress::Config::default()).map_err(|error| failed(&error))?;
        let destination = client.destination(&url, Rule::LOOPBACK).map_err(|error| failed(&error))?;
        Ok(Self { client, destination, url, token })
    }

    /// Calls a tool.
    pub(super) async fn call(&self, tool: &str, arguments: &Value) -> Result<Answer, DemoError> {
        self.ask("tools/call", Some(tool), json!({"name": tool, "arguments": arguments})).await
    }

    /// The names of the tools that are listed.
    pub(super) async fn tools(&self) -> Result<Vec<String>, DemoError> {
        let answer = self.ask("tools/list", None, json!({})).await?;
        let tools = answer.message.pointer("/result/tools").and_then(Value::as_array);
        let tools = tools.ok_or_else(|| DemoError::Call(format!("no list: {}", answer.message)))?;
        Ok(tools.iter().filter_map(|tool| tool.get("name")?.as_str()).map(str::to_owned).collect())
    }

    async fn ask(&self, method: &str, name: Option<&str>, mut params: Value) -> Result<Answer, DemoError> {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": VERSION,
            "io.modelcontextprotocol/clientInfo": {"name": "portunus-demo", "version": env!("CARGO_PKG_VERSION")},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        if let Some(params) = params.as_object_mut() {
            params.insert("_meta".to_owned(), meta);
        }
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", VERSION)
            .header("mcp-method", method);
        if let Some(name) = name {
            request = request.header("mcp-name", name);
        }
        let request = request
            .body(Bytes::from(body.to_string()))
            .map_err(|error| DemoError::Call(error.to_string()))?;
        let reply = self
            .client
            .send(&self.destination, request)
            .await
            .map_err(|error| DemoError::Call(error.to_string()))?;
        let status = reply.status();
        let body = net::collect(reply.into_body(), ANSWER_BYTES)
            .await
            .map_err(|error| DemoError::Call(error.to_string()))?;
        let text = String::from_utf8_lossy(&body);
        // A stream of events ends with the answer.
        let last = text.lines().rev().find_map(|line| line.strip_prefix("data:")).unwrap_or(&text);
        let message = serde_json::from_str(last.trim())
            .map_err(|error| DemoError::Call(format!("{status}: {error}")))?;
        Ok(Answer { status, message })
    }
}

impl Answer {
    /// The text of a result, or the message of an error.
    pub(super) fn text(&self) -> String {
        let text =
            self.message.pointer("/result/content/0/text").or_else(|| self.message.pointer("/error/message"));
        text.and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// Whether the tool answered, and not the gateway.
    pub(super) fn is_allowed(&self) -> bool {
        self.status == StatusCode::OK
            && self
                .message
                .get("result")
                .is_some_and(|result| result.get("isError") != Some(&Value::Bool(true)))
    }
}

const VERSION: &str = "2026-07-28";
const ANSWER_BYTES: usize = 1 << 20;
