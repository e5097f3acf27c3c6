//! The room, composed: its router, its description, and what the handlers are given.

use crate::need::Needs;
use crate::problem::Problem;
use crate::{Config, bootstrap, description, door, idempotency};
use arc_swap::ArcSwap;
use audit::{Failures, Writer};
use authn::{Authn, Resource, ResourceError};
use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse as _;
use http::uri::{PathAndQuery, Uri};
use http::{Method, Request, Response, StatusCode, header};
use issuer::Issuer;
use model::{Clock, Code, Dice, Digest};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use storage::Db;
use tower::ServiceExt as _;
use vault::{Keyring, SigningKeys};

/// Where the API is, below the public URL.
pub(crate) const PREFIX: &str = "/api/v1";

/// The API below a public URL, as a protected resource (RFC 9728).
///
/// # Errors
/// [`ResourceError`] when the public URL names no resource.
pub fn resource(public_url: &str) -> Result<Resource, ResourceError> {
    let scopes = crate::SCOPES.iter().map(|scope| (*scope).to_owned()).collect();
    Resource::new(&format!("{public_url}{PREFIX}"), Vec::new(), Vec::new(), scopes)
}

/// What the room stands on.
pub struct Parts {
    /// Who may administer.
    pub config: Config,
    /// Scheme, host and port that clients use.
    pub public_url: String,
    /// The database.
    pub db: Db,
    /// Seals what is remembered of answers.
    pub keyring: Arc<Keyring>,
    /// The keys that sign.
    pub keys: Arc<SigningKeys>,
    /// The authorization server, if there is one: what is its is not there without it.
    pub issuer: Option<Arc<Issuer>>,
    /// Who is calling.
    pub authn: Arc<Authn>,
    /// The record.
    pub audit: Writer,
    /// Failed authentications.
    pub failures: Arc<Failures>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub dice: Arc<dyn Dice>,
}

/// What the door and the handlers are given.
#[derive(Clone)]
pub(crate) struct Rooms(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) parts: Parts,
    pub(crate) config: ArcSwap<Config>,
    pub(crate) resource: Resource,
    pub(crate) needs: Needs,
    pub(crate) description: String,
}

impl Rooms {
    /// The authorization server.
    ///
    /// # Errors
    /// Not found where there is none.
    pub(crate) fn issuer(&self) -> Result<&Arc<Issuer>, Problem> {
        let missing =
            || Problem::of(Code::ADMIN_NOT_FOUND).with_detail("this gateway is no authorization server");
        self.0.parts.issuer.as_ref().ok_or_else(missing)
    }
}

impl std::ops::Deref for Rooms {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// The admin API.
pub struct Admin {
    rooms: Rooms,
    router: Router,
}

/// The other end of a request's connection.
#[derive(Clone, Copy)]
pub(crate) struct Source {
    /// For the count of failed authentications.
    pub(crate) address: IpAddr,
    /// SHA-256 of the client certificate that it proved to hold, for tokens bound to it (RFC 8705 §3).
    pub(crate) certificate: Option<Digest>,
}

impl Admin {
    /// The API of a house.
    ///
    /// # Errors
    /// [`ResourceError`] when the public URL names no resource.
    pub fn new(parts: Parts) -> Result<Self, ResourceError> {
        let resource = resource(&parts.public_url)?;
        let (router, description) = description::routes().split_for_parts();
        let rooms = Rooms(Arc::new(Inner {
            config: ArcSwap::from_pointee(parts.config.clone()),
            resource,
            needs: Needs::of(&description),
            description: description::text(&description),
            parts,
        }));
        let router = router
            .fallback(door::nothing_here)
            .method_not_allowed_fallback(door::not_so)
            .layer(from_fn_with_state(rooms.clone(), door::pass))
            .with_state(rooms.clone());
        Ok(Self { rooms, router })
    }

    /// Puts another configuration in force.
    pub fn reconfigure(&self, config: Config) {
        self.rooms.config.store(Arc::new(config));
    }

    /// Whether a path is this room's: the API, and its metadata as a protected resource (RFC 9728).
    pub fn serves(&self, path: &str) -> bool {
        path == self.rooms.resource.metadata_path()
            || path.strip_prefix(PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Answers one request to a path that [`Admin::serves`]. `certificate` is the SHA-256 of the client certificate that the
    /// connection proved to hold.
    pub async fn answer(
        &self,
        mut request: Request<Body>,
        address: IpAddr,
        certificate: Option<Digest>,
    ) -> Response<Body> {
        if request.uri().path() == self.rooms.resource.metadata_path() {
            return self.metadata(request.method());
        }
        *request.uri_mut() = below_prefix(request.uri());
        request.extensions_mut().insert(Source { address, certificate });
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// The API as a protected resource (RFC 9728 §3.2), for everybody: it says nothing about anybody.
    fn metadata(&self, method: &Method) -> Response<Body> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            let allow = [(header::ALLOW, "GET, HEAD")];
            return (StatusCode::METHOD_NOT_ALLOWED, allow, "GET only\n").into_response();
        }
        let issuers = self.rooms.parts.authn.issuers();
        let document = self.rooms.resource.metadata(issuers.iter().map(String::as_str));
        let head = [
            (header::CONTENT_TYPE, "application/json"),
            (header::CACHE_CONTROL, "no-store"),
            // Browser clients read it across origins.
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        ];
        (head, document).into_response()
    }

    /// [`Admin::tend`], every second, forever.
    pub async fn keep_tended(&self) {
        let mut failed = false;
        loop {
            let tended = self.tend().await;
            if let (Err(error), false) = (&tended, failed) {
                // Once, and not every second for as long as it lasts.
                tracing::error!(error = error as &dyn std::error::Error, "the admin API is not tended");
            }
            failed = tended.is_err();
            tokio::time::sleep(TEND).await;
        }
    }

    /// Looks after what needs it: tokens made at the command line come on record, answers kept for repeated requests are
    /// forgotten. Called every second.
    ///
    /// # Errors
    /// Why something could not be done; it is tried again.
    pub async fn tend(&self) -> Result<(), TendError> {
        bootstrap::put_on_record(&self.rooms).await?;
        idempotency::forget_old(&self.rooms.parts.db, self.rooms.parts.clock.now()).await?;
        Ok(())
    }
}

/// The rows could not be looked after.
#[derive(Debug, thiserror::Error)]
pub enum TendError {
    /// The database.
    #[error(transparent)]
    Storage(#[from] storage::StorageError),
    /// The record.
    #[error("put a token of the command line on record")]
    Record(#[from] audit::AppendError),
}

/// How often it is looked after.
const TEND: Duration = Duration::from_secs(1);

fn below_prefix(uri: &Uri) -> Uri {
    let text = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let rest = text.strip_prefix(PREFIX).unwrap_or(text);
    let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
    rest.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_taken_off() {
        for (from, to) in [
            ("/api/v1/keys?limit=1", "/keys?limit=1"),
            ("/api/v1", "/"),
            ("/api/v1?x=1", "/?x=1"),
            ("http://gw.test/api/v1/keys", "/keys"),
        ] {
            assert_eq!(below_prefix(&from.parse().unwrap()).to_string(), to, "{from}");
        }
    }
}
