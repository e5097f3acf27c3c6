//! A collector of traces that reads OTLP with OpenTelemetry's own messages.

use crate::patience::eventually;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use prost::Message as _;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// A running collector; gone when dropped.
pub struct FakeCollector {
    url: String,
    house: Arc<House>,
    serving: tokio::task::JoinHandle<()>,
}

/// What it does with what it is sent.
#[derive(Clone, Copy, Debug)]
pub enum Mood {
    /// It takes all spans.
    Takes,
    /// It takes all but this many.
    Refuses(i64),
    /// It answers with this status.
    Says(u16),
    /// It never answers.
    Hangs,
}

/// One span as it came.
#[derive(Clone, Debug)]
pub struct SeenSpan {
    /// Its trace, in hexadecimal digits.
    pub trace: String,
    /// Its id, likewise.
    pub id: String,
    /// Its parent's; empty if it has none.
    pub parent: String,
    /// The spans it names besides.
    pub links: Vec<String>,
    /// Its name.
    pub name: String,
    /// `SERVER`, `CLIENT` or `INTERNAL`.
    pub kind: &'static str,
    /// When it began, in nanoseconds of the epoch.
    pub start: u64,
    /// When it ended.
    pub end: u64,
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// Whether its status is an error.
    pub failed: bool,
}

struct House {
    mood: Mutex<Mood>,
    connections: AtomicUsize,
    seen: Mutex<Vec<(HeaderMap, Bytes)>>,
}

impl FakeCollector {
    /// A collector that takes everything.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let (mood, connections, seen) = (Mutex::new(Mood::Takes), AtomicUsize::new(0), Mutex::default());
        let house = Arc::new(House { mood, connections, seen });
        let serving = tokio::spawn(serve(listener, Arc::clone(&house)));
        Self { url, house, serving }
    }

    /// Where it takes traces.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it does from now on.
    pub fn mood(&self, mood: Mood) {
        *self.house.mood.lock().unwrap() = mood;
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.house.connections.load(Ordering::SeqCst)
    }

    /// Every request as it came: headers and body.
    pub fn seen(&self) -> Vec<(HeaderMap, Bytes)> {
        self.house.seen.lock().unwrap().clone()
    }

    /// Waits until it was sent something, whatever it did with that.
    pub async fn asked(&self) {
        eventually("a request to the collector", || {
            std::future::ready((!self.seen().is_empty()).then_some(()))
        })
        .await;
    }

    /// The attributes of whoever sends.
    pub fn resource(&self) -> BTreeMap<String, String> {
        let all = self.requests().into_iter().flat_map(|request| request.resource_spans);
        all.flat_map(|spans| attributes(&spans.resource.unwrap().attributes)).collect()
    }

    /// Every span it was sent, in order of arrival.
    pub fn spans(&self) -> Vec<SeenSpan> {
        let all = self.requests().into_iter().flat_map(|request| request.resource_spans);
        all.flat_map(|spans| spans.scope_spans)
            .flat_map(|spans| spans.spans)
            .map(|span| seen(&span))
            .collect()
    }

    /// Waits for the span of a request with this name; returns it and those below it, in order of time.
    pub async fn request(&self, name: &str) -> (SeenSpan, Vec<SeenSpan>) {
        let find = || {
            let spans = self.spans();
            let root = spans.iter().find(|span| span.kind == "SERVER" && span.name == name)?.clone();
            let mut below: Vec<_> = spans.into_iter().filter(|span| span.parent == root.id).collect();
            below.sort_by_key(|span| (span.start, span.end));
            Some((root, below))
        };
        eventually(&format!("a span {name}"), || std::future::ready(find())).await
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let read = |(_, body): (HeaderMap, Bytes)| ExportTraceServiceRequest::decode(body).unwrap();
        self.seen().into_iter().map(read).collect()
    }
}

impl Drop for FakeCollector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl SeenSpan {
    /// An attribute; empty if it has none of that name.
    pub fn says(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }
}

async fn serve(listener: TcpListener, house: Arc<House>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        house.connections.fetch_add(1, Ordering::SeqCst);
        let house = Arc::clone(&house);
        let service = hyper::service::service_fn(move |request| answer(Arc::clone(&house), request));
        let serving =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(serving);
    }
}

async fn answer(house: Arc<House>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let right = head.method == "POST"
        && head.uri.path() == "/v1/traces"
        && head.headers["content-type"] == "application/x-protobuf";
    assert!(right, "{head:?}");
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    house.seen.lock().unwrap().push((head.headers, body));
    let mood = *house.mood.lock().unwrap();
    let (status, refused) = match mood {
        Mood::Takes => (200, None),
        Mood::Refuses(spans) => (200, Some(spans)),
        Mood::Says(status) => (status, None),
        Mood::Hangs => std::future::pending().await,
    };
    let partial = refused.map(|rejected_spans| ExportTracePartialSuccess {
        rejected_spans,
        error_message: "too many".to_owned(),
    });
    let body = ExportTraceServiceResponse { partial_success: partial }.encode_to_vec();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    Ok(response)
}

fn seen(span: &Span) -> SeenSpan {
    assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8), "{span:?}");
    SeenSpan {
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
        name: span.name.clone(),
        kind: match span.kind() {
            SpanKind::Server => "SERVER",
            SpanKind::Client => "CLIENT",
            SpanKind::Internal => "INTERNAL",
            other => panic!("{other:?}"),
        },
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        attributes: attributes(&span.attributes),
        failed: span.status.as_ref().is_some_and(|status| status.code == 2),
    }
}

fn attributes(all: &[KeyValue]) -> BTreeMap<String, String> {
    let said = |pair: &KeyValue| {
        let value = match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(Value::StringValue(text)) => text.clone(),
            Some(Value::IntValue(number)) => number.to_string(),
            other => panic!("{other:?}"),
        };
        (pair.key.clone(), value)
    };
    all.iter().map(said).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
