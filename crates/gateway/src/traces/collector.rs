//! The way to the collector: OTLP over HTTP, one bounded request at a time, through `net::egress`.

use super::otlp::{
    ExportTraceServiceRequest, ExportTraceServiceResponse, InstrumentationScope, Resource, ResourceSpans,
    ScopeSpans, Span,
};
use super::spans::text;
use crate::config;
use broker::Plan;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use net::egress::{Client, Destination, DestinationError};
use prost::Message as _;
use std::time::Duration;
use tokio::sync::watch;

/// The collector, and how it was last time.
pub(super) struct Collector {
    client: Client,
    destination: Destination,
    path: Uri,
    plan: Plan,
    resource: Resource,
    failing: bool,
}

/// Spans were not taken.
#[derive(Debug, thiserror::Error)]
enum PostError {
    #[error(transparent)]
    Credential(#[from] broker::AttachError),
    #[error("{0}")]
    Egress(#[from] net::egress::EgressError),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("it did not answer within {ATTEMPT:?}")]
    TimedOut,
}

impl PostError {
    /// Nothing was taken, and another attempt may help (OTLP 1.x, failures that can be retried).
    fn may_pass(&self) -> bool {
        match self {
            Self::Egress(error) => error.is_not_sent(),
            Self::Status(status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            // What took too long may have been taken.
            Self::TimedOut | Self::Credential(_) => false,
        }
    }

    /// The reason with what lies beneath it. No answer's text is in it.
    fn reason(&self) -> String {
        let beneath = std::iter::successors(std::error::Error::source(self), |error| error.source());
        beneath.fold(self.to_string(), |text, error| format!("{text}: {error}"))
    }
}

impl Collector {
    /// # Errors
    /// The address can be no destination.
    pub(super) fn new(settings: &config::Traces, client: Client) -> Result<Self, DestinationError> {
        let destination = client.destination(&settings.endpoint, config::Traces::RULE)?;
        let attributes = vec![
            text("service.name", &*settings.service_name),
            text("service.version", env!("CARGO_PKG_VERSION")),
        ];
        Ok(Self {
            client,
            destination,
            path: settings.endpoint.clone(),
            plan: settings.plan.clone(),
            resource: Resource { attributes },
            failing: false,
        })
    }

    /// Delivers spans, again where that may help and unless the end has come; returns how many were not taken.
    pub(super) async fn deliver(&mut self, spans: Vec<Span>, finishing: &mut watch::Receiver<bool>) -> u64 {
        let all = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        let body = Bytes::from(self.request(spans).encode_to_vec());
        let mut pauses = PAUSES.iter();
        loop {
            match self.post(body.clone()).await {
                Ok(refused) => {
                    if std::mem::take(&mut self.failing) {
                        tracing::info!(collector = self.destination.origin(), "spans are taken again");
                    }
                    return refused.min(all);
                }
                Err(error) => match pauses.next() {
                    Some(pause) if error.may_pass() && !*finishing.borrow() => tokio::select! {
                        () = tokio::time::sleep(*pause) => {}
                        _ = finishing.changed() => {}
                    },
                    _ => {
                        self.failed(&error);
                        return all;
                    }
                },
            }
        }
    }

    fn failed(&mut self, error: &PostError) {
        // Once, until it is well again: every batch would say the same.
        if !std::mem::replace(&mut self.failing, true) {
            let (collector, reason) = (self.destination.origin(), error.reason());
            tracing::warn!(collector, reason, "spans are not taken, and lost");
        }
    }

    fn request(&self, spans: Vec<Span>) -> ExportTraceServiceRequest {
        let (name, version) = ("portunus".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        let scope_spans = vec![ScopeSpans { scope: Some(InstrumentationScope { name, version }), spans }];
        let resource = Some(self.resource.clone());
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans }] }
    }

    /// One attempt: how many of the spans were refused.
    async fn post(&self, body: Bytes) -> Result<u64, PostError> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        broker::attach(&self.plan, None, None)?.apply(None, headers)?;
        let exchange = async {
            let answer = self.client.send(&self.destination, request).await?;
            let status = answer.status();
            if !status.is_success() {
                return Err(PostError::Status(status));
            }
            let answer = net::collect(answer.into_body(), ANSWER_BYTES).await.unwrap_or_default();
            // An answer that cannot be read refuses nothing.
            let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
            let refused = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
            Ok(u64::try_from(refused).unwrap_or(0))
        };
        tokio::time::timeout(ATTEMPT, exchange).await.unwrap_or(Err(PostError::TimedOut))
    }
}

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How long to wait before another attempt.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];
/// An answer is empty, or names how many spans were refused.
const ANSWER_BYTES: usize = 64 << 10;
