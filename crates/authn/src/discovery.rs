//! Finding and fetching an issuer's keys (RFC 8414 §3, OpenID Connect Discovery §4).

use crate::jwks::KeySet;
use crate::{IssuerConfig, KeySource, strict};
use bytes::Bytes;
use http::header::ACCEPT;
use http::{Request, StatusCode, Uri};
use net::egress::{Client, DestinationError};
use serde_json::{Map, Value};
use std::time::Duration;

/// Keys could not be fetched. For operators; nothing of it reaches a caller.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("{url:?} is not a URL that may be fetched")]
    Url {
        url: String,
        #[source]
        source: Option<DestinationError>,
    },
    #[error("{url} did not answer: {reason}")]
    Send { url: String, reason: String },
    #[error("{url} answered {status}")]
    Status { url: String, status: StatusCode },
    #[error("{url} did not answer with one strict JSON object of at most {DOCUMENT_BYTES} bytes")]
    Document { url: String },
    #[error("{url} took longer than {FETCH_TIMEOUT:?}")]
    TimedOut { url: String },
    #[error("{url} is the metadata of another issuer")]
    OtherIssuer { url: String },
    #[error("{url} names no jwks_uri")]
    NoJwksUri { url: String },
    #[error("{url} holds no usable key")]
    NoKeys { url: String },
}

/// The URL of the issuer's keys: the configured one, or the one its metadata names.
pub(crate) async fn jwks_uri(config: &IssuerConfig, egress: &Client) -> Result<String, FetchError> {
    match &config.keys {
        KeySource::JwksUri(uri) => return Ok(uri.clone()),
        KeySource::Own(_) => return Err(FetchError::NoJwksUri { url: config.issuer.clone() }),
        KeySource::None => return Err(FetchError::NoKeys { url: config.issuer.clone() }),
        KeySource::Discovery => {}
    }
    let mut last = None;
    for url in metadata_urls(&config.issuer) {
        match fetch(&url, config, egress).await {
            Ok(metadata) => return named_in(metadata, &config.issuer, url),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| FetchError::Url { url: config.issuer.clone(), source: None }))
}

/// SECURITY: metadata of another issuer is not used, whatever it says
/// (test: `metadata_of_another_issuer_is_not_used`; RFC 8414 §3.3).
fn named_in(metadata: Map<String, Value>, issuer: &str, url: String) -> Result<String, FetchError> {
    if metadata.get("issuer").and_then(Value::as_str) != Some(issuer) {
        return Err(FetchError::OtherIssuer { url });
    }
    match metadata.get("jwks_uri").and_then(Value::as_str) {
        Some(uri) => Ok(uri.to_owned()),
        None => Err(FetchError::NoJwksUri { url }),
    }
}

/// The usable keys at `uri`.
pub(crate) async fn keys(uri: &str, config: &IssuerConfig, egress: &Client) -> Result<KeySet, FetchError> {
    let document = fetch(uri, config, egress).await?;
    KeySet::parse(&document, &config.algorithms).ok_or_else(|| FetchError::NoKeys { url: uri.to_owned() })
}

/// The places of an issuer's metadata, in the order that MCP asks for (authorization, server metadata
/// discovery). `None` of them when the issuer is no URL.
pub(crate) fn metadata_urls(issuer: &str) -> Vec<String> {
    let Some((scheme, rest)) = issuer.split_once("://") else { return Vec::new() };
    let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let path = path.trim_end_matches('/');
    let origin = format!("{scheme}://{host}");
    let mut urls = vec![
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        urls.push(format!("{origin}{path}/.well-known/openid-configuration"));
    }
    urls
}

async fn fetch(url: &str, config: &IssuerConfig, egress: &Client) -> Result<Map<String, Value>, FetchError> {
    tokio::time::timeout(FETCH_TIMEOUT, get(url, config, egress))
        .await
        .unwrap_or_else(|_| Err(FetchError::TimedOut { url: url.to_owned() }))
}

async fn get(url: &str, config: &IssuerConfig, egress: &Client) -> Result<Map<String, Value>, FetchError> {
    let uri: Uri = url.parse().map_err(|_| FetchError::Url { url: url.to_owned(), source: None })?;
    let destination = egress
        .destination(&uri, config.rule)
        .map_err(|source| FetchError::Url { url: url.to_owned(), source: Some(source) })?;
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = uri;
    request.headers_mut().insert(ACCEPT, http::HeaderValue::from_static("application/json"));
    let answer = egress
        .send(&destination, request)
        .await
        .map_err(|error| FetchError::Send { url: url.to_owned(), reason: error.detail() })?;
    if answer.status() != StatusCode::OK {
        return Err(FetchError::Status { url: url.to_owned(), status: answer.status() });
    }
    let body = net::collect(answer.into_body(), DOCUMENT_BYTES).await.ok();
    body.and_then(|body| strict::object(&body)).ok_or_else(|| FetchError::Document { url: url.to_owned() })
}

/// The largest metadata document or key set, in bytes.
const DOCUMENT_BYTES: usize = 256 << 10;
/// For one document.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_in_the_places_of_the_specification() {
        assert_eq!(
            metadata_urls("https://idp.test/tenant/a"),
            [
                "https://idp.test/.well-known/oauth-authorization-server/tenant/a",
                "https://idp.test/.well-known/openid-configuration/tenant/a",
                "https://idp.test/tenant/a/.well-known/openid-configuration",
            ]
        );
        for issuer in ["https://idp.test:8443", "https://idp.test:8443/"] {
            assert_eq!(
                metadata_urls(issuer),
                [
                    "https://idp.test:8443/.well-known/oauth-authorization-server",
                    "https://idp.test:8443/.well-known/openid-configuration",
                ]
            );
        }
        assert!(metadata_urls("idp").is_empty());
    }
}
