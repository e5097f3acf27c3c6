//! Device flow (RFC 8628): who cannot redirect shows a short code, and a person approves it in a browser elsewhere.

mod code;
mod guesses;
mod page;
mod rows;

pub(crate) use rows::{Approval, Asked, Devices, Poll};

use crate::token::caller::{self, Caller};
use crate::token::narrow::{resource_of, scopes_of};
use crate::{Form, FormError, Issuer, OauthError};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json, Router};
use model::Code;
use net::listen::Peer;
use serde_json::json;
use std::sync::Arc;

/// What devices ask.
pub(crate) fn routes() -> Router<Arc<Issuer>> {
    Router::new().route("/oauth/device", axum::routing::post(begin))
}

/// What people see.
pub(crate) fn pages() -> Router<Arc<Issuer>> {
    Router::new().route("/device", axum::routing::get(page::show).post(page::answer))
}

/// The device authorization endpoint (RFC 8628 §3.1).
async fn begin(
    State(issuer): State<Arc<Issuer>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, OauthError> {
    let form =
        Form::parse(&body).map_err(|error: FormError| OauthError::invalid_request(error.to_string()))?;
    if !issuer.device_beginnings.admits(peer.address.ip(), BEGINNINGS, issuer.now()) {
        return Err(OauthError::new(
            "slow_down",
            Code::DEVICE_REFUSED,
            "too many device codes were asked for; wait a minute",
        ));
    }
    let caller = caller::of(&issuer, &form, &headers, &peer).await?;
    // SECURITY: a client that anybody can register takes no way that it did not register for (RFC 7591 §2; test:
    // `a_client_that_did_not_register_for_the_device_flow_does_not_get_it`).
    if let Caller::Client(client) = &caller
        && !client.waits
    {
        let why = "the client did not register for the device flow: it names its grant type in `grant_types`";
        return Err(OauthError::new("unauthorized_client", Code::CLIENT_REFUSED, why));
    }
    let resource = resource_of(&issuer, &form)?;
    if let Caller::Agent(actor) = &caller
        && !actor.agent.may_use(&issuer.config().issuer, &resource.canonical)
    {
        return Err(crate::token::narrow::unknown_resource());
    }
    let scopes = scopes_of(&form, &resource, &caller.most(&resource.scopes))?;
    let asked = rows::Asked {
        client: caller.id().to_owned(),
        client_name: caller.name().to_owned(),
        resource: resource.canonical,
        scopes,
        came_from: peer.address.ip().to_string(),
    };
    let fresh = issuer.devices().begin(&asked).await?;
    let page = format!("{}/device", issuer.config().issuer);
    Ok(Json(json!({
        "device_code": fresh.device_code,
        "user_code": fresh.user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={}", fresh.user_code),
        "expires_in": rows::LIFE.as_secs(),
        "interval": rows::PAUSE.as_secs(),
    }))
    .into_response())
}

impl Issuer {
    /// Devices that wait.
    pub(crate) fn devices(&self) -> Devices {
        Devices::new(self.db.clone(), Arc::clone(&self.clock), Arc::clone(&self.dice))
    }
}

/// The most codes that one address begins in a minute.
const BEGINNINGS: u32 = 20;
