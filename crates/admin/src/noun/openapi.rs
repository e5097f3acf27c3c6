//! The description itself, for everybody: it says nothing about anybody.

use crate::admin::Rooms;
use axum::extract::State;
use http::header;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Rooms> {
    OpenApiRouter::default().routes(routes!(describe))
}

/// This description.
#[utoipa::path(
    get, path = "/openapi.json", tag = "description", security(()),
    responses((status = 200, description = "An OpenAPI 3.1 document", body = serde_json::Value))
)]
async fn describe(State(rooms): State<Rooms>) -> ([(header::HeaderName, &'static str); 1], String) {
    ([(header::CONTENT_TYPE, "application/json")], rooms.description.clone())
}
