//! `/device`: a person enters the code that a device shows, sees who asks and from where, and decides.

use super::code;
use super::guesses::Guesses;
use super::rows::{Approval, Asked};
use crate::client::{self, Client};
use crate::pages::{Fault, Next, Visitor, form_token, go, is_ours, page, read_form, visitor};
use crate::{Form, Issuer};
use askama::Template;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use ledger::{About, Event, What};
use model::Code;
use net::listen::Peer;
use std::sync::Arc;

/// The form that takes a code.
#[derive(Template)]
#[template(path = "device.html")]
struct Enter<'a> {
    form: String,
    code: &'a str,
    notice: Option<&'a str>,
    person: &'a str,
    tenant: &'a str,
}

/// Who asks, and the decision.
#[derive(Template)]
#[template(path = "device_decide.html")]
struct Decide<'a> {
    form: String,
    code: &'a str,
    name: &'a str,
    client: &'a str,
    origin: &'a str,
    is_vouched: bool,
    is_agent: bool,
    came_from: &'a str,
    is_here: bool,
    place: String,
    scopes: Vec<String>,
    person: &'a str,
    tenant: &'a str,
}

/// What was decided.
#[derive(Template)]
#[template(path = "device_done.html")]
struct Done<'a> {
    title: &'a str,
    said: &'a str,
}

/// GET: the form, with the code of the link in it. Nothing is looked up before the form is sent.
pub(super) async fn show(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let form = Form::parse(query.unwrap_or_default().as_bytes())
        .map_err(|error| Fault::of(Code::FORM_REFUSED).saying(error.to_string()))?;
    let typed = form.get("user_code").unwrap_or_default();
    let Some(visitor) = visitor(&issuer, &headers).await? else {
        let next = Next::parse(&format!("/device?user_code={typed}")).unwrap_or(Next::Device(None));
        return Ok(go(&format!("/sign-in?{}", next.query()), []));
    };
    Ok(enter(&visitor, typed, None))
}

/// POST: a code to look up, or a decision about one.
pub(super) async fn answer(
    State(issuer): State<Arc<Issuer>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    let form = read_form(&issuer, &headers, &body)?;
    let Some(visitor) = visitor(&issuer, &headers).await? else {
        return Ok(go(&format!("/sign-in?{}", Next::Device(None).query()), []));
    };
    let typed = form.get("user_code").unwrap_or_default();
    match form.get("decision") {
        None => look_up(&issuer, &visitor, &form, typed, &peer).await,
        Some(decision) => decide(&issuer, &visitor, &form, typed, decision == "allow").await,
    }
}

async fn look_up(
    issuer: &Issuer,
    visitor: &Visitor,
    form: &Form,
    typed: &str,
    peer: &Peer,
) -> Result<Response, Fault> {
    if !is_ours(form.get("form"), &visitor.cookie, ENTER) {
        return Err(Fault::of(Code::FORM_REFUSED));
    }
    let Some(letters) = code::read(typed) else {
        return Ok(enter(visitor, typed, Some("That is not a code: it has ten letters, without vowels.")));
    };
    // SECURITY: both are counted, so that neither many addresses of one person nor many people of one address can try more
    // (test: `codes_cannot_be_guessed_at_will`).
    let guesses = Guesses::new(issuer.db.clone(), Arc::clone(&issuer.clock));
    let by_person = guesses.admits(&visitor.session.user).await?;
    let by_address = guesses.admits(&format!("ip {}", peer.address.ip())).await?;
    if !by_person || !by_address {
        return Err(Fault::of(Code::DEVICE_REFUSED).saying("Too many codes were tried. Wait ten minutes."));
    }
    match issuer.devices().waiting(&letters).await? {
        None => Ok(enter(visitor, typed, Some("No device waits under this code. It may have expired."))),
        Some(asked) => asking(issuer, visitor, &letters, &asked, peer).await,
    }
}

fn enter(visitor: &Visitor, typed: &str, notice: Option<&str>) -> Response {
    let shown = Enter {
        form: form_token(&visitor.cookie, ENTER),
        code: typed,
        notice,
        person: visitor.name(),
        tenant: &visitor.session.tenant,
    };
    page(&shown, StatusCode::OK, "")
}

async fn asking(
    issuer: &Issuer,
    visitor: &Visitor,
    letters: &str,
    asked: &Asked,
    peer: &Peer,
) -> Result<Response, Fault> {
    // Bound to the code: a form that was shown for one device decides about no other. Sealed, since a person can make the
    // tokens of plain forms, and would guess at codes by deciding (test: `codes_are_not_guessed_by_deciding`).
    let own = form_token(&visitor.cookie, &purpose(letters));
    let is_agent = asked.client.starts_with("agt_");
    let client = if is_agent { None } else { Some(client::find(issuer, &asked.client).await?) };
    let origin = client.as_ref().map(Client::origin);
    let sealed = issuer.sealer.seal(SEALED, own.as_bytes(), issuer.dice.as_ref());
    let shown = Decide {
        form: sealed.map_err(|_| Fault::of(Code::SIGN_IN_UNAVAILABLE))?,
        code: letters,
        name: &asked.client_name,
        client: &asked.client,
        origin: origin.as_deref().unwrap_or("This is an agent of your organisation's registry."),
        is_vouched: client.as_ref().is_none_or(Client::is_vouched),
        is_agent,
        came_from: &asked.came_from,
        is_here: asked.came_from == peer.address.ip().to_string(),
        place: crate::pages::words::place(&issuer.config().issuer, &asked.resource),
        scopes: asked.scopes.clone(),
        person: visitor.name(),
        tenant: &visitor.session.tenant,
    };
    Ok(page(&shown, StatusCode::OK, ""))
}

async fn decide(
    issuer: &Issuer,
    visitor: &Visitor,
    form: &Form,
    letters: &str,
    allows: bool,
) -> Result<Response, Fault> {
    // SECURITY: test `a_device_is_not_approved_without_the_forms_own_token`.
    if !is_ours(opened(issuer, form).as_deref(), &visitor.cookie, &purpose(letters)) {
        return Err(Fault::of(Code::FORM_REFUSED));
    }
    if allows {
        let asked = of_our_tenant(issuer, visitor, letters).await?;
        // The consent first: an agent that is let in at once finds it.
        if asked.client.starts_with("agt_") {
            let user = &visitor.session.user;
            issuer.agent_consents().give(user, &asked.client, &asked.resource, &asked.scopes).await?;
        }
    }
    let approval = allows.then(|| Approval {
        user: visitor.session.user.clone(),
        tenant: visitor.session.tenant.clone(),
        session: visitor.session.id.clone(),
        auth_time: visitor.session.auth_time,
        given_at: issuer.now(),
    });
    let decided = issuer.devices().decide(letters, approval.as_ref()).await?;
    let asked = decided.ok_or_else(|| Fault::of(Code::DEVICE_REFUSED))?;
    let what = if allows { What::ConsentGiven } else { What::ConsentRefused };
    let event = Event {
        tenant: Some(visitor.session.tenant.as_str().into()),
        by: Some(visitor.session.user.as_str().into()),
        about: Some(About::new("client", crate::client::registered::short(&asked.client))),
        name: Some(asked.resource.as_str().into()),
        detail: Some(format!("device flow, asked from {}", asked.came_from).into()),
        ..Event::of(what)
    };
    issuer.note_after(event);
    let said = if allows {
        "The device goes on by itself in a moment. You can close this page."
    } else {
        "The device was told no. You can close this page."
    };
    let title = if allows { "The device is signed in" } else { "The device is not signed in" };
    Ok(page(&Done { title, said }, StatusCode::OK, ""))
}

/// What waits under a code. An agent of another organisation acts for nobody of this one.
async fn of_our_tenant(issuer: &Issuer, visitor: &Visitor, letters: &str) -> Result<Asked, Fault> {
    let asked = issuer.devices().waiting(letters).await?.ok_or_else(|| Fault::of(Code::DEVICE_REFUSED))?;
    if !asked.client.starts_with("agt_") {
        return Ok(asked);
    }
    let agent = issuer.agents().find(&asked.client).await?;
    match agent.filter(|agent| agent.tenant == visitor.session.tenant && agent.is_active(issuer.now())) {
        Some(_) => Ok(asked),
        None => Err(Fault::of(Code::DEVICE_REFUSED).saying("The agent is not one of your organisation's.")),
    }
}

fn purpose(letters: &str) -> String {
    format!("device {letters}")
}

/// The token that was sealed into the form of a decision.
fn opened(issuer: &Issuer, form: &Form) -> Option<String> {
    let token = issuer.sealer.open(SEALED, form.get("form")?).ok()?;
    String::from_utf8(token).ok()
}

const ENTER: &str = "device";
/// What the token of a decision is sealed for.
const SEALED: &str = "device decision";
