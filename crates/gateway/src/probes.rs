//! The admin listener: `/healthz`, `/readyz`, `/metrics`. No identity, so it listens on loopback unless told
//! otherwise, and shows nothing of a call or a caller.

use crate::inside::Inside;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use net::Body;

/// Answers one request.
pub(crate) fn answer(inside: &Inside, request: &Request<Incoming>) -> Response<Body> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return reply(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET only\n".to_owned());
    }
    match request.uri().path() {
        // Alive is whoever answers; whether it should get requests is `/readyz`.
        "/healthz" => reply(StatusCode::OK, TEXT, "alive\n".to_owned()),
        "/readyz" => {
            let health = inside.health();
            let status = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            reply(status, JSON, health.to_json().to_string())
        }
        "/metrics" => reply(StatusCode::OK, OPEN_METRICS, inside.metrics()),
        _ => reply(StatusCode::NOT_FOUND, TEXT, "/healthz, /readyz, /metrics\n".to_owned()),
    }
}

fn reply(status: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
