//! Setting a password by a link.

use super::sign_in::query_form;
use super::{Fault, form_token, is_ours, page, read_form};
use crate::grant::Why;
use crate::person::AccountError;
use crate::session::Cookie;
use crate::{Issuer, secret_text};
use askama::Template;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use ledger::{About, Event, What};
use model::{Code, Secret};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "password.html")]
struct Page<'a> {
    is_done: bool,
    account: &'a str,
    notice: Option<&'a str>,
    form: &'a str,
    link: &'a str,
}

/// `GET /sign-in/password?link=`: shows the form; the link is not used up by looking at it.
pub(super) async fn show(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let form = query_form(query)?;
    let link = form.get("link").unwrap_or_default();
    let account = issuer.accounts.linked(link).await.map_err(fault)?;
    Ok(password_page(&issuer, &headers, &account, link, None))
}

fn password_page(
    issuer: &Issuer,
    headers: &HeaderMap,
    account: &str,
    link: &str,
    notice: Option<&str>,
) -> Response {
    let desk = issuer.desk();
    let kept = desk.cookies.read(headers, Cookie::Form);
    let cookie = kept.clone().unwrap_or_else(|| secret_text::bare(issuer.dice.as_ref()));
    let token = form_token(&cookie, PURPOSE);
    let status = if notice.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let shown = Page { is_done: false, account, notice, form: &token, link };
    let mut response = page(&shown, status, "");
    if kept.is_none()
        && let Some(cookie) = desk.cookies.set(Cookie::Form, &cookie, None)
    {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// `POST /sign-in/password`.
pub(super) async fn set(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    let mut form = read_form(&issuer, &headers, &body)?;
    let cookie = issuer.desk().cookies.read(&headers, Cookie::Form).ok_or(Fault::of(Code::FORM_REFUSED))?;
    if !is_ours(form.get("form"), &cookie, PURPOSE) {
        return Err(Fault::of(Code::FORM_REFUSED));
    }
    let link = form.get("link").unwrap_or_default().to_owned();
    let account = issuer.accounts.linked(&link).await.map_err(fault)?;
    let (password, again) = (form.take("password").unwrap_or_default(), form.take("again"));
    if again.as_deref() != Some(password.as_str()) {
        let notice = "The two passwords are not the same.";
        return Ok(password_page(&issuer, &headers, &account, &link, Some(notice)));
    }
    let password = Arc::new(Secret::new(password.into_bytes()));
    // SECURITY: whoever knew the old password is out, and so is what they let clients have, before the link is used up and
    // after it (test: `a_password_is_set_from_the_page_of_its_link_and_ends_what_was_before_it`).
    let user = issuer.accounts.of_link(&link).await.map_err(fault)?;
    sign_out(&issuer, &user).await?;
    let user = match issuer.accounts.set_by_link(&link, &password).await {
        Ok(user) => user,
        Err(AccountError::Password(error)) => {
            let notice = format!("That cannot be the password: {error}.");
            return Ok(password_page(&issuer, &headers, &account, &link, Some(&notice)));
        }
        Err(error) => return Err(fault(error)),
    };
    sign_out(&issuer, &user).await?;
    let event = Event {
        by: Some(user.as_str().into()),
        about: Some(About::new("user", user.as_str())),
        detail: Some("password set by a link".into()),
        ..Event::of(What::CredentialChanged)
    };
    issuer.note(event)?;
    let done = Page { is_done: true, account: &account, notice: None, form: "", link: "" };
    Ok(page(&done, StatusCode::OK, ""))
}

async fn sign_out(issuer: &Issuer, user: &str) -> Result<(), Fault> {
    let Some(person) = issuer.people.find(user).await? else { return Ok(()) };
    let why = Why { by: user, reason: "a new password was set" };
    Ok(issuer.sign_out_everywhere(&person.tenant, user, why).await?)
}

fn fault(error: AccountError) -> Fault {
    match error {
        AccountError::Storage(error) => error.into(),
        AccountError::Password(_) => Fault::of(Code::SIGN_IN_UNAVAILABLE),
        _ => Fault::of(Code::LINK_GONE),
    }
}

const PURPOSE: &str = "password";
