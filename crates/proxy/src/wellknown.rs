//! Protected resource metadata (RFC 9728 §3), at both of its places, for anybody.

use crate::config::Endpoint;
use crate::house::House;
use crate::reply::{self, Reply};
use authn::ROOT_METADATA_PATH;
use http::{Method, StatusCode, header};

/// The metadata document a request asks for, if it asks for one. The root form describes the shared endpoint.
pub(crate) fn answer<B>(house: &House, request: &http::Request<B>) -> Option<Reply> {
    let rest = request.uri().path().strip_prefix(ROOT_METADATA_PATH)?;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Some(reply::status(StatusCode::METHOD_NOT_ALLOWED));
    }
    let state = house.state();
    let endpoint = if rest.is_empty() { Some(Endpoint::Shared) } else { Endpoint::parse(rest) };
    let Some(resource) = endpoint.and_then(|endpoint| state.resources.get(&endpoint)) else {
        return Some(reply::status(StatusCode::NOT_FOUND));
    };
    let issuers = house.authn.issuers();
    let mut reply = reply::json(StatusCode::OK, resource.metadata(issuers.iter().map(String::as_str)).into());
    // Browser clients read it across origins; it holds nothing about anyone.
    reply.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, http::HeaderValue::from_static("*"));
    Some(reply)
}
