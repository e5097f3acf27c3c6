//! What the threads share: the queue, the watermarks, those who wait, and what has failed.

use super::{AppendError, Config, Health, State};
use crate::disk::Segment;
use crate::recover::End;
use ledger::segment::{self, NodeId};
use ledger::{Event, Leaf, What};
use model::{Clock, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// How far a leaf must have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    Written,
    Durable,
}

/// Shared by the handles, the tickets and the threads.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) node: NodeId,
    /// Copies of [`Queue`]'s watermarks, stored before its epoch's, so that a ticket is settled without the lock.
    written: AtomicU64,
    durable: AtomicU64,
    epoch: AtomicU64,
    queue: Mutex<Queue>,
    pub(super) to_writer: Condvar,
    pub(super) to_syncer: Condvar,
    pub(super) to_keeper: Condvar,
    closed: Condvar,
}

/// Everything behind the one lock. It is held for some hundred nanoseconds and never over a system call other
/// than a wait on its own condition.
pub(super) struct Queue {
    pub(super) phase: Phase,
    pub(super) epoch: u64,
    /// Frames that wait to be written.
    pub(super) buffer: Vec<u8>,
    /// Bytes taken from `buffer` and not yet written.
    pub(super) taken: usize,
    /// The number the next leaf gets.
    pub(super) next: u64,
    pub(super) written: u64,
    pub(super) durable: u64,
    /// The highest number that somebody waits for.
    pub(super) wanted: u64,
    write_waiters: BTreeMap<u64, Waker>,
    sync_waiters: BTreeMap<u64, Waker>,
    pub(super) writer: Rest,
    pub(super) syncer: Rest,
    /// In closing: all is written.
    pub(super) writer_done: bool,
    /// Segments with bytes that are not synced, the current one last.
    pub(super) unsynced: Vec<Arc<dyn Segment>>,
    unsynced_since: Option<u64>,
    synced_at: Timestamp,
    /// Counted up when a write begins and when it ends: odd while it is under way. Likewise for syncs.
    pub(super) write_turn: u64,
    pub(super) sync_turn: u64,
    failures: VecDeque<Failure>,
    failed: u64,
    /// Leaves about the start, put on record when it first opens.
    greeting: Vec<Vec<u8>>,
    /// What a failed epoch left unsynced, for one last try by its own syncer.
    pub(super) left: Vec<Arc<dyn Segment>>,
    cut_bytes: u64,
    lock: Option<File>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    Failed(Arc<str>),
    Closing,
    /// With the reason if not all could be written.
    Closed(Option<Arc<str>>),
}

/// Whether a thread must be woken for what just happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// It runs, or is about to.
    Awake,
    /// It will look by itself within its interval.
    Dozing,
    /// It sleeps until it is woken.
    Asleep,
}

/// Where an epoch ended.
struct Failure {
    epoch: u64,
    written: u64,
    durable: u64,
    reason: Arc<str>,
}

impl Shared {
    pub(super) fn new(config: Config, clock: Arc<dyn Clock>, node: NodeId, end: &End, lock: File) -> Self {
        let note = |what: What, detail: String| {
            let event = Event { detail: Some(detail.into()), ..Event::of(what) };
            let mut encoded = Vec::new();
            ledger::encode(&mut encoded, clock.now(), &Leaf::Event(event));
            encoded
        };
        let cut = (end.cut_bytes > 0).then(|| {
            note(What::TailCut, format!("{} bytes of an unfinished write were cut off", end.cut_bytes))
        });
        let started = note(What::Started, format!("node {node}, after leaf {}", end.last));
        let queue = Queue {
            phase: Phase::Failed("not begun".into()),
            epoch: 0,
            buffer: Vec::new(),
            taken: 0,
            next: end.last.saturating_add(1),
            written: end.last,
            durable: end.last,
            wanted: end.last,
            write_waiters: BTreeMap::new(),
            sync_waiters: BTreeMap::new(),
            writer: Rest::Awake,
            syncer: Rest::Awake,
            writer_done: false,
            unsynced: Vec::new(),
            unsynced_since: None,
            synced_at: clock.now(),
            write_turn: 0,
            sync_turn: 0,
            failures: VecDeque::new(),
            failed: 0,
            greeting: cut.into_iter().chain([started]).collect(),
            left: Vec::new(),
            cut_bytes: end.cut_bytes,
            lock: Some(lock),
        };
        Self {
            config,
            clock,
            node,
            written: AtomicU64::new(end.last),
            durable: AtomicU64::new(end.last),
            epoch: AtomicU64::new(0),
            queue: Mutex::new(queue),
            to_writer: Condvar::new(),
            to_syncer: Condvar::new(),
            to_keeper: Condvar::new(),
            closed: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing under the lock panics; were it so, the queue would still be whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an encoded leaf: its number and epoch.
    pub(super) fn push(&self, encoded: &[u8]) -> Result<(u64, u64), AppendError> {
        let mut queue = self.lock();
        match &queue.phase {
            Phase::Open => {}
            Phase::Failed(reason) => return Err(AppendError::Failed(Arc::clone(reason))),
            Phase::Closing | Phase::Closed(_) => return Err(AppendError::Closed),
        }
        let waiting = queue.next - 1 - queue.written;
        let bytes = queue.buffer.len() + queue.taken + encoded.len();
        if waiting >= self.config.queue_records || bytes > self.config.queue_bytes {
            return Err(AppendError::Full);
        }
        let given = (queue.enqueue(encoded), queue.epoch);
        let wake = match queue.writer {
            Rest::Awake => false,
            Rest::Dozing => queue.buffer.len() >= FLUSH_BYTES,
            Rest::Asleep => true,
        };
        self.rouse_writer(queue, wake);
        Ok(given)
    }

    fn rouse_writer(&self, mut queue: MutexGuard<'_, Queue>, wake: bool) {
        if wake {
            queue.writer = Rest::Awake;
            drop(queue);
            self.to_writer.notify_one();
        }
    }

    /// Whether the leaf has come that far. Takes no lock.
    pub(super) fn is_settled(&self, sequence: u64, epoch: u64, depth: Depth) -> bool {
        let mark = match depth {
            Depth::Written => &self.written,
            Depth::Durable => &self.durable,
        };
        // INVARIANT: the mark is read before the epoch. A number given out again passes the mark only after the
        // epoch has moved on, so an old ticket never takes the new leaf for its own.
        mark.load(Ordering::Acquire) >= sequence && self.epoch.load(Ordering::Acquire) == epoch
    }

    /// Settles a ticket or registers its waker.
    pub(super) fn poll(
        &self,
        sequence: u64,
        epoch: u64,
        depth: Depth,
        waker: &Waker,
    ) -> Poll<Result<(), AppendError>> {
        let mut queue = self.lock();
        if queue.epoch != epoch {
            return Poll::Ready(queue.verdict(sequence, epoch, depth));
        }
        if let Phase::Closed(reason) = &queue.phase
            && queue.mark(depth) < sequence
        {
            return Poll::Ready(Err(reason.clone().map_or(AppendError::Closed, AppendError::Failed)));
        }
        if queue.mark(depth) >= sequence {
            return Poll::Ready(Ok(()));
        }
        queue.waiters(depth).insert(sequence, waker.clone());
        queue.wanted = queue.wanted.max(sequence);
        if queue.written >= sequence {
            // Only the sync is missing.
            let wake = queue.syncer != Rest::Awake;
            if wake {
                queue.syncer = Rest::Awake;
                drop(queue);
                self.to_syncer.notify_one();
            }
        } else {
            let wake = queue.writer != Rest::Awake;
            self.rouse_writer(queue, wake);
        }
        Poll::Pending
    }

    /// A wait was given up.
    pub(super) fn forget(&self, sequence: u64, epoch: u64, depth: Depth) {
        let mut queue = self.lock();
        if queue.epoch == epoch {
            queue.waiters(depth).remove(&sequence);
        }
    }

    /// All up to `last` is written to `segment`. `false` if the epoch has ended meanwhile.
    pub(super) fn publish_written(
        &self,
        epoch: u64,
        last: u64,
        segment: &Arc<dyn Segment>,
        wakers: &mut Vec<Waker>,
    ) -> bool {
        let now = self.clock.ticks();
        let mut queue = self.lock();
        if queue.epoch != epoch {
            return false;
        }
        queue.write_turn += 1;
        queue.taken = 0;
        queue.written = last;
        self.written.store(last, Ordering::Release);
        if !queue.unsynced.last().is_some_and(|current| Arc::ptr_eq(current, segment)) {
            queue.unsynced.push(Arc::clone(segment));
        }
        let first = queue.unsynced_since.is_none();
        queue.unsynced_since.get_or_insert(now);
        take(&mut queue.write_waiters, last, wakers);
        let wake = queue.syncer != Rest::Awake && (first || queue.sync_wanted());
        if wake {
            queue.syncer = Rest::Awake;
        }
        drop(queue);
        if wake {
            self.to_syncer.notify_one();
        }
        true
    }

    /// All up to `target` is synced, which were the first `count` of the unsynced segments.
    pub(super) fn publish_durable(
        &self,
        epoch: u64,
        target: u64,
        count: usize,
        wakers: &mut Vec<Waker>,
    ) -> bool {
        let (now, ticks) = (self.clock.now(), self.clock.ticks());
        let mut queue = self.lock();
        if queue.epoch != epoch {
            return false;
        }
        queue.sync_turn += 1;
        queue.durable = target;
        self.durable.store(target, Ordering::Release);
        // The last of them may have been written to since.
        let done = if queue.written > target { count.saturating_sub(1) } else { count };
        let done = done.min(queue.unsynced.len());
        queue.unsynced.drain(..done);
        queue.unsynced_since = (!queue.unsynced.is_empty()).then_some(ticks);
        queue.synced_at = now;
        take(&mut queue.sync_waiters, target, wakers);
        true
    }

    /// Ends the epoch: all that is not written is gone, all who wait learn why. `salvage`: the syncer still
    /// works and may try once to sync what was written; never after a sync has failed, since the kernel then
    /// forgets what it could not write and a second sync would lie.
    pub(super) fn fail(&self, epoch: u64, reason: &str, salvage: bool) {
        let mut wakers = Vec::new();
        let mut queue = self.lock();
        if queue.epoch != epoch {
            return;
        }
        let reason: Arc<str> = reason.into();
        let (written, durable) = (queue.written, queue.durable);
        if queue.failures.len() == FAILURES_KEPT {
            queue.failures.pop_front();
        }
        queue.failures.push_back(Failure { epoch, written, durable, reason: Arc::clone(&reason) });
        queue.failed += 1;
        queue.epoch += 1;
        self.epoch.store(queue.epoch, Ordering::Release);
        queue.buffer = Vec::new();
        (queue.taken, queue.next, queue.wanted) = (0, written + 1, written);
        (queue.writer, queue.syncer) = (Rest::Awake, Rest::Awake);
        queue.left = std::mem::take(&mut queue.unsynced);
        if !salvage {
            queue.left.clear();
        }
        queue.unsynced_since = None;
        take(&mut queue.write_waiters, u64::MAX, &mut wakers);
        take(&mut queue.sync_waiters, u64::MAX, &mut wakers);
        match queue.phase {
            Phase::Closing => queue.shut(Some(reason)),
            _ => queue.phase = Phase::Failed(reason),
        }
        drop(queue);
        for condition in [&self.to_writer, &self.to_syncer, &self.to_keeper, &self.closed] {
            condition.notify_all();
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(super) fn begin_close(&self) {
        let event = Leaf::Event(Event::of(What::Stopped));
        let mut encoded = Vec::new();
        ledger::encode(&mut encoded, self.clock.now(), &event);
        let mut queue = self.lock();
        match &queue.phase {
            Phase::Open => {
                queue.enqueue(&encoded);
                queue.phase = Phase::Closing;
                (queue.writer, queue.syncer) = (Rest::Awake, Rest::Awake);
            }
            Phase::Failed(reason) => {
                let reason = Arc::clone(reason);
                queue.shut(Some(reason));
            }
            Phase::Closing | Phase::Closed(_) => {}
        }
        drop(queue);
        for condition in [&self.to_writer, &self.to_syncer, &self.to_keeper, &self.closed] {
            condition.notify_all();
        }
    }

    pub(super) fn wait_closed(&self) -> Result<(), AppendError> {
        let mut queue = self.lock();
        loop {
            match &queue.phase {
                Phase::Closed(None) => return Ok(()),
                Phase::Closed(Some(reason)) => return Err(AppendError::Failed(Arc::clone(reason))),
                _ => queue = self.closed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// All is written and synced.
    pub(super) fn finish_close(&self, mut queue: MutexGuard<'_, Queue>) {
        queue.shut(None);
        drop(queue);
        self.to_keeper.notify_all();
        self.closed.notify_all();
    }

    pub(super) fn health(&self) -> Health {
        let now = self.clock.ticks();
        let queue = self.lock();
        let unsynced = queue.unsynced_since.map_or(0, |since| now.saturating_sub(since));
        Health {
            state: match &queue.phase {
                Phase::Open => State::Ready,
                Phase::Failed(reason) => State::Failed(Arc::clone(reason)),
                Phase::Closing | Phase::Closed(_) => State::Closed,
            },
            queued: queue.next - 1 - queue.written,
            queued_bytes: queue.buffer.len() + queue.taken,
            written: queue.written,
            durable: queue.durable,
            unsynced_for: Duration::from_nanos(unsynced),
            synced_at: queue.synced_at,
            cut_bytes: queue.cut_bytes,
            failures: queue.failed,
        }
    }
}

impl Queue {
    pub(super) fn enqueue(&mut self, encoded: &[u8]) -> u64 {
        let sequence = self.next;
        segment::push(&mut self.buffer, sequence, encoded);
        self.next += 1;
        sequence
    }

    /// Queues what is to be said once, when the record first opens.
    pub(super) fn greet(&mut self) {
        for leaf in std::mem::take(&mut self.greeting) {
            self.enqueue(&leaf);
        }
    }

    /// Somebody waits for a leaf that is not written.
    pub(super) fn write_wanted(&self) -> bool {
        self.wanted > self.written
    }

    /// Somebody waits for a leaf that is written and not synced.
    pub(super) fn sync_wanted(&self) -> bool {
        self.sync_waiters.first_key_value().is_some_and(|(sequence, _)| *sequence <= self.written)
    }

    fn mark(&self, depth: Depth) -> u64 {
        match depth {
            Depth::Written => self.written,
            Depth::Durable => self.durable,
        }
    }

    fn waiters(&mut self, depth: Depth) -> &mut BTreeMap<u64, Waker> {
        match depth {
            Depth::Written => &mut self.write_waiters,
            Depth::Durable => &mut self.sync_waiters,
        }
    }

    /// What became of a ticket of an epoch that has ended.
    fn verdict(&self, sequence: u64, epoch: u64, depth: Depth) -> Result<(), AppendError> {
        let failure = self.failures.iter().find(|failure| failure.epoch == epoch);
        let Some(failure) = failure else { return Err(AppendError::Failed("the disk failed".into())) };
        let mark = match depth {
            Depth::Written => failure.written,
            Depth::Durable => failure.durable,
        };
        if sequence <= mark { Ok(()) } else { Err(AppendError::Failed(Arc::clone(&failure.reason))) }
    }

    /// The last failure: its reason, and the leaves that were written and perhaps never synced.
    pub(super) fn last_failure(&self) -> Option<(Arc<str>, u64, u64)> {
        self.failures.back().map(|failure| (Arc::clone(&failure.reason), failure.durable, failure.written))
    }

    /// How many wait for a write and for a sync.
    #[cfg(test)]
    pub(super) fn waits(&self) -> (usize, usize) {
        (self.write_waiters.len(), self.sync_waiters.len())
    }

    fn shut(&mut self, reason: Option<Arc<str>>) {
        self.phase = Phase::Closed(reason);
        self.lock = None;
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Moves the wakers of all up to `mark` to `wakers`.
fn take(waiters: &mut BTreeMap<u64, Waker>, mark: u64, wakers: &mut Vec<Waker>) {
    while let Some(entry) = waiters.first_entry() {
        if *entry.key() > mark {
            return;
        }
        wakers.push(entry.remove());
    }
}

/// A dozing writer is woken for this many bytes though nobody waits for them.
pub(super) const FLUSH_BYTES: usize = 256 << 10;
/// Tickets older than this many failures are told that theirs failed.
const FAILURES_KEPT: usize = 64;
