//! How a page leaves, and how a form comes in.

use super::Fault;
use crate::{Form, Issuer};
use askama::Template;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::Code;

/// A page whose forms lead to ourselves, and by our answer to `and` (sources of a content security policy).
///
/// SECURITY: nothing runs, nothing is loaded but our stylesheet, nobody frames it (tests:
/// `every_page_forbids_frames_and_scripts`; MCP, security best practices, CD-2).
pub(crate) fn page(page: &impl Template, status: StatusCode, and: &str) -> Response {
    let html = match page.render() {
        Ok(html) => html,
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; \
         form-action 'self'{}{and}",
        if and.is_empty() { "" } else { " " }
    );
    let mut response = (status, html).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
        // The origin of our own forms has to come with them; nobody else learns an address of ours.
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'")),
    );
    response
}

/// Sends the browser on, with cookies.
pub(crate) fn go(to: &str, cookies: impl IntoIterator<Item = Option<HeaderValue>>) -> Response {
    let Ok(location) = HeaderValue::try_from(to) else {
        return Fault::of(Code::NO_SUCH_PAGE).into_response();
    };
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::LOCATION, location);
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Reads a form that one of our pages sent. SECURITY: a form from another site is refused by its origin before its
/// token is looked at (test: `a_consent_without_its_token_or_from_another_site_is_refused`).
pub(crate) fn read_form(issuer: &Issuer, headers: &HeaderMap, body: &[u8]) -> Result<Form, Fault> {
    let foreign = headers.get(header::ORIGIN).is_some_and(|origin| origin != issuer.config().issuer.as_str())
        || headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
    if foreign {
        return Err(Fault::of(Code::FORM_REFUSED));
    }
    Form::parse(body).map_err(|error| Fault::of(Code::FORM_REFUSED).saying(error.to_string()))
}
