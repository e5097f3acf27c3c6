//! What ends when something is revoked, besides the calls and streams under way, which notice by themselves: calls that
//! wait for their callers, sessions, and what is open at the servers for whoever is no longer good.

use crate::house::House;
use crate::parked;
use crate::upstream::Owner;
use authn::Verified;
use authn::revocations::Freshness;
use model::Code;
use std::sync::Arc;
use std::time::Duration;

impl House {
    /// Why nothing but a plain read is let through now, if that is so: it is not known what was revoked lately.
    // SECURITY: `a_replica_without_its_database_refuses_writes_and_then_everything`,
    // `an_older_clients_answer_to_a_server_waits_until_it_is_known_what_was_revoked`.
    pub(crate) fn unsure(&self) -> Option<(Code, &'static str)> {
        let reason = "no plain read, and it is not known what was revoked lately";
        (self.authn.freshness() != Freshness::Fresh).then_some((Code::REVOCATIONS_STALE, reason))
    }

    /// Ends what is no longer good whenever something is revoked, for ever. Run it in a task of its own.
    pub async fn keep_revoked(self: Arc<Self>) {
        let mut changes = self.authn.changes();
        loop {
            self.end_revoked();
            // Once more: a call that was let in before may have opened something after the first look.
            let more = tokio::time::timeout(AFTER, changes.changed()).await;
            if more.is_err() {
                self.end_revoked();
                if changes.changed().await.is_err() {
                    return;
                }
            }
        }
    }

    /// Ends what is no longer good.
    fn end_revoked(self: &Arc<Self>) {
        let revoked = |verified: &Verified| self.authn.is_revoked(verified);
        parked::end_revoked(self);
        let sessions = self.sessions.end_of(revoked, self.clock.now());
        for (session, callers) in &sessions {
            for caller in callers {
                self.upstreams.end(&Owner { principal: caller.key, session: Some(session.key()) });
            }
        }
        let contained = |server: &model::ServerName| self.authn.contains(server.as_str(), None);
        self.upstreams.end_revoked(revoked, contained, self.clock.now());
        let changed = self.catalog.contain(contained);
        if !sessions.is_empty() || changed {
            tracing::info!(sessions = sessions.len(), "something was revoked");
        }
        if sessions.is_empty() {
            return;
        }
        // That they have ended is remembered on the disk, which may take its time.
        let house = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            for (session, _) in &sessions {
                if let Err(error) = house.sessions.write_end(session) {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "an ended session is not written down"
                    );
                }
            }
        });
    }
}

/// How long after a revocation it is looked once more.
const AFTER: Duration = Duration::from_millis(300);
