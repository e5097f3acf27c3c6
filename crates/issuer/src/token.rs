//! `/oauth/token`: what proves a grant becomes tokens. One file for each kind of grant.

mod agents;
pub(crate) mod caller;
mod client_credentials;
mod code;
mod device_code;
mod exchange;
pub(crate) mod id_jag;
mod mint;
pub(crate) mod narrow;
pub(crate) mod own;
mod refresh;
pub(crate) mod reply;

pub use mint::{MintError, Minted, Subject, mint};

use crate::client::Client;
use crate::client::authentication::authenticate;
use crate::{Form, Issuer, OauthError};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::{Extension, Router};
use model::Code;
use net::listen::Peer;
use reply::Issued;
use std::sync::Arc;

/// What [`dispatch`] knows, as the metadata says it.
pub(crate) const GRANT_TYPES: [&str; 2] = ["authorization_code", "refresh_token"];

/// All grants that there are.
pub(crate) fn grant_types() -> Vec<&'static str> {
    GRANT_TYPES.into_iter().chain(agents::GRANT_TYPES).collect()
}

pub(crate) fn routes() -> Router<Arc<Issuer>> {
    Router::new().route("/oauth/token", axum::routing::post(answer))
}

async fn answer(
    State(issuer): State<Arc<Issuer>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, OauthError> {
    let form = crate::form::of_request(&headers, &body)?;
    let grant_type =
        form.get("grant_type").ok_or_else(|| OauthError::invalid_request("`grant_type` is missing"))?;
    if agents::GRANT_TYPES.contains(&grant_type) {
        return agents::answer(&issuer, &form, &headers, &peer, grant_type).await;
    }
    if !GRANT_TYPES.contains(&grant_type) {
        let why = "this grant type is not offered; see `grant_types_supported` of the metadata";
        return Err(OauthError::new("unsupported_grant_type", Code::OAUTH_REQUEST, why));
    }
    let client = authenticate(&issuer, &headers, &form, &peer).await;
    let client = client.inspect_err(|error| reply::note_refusal(&issuer, &peer, None, error))?;
    let answered = match dispatch(&issuer, grant_type, &client, &form).await {
        Ok(issued) => issued.answer(&issuer, grant_type),
        Err(error) => Err(error),
    };
    answered.inspect_err(|error| reply::note_refusal(&issuer, &peer, Some(&client), error))
}

/// Finds the grant by its type. The client is proven.
async fn dispatch(
    issuer: &Issuer,
    grant_type: &str,
    client: &Client,
    form: &Form,
) -> Result<Issued, OauthError> {
    match grant_type {
        "authorization_code" => code::redeem(issuer, client, form).await,
        "refresh_token" => refresh::refresh(issuer, client, form).await,
        _ => Err(OauthError::new(
            "unsupported_grant_type",
            Code::OAUTH_REQUEST,
            "this grant type is not offered",
        )),
    }
}
