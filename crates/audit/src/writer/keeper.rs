//! The third thread: notices a write or a sync that hangs, and after any failure tries a new segment until one
//! can be written and synced.

use super::lane;
use super::queue::{Phase, Shared};
use crate::disk::Medium;
use ledger::segment::Header;
use ledger::{Event, Leaf, What};
use std::io;
use std::sync::{Arc, PoisonError};

/// Starts the keeper.
pub(super) fn watch(shared: &Arc<Shared>, medium: Arc<dyn Medium>) -> io::Result<()> {
    let shared = Arc::clone(shared);
    lane::spawn("record-keep", move || keep(&shared, &medium))
}

fn keep(shared: &Arc<Shared>, medium: &Arc<dyn Medium>) {
    let mut watches = [Watch::default(), Watch::default()];
    let mut queue = shared.lock();
    loop {
        let pause = match queue.phase {
            Phase::Open | Phase::Closing => shared.config.stall_after / STALL_TICKS,
            Phase::Failed(_) => shared.config.probe_every,
            Phase::Closed(_) => return,
        };
        let (woken, waited) =
            shared.to_keeper.wait_timeout(queue, pause).unwrap_or_else(PoisonError::into_inner);
        queue = woken;
        if !waited.timed_out() {
            continue;
        }
        match queue.phase {
            Phase::Open | Phase::Closing => {
                let (epoch, turns) = (queue.epoch, [queue.write_turn, queue.sync_turn]);
                let [write, sync] = &mut watches;
                let stalled = [(write, turns[0], "write"), (sync, turns[1], "sync")]
                    .into_iter()
                    .find_map(|(watch, turn, what)| watch.hangs(turn).then_some(what));
                if let Some(what) = stalled {
                    drop(queue);
                    let text = format!("a {what} has hung for {:?}", shared.config.stall_after);
                    // A hung write does not keep the syncer from its one last try.
                    shared.fail(epoch, &text, what == "write");
                    queue = shared.lock();
                }
            }
            Phase::Failed(_) => {
                drop(queue);
                // Readiness says so meanwhile; a probe that fails is no news.
                let _ = begin(shared, medium);
                queue = shared.lock();
            }
            Phase::Closed(_) => return,
        }
    }
}

/// Begins a segment after the last written leaf, proves that it can be written and synced, and opens the queue
/// on it. The keeper's probe, and the writer's start.
pub(super) fn begin(shared: &Arc<Shared>, medium: &Arc<dyn Medium>) -> io::Result<()> {
    let (epoch, first, failure) = {
        let queue = shared.lock();
        (queue.epoch, queue.written + 1, queue.last_failure())
    };
    let header = Header { node: shared.node, first, created: shared.clock.now() };
    let reserve = u64::try_from(shared.config.queue_bytes).unwrap_or(u64::MAX);
    let segment = medium.begin(&header, reserve.min(shared.config.segment_bytes))?;
    segment.sync()?;
    {
        let mut queue = shared.lock();
        if queue.epoch != epoch || !matches!(queue.phase, Phase::Failed(_)) {
            return Ok(());
        }
        // Turns of the ended epoch may have stopped half-way.
        (queue.write_turn, queue.sync_turn) = (0, 0);
        queue.greet();
        if let Some((reason, durable, written)) = failure {
            let mut detail = reason.to_string();
            if durable < written {
                detail.push_str(&format!("; leaves {} to {written} may be lost", durable + 1));
            }
            let event = Event { detail: Some(detail.into()), ..Event::of(What::RecordResumed) };
            let mut encoded = Vec::new();
            ledger::encode(&mut encoded, header.created, &Leaf::Event(event));
            queue.enqueue(&encoded);
        }
        queue.phase = Phase::Open;
    }
    lane::start(shared, medium, epoch, segment)
        .inspect_err(|error| shared.fail(epoch, &format!("cannot start a thread: {error}"), false))
}

/// Counts the ticks that a turn has lasted.
#[derive(Default)]
struct Watch {
    turn: u64,
    ticks: u32,
}

impl Watch {
    /// Whether `turn` is under way, the same since [`STALL_TICKS`] ticks.
    fn hangs(&mut self, turn: u64) -> bool {
        let busy = turn % 2 == 1;
        self.ticks = if busy && turn == self.turn { self.ticks + 1 } else { 0 };
        self.turn = turn;
        self.ticks >= STALL_TICKS
    }
}

const STALL_TICKS: u32 = 4;
