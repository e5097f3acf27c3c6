//! Fetching JSON that a client names: its document, its keys. Through `net::egress`, without redirects, bounded.

use crate::Issuer;
use authn::jose::strict_object;
use http::header::{ACCEPT, CACHE_CONTROL};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use net::egress::Rule;
use serde_json::{Map, Value};
use std::time::Duration;

/// What was fetched.
pub(crate) struct Fetched {
    /// One strict JSON object.
    pub(crate) document: Map<String, Value>,
    /// For how long it may be used without asking again.
    pub(crate) fresh_for: Duration,
}

/// Why there is nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    /// The URL leads where a client's may not.
    #[error("its URL is not one that may be fetched: {0}")]
    Url(String),
    /// Nobody answers, or says that it cannot now: what was known before may still be used.
    #[error("it could not be fetched: {0}")]
    Unreachable(String),
    /// It is there no more, or moved: what was known before is not good any more.
    #[error("it answered with status {0}")]
    Status(u16),
    /// Not what it should be.
    #[error("it is not one strict JSON object of at most {0} bytes")]
    Document(usize),
}

/// Fetches one object of at most `bound` bytes.
pub(crate) async fn object(
    issuer: &Issuer,
    url: &str,
    rule: Rule,
    bound: usize,
) -> Result<Fetched, FetchError> {
    let fetch = async {
        // Strangers choose when: so many at once and no more.
        let _permit = issuer.fetches.acquire().await;
        get(issuer, url, rule, bound).await
    };
    let late = || FetchError::Unreachable(format!("it took longer than {} s", FETCH_TIMEOUT.as_secs()));
    tokio::time::timeout(FETCH_TIMEOUT, fetch).await.unwrap_or_else(|_| Err(late()))
}

async fn get(issuer: &Issuer, url: &str, rule: Rule, bound: usize) -> Result<Fetched, FetchError> {
    let uri: Uri = url.parse().map_err(|_| FetchError::Url("it is not a URL".to_owned()))?;
    // SECURITY: what a stranger names is reached under the rule for strangers
    // (test: `a_document_on_an_inner_address_is_never_fetched`).
    let destination =
        issuer.egress.destination(&uri, rule).map_err(|error| FetchError::Url(error.to_string()))?;
    let mut request = Request::new(bytes::Bytes::new());
    *request.uri_mut() = uri;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    let sent = issuer.egress.send(&destination, request).await;
    let answer = sent.map_err(|error| match error {
        net::egress::EgressError::NotSent(
            why @ (net::egress::DialError::Forbidden(_) | net::egress::DialError::Plain(_)),
        ) => FetchError::Url(why.to_string()),
        error => FetchError::Unreachable(error.to_string()),
    })?;
    match answer.status() {
        StatusCode::OK => {}
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            return Err(FetchError::Unreachable(format!("it answered with status {}", status.as_u16())));
        }
        // A redirect is not followed: the id names this document and no other.
        status => return Err(FetchError::Status(status.as_u16())),
    }
    let fresh_for = fresh_for(answer.headers());
    let body = net::collect(answer.into_body(), bound).await.map_err(|_| FetchError::Document(bound))?;
    let document = strict_object(&body).ok_or(FetchError::Document(bound))?;
    Ok(Fetched { document, fresh_for })
}

/// `Cache-Control` (RFC 9111 §5.2.2) within our bounds.
fn fresh_for(headers: &HeaderMap) -> Duration {
    let said: Vec<&str> =
        headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok()).collect();
    let mut directives = said.iter().flat_map(|value| value.split(',')).map(str::trim);
    let mut age = None;
    for directive in &mut directives {
        let lower = directive.to_ascii_lowercase();
        if lower == "no-store" || lower == "no-cache" {
            return SHORTEST;
        }
        if let Some(seconds) = lower.strip_prefix("max-age=") {
            age = seconds.trim_matches('"').parse().ok().map(Duration::from_secs);
        }
    }
    age.unwrap_or(USUAL).clamp(SHORTEST, LONGEST)
}

/// For one document.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a document is used at least, whatever its headers say.
const SHORTEST: Duration = Duration::from_secs(30);
/// How long it is used if they say nothing.
const USUAL: Duration = Duration::from_secs(600);
/// How long it is used at most.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_kept_as_long_as_they_say_within_bounds() {
        for (said, seconds) in [
            (&["max-age=60"][..], 60),
            (&["public, max-age=\"3600\""], 3600),
            (&["max-age=1"], 30),
            (&["max-age=99999999999"], 86_400),
            (&["max-age=600, no-store"], 30),
            (&["No-Cache"], 30),
            (&["max-age=x"], 600),
            (&[], 600),
        ] {
            let mut headers = HeaderMap::new();
            for value in said {
                headers.append(CACHE_CONTROL, HeaderValue::from_static(value));
            }
            assert_eq!(fresh_for(&headers), Duration::from_secs(seconds), "{said:?}");
        }
    }
}
