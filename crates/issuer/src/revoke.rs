//! `/oauth/revoke` (RFC 7009): a client gives its tokens back.

use crate::grant::{self, Why, refresh};
use crate::token::{caller, own};
use crate::{Issuer, OauthError};
use authn::revocations::{self, Kind, Revocation};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Router};
use model::Timestamp;
use net::listen::Peer;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

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
    let caller = caller::of(&issuer, &form, &headers, &peer).await?;
    let token = form.get("token").ok_or_else(|| OauthError::invalid_request("`token` is missing"))?;
    let why = Why { by: caller.id(), reason: "its client gave it back" };
    if let Some(presented) = refresh::look(&issuer, token).await? {
        if presented.grant.client == caller.id() {
            grant::revoke(&issuer, &presented.grant.id, why).await?;
        }
        return Ok(StatusCode::OK);
    }
    let Some(claims) = own::read(&issuer, token) else { return Ok(StatusCode::OK) };
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("client_id") != Some(caller.id()) {
        return Ok(StatusCode::OK);
    }
    // An access token cannot be told from others of its grant by a client that lost it: all of them end. SECURITY: a grant
    // that somebody else's token was exchanged under is not the caller's to end
    // (test: `an_agent_that_gives_its_token_back_ends_nothing_of_the_persons`).
    let grant = match text("grant_id") {
        Some(id) => grant::find(&issuer, id).await?.filter(|grant| grant.client == caller.id()),
        None => None,
    };
    let ended = match grant {
        Some(grant) => grant::revoke(&issuer, &grant.id, why).await?,
        None => false,
    };
    if let (false, Some(id)) = (ended, text("jti")) {
        let row = Revocation::new(Kind::Token, id, caller.id()).because(why.reason);
        let end = claims.get("exp").and_then(Value::as_i64).unwrap_or_default();
        let row = row.of_issuer(&issuer.config().issuer).until(Timestamp::from_seconds(end).after(SLACK));
        revocations::revoke(&issuer.db, &row, issuer.now()).await?;
    }
    Ok(StatusCode::OK)
}

/// How long a row outlives its token: longer than clocks differ.
const SLACK: Duration = Duration::from_secs(60);
