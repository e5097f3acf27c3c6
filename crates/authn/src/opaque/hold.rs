//! An opaque token behind an open stream: asked about again while the stream lasts, so that it ends within the same
//! half minute as new calls would.

use super::answer::Meaning;
use super::ask::Introspector;
use crate::AuthnError;
use model::{Digest, Secret, Timestamp};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

/// A token that was found good, and until when.
pub(crate) struct Hold {
    introspector: Arc<Introspector>,
    token: Secret,
    digest: Digest,
    /// In milliseconds.
    until: AtomicI64,
    inactive: AtomicBool,
    asking: AtomicBool,
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hold")
    }
}

impl Hold {
    pub(crate) fn new(
        introspector: Arc<Introspector>,
        token: &[u8],
        digest: Digest,
        until: Timestamp,
    ) -> Self {
        Self {
            introspector,
            token: Secret::new(token.to_vec()),
            digest,
            until: AtomicI64::new(until.0),
            inactive: AtomicBool::new(false),
            asking: AtomicBool::new(false),
        }
    }

    /// Whether the token is still known to be good; asks in the background a little before that ends.
    ///
    /// # Errors
    /// [`AuthnError::Inactive`], or [`AuthnError::IntrospectionUnavailable`] when nobody could say in time.
    pub(crate) fn check(self: &Arc<Self>, now: Timestamp) -> Result<(), AuthnError> {
        if self.inactive.load(Ordering::Acquire) {
            return Err(AuthnError::Inactive);
        }
        let until = Timestamp(self.until.load(Ordering::Acquire));
        if now.after(AHEAD) >= until && !self.asking.swap(true, Ordering::AcqRel) {
            let hold = Arc::clone(self);
            // In a task of its own: whoever looks does not wait.
            drop(tokio::spawn(async move { hold.ask().await }));
        }
        if now >= until { Err(AuthnError::IntrospectionUnavailable) } else { Ok(()) }
    }

    async fn ask(&self) {
        let token = self.token.lend(<[u8]>::to_vec);
        let answer = self.introspector.fresh(&token, self.digest, AHEAD).await;
        match answer.meaning {
            Meaning::Active(_) => self.until.store(answer.until.0, Ordering::Release),
            Meaning::Inactive => self.inactive.store(true, Ordering::Release),
            // The next look asks again, until the time is over.
            Meaning::Unknown => {}
        }
        self.asking.store(false, Ordering::Release);
    }
}

/// How long before the end of an answer the issuer is asked again.
const AHEAD: Duration = Duration::from_secs(6);
