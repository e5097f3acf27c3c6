//! `/oauth/revoke` (RFC 7009): a client gives its tokens back.

use crate::client::authentication::authenticate;
use crate::grant::{self, Why, refresh};
use crate::token::own;
use crate::{Issuer, OauthError};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Router};
use net::listen::Peer;
use serde_json::Value;
use std::sync::Arc;

pub(crate) fn routes() -> Router<Arc<Issuer>> {
    Router::new().route("/oauth/revoke", axum::routing::post(answer))
}

/// Always 200 for a client that proved itself: it learns nothing of tokens that are not its own (RFC 7009 §2.2).
async fn answer(
    State(issuer): State<Arc<Issuer>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, OauthError> {
    let form = crate::form::of_request(&headers, &body)?;
    let client = authenticate(&issuer, &headers, &form, &peer).await?;
    let token = form.get("token").ok_or_else(|| OauthError::invalid_request("`token` is missing"))?;
    let why = Why { by: &client.id, reason: "its client gave it back" };
    if let Some(presented) = refresh::look(&issuer, token).await? {
        if presented.grant.client == *client.id {
            grant::revoke(&issuer, &presented.grant.id, why).await?;
        }
        return Ok(StatusCode::OK);
    }
    let Some(claims) = own::read(&issuer, token) else { return Ok(StatusCode::OK) };
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("client_id") == Some(&*client.id)
        && let Some(id) = text("grant_id")
    {
        // The access token cannot be told from others of its grant by a client that lost it: all of them end.
        grant::revoke(&issuer, id, why).await?;
    }
    Ok(StatusCode::OK)
}
