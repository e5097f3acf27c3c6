//! The sign-in page, the way to a provider, and the way back.

use super::asking::Asking;
use super::fault::account_code;
use super::{Fault, Next, bearer, form_token, go, is_ours, page, read_form, visitor};
use crate::authorize::{self, Decision, FinishError};
use crate::person::{AccountError, Person};
use crate::session::{Cookie, Opening};
use crate::sign_in::{Arrived, Returned, SignInError, TenantConfig};
use crate::{Form, Issuer, OauthError, secret_text, voucher};
use askama::Template;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use ledger::{About, Event, What};
use model::{Code, Secret};
use net::listen::Peer;
use std::sync::Arc;
use std::time::Duration;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page<'a> {
    asking: Option<Named<'a>>,
    notice: Option<&'a str>,
    tenant: Option<Tenant<'a>>,
    several: bool,
    choices: Vec<Choice<'a>>,
    account: &'a str,
    form: &'a str,
    next: &'a str,
    next_query: &'a str,
}

struct Named<'a> {
    name: &'a str,
}

struct Tenant<'a> {
    name: &'a str,
    title: &'a str,
    providers: Vec<Choice<'a>>,
    local: bool,
}

struct Choice<'a> {
    name: &'a str,
    title: &'a str,
}

/// What a sign-in page says besides.
#[derive(Default)]
struct Said<'a> {
    notice: Option<String>,
    account: &'a str,
    status: StatusCode,
}

/// `GET /sign-in`.
pub(super) async fn show(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let form = query_form(query)?;
    let next = Next::of(&form).ok_or(Fault::of(Code::NO_SUCH_PAGE))?;
    // While one's provider is away, one may still sign in at another.
    let signed_in = visitor(&issuer, &headers).await.unwrap_or_default();
    if let Next::Transaction(id) = &next {
        let asking = Asking::of(&issuer, id).await?;
        match signed_in {
            Some(visitor) if asking.takes(&visitor.session) => return Ok(go(&next.path(), [])),
            _ if asking.transaction.ask_nothing => {
                return turn_back(&issuer, id, &asking, login_required()).await;
            }
            _ => {}
        }
        return Ok(sign_in_page(
            &issuer,
            &headers,
            &next,
            Some(&asking),
            form.get("tenant"),
            Said::default(),
        ));
    }
    if signed_in.is_some() {
        return Ok(go(&next.path(), []));
    }
    Ok(sign_in_page(&issuer, &headers, &next, None, form.get("tenant"), Said::default()))
}

fn sign_in_page(
    issuer: &Issuer,
    headers: &HeaderMap,
    next: &Next,
    asking: Option<&Asking>,
    tenant: Option<&str>,
    said: Said<'_>,
) -> Response {
    let desk = issuer.desk();
    let kept = desk.cookies.read(headers, Cookie::Form);
    let cookie = kept.clone().unwrap_or_else(|| secret_text::bare(issuer.dice.as_ref()));
    let chosen = match (desk.tenants.as_slice(), tenant) {
        ([only], _) => Some(only),
        (_, Some(name)) => desk.tenant(name),
        _ => None,
    };
    let (token, text, query) = (form_token(&cookie, PURPOSE), next.text(), next.query());
    let shown = Page {
        asking: asking.map(|asking| Named { name: &asking.client.name }),
        notice: said.notice.as_deref(),
        tenant: chosen.map(|tenant| shown(tenant)),
        several: desk.tenants.len() > 1,
        choices: desk
            .tenants
            .iter()
            .map(|tenant| Choice { name: &tenant.name, title: &tenant.display_name })
            .collect(),
        account: said.account,
        form: &token,
        next: &text,
        next_query: &query,
    };
    // The provider may be anywhere, and may itself send the browser on.
    let mut response = page(&shown, said.status, "https: http://127.0.0.1:* http://localhost:*");
    if kept.is_none()
        && let Some(cookie) = desk.cookies.set(Cookie::Form, &cookie, None)
    {
        response.headers_mut().append(axum::http::header::SET_COOKIE, cookie);
    }
    response
}

fn shown(tenant: &TenantConfig) -> Tenant<'_> {
    let providers = tenant.providers.iter();
    let providers =
        providers.map(|provider| Choice { name: &provider.name, title: &provider.display_name }).collect();
    Tenant { name: &tenant.name, title: &tenant.display_name, providers, local: tenant.local_accounts }
}

/// A form of the sign-in page, checked: where it leads, and the tenant.
fn checked(
    issuer: &Issuer,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(Form, Next, Arc<TenantConfig>), Fault> {
    let form = read_form(issuer, headers, body)?;
    let desk = issuer.desk();
    // SECURITY: a form that was not shown in this browser would sign somebody in as somebody else
    // (test: `a_sign_in_form_of_another_browser_is_refused`).
    let cookie = desk.cookies.read(headers, Cookie::Form).ok_or(Fault::of(Code::FORM_REFUSED))?;
    if !is_ours(form.get("form"), &cookie, PURPOSE) {
        return Err(Fault::of(Code::FORM_REFUSED));
    }
    let next = form.get("next").and_then(Next::parse).ok_or(Fault::of(Code::NO_SUCH_PAGE))?;
    let tenant = form.get("tenant").and_then(|name| desk.tenant(name));
    let tenant = tenant.ok_or(Fault::of(Code::SIGN_IN_NO_PROVIDER))?;
    Ok((form, next, Arc::clone(tenant)))
}

/// `POST /sign-in/go`: somebody pressed a provider's button.
pub(super) async fn leave(
    State(issuer): State<Arc<Issuer>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    let (form, next, tenant) = checked(&issuer, &headers, &body)?;
    let desk = issuer.desk();
    let name = form.get("provider").unwrap_or_default();
    let again = match &next {
        Next::Transaction(id) => Asking::of(&issuer, id).await?.transaction.sign_in_again,
        _ => false,
    };
    let sealed = issuer.sealer.seal(SEALED, next.text().as_bytes(), issuer.dice.as_ref());
    let sealed = sealed.map_err(|_| Fault::of(Code::SIGN_IN_UNAVAILABLE))?;
    match desk.federation.leave(&tenant.name, name, &sealed, again).await {
        Ok(departed) => {
            // CD-4: the cookie that binds the state is set here, when the person has decided to leave, and not before.
            let cookie = desk.cookies.set(Cookie::Departure, &departed.cookie, Some(crate::sign_in::AWAY));
            Ok(go(&departed.url, [cookie]))
        }
        Err(error) => Err(refused(&issuer, peer, &error, Some((&tenant.name, name)), &next)),
    }
}

/// `GET /sign-in/callback`: a provider sends a browser back.
pub(super) async fn back(
    State(issuer): State<Arc<Issuer>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let form = query_form(query)?;
    let desk = issuer.desk();
    let cookie = desk.cookies.read(&headers, Cookie::Departure);
    let text = |name: &str| form.get(name).map(str::to_owned);
    let returned = Returned {
        state: form.get("state").unwrap_or_default().to_owned(),
        code: text("code"),
        error: text("error"),
        iss: text("iss"),
    };
    let arrived = match desk.federation.back(&returned, cookie.as_deref()).await {
        Ok(arrived) => arrived,
        Err((error, about)) => {
            let about = about.as_ref().map(|(tenant, provider)| (tenant.as_str(), provider.as_str()));
            return Err(refused(&issuer, peer, &error, about, &Next::Connections));
        }
    };
    let Arrived { arrival, opening, refresh_token, next } = arrived;
    let next = issuer.sealer.open(SEALED, &next).ok().and_then(|text| String::from_utf8(text).ok());
    let next = next.and_then(|text| Next::parse(&text)).ok_or(Fault::of(Code::SIGN_IN_STATE))?;
    let by = format!("provider {}", arrival.provider);
    // SECURITY: somebody who takes the wish out of the way to the provider does not pass for having signed in again
    // (OpenID Connect Core §3.1.2.1, `max_age`; test: `a_sign_in_of_long_ago_is_none_that_was_asked_for_again`).
    if let (Next::Transaction(id), Some(at)) = (&next, opening.auth_time) {
        let asked = Asking::of(&issuer, id).await?.transaction;
        if asked.sign_in_again && at.after(CLOCKS) < asked.created_at {
            let error = SignInError::NotAgain;
            let about = (arrival.tenant.as_str(), arrival.provider.as_str());
            return Err(refused(&issuer, peer, &error, Some(about), &next));
        }
    }
    let person = match issuer.people.arrive(&arrival).await {
        Ok(person) => person,
        Err(error) => {
            let fault = Fault::from(error);
            note_refusal(&issuer, peer, fault.code, Some(&arrival.tenant), &by, "the person is not let in");
            return Err(fault);
        }
    };
    voucher::keep(&issuer, &person.id, &arrival, refresh_token.as_deref()).await?;
    let opening = Opening { user: person.id.clone(), ..opening };
    enter(&issuer, &headers, &person, &opening, &by, &next).await
}

/// `POST /sign-in`: somebody typed a password of ours.
pub(super) async fn with_password(
    State(issuer): State<Arc<Issuer>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    let (mut form, next, tenant) = checked(&issuer, &headers, &body)?;
    if !tenant.local_accounts {
        return Err(Fault::of(Code::SIGN_IN_NO_PROVIDER));
    }
    let password = Arc::new(Secret::new(form.take("password").unwrap_or_default().into_bytes()));
    let account = form.get("account").unwrap_or_default();
    let verified = issuer.accounts.verify(&tenant.name, account, &password, peer.address.ip()).await;
    let error = match verified {
        Ok(person) => {
            let opening = Opening {
                user: person.id.clone(),
                tenant: tenant.name.to_string(),
                amr: vec!["pwd".to_owned()],
                ..Opening::default()
            };
            return enter(&issuer, &headers, &person, &opening, "local account", &next).await;
        }
        Err(error) => error,
    };
    let code = account_code(&error);
    // Not the name that was typed: people type passwords into the wrong field.
    note_refusal(&issuer, peer, code, Some(&tenant.name), "local account", &error.to_string());
    if let AccountError::Storage(error) = error {
        return Err(error.into());
    }
    let asking = match &next {
        Next::Transaction(id) => Some(Asking::of(&issuer, id).await?),
        _ => None,
    };
    let row = code.row();
    let notice = match &error {
        AccountError::Wait(wait) => {
            format!("Too many tries. Wait {} seconds, then try again. ({code})", wait.0.as_secs())
        }
        _ => format!("{} ({code})", row.map_or("That did not work.", |row| row.cause)),
    };
    let status = Fault::of(code).into_response().status();
    let said = Said { notice: Some(notice), account, status };
    let mut response = sign_in_page(&issuer, &headers, &next, asking.as_ref(), Some(&tenant.name), said);
    if let AccountError::Wait(wait) = error {
        response.headers_mut().insert(axum::http::header::RETRY_AFTER, wait.0.as_secs().into());
    }
    Ok(response)
}

/// Opens the session: a fresh one, whatever cookie came along, in the place of the one that was there.
async fn enter(
    issuer: &Issuer,
    headers: &HeaderMap,
    person: &Person,
    opening: &Opening,
    by: &str,
    next: &Next,
) -> Result<Response, Fault> {
    let desk = issuer.desk();
    let (session, secret) = desk.sessions.open(opening).await?;
    let event = Event {
        tenant: Some(person.tenant.as_str().into()),
        by: Some(person.id.as_str().into()),
        about: Some(About::new("session", session.id.as_str())),
        detail: Some(by.into()),
        ..Event::of(What::SignedIn)
    };
    if let Err(error) = issuer.note(event) {
        // Nobody is signed in without a record of it.
        desk.sessions.forget(&session.id).await?;
        return Err(error.into());
    }
    if let Some(before) = bearer(issuer, headers).await? {
        desk.sessions.close(&before.session.id).await?;
    }
    let cookies = [
        desk.cookies.set(Cookie::Session, &secret, None),
        desk.cookies.clear(Cookie::Departure),
        desk.cookies.clear(Cookie::Form),
    ];
    Ok(go(&next.path(), cookies))
}

/// A sign-in that failed: on record, and a page.
fn refused(
    issuer: &Issuer,
    peer: Peer,
    error: &SignInError,
    about: Option<(&str, &str)>,
    next: &Next,
) -> Fault {
    let by = about.map_or_else(|| "a provider".to_owned(), |(_, provider)| format!("provider {provider}"));
    tracing::warn!(error = error as &dyn std::error::Error, about = ?about, "a sign-in was refused");
    note_refusal(issuer, peer, error.code(), about.map(|(tenant, _)| tenant), &by, &error.to_string());
    Fault::from(error).onward(format!("/sign-in?{}", next.query()), "Try again")
}

fn note_refusal(issuer: &Issuer, peer: Peer, code: Code, tenant: Option<&str>, by: &str, why: &str) {
    let event = Event {
        tenant: tenant.map(Into::into),
        code: Some(code),
        detail: Some(format!("{by}: {why}").into()),
        ..Event::of(What::SignInRefused)
    };
    issuer.note_stranger(peer.address.ip(), event);
}

/// Ends a client's request with a refusal, and sends the browser back to the client with it.
pub(super) async fn refuse(issuer: &Issuer, id: &str, error: OauthError) -> Result<Response, Fault> {
    finish(issuer, id, Decision::Refused(error)).await
}

/// Ends a client's request with a refusal that its person has not met.
pub(super) async fn turn_back(
    issuer: &Issuer,
    id: &str,
    asking: &Asking,
    error: OauthError,
) -> Result<Response, Fault> {
    let location = ended(issuer, id, Decision::Refused(error.clone())).await?;
    Ok(authorize::turn_back(&asking.client, &asking.transaction, &error, location))
}

/// Ends a client's request, and sends the browser back to the client.
pub(super) async fn finish(issuer: &Issuer, id: &str, decision: Decision) -> Result<Response, Fault> {
    Ok(go(&ended(issuer, id, decision).await?, []))
}

async fn ended(issuer: &Issuer, id: &str, decision: Decision) -> Result<String, Fault> {
    authorize::finish(issuer, id, decision).await.map_err(|error| match error {
        FinishError::Gone => Fault::of(Code::REQUEST_GONE),
        FinishError::Storage(error) => error.into(),
    })
}

pub(super) fn login_required() -> OauthError {
    OauthError::new("login_required", Code::SIGN_IN_NEEDED, "nobody is signed in, and nobody may be asked")
}

/// The parameters of a query.
pub(super) fn query_form(query: Option<String>) -> Result<Form, Fault> {
    Form::parse(query.unwrap_or_default().as_bytes())
        .map_err(|error| Fault::of(Code::NO_SUCH_PAGE).saying(error.to_string()))
}

const PURPOSE: &str = "sign-in";
/// What a sealed way on is sealed for.
const SEALED: &str = "departure";
/// By how much a provider's clock may differ.
pub(super) const CLOCKS: Duration = Duration::from_secs(60);
