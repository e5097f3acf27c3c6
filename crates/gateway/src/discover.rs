//! What the servers list, without a gateway.

use crate::config::Settings;
use crate::identity::Identity;
use model::{Clock, Dice, ServerName, SystemClock, SystemDice};
use policy::Shape;
use proxy::{Catalog, CatalogEvent, CatalogSettings, CatalogWatch, ServerView, UpstreamSettings, Upstreams};
use std::sync::Arc;
use std::time::Duration;

/// What the servers list, asked now: the catalog alone, without listener, identity or record.
///
/// # Errors
/// The servers that did not answer, with their reasons.
pub(crate) async fn discover(settings: &Settings) -> Result<Vec<Shape>, DiscoverError> {
    let (clock, dice): (Arc<dyn Clock>, Arc<dyn Dice>) =
        (Arc::new(SystemClock::default()), Arc::new(SystemDice));
    let upstreams = UpstreamSettings {
        limits: settings.limits.clone(),
        clock: Arc::clone(&clock),
        dice: Arc::clone(&dice),
        egress: settings.egress.clone(),
        environment: crate::environment::of_children(),
    };
    let minter = if settings.mints() {
        let public_url = settings.public_url(settings.listen.address);
        let identity = Identity::open(settings, &clock, &dice).await;
        let identity = identity.map_err(|error| DiscoverError(vec![error.to_string()]))?;
        identity.map(|identity| identity.minter(&public_url, &clock, &dice))
    } else {
        None
    };
    let upstreams = Arc::new(Upstreams::new(upstreams, &settings.servers));
    let asking = CatalogSettings {
        limits: settings.limits.clone(),
        dice,
        refresh: settings.catalog_refresh,
        minter,
        watch: Arc::new(Asking),
    };
    let catalog = Catalog::start(Arc::clone(&upstreams), &settings.servers, asking);
    catalog.ready(settings.limits.discovery_timeout + SLACK).await;
    let found = catalog.snapshot();
    catalog.stop();
    upstreams.close(CLOSE).await;
    let silent: Vec<String> = found
        .servers
        .values()
        .filter_map(|server| match &server.state {
            proxy::State::Ready => None,
            proxy::State::Missing { code, reason } => Some(format!("{}: {reason} ({code})", server.name)),
        })
        .collect();
    if !silent.is_empty() {
        return Err(DiscoverError(silent));
    }
    let named = settings.servers.keys().cloned().map(Shape::Server);
    Ok(named.chain(found.servers.values().flat_map(|server| server.shapes())).collect())
}

/// Servers that did not say what they have.
#[derive(Debug, thiserror::Error)]
#[error("{} server(s) did not say what they have:\n{}", .0.len(), .0.join("\n"))]
pub(crate) struct DiscoverError(Vec<String>);

/// Whoever runs the command line asks, so nobody else has to permit it.
struct Asking;

impl CatalogWatch for Asking {
    fn permit(&self, _server: &ServerName, _plan: &broker::Plan) -> Result<(), Arc<str>> {
        Ok(())
    }

    fn listed(&self, _view: &ServerView) {}

    fn removed(&self, _server: &ServerName) {}

    fn event(&self, _event: CatalogEvent) {}
}

/// What discovery may take beyond its own deadline before it is given up.
const SLACK: Duration = Duration::from_secs(1);
/// How long servers may take to end.
const CLOSE: Duration = Duration::from_secs(5);
