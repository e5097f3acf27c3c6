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
    /// The epoch of the revocation view.
    pub(crate) revocations: u64,
}

impl Entry {
    /// Whether everything the verification stood on still stands.
    fn stands(&self, revocations: u64, now: Timestamp) -> bool {
        now < self.until
            && self.revocations == revocations
            && self.keys.as_ref().is_none_or(|(issuer, keys)| issuer.epoch() == *keys && issuer.is_fresh(now))
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

    /// The caller this token was verified to be at this resource, if that still stands.
    pub(crate) fn recall(
        &self,
        token: Digest,
        resource: Digest,
        revocations: u64,
        now: Timestamp,
    ) -> Option<Verified> {
        let key = (token, resource);
        let mut shard = self.shard(&token)?.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = shard.young.get(&key) {
            if entry.stands(revocations, now) {
                return Some(entry.verified.clone());
            }
            shard.young.remove(&key);
            return None;
        }
        let entry = shard.old.remove(&key)?;
        if !entry.stands(revocations, now) {
            return None;
        }
        let verified = entry.verified.clone();
        shard.put(key, entry, self.room);
        Some(verified)
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
