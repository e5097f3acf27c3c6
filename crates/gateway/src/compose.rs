//! The house, composed once, top to bottom.

use crate::aside::Answer;
use crate::config::{self, Settings};
use crate::front::Front;
use crate::health::Health;
use crate::identity::{Identity, IdentityError};
use crate::inside::{Force, Inside};
use crate::reload::ReloadError;
use crate::revocations::Teller;
use crate::standing::Standing;
use crate::start_error::StartError;
use crate::traces::Exporter;
use crate::watch::Watch;
use crate::{aside, contracts, keys, metrics, policies, probes, traces};
use admin::Admin;
use authn::{Authn, Contracts, Resource};
use futures_util::FutureExt as _;
use issuer::Issuer;
use model::{Clock, Dice, Digest, SystemClock, SystemDice};
use net::listen::{self, Listener, Tls};
use proxy::{Endpoint, House, Parts, Rules};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What a gateway is given besides its configuration.
#[derive(Clone)]
pub struct Options {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub dice: Arc<dyn Dice>,
    /// Reload when a file changes. Without it only [`Gateway::reload`] does.
    pub watch: bool,
    /// What addresses names have. Default: what the operating system says.
    pub resolver: Option<Arc<dyn net::egress::Resolve>>,
}

impl Default for Options {
    fn default() -> Self {
        let (clock, dice) = (Arc::new(SystemClock::default()), Arc::new(SystemDice));
        Self { clock, dice, watch: true, resolver: None }
    }
}

/// A running gateway. Dropping it stops it at once; [`Gateway::shutdown`] lets open calls finish.
pub struct Gateway {
    inside: Arc<Inside>,
    address: SocketAddr,
    admin_address: SocketAddr,
    stop: watch::Sender<Phase>,
    serving: Option<JoinHandle<listen::Drained>>,
    tasks: Vec<JoinHandle<()>>,
    exporter: Option<Exporter>,
}

/// How far the end has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    Draining,
    Gone,
}

impl Gateway {
    /// Starts a gateway from a configuration file.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start(file: &Path, options: Options) -> Result<Self, StartError> {
        let settings = config::load(file)?;
        Self::start_with(file, settings, options).await
    }

    /// Starts a gateway from settings already read from `file`, which reloads read again.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start_with(file: &Path, settings: Settings, options: Options) -> Result<Self, StartError> {
        let Options { clock, dice, watch, resolver } = options;
        let data = &settings.data_dir;
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
        made.map_err(|source| StartError::DataDir { path: data.clone(), source })?;

        let files = policies::read(&settings.policies)?;
        let servers: Vec<_> = settings.servers.keys().cloned().collect();
        let zone = policy::Settings { zone: settings.zone.clone() };
        let rules = Rules::compile(&files, &zone, &servers, settings.limits.cached_tokens);
        let rules = Arc::new(rules.map_err(|faults| StartError::Policy(policies::lines(&faults)))?);

        let tls = settings.listen.tls.clone().map(Tls::load).transpose()?;
        let listener = bind(settings.listen.address, &settings, tls.clone()).await?;
        let admin = bind(settings.admin, &settings, None).await?;
        let (address, admin_address) =
            (bound(&listener, settings.listen.address)?, bound(&admin, settings.admin)?);
        let public_url = settings.public_url(address);
        let config = settings.data_plane(&public_url);
        let resources = resources(&config, &settings)?;

        let sealer = Arc::new(keys::sealer(&settings.keys_dir, dice.as_ref())?);
        let identity = Identity::open(&settings, &clock, &dice).await?;
        let egress = match resolver {
            Some(resolver) => settings.egress.resolving_by(resolver),
            None => settings.egress.clone(),
        };
        let own = identity.as_ref().and_then(|identity| identity.vouches(&settings, &public_url));
        let authn = Authn::new(settings.authn(own), egress.clone(), Arc::clone(&clock));
        let authn = authn.map_err(|faults| StartError::Issuers(issuer_lines(&faults)))?;
        let authn = Arc::new(match &identity {
            Some(identity) => authn.with_view(Arc::clone(&identity.view)),
            None => authn,
        });
        if let Some(identity) = &identity {
            let contracts = Contracts::new(identity.db.clone(), Arc::clone(&clock));
            contracts::take(&contracts, &authn).await.map_err(IdentityError::from)?;
        }
        let ended = data.join(ENDED);
        let ended = proxy::Ended::open(&ended, settings.limits.ended_sessions, clock.now())?;
        let record = audit::Config {
            stall_after: settings.limits.record_timeout,
            ..audit::Config::at(data.join(crate::RECORD))
        };
        let audit = audit::Writer::open(record, Arc::clone(&clock), dice.as_ref())?;
        let failures =
            audit::Failures::new(audit::FailuresConfig::default(), audit.clone(), Arc::clone(&clock));
        let failures = Arc::new(failures);
        let metrics = Arc::new(metrics::Metrics::new());
        authn.watched_by(Arc::<metrics::Metrics>::clone(&metrics));
        let minter = identity.as_ref().map(|identity| identity.minter(&public_url, &clock, &dice));
        let export = |settings| traces::start(settings, egress.clone(), Arc::clone(&dice), &metrics);
        let (traces, exporter) = settings.traces.as_ref().map(export).transpose()?.unzip();

        let issuer = identity.as_ref().and_then(|identity| {
            let config = issuer_config(&settings, &public_url, &resources)?;
            Some(Arc::new(Issuer::new(issuer::Parts {
                config,
                db: identity.db.clone(),
                keyring: Arc::clone(&identity.keyring),
                keys: Arc::clone(&identity.keys),
                sealer: Arc::clone(&sealer),
                egress: egress.clone(),
                clock: Arc::clone(&clock),
                dice: Arc::clone(&dice),
                audit: audit.clone(),
                authn: Arc::clone(&authn),
            })))
        });
        let admin_api = match (&identity, &settings.admin_api) {
            (Some(identity), Some(config)) => Some(Arc::new(Admin::new(admin::Parts {
                config: config.clone(),
                public_url: public_url.clone(),
                db: identity.db.clone(),
                keyring: Arc::clone(&identity.keyring),
                keys: Arc::clone(&identity.keys),
                issuer: issuer.clone(),
                authn: Arc::clone(&authn),
                audit: audit.clone(),
                failures: Arc::clone(&failures),
                clock: Arc::clone(&clock),
                dice: Arc::clone(&dice),
            })?)),
            _ => None,
        };
        if let (Some(identity), Some(_)) = (&identity, &issuer) {
            let (db, clock, dice) = (identity.db.clone(), Arc::clone(&clock), Arc::clone(&dice));
            authn.recognize(Arc::new(issuer::ApiKeys::new(&public_url, db, clock, dice)));
        }
        let house = House::new(Parts {
            config,
            resources,
            clock: Arc::clone(&clock),
            dice,
            sealer,
            ended,
            authn: Arc::clone(&authn),
            rules: Arc::clone(&rules),
            minter,
            audit: audit.clone(),
            failures: Arc::clone(&failures),
            egress,
            environment: crate::environment::of_children(),
            catalog_refresh: settings.catalog_refresh,
            observer: Arc::<metrics::Metrics>::clone(&metrics),
            traces,
        });
        let now = clock.now();
        let force = Force {
            configuration: Standing::new(now, Digest::of(&std::fs::read(file).unwrap_or_default())),
            policies: Standing::new(now, rules.current().revision.digest()),
            settings,
            seen: None,
        };
        let inside = Inside {
            file: file.to_owned(),
            public_url,
            house,
            identity,
            issuer,
            admin: admin_api,
            authn,
            rules,
            audit,
            failures,
            metrics,
            clock,
            tls,
            force: Mutex::new(force),
            reloading: tokio::sync::Mutex::new(()),
            asked: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        };
        let mut gateway = Self::serve(Arc::new(inside), (listener, address), (admin, admin_address), watch);
        gateway.exporter = exporter;
        Ok(gateway)
    }

    fn serve(
        inside: Arc<Inside>,
        (listener, address): (Listener, SocketAddr),
        (admin, admin_address): (Listener, SocketAddr),
        watch: bool,
    ) -> Self {
        let (stop, phase) = watch::channel(Phase::Serving);
        let until = |wanted: &'static [Phase]| {
            let mut phase = phase.clone();
            async move {
                // A gateway that was dropped is gone.
                drop(phase.wait_for(|phase| wanted.contains(phase)).await);
            }
        };
        let front = Arc::new(Front {
            public_url: inside.public_url.clone(),
            house: Arc::clone(&inside.house),
            identity: inside.identity.clone(),
            issuer: inside.issuer.clone(),
            admin: inside.admin.clone(),
        });
        let handler = move |request, peer| {
            let front = Arc::clone(&front);
            async move { front.answer(request, peer).await }
        };
        let serving = tokio::spawn(listener.serve(handler, until(&[Phase::Draining, Phase::Gone])));
        let asked = Arc::clone(&inside);
        let answer: Answer = Arc::new(move |request| {
            let reply = probes::answer(&asked, &request);
            async { reply }.boxed()
        });
        let administering = aside::serve(admin, answer, until(&[Phase::Gone]).boxed());
        let mut tasks = vec![
            tokio::spawn(async move {
                administering.await;
            }),
            tokio::spawn(Arc::clone(&inside).tend()),
        ];
        let kept = Arc::clone(&inside);
        tasks.push(tokio::spawn(async move { kept.authn.keep_fresh().await }));
        let administered = inside.admin.clone();
        tasks.extend(administered.map(|admin| tokio::spawn(async move { admin.keep_tended().await })));
        tasks.extend(
            inside
                .identity
                .clone()
                .map(|identity| tokio::spawn(identity.tend(inside.audit.clone(), Arc::clone(&inside.clock)))),
        );
        tasks.extend(inside.identity.as_ref().map(|identity| {
            let contracts = Contracts::new(identity.db.clone(), Arc::clone(&inside.clock));
            tokio::spawn(contracts::follow(contracts, Arc::clone(&inside)))
        }));
        tasks.extend(inside.issuer.clone().map(|issuer| tokio::spawn(crate::identity::sweep(issuer))));
        tasks.push(tokio::spawn(Arc::clone(&inside.house).keep_revoked()));
        tasks.extend(inside.identity.as_ref().map(|identity| {
            let (audit, clock) = (inside.audit.clone(), Arc::clone(&inside.clock));
            let teller = Teller { audit, clock, keys: Arc::clone(&identity.keys) };
            tokio::spawn(teller.keep(Arc::clone(&identity.view)))
        }));
        if watch {
            tasks.push(tokio::spawn(follow(Arc::clone(&inside))));
        }
        tracing::info!(%address, admin = %admin_address, url = %inside.public_url, "serving");
        Self { inside, address, admin_address, stop, serving: Some(serving), tasks, exporter: None }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where health and metrics are served.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Scheme, host and port of every endpoint.
    pub fn public_url(&self) -> &str {
        &self.inside.public_url
    }

    /// The authorization server, where there is one.
    pub(crate) fn issuer(&self) -> Option<&Arc<Issuer>> {
        self.inside.issuer.as_ref()
    }

    /// Waits until it is fit to serve: issuers' keys are there and every server was asked once.
    ///
    /// # Errors
    /// Its health after `within`.
    pub(crate) async fn ready(&self, within: Duration) -> Result<(), Health> {
        let look = async {
            while !self.inside.health().is_ready() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(within, look).await.map_err(|_| self.inside.health())
    }

    /// What `/readyz` says.
    #[cfg(test)]
    pub(crate) fn health(&self) -> Health {
        self.inside.health()
    }

    /// Reads configuration and policies again.
    ///
    /// # Errors
    /// Every fault, each with its place. What was refused changed nothing; the rest is in force.
    pub async fn reload(&self) -> Result<(), ReloadError> {
        self.inside.reload().await
    }

    /// The same, into the log.
    pub(crate) async fn reload_logged(&self, why: &str) {
        tracing::info!(why, "reloading");
        // Both outcomes are logged where they are found.
        drop(self.inside.reload().await);
    }

    /// Ends softly: takes no new connections, ends streams, lets open calls finish within the drain
    /// deadline, then closes servers and record, and delivers the last spans.
    pub async fn shutdown(mut self) {
        self.inside.begin_drain();
        self.inside.house.drain();
        self.stop.send_replace(Phase::Draining);
        if let Some(serving) = self.serving.take()
            && let Ok(drained) = serving.await
        {
            tracing::info!(ended = drained.ended, cut = drained.cut, "drained");
        }
        self.inside.house.close(CLOSE).await;
        let inside = Arc::clone(&self.inside);
        let closed = tokio::task::spawn_blocking(move || {
            inside.failures.flush();
            inside.audit.close()
        });
        if let Ok(Err(error)) = closed.await {
            tracing::error!(%error, "the record could not be closed");
        }
        if let Some(exporter) = self.exporter.take() {
            exporter.finish().await;
        }
        self.stop.send_replace(Phase::Gone);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.serving.iter().for_each(JoinHandle::abort);
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Reloads whenever a file has changed.
async fn follow(inside: Arc<Inside>) {
    let mut watch = match Watch::new() {
        Ok(watch) => watch,
        Err(error) => {
            tracing::warn!(%error, "files are not watched; reload with SIGHUP");
            return;
        }
    };
    loop {
        let (files, folders) = inside.sources();
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
        watch.follow(&files, &folders);
        watch.changed().await;
        inside.reload_if_changed().await;
    }
}

async fn bind(address: SocketAddr, settings: &Settings, tls: Option<Tls>) -> Result<Listener, StartError> {
    let config = listen::Config::new(address, &settings.limits);
    Listener::bind(config, tls).await.map_err(|source| StartError::Bind { address, source })
}

fn bound(listener: &Listener, address: SocketAddr) -> Result<SocketAddr, StartError> {
    listener.address().map_err(|source| StartError::Bind { address, source })
}

/// Each endpoint as a protected resource of its own (RFC 9728).
pub(crate) fn resources(
    config: &proxy::Config,
    settings: &Settings,
) -> Result<BTreeMap<Endpoint, Resource>, authn::ResourceError> {
    let resource = |endpoint: Endpoint| {
        let canonical = format!("{}{}", config.public_url, endpoint.path());
        let (required, scopes) = (settings.required_scopes.clone(), settings.scopes.clone());
        Ok((endpoint, Resource::new(&canonical, Vec::new(), required, scopes)?))
    };
    config.endpoints().into_iter().map(resource).collect()
}

/// What our own authorization server is told, if there is one: each endpoint is an audience of its own.
pub(crate) fn issuer_config(
    settings: &Settings,
    public_url: &str,
    resources: &BTreeMap<Endpoint, Resource>,
) -> Option<issuer::Config> {
    let audience = |resource: &Resource| {
        let mut scopes = [resource.scopes(), resource.required_scopes()].concat();
        scopes.sort_unstable();
        scopes.dedup();
        issuer::ResourceConfig { canonical: resource.canonical().to_owned(), scopes }
    };
    let section = settings.authorization_server.as_ref()?;
    let administered = settings.admin_api.as_ref().and_then(|_| admin::resource(public_url).ok());
    let audiences = resources.values().chain(&administered).map(audience).collect();
    Some(section.config(public_url, audiences))
}

/// The faults of issuers, one a line.
pub(crate) fn issuer_lines(faults: &[authn::ConfigError]) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}

/// The memory of ended sessions, in the data folder.
const ENDED: &str = "sessions.ended";
/// The pause between two looks at the health of a gateway that starts.
const LOOK: Duration = Duration::from_millis(10);
/// How long servers may take to end.
const CLOSE: Duration = Duration::from_secs(5);
