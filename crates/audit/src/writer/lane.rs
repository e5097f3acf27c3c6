//! One epoch's two threads: `write` takes what has gathered and writes it, `sync` makes it durable. Both end
//! with their epoch, even if they come back late from a disk that hung.

use super::queue::{FLUSH_BYTES, Phase, Queue, Rest, Shared};
use crate::disk::{Medium, Segment};
use ledger::segment::{HEADER_BYTES, Header};
use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread::{self, Builder};
use std::time::Duration;

/// Starts both threads of `epoch`, which writes to `segment`, fresh but for its header.
pub(super) fn start(
    shared: &Arc<Shared>,
    medium: &Arc<dyn Medium>,
    epoch: u64,
    segment: Arc<dyn Segment>,
) -> io::Result<()> {
    let (for_write, for_sync) = (Arc::clone(shared), Arc::clone(shared));
    let medium = Arc::clone(medium);
    spawn("record-sync", move || sync(&for_sync, epoch))?;
    spawn("record-write", move || write(&for_write, &*medium, epoch, segment))
}

pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    Builder::new()
        .name(name.to_owned())
        .stack_size(STACK_BYTES)
        .spawn(work)
        .map(drop::<thread::JoinHandle<()>>)
}

fn write(shared: &Shared, medium: &dyn Medium, epoch: u64, mut segment: Arc<dyn Segment>) {
    let mut batch = Vec::new();
    let mut wakers = Vec::new();
    let mut bytes = SEGMENT_BEGIN;
    while let Some((first, last)) = next_batch(shared, epoch, &mut batch) {
        if bytes >= shared.config.segment_bytes {
            let header = Header { node: shared.node, first, created: shared.clock.now() };
            match medium.begin(&header, 0) {
                Ok(begun) => (segment, bytes) = (begun, SEGMENT_BEGIN),
                Err(error) => return shared.fail(epoch, &format!("cannot begin a segment: {error}"), true),
            }
        }
        if let Err(error) = segment.append(&batch) {
            // Should this fail too, readers still stop where the next segment begins.
            let _ = segment.cut(bytes);
            return shared.fail(epoch, &format!("cannot write: {error}"), true);
        }
        if !shared.publish_written(epoch, last, &segment, &mut wakers) {
            // The write came back after the keeper gave it up and its callers were refused.
            let _ = segment.cut(bytes);
            return;
        }
        bytes += u64::try_from(batch.len()).unwrap_or(u64::MAX);
        wakers.drain(..).for_each(Waker::wake);
    }
}

/// Waits until there is something to write and a reason to, and swaps it into `batch`: its first and last
/// sequence number.
fn next_batch(shared: &Shared, epoch: u64, batch: &mut Vec<u8>) -> Option<(u64, u64)> {
    batch.clear();
    if batch.capacity() > KEPT_BYTES {
        *batch = Vec::new();
    }
    let (mut due, mut quiet) = (false, 0);
    let mut queue = shared.lock();
    loop {
        if queue.epoch != epoch {
            return None;
        }
        let closing = queue.phase == Phase::Closing;
        if queue.buffer.is_empty() && closing {
            queue.writer_done = true;
            drop(queue);
            shared.to_syncer.notify_one();
            return None;
        }
        let hurry = due || closing || queue.write_wanted() || queue.buffer.len() >= FLUSH_BYTES;
        if !queue.buffer.is_empty() && hurry {
            break;
        }
        if queue.buffer.is_empty() && quiet >= QUIET_DOZES {
            queue.writer = Rest::Asleep;
            queue = shared.to_writer.wait(queue).unwrap_or_else(PoisonError::into_inner);
            quiet = 0;
        } else {
            queue.writer = Rest::Dozing;
            let (woken, waited) =
                shared.to_writer.wait_timeout(queue, WRITE_WITHIN).unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            due = waited.timed_out();
            quiet += u32::from(due && queue.buffer.is_empty());
        }
        queue.writer = Rest::Awake;
    }
    std::mem::swap(&mut queue.buffer, batch);
    queue.taken = batch.len();
    queue.write_turn += 1;
    Some((queue.written + 1, queue.next - 1))
}

fn sync(shared: &Shared, epoch: u64) {
    let mut wakers = Vec::new();
    while let Some((target, segments)) = next_sync(shared, epoch) {
        if let Err(error) = segments.iter().try_for_each(|segment| segment.sync()) {
            return shared.fail(epoch, &format!("cannot sync: {error}"), false);
        }
        if !shared.publish_durable(epoch, target, segments.len(), &mut wakers) {
            return salvage(shared.lock());
        }
        wakers.drain(..).for_each(Waker::wake);
    }
}

/// Waits until there is something to sync and a reason to: up to which leaf, and where it is.
fn next_sync(shared: &Shared, epoch: u64) -> Option<(u64, Vec<Arc<dyn Segment>>)> {
    let mut due = false;
    let mut queue = shared.lock();
    loop {
        if queue.epoch != epoch {
            salvage(queue);
            return None;
        }
        let behind = !queue.unsynced.is_empty();
        if behind && (due || queue.writer_done || queue.sync_wanted()) {
            queue.sync_turn += 1;
            return Some((queue.written, queue.unsynced.clone()));
        }
        if queue.writer_done {
            shared.finish_close(queue);
            return None;
        }
        if behind {
            queue.syncer = Rest::Dozing;
            let (woken, waited) = shared
                .to_syncer
                .wait_timeout(queue, shared.config.sync_within / 2)
                .unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            due = waited.timed_out();
        } else {
            queue.syncer = Rest::Asleep;
            queue = shared.to_syncer.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.syncer = Rest::Awake;
    }
}

/// Leaves that were written before their epoch failed were acknowledged as written. Syncing them is worth a
/// try; nobody is told how it went.
fn salvage(mut queue: MutexGuard<'_, Queue>) {
    let left = std::mem::take(&mut queue.left);
    drop(queue);
    let _ = left.iter().try_for_each(|segment| segment.sync());
}

/// A leaf that nobody waits for is written within this.
const WRITE_WITHIN: Duration = Duration::from_millis(20);
/// After this many dozes without work the writer sleeps until it is woken.
const QUIET_DOZES: u32 = 25;
/// A batch buffer that has grown past this is given back.
const KEPT_BYTES: usize = 256 << 10;
const SEGMENT_BEGIN: u64 = HEADER_BYTES as u64;
const STACK_BYTES: usize = 256 << 10;
