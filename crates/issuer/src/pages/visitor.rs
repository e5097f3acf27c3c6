//! Who is looking at a page.

use super::Fault;
use crate::person::Person;
use crate::session::{Cookie, Session};
use crate::{Issuer, voucher};
use axum::http::HeaderMap;
use model::Code;

/// Somebody who is signed in in this browser.
pub(crate) struct Visitor {
    pub(crate) session: Session,
    pub(crate) person: Person,
    /// What is in the session's cookie: forms are bound to it.
    pub(crate) cookie: String,
}

/// Who is signed in in this browser, if anybody is whom their provider vouches for.
pub(crate) async fn visitor(issuer: &Issuer, headers: &HeaderMap) -> Result<Option<Visitor>, Fault> {
    let Some(bearer) = bearer(issuer, headers).await? else { return Ok(None) };
    // Whom their provider does not vouch for is nobody, and signs in there.
    match voucher::check(issuer, &bearer.session.user, bearer.session.auth_time).await {
        Ok(()) => Ok(Some(bearer)),
        Err(error) if error.error == "invalid_grant" => Ok(None),
        Err(error) => {
            tracing::warn!(error = %error.description, "a page is not shown");
            Err(Fault::of(Code::SIGN_IN_PROVIDER_DOWN))
        }
    }
}

/// Whose session a browser has, whatever their provider says now: enough to end things by.
pub(crate) async fn bearer(issuer: &Issuer, headers: &HeaderMap) -> Result<Option<Visitor>, Fault> {
    let desk = issuer.desk();
    let Some(cookie) = desk.cookies.read(headers, Cookie::Session) else { return Ok(None) };
    let Some(session) = desk.sessions.find(&cookie).await? else { return Ok(None) };
    // A tenant that is configured no longer has nobody.
    if desk.tenant(&session.tenant).is_none() {
        return Ok(None);
    }
    let Some(person) = issuer.people.find(&session.user).await? else { return Ok(None) };
    Ok(Some(Visitor { session, person, cookie }))
}

impl Visitor {
    /// What pages call them.
    pub(crate) fn name(&self) -> &str {
        &self.person.name
    }
}
