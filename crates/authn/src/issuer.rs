//! One issuer and its keys: fetched in the background, once more for an unknown key, kept when it is down.

use crate::discovery::{self, FetchError};
use crate::jwks::KeySet;
use crate::{AuthnError, IssuerConfig};
use arc_swap::ArcSwapOption;
use model::{Clock, Timestamp};
use net::egress::Client;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// One configured issuer.
pub(crate) struct Issuer {
    pub(crate) config: IssuerConfig,
    keys: ArcSwapOption<KeySet>,
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
    pub(crate) fn new(config: IssuerConfig) -> Self {
        Self {
            config,
            keys: ArcSwapOption::empty(),
            epoch: AtomicU64::new(0),
            seen_at: AtomicI64::new(i64::MIN),
            tried_at: AtomicI64::new(i64::MIN),
            fetching: tokio::sync::Mutex::new(None),
        }
    }

    /// The epoch of the keys in force.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether the keys were seen at the issuer within the last day.
    pub(crate) fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(Timestamp(self.seen_at.load(Ordering::Acquire))) <= LAST_GOOD
    }

    /// How many keys are in force.
    pub(crate) fn key_count(&self, now: Timestamp) -> usize {
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
        let known = |found: &(u64, Arc<KeySet>)| found.1.find(kid).is_some();
        let now = clock.now();
        let before = self.in_force(now);
        if let Some(found) = before.filter(known) {
            return Ok(found);
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

    /// Whether the keys should be looked at in the background.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
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
/// How often keys are looked at in the background.
const REFRESH: Duration = Duration::from_secs(600);
/// How soon a failed look is repeated in the background.
const RETRY: Duration = Duration::from_secs(30);
/// The least time between two fetches for unknown keys, whoever asks.
const REFETCH_PAUSE: Duration = Duration::from_secs(10);
/// The same while no keys are known.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
