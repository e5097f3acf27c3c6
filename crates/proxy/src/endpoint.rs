//! The HTTP edge: which door, whose page, how much, how long.

use crate::config::{Config, Endpoint};
use crate::house::{House, State};
use crate::stop::{Edge, Stop};
use crate::trail::Trail;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use model::{Code, Digest};
use net::body::CollectError;
use net::listen::Peer;
use std::sync::Arc;

/// A request that came to a door that exists, from a page that may call, whole and within bounds.
pub(crate) struct Received {
    pub(crate) trail: Box<Trail>,
    pub(crate) state: Arc<State>,
    pub(crate) parts: Parts,
    pub(crate) body: Bytes,
    /// SHA-256 of the client certificate of the connection, if it has one.
    pub(crate) certificate: Option<Digest>,
}

/// Takes in one request.
pub(crate) async fn receive(
    house: &House,
    request: http::Request<hyper::body::Incoming>,
    peer: &Peer,
) -> Result<Received, Stop> {
    let state = house.state();
    let config = &state.config;
    let (parts, body) = request.into_parts();
    let endpoint = Endpoint::parse(parts.uri.path()).filter(|endpoint| config.serves(endpoint));
    let known = endpoint.is_some();
    let mut trail = Trail::new(house, endpoint.unwrap_or(Endpoint::Shared), peer.address);
    if let Err(edge) = check(config, &parts, known) {
        return Err(Stop::edge(trail, edge));
    }
    let body = match read(config, body).await {
        Ok(body) => body,
        Err(edge) => return Err(Stop::edge(trail, edge)),
    };
    trail.bytes_in = body.len();
    let certificate = peer.certificate.as_ref().map(|certificate| certificate.digest);
    Ok(Received { trail, state, parts, body, certificate })
}

fn check(config: &Config, parts: &Parts, known: bool) -> Result<(), Edge> {
    // SECURITY: a rebound name and a foreign page are refused before anything is read:
    // `a_foreign_host_or_origin_is_refused`.
    if !host_is_ours(config, &parts.uri, &parts.headers) || !origin_is_welcome(config, &parts.headers) {
        return Err(Edge { status: StatusCode::FORBIDDEN, code: Code::HOST_REFUSED });
    }
    if !known {
        return Err(Edge { status: StatusCode::NOT_FOUND, code: Code::NO_SUCH_ENDPOINT });
    }
    match parts.method {
        Method::POST => {
            let json = parts
                .headers
                .get(header::CONTENT_TYPE)
                .is_some_and(|value| is_media_type(value, "application/json"));
            if !json {
                return Err(Edge { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, code: Code::CONTENT_TYPE });
            }
            accepts(&parts.headers, &["application/json", "text/event-stream"])
        }
        Method::GET => accepts(&parts.headers, &["text/event-stream"]),
        Method::DELETE => Ok(()),
        _ => Err(Edge { status: StatusCode::METHOD_NOT_ALLOWED, code: Code::METHOD_UNKNOWN }),
    }
}

/// Whether a request names one of our hosts, once.
pub(crate) fn host_is_ours(config: &Config, uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let named = match (uri.authority(), hosts.next(), hosts.next()) {
        (_, _, Some(_)) => return false,
        (Some(authority), None, _) => authority.as_str(),
        (None, Some(host), _) => match host.to_str() {
            Ok(host) => host,
            Err(_) => return false,
        },
        (Some(authority), Some(host), _) if host.as_bytes() == authority.as_str().as_bytes() => {
            authority.as_str()
        }
        _ => return false,
    };
    let public = config.public_url.split_once("://").map_or("", |(_, authority)| authority);
    named.eq_ignore_ascii_case(public)
        || config.allowed_hosts.iter().any(|host| host.eq_ignore_ascii_case(named))
        || (config.loopback && is_loopback_name(named))
}

fn origin_is_welcome(config: &Config, headers: &HeaderMap) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let (Some(origin), None) = (origins.next(), origins.next()) else {
        return headers.get(header::ORIGIN).is_none();
    };
    let Ok(origin) = origin.to_str() else { return false };
    let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
    origin.eq_ignore_ascii_case(&config.public_url)
        || config.allowed_origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
        || (config.loopback && is_loopback_name(authority))
}

/// `localhost`, `127.0.0.1` or `[::1]`, with or without a port.
fn is_loopback_name(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit()) => host,
        _ => authority,
    };
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| host.eq_ignore_ascii_case(name))
}

fn is_media_type(value: &http::HeaderValue, wanted: &str) -> bool {
    let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes())
}

/// Every wanted type is in `Accept` (MCP, streamable HTTP: clients list both), wildcards included.
fn accepts(headers: &HeaderMap, wanted: &[&str]) -> Result<(), Edge> {
    let listed = |wanted: &str| {
        headers.get_all(header::ACCEPT).iter().any(|value| {
            value.as_bytes().split(|byte| *byte == b',').any(|range| {
                let essence = range.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
                let family = wanted.split('/').next().unwrap_or_default();
                essence.eq_ignore_ascii_case(wanted.as_bytes())
                    || essence == b"*/*"
                    || essence
                        .strip_suffix(b"/*")
                        .is_some_and(|range| range.eq_ignore_ascii_case(family.as_bytes()))
            })
        })
    };
    if wanted.iter().all(|wanted| listed(wanted)) {
        Ok(())
    } else {
        Err(Edge { status: StatusCode::NOT_ACCEPTABLE, code: Code::CONTENT_TYPE })
    }
}

async fn read(config: &Config, body: hyper::body::Incoming) -> Result<Bytes, Edge> {
    let whole = net::collect(body, config.limits.request_bytes);
    match tokio::time::timeout(config.limits.body_timeout, whole).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(CollectError::TooLong(_))) => {
            Err(Edge { status: StatusCode::PAYLOAD_TOO_LARGE, code: Code::REQUEST_TOO_LARGE })
        }
        Ok(Err(CollectError::Broken(_))) => {
            Err(Edge { status: StatusCode::BAD_REQUEST, code: Code::REQUEST_MALFORMED })
        }
        Err(_) => Err(Edge { status: StatusCode::REQUEST_TIMEOUT, code: Code::REQUEST_MALFORMED }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_are_exact() {
        for name in ["localhost", "localhost:80", "127.0.0.1:9", "[::1]", "[::1]:8080", "LOCALHOST"] {
            assert!(is_loopback_name(name), "{name}");
        }
        for name in ["localhost.evil.example", "127.0.0.1.nip.io", "evil:80", "", "127.0.0.2"] {
            assert!(!is_loopback_name(name), "{name}");
        }
    }

    #[test]
    fn accept_needs_both_types_or_a_wildcard() {
        let both = ["application/json", "text/event-stream"];
        for (value, fits) in [
            ("application/json, text/event-stream", true),
            ("text/event-stream;q=0.9,application/json", true),
            ("*/*", true),
            ("application/*, text/*", true),
            ("application/json", false),
            ("text/html", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, value.parse().unwrap());
            assert_eq!(accepts(&headers, &both).is_ok(), fits, "{value}");
        }
        assert!(accepts(&HeaderMap::new(), &both).is_err());
    }
}
