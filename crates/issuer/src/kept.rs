//! Documents that clients publish, kept as long as they are fresh, and a day longer when nobody answers.

use crate::Issuer;
use crate::fetch::{self, FetchError};
use model::Timestamp;
use moka::future::Cache;
use net::egress::Rule;
use std::sync::Arc;
use std::time::Duration;

/// Documents by URL, made into `T`.
pub(crate) struct Kept<T>(Cache<String, Arc<tokio::sync::Mutex<Slot<T>>>>);

/// One URL. Whoever holds the lock fetches; the others wait for what it brings.
struct Slot<T> {
    good: Option<Good<T>>,
    /// The last failure and when it was: strangers do not make us ask more often.
    failed: Option<(Timestamp, KeptError)>,
}

struct Good<T> {
    value: Arc<T>,
    fetched_at: Timestamp,
    fresh_until: Timestamp,
}

/// Why there is no document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeptError {
    /// It cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It does not say what it must.
    #[error("{0}")]
    Content(String),
}

impl<T: Send + Sync + 'static> Kept<T> {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(DOCUMENTS).time_to_idle(fetch::LONGEST).build())
    }

    /// Whether it has been asked for.
    pub(crate) fn knows(&self, url: &str) -> bool {
        self.0.contains_key(url)
    }

    /// The document at `url`. With `anew` it is fetched although it is fresh, but not more often than every
    /// [`PAUSE`].
    pub(crate) async fn get(
        &self,
        issuer: &Issuer,
        url: &str,
        rule: Rule,
        anew: bool,
        read: impl FnOnce(&serde_json::Map<String, serde_json::Value>) -> Result<T, String>,
    ) -> Result<Arc<T>, KeptError> {
        let empty = async { Arc::new(tokio::sync::Mutex::new(Slot { good: None, failed: None })) };
        let slot = self.0.get_with(url.to_owned(), empty).await;
        let mut slot = slot.lock().await;
        let now = issuer.now();
        if let Some(good) = &slot.good {
            let fresh = if anew { good.fetched_at.after(PAUSE) } else { good.fresh_until };
            if now < fresh {
                return Ok(Arc::clone(&good.value));
            }
        }
        if let Some((at, error)) = &slot.failed
            && now < at.after(PAUSE)
        {
            return slot.last_good(now, error.clone());
        }
        let fetched = fetch::object(issuer, url, rule, DOCUMENT_BYTES).await;
        let made = fetched.map_err(KeptError::Fetch).and_then(|fetched| {
            let value = read(&fetched.document).map_err(KeptError::Content)?;
            Ok((Arc::new(value), fetched.fresh_for))
        });
        match made {
            Ok((value, fresh_for)) => {
                let good =
                    Good { value: Arc::clone(&value), fetched_at: now, fresh_until: now.after(fresh_for) };
                *slot = Slot { good: Some(good), failed: None };
                Ok(value)
            }
            Err(error) => {
                slot.failed = Some((now, error.clone()));
                slot.last_good(now, error)
            }
        }
    }
}

impl<T> Slot<T> {
    /// What was known before, if it was not long ago and the document was not taken back.
    fn last_good(&self, now: Timestamp, error: KeptError) -> Result<Arc<T>, KeptError> {
        match (&self.good, &error) {
            (Some(good), KeptError::Fetch(FetchError::Unreachable(_)))
                if now < good.fetched_at.after(fetch::LONGEST) =>
            {
                Ok(Arc::clone(&good.value))
            }
            _ => Err(error),
        }
    }
}

/// The most documents kept.
const DOCUMENTS: u64 = 1024;
/// The largest document, in bytes. Real ones have one or two kilobytes; key sets rarely more than ten.
const DOCUMENT_BYTES: usize = 64 << 10;
/// The least time between two fetches of one document that has just failed, or is asked for anew.
const PAUSE: Duration = Duration::from_secs(10);
