//! The operations, one file a noun.

mod agents;
mod contracts;
mod credentials;
mod grants;
mod keys;
mod openapi;
mod revocations;
mod whoami;

use crate::admin::Rooms;
use utoipa_axum::router::OpenApiRouter;

/// Every noun's operations.
pub(crate) fn all() -> Vec<OpenApiRouter<Rooms>> {
    vec![
        openapi::routes(),
        whoami::routes(),
        grants::routes(),
        agents::routes(),
        credentials::routes(),
        contracts::routes(),
        keys::routes(),
        revocations::routes(),
    ]
}
