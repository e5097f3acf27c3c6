//! Local accounts: people whose password is kept here. The password is set by a link, which is shown once.

use super::people;
use crate::admin::Rooms;
use crate::answer::{About, Answer, Created};
use crate::caller::{Caller, Reach};
use crate::journal;
use crate::page::{Page, TenantPaged};
use crate::problem::Problem;
use crate::tag;
use crate::taken::{Asked, Ids, Taken};
use axum::Json;
use axum::extract::State;
use issuer::person::{AccountError, AccountRow, Initial, NewAccount};
use ledger::What;
use model::Code;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Rooms> {
    OpenApiRouter::default().routes(routes!(list_accounts, create_account)).routes(routes!(reset_account))
}

/// A local account. Times are milliseconds since the epoch.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
struct Shown {
    /// The tenant.
    tenant: String,
    /// What is typed to sign in.
    account: String,
    /// The person.
    user: String,
    /// When the password was set; absent: there is none.
    password_set_at: Option<i64>,
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Unknown => Self::of(Code::ADMIN_NOT_FOUND),
            AccountError::Name => Self::invalid(error.to_string()),
            AccountError::Storage(error) => error.into(),
            other => Self::conflict(other.to_string()),
        }
    }
}

/// Lists a tenant's local accounts, in the order of their names.
#[utoipa::path(
    get, path = "/accounts", tag = "accounts", params(TenantPaged), security(("bearer" = ["admin:read"])),
    responses((status = 200, description = "A page of accounts", body = Page<Shown>))
)]
async fn list_accounts(
    State(rooms): State<Rooms>,
    caller: Caller,
    Asked(asked): Asked<TenantPaged>,
) -> Answer<Json<Page<Shown>>> {
    let window = asked.window()?;
    let tenant = caller.home(asked.tenant.as_deref())?;
    let after = window.after.as_deref().unwrap_or_default();
    let rows = rooms.issuer()?.accounts.list(&tenant, after, window.count()).await?;
    let shown = |row: AccountRow| Shown {
        tenant: row.tenant,
        account: row.account,
        user: row.user,
        password_set_at: row.password_set_at.map(|at| at.0),
    };
    Ok(Json(window.page(rows, |row| row.account.clone(), shown)))
}

/// An account to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAccountBody {
    /// The tenant. Default: the caller's own.
    tenant: Option<String>,
    /// What is typed to sign in: 1 to 128 of a-z, 0-9 and `._@+-`.
    account: String,
    /// For display.
    #[serde(default)]
    name: String,
    /// For display.
    email: Option<String>,
    /// Roles.
    #[serde(default)]
    roles: Vec<String>,
    /// Groups.
    #[serde(default)]
    groups: Vec<String>,
}

/// A link that sets a password.
#[derive(Serialize, ToSchema)]
struct Link {
    /// The person.
    user: String,
    /// The link, good once, within a day: here and now only.
    link: String,
}

/// Makes a local account and its person. The password is set by the link in the answer.
#[utoipa::path(
    post, path = "/accounts", tag = "accounts", request_body = NewAccountBody, security(("bearer" = ["admin:write"])),
    responses((status = 201, description = "Made", body = Link))
)]
async fn create_account(
    State(rooms): State<Rooms>,
    caller: Caller,
    Taken(body): Taken<NewAccountBody>,
) -> Answer<Created<Link>> {
    let tenant = caller.home(body.tenant.as_deref())?.to_string();
    let issuer = rooms.issuer()?;
    let allowed = issuer.config().tenants.iter().any(|known| *known.name == *tenant && known.local_accounts);
    if !allowed {
        return Err(Problem::conflict("the tenant has no local accounts"));
    }
    // SECURITY: an administrator of a tenant makes nobody operator (test: `nobody_is_made_operator_by_a_tenants_admin`).
    let config = rooms.config.load();
    let names_operator = body.roles.iter().any(|role| config.operator_roles.contains(role));
    if names_operator && *tenant == *config.operator_tenant && caller.reach != Reach::House {
        return Err(Problem::of(Code::ADMIN_ROLE));
    }
    let new = NewAccount {
        tenant,
        account: body.account,
        name: body.name,
        email: body.email,
        roles: body.roles,
        groups: body.groups,
    };
    let made = issuer.accounts.create(&new, Initial::Link).await?;
    journal::happened(&rooms, &caller, What::UserChanged, ("user", &made.user), "account made").await?;
    let about = About { kind: "user", id: made.user.clone() };
    let (path, tag) = (format!("/people/{}", made.user), tag::of(&made.user));
    Ok(Created { about, path, row: link(&rooms, made.user, made.link.unwrap_or_default()), tag })
}

/// Makes another link that sets an account's password; links made before no longer do.
#[utoipa::path(
    post, path = "/accounts/{person}/reset", tag = "accounts",
    params(("person" = String, Path, description = "The person's id")), security(("bearer" = ["admin:write"])),
    responses((status = 200, description = "The link", body = Link))
)]
async fn reset_account(State(rooms): State<Rooms>, caller: Caller, Ids([id]): Ids<1>) -> Answer<Json<Link>> {
    let person = people::reached(&rooms, &caller, &id).await?;
    // SECURITY: whoever gets the link is that person: an operator's is an operator's to make.
    let config = rooms.config.load();
    let is_operator = *person.tenant == *config.operator_tenant
        && person.roles.iter().any(|role| config.operator_roles.contains(role));
    if is_operator && caller.reach != Reach::House {
        return Err(Problem::of(Code::ADMIN_ROLE));
    }
    let made = rooms.issuer()?.accounts.link(&id).await?;
    journal::happened(&rooms, &caller, What::UserChanged, ("user", &id), "password link made").await?;
    Ok(Json(link(&rooms, id, made)))
}

fn link(rooms: &Rooms, user: String, secret: String) -> Link {
    Link { user, link: format!("{}/sign-in/password?link={secret}", rooms.parts.public_url) }
}
