//! `/oauth/authorize`: from a client's request to a code, by way of a person (OAuth 2.1 §4.1).
//!
//! The request is checked and kept as a [`Transaction`]; the browser goes to `/sign-in?tx=<id>`. Whoever signs the
//! person in reads it by [`look`] and ends it by [`finish`], which says where the browser goes next.

mod error_page;
mod finish;
mod request;
mod transaction;

pub use finish::{Approval, Decision, FinishError, finish};
pub use transaction::{LIFE, Transaction, look};

use crate::{Form, Issuer};
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
        return error_page::page(Code::CLIENT_LIMIT, "too many sign-ins were begun from this address", None);
    }
    let page = |code, detail: &str| {
        let form = Form::parse(query.as_bytes()).ok();
        error_page::page(code, detail, form.as_ref().and_then(|form| form.get("redirect_uri")))
    };
    let kept = match request::read(&issuer, &query).await {
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
        Err(Refusal::Client(transaction, error)) => {
            issuer.note_stranger(
                peer.address.ip(),
                Event {
                    about: Some(About::new("client", crate::client::registered::short(&transaction.client))),
                    code: Some(error.code),
                    detail: Some(error.description.as_str().into()),
                    ..Event::of(What::SignInRefused)
                },
            );
            return Redirect::to(&finish::refused(&issuer, &transaction, &error)).into_response();
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

/// The most requests of one address in a minute. A whole office may share one.
const BEGINNINGS: u32 = 600;
