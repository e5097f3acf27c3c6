//! A person's own page: which clients they let act, and the button that ends it.

use super::sign_in::query_form;
use super::{Fault, Visitor, form_token, go, is_ours, page, read_form, visitor, words};
use crate::Issuer;
use crate::consent::Consent;
use crate::grant::{self, Filter, Why};
use askama::Template;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use ledger::{About, Event, What};
use model::Code;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "connections.html")]
struct Page<'a> {
    person: &'a str,
    tenant: &'a str,
    notice: Option<&'a str>,
    connections: Vec<Connection>,
    form: &'a str,
}

struct Connection {
    id: String,
    name: String,
    client: String,
    place: String,
    scopes: String,
    redirect_host: String,
    given_at: String,
    last_used_at: String,
}

/// `GET /connections`.
pub(super) async fn show(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let Some(visitor) = visitor(&issuer, &headers).await? else {
        return Ok(go("/sign-in?next=%2Fconnections", []));
    };
    let gone = query_form(query)?.get("gone").is_some();
    let desk = issuer.desk();
    let url = issuer.config().issuer.clone();
    let mut connections = Vec::new();
    for consent in desk.consents.of_user(&visitor.person.id).await? {
        let grants = grant::list(&issuer, &given_by(&consent), GRANTS).await?;
        let used = grants.iter().map(|grant| grant.used_at).max();
        connections.push(connection(&url, consent, used));
    }
    let token = form_token(&visitor.cookie, PURPOSE);
    let tenant = desk.tenant(&visitor.person.tenant);
    let shown = Page {
        person: visitor.name(),
        tenant: tenant.map_or(&visitor.person.tenant, |tenant| &tenant.display_name),
        notice: gone.then_some("Disconnected. What the client had no longer works."),
        connections,
        form: &token,
    };
    Ok(page(&shown, StatusCode::OK, ""))
}

fn connection(url: &str, consent: Consent, used: Option<model::Timestamp>) -> Connection {
    let last = used.map_or(consent.last_used_at, |used| used.max(consent.last_used_at));
    Connection {
        place: words::place(url, &consent.resource),
        scopes: consent.scopes.join(", "),
        given_at: words::moment(consent.given_at),
        last_used_at: words::moment(last),
        id: consent.id,
        name: consent.client_name,
        client: consent.client,
        redirect_host: consent.redirect_host,
    }
}

/// `POST /connections`: takes a consent back.
pub(super) async fn withdraw(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    let form = read_form(&issuer, &headers, &body)?;
    let visitor = visitor(&issuer, &headers).await?.ok_or(Fault::of(Code::FORM_REFUSED))?;
    if !is_ours(form.get("form"), &visitor.cookie, PURPOSE) {
        return Err(Fault::of(Code::FORM_REFUSED));
    }
    let id = form.get("consent").unwrap_or_default();
    withdraw_consent(&issuer, &visitor, id).await?;
    Ok(go("/connections?gone=1", []))
}

async fn withdraw_consent(issuer: &Issuer, visitor: &Visitor, id: &str) -> Result<(), Fault> {
    issuer.withdraw(&visitor.person.id, id, &visitor.person.id).await.map(drop)
}

impl Issuer {
    /// Takes a person's consent back and revokes every grant made by it; `by` is who does it. `None` if there is none.
    ///
    /// # Errors
    /// The database's, or the record's: the consent may be gone then and its grants not, and can be withdrawn again.
    pub(crate) async fn withdraw(&self, user: &str, id: &str, by: &str) -> Result<Option<Consent>, Fault> {
        let all = self.desk().consents.of_user(user).await?;
        let Some(consent) = all.into_iter().find(|consent| consent.id == id) else { return Ok(None) };
        // The grants first: a consent that is gone could not be withdrawn again if the second half failed.
        let why = Why { by, reason: "the consent was withdrawn" };
        grant::revoke_all(self, &given_by(&consent), why).await?;
        let event = Event {
            tenant: Some(consent.tenant.as_str().into()),
            by: Some(by.into()),
            about: Some(About::new("client", consent.client.as_str())),
            name: Some(consent.resource.as_str().into()),
            detail: Some(format!("of {user}").into()),
            ..Event::of(What::ConsentWithdrawn)
        };
        self.note(event)?;
        Ok(self.desk().consents.withdraw(user, id).await?)
    }
}

/// The grants that a consent stands behind.
fn given_by(consent: &Consent) -> Filter {
    Filter {
        tenant: consent.tenant.clone(),
        user: Some(consent.user.clone()),
        client: Some(consent.client.clone()),
        resource: Some(consent.resource.clone()),
        ..Filter::default()
    }
}

const PURPOSE: &str = "connections";
/// Grants looked at for when a client was last used.
const GRANTS: i64 = 50;
