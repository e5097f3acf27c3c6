//! Signing out.

use super::{Fault, bearer, form_token, go, is_ours, page, read_form};
use crate::Issuer;
use crate::grant::Why;
use crate::session::Cookie;
use askama::Template;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use model::Code;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "sign_out.html")]
struct Page<'a> {
    person: Option<&'a str>,
    form: &'a str,
}

/// `GET /sign-out`: asks, so that no link of somebody else's signs anybody out.
pub(super) async fn show(State(issuer): State<Arc<Issuer>>, headers: HeaderMap) -> Result<Response, Fault> {
    let visitor = bearer(&issuer, &headers).await?;
    let token = visitor.as_ref().map(|visitor| form_token(&visitor.cookie, PURPOSE)).unwrap_or_default();
    let person = visitor.as_ref().map(|visitor| visitor.name());
    Ok(page(&Page { person, form: &token }, StatusCode::OK, ""))
}

/// `POST /sign-out`.
pub(super) async fn sign_out(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    let form = read_form(&issuer, &headers, &body)?;
    if let Some(visitor) = bearer(&issuer, &headers).await? {
        if !is_ours(form.get("form"), &visitor.cookie, PURPOSE) {
            return Err(Fault::of(Code::FORM_REFUSED));
        }
        let why = Why { by: &visitor.person.id, reason: "signed out" };
        issuer.end_session(&visitor.session, why).await?;
    }
    Ok(go("/sign-out", [issuer.desk().cookies.clear(Cookie::Session)]))
}

const PURPOSE: &str = "sign-out";
