//! What is said to the gateway, and what comes back: JSON within bounds, from the gateway's own origin.

use super::LoginError;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use net::egress::{Client, Config, Rule};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// The way to one gateway.
pub(super) struct Wire {
    client: Client,
}

impl Wire {
    /// A way out that trusts `ca_file` besides the public authorities.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, LoginError> {
        let config = Config { extra_ca_file: ca_file.map(Path::to_owned), ..Config::default() };
        Ok(Self { client: Client::new(&config).map_err(|error| LoginError::Address(error.to_string()))? })
    }

    pub(super) async fn get(&self, url: &str) -> Result<(StatusCode, Value), LoginError> {
        self.send(Method::GET, url, None, Bytes::new()).await
    }

    pub(super) async fn form(
        &self,
        url: &str,
        pairs: &[(&str, &str)],
    ) -> Result<(StatusCode, Value), LoginError> {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(pairs);
        self.send(Method::POST, url, Some("application/x-www-form-urlencoded"), body.finish().into()).await
    }

    pub(super) async fn json(&self, url: &str, body: &Value) -> Result<(StatusCode, Value), LoginError> {
        self.send(Method::POST, url, Some("application/json"), body.to_string().into()).await
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        kind: Option<&'static str>,
        body: Bytes,
    ) -> Result<(StatusCode, Value), LoginError> {
        let address = |error: &dyn std::error::Error| {
            let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            LoginError::Address(format!("{url}: {error}{cause}"))
        };
        let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| address(&error))?;
        // Whoever runs this named the gateway; it may be anywhere.
        let rule = Rule { allow_loopback: true, allow_private: true };
        let destination = self.client.destination(&uri, rule).map_err(|error| address(&error))?;
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(kind) = kind {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        let whole = async {
            let answer = self.client.send(&destination, request).await.map_err(|error| address(&error))?;
            let (head, body) = answer.into_parts();
            let read = Limited::new(body, ANSWER_BYTES).collect().await;
            let bytes =
                read.map_err(|_| LoginError::Answer("it is too long, or broke off".into()))?.to_bytes();
            let value = if bytes.is_empty() {
                Value::Null
            } else {
                serde_json::from_slice(&bytes).map_err(|_| LoginError::Answer("it is not JSON".into()))?
            };
            Ok((head.status, value))
        };
        tokio::time::timeout(PATIENCE, whole)
            .await
            .map_err(|_| LoginError::Address(format!("{url}: no answer in time")))?
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
const ANSWER_BYTES: usize = 256 << 10;
