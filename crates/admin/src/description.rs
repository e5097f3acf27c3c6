//! The description of the API (OpenAPI 3.1), made from the code that answers.

use crate::admin::{PREFIX, Rooms};
use crate::noun;
use crate::problem::ProblemBody;
use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder, Server};
use utoipa_axum::router::OpenApiRouter;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Portunus admin API",
        version = "1",
        description = "What operators, administrators of tenants and people may see and change. Every operation needs a \
                       bearer token whose audience is this API and, beside it, the scope its security names: `self:*` is \
                       anybody's for what is their own, `admin:*` also needs a role that administers the tenant, \
                       `operator:*` one that operates the house. Lists come in pages; a change of a row carries its \
                       `ETag` in `If-Match`; a `POST` may carry an `Idempotency-Key`. What goes wrong is a problem \
                       (RFC 9457) with a stable code, its fix, and the reference under which it is on record.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(ProblemBody))
)]
struct Base;

/// All operations: there is no other way into the router than through here.
pub(crate) fn routes() -> OpenApiRouter<Rooms> {
    let mut router = OpenApiRouter::with_openapi(Base::openapi());
    for routes in noun::all() {
        router = router.merge(routes);
    }
    finish(router.get_openapi_mut());
    router
}

/// The description as it is served and committed.
pub fn openapi() -> String {
    text(routes().get_openapi())
}

pub(crate) fn text(description: &OpenApi) -> String {
    // Members in order, so that the committed text changes only where the API does.
    let tree = serde_json::to_value(description).unwrap_or_default();
    serde_json::to_string_pretty(&tree).unwrap_or_default() + "\n"
}

/// What is the same for every operation is said once, here.
fn finish(description: &mut OpenApi) {
    description.servers = Some(vec![Server::new(PREFIX)]);
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("at+jwt").build();
    let components = description.components.get_or_insert_default();
    components.security_schemes.insert("bearer".to_owned(), RefOr::T(SecurityScheme::Http(scheme)));
    for item in description.paths.paths.values_mut() {
        for operation in operations_mut(item) {
            operation.responses.responses.insert("default".to_owned(), RefOr::T(problem()));
        }
    }
}

fn problem() -> utoipa::openapi::Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new()
        .description("What went wrong, and what to do about it")
        .content("application/problem+json", content)
        .build()
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}

#[cfg(test)]
mod tests;
