//! `/oauth/authorize`: from a client's request to a code, by way of a person (OAuth 2.1 §4.1).
//!
//! The request is checked and kept as a [`Transaction`]; the browser goes to `/sign-in?tx=<id>`. Whoever signs the
//! person in reads it by [`look`] and ends it by [`finish()`], which says where the browser goes next.

mod advice;
mod finish;
mod request;
mod transaction;

pub use finish::{Approval, Decision, FinishError, finish};
pub use transaction::{LIFE, Transaction, look};

use crate::client::Client;
use crate::pages::Fault;
use crate::{Form, Issuer, OauthError};
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Router};
use ledger::{About, Event, What};
use model::Code;
use net::listen::Peer;
use request::Refusal;
use std::sync::Arc;

pub(crate) fn routes() -> Router<Arc<Issuer>> {
    Router::new().route("/oauth/authorize", axum::routing::get(begin))
}

async fn begin(
    State(issuer): State<Arc<Issuer>>,
    Extension(peer): Extension<Peer>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    if !issuer.beginnings.admits(peer.address.ip(), BEGINNINGS, issuer.now()) {
        return Fault::of(Code::CLIENT_LIMIT).into_response();
    }
    let page = |code, detail: &str| {
        let form = Form::parse(query.as_bytes()).ok();
        let asked = form.as_ref().and_then(|form| form.get("redirect_uri")).and_then(advice::advice);
        let advice = asked.map(|(client, what)| format!(" In {client}: {what}"));
        let detail = detail.trim_end_matches('.');
        Fault::of(code).saying(format!("{detail}.{}", advice.unwrap_or_default())).into_response()
    };
    let kept = match request::read(&issuer, &query, peer.address.ip()).await {
        Ok((_, transaction)) => transaction::keep(&issuer, &transaction).await,
        Err(Refusal::Page { code, detail }) => {
            issuer.note_stranger(
                peer.address.ip(),
                Event {
                    code: Some(code),
                    detail: Some(detail.as_str().into()),
                    ..Event::of(What::SignInRefused)
                },
            );
            return page(code, &detail);
        }
        Err(Refusal::Client(client, transaction, error)) => {
            issuer.note_stranger(
                peer.address.ip(),
                Event {
                    about: Some(About::new("client", crate::client::registered::short(&transaction.client))),
                    code: Some(error.code),
                    detail: Some(error.description.as_str().into()),
                    ..Event::of(What::SignInRefused)
                },
            );
            let location = finish::refused(&issuer, &transaction, &error);
            return turn_back(&client, &transaction, &error, location);
        }
        Err(Refusal::Unavailable) => return page(Code::ISSUING_UNAVAILABLE, "the database does not answer"),
    };
    match kept {
        Ok(id) => Redirect::to(&format!("/sign-in?tx={id}")).into_response(),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a sign-in cannot be kept");
            page(Code::ISSUING_UNAVAILABLE, "the database does not answer")
        }
    }
}

/// Back to the client with a refusal that no person has met. SECURITY: nobody is sent on unseen to where a client that
/// anybody can register wants (RFC 9700 §4.11.2; test: `a_client_that_registered_itself_redirects_nobody_unseen`).
pub(crate) fn turn_back(
    client: &Client,
    transaction: &Transaction,
    error: &OauthError,
    location: String,
) -> Response {
    if client.may_redirect_unseen(&transaction.redirect_uri) {
        return Redirect::to(&location).into_response();
    }
    let said = format!("{}.", error.description.trim_end_matches('.'));
    Fault::of(error.code).saying(said).onward(location, "Back to the client").into_response()
}

/// The most requests of one address in a minute. A whole office may share one.
const BEGINNINGS: u32 = 600;
