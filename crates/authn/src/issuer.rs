//! One issuer and its keys: fetched in the background, once more for an unknown key, kept when it is down.

use crate::contract::{Contract, OpaqueRule};
use crate::discovery::{self, FetchError};
use crate::jwks::KeySet;
use crate::{AuthnError, IssuerConfig, KeySource, OwnKeys};
use arc_swap::ArcSwapOption;
use model::{Clock, Timestamp};
use net::egress::Client;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use vault::PublicKey;

/// One configured issuer.
pub(crate) struct Issuer {
    pub(crate) config: IssuerConfig,
    /// What is different for its opaque tokens, in the contract that the configuration is.
    pub(crate) opaque: OpaqueRule,
    /// The contract that the configuration is.
    pub(crate) implicit: Arc<Contract>,
    keys: ArcSwapOption<KeySet>,
    /// For our own issuer: the published keys that `keys` was made of.
    published: ArcSwapOption<Vec<PublicKey>>,
    /// Counts the key sets, so that what was verified by an older one is verified again.
    epoch: AtomicU64,
    /// When the keys were last seen at the issuer, in milliseconds.
    seen_at: AtomicI64,
    /// When the last fetch began, in milliseconds.
    tried_at: AtomicI64,
    /// One fetch at a time; holds the URL that worked last.
    fetching: tokio::sync::Mutex<Option<String>>,
}

impl Issuer {
    pub(crate) fn new(config: IssuerConfig, opaque: OpaqueRule) -> Self {
        Self {
            implicit: Contract::implicit(&config, opaque.clone()),
            opaque,
            config,
            keys: ArcSwapOption::empty(),
            published: ArcSwapOption::empty(),
            epoch: AtomicU64::new(0),
            seen_at: AtomicI64::new(i64::MIN),
            tried_at: AtomicI64::new(i64::MIN),
            fetching: tokio::sync::Mutex::new(None),
        }
    }

    /// The epoch of the keys in force.
    pub(crate) fn epoch(&self) -> u64 {
        self.take_own();
        self.epoch.load(Ordering::Acquire)
    }

    /// Takes up our own keys if they are others than before, so that neither a new nor a revoked one waits.
    fn take_own(&self) {
        let KeySource::Own(own) = &self.config.keys else { return };
        let published = own.0.published();
        let known = self.published.load();
        if known.as_ref().is_some_and(|known| Arc::ptr_eq(known, &published)) {
            return;
        }
        let keys: Vec<_> = published.iter().map(PublicKey::to_json).collect();
        let document = serde_json::Map::from_iter([("keys".to_owned(), keys.into())]);
        self.keys.store(KeySet::parse(&document, &self.config.algorithms).map(Arc::new));
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.published.store(Some(published));
    }

    /// Whether the keys were seen at the issuer within the last day.
    pub(crate) fn is_fresh(&self, now: Timestamp) -> bool {
        self.config.is_own() || now.since(Timestamp(self.seen_at.load(Ordering::Acquire))) <= LAST_GOOD
    }

    /// How many keys are in force.
    pub(crate) fn key_count(&self, now: Timestamp) -> usize {
        self.take_own();
        self.in_force(now).map_or(0, |(_, keys)| keys.len())
    }

    /// The keys in force and their epoch. The epoch is read first: a set that is replaced in between is
    /// remembered under the older epoch, and looked at again.
    fn in_force(&self, now: Timestamp) -> Option<(u64, Arc<KeySet>)> {
        let epoch = self.epoch();
        let keys = self.keys.load_full()?;
        self.is_fresh(now).then_some((epoch, keys))
    }

    /// The keys that hold `kid`, after one fetch if they are not known to.
    ///
    /// # Errors
    /// [`AuthnError::UnknownKey`] when the issuer does not publish it as far as we know,
    /// [`AuthnError::IssuerUnavailable`] when no keys are known at all.
    pub(crate) async fn keys_with(
        self: &Arc<Self>,
        kid: Option<&str>,
        egress: &Client,
        clock: &Arc<dyn Clock>,
    ) -> Result<(u64, Arc<KeySet>), AuthnError> {
        if self.config.keys == KeySource::None {
            return Err(AuthnError::UnknownKey);
        }
        let known = |found: &(u64, Arc<KeySet>)| found.1.find(kid).is_some();
        let now = clock.now();
        let before = self.in_force(now);
        if let Some(found) = before.filter(known) {
            return Ok(found);
        }
        if let KeySource::Own(own) = &self.config.keys {
            self.look_again(own, clock.now()).await;
            return match self.in_force(clock.now()) {
                Some(found) if known(&found) => Ok(found),
                _ => Err(AuthnError::UnknownKey),
            };
        }
        // In a task of its own: a caller who goes away must not stop it for everybody else.
        let fetch = tokio::spawn(Arc::clone(self).refetch(egress.clone(), Arc::clone(clock)));
        let _ = fetch.await;
        match self.in_force(clock.now()) {
            Some(found) if known(&found) => Ok(found),
            Some(_) => Err(AuthnError::UnknownKey),
            None => Err(AuthnError::IssuerUnavailable),
        }
    }

    /// Reads the rows of our own keys: another replica may have made one since they were read last.
    async fn look_again(&self, own: &OwnKeys, now: Timestamp) {
        let _one = self.fetching.lock().await;
        if now.since(Timestamp(self.tried_at.load(Ordering::Acquire))) < OWN_PAUSE {
            return;
        }
        self.tried_at.store(now.0, Ordering::Release);
        if let Err(error) = own.0.tend().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot look for a new signing key");
        }
    }

    /// Whether the keys should be looked at in the background.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        if self.config.is_own() || self.config.keys == KeySource::None {
            return false;
        }
        let since = |moment: &AtomicI64| now.since(Timestamp(moment.load(Ordering::Acquire)));
        since(&self.seen_at) >= REFRESH && since(&self.tried_at) >= RETRY
    }

    /// Fetches the keys unless that was tried a moment ago. Whoever asks while a fetch is under way waits
    /// for it and takes what it brought.
    async fn refetch(self: Arc<Self>, egress: Client, clock: Arc<dyn Clock>) {
        let mut uri = self.fetching.lock().await;
        let now = clock.now();
        let pause = if self.is_fresh(now) { REFETCH_PAUSE } else { FIRST_PAUSE };
        if now.since(Timestamp(self.tried_at.load(Ordering::Acquire))) >= pause {
            self.fetch(&mut uri, &egress, clock.as_ref()).await;
        }
    }

    /// Fetches the keys now, finding their URL anew; where that fails, from where they were last.
    pub(crate) async fn refresh(self: Arc<Self>, egress: Client, clock: Arc<dyn Clock>) {
        let mut uri = self.fetching.lock().await;
        let known = uri.take();
        let fetched = self.fetch(&mut uri, &egress, clock.as_ref()).await;
        if !fetched && known.is_some() {
            *uri = known;
            self.fetch(&mut uri, &egress, clock.as_ref()).await;
        }
    }

    async fn fetch(&self, uri: &mut Option<String>, egress: &Client, clock: &dyn Clock) -> bool {
        let now = clock.now();
        self.tried_at.store(now.0, Ordering::Release);
        match self.find_and_fetch(uri, egress).await {
            Ok(keys) => {
                self.install(keys, clock.now());
                true
            }
            Err(error) => {
                tracing::warn!(issuer = %self.config.issuer, %error, "cannot fetch the issuer's keys");
                false
            }
        }
    }

    async fn find_and_fetch(&self, uri: &mut Option<String>, egress: &Client) -> Result<KeySet, FetchError> {
        if let Some(uri) = uri {
            return discovery::keys(uri, &self.config, egress).await;
        }
        let found = discovery::jwks_uri(&self.config, egress).await?;
        let keys = discovery::keys(&found, &self.config, egress).await?;
        *uri = Some(found);
        Ok(keys)
    }

    fn install(&self, keys: KeySet, now: Timestamp) {
        let changed = self.keys.load().as_ref().is_none_or(|old| old.digest != keys.digest);
        if changed {
            self.keys.store(Some(Arc::new(keys)));
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
        self.seen_at.store(now.0, Ordering::Release);
    }
}

/// Keys that were not seen at the issuer for this long are no longer good.
const LAST_GOOD: Duration = Duration::from_secs(24 * 3600);
/// The least time between two looks at the rows of our own keys for unknown ones, whoever asks.
const OWN_PAUSE: Duration = Duration::from_millis(250);
/// How often keys are looked at in the background.
const REFRESH: Duration = Duration::from_secs(600);
/// How soon a failed look is repeated in the background.
const RETRY: Duration = Duration::from_secs(30);
/// The least time between two fetches for unknown keys, whoever asks.
const REFETCH_PAUSE: Duration = Duration::from_secs(10);
/// The same while no keys are known.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
