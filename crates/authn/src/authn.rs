//! The room itself: from a request's headers to a verified caller.

mod api_key;

pub use api_key::{KeyHolder, KeyLookup, LookUp, LookUpError};

use crate::cache::{Cache, Entry, Recalled};
use crate::contract::{Claims, Contract, Form, Presented, Standing};
use crate::groups::{self, Directories};
use crate::issuer::Issuer;
use crate::jws::Jws;
use crate::opaque::{Hold, Routes};
use crate::revocations::list::Revocations;
use crate::revocations::marks::{Facts, Marks};
use crate::revocations::{Freshness, View};
use crate::shadow::{Told, Watch};
use crate::{
    AuthnError, Config, ConfigError, IssuerConfig, KeySource, Rejection, Resource, TenantSource, bearer,
    claims,
};
use arc_swap::ArcSwap;
use http::{HeaderMap, Uri};
use model::{Clock, Digest, Principal, PrincipalKey, Timestamp};
use net::egress::Client;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

mod long_way;

/// A caller whose token was verified for one resource. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Who it is.
    pub principal: Arc<Principal>,
    /// The key of the principal's attributes.
    pub key: PrincipalKey,
    /// The moment from which the token is no longer accepted, the issuer's skew included. Streams end then.
    pub expires_at: Timestamp,
    /// SHA-256 of the token; all zeros for the anonymous caller.
    pub token: Digest,
    /// SHA-256 of the one client certificate that may present the token.
    pub bound_to: Option<Digest>,
    marks: Arc<Marks>,
    /// The epoch of the revocations that it was last held against.
    pub(crate) epoch: u64,
    judged: Option<Arc<Judged>>,
}

/// What a token was judged by, for whoever asks again whether it still stands.
#[derive(Debug)]
struct Judged {
    version: i64,
    resource: Resource,
    /// An opaque token, which its issuer is asked about again.
    opaque: Option<Arc<Hold>>,
    /// Groups that were looked up, which their directory is asked for again.
    groups: Option<Arc<groups::Hold>>,
}

/// Verifies tokens. Shared by all requests.
pub struct Authn {
    state: ArcSwap<State>,
    /// What the state is made from; held while it is made anew.
    sources: Mutex<Sources>,
    list: Revocations,
    /// The table, where there is a database.
    view: Option<Arc<View>>,
    /// Counts the changes of list and table.
    epoch: Arc<watch::Sender<u64>>,
    told: Told,
    watch: OnceLock<Arc<dyn Watch>>,
    /// Keys of the registry, if there is one.
    keys: OnceLock<Arc<dyn KeyLookup>>,
    egress: Client,
    clock: Arc<dyn Clock>,
}

/// What a [`State`] is made from.
struct Sources {
    config: Config,
    standing: Arc<Standing>,
}

/// What one revision of the configuration made.
pub(crate) struct State {
    pub(crate) issuers: HashMap<String, Arc<Issuer>>,
    /// In the order of the configuration, for the metadata documents.
    names: Vec<String>,
    anonymous: Option<Verified>,
    /// The stored contracts in force.
    pub(crate) standing: Arc<Standing>,
    /// Opaque tokens.
    pub(crate) routes: Arc<Routes>,
    directories: Arc<Directories>,
    cache: Cache,
}

impl Authn {
    /// Checks the configuration. Nothing is fetched yet: see [`Authn::keep_fresh`].
    ///
    /// # Errors
    /// Every [`ConfigError`] there is.
    pub fn new(config: Config, egress: Client, clock: Arc<dyn Clock>) -> Result<Self, Vec<ConfigError>> {
        let state = State::new(&config, None, &egress, &clock)?;
        let file = config.revoked_tokens_file.clone();
        let list = Revocations::open(file, config.revocation_max_age, clock.as_ref())
            .map_err(|error| vec![ConfigError::Revoked(error.to_string())])?;
        Ok(Self {
            sources: Mutex::new(Sources { config, standing: Arc::clone(&state.standing) }),
            state: ArcSwap::from_pointee(state),
            list,
            view: None,
            epoch: Arc::new(watch::Sender::new(1)),
            told: Told::default(),
            watch: OnceLock::new(),
            keys: OnceLock::new(),
            egress,
            clock,
        })
    }

    /// Goes by the table of revocations too. Somebody has to [keep](View::keep) the view.
    #[must_use]
    pub fn with_view(self, view: Arc<View>) -> Self {
        Self { epoch: Arc::clone(&view.epoch), view: Some(view), ..self }
    }

    /// Changes whenever something was revoked or the age of that knowledge matters: time to [`Authn::recheck`].
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.epoch.subscribe()
    }

    /// How old the view of the revocations is, as far as anybody has to care.
    pub fn freshness(&self) -> Freshness {
        self.view.as_ref().map_or(Freshness::Fresh, |view| view.freshness())
    }

    /// How old the view of the revocations is, and how many rows it goes by; `None` without a database.
    pub fn revocation_view(&self) -> Option<(Duration, usize)> {
        self.view.as_ref().map(|view| (view.age(), view.size()))
    }

    /// Whether an MCP server is contained for a tenant; for everybody, without one.
    pub fn contains(&self, server: &str, tenant: Option<&str>) -> bool {
        self.view.as_ref().is_some_and(|view| view.contains(server, tenant, self.clock.now()))
    }

    /// Tells `watch` from now on what happens here. Only the first one is told.
    pub fn watched_by(&self, watch: Arc<dyn Watch>) {
        drop(self.watch.set(watch));
    }

    /// Puts stored contracts in force. Remembered tokens are forgotten, so each is judged anew.
    pub fn enforce(&self, standing: Standing) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let standing = Arc::new(standing);
        self.state.store(Arc::new(self.state.load().with(Arc::clone(&standing), &sources.config)));
        sources.standing = standing;
    }

    /// What one revision of the configuration made, for whoever only looks.
    pub(crate) fn whole(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// The clock.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The way out.
    pub(crate) fn egress(&self) -> &Client {
        &self.egress
    }

    /// The stored contracts in force.
    pub fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.state.load().standing)
    }

    /// Puts a new configuration in force: issuers that did not change keep their keys, remembered tokens
    /// are forgotten. The file of revoked tokens and its age limit stay those of the start.
    ///
    /// # Errors
    /// Every [`ConfigError`] there is; the old configuration stays in force.
    pub fn reload(&self, config: &Config) -> Result<(), Vec<ConfigError>> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let state = State::new(config, Some(&self.state.load()), &self.egress, &self.clock)?;
        self.state.store(Arc::new(state));
        sources.config = config.clone();
        Ok(())
    }

    /// [`Authn::authenticate_over`] a connection that showed no client certificate.
    ///
    /// # Errors
    /// [`Rejection`]; [`crate::challenge()`] makes the header that goes with it.
    pub async fn authenticate(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
        resource: &Resource,
    ) -> Result<Verified, Rejection> {
        self.authenticate_over(headers, uri, resource, None).await
    }

    /// Says who sends a request to a resource. Costs two look-ups and a SHA-256 for a token seen before;
    /// else a signature check, and a fetch when its key is unknown. Cancel safe.
    ///
    /// `certificate` is the SHA-256 of the client certificate that the connection proved to hold.
    ///
    /// # Errors
    /// [`Rejection`]; [`crate::challenge()`] makes the header that goes with it.
    pub async fn authenticate_over(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
        resource: &Resource,
        certificate: Option<Digest>,
    ) -> Result<Verified, Rejection> {
        if let Some(view) = self.view.as_ref().filter(|view| view.freshness() != Freshness::Fresh) {
            Box::pin(view.settle()).await;
        }
        let found = match bearer::token(headers, uri)? {
            None => {
                self.knows(self.clock.now())?;
                return self.state.load().anonymous.clone().ok_or(AuthnError::Missing.into());
            }
            Some(token) => {
                let digest = Digest::of(token);
                self.recall(digest, resource)?.ok_or((token, digest))
            }
        };
        let verified = match found {
            Ok(verified) => verified,
            // Boxed: the way of a known token should not carry the room this one needs.
            Err((token, digest)) => {
                Box::pin(async {
                    match self.by_key(token, digest, resource).await {
                        Some(found) => found,
                        None => self.verify(token, digest, resource).await,
                    }
                })
                .await?
            }
        };
        // SECURITY: on every request, remembered tokens included: `a_bound_token_is_refused_without_its_certificate`.
        if verified.bound_to.is_some_and(|bound| certificate != Some(bound)) {
            return Err(AuthnError::OtherCertificate.into());
        }
        match has_scopes(&verified, resource) {
            Ok(()) => Ok(verified),
            Err(error) => Err(Rejection { error, principal: Some(verified.principal) }),
        }
    }

    /// Whether a caller verified earlier would still be let in: for streams, which outlive their request.
    ///
    /// # Errors
    /// [`AuthnError::Expired`], [`AuthnError::Revoked`], [`AuthnError::RevocationStale`],
    /// [`AuthnError::UnknownIssuer`] when the issuer is no longer configured, [`AuthnError::RulesChanged`] when its
    /// tokens are judged by another contract now, of an opaque token what its issuer says of it since, and
    /// [`AuthnError::GroupsChanged`] or [`AuthnError::GroupsUnavailable`] where the groups were looked up.
    pub fn recheck(&self, verified: &Verified) -> Result<(), AuthnError> {
        let now = self.clock.now();
        let state = self.state.load();
        if state.anonymous.as_ref().is_some_and(|anonymous| anonymous.token == verified.token) {
            return Ok(());
        }
        if now >= verified.expires_at {
            return Err(AuthnError::Expired);
        }
        let issuer =
            state.issuers.get(verified.principal.issuer.as_ref()).ok_or(AuthnError::UnknownIssuer)?;
        if let Some(judged) = &verified.judged {
            let rules = state.standing.rules(&issuer.implicit, &judged.resource)?;
            if rules.enforced.version() != judged.version {
                return Err(AuthnError::RulesChanged);
            }
            judged.opaque.as_ref().map_or(Ok(()), |hold| hold.check(now))?;
            judged.groups.as_ref().map_or(Ok(()), |hold| hold.check(now))?;
        }
        self.knows(now)?;
        if self.revoked(verified, now) { Err(AuthnError::Revoked) } else { Ok(()) }
    }

    /// Whether a caller verified earlier has been revoked since, whatever else may be the matter with its token.
    pub fn is_revoked(&self, verified: &Verified) -> bool {
        let anonymous = verified.token == ANONYMOUS;
        !anonymous && self.revoked(verified, self.clock.now())
    }

    /// What is remembered of a token.
    fn recall(&self, digest: Digest, resource: &Resource) -> Result<Option<Verified>, AuthnError> {
        let now = self.clock.now();
        self.knows(now)?;
        // INVARIANT: the epoch is read before what it counts.
        let at = (*self.epoch.borrow(), now);
        let revoked = |verified: &Verified| self.revoked(verified, now);
        match self.state.load().cache.recall(digest, resource.digest(), at, revoked) {
            Recalled::Stands(verified) => Ok(Some(verified)),
            Recalled::Revoked => Err(AuthnError::Revoked),
            Recalled::Nothing => Ok(None),
        }
    }

    /// Whether it is known well enough what is revoked.
    fn knows(&self, now: Timestamp) -> Result<(), AuthnError> {
        // SECURITY: who does not know refuses: `a_replica_without_its_database_refuses_writes_and_then_everything`.
        if self.freshness() == Freshness::Lost {
            return Err(AuthnError::RevocationStale);
        }
        self.list.view(now).map(drop)
    }

    /// Whether list or table mean this caller.
    fn revoked(&self, verified: &Verified, now: Timestamp) -> bool {
        let facts = verified.facts();
        self.view.as_ref().is_some_and(|view| view.revokes(&facts, now))
            // A list that is too old is refused before.
            || self.list.view(now).is_ok_and(|list| list.revokes(&facts))
    }

    /// The issuers, in the order of the configuration: `authorization_servers` of the metadata documents.
    pub fn issuers(&self) -> Vec<String> {
        self.state.load().names.clone()
    }

    /// For each issuer that signs its tokens how many of its keys are in force; zero means that its callers are turned
    /// away.
    pub fn keys_in_force(&self) -> Vec<(String, usize)> {
        let (state, now) = (self.state.load(), self.clock.now());
        let signs = |name: &&String| {
            state.issuers.get(*name).is_some_and(|issuer| issuer.config.keys != KeySource::None)
        };
        let count = |name: &String| state.issuers.get(name).map_or(0, |issuer| issuer.key_count(now));
        state.names.iter().filter(signs).map(|name| (name.clone(), count(name))).collect()
    }

    /// Looks after keys and the list of revoked tokens, forever: run it in a task of its own.
    pub async fn keep_fresh(&self) {
        loop {
            let fetches: Vec<_> = self.tend().into_iter().map(tokio::spawn).collect();
            // Fetches run on by themselves: a slow issuer delays neither the list nor other issuers.
            drop(fetches);
            tokio::time::sleep(TEND).await;
        }
    }

    /// Reads the list if it changed, and says what there is to fetch.
    fn tend(&self) -> Vec<impl Future<Output = ()> + Send + use<>> {
        match self.list.reload(self.clock.as_ref()) {
            Ok(true) => self.epoch.send_modify(|epoch| *epoch = epoch.wrapping_add(1)),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the list of revoked tokens is not updated"),
        }
        let (state, now) = (self.state.load(), self.clock.now());
        let due = state.issuers.values().filter(|issuer| issuer.is_due(now));
        due.map(|issuer| Arc::clone(issuer).refresh(self.egress.clone(), Arc::clone(&self.clock))).collect()
    }
}

impl Verified {
    fn facts(&self) -> Facts<'_> {
        Facts { digest: self.token, principal: &self.principal, marks: &self.marks }
    }

    /// The grant that the token was issued under (`grant_id`).
    pub fn grant(&self) -> Option<&str> {
        self.marks.grant.as_deref()
    }

    /// Who may act for the user, as the issuer says (`may_act`, RFC 8693 §4.4).
    pub fn may_act(&self) -> Option<&serde_json::Value> {
        self.marks.may_act.as_deref()
    }

    /// The browser session that it stands on (`sid`).
    pub fn session(&self) -> Option<&str> {
        self.marks.session.as_deref()
    }
}

fn has_scopes(verified: &Verified, resource: &Resource) -> Result<(), AuthnError> {
    let has = |scope: &String| {
        verified.principal.scopes.binary_search_by(|held| held.as_ref().cmp(scope.as_str())).is_ok()
    };
    if resource.required_scopes().iter().all(has) { Ok(()) } else { Err(AuthnError::InsufficientScope) }
}

impl State {
    fn new(
        config: &Config,
        before: Option<&Self>,
        egress: &Client,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut faults = Vec::new();
        let mut issuers: HashMap<String, Arc<Issuer>> = HashMap::new();
        for issuer in &config.issuers {
            faults.extend(issuer.faults(egress));
            let opaque = Routes::rule_of(&config.opaque, &issuer.issuer);
            let known = before.and_then(|before| before.issuers.get(&issuer.issuer));
            let kept = known.filter(|known| known.config == *issuer && known.opaque == opaque).cloned();
            let fresh = kept.unwrap_or_else(|| Arc::new(Issuer::new(issuer.clone(), opaque)));
            if issuers.insert(issuer.issuer.clone(), fresh).is_some() {
                faults.push(ConfigError::Twice(issuer.issuer.clone()));
            }
        }
        let routes = Routes::new(&config.opaque, |issuer| issuers.contains_key(issuer), egress, clock);
        let routes = routes.map_err(|found| faults.extend(found.into_iter().map(ConfigError::Opaque))).ok();
        let directories = Directories::new(&config.group_directories, egress, clock).map_err(|found| {
            let fault = |(name, reason)| ConfigError::Directory { name, reason };
            faults.extend(found.into_iter().map(fault));
        });
        let directories = directories.ok();
        let anonymous = config.danger_anonymous.clone().map(anonymous);
        if anonymous
            .as_ref()
            .is_some_and(|who| who.principal.user.is_empty() || who.principal.tenant.is_empty())
        {
            faults.push(ConfigError::Anonymous);
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            issuers,
            names: config.issuers.iter().map(|issuer| issuer.issuer.clone()).collect(),
            anonymous,
            standing: before.map(|before| Arc::clone(&before.standing)).unwrap_or_default(),
            routes: Arc::new(routes.unwrap_or_default()),
            directories: Arc::new(directories.unwrap_or_default()),
            cache: Cache::new(config.cached_tokens),
        })
    }

    /// The same under other contracts, with nothing remembered.
    fn with(&self, standing: Arc<Standing>, config: &Config) -> Self {
        Self {
            issuers: self.issuers.clone(),
            names: self.names.clone(),
            anonymous: self.anonymous.clone(),
            standing,
            routes: Arc::clone(&self.routes),
            directories: Arc::clone(&self.directories),
            cache: Cache::new(config.cached_tokens),
        }
    }
}

fn anonymous(mut principal: Principal) -> Verified {
    for list in [&mut principal.roles, &mut principal.groups, &mut principal.scopes] {
        list.sort_unstable();
        list.dedup();
    }
    Verified {
        key: principal.key(),
        principal: Arc::new(principal),
        expires_at: Timestamp(i64::MAX),
        token: ANONYMOUS,
        bound_to: None,
        marks: Arc::default(),
        epoch: 0,
        judged: None,
    }
}

impl IssuerConfig {
    fn faults(&self, egress: &Client) -> Vec<ConfigError> {
        let mut faults = Vec::new();
        let key_url = match &self.keys {
            KeySource::Own(_) => return Vec::new(),
            KeySource::Discovery | KeySource::None => None,
            KeySource::JwksUri(url) => Some(url),
        };
        for url in [Some(&self.issuer), key_url].into_iter().flatten() {
            let parsed = url.parse::<Uri>().map_err(|error| error.to_string());
            let usable =
                parsed.and_then(|uri| egress.destination(&uri, self.rule).map_err(|error| error.to_string()));
            if let Err(reason) = usable {
                faults.push(ConfigError::Url { issuer: self.issuer.clone(), url: url.clone(), reason });
            }
        }
        let no_tenant = match &self.tenant {
            TenantSource::Fixed(tenant) => tenant.is_empty(),
            TenantSource::Claims(paths) => paths.is_empty(),
        };
        for (field, empty) in [
            ("algorithms", self.algorithms.is_empty()),
            ("token_types", self.token_types.is_empty()),
            ("claims.user", self.claims.user.is_empty()),
            ("claims.client", self.claims.client.is_empty()),
            ("tenant", no_tenant),
        ] {
            if empty {
                faults.push(ConfigError::Empty { issuer: self.issuer.clone(), field });
            }
        }
        if self.skew > claims::MOST_SKEW {
            faults.push(ConfigError::Skew(self.issuer.clone()));
        }
        faults
    }
}

/// In the place of the digest of a token that is not there.
const ANONYMOUS: Digest = Digest([0; 32]);
/// How often keys and the list of revoked tokens are looked at: with it, a revoked token is refused within
/// about a second of the list being saved.
const TEND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
