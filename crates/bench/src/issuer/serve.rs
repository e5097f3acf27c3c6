//! The issuer over HTTP.

use super::Issuer;
use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use model::Clock;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves discovery, the key set and `/tokens?audience=<resource>&count=<n>` (one token per line) until the
/// process ends.
///
/// # Errors
/// When `address` cannot be listened on, or no key can be made.
pub async fn serve(address: SocketAddr, clock: Arc<dyn Clock>) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("failed to listen on {address}"))?;
    let issuer = Arc::new(Issuer::new(format!("http://{}", listener.local_addr()?))?);
    loop {
        let (stream, _) = listener.accept().await?;
        let (issuer, clock) = (Arc::clone(&issuer), Arc::clone(&clock));
        let service = hyper::service::service_fn(move |request| {
            let reply = respond(&issuer, &*clock, &request);
            std::future::ready(Ok::<_, Infallible>(reply))
        });
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // A client that goes away is not worth a word here.
        tokio::spawn(async move { connection.await.unwrap_or_default() });
    }
}

fn respond(issuer: &Issuer, clock: &dyn Clock, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, content_type, body) = match request.uri().path() {
        "/.well-known/openid-configuration" => (StatusCode::OK, "application/json", issuer.discovery()),
        "/jwks" => (StatusCode::OK, "application/json", issuer.jwks()),
        "/tokens" => match tokens(issuer, clock, request.uri().query().unwrap_or_default()) {
            Ok(tokens) => (StatusCode::OK, "text/plain", tokens),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string()),
        },
        _ => (StatusCode::NOT_FOUND, "text/plain", String::new()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

fn tokens(issuer: &Issuer, clock: &dyn Clock, query: &str) -> anyhow::Result<String> {
    let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let audience = value("audience").context("no audience")?;
    let count = value("count").unwrap_or("1").parse().context("an unreadable count")?;
    let tokens: anyhow::Result<Vec<String>> =
        (0..count).map(|serial| issuer.token(audience, serial, clock.now())).collect();
    Ok(tokens?.join("\n"))
}
