//! What belongs to one principal: upstream sessions and children, bounded, opened once, reaped when idle.
//!
//! A slot outlives what it holds, so a child that crashes is started again with a pause, and only for the
//! principal it belongs to.

use super::Outbound;
use super::backoff::Backoff;
use super::fault::UpstreamError;
use crate::used_by::UsedBy;
use arc_swap::ArcSwapOption;
use authn::Verified;
use model::{Clock, Dice, Digest, PrincipalKey, Timestamp};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Whose it is. INVARIANT: nothing is ever shared between two principals, but a child that the operator
/// declared shared (its key has no principal).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key {
    /// The principal; none for what is shared.
    pub(super) principal: Option<PrincipalKey>,
    /// The client session, or the digest of the declared capabilities; none in the stateless era.
    pub(super) lane: Option<Digest>,
}

impl Key {
    /// A session belongs to one client session; without one, to what the client declares.
    pub(super) fn of(out: &Outbound) -> Self {
        let lane = match out.owner.session {
            Some(session) => session,
            None => Digest::of(out.capabilities().as_bytes()),
        };
        Self { principal: Some(out.owner.principal), lane: Some(lane) }
    }
}

/// What a slot holds.
pub(super) trait Held: Send + Sync {
    /// Whether failures to open, or an early end, put a pause before the next attempt.
    const PAUSES: bool;
    /// Whether it can take another call.
    fn alive(&self) -> bool;
    /// Whether somebody waits to hear from it although no call is under way.
    fn awaited(&self) -> bool;
    /// Whether somebody follows a resource there.
    fn followed(&self) -> bool;
    /// It is used no more; who follows a resource there is told.
    fn retire(&self);
    /// It ends at once, with whatever is under way there.
    fn kill(&self);
    /// Whether, now that it is dead, its end counts as a failure.
    fn failed(&self, ticks: u64) -> bool;
}

/// One principal's place.
pub(super) struct Slot<V> {
    key: Key,
    current: ArcSwapOption<V>,
    /// Held while opening, so that many first calls open once.
    opening: tokio::sync::Mutex<Backoff>,
    used: AtomicU64,
    /// By whose tokens it is used; by nobody's, if it is the gateway's own.
    used_by: Mutex<UsedBy>,
}

/// The places of one server.
pub(super) struct Slots<V> {
    places: Mutex<HashMap<Key, Arc<Slot<V>>>>,
    most: usize,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
}

impl<V: Held> Slots<V> {
    pub(super) fn new(most: usize, clock: Arc<dyn Clock>, dice: Arc<dyn Dice>) -> Self {
        Self { places: Mutex::default(), most, clock, dice }
    }

    /// The place of this key. While the caller keeps it, it is not reaped.
    ///
    /// # Errors
    /// Busy, when all places are in use.
    pub(super) fn place(&self, key: Key) -> Result<Arc<Slot<V>>, UpstreamError> {
        let mut evicted = None;
        // Let go of when the table is open again.
        self.place_in(&mut self.lock(), key, &mut evicted)
    }

    fn place_in(
        &self,
        places: &mut HashMap<Key, Arc<Slot<V>>>,
        key: Key,
        evicted: &mut Option<Arc<Slot<V>>>,
    ) -> Result<Arc<Slot<V>>, UpstreamError> {
        let ticks = self.clock.ticks();
        if let Some(slot) = places.get(&key) {
            slot.used.store(ticks, Ordering::Relaxed);
            return Ok(Arc::clone(slot));
        }
        if places.len() >= self.most {
            // Rather one that nobody waits to hear from.
            let unused = places.values().filter(|slot| slot.is_unused());
            let idle = unused.min_by_key(|slot| (slot.is_awaited(), slot.used()));
            let Some(key) = idle.map(|slot| slot.key) else {
                return Err(UpstreamError::busy(format!(
                    "all {} sessions or children are in use",
                    self.most
                )));
            };
            *evicted = places.remove(&key);
        }
        let slot = Arc::new(Slot {
            key,
            current: ArcSwapOption::empty(),
            opening: tokio::sync::Mutex::default(),
            used: AtomicU64::new(ticks),
            used_by: Mutex::default(),
        });
        places.insert(key, Arc::clone(&slot));
        Ok(slot)
    }

    /// A place that no call uses, the first of a few lanes of this caller; the first lane, when all are used. For calls
    /// whose client may be asked: a question that names no call can be told whose it is where one call is under way.
    ///
    /// # Errors
    /// Busy, when all places are in use.
    pub(super) fn free_place(&self, key: Key) -> Result<Arc<Slot<V>>, UpstreamError> {
        let lane = |number: u8| {
            let of = |lane: Digest| if number == 0 { lane } else { Digest::of_parts(&[&lane.0, &[number]]) };
            Key { lane: key.lane.map(of), ..key }
        };
        let mut evicted = None;
        let mut places = self.lock();
        let own = (0..LANES).map(lane).find(|key| places.get(key).is_none_or(Slot::is_free));
        let slot = match own {
            Some(own) if own != key => {
                let slot = self.place_in(&mut places, own, &mut evicted);
                slot.or_else(|_| self.place_in(&mut places, key, &mut evicted))
            }
            Some(_) | None => self.place_in(&mut places, key, &mut evicted),
        };
        drop(places);
        slot
    }

    /// What the slot holds, opened if it holds nothing that lives. Cancel safe.
    ///
    /// # Errors
    /// That of opening; or that the last one failed and the pause is not over.
    pub(super) async fn hold<F>(&self, slot: &Slot<V>, open: F) -> Result<Arc<V>, UpstreamError>
    where
        F: AsyncFnOnce() -> Result<V, UpstreamError>,
    {
        if let Some(held) = slot.alive() {
            return Ok(held);
        }
        let mut backoff = slot.opening.lock().await;
        if let Some(held) = slot.alive() {
            return Ok(held);
        }
        if let Some(dead) = slot.current.swap(None) {
            self.note(&mut backoff, dead.failed(self.clock.ticks()));
        }
        if let Some(pause) = backoff.remaining(self.clock.ticks()) {
            if pause > PATIENCE {
                return Err(UpstreamError::unreachable(format!(
                    "it failed {} times in a row and is left alone for another {} ms",
                    backoff.failures(),
                    pause.as_millis()
                )));
            }
            tokio::time::sleep(pause).await;
        }
        match open().await {
            Ok(held) => {
                let held = Arc::new(held);
                slot.current.store(Some(Arc::clone(&held)));
                Ok(held)
            }
            Err(error) => {
                self.note(&mut backoff, true);
                Err(error)
            }
        }
    }

    fn note(&self, backoff: &mut Backoff, failed: bool) {
        if failed && V::PAUSES {
            let mut noise = [0];
            self.dice.fill(&mut noise);
            backoff.failed(self.clock.ticks(), noise.first().copied().unwrap_or(0));
        } else {
            backoff.succeeded();
        }
    }

    /// Takes out what nobody has used for `timeout`; what somebody waits to hear from, after longer.
    pub(super) fn reap(&self, timeout: Duration) -> Vec<Arc<V>> {
        let deadline = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let now = self.clock.ticks();
        self.take(|slot| {
            let patience = if slot.is_awaited() { deadline.saturating_mul(AWAITED) } else { deadline };
            slot.is_unused() && now.saturating_sub(slot.used()) > patience
        })
    }

    /// Takes out, and ends at once, what nobody may use any more: of whom `revoked` says so. What is shared goes on.
    pub(super) fn end_revoked(&self, revoked: impl Fn(&Verified) -> bool, now: Timestamp) {
        self.kill(|slot| slot.key.principal.is_some() && slot.users().is_over(&revoked, now));
    }

    /// Takes out everything, and ends it at once.
    pub(super) fn kill_all(&self) {
        self.kill(|_| true);
    }

    fn kill(&self, chosen: impl Fn(&Arc<Slot<V>>) -> bool) {
        for held in self.take(chosen) {
            held.retire();
            held.kill();
        }
    }

    /// Takes out whatever `chosen` says, in use or not.
    pub(super) fn end(&self, chosen: impl Fn(&Key) -> bool) -> Vec<Arc<V>> {
        let taken = self.take(|slot| chosen(&slot.key));
        taken.iter().for_each(|held| held.retire());
        taken
    }

    fn take(&self, chosen: impl Fn(&Arc<Slot<V>>) -> bool) -> Vec<Arc<V>> {
        let mut taken = Vec::new();
        self.lock().retain(|_, slot| {
            let leaves = chosen(slot);
            if leaves {
                taken.push(Arc::clone(slot));
            }
            !leaves
        });
        taken.iter().filter_map(|slot| slot.current.swap(None)).collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Slot<V>>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Held> Slot<V> {
    fn alive(&self) -> Option<Arc<V>> {
        self.current.load_full().filter(|held| held.alive())
    }

    /// Lets go of what was held, if it still is `stale`, so that the next call opens anew.
    pub(super) fn forget(&self, stale: &Arc<V>) {
        let current = self.current.load_full();
        if current.as_ref().is_some_and(|held| Arc::ptr_eq(held, stale)) {
            self.current.compare_and_swap(&current, None);
        }
    }

    /// Remembers by which token it is used.
    pub(super) fn used_by(&self, caller: &Verified) {
        self.users().note(caller);
    }

    fn users(&self) -> MutexGuard<'_, UsedBy> {
        self.used_by.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// No call is under way: the table holds one reference, every call another.
    fn is_free(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1
    }

    fn is_unused(self: &Arc<Self>) -> bool {
        self.is_free() && !self.current.load().as_ref().is_some_and(|held| held.followed())
    }

    fn is_awaited(&self) -> bool {
        self.current.load().as_ref().is_some_and(|held| held.awaited())
    }
}

/// Sessions or children of one caller, so that each may ask about one call.
const LANES: u8 = 8;
/// What somebody waits to hear from is kept this many times as long.
const AWAITED: u64 = 6;
/// The longest pause a call waits for instead of being refused.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use model::{FixedClock, SeededDice, Timestamp};
    use std::sync::atomic::AtomicBool;

    #[derive(Default)]
    struct Thing {
        dead: AtomicBool,
        awaited: bool,
        followed: AtomicBool,
    }

    impl Held for Thing {
        const PAUSES: bool = true;
        fn alive(&self) -> bool {
            !self.dead.load(Ordering::Relaxed)
        }
        fn awaited(&self) -> bool {
            self.awaited
        }
        fn followed(&self) -> bool {
            self.followed.load(Ordering::Relaxed)
        }
        fn retire(&self) {}
        fn kill(&self) {
            self.dead.store(true, Ordering::Relaxed);
        }
        fn failed(&self, _: u64) -> bool {
            true
        }
    }

    fn slots(most: usize) -> (Slots<Thing>, Arc<FixedClock>) {
        let clock = Arc::new(FixedClock::at(Timestamp(1_000)));
        (Slots::new(most, Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(SeededDice::new(1))), clock)
    }

    fn key(n: u8) -> Key {
        Key { principal: Some(PrincipalKey(Digest([n; 32]))), lane: None }
    }

    async fn open(slots: &Slots<Thing>, slot: &Slot<Thing>) -> Arc<Thing> {
        slots.hold(slot, async || Ok(Thing::default())).await.unwrap()
    }

    #[test]
    fn calls_at_the_same_moment_get_lanes_of_their_own() {
        for _ in 0..200 {
            let (slots, _) = slots(16);
            let key = Key { lane: Some(Digest([1; 32])), ..key(1) };
            let start = std::sync::Barrier::new(4);
            let held: Vec<_> = std::thread::scope(|scope| {
                let take = || {
                    start.wait();
                    slots.free_place(key).unwrap()
                };
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let lanes: std::collections::HashSet<_> = held.iter().map(|slot| slot.key).collect();
            assert_eq!(lanes.len(), 4);
        }
    }

    #[tokio::test]
    async fn two_principals_never_share() {
        let (slots, _) = slots(4);
        let (a, b) = (slots.place(key(1)).unwrap(), slots.place(key(2)).unwrap());
        let (one, two) = (open(&slots, &a).await, open(&slots, &b).await);
        assert!(!Arc::ptr_eq(&one, &two));
        assert!(Arc::ptr_eq(&one, &open(&slots, &slots.place(key(1)).unwrap()).await));
    }

    #[tokio::test]
    async fn the_longest_idle_place_is_given_away_and_a_used_one_never() {
        let (slots, clock) = slots(2);
        drop(slots.place(key(1)).unwrap());
        clock.advance(Duration::from_secs(1));
        let busy = slots.place(key(2)).unwrap();
        let third = slots.place(key(3)).unwrap();
        assert_eq!(slots.len(), 2);
        assert_eq!(slots.place(key(1)).err().unwrap().kind, model::ErrorKind::TooMuch);
        drop((busy, third));
        clock.advance(Duration::from_secs(60));
        slots.reap(Duration::from_secs(59));
        assert_eq!(slots.len(), 0);
    }

    #[tokio::test]
    async fn what_is_awaited_is_kept_longer_but_not_for_ever() {
        let (slots, clock) = slots(2);
        for awaited in [true, false] {
            let slot = slots.place(key(u8::from(awaited))).unwrap();
            slots.hold(&slot, async || Ok(Thing { awaited, ..Thing::default() })).await.unwrap();
            clock.advance(Duration::from_secs(1));
        }
        // The awaited one is older, and yet the other goes first.
        drop(slots.place(key(7)).unwrap());
        clock.advance(Duration::from_secs(60));
        assert_eq!(slots.reap(Duration::from_secs(59)).len(), 0);
        assert_eq!(slots.len(), 1);
        clock.advance(Duration::from_secs(400));
        assert_eq!(slots.reap(Duration::from_secs(59)).len(), 1);
    }

    #[tokio::test]
    async fn what_is_followed_is_neither_reaped_nor_given_away() {
        let (slots, clock) = slots(1);
        let slot = slots.place(key(1)).unwrap();
        let thing = open(&slots, &slot).await;
        thing.followed.store(true, Ordering::Relaxed);
        drop(slot);
        clock.advance(Duration::from_secs(3600));
        assert_eq!(slots.reap(Duration::from_secs(1)).len(), 0);
        assert!(slots.place(key(2)).is_err());
        thing.followed.store(false, Ordering::Relaxed);
        assert!(slots.place(key(2)).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_crash_loop_is_left_alone_for_longer_and_longer() {
        let (slots, clock) = slots(2);
        let slot = slots.place(key(1)).unwrap();
        let mut refused = 0;
        for _ in 0..8 {
            match slots.hold(&slot, async || Ok(Thing::default())).await {
                Ok(thing) => thing.dead.store(true, Ordering::Relaxed),
                Err(error) => {
                    assert_eq!(error.sent, super::super::fault::Sent::NotSent);
                    refused += 1;
                }
            }
            clock.advance(Duration::from_secs(1));
        }
        assert!(refused >= 3, "{refused}");
        clock.advance(Backoff::LONGEST);
        open(&slots, &slot).await;
    }
}
