//! The room itself: what everything in it stands on.

use crate::kept::Kept;
use crate::pages::Desk;
use crate::person::{Accounts, Hasher, People};
use crate::rate::Rate;
use crate::{Config, ResourceConfig, client, router};
use arc_swap::ArcSwap;
use model::{Clock, Dice, Sealer, Timestamp};
use net::Body;
use net::listen::Peer;
use std::sync::Arc;
use storage::Db;
use tower::ServiceExt as _;
use vault::{Keyring, SigningKeys};

/// What the house hands in.
pub struct Parts {
    /// What the operator says.
    pub config: Config,
    /// The rows.
    pub db: Db,
    /// Seals what has to be read again.
    pub keyring: Arc<Keyring>,
    /// Signs tokens.
    pub keys: Arc<SigningKeys>,
    /// Seals client ids that carry their own registration.
    pub sealer: Arc<Sealer>,
    /// The way out, to clients' documents, their keys and identity providers.
    pub egress: net::egress::Client,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub dice: Arc<dyn Dice>,
    /// The record.
    pub audit: audit::Writer,
    /// Who verifies tokens: those that are shown here pass exactly what they would have to pass at an endpoint.
    pub authn: Arc<authn::Authn>,
}

/// The authorization server. Shared by all requests.
pub struct Issuer {
    config: ArcSwap<Config>,
    pub(crate) db: Db,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) keys: Arc<SigningKeys>,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) egress: net::egress::Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) dice: Arc<dyn Dice>,
    pub(crate) audit: audit::Writer,
    pub(crate) authn: Arc<authn::Authn>,
    /// Clients' documents.
    pub(crate) documents: Kept<client::Found>,
    /// Clients' keys.
    pub(crate) key_sets: Kept<authn::jose::KeySet>,
    /// Fetches for strangers at once.
    pub(crate) fetches: tokio::sync::Semaphore,
    /// Registrations.
    pub(crate) registrations: Rate,
    /// Requests that begin a sign-in.
    pub(crate) beginnings: Rate,
    /// Devices that begin to wait.
    pub(crate) device_beginnings: Rate,
    /// Clients that did not prove who they are.
    pub(crate) failures: Rate,
    /// Clients whose documents are fetched for the first time.
    pub(crate) strangers: Rate,
    /// Refusals of strangers on record.
    pub(crate) complaints: Rate,
    /// The people of all tenants.
    pub people: People,
    /// The accounts whose passwords we keep.
    pub accounts: Accounts,
    desk: ArcSwap<Desk>,
}

impl Issuer {
    /// An authorization server over the parts.
    pub fn new(parts: Parts) -> Self {
        let desk = Desk::new(&parts.config, &parts);
        let Parts { config, db, keyring, keys, sealer, egress, clock, dice, audit, authn } = parts;
        let people = People::new(db.clone(), Arc::clone(&clock), Arc::clone(&dice));
        let hasher = Arc::new(Hasher::recommended(Arc::clone(&dice)));
        let accounts = Accounts::new(db.clone(), hasher, Arc::clone(&clock), Arc::clone(&dice));
        Self {
            config: ArcSwap::from_pointee(config),
            db,
            keyring,
            keys,
            sealer,
            egress,
            clock,
            dice,
            audit,
            authn,
            documents: Kept::new(),
            key_sets: Kept::new(),
            fetches: tokio::sync::Semaphore::new(FETCHES),
            registrations: Rate::default(),
            beginnings: Rate::default(),
            device_beginnings: Rate::default(),
            failures: Rate::default(),
            strangers: Rate::default(),
            complaints: Rate::default(),
            people,
            accounts,
            desk: ArcSwap::from_pointee(desk),
        }
    }

    /// Puts another configuration in force. Rows stay as they are; what they say is held against the new one.
    pub fn reload(&self, config: Config) {
        let desk = Desk::of(&config, &self.db, &self.egress, &self.keys, &self.clock, &self.dice);
        self.config.store(Arc::new(config));
        self.desk.store(Arc::new(desk));
    }

    /// What the pages work with, as of now.
    pub(crate) fn desk(&self) -> Arc<Desk> {
        self.desk.load_full()
    }

    /// The browsers' sessions.
    pub fn sessions(&self) -> crate::session::Sessions {
        self.desk().sessions.clone()
    }

    /// What people have allowed clients.
    pub fn consents(&self) -> crate::consent::Consents {
        self.desk().consents.clone()
    }

    /// What the operator says, as of now.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// The resource of that exact URI.
    pub(crate) fn resource(&self, canonical: &str) -> Option<ResourceConfig> {
        self.config.load().resources.iter().find(|resource| resource.canonical == canonical).cloned()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Answers one request whose path is this room's ([`crate::answers`]).
    pub async fn answer<B>(self: &Arc<Self>, request: http::Request<B>, peer: Peer) -> http::Response<Body>
    where
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(peer);
        let Ok(response) = router::router(Arc::clone(self)).oneshot(request).await;
        let (head, body) = response.into_parts();
        // Made by this room, so already whole and small.
        let body = axum::body::to_bytes(body, ANSWER_BYTES).await.unwrap_or_default();
        http::Response::from_parts(head, Body::full(body))
    }
}

/// The most fetches for strangers at once.
const FETCHES: usize = 16;
/// The largest answer of this room, in bytes.
const ANSWER_BYTES: usize = 4 << 20;
