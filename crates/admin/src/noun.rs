//! The operations, one file a noun.

mod accounts;
mod agent_consents;
mod agents;
mod clients;
mod consents;
mod contracts;
mod credentials;
mod grants;
mod keys;
mod openapi;
mod people;
mod revocations;
mod sessions;
mod tenants;
mod whoami;

use crate::admin::Rooms;
use utoipa_axum::router::OpenApiRouter;

/// Every noun's operations.
pub(crate) fn all() -> Vec<OpenApiRouter<Rooms>> {
    vec![
        openapi::routes(),
        whoami::routes(),
        tenants::routes(),
        people::routes(),
        accounts::routes(),
        sessions::routes(),
        clients::routes(),
        consents::routes(),
        agent_consents::routes(),
        grants::routes(),
        agents::routes(),
        credentials::routes(),
        contracts::routes(),
        keys::routes(),
        revocations::routes(),
    ]
}
