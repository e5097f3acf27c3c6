//! People: who they are here, and whether they may do anything.

use crate::admin::Rooms;
use crate::answer::{Answer, Tagged};
use crate::caller::Caller;
use crate::journal;
use crate::page::{Page, TenantPaged};
use crate::problem::Problem;
use crate::tag::{self, IfMatch};
use crate::taken::{Asked, Ids, Taken};
use authn::revocations::{self, Kind, Revocation};
use axum::Json;
use axum::extract::State;
use issuer::grant::Why;
use issuer::person::{Person, PersonError};
use ledger::What;
use model::Code;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Rooms> {
    OpenApiRouter::default()
        .routes(routes!(list_people))
        .routes(routes!(show_person, change_person))
        .routes(routes!(disable_person))
        .routes(routes!(enable_person))
}

/// A person. Times are milliseconds since the epoch.
#[derive(Serialize, ToSchema)]
#[schema(as = Person)]
struct Shown {
    /// The subject of their tokens.
    id: String,
    /// The tenant.
    tenant: String,
    /// Whether they may do anything.
    active: bool,
    /// For display.
    name: String,
    /// For display.
    email: Option<String>,
    /// Roles, as last read at a sign-in, or as an administrator says.
    roles: Vec<String>,
    /// Groups, likewise.
    groups: Vec<String>,
    /// When they first came.
    created_at: i64,
    /// When they last signed in.
    last_sign_in_at: Option<i64>,
}

impl Shown {
    fn of(row: Person) -> Self {
        Self {
            id: row.id,
            tenant: row.tenant,
            active: row.is_active,
            name: row.name,
            email: row.email,
            roles: row.roles,
            groups: row.groups,
            created_at: row.created_at.0,
            last_sign_in_at: row.last_sign_in_at.map(|at| at.0),
        }
    }
}

/// The state that a change is a change of; signing in changes nothing of it.
fn state(person: &Person) -> (&str, bool, &str, Option<&str>, &[String], &[String]) {
    let Person { id, is_active, name, email, roles, groups, .. } = person;
    (id, *is_active, name, email.as_deref(), roles, groups)
}

fn tagged(person: Person) -> Tagged<Shown> {
    Tagged { tag: tag::of(&state(&person)), row: Shown::of(person) }
}

/// The person of that id, if they are within reach.
pub(super) async fn reached(rooms: &Rooms, caller: &Caller, id: &str) -> Result<Person, Problem> {
    let found = rooms.issuer()?.people.find(id).await?;
    caller.reached(found, |person| &person.tenant)
}

/// The id of the caller among our people. SECURITY: whoever another issuer vouches for is whom that issuer is known to mean,
/// and never a person of ours by having the same id (test: `anothers_token_with_the_id_of_a_person_of_ours_is_not_theirs`).
pub(super) async fn own(rooms: &Rooms, caller: &Caller) -> Result<String, Problem> {
    let (issuer, who) = (rooms.issuer()?, &caller.principal);
    if *who.issuer == *issuer.config().issuer {
        return Ok(who.user.to_string());
    }
    let known = issuer.people.known_as(&who.tenant, &who.issuer, &who.user).await?;
    let nobody = || {
        Problem::of(Code::ADMIN_NOT_FOUND)
            .with_detail("nobody has signed in here as the subject of this token")
    };
    Ok(known.ok_or_else(nobody)?.id)
}

impl From<PersonError> for Problem {
    fn from(error: PersonError) -> Self {
        match error {
            PersonError::Unknown => Self::of(Code::ADMIN_NOT_FOUND),
            PersonError::Disabled => Self::conflict(error.to_string()),
            PersonError::Storage(error) => error.into(),
        }
    }
}

/// Lists a tenant's people, in the order of their ids.
#[utoipa::path(
    get, path = "/people", tag = "people", params(TenantPaged), security(("bearer" = ["admin:read"])),
    responses((status = 200, description = "A page of people", body = Page<Shown>))
)]
async fn list_people(
    State(rooms): State<Rooms>,
    caller: Caller,
    Asked(asked): Asked<TenantPaged>,
) -> Answer<Json<Page<Shown>>> {
    let window = asked.window()?;
    let tenant = caller.home(asked.tenant.as_deref())?;
    let after = window.after.as_deref().unwrap_or_default();
    let rows = rooms.issuer()?.people.list(&tenant, after, window.count()).await?;
    Ok(Json(window.page(rows, |row| row.id.clone(), Shown::of)))
}

/// One person.
#[utoipa::path(
    get, path = "/people/{person}", tag = "people", params(("person" = String, Path, description = "Their id")),
    security(("bearer" = ["admin:read"])),
    responses((status = 200, description = "The person", body = Shown))
)]
async fn show_person(State(rooms): State<Rooms>, caller: Caller, Ids([id]): Ids<1>) -> Answer<Tagged<Shown>> {
    Ok(tagged(reached(&rooms, &caller, &id).await?))
}

/// What is to be another at a person; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PersonChange {
    /// For display.
    name: Option<String>,
    /// For display.
    email: Option<String>,
    /// Roles.
    roles: Option<Vec<String>>,
    /// Groups.
    groups: Option<Vec<String>>,
}

/// Changes a person of a local account. A provider's people are what their provider says at each sign-in. Tokens that say
/// what roles or groups they had before are refused within a second; a refresh gets one that says what they have.
#[utoipa::path(
    patch, path = "/people/{person}", tag = "people", params(("person" = String, Path, description = "Their id")),
    request_body = PersonChange, security(("bearer" = ["admin:write"])),
    responses((status = 200, description = "The person as they are now", body = Shown))
)]
async fn change_person(
    State(rooms): State<Rooms>,
    caller: Caller,
    Ids([id]): Ids<1>,
    seen: IfMatch,
    Taken(body): Taken<PersonChange>,
) -> Answer<Tagged<Shown>> {
    let now = reached(&rooms, &caller, &id).await?;
    seen.check(&state(&now))?;
    let bad = |list: &Option<Vec<String>>| {
        list.iter()
            .flatten()
            .any(|item| item.is_empty() || item.len() > 256 || item.contains(char::is_control))
            || list.as_ref().is_some_and(|list| list.len() > 256)
    };
    if bad(&body.roles) || bad(&body.groups) {
        return Err(Problem::invalid(
            "roles and groups are at most 256, each 1 to 256 bytes without control characters",
        ));
    }
    // SECURITY: an administrator of a tenant makes nobody operator (test: `nobody_is_made_operator_by_a_tenants_admin`).
    let config = rooms.config.load();
    let names_operator = body.roles.iter().flatten().any(|role| config.operator_roles.contains(role));
    if names_operator && *now.tenant == *config.operator_tenant && caller.reach != crate::caller::Reach::House
    {
        return Err(Problem::of(Code::ADMIN_ROLE));
    }
    let (name, email) = (body.name.unwrap_or(now.name), body.email.or(now.email));
    // Also where they are the same by now: a change that failed half-way is made again.
    let says_else = body.roles.is_some() || body.groups.is_some();
    let (roles, groups) = (body.roles.unwrap_or(now.roles), body.groups.unwrap_or(now.groups));
    let person = rooms.issuer()?.people.change(&id, &name, email.as_deref(), &roles, &groups).await?;
    if says_else {
        end_tokens(&rooms, &caller, &id, "the person was changed").await?;
    }
    journal::happened(&rooms, &caller, What::UserChanged, ("user", &id), "changed").await?;
    Ok(tagged(person))
}

/// Disables a person: their sessions, grants and tokens end within a second, and their agents stop.
#[utoipa::path(
    post, path = "/people/{person}/disable", tag = "people", params(("person" = String, Path, description = "Their id")),
    security(("bearer" = ["admin:write"])),
    responses((status = 200, description = "The person as they are now", body = Shown))
)]
async fn disable_person(
    State(rooms): State<Rooms>,
    caller: Caller,
    Ids([id]): Ids<1>,
) -> Answer<Tagged<Shown>> {
    let issuer = rooms.issuer()?;
    let by = caller.principal.user.as_ref();
    let tenant = reached(&rooms, &caller, &id).await?.tenant;
    let person = issuer.people.set_active(&id, false).await?;
    issuer.end_person(&tenant, &id, Why { by, reason: "the person was disabled" }).await?;
    issuer.agents().follow_owner(&id, by).await?;
    journal::happened(&rooms, &caller, What::UserChanged, ("user", &id), "disabled").await?;
    Ok(tagged(person))
}

/// Lets a disabled person in again, and their agents.
#[utoipa::path(
    post, path = "/people/{person}/enable", tag = "people", params(("person" = String, Path, description = "Their id")),
    security(("bearer" = ["admin:write"])),
    responses((status = 200, description = "The person as they are now", body = Shown))
)]
async fn enable_person(
    State(rooms): State<Rooms>,
    caller: Caller,
    Ids([id]): Ids<1>,
) -> Answer<Tagged<Shown>> {
    let issuer = rooms.issuer()?;
    reached(&rooms, &caller, &id).await?;
    let person = issuer.people.set_active(&id, true).await?;
    issuer.agents().follow_owner(&id, &caller.principal.user).await?;
    journal::happened(&rooms, &caller, What::UserChanged, ("user", &id), "enabled").await?;
    Ok(tagged(person))
}

/// Every token that says what a person was until now. Whoever refreshes gets one that says what they are.
async fn end_tokens(rooms: &Rooms, caller: &Caller, id: &str, why: &str) -> Result<(), Problem> {
    let now = rooms.parts.clock.now();
    let revocation = Revocation::new(Kind::User, id, caller.principal.user.as_ref())
        .issued_before(now)
        .sparing_grants()
        .until(now.after(TOKENS))
        .because(why);
    revocations::revoke(&rooms.parts.db, &revocation, now).await?;
    Ok(())
}

/// Longer than any token of ours lives.
const TOKENS: Duration = Duration::from_secs(2 * 3600);
