//! `/oauth/introspect` (RFC 7662): whether a token is good, for those whom it concerns.

use crate::grant::{self, Grant, refresh};
use crate::token::caller::{self, Caller};
use crate::token::own;
use crate::{Issuer, OauthError, revoked};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json, Router};
use net::listen::Peer;
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) fn routes() -> Router<Arc<Issuer>> {
    Router::new().route("/oauth/introspect", axum::routing::post(answer))
}

async fn answer(
    State(issuer): State<Arc<Issuer>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, OauthError> {
    let form = crate::form::of_request(&headers, &body)?;
    let caller = caller::of(&issuer, &form, &headers, &peer).await?;
    // SECURITY: whoever can be anybody could try tokens here until one is good
    // (test: `introspection_answers_only_those_whom_a_token_concerns`; RFC 7662 §2.1).
    if !caller.is_confidential() {
        return Err(OauthError::invalid_client("a public client cannot ask about tokens"));
    }
    let token = form.get("token").ok_or_else(|| OauthError::invalid_request("`token` is missing"))?;
    let known = match refresh::look(&issuer, token).await? {
        Some(presented) => of_refresh(&issuer, &caller, &presented).await?,
        None => of_access(&issuer, &caller, token).await?,
    };
    // Nothing else is said of what is not theirs, not ours, or not good (RFC 7662 §2.2).
    Ok(Json(known.unwrap_or_else(|| json!({ "active": false }))))
}

async fn of_access(issuer: &Issuer, caller: &Caller, token: &str) -> Result<Option<Value>, OauthError> {
    let Some(mut claims) = own::read(issuer, token) else { return Ok(None) };
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let concerns = text("client_id") == Some(caller.id())
        || text("aud").is_some_and(|audience| caller.introspects().iter().any(|one| one == audience));
    if !concerns {
        return Ok(None);
    }
    if revoked::token(issuer, token, &claims).await? {
        return Ok(None);
    }
    if let Some(id) = text("grant_id").filter(|id| id.starts_with("grt_")) {
        let grant = grant::find(issuer, id).await?;
        if grant.is_none_or(|grant| grant.stands(issuer.now()).is_err()) {
            return Ok(None);
        }
    }
    claims.insert("active".into(), json!(true));
    claims.insert("token_type".into(), json!("Bearer"));
    Ok(Some(Value::Object(claims)))
}

async fn of_refresh(
    issuer: &Issuer,
    caller: &Caller,
    presented: &refresh::Presented,
) -> Result<Option<Value>, OauthError> {
    let Grant { client: owner, scopes, user, resource, .. } = &presented.grant;
    let is_good = presented.is_current(issuer.now()) && presented.grant.stands(issuer.now()).is_ok();
    if owner != caller.id() || !is_good || revoked::grant(issuer, &presented.grant).await? {
        return Ok(None);
    }
    Ok(Some(json!({
        "active": true, "client_id": owner, "scope": scopes.join(" "), "sub": user, "aud": resource,
        "iss": issuer.config().issuer, "exp": presented.expires_at().seconds(), "token_type": "refresh_token",
    })))
}
