//! `/oauth/token`: what proves a grant becomes tokens. One file for each kind of grant.

mod mint;

pub use mint::{MintError, Minted, Subject, mint};

use crate::{Form, FormError, Issuer, OauthError};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use model::Code;
use std::sync::Arc;

/// What the metadata says of [`dispatch`].
pub(crate) const GRANT_TYPES: [&str; 0] = [];

pub(crate) fn routes() -> Router<Arc<Issuer>> {
    Router::new().route("/oauth/token", axum::routing::post(answer))
}

async fn answer(State(issuer): State<Arc<Issuer>>, body: Bytes) -> Result<Response, OauthError> {
    let form =
        Form::parse(&body).map_err(|error: FormError| OauthError::invalid_request(error.to_string()))?;
    dispatch(&issuer, &form).await
}

/// Finds the grant by its type. Each is a file of this folder.
async fn dispatch(_issuer: &Issuer, form: &Form) -> Result<Response, OauthError> {
    match form.get("grant_type") {
        None => Err(OauthError::invalid_request("`grant_type` is missing")),
        Some(_) => Err(OauthError::new(
            "unsupported_grant_type",
            Code::OAUTH_REQUEST,
            "this grant type is not offered; see `grant_types_supported` of the metadata",
        )),
    }
}
