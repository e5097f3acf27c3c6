//! The front of the listener for clients: what is not the data plane's is answered here, by its path.

use crate::identity::Identity;
use crate::identity_page;
use admin::Admin;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use issuer::Issuer;
use model::Code;
use net::Body;
use net::listen::Peer;
use proxy::House;
use std::sync::Arc;

/// Everything that answers clients.
pub(crate) struct Front {
    /// Scheme, host and port of every endpoint.
    pub(crate) public_url: String,
    /// The data plane.
    pub(crate) house: Arc<House>,
    /// Identities, if there is a database.
    pub(crate) identity: Option<Arc<Identity>>,
    /// The authorization server, if this is one.
    pub(crate) issuer: Option<Arc<Issuer>>,
    /// The admin API, if there is one.
    pub(crate) admin: Option<Arc<Admin>>,
}

impl Front {
    /// Answers one request.
    pub(crate) async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        if let Some(admin) = self.admin.as_ref().filter(|admin| admin.serves(request.uri().path())) {
            if !self.house.serves_host(request.uri(), request.headers()) {
                return foreign_host();
            }
            // Boxed, as below.
            return Box::pin(administer(Arc::clone(admin), request, peer)).await;
        }
        match (&self.identity, &self.issuer, request.uri().path()) {
            (Some(identity), _, JWKS) => key_set(identity, &request),
            (Some(_), _, identity_page::PATH) => identity_page::answer(&self.public_url, request.method()),
            // SECURITY: nobody signs in at a name that only leads here (DNS rebinding): the cookie would be that name's
            // (test: `nobody_signs_in_at_a_foreign_host`).
            (_, Some(_), path)
                if issuer::answers(path) && !self.house.serves_host(request.uri(), request.headers()) =>
            {
                foreign_host()
            }
            // Boxed: calls should not carry the room that these need.
            (_, Some(issuer), path) if issuer::answers(path) => Box::pin(issuer.answer(request, peer)).await,
            _ => self.house.handle(request, peer).await,
        }
    }
}

/// The refusal of a name that only leads here.
fn foreign_host() -> Response<Body> {
    let mut refused =
        Response::new(Body::full(format!("{}: this host is not served here\n", Code::HOST_REFUSED)));
    *refused.status_mut() = StatusCode::FORBIDDEN;
    refused
}

/// The admin API's answer.
async fn administer(admin: Arc<Admin>, request: Request<Incoming>, peer: Peer) -> Response<Body> {
    let certificate = peer.certificate.as_ref().map(|certificate| certificate.digest);
    let request = request.map(axum::body::Body::new);
    let response = admin.answer(request, peer.address.ip(), certificate).await;
    let (head, body) = response.into_parts();
    // Made by the room, so already whole.
    let body = axum::body::to_bytes(body, ANSWER_BYTES).await.unwrap_or_default();
    Response::from_parts(head, Body::full(body))
}

/// The keys that verify our tokens (RFC 7517 §5), for everybody.
fn key_set(identity: &Identity, request: &Request<Incoming>) -> Response<Body> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refused = Response::new(Body::full("GET only\n"));
        *refused.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let mut response = Response::new(Body::full(identity.keys.jwks().to_string()));
    for (name, value) in [
        (header::CONTENT_TYPE, "application/jwk-set+json"),
        (header::CACHE_CONTROL, "public, max-age=300"),
        // Browser clients verify tokens too, and there is nothing here that not everybody may see.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Where our key set is.
const JWKS: &str = "/.well-known/jwks.json";
/// The largest answer of the admin API, in bytes.
const ANSWER_BYTES: usize = 4 << 20;
