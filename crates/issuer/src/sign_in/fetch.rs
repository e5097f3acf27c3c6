//! Documents of providers, through the door out, with bounds.

use authn::jose::strict_object;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use net::egress::{Client, Rule};
use serde_json::{Map, Value};
use std::time::Duration;

/// A document did not come. For operators; nothing of it reaches whoever signs in.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// An address that may not be fetched.
    #[error("{url} may not be fetched: {reason}")]
    Url {
        /// The address.
        url: String,
        /// Why.
        reason: String,
    },
    /// Nobody answered.
    #[error("{url} did not answer: {reason}")]
    Send {
        /// The address.
        url: String,
        /// Why.
        reason: String,
    },
    /// An answer that is no success.
    #[error("{url} answered {status}{}", .error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default())]
    Status {
        /// The address.
        url: String,
        /// The status.
        status: StatusCode,
        /// The OAuth error it named, if any: a word of RFC 6749 §5.2.
        error: Option<String>,
    },
    /// An answer that is no strict JSON object within its bound.
    #[error("{url} did not answer with one strict JSON object of at most {DOCUMENT_BYTES} bytes")]
    Document {
        /// The address.
        url: String,
    },
    /// An answer that took too long.
    #[error("{url} took longer than {TIMEOUT:?}")]
    TimedOut {
        /// The address.
        url: String,
    },
}

/// A document, and the time by its server's clock.
pub(crate) struct Document {
    pub(crate) members: Map<String, Value>,
    /// The `Date` header.
    pub(crate) date: Option<String>,
}

/// Fetches a document.
pub(crate) async fn get(
    egress: &Client,
    rule: Rule,
    url: &str,
    bearer: Option<&str>,
) -> Result<Document, FetchError> {
    send(egress, rule, url, Method::GET, Bytes::new(), bearer.map(|token| format!("Bearer {token}"))).await
}

/// Posts a form.
pub(crate) async fn post(
    egress: &Client,
    rule: Rule,
    url: &str,
    form: String,
    authorization: Option<String>,
) -> Result<Document, FetchError> {
    send(egress, rule, url, Method::POST, form.into(), authorization).await
}

async fn send(
    egress: &Client,
    rule: Rule,
    url: &str,
    method: Method,
    body: Bytes,
    authorization: Option<String>,
) -> Result<Document, FetchError> {
    let refused = |reason: String| FetchError::Url { url: url.to_owned(), reason };
    let uri: Uri = url.parse().map_err(|_| refused("it is no URL".to_owned()))?;
    let destination = egress.destination(&uri, rule).map_err(|error| refused(error.to_string()))?;
    let mut request = Request::new(body);
    *request.uri_mut() = uri;
    let form = method == Method::POST;
    *request.method_mut() = method;
    let headers = request.headers_mut();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if form {
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(header::CONTENT_TYPE, kind);
    }
    if let Some(authorization) = authorization {
        let mut value = HeaderValue::try_from(authorization)
            .map_err(|_| refused("the credentials fit no header".to_owned()))?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    let exchange = async {
        let answer = egress
            .send(&destination, request)
            .await
            .map_err(|error| FetchError::Send { url: url.to_owned(), reason: error.detail() })?;
        let (head, body) = answer.into_parts();
        let date = head.headers.get(header::DATE).and_then(|date| date.to_str().ok()).map(str::to_owned);
        let body = net::collect(body, DOCUMENT_BYTES).await.ok();
        let members = body.and_then(|body| strict_object(&body));
        if head.status != StatusCode::OK {
            let error = members.as_ref().and_then(|members| members.get("error")).and_then(Value::as_str);
            let error = error.filter(|error| is_word(error)).map(str::to_owned);
            return Err(FetchError::Status { url: url.to_owned(), status: head.status, error });
        }
        let members = members.ok_or_else(|| FetchError::Document { url: url.to_owned() })?;
        Ok(Document { members, date })
    };
    tokio::time::timeout(TIMEOUT, exchange)
        .await
        .unwrap_or_else(|_| Err(FetchError::TimedOut { url: url.to_owned() }))
}

/// An error code of RFC 6749 §5.2, and nothing that could be a sentence of somebody's.
pub(crate) fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// The largest document, in bytes.
const DOCUMENT_BYTES: usize = 256 << 10;
/// For one exchange.
const TIMEOUT: Duration = Duration::from_secs(10);
