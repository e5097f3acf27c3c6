//! How much is under way, in all and for each principal, and the bounds on it.

use model::PrincipalKey;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts what is under way: calls, or streams.
pub(crate) struct Crowd {
    total: AtomicUsize,
    each: Mutex<HashMap<PrincipalKey, usize>>,
}

/// One place in a crowd; given back on drop.
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    who: PrincipalKey,
}

impl Crowd {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { total: AtomicUsize::new(0), each: Mutex::new(HashMap::new()) })
    }

    /// Takes a place, or nothing when `total` or `each` is reached.
    pub(crate) fn enter(self: &Arc<Self>, who: PrincipalKey, total: usize, each: usize) -> Option<Place> {
        let mut table = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = table.get(&who).copied().unwrap_or(0);
        if mine >= each || self.total.load(Ordering::Relaxed) >= total {
            return None;
        }
        table.insert(who, mine + 1);
        self.total.fetch_add(1, Ordering::Relaxed);
        Some(Place { crowd: Arc::clone(self), who })
    }

    /// How many places are taken.
    pub(crate) fn size(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.crowd.each.lock().unwrap_or_else(PoisonError::into_inner);
        self.crowd.total.fetch_sub(1, Ordering::Relaxed);
        match table.get_mut(&self.who) {
            Some(mine) if *mine > 1 => *mine -= 1,
            _ => {
                table.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Digest;

    #[test]
    fn one_principal_cannot_take_every_place() {
        let crowd = Crowd::new();
        let (a, b) = (PrincipalKey(Digest::of(b"a")), PrincipalKey(Digest::of(b"b")));
        let first = crowd.enter(a, 3, 2).unwrap();
        let second = crowd.enter(a, 3, 2).unwrap();
        assert!(crowd.enter(a, 3, 2).is_none());
        let third = crowd.enter(b, 3, 2).unwrap();
        assert!(crowd.enter(b, 3, 2).is_none());
        drop((first, second, third));
        assert_eq!(crowd.size(), 0);
        assert!(crowd.each.lock().unwrap().is_empty());
    }
}
