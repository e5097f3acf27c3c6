//! Verified tokens, remembered by digest and resource.
//!
//! Two generations per shard: when the young one is full it becomes the old one, and what is still used
//! moves back. Bounded, with neither a clock nor a list to keep in order.

use crate::Verified;
use crate::issuer::Issuer;
use model::{Digest, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A verified token and what its verification stood on.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) verified: Verified,
    /// The issuer whose keys verified it, and their epoch; none for an opaque token.
    pub(crate) keys: Option<(Arc<Issuer>, u64)>,
    /// Until when the verification is good, though the token may live longer.
    pub(crate) until: Timestamp,
}

/// What is remembered of a token.
pub(crate) enum Recalled {
    /// It was verified, and everything that stood on still stands.
    Stands(Verified),
    /// It was verified, and revoked since.
    Revoked,
    /// Nothing.
    Nothing,
}

impl Entry {
    /// Whether everything the verification stood on still stands. What has been revoked since is asked of `revoked`, so
    /// that a revocation costs the others no signature check.
    fn recall(&mut self, epoch: u64, now: Timestamp, revoked: impl Fn(&Verified) -> bool) -> Recalled {
        let keys = self.keys.as_ref();
        let stands = now < self.until
            && keys.is_none_or(|(issuer, keys)| issuer.epoch() == *keys && issuer.is_fresh(now));
        if !stands {
            return Recalled::Nothing;
        }
        // SECURITY: on a hit too: `a_revoked_token_is_refused_from_memory_too`.
        if self.verified.epoch != epoch {
            if revoked(&self.verified) {
                return Recalled::Revoked;
            }
            self.verified.epoch = epoch;
        }
        Recalled::Stands(self.verified.clone())
    }
}

/// The token's digest and the resource's.
type Key = (Digest, Digest);

pub(crate) struct Cache {
    shards: [Mutex<Shard>; SHARDS],
    /// Entries of one generation of one shard.
    room: usize,
}

#[derive(Default)]
struct Shard {
    young: HashMap<Key, Entry, Fold>,
    old: HashMap<Key, Entry, Fold>,
}

impl Cache {
    /// Remembers about `entries` tokens; never more.
    pub(crate) fn new(entries: usize) -> Self {
        Self { shards: Default::default(), room: (entries / SHARDS / 2).max(1) }
    }

    /// The caller this token was verified to be at this resource, if that still stands at this epoch of the revocations.
    pub(crate) fn recall(
        &self,
        token: Digest,
        resource: Digest,
        (epoch, now): (u64, Timestamp),
        revoked: impl Fn(&Verified) -> bool,
    ) -> Recalled {
        let key = (token, resource);
        let Some(shard) = self.shard(&token) else { return Recalled::Nothing };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = shard.young.get_mut(&key) {
            let recalled = entry.recall(epoch, now, revoked);
            if !matches!(recalled, Recalled::Stands(_)) {
                shard.young.remove(&key);
            }
            return recalled;
        }
        let Some(mut entry) = shard.old.remove(&key) else { return Recalled::Nothing };
        let recalled = entry.recall(epoch, now, revoked);
        if matches!(recalled, Recalled::Stands(_)) {
            shard.put(key, entry, self.room);
        }
        recalled
    }

    /// Remembers a verified token.
    pub(crate) fn remember(&self, resource: Digest, entry: Entry) {
        let token = entry.verified.token;
        if let Some(shard) = self.shard(&token) {
            shard.lock().unwrap_or_else(PoisonError::into_inner).put((token, resource), entry, self.room);
        }
    }

    fn shard(&self, token: &Digest) -> Option<&Mutex<Shard>> {
        let [first, ..] = token.0;
        self.shards.get(usize::from(first) % SHARDS)
    }
}

impl Shard {
    fn put(&mut self, key: Key, entry: Entry, room: usize) {
        if self.young.len() >= room {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, entry);
    }
}

const SHARDS: usize = 16;

/// Digests are as good as any hash of them; only verified tokens get in, so nobody picks collisions.
#[derive(Clone, Copy, Default)]
struct Fold(u64);

impl std::hash::BuildHasher for Fold {
    type Hasher = Self;
    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl std::hash::Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(word) = bytes.last_chunk::<8>() {
            self.0 = self.0.rotate_left(1) ^ u64::from_le_bytes(*word);
        }
    }
}
