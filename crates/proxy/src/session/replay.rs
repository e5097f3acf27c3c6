//! Streams of a session that can be taken up again (MCP 2025-11-25, basic/transports, resumability and redelivery): each
//! event has an id, and what was sent last is kept for a while. A broken connection loses nothing as long as the bounds
//! hold; beyond them the client is told so, and never served a gap.

use bytes::Bytes;
use protocol::sse;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// The streams of one session.
pub(crate) struct Replays {
    budget: Arc<Budget>,
    streams: Mutex<HashMap<u64, Arc<Replay>>>,
    begun: AtomicUsize,
    /// The number of the first event of each.
    first: u64,
}

/// Bytes that all sessions together may keep.
#[derive(Default)]
pub(crate) struct Budget(AtomicUsize);

/// One stream.
pub(crate) struct Replay {
    number: u64,
    budget: Arc<Budget>,
    state: Mutex<State>,
    /// Somebody else hears it from now on, or nobody.
    replaced: Notify,
}

#[derive(Default)]
struct State {
    /// What was sent last, with the number of the first.
    kept: VecDeque<Bytes>,
    first: u64,
    bytes: usize,
    /// Who hears it now.
    hearer: Option<mpsc::Sender<Bytes>>,
    /// Nothing follows.
    over: bool,
}

/// Where a client was: the stream, and the last event that reached it (`Last-Event-ID`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) stream: u64,
    event: u64,
}

impl Place {
    /// Reads an event id of ours.
    pub(crate) fn parse(id: &str) -> Option<Self> {
        let (stream, event) = id.split_once('-')?;
        Some(Self { stream: stream.parse().ok()?, event: event.parse().ok()? })
    }
}

impl Replays {
    /// Events are numbered from `first`: higher than any that this session has heard of, also from a table that was lost.
    pub(crate) fn new(budget: Arc<Budget>, first: u64) -> Self {
        Self { budget, streams: Mutex::default(), begun: AtomicUsize::new(0), first }
    }

    /// A stream for the answer of one call. `primed`: the client takes an event without data, so that it can come back
    /// even if nothing else has reached it.
    pub(crate) fn begin(self: &Arc<Self>, primed: bool) -> (Arc<Replay>, mpsc::Receiver<Bytes>) {
        let number = self.begun.fetch_add(1, Ordering::Relaxed) as u64 + 1;
        let replay = Arc::new(Replay::new(number, self.first, Arc::clone(&self.budget)));
        let mut streams = self.lock();
        if streams.len() >= STREAMS {
            let over = streams.values().filter(|stream| stream.is_over()).map(|stream| stream.number).min();
            let oldest = over.or_else(|| streams.keys().min().copied());
            oldest.and_then(|oldest| streams.remove(&oldest));
        }
        streams.insert(number, Arc::clone(&replay));
        drop(streams);
        let hearing = replay.hear();
        if primed {
            replay.push(b"");
        }
        (replay, hearing)
    }

    /// The stream of a place, if it is still kept.
    pub(crate) fn find(&self, place: Place) -> Option<Arc<Replay>> {
        self.lock().get(&place.stream).cloned()
    }

    /// The stream has ended: it is kept for a while.
    pub(crate) fn end(self: &Arc<Self>, replay: &Replay) {
        replay.end();
        let (replays, number) = (Arc::downgrade(self), replay.number);
        tokio::spawn(async move {
            tokio::time::sleep(KEPT_FOR).await;
            if let Some(replays) = replays.upgrade() {
                replays.lock().remove(&number);
            }
        });
    }

    pub(super) fn close(&self) {
        for (_, stream) in self.lock().drain() {
            stream.end();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Replay>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Replay {
    pub(super) fn new(number: u64, first: u64, budget: Arc<Budget>) -> Self {
        let state = Mutex::new(State { first, ..State::default() });
        Self { number, budget, state, replaced: Notify::new() }
    }

    /// Hears the stream from now on; an earlier hearer ends.
    pub(crate) fn hear(&self) -> mpsc::Receiver<Bytes> {
        let (hearer, hears) = mpsc::channel(WAITING);
        self.hand_to(&mut self.lock(), hearer);
        hears
    }

    fn hand_to(&self, state: &mut State, hearer: mpsc::Sender<Bytes>) {
        state.hearer = (!state.over).then_some(hearer);
        self.replaced.notify_waiters();
    }

    /// Hears the stream from the event after `place`; an earlier hearer ends. Nothing, if there would be a gap.
    pub(crate) fn resume(&self, place: Place) -> Option<mpsc::Receiver<Bytes>> {
        let mut state = self.lock();
        // Of what is kept, so much has reached the client.
        let known = usize::try_from(place.event.checked_add(1)?.checked_sub(state.first)?).ok()?;
        let missed = state.kept.len().checked_sub(known)?;
        let (hearer, hears) = mpsc::channel(missed + WAITING);
        for event in state.kept.iter().skip(known) {
            drop(hearer.try_send(event.clone()));
        }
        self.hand_to(&mut state, hearer);
        Some(hears)
    }

    /// Sends one message; waits while the hearer is slow. Without a hearer it is kept for one that comes back.
    pub(crate) async fn send(&self, message: &[u8]) {
        let replaced = self.replaced.notified();
        if let (Some(event), Some(hearer)) = self.push_to(message) {
            tokio::select! {
                sent = hearer.send(event) => if sent.is_err() {
                    self.deaf(&hearer);
                },
                // Whoever hears it now has the event among those that were kept.
                () = replaced => {}
            }
        }
    }

    /// Sends one message, if there is room. Says whether somebody hears it.
    pub(crate) fn push(&self, message: &[u8]) -> bool {
        match self.push_to(message) {
            (None, hearer) => hearer.is_some(),
            (Some(_), _) => false,
        }
    }

    /// Says that the stream is alive.
    pub(crate) fn keep_alive(&self) {
        let hearer = self.lock().hearer.clone();
        drop(hearer.map(|hearer| hearer.try_send(Bytes::from_static(sse::KEEP_ALIVE))));
    }

    /// Keeps the event and hands it over, in the order of events; gives it back when the hearer has no room.
    fn push_to(&self, message: &[u8]) -> (Option<Bytes>, Option<mpsc::Sender<Bytes>>) {
        let mut state = self.lock();
        let number = state.first + state.kept.len() as u64;
        let event = sse::event(message, Some(&format!("{}-{number}", self.number)));
        self.keep(&mut state, event.clone());
        let Some(hearer) = state.hearer.clone() else { return (None, None) };
        match hearer.try_send(event) {
            Ok(()) => (None, Some(hearer)),
            Err(mpsc::error::TrySendError::Full(event)) => (Some(event), Some(hearer)),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                state.hearer = None;
                (None, None)
            }
        }
    }

    /// What goes over a bound is forgotten, the oldest first, and numbered all the same.
    fn keep(&self, state: &mut State, event: Bytes) {
        state.bytes += event.len();
        self.budget.0.fetch_add(event.len(), Ordering::Relaxed);
        state.kept.push_back(event);
        while state.kept.len() > EVENTS
            || state.bytes > BYTES
            || (self.budget.0.load(Ordering::Relaxed) > ALL_BYTES && !state.kept.is_empty())
        {
            let Some(oldest) = state.kept.pop_front() else { return };
            state.first += 1;
            state.bytes -= oldest.len();
            self.budget.0.fetch_sub(oldest.len(), Ordering::Relaxed);
        }
    }

    /// Whoever hears it has taken nothing for too long.
    pub(crate) fn let_go(&self) {
        self.lock().hearer = None;
    }

    fn deaf(&self, hearer: &mpsc::Sender<Bytes>) {
        let mut state = self.lock();
        if state.hearer.as_ref().is_some_and(|current| current.same_channel(hearer)) {
            state.hearer = None;
        }
    }

    /// Whether somebody hears it.
    pub(crate) fn is_heard(&self) -> bool {
        self.lock().hearer.as_ref().is_some_and(|hearer| !hearer.is_closed())
    }

    fn is_over(&self) -> bool {
        self.lock().over
    }

    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.over = true;
        state.hearer = None;
        self.replaced.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        let bytes = self.state.get_mut().unwrap_or_else(PoisonError::into_inner).bytes;
        self.budget.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
impl Budget {
    pub(crate) fn used(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Events that may wait for a slow hearer.
const WAITING: usize = 64;
/// Streams of one session that are kept.
const STREAMS: usize = 16;
/// Events of one stream that are kept.
const EVENTS: usize = 64;
/// Bytes of one stream that are kept.
const BYTES: usize = 1 << 20;
/// Bytes of all streams of all sessions that are kept.
const ALL_BYTES: usize = 64 << 20;
/// How long a stream that has ended is kept.
const KEPT_FOR: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn replays() -> (Arc<Replays>, Arc<Budget>) {
        let budget = Arc::new(Budget::default());
        (Arc::new(Replays::new(Arc::clone(&budget), 1)), budget)
    }

    fn heard(hears: &mut mpsc::Receiver<Bytes>) -> Vec<String> {
        let mut all = Vec::new();
        while let Ok(event) = hears.try_recv() {
            all.push(String::from_utf8(event.to_vec()).unwrap());
        }
        all
    }

    fn at(stream: u64, event: u64) -> Place {
        Place { stream, event }
    }

    #[tokio::test]
    async fn what_was_missed_is_heard_once_and_in_order() {
        let (replays, _) = replays();
        let (replay, mut first) = replays.begin(true);
        for message in ["a", "b", "c"] {
            replay.send(message.as_bytes()).await;
        }
        assert_eq!(heard(&mut first)[..2], ["id: 1-1\ndata: \n\n", "id: 1-2\ndata: a\n\n"]);
        drop(first);
        replay.send(b"d").await;
        let mut again = replays.find(at(1, 2)).unwrap().resume(at(1, 2)).unwrap();
        replay.send(b"e").await;
        replays.end(&replay);
        let texts = heard(&mut again);
        let ids: Vec<_> = texts.iter().map(|text| text.split_whitespace().nth(1).unwrap()).collect();
        assert_eq!(ids, ["1-3", "1-4", "1-5", "1-6"]);
        assert!(again.recv().await.is_none());
        // Also after its end, and even with nothing left to hear.
        assert_eq!(heard(&mut replay.resume(at(1, 5)).unwrap()).len(), 1);
        assert!(replay.resume(at(1, 6)).unwrap().recv().await.is_none());
        assert!(replay.resume(at(1, 7)).is_none() && replay.resume(at(1, u64::MAX)).is_none());
    }

    #[tokio::test]
    async fn a_hearer_that_does_not_read_holds_nobody_up_who_takes_its_place() {
        let (replays, _) = replays();
        let (replay, _stuck) = replays.begin(false);
        for _ in 0..WAITING {
            replay.push(b"x");
        }
        let waits = Arc::clone(&replay);
        let sending = tokio::spawn(async move { waits.send(b"last").await });
        while replay.lock().kept.back().is_none_or(|event| !event.ends_with(b"data: last\n\n")) {
            tokio::task::yield_now().await;
        }
        let mut again = replay.resume(at(1, WAITING as u64)).unwrap();
        tokio::time::timeout(Duration::from_secs(5), sending).await.expect("it is held up").unwrap();
        assert_eq!(heard(&mut again), [format!("id: 1-{}\ndata: last\n\n", WAITING + 1)]);
    }

    #[test]
    fn what_is_over_is_heard_by_nobody() {
        let replay = Replay::new(1, 1, Arc::default());
        replay.end();
        assert!(replay.hear().is_closed() && !replay.is_heard());
    }

    #[tokio::test]
    async fn a_gap_is_never_served() {
        let (replays, budget) = replays();
        let (replay, _hears) = replays.begin(false);
        for _ in 0..EVENTS + 2 {
            replay.push(b"x");
        }
        assert!(replay.resume(at(1, 1)).is_none());
        assert_eq!(heard(&mut replay.resume(at(1, 2)).unwrap()).len(), EVENTS);
        replay.push(&vec![b'x'; BYTES]);
        assert_eq!(budget.used(), 0);
        assert!(replay.resume(at(1, 66)).is_none());
        assert!(replay.resume(at(1, 67)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn all_sessions_together_keep_no_more_than_the_budget_and_nothing_for_ever() {
        let budget = Arc::new(Budget::default());
        let sessions: Vec<_> = (0..10).map(|_| Arc::new(Replays::new(Arc::clone(&budget), 1))).collect();
        for replays in &sessions {
            for _ in 0..STREAMS + 4 {
                let (replay, _) = replays.begin(true);
                for _ in 0..4 {
                    replay.push(&vec![b'x'; BYTES / 4 - 64]);
                }
                replays.end(&replay);
            }
            assert!(budget.used() <= ALL_BYTES);
            assert!(replays.lock().len() <= STREAMS);
        }
        tokio::time::sleep(KEPT_FOR * 2).await;
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn places_are_read_strictly() {
        assert_eq!(Place::parse("3-17"), Some(at(3, 17)));
        for other in ["", "-", "3", "3-", "-3", "3-17-1", "a-1", "3-99999999999999999999"] {
            assert_eq!(Place::parse(other), None, "{other}");
        }
    }
}
