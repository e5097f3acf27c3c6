//! Token contracts: what an issuer's tokens have to say. They are the house's, since an issuer may speak for many tenants.

use crate::admin::Rooms;
use crate::answer::{About, Answer, Created};
use crate::caller::Caller;
use crate::journal;
use crate::page::{Page, Paged};
use crate::problem::Problem;
use crate::tag;
use crate::taken::{Asked, Taken};
use authn::Contracts;
use authn::contract::{ContractError, ContractKey, ContractRow, Document, Status};
use axum::Json;
use axum::extract::State;
use ledger::What;
use model::Code;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Rooms> {
    OpenApiRouter::default()
        .routes(routes!(list_contracts, draft_contract))
        .routes(routes!(show_contract))
        .routes(routes!(shadow_contract))
        .routes(routes!(end_contract_shadow))
        .routes(routes!(enforce_contract))
        .routes(routes!(roll_contract_back))
}

/// One version of a contract. Times are milliseconds since the epoch.
#[derive(Serialize, ToSchema)]
#[schema(as = Contract)]
struct Shown {
    /// The issuer.
    issuer: String,
    /// The resource; absent: every resource without a contract of its own.
    resource: Option<String>,
    /// Counts up from one.
    version: i64,
    /// `draft`, `shadow`, `enforced` or `retired`.
    #[schema(value_type = String)]
    status: Status,
    /// When it was written.
    created_at: i64,
    /// Who wrote it.
    created_by: String,
    /// When its status was set.
    changed_at: i64,
    /// Who set it.
    changed_by: String,
    /// When it was first enforced.
    enforced_at: Option<i64>,
    /// The document, where one version is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Value>,
}

impl Shown {
    fn of(row: ContractRow) -> Self {
        Self {
            issuer: row.key.issuer,
            resource: row.key.resource,
            version: row.version,
            status: row.status,
            created_at: row.created_at.0,
            created_by: row.created_by,
            changed_at: row.changed_at.0,
            changed_by: row.changed_by,
            enforced_at: row.enforced_at.map(|at| at.0),
            document: None,
        }
    }
}

impl From<ContractError> for Problem {
    fn from(error: ContractError) -> Self {
        match error {
            ContractError::Unknown => Self::of(Code::ADMIN_NOT_FOUND),
            ContractError::Faults(_) => Self::invalid(error.to_string()),
            ContractError::Samples(_) | ContractError::Status(_) => Self::conflict(error.to_string()),
            ContractError::Storage(error) => error.into(),
            ContractError::Unreadable(_) => Self::of(Code::INTERNAL).because(error),
        }
    }
}

fn contracts(rooms: &Rooms) -> Contracts {
    Contracts::new(rooms.parts.db.clone(), Arc::clone(&rooms.parts.clock))
}

/// Lists every version of every contract, by issuer, resource and version.
#[utoipa::path(
    get, path = "/contracts", tag = "contracts", params(Paged), security(("bearer" = ["operator:read"])),
    responses((status = 200, description = "A page of versions", body = Page<Shown>))
)]
async fn list_contracts(State(rooms): State<Rooms>, Asked(asked): Asked<Paged>) -> Answer<Json<Page<Shown>>> {
    let window = asked.window()?;
    let rows = contracts(&rooms).list(MOST).await?;
    let key = |row: &ContractRow| {
        format!(
            "{}\n{}\n{:019}",
            row.key.issuer,
            row.key.resource.as_deref().unwrap_or_default(),
            row.version
        )
    };
    let mut rows: Vec<(String, ContractRow)> = rows.into_iter().map(|row| (key(&row), row)).collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Json(window.page_of_all(rows, |(key, _)| key.clone(), |(_, row)| Shown::of(row))))
}

/// Writes a contract's next version, used for nothing yet.
#[utoipa::path(
    post, path = "/contracts", tag = "contracts",
    request_body(content = Value, description = "The document of a token contract: `portunus contract schema`"),
    security(("bearer" = ["operator:write"])),
    responses((status = 201, description = "Written", body = Shown))
)]
async fn draft_contract(
    State(rooms): State<Rooms>,
    caller: Caller,
    Taken(document): Taken<Document>,
) -> Answer<Created<Shown>> {
    let row = contracts(&rooms).draft(&document, &caller.principal.user).await?;
    tell(&rooms, &caller, &row.key, row.version, "drafted").await?;
    let about = About { kind: "contract", id: name(&row.key, row.version) };
    let row = Shown::of(row);
    let tag = tag::of(&row);
    Ok(Created { about, path: "/contracts".to_owned(), row, tag })
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct OneContract {
    /// The issuer.
    issuer: String,
    /// The resource; absent: the contract of every resource without one of its own.
    resource: Option<String>,
    /// The version.
    version: i64,
}

/// One version, with its document.
#[utoipa::path(
    get, path = "/contracts/version", tag = "contracts", params(OneContract), security(("bearer" = ["operator:read"])),
    responses((status = 200, description = "The version", body = Shown))
)]
async fn show_contract(State(rooms): State<Rooms>, Asked(asked): Asked<OneContract>) -> Answer<Json<Shown>> {
    let key = ContractKey { issuer: asked.issuer, resource: asked.resource };
    let found = contracts(&rooms).get(&key, asked.version).await?;
    let row = found.ok_or_else(|| Problem::of(Code::ADMIN_NOT_FOUND))?;
    let document = serde_json::from_str(&row.document).ok();
    Ok(Json(Shown { document, ..Shown::of(row) }))
}

/// A version of a contract.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Version {
    /// The issuer.
    issuer: String,
    /// The resource; absent: the contract of every resource without one of its own.
    resource: Option<String>,
    /// The version.
    version: i64,
}

/// Evaluates a version beside the enforced one: what differs is logged and counted. Its samples have to pass and fail.
#[utoipa::path(
    post, path = "/contracts/shadow", tag = "contracts", request_body = Version,
    security(("bearer" = ["operator:write"])),
    responses((status = 200, description = "In shadow", body = Shown))
)]
async fn shadow_contract(
    State(rooms): State<Rooms>,
    caller: Caller,
    Taken(body): Taken<Version>,
) -> Answer<Json<Shown>> {
    let key = ContractKey { issuer: body.issuer, resource: body.resource };
    let row = contracts(&rooms).shadow(&key, body.version, &caller.principal.user).await?;
    tell(&rooms, &caller, &key, row.version, "in shadow").await?;
    Ok(Json(Shown::of(row)))
}

/// A contract, whatever its version.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AnyVersion {
    /// The issuer.
    issuer: String,
    /// The resource; absent: the contract of every resource without one of its own.
    resource: Option<String>,
}

/// Takes the version in shadow out of it: it is evaluated no longer, and what is enforced stays so.
#[utoipa::path(
    post, path = "/contracts/shadow/end", tag = "contracts", request_body = AnyVersion,
    security(("bearer" = ["operator:write"])),
    responses((status = 200, description = "No longer in shadow", body = Shown))
)]
async fn end_contract_shadow(
    State(rooms): State<Rooms>,
    caller: Caller,
    Taken(body): Taken<AnyVersion>,
) -> Answer<Json<Shown>> {
    let key = ContractKey { issuer: body.issuer, resource: body.resource };
    let row = contracts(&rooms).end_shadow(&key, &caller.principal.user).await?;
    tell(&rooms, &caller, &key, row.version, "out of shadow").await?;
    Ok(Json(Shown::of(row)))
}

/// Enforces a version, on every replica within a second. Its samples have to pass and fail.
#[utoipa::path(
    post, path = "/contracts/enforce", tag = "contracts", request_body = Version,
    security(("bearer" = ["operator:write"])),
    responses((status = 200, description = "Enforced", body = Shown))
)]
async fn enforce_contract(
    State(rooms): State<Rooms>,
    caller: Caller,
    Taken(body): Taken<Version>,
) -> Answer<Json<Shown>> {
    let key = ContractKey { issuer: body.issuer, resource: body.resource };
    let row = contracts(&rooms).enforce(&key, body.version, &caller.principal.user).await?;
    tell(&rooms, &caller, &key, row.version, "enforced").await?;
    Ok(Json(Shown::of(row)))
}

/// Where to go back to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Back {
    /// The issuer.
    issuer: String,
    /// The resource; absent: the contract of every resource without one of its own.
    resource: Option<String>,
    /// The version, enforced before; 0 is what the configuration says. Default: the one enforced before this one.
    version: Option<i64>,
}

/// What is enforced now.
#[derive(Serialize, ToSchema)]
struct Standing {
    /// The version; absent: what the configuration says.
    contract: Option<Shown>,
}

/// Goes back to an earlier version, or to what the configuration says.
#[utoipa::path(
    post, path = "/contracts/rollback", tag = "contracts", request_body = Back,
    security(("bearer" = ["operator:write"])),
    responses((status = 200, description = "What is enforced now", body = Standing))
)]
async fn roll_contract_back(
    State(rooms): State<Rooms>,
    caller: Caller,
    Taken(body): Taken<Back>,
) -> Answer<Json<Standing>> {
    let key = ContractKey { issuer: body.issuer, resource: body.resource };
    let row = contracts(&rooms).rollback(&key, body.version, &caller.principal.user).await?;
    tell(&rooms, &caller, &key, row.as_ref().map_or(0, |row| row.version), "rolled back to").await?;
    Ok(Json(Standing { contract: row.map(Shown::of) }))
}

async fn tell(
    rooms: &Rooms,
    caller: &Caller,
    key: &ContractKey,
    version: i64,
    what: &str,
) -> Result<(), Problem> {
    let about = name(key, version);
    journal::happened(rooms, caller, What::ContractChanged, ("contract", &about), what).await
}

fn name(key: &ContractKey, version: i64) -> String {
    format!("{} {} {version}", key.issuer, key.resource.as_deref().unwrap_or("*"))
}

/// The most versions that are listed.
const MOST: u32 = 10_000;
