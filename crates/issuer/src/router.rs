//! Paths and who answers them. Every part of the room adds its own routes here.

use crate::{Issuer, authorize, client, cors, device, introspect, metadata, pages, revoke, token};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, Response, header};
use std::sync::Arc;

/// Whether a path is this room's, and so not the data plane's.
pub fn answers(path: &str) -> bool {
    const WHOLE: [&str; 6] = [metadata::PATH, "/sign-in", "/sign-out", "/consent", "/connections", "/device"];
    const BELOW: [&str; 4] = ["/oauth/", "/sign-in/", "/backchannel-logout/", "/assets/"];
    WHOLE.contains(&path) || BELOW.iter().any(|prefix| path.starts_with(prefix))
}

/// Everything this room answers.
pub(crate) fn router(issuer: Arc<Issuer>) -> Router {
    // What clients ask themselves. Paths that look at cookies are not among these.
    let clients = Router::new()
        .merge(metadata::routes())
        .merge(token::routes())
        .merge(client::registered::routes())
        .merge(revoke::routes())
        .merge(introspect::routes())
        .merge(device::routes())
        .layer(axum::middleware::from_fn(cors::open));
    let people = Router::new().merge(authorize::routes()).merge(pages::routes()).merge(device::pages());
    clients
        .merge(people)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(axum::middleware::map_response(guarded))
        .with_state(issuer)
}

/// What every answer of this room says to browsers, unless it says something else itself.
async fn guarded(mut response: Response<axum::body::Body>) -> Response<axum::body::Body> {
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// The largest form or document that is read, in bytes.
pub const BODY_BYTES: usize = 64 << 10;
