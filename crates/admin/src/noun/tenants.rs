//! Tenants and their providers, as the configuration says. They are read here and changed there.

use crate::admin::Rooms;
use crate::answer::Answer;
use crate::caller::Caller;
use crate::page::{Page, Paged};
use crate::taken::Asked;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Rooms> {
    OpenApiRouter::default().routes(routes!(list_tenants))
}

/// A tenant.
#[derive(Serialize, ToSchema)]
struct Tenant {
    /// Its name.
    name: String,
    /// What pages call it.
    display_name: String,
    /// Whether it has local accounts.
    local_accounts: bool,
    /// Its identity providers.
    providers: Vec<Provider>,
}

/// An identity provider.
#[derive(Serialize, ToSchema)]
struct Provider {
    /// Its name.
    name: String,
    /// What its button says.
    display_name: String,
    /// Its issuer.
    issuer: String,
    /// Our client id there.
    client_id: String,
    /// What is asked for.
    scopes: Vec<String>,
}

/// Lists the tenants within reach and their providers.
#[utoipa::path(
    get, path = "/tenants", tag = "tenants", params(Paged), security(("bearer" = ["admin:read"])),
    responses((status = 200, description = "A page of tenants", body = Page<Tenant>))
)]
async fn list_tenants(
    State(rooms): State<Rooms>,
    caller: Caller,
    Asked(asked): Asked<Paged>,
) -> Answer<Json<Page<Tenant>>> {
    let window = asked.window()?;
    let bound = caller.tenant(None)?;
    let config = rooms.issuer()?.config();
    let mut rows: Vec<Tenant> = config
        .tenants
        .iter()
        .filter(|tenant| bound.as_ref().is_none_or(|bound| *bound == tenant.name))
        .map(|tenant| Tenant {
            name: tenant.name.to_string(),
            display_name: tenant.display_name.clone(),
            local_accounts: tenant.local_accounts,
            providers: tenant
                .providers
                .iter()
                .map(|provider| Provider {
                    name: provider.name.clone(),
                    display_name: provider.display_name.clone(),
                    issuer: provider.issuer.clone(),
                    client_id: provider.client_id.clone(),
                    scopes: provider.scopes.clone(),
                })
                .collect(),
        })
        .collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Json(window.page_of_all(rows, |row| row.name.clone(), |row| row)))
}
