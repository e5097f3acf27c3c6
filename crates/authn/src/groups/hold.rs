//! Looked-up groups behind an open stream: asked for again while the stream lasts, so that it ends within the same minute in
//! which new calls would have others.

use super::Directories;
use crate::AuthnError;
use crate::contract::Contract;
use model::Timestamp;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

/// Groups that a directory named, and until when that is believed.
pub(crate) struct Hold {
    directories: Arc<Directories>,
    directory: String,
    /// What they are called here.
    contract: Arc<Contract>,
    user: Arc<str>,
    groups: Vec<Arc<str>>,
    /// In milliseconds.
    until: AtomicI64,
    changed: AtomicBool,
    asking: AtomicBool,
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hold")
    }
}

impl Hold {
    /// Asks for the groups of a user, which are then [`Hold::groups`].
    ///
    /// # Errors
    /// [`AuthnError::GroupsUnavailable`], or that the contract refuses one of them.
    pub(crate) async fn of(
        directories: &Arc<Directories>,
        directory: String,
        contract: &Arc<Contract>,
        user: &Arc<str>,
    ) -> Result<Self, AuthnError> {
        let found = directories.groups(&directory, user, Duration::ZERO).await;
        let (groups, until) = found.ok_or(AuthnError::GroupsUnavailable)?;
        Ok(Self {
            directories: Arc::clone(directories),
            directory,
            contract: Arc::clone(contract),
            user: Arc::clone(user),
            groups: contract.looked_up(groups)?,
            until: AtomicI64::new(until.0),
            changed: AtomicBool::new(false),
            asking: AtomicBool::new(false),
        })
    }

    /// The groups under their names here.
    pub(crate) fn groups(&self) -> Vec<Arc<str>> {
        self.groups.clone()
    }

    /// Until when they are believed.
    pub(crate) fn until(&self) -> Timestamp {
        Timestamp(self.until.load(Ordering::Acquire))
    }

    /// Whether they are still known to be these; asks in the background a little before that ends.
    ///
    /// # Errors
    /// [`AuthnError::GroupsChanged`], or [`AuthnError::GroupsUnavailable`] when nobody could say in time.
    pub(crate) fn check(self: &Arc<Self>, now: Timestamp) -> Result<(), AuthnError> {
        if self.changed.load(Ordering::Acquire) {
            return Err(AuthnError::GroupsChanged);
        }
        let until = self.until();
        if now.after(AHEAD) >= until && !self.asking.swap(true, Ordering::AcqRel) {
            let hold = Arc::clone(self);
            // In a task of its own: whoever looks does not wait.
            drop(tokio::spawn(async move { hold.ask().await }));
        }
        if now >= until { Err(AuthnError::GroupsUnavailable) } else { Ok(()) }
    }

    async fn ask(&self) {
        // When nobody can say, the next look asks again, until the time is over.
        if let Some((groups, until)) = self.directories.groups(&self.directory, &self.user, AHEAD).await {
            match self.contract.looked_up(groups) {
                Ok(groups) if groups == self.groups => self.until.store(until.0, Ordering::Release),
                Ok(_) | Err(_) => self.changed.store(true, Ordering::Release),
            }
        }
        self.asking.store(false, Ordering::Release);
    }
}

/// How long before the end of an answer the directory is asked again: longer than a question to it takes at most.
const AHEAD: Duration = Duration::from_secs(6);
