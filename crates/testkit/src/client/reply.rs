//! What comes back.

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;

use crate::patience::soon;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Reply {
    /// The body as text.
    pub fn text(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(&self.body))
    }

    /// Every JSON-RPC message in the body, a JSON document or a stream of events.
    pub fn messages(&self) -> Vec<Value> {
        let body = std::str::from_utf8(&self.body).unwrap();
        if self.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream") {
            return body.lines().filter_map(data).collect();
        }
        serde_json::from_str(body).into_iter().collect()
    }

    /// The last of them: the answer.
    pub fn json(&self) -> Value {
        self.messages().pop().unwrap_or(Value::Null)
    }

    /// The result of the answer, or null.
    pub fn result(&self) -> Value {
        self.json()["result"].clone()
    }

    /// The error of the answer, or null.
    pub fn error(&self) -> Value {
        self.json()["error"].clone()
    }

    /// The code of the error, 0 if there is none.
    pub fn error_code(&self) -> i64 {
        self.error()["code"].as_i64().unwrap_or(0)
    }

    /// The text of the result's first content.
    pub fn content(&self) -> String {
        self.result()["content"][0]["text"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether the result says `isError`.
    pub fn is_tool_error(&self) -> bool {
        self.result()["isError"] == true
    }

    /// Whether it is a result that does not say `isError`.
    pub fn is_success(&self) -> bool {
        self.status == 200 && self.result().is_object() && !self.is_tool_error()
    }
}

/// An answer that is still coming. Dropping it disconnects.
pub struct Stream {
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    body: Incoming,
    text: Vec<u8>,
    _connection: Connection,
}

/// One server-sent event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Its id, if it has one.
    pub id: Option<String>,
    /// Its data; empty in an event that only gives an id.
    pub data: String,
}

/// A connection's task, which ends with it.
pub(super) struct Connection(pub(super) tokio::task::JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Stream {
    pub(super) fn new(response: http::Response<Incoming>, connection: Connection) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            text: Vec::new(),
            _connection: connection,
        }
    }

    /// The next event's message; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Ok(message) = serde_json::from_str(&self.event().await?.data) {
                return Some(message);
            }
        }
    }

    /// The next event, also one without data; `None` at the end of the stream.
    pub async fn event(&mut self) -> Option<Event> {
        soon("an event", async {
            loop {
                if let Some(end) = self.text.windows(2).position(|pair| pair == b"\n\n") {
                    let event: Vec<u8> = self.text.drain(..end + 2).collect();
                    let event = String::from_utf8_lossy(&event);
                    let field = |name: &str| {
                        let value = event.lines().find_map(|line| line.strip_prefix(name));
                        value.map(|value| value.trim_start().to_owned())
                    };
                    if let Some(data) = field("data:") {
                        return Some(Event { id: field("id:"), data });
                    }
                    continue;
                }
                match self.body.frame().await {
                    Some(Ok(frame)) => self.text.extend_from_slice(&frame.into_data().unwrap_or_default()),
                    Some(Err(_)) | None => return None,
                }
            }
        })
        .await
    }

    /// All of it. What a broken connection did not deliver is missing.
    pub async fn whole(mut self) -> Reply {
        while let Some(Ok(frame)) = self.body.frame().await {
            self.text.extend_from_slice(&frame.into_data().unwrap_or_default());
        }
        Reply { status: self.status, headers: self.headers, body: Bytes::from(self.text) }
    }
}

fn data(line: &str) -> Option<Value> {
    serde_json::from_str(line.strip_prefix("data:")?.trim_start()).ok()
}
