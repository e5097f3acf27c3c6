//! Tokens that are not signed but known: API keys of the registry. Each is looked up on every request.

use super::{Authn, Verified};
use crate::revocations::marks::Marks;
use crate::{AuthnError, Resource};
use model::{Digest, Principal, Timestamp};
use std::pin::Pin;
use std::sync::Arc;

/// What becomes of a look-up: whoever holds the key, nobody, or an error that was logged where it was met.
pub type LookUp<'a> = Pin<Box<dyn Future<Output = Result<Option<KeyHolder>, LookUpError>> + Send + 'a>>;

/// Nobody knows whether there is such a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key could not be looked up")]
pub struct LookUpError;

/// Who knows the keys.
pub trait KeyLookup: Send + Sync {
    /// How every key begins, and nothing else does.
    fn prefix(&self) -> &'static str;

    /// Who holds the key of that SHA-256, at the resource of that canonical URI.
    fn look_up<'a>(&'a self, key: Digest, resource: &'a str) -> LookUp<'a>;
}

/// Who holds a key.
#[derive(Clone, Debug)]
pub struct KeyHolder {
    /// Who it is.
    pub principal: Principal,
    /// When the key ends.
    pub expires_at: Option<Timestamp>,
    /// As of when that is so: revocations of what was issued before do not mean it.
    pub issued_at: Timestamp,
}

impl Authn {
    /// Takes keys of the registry from now on. Once: a second registry is not taken.
    pub fn recognize(&self, keys: Arc<dyn KeyLookup>) {
        drop(self.keys.set(keys));
    }

    /// Who holds the key that a request presents; `None` if what it presents is no key.
    pub(super) async fn by_key(
        &self,
        token: &[u8],
        digest: Digest,
        resource: &Resource,
    ) -> Option<Result<Verified, AuthnError>> {
        let keys = self.keys.get().filter(|keys| token.starts_with(keys.prefix().as_bytes()))?;
        let found = keys.look_up(digest, resource.canonical()).await;
        Some(self.holder(found, digest))
    }

    fn holder(
        &self,
        found: Result<Option<KeyHolder>, LookUpError>,
        digest: Digest,
    ) -> Result<Verified, AuthnError> {
        let found = found.map_err(|LookUpError| AuthnError::IssuerUnavailable)?;
        let KeyHolder { principal, expires_at, issued_at } = found.ok_or(AuthnError::UnknownKey)?;
        let now = self.clock.now();
        let expires_at = expires_at.unwrap_or(Timestamp(i64::MAX));
        if expires_at <= now {
            return Err(AuthnError::Expired);
        }
        let verified = Verified {
            key: principal.key(),
            principal: Arc::new(principal),
            expires_at,
            token: digest,
            bound_to: None,
            marks: Arc::new(Marks { issued_at: Some(issued_at), ..Marks::default() }),
            // INVARIANT: the epoch is read before what it counts.
            epoch: *self.epoch.borrow(),
            judged: None,
        };
        // SECURITY: what is revoked is revoked, whatever the registry says (test: `a_revoked_api_key_is_refused`).
        self.knows(now)?;
        if self.revoked(&verified, now) {
            return Err(AuthnError::Revoked);
        }
        Ok(verified)
    }
}
