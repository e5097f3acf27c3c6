//! The one stylesheet, at an address that changes with its content.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::Digest;
use std::sync::LazyLock;

const CSS: &str = include_str!("../../templates/style.css");

/// Where it is.
pub(crate) static STYLESHEET: LazyLock<String> = LazyLock::new(|| {
    let digest = Digest::of(CSS.as_bytes()).to_string();
    format!("/assets/{}.css", digest.get(..16).unwrap_or_default())
});

pub(super) async fn stylesheet(Path(name): Path<String>) -> Response {
    if STYLESHEET.strip_prefix("/assets/") != Some(name.as_str()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, CSS).into_response()
}
