//! What the stages share: the house they work in. Composed once by `gateway`.

use crate::catalog::{Catalog, CatalogSettings};
use crate::config::{Config, Endpoint};
use crate::crowd::Crowd;
use crate::list;
use crate::parked::{self, Parked};
use crate::rules::Rules;
use crate::session::conversation::Inferred;
use crate::session::{Ended, Sessions};
use crate::stripped::Told;
use crate::trace::Traces;
use crate::upstream::{UpstreamSettings, Upstreams};
use crate::watch::Watch;
use arc_swap::ArcSwap;
use authn::{Authn, Resource};
use model::{Clock, Code, Dice, ErrorKind, Sealer};
use protocol::Bounds;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What `gateway` hands over.
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// One protected resource for each endpoint of the configuration.
    pub resources: BTreeMap<Endpoint, Resource>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub dice: Arc<dyn Dice>,
    /// Seals session ids and request state.
    pub sealer: Arc<Sealer>,
    /// The memory of ended sessions.
    pub ended: Ended,
    /// Who is calling.
    pub authn: Arc<Authn>,
    /// The policies in force.
    pub rules: Arc<Rules>,
    /// Signs who calls, for servers that trust us; none where there are no signing keys.
    pub minter: Option<Arc<broker::Minter>>,
    /// The record.
    pub audit: audit::Writer,
    /// The aggregate of failed authentications.
    pub failures: Arc<audit::Failures>,
    /// The way out to the servers.
    pub egress: net::egress::Client,
    /// Variables every stdio server gets beside its declared ones: PATH and HOME.
    pub environment: Vec<(String, String)>,
    /// How long a server's lists are served before it is asked again.
    pub catalog_refresh: Duration,
    /// Who is told of every call, for metrics.
    pub observer: Arc<dyn Observer>,
    /// Who is told of every leg for tracing, if anybody is.
    pub traces: Option<Traces>,
}

/// Is told how every request ended. Called on the request path: it must not block.
pub trait Observer: Send + Sync + 'static {
    /// One request ended: its method, server, how (`None` is success), and after how many microseconds.
    fn ended(
        &self,
        method: &'static str,
        server: Option<&str>,
        fault: Option<(ErrorKind, Code)>,
        micros: u32,
    );
}

/// How much is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Calls.
    pub calls: usize,
    /// Streams.
    pub streams: usize,
    /// Sessions with state here.
    pub sessions: usize,
    /// Calls that wait for their callers' answers.
    pub parked: usize,
}

/// The house.
pub struct House {
    state: ArcSwap<State>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) dice: Arc<dyn Dice>,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) authn: Arc<Authn>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) minter: Option<Arc<broker::Minter>>,
    pub(crate) audit: audit::Writer,
    pub(crate) failures: Arc<audit::Failures>,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) sessions: Sessions,
    pub(crate) inferred: Inferred,
    pub(crate) calls: Arc<Crowd>,
    pub(crate) streams: Arc<Crowd>,
    pub(crate) parked: Parked,
    pub(crate) views: list::Views,
    pub(crate) stripped: Told,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) traces: Option<Traces>,
    pub(crate) draining: watch::Sender<bool>,
}

/// The configuration and what follows from it; a reload replaces it whole.
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) resources: BTreeMap<Endpoint, Resource>,
    pub(crate) bounds: Bounds,
    /// What arguments may hold.
    pub(crate) arguments: guard::Bounds,
    /// What answers may hold.
    pub(crate) results: guard::Bounds,
}

impl State {
    fn new(config: Config, resources: BTreeMap<Endpoint, Resource>) -> Self {
        let limits = &config.limits;
        let bounds =
            Bounds { bytes: limits.request_bytes, depth: limits.json_depth, items: limits.json_items };
        let (arguments, results) = (guard::Bounds::of_arguments(limits), guard::Bounds::of_results(limits));
        Self { config, resources, bounds, arguments, results }
    }
}

impl House {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Arc<Self> {
        let limits = &parts.config.limits;
        let sessions = Sessions::new(Arc::clone(&parts.sealer), parts.ended, limits.sessions);
        let inferred = Inferred::new(limits.sessions);
        let settings = UpstreamSettings {
            limits: limits.clone(),
            clock: Arc::clone(&parts.clock),
            dice: Arc::clone(&parts.dice),
            egress: parts.egress,
            environment: parts.environment,
        };
        let upstreams = Arc::new(Upstreams::new(settings, &parts.config.servers));
        let watch = Watch {
            rules: Arc::clone(&parts.rules),
            authn: Arc::clone(&parts.authn),
            audit: parts.audit.clone(),
            clock: Arc::clone(&parts.clock),
        };
        let settings = CatalogSettings {
            limits: limits.clone(),
            dice: Arc::clone(&parts.dice),
            refresh: parts.catalog_refresh,
            minter: parts.minter.clone(),
            watch: Arc::new(watch),
        };
        let catalog = Arc::new(Catalog::start(Arc::clone(&upstreams), &parts.config.servers, settings));
        Arc::new(Self {
            state: ArcSwap::from_pointee(State::new(parts.config, parts.resources)),
            clock: parts.clock,
            dice: parts.dice,
            sealer: parts.sealer,
            authn: parts.authn,
            rules: parts.rules,
            minter: parts.minter,
            audit: parts.audit,
            failures: parts.failures,
            upstreams,
            catalog,
            sessions,
            inferred,
            calls: Crowd::new(),
            streams: Crowd::new(),
            parked: Parked::new(),
            views: list::Views::new(),
            stripped: Told::new(),
            observer: parts.observer,
            traces: parts.traces,
            draining: watch::channel(false).0,
        })
    }

    /// Puts another configuration in force; requests under way keep the one they began with.
    pub fn reconfigure(&self, config: Config, resources: BTreeMap<Endpoint, Resource>) {
        let known = self.catalog.snapshot();
        for name in config.servers.keys().filter(|name| !known.servers.contains_key(*name)) {
            // Policy must know a server before it can permit its discovery.
            self.rules.relist(name, &[policy::Shape::Server(name.clone())]);
        }
        self.upstreams.reload(&config.servers);
        self.catalog.reload(&config.servers);
        self.state.store(Arc::new(State::new(config, resources)));
    }

    /// Whether a request names one of the hosts that this listener serves: for what is answered beside the data plane.
    pub fn serves_host(&self, uri: &http::Uri, headers: &http::HeaderMap) -> bool {
        crate::endpoint::host_is_ours(&self.state().config, uri, headers)
    }

    /// Ends every stream gracefully, so that the listener can drain. Calls under way go on.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Ends the servers' sessions and children; returns when that is done, or after `within`.
    pub async fn close(&self, within: Duration) {
        // Whoever holds a session or a child lets go of it first.
        self.catalog.stop();
        parked::withdraw(self);
        self.upstreams.close(within).await;
    }

    /// How much is under way here.
    pub fn occupancy(&self) -> Occupancy {
        Occupancy {
            calls: self.calls.size(),
            streams: self.streams.size(),
            sessions: self.sessions.size(),
            parked: self.parked.size(),
        }
    }

    /// The policies in force.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// What the servers list.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.state.load_full()
    }
}
