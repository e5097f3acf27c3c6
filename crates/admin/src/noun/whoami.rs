//! Who the caller is to this API.

use crate::admin::Rooms;
use crate::caller::Caller;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Rooms> {
    OpenApiRouter::default().routes(routes!(whoami))
}

/// The caller, as the token says.
#[derive(Serialize, ToSchema)]
struct Whoami {
    /// The person's id, or the agent's if it acts for nobody.
    user: String,
    /// The tenant.
    tenant: String,
    /// The OAuth client the token was issued to.
    client: String,
    /// The agent that acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    /// Who vouches for it.
    issuer: String,
    /// Roles.
    roles: Vec<String>,
    /// Groups.
    groups: Vec<String>,
    /// Scopes of the token.
    scopes: Vec<String>,
    /// What the roles make of them here.
    standing: Standing,
}

/// What a caller is to this API.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Standing {
    /// Operates the house.
    Operator,
    /// Administers their tenant.
    TenantAdmin,
    /// Looks after what is their own.
    Person,
    /// An agent without a person behind it.
    Agent,
}

/// Who the caller is.
#[utoipa::path(
    get, path = "/whoami", tag = "description", security(("bearer" = [])),
    responses((status = 200, description = "The caller", body = Whoami))
)]
async fn whoami(State(rooms): State<Rooms>, caller: Caller) -> Json<Whoami> {
    let (who, config) = (&caller.principal, rooms.config.load());
    let standing = if config.is_operator(who) {
        Standing::Operator
    } else if config.is_tenant_admin(who) {
        Standing::TenantAdmin
    } else if caller.is_alone() {
        Standing::Agent
    } else {
        Standing::Person
    };
    Json(Whoami {
        user: who.user.to_string(),
        tenant: who.tenant.to_string(),
        client: who.client.to_string(),
        agent: who.agent.as_deref().map(str::to_owned),
        issuer: who.issuer.to_string(),
        roles: texts(&who.roles),
        groups: texts(&who.groups),
        scopes: texts(&who.scopes),
        standing,
    })
}

fn texts(list: &[std::sync::Arc<str>]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}
