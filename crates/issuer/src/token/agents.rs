//! The grants of agents and of those who cannot redirect, by their type.

use super::caller::{self, Caller};
use super::reply::Issued;
use super::{client_credentials, device_code, exchange, id_jag};
use crate::{Form, Issuer, OauthError};
use axum::http::HeaderMap;
use axum::response::Response;
use ledger::{About, Event, What};
use net::listen::Peer;

/// The types that this file answers.
pub(crate) const GRANT_TYPES: [&str; 4] = [CLIENT_CREDENTIALS, TOKEN_EXCHANGE, JWT_BEARER, DEVICE_CODE];

/// Answers a grant of one of [`GRANT_TYPES`], on record either way.
pub(super) async fn answer(
    issuer: &Issuer,
    form: &Form,
    headers: &HeaderMap,
    peer: &Peer,
    kind: &str,
) -> Result<Response, OauthError> {
    let caller = caller::of(issuer, form, headers, peer).await;
    let caller = caller.inspect_err(|error| refused(issuer, peer, None, kind, error))?;
    let issued = granted(issuer, form, kind, &caller).await.and_then(|issued| issued.answer(issuer, kind));
    issued.inspect_err(|error| {
        // A device that waits is no refusal.
        if !matches!(error.error, "authorization_pending" | "slow_down") {
            refused(issuer, peer, Some(&caller), kind, error);
        }
    })
}

async fn granted(issuer: &Issuer, form: &Form, kind: &str, caller: &Caller) -> Result<Issued, OauthError> {
    match kind {
        CLIENT_CREDENTIALS => client_credentials::grant(issuer, form, caller.agent()?),
        TOKEN_EXCHANGE => exchange::grant(issuer, form, caller.agent()?).await,
        JWT_BEARER => id_jag::grant(issuer, form, caller).await,
        _ => device_code::grant(issuer, form, caller).await,
    }
}

/// Puts on record that no token was issued. Who proved to be an agent is named; anybody else is a stranger.
fn refused(issuer: &Issuer, peer: &Peer, caller: Option<&Caller>, kind: &str, error: &OauthError) {
    let mut event = Event {
        code: Some(error.code),
        detail: Some(format!("{kind}: {}: {}", error.error, error.description).into()),
        ..Event::of(What::TokenRefused)
    };
    match caller {
        Some(Caller::Agent(actor)) => {
            event.tenant = Some(actor.agent.tenant.as_str().into());
            event.by = Some(actor.agent.id.as_str().into());
            event.about = Some(About::new("agent", actor.agent.id.as_str()));
            issuer.note_after(event);
        }
        Some(Caller::Client(client)) => {
            event.about = Some(About::new("client", crate::client::registered::short(&client.id)));
            issuer.note_stranger(peer.address.ip(), event);
        }
        None => issuer.note_stranger(peer.address.ip(), event),
    }
}

const CLIENT_CREDENTIALS: &str = "client_credentials";
/// RFC 8693 §2.1.
pub(super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// RFC 7523 §2.1.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// RFC 8628 §3.4.
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
