//! What a call under way stands on: its caller's token and its server. When one of them is revoked it ends.

use authn::{Authn, Verified};
use model::{Code, ServerName};
use std::sync::Arc;
use tokio::sync::watch;

/// One call's stand. Clones watch on their own.
#[derive(Clone)]
pub(crate) struct Lease {
    authn: Arc<Authn>,
    verified: Verified,
    server: ServerName,
    changes: watch::Receiver<u64>,
    /// Held against everything that was known when `changes` was last seen.
    checked: bool,
}

/// Why a call may not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Its caller's token was revoked.
    Revoked,
    /// Its server was contained.
    Contained,
}

impl Ended {
    /// The code of the call's end.
    pub(crate) const fn code(self) -> Code {
        match self {
            Self::Revoked => Code::TOKEN_REVOKED,
            Self::Contained => Code::SERVER_CONTAINED,
        }
    }

    /// What an operator reads.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Revoked => "its caller was revoked while it was under way",
            Self::Contained => "its server was contained while it was under way",
        }
    }
}

impl Lease {
    pub(crate) fn new(authn: &Arc<Authn>, verified: &Verified, server: &ServerName) -> Self {
        let changes = authn.changes();
        Self {
            authn: Arc::clone(authn),
            verified: verified.clone(),
            server: server.clone(),
            changes,
            checked: false,
        }
    }

    /// Whose call it is.
    pub(crate) fn caller(&self) -> &Verified {
        &self.verified
    }

    /// Why the call may not go on, if it may not.
    pub(crate) fn check(&self) -> Result<(), Ended> {
        if self.authn.contains(self.server.as_str(), Some(&self.verified.principal.tenant)) {
            return Err(Ended::Contained);
        }
        // A token that expires in the middle of a call lets it finish.
        if self.authn.is_revoked(&self.verified) { Err(Ended::Revoked) } else { Ok(()) }
    }

    /// Ready when the call may not go on. Cancel safe.
    pub(crate) async fn ended(&mut self) -> Ended {
        loop {
            if !self.checked {
                if let Err(ended) = self.check() {
                    return ended;
                }
                self.checked = true;
            }
            if self.changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            self.checked = false;
        }
    }
}

/// Ready when a call may not go on; never, where nothing can end it.
pub(crate) async fn ended(lease: &mut Option<Lease>) -> Ended {
    match lease {
        Some(lease) => lease.ended().await,
        None => std::future::pending().await,
    }
}
