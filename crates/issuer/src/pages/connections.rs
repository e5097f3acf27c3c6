//! A person's own page: which clients they let act, and the button that ends it.

use super::sign_in::query_form;
use super::{Fault, bearer, form_token, go, is_ours, page, read_form, words};
use crate::Issuer;
use crate::client;
use crate::grant::{self, Filter, Grant, Why};
use crate::person::Person;
use askama::Template;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
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

/// One of them, and what its button sends: a consent to a client, all consents to an agent, or the one grant of a client
/// about which nobody was asked on a page of its own, as a device.
struct Connection {
    field: &'static str,
    id: String,
    name: String,
    client: String,
    place: String,
    scopes: String,
    redirect_host: String,
    given_at: String,
    last_used_at: Option<String>,
}

/// `GET /connections`.
pub(super) async fn show(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let Some(visitor) = bearer(&issuer, &headers).await? else {
        return Ok(go("/sign-in?next=%2Fconnections", []));
    };
    let gone = query_form(query)?.get("gone").is_some();
    let desk = issuer.desk();
    let token = form_token(&visitor.cookie, PURPOSE);
    let tenant = desk.tenant(&visitor.person.tenant);
    let shown = Page {
        person: visitor.name(),
        tenant: tenant.map_or(&visitor.person.tenant, |tenant| &tenant.display_name),
        notice: gone.then_some("Disconnected. What the client had no longer works."),
        connections: connections(&issuer, &visitor.person).await?,
        form: &token,
    };
    Ok(page(&shown, StatusCode::OK, ""))
}

async fn connections(issuer: &Issuer, person: &Person) -> Result<Vec<Connection>, Fault> {
    let theirs = Filter { tenant: person.tenant.clone(), user: Some(person.id.clone()), ..Filter::default() };
    let mut grants = grant::list(issuer, &theirs, GRANTS).await?;
    let url = issuer.config().issuer.clone();
    let mut connections = Vec::new();
    for consent in issuer.consents().of_user(&person.id).await? {
        let by = |grant: &Grant| grant.client == consent.client && grant.resource == consent.resource;
        let used = grants.iter().filter(|grant| by(grant)).map(|grant| grant.used_at).max();
        grants.retain(|grant| !by(grant));
        let last = used.map_or(consent.last_used_at, |used| used.max(consent.last_used_at));
        connections.push(Connection {
            field: "consent",
            place: words::place(&url, &consent.resource),
            scopes: consent.scopes.join(", "),
            given_at: words::moment(consent.given_at),
            last_used_at: Some(words::moment(last)),
            id: consent.id,
            name: consent.client_name,
            client: consent.client,
            redirect_host: consent.redirect_host,
        });
    }
    for consent in issuer.agent_consents().of_user(&person.id).await? {
        let by = |grant: &Grant| grant.agent.as_ref() == Some(&consent.agent);
        let used = grants.iter().filter(|grant| by(grant)).map(|grant| grant.used_at).max();
        grants.retain(|grant| !by(grant) || grant.resource != consent.resource);
        connections.push(Connection {
            field: "agent",
            place: words::place(&url, &consent.resource),
            scopes: consent.scopes.join(", "),
            given_at: words::moment(consent.given_at),
            last_used_at: used.map(words::moment),
            id: consent.agent.clone(),
            name: consent.name,
            client: consent.agent,
            redirect_host: String::new(),
        });
    }
    for grant in grants {
        let name = client::find(issuer, &grant.client).await.map(|client| client.name);
        connections.push(Connection {
            field: "grant",
            place: words::place(&url, &grant.resource),
            scopes: grant.scopes.join(", "),
            given_at: words::moment(grant.created_at),
            last_used_at: Some(words::moment(grant.used_at)),
            id: grant.id,
            name: name.unwrap_or_else(|_| client::registered::short(&grant.client)),
            client: client::registered::short(&grant.client),
            redirect_host: String::new(),
        });
    }
    Ok(connections)
}

/// `POST /connections`: takes a consent back.
pub(super) async fn withdraw(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    let form = read_form(&issuer, &headers, &body)?;
    let visitor = bearer(&issuer, &headers).await?.ok_or(Fault::of(Code::FORM_REFUSED))?;
    if !is_ours(form.get("form"), &visitor.cookie, PURPOSE) {
        return Err(Fault::of(Code::FORM_REFUSED));
    }
    let (tenant, user) = (&visitor.person.tenant, &visitor.person.id);
    if let Some(agent) = form.get("agent") {
        issuer.withdraw_from_agent(tenant, user, agent, user).await?;
    } else if let Some(id) = form.get("grant") {
        let found = grant::find(&issuer, id).await?;
        // SECURITY: one's own alone (test: `what_a_person_let_devices_and_agents_do_is_listed_and_ended`).
        if found.is_some_and(|grant| grant.user.as_ref() == Some(user)) {
            grant::revoke(&issuer, id, Why { by: user, reason: "disconnected" }).await?;
        }
    } else {
        issuer.withdraw(user, form.get("consent").unwrap_or_default(), user).await?;
    }
    Ok(go("/connections?gone=1", []))
}

const PURPOSE: &str = "connections";
/// The most grants that a page shows.
const GRANTS: i64 = 200;
