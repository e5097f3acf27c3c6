//! By whose tokens a session, or what is open at a server, is used. Several may be good at once: a client refreshes its token,
//! or a person has two. What is used ends when one of them is revoked and none of the others is still good; revoking a
//! stolen token does not end what its owner goes on with.

use authn::Verified;
use model::Timestamp;

/// The callers of late, the newest last, one for each token.
#[derive(Default)]
pub(crate) struct UsedBy(Vec<Verified>);

impl UsedBy {
    /// Remembers a caller. The oldest one gives way.
    pub(crate) fn note(&mut self, caller: &Verified) {
        if self.0.iter().any(|known| known.token == caller.token) {
            return;
        }
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push(caller.clone());
    }

    /// Whether somebody was revoked and nobody is left.
    pub(crate) fn is_over(&self, revoked: impl Fn(&Verified) -> bool, now: Timestamp) -> bool {
        let (gone, left): (Vec<_>, Vec<_>) = self.0.iter().partition(|caller| revoked(caller));
        !gone.is_empty() && left.iter().all(|caller| caller.expires_at <= now)
    }

    /// The callers.
    pub(crate) fn callers(&self) -> &[Verified] {
        &self.0
    }
}

/// The most tokens that are remembered.
const MOST: usize = 8;
