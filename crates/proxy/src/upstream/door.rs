//! One server's MCP endpoint over HTTP: POSTs and GETs within bounds, replies told apart by status and type.

use super::fault::{Sent, UpstreamError};
use crate::config::server::HttpServer;
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use net::egress::{Answer, Client, Destination, EgressError};
use protocol::{Bounds, Message, sse};

/// The endpoint.
#[derive(Clone)]
pub(super) struct Door {
    client: Client,
    destination: Destination,
    path: Uri,
    pub(super) bounds: Bounds,
}

/// What a POST or GET came back with.
pub(super) enum Reply {
    /// A whole JSON body, 2xx.
    Json(HeaderMap, Bytes),
    /// An event stream, 2xx.
    Stream(HeaderMap, Box<Events>),
    /// 202 or 204: nothing to read.
    Accepted,
    /// Any other status; the body only if it is JSON and small.
    Refused(StatusCode, Bytes),
}

/// An event stream of the server.
pub(super) struct Events {
    answer: Answer,
    decoder: sse::Decoder,
    /// One message a line instead of events.
    lines: bool,
    line: BytesMut,
    /// Bytes that the stream may still have.
    left: usize,
    event_bytes: usize,
    /// The last event id, for resuming (2025-11-25, resumability).
    pub(super) last_id: Option<HeaderValue>,
    /// The pause that the server asked for before resuming, in milliseconds.
    pub(super) retry: Option<u64>,
}

impl Door {
    /// # Errors
    /// Unreachable, when the URL is no destination under its rule.
    pub(super) fn new(client: &Client, server: &HttpServer, bounds: Bounds) -> Result<Self, UpstreamError> {
        let destination = client
            .destination(&server.url, server.rule)
            .map_err(|error| UpstreamError::unreachable("its URL cannot be used").because(error))?;
        let mut path = http::uri::Parts::default();
        path.path_and_query = server.url.path_and_query().cloned();
        let path = Uri::from_parts(path)
            .map_err(|error| UpstreamError::unreachable("its URL has no usable path").because(error))?;
        Ok(Self { client: client.clone(), destination, path, bounds })
    }

    /// Closes connections that nobody uses.
    pub(super) fn close_idle(&self) {
        self.destination.close_idle();
    }

    /// POSTs one message. `listening`: the reply is a stream without an end, whatever its type says (some
    /// servers send `application/json`, one message a line).
    ///
    /// # Errors
    /// [`UpstreamError`], with `sent` as far as it is known.
    pub(super) async fn post(
        &self,
        mut headers: HeaderMap,
        body: Bytes,
        listening: bool,
    ) -> Result<Reply, UpstreamError> {
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(ACCEPT, JSON_OR_EVENTS);
        self.reply(self.request(Method::POST, headers, body), listening).await
    }

    /// Opens the stream of unsolicited messages, or resumes a broken one.
    ///
    /// # Errors
    /// [`UpstreamError`]
    pub(super) async fn get(&self, mut headers: HeaderMap) -> Result<Reply, UpstreamError> {
        headers.insert(ACCEPT, EVENTS);
        self.reply(self.request(Method::GET, headers, Bytes::new()), true).await
    }

    /// POSTs one message whose answer, if any, comes elsewhere: only the status counts.
    ///
    /// # Errors
    /// [`UpstreamError`], with `sent` as far as it is known.
    pub(super) async fn tell(
        &self,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<StatusCode, UpstreamError> {
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(ACCEPT, JSON_OR_EVENTS);
        let request = self.request(Method::POST, headers, body);
        let response = self.client.send(&self.destination, request).await.map_err(broken)?;
        let status = response.status();
        // Read, so that the connection can be used again.
        let _ = net::collect(response.into_body(), REFUSAL_BYTES).await;
        Ok(status)
    }

    /// The door that the server names for its messages (2024-11-05, transports), of the same origin.
    ///
    /// # Errors
    /// Unreachable: no address, or one of another origin.
    pub(super) fn beside(&self, named: &str) -> Result<Self, UpstreamError> {
        let unusable = || UpstreamError::unreachable("it names an endpoint that cannot be used");
        let url =
            resolve(&format!("{}{}", self.destination.origin(), self.path), named).ok_or_else(unusable)?;
        // SECURITY: a server cannot send its caller's words elsewhere: `an_endpoint_of_another_origin_is_refused`.
        if !self.destination.is_origin_of(&url) {
            return Err(UpstreamError::unreachable("it names an endpoint of another origin"));
        }
        let path = url.path_and_query().cloned().ok_or_else(unusable)?;
        Ok(Self { path: Uri::from(path), ..self.clone() })
    }

    /// Ends a session. What the server says to it is of no interest.
    pub(super) async fn delete(&self, headers: HeaderMap) {
        let request = self.request(Method::DELETE, headers, Bytes::new());
        if let Ok(response) = self.client.send(&self.destination, request).await {
            let _ = net::collect(response.into_body(), REFUSAL_BYTES).await;
        }
    }

    fn request(&self, method: Method, headers: HeaderMap, body: Bytes) -> Request<Bytes> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = headers;
        request
    }

    async fn reply(&self, request: Request<Bytes>, listening: bool) -> Result<Reply, UpstreamError> {
        let response = self.client.send(&self.destination, request).await.map_err(broken)?;
        let status = response.status();
        if !status.is_success() {
            return Ok(Reply::Refused(status, refusal(response).await));
        }
        if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
            // Read, so that the connection can be used again.
            let _ = net::collect(response.into_body(), REFUSAL_BYTES).await;
            return Ok(Reply::Accepted);
        }
        let (head, answer) = response.into_parts();
        match kind(&head.headers) {
            Some(kind) if listening => {
                let lines = matches!(kind, Kind::Json);
                let events = Events { lines, left: usize::MAX, ..Events::new(answer, self.bounds.bytes) };
                Ok(Reply::Stream(head.headers, Box::new(events)))
            }
            Some(Kind::Json) => {
                let body = net::collect(answer, self.bounds.bytes).await;
                let body = body
                    .map_err(|error| UpstreamError::failed("its answer could not be read").because(error))?;
                Ok(Reply::Json(head.headers, body))
            }
            Some(Kind::Events) => {
                let events = Events::new(answer, self.bounds.bytes);
                Ok(Reply::Stream(head.headers, Box::new(events)))
            }
            None => Err(UpstreamError::failed("its answer is neither JSON nor an event stream")),
        }
    }

    /// Reads one message of the server.
    ///
    /// # Errors
    /// Failed: garbage, a batch, or something over a bound.
    pub(super) fn decode(&self, bytes: Bytes) -> Result<Message, UpstreamError> {
        protocol::decode(bytes, &self.bounds)
            .map_err(|error| UpstreamError::failed("it sent what is not MCP").because(error))
    }
}

impl Events {
    fn new(answer: Answer, event_bytes: usize) -> Self {
        Self {
            answer,
            decoder: sse::Decoder::new(event_bytes),
            lines: false,
            line: BytesMut::new(),
            event_bytes,
            left: event_bytes.saturating_mul(STREAM_ANSWERS),
            last_id: None,
            retry: None,
        }
    }

    /// The data of the next message; nothing at the end of the stream. Cancel safe.
    ///
    /// # Errors
    /// Failed: broken off, or over a bound.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        self.next_of(|name| name.is_none_or(|name| name == "message")).await
    }

    /// The endpoint that the server names on the stream of an older transport (2024-11-05, transports).
    ///
    /// # Errors
    /// Failed: broken off, over a bound, or no text.
    pub(super) async fn endpoint(&mut self) -> Result<Option<String>, UpstreamError> {
        if self.lines {
            return Ok(None);
        }
        let named = self.next_of(|name| name == Some("endpoint")).await?;
        let text = |_| UpstreamError::failed("it names an endpoint that is no text");
        named.map(|named| String::from_utf8(named.into()).map_err(text)).transpose()
    }

    async fn next_of(&mut self, wanted: fn(Option<&str>) -> bool) -> Result<Option<Bytes>, UpstreamError> {
        loop {
            if let Some(data) = self.take(wanted)? {
                return Ok(Some(data));
            }
            let Some(frame) = self.answer.frame().await else {
                let rest = std::mem::take(&mut self.line).freeze();
                return Ok(Some(rest).filter(|rest| !rest.trim_ascii().is_empty()));
            };
            let frame =
                frame.map_err(|error| UpstreamError::failed("its event stream broke off").because(error))?;
            if let Ok(data) = frame.into_data() {
                self.push(&data)?;
            }
        }
    }

    /// Goes on where `earlier` broke off: its event id, its pause, and what is left of its bound.
    pub(super) fn after(self, earlier: &Self) -> Self {
        let last_id = self.last_id.or_else(|| earlier.last_id.clone());
        Self { last_id, retry: self.retry.or(earlier.retry), left: earlier.left, ..self }
    }

    fn push(&mut self, data: &[u8]) -> Result<(), UpstreamError> {
        let over = || UpstreamError::failed("its event stream is over the bound");
        self.left = self.left.checked_sub(data.len()).ok_or_else(over)?;
        if !self.lines {
            self.decoder.push(data);
        } else if self.line.len() + data.len() > self.event_bytes {
            return Err(over());
        } else {
            self.line.extend_from_slice(data);
        }
        Ok(())
    }

    fn take(&mut self, wanted: fn(Option<&str>) -> bool) -> Result<Option<Bytes>, UpstreamError> {
        if self.lines {
            while let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
                let line = self.line.split_to(end + 1).freeze();
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(line));
                }
            }
            return Ok(None);
        }
        let unreadable = |error| UpstreamError::failed("its event stream could not be read").because(error);
        while let Some(event) = self.decoder.next_event().map_err(unreadable)? {
            if let Some(id) = event.id {
                // An empty id resets it (HTML, event stream interpretation).
                self.last_id = HeaderValue::try_from(&*id).ok().filter(|id| !id.is_empty());
            }
            self.retry = event.retry.or(self.retry);
            if wanted(event.event.as_deref()) && !event.data.is_empty() {
                return Ok(Some(event.data));
            }
        }
        Ok(None)
    }

    /// Reads what follows the last event, so that the connection can be used again; gives up soon.
    pub(super) async fn drain(mut self) {
        let rest = async { while let Some(Ok(_)) = self.answer.frame().await {} };
        let _ = tokio::time::timeout(DRAIN, rest).await;
    }
}

/// The address that a reference names, seen from another (RFC 3986 §5).
fn resolve(base: &str, named: &str) -> Option<Uri> {
    let base = fluent_uri::Uri::parse(base).ok()?;
    let url = fluent_uri::UriRef::parse(named).ok()?.resolve_against(&base).ok()?;
    url.as_str().parse().ok()
}

enum Kind {
    Json,
    Events,
}

fn kind(headers: &HeaderMap) -> Option<Kind> {
    let value = headers.get(CONTENT_TYPE)?.as_bytes();
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if essence.eq_ignore_ascii_case(b"application/json") {
        Some(Kind::Json)
    } else if essence.eq_ignore_ascii_case(b"text/event-stream") {
        Some(Kind::Events)
    } else {
        None
    }
}

async fn refusal(response: Response<Answer>) -> Bytes {
    let (head, body) = response.into_parts();
    match kind(&head.headers) {
        Some(Kind::Json) => net::collect(body, REFUSAL_BYTES).await.unwrap_or_default(),
        Some(Kind::Events) => Bytes::new(),
        None => {
            let _ = net::collect(body, REFUSAL_BYTES).await;
            Bytes::new()
        }
    }
}

fn broken(error: EgressError) -> UpstreamError {
    let sent = if error.is_not_sent() { Sent::NotSent } else { Sent::Unknown };
    let fault = if error.is_not_sent() {
        UpstreamError::unreachable("it cannot be reached")
    } else {
        UpstreamError::failed("it broke the connection")
    };
    fault.with_sent(sent).because(error)
}

/// What a refusal means, when its body does not say.
pub(super) fn refused(status: StatusCode) -> UpstreamError {
    let code = status.as_u16();
    if status.is_server_error() {
        UpstreamError::failed(format!("it answered with HTTP {code}"))
    } else if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        UpstreamError::unreachable(format!("it refused the gateway's credential with HTTP {code}"))
    } else if status == StatusCode::TOO_MANY_REQUESTS {
        UpstreamError::busy("it answered with HTTP 429")
    } else {
        UpstreamError::unreachable(format!("it refused the request with HTTP {code}"))
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const JSON_OR_EVENTS: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// Read of a refusal.
const REFUSAL_BYTES: usize = 64 << 10;
/// A stream that answers a call may hold this many times the bytes of one answer.
const STREAM_ANSWERS: usize = 4;
/// How long the end of a stream is waited for after its last event.
const DRAIN: std::time::Duration = std::time::Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_from_the_stream() {
        for (named, url) in [
            ("/messages?s=1", Some("http://h:8/messages?s=1")),
            ("messages?s=1", Some("http://h:8/a/messages?s=1")),
            ("?s=1", Some("http://h:8/a/sse?s=1")),
            ("../messages/?s=../1", Some("http://h:8/messages/?s=../1")),
            ("../../../m", Some("http://h:8/m")),
            ("./m/..", Some("http://h:8/a/")),
            ("/a/./b/../c", Some("http://h:8/a/c")),
            ("/m?to=http://x", Some("http://h:8/m?to=http://x")),
            ("//x/m", Some("http://x/m")),
            ("https://x/m", Some("https://x/m")),
            ("http:/x", None),
            ("a b", None),
            ("\\\\x\\m", None),
        ] {
            let found = resolve("http://h:8/a/sse?k=1", named);
            assert_eq!(found, url.map(|url| url.parse().unwrap()), "{named}");
        }
    }
}
