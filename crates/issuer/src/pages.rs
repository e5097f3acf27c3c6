//! The pages: server-rendered, without a script, and the few endpoints that browsers and providers use besides.
//!
//! In: a browser's request with its cookies. Out: a page, or a redirect. Never here: a page that can be framed, a form
//! that another site could send, a script, a style that is not our one stylesheet, a name shown that was not escaped.

mod asking;
mod assets;
mod connections;
mod consent;
mod desk;
mod fault;
mod form_token;
mod logout;
mod next;
mod password;
mod reply;
mod sign_in;
mod sign_out;
mod visitor;
pub(crate) mod words;

pub(crate) use assets::STYLESHEET;
pub(crate) use desk::Desk;
pub(crate) use fault::Fault;
pub(crate) use form_token::{form_token, is_ours};
pub(crate) use next::Next;
pub(crate) use reply::{go, page, read_form};
pub(crate) use visitor::{Visitor, bearer, visitor};

use crate::Issuer;
use axum::Router;
use axum::routing::{get, post};
use std::sync::Arc;

pub(crate) fn routes() -> Router<Arc<Issuer>> {
    Router::new()
        .route("/sign-in", get(sign_in::show).post(sign_in::with_password))
        .route("/sign-in/go", post(sign_in::leave))
        .route("/sign-in/callback", get(sign_in::back))
        .route("/sign-in/password", get(password::show).post(password::set))
        .route("/sign-out", get(sign_out::show).post(sign_out::sign_out))
        .route("/consent", get(consent::show).post(consent::decide))
        .route("/connections", get(connections::show).post(connections::withdraw))
        .route("/backchannel-logout/{tenant}/{provider}", post(logout::logged_out))
        .route("/assets/{name}", get(assets::stylesheet))
}
