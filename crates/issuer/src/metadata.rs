//! What the authorization server says of itself (RFC 8414 §2), to the letter: nothing that it does not do.

use crate::{Issuer, client, token};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::Arc;

/// Where the document is. The issuer has no path, so nothing follows (RFC 8414 §3.1).
pub(crate) const PATH: &str = "/.well-known/oauth-authorization-server";

pub(crate) fn routes() -> Router<Arc<Issuer>> {
    Router::new().route(PATH, axum::routing::get(metadata))
}

async fn metadata(State(issuer): State<Arc<Issuer>>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(document(&issuer)))
}

fn document(issuer: &Issuer) -> Value {
    let config = issuer.config();
    let at = |path: &str| format!("{}{path}", config.issuer);
    let mut scopes: Vec<&str> =
        config.resources.iter().flat_map(|resource| &resource.scopes).map(String::as_str).collect();
    scopes.sort_unstable();
    scopes.dedup();
    let mut document = json!({
        "issuer": config.issuer,
        "authorization_endpoint": at("/oauth/authorize"),
        "token_endpoint": at("/oauth/token"),
        "revocation_endpoint": at("/oauth/revoke"),
        "introspection_endpoint": at("/oauth/introspect"),
        "jwks_uri": at("/.well-known/jwks.json"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": token::grant_types(),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": client::METHODS,
        "token_endpoint_auth_signing_alg_values_supported": client::ALGORITHMS,
        "revocation_endpoint_auth_methods_supported": client::METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": client::ALGORITHMS,
        "introspection_endpoint_auth_methods_supported": client::PROVEN,
        "introspection_endpoint_auth_signing_alg_values_supported": client::ALGORITHMS,
        "tls_client_certificate_bound_access_tokens": true,
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": config.documents.is_some(),
    });
    if let Some(members) = document.as_object_mut() {
        if !scopes.is_empty() {
            members.insert("scopes_supported".into(), json!(scopes));
        }
        members.insert("device_authorization_endpoint".into(), json!(at("/oauth/device")));
        if config.agents.values().any(|rules| !rules.identity_assertions.is_empty()) {
            members.insert("authorization_grant_profiles_supported".into(), json!([token::id_jag::PROFILE]));
        }
        if config.registration.is_some() {
            members.insert("registration_endpoint".into(), json!(at("/oauth/register")));
        }
    }
    document
}
