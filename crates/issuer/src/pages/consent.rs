//! The consent page: the one place where a person lets a client act (MCP, security best practices, CD-1 to CD-5).

use super::asking::Asking;
use super::sign_in::{finish, login_required, query_form, refuse, turn_back};
use super::{Fault, Visitor, form_token, go, is_ours, page, read_form, visitor, words};
use crate::authorize::{Approval, Decision};
use crate::consent::{Asked, Needed, Why, needed};
use crate::{Issuer, OauthError};
use askama::Template;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use ledger::{About, Event, What};
use model::Code;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "consent.html")]
struct Page<'a> {
    name: &'a str,
    person: &'a str,
    tenant: &'a str,
    origin: &'a str,
    is_vouched: bool,
    is_loopback: bool,
    is_local: bool,
    reason: Option<&'a str>,
    place: &'a str,
    scopes: Vec<Scope<'a>>,
    client: &'a str,
    redirect_host: &'a str,
    redirect_uri: &'a str,
    form: &'a str,
    tx: &'a str,
}

struct Scope<'a> {
    name: &'a str,
    words: String,
}

/// `GET /consent`: asks, or goes on where nothing needs to be asked.
pub(super) async fn show(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let form = query_form(query)?;
    let id = form.get("tx").ok_or(Fault::of(Code::REQUEST_GONE))?;
    let asking = Asking::of(&issuer, id).await?;
    let Some(visitor) = fresh_visitor(&issuer, &headers, &asking).await? else {
        if asking.transaction.ask_nothing {
            return turn_back(&issuer, id, &asking, login_required()).await;
        }
        return Ok(go(&format!("/sign-in?tx={id}"), []));
    };
    let asked = asking.asked();
    let desk = issuer.desk();
    let known = desk.consents.find(&visitor.person.id, &asked.client, &asked.resource).await?;
    let why = match needed(&asked, known.as_ref(), issuer.now()) {
        Needed::Nothing if !asking.transaction.ask_again => {
            if let Some(known) = &known {
                desk.consents.used(&known.id).await?;
            }
            return approve(&issuer, id, &visitor, &asked, known.is_some()).await;
        }
        Needed::Nothing => Why::First,
        Needed::Page(why) => why,
    };
    if asking.transaction.ask_nothing {
        let said = "the person would have to be asked, and may not be";
        let error = OauthError::new("consent_required", Code::CONSENT_REFUSED, said);
        return turn_back(&issuer, id, &asking, error).await;
    }
    Ok(consent_page(&issuer, id, &visitor, &asking, &asked, why))
}

/// Who is signed in, since the client's request if it wants that.
async fn fresh_visitor(
    issuer: &Issuer,
    headers: &HeaderMap,
    asking: &Asking,
) -> Result<Option<Visitor>, Fault> {
    let found = visitor(issuer, headers).await?;
    Ok(found.filter(|visitor| asking.takes(&visitor.session)))
}

fn consent_page(
    issuer: &Issuer,
    id: &str,
    visitor: &Visitor,
    asking: &Asking,
    asked: &Asked,
    why: Why,
) -> Response {
    let reason = match why {
        Why::First | Why::Loopback => None,
        Why::MoreScopes => Some("You allowed this client before; now it wants more."),
        Why::Changed => Some(
            "You allowed a client of this id before, but what it says of itself, or where it wants you sent, has changed since.",
        ),
        Why::Expired => Some("You allowed this client before; that was a while ago."),
    };
    let desk = issuer.desk();
    let tenant = desk.tenant(&visitor.person.tenant);
    let place = words::place(&issuer.config().issuer, &asked.resource);
    let (origin, token) = (asking.client.origin(), form_token(&visitor.cookie, &purpose(id)));
    let shown = Page {
        name: &asked.client_name,
        person: visitor.name(),
        tenant: tenant.map_or(&visitor.person.tenant, |tenant| &tenant.display_name),
        origin: &origin,
        is_vouched: asking.client.is_vouched(),
        is_loopback: asking.is_loopback(),
        is_local: asked.is_local,
        reason,
        place: &place,
        scopes: asked.scopes.iter().map(|name| Scope { name, words: words::scope(name) }).collect(),
        client: &asked.client,
        redirect_host: &asked.redirect_host,
        redirect_uri: &asking.transaction.redirect_uri,
        form: &token,
        tx: id,
    };
    page(&shown, StatusCode::OK, &asking.leads_to())
}

/// `POST /consent`: the person decides.
pub(super) async fn decide(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    let form = read_form(&issuer, &headers, &body)?;
    let id = form.get("tx").ok_or(Fault::of(Code::REQUEST_GONE))?;
    let asking = Asking::of(&issuer, id).await?;
    let visitor = fresh_visitor(&issuer, &headers, &asking).await?.ok_or(Fault::of(Code::FORM_REFUSED))?;
    // SECURITY: the form was made for this session and this request (tests:
    // `a_consent_without_its_token_or_from_another_site_is_refused`, `a_consent_form_of_one_request_does_not_answer_another`).
    if !is_ours(form.get("form"), &visitor.cookie, &purpose(id)) {
        return Err(Fault::of(Code::FORM_REFUSED));
    }
    let asked = asking.asked();
    let event = |what| Event {
        tenant: Some(visitor.person.tenant.as_str().into()),
        by: Some(visitor.person.id.as_str().into()),
        about: Some(About::new("client", asked.client.as_str())),
        name: Some(asked.resource.as_str().into()),
        detail: Some(format!("scopes {:?}, codes to {}", asked.scopes.join(" "), asked.redirect_host).into()),
        ..Event::of(what)
    };
    if form.get("decision") != Some("allow") {
        issuer.note(event(What::ConsentRefused))?;
        let said = "the person does not allow it";
        return refuse(&issuer, id, OauthError::new("access_denied", Code::CONSENT_REFUSED, said)).await;
    }
    issuer.note(event(What::ConsentGiven))?;
    issuer.desk().consents.give(&visitor.person.id, &visitor.person.tenant, &asked).await?;
    approve(&issuer, id, &visitor, &asked, true).await
}

/// Ends the request with a code.
async fn approve(
    issuer: &Issuer,
    id: &str,
    visitor: &Visitor,
    asked: &Asked,
    by_consent: bool,
) -> Result<Response, Fault> {
    let approval = Approval {
        user: visitor.person.id.clone(),
        tenant: visitor.person.tenant.clone(),
        roles: visitor.person.roles.clone(),
        groups: visitor.person.groups.clone(),
        session: visitor.session.id.clone(),
        auth_time: visitor.session.auth_time,
        given_at: issuer.now(),
        by_consent,
        scopes: asked.scopes.clone(),
    };
    finish(issuer, id, Decision::Approved(approval)).await
}

fn purpose(id: &str) -> String {
    format!("consent {id}")
}
