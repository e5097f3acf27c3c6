//! The writer: leaves go into one queue under one short lock; a thread writes what has gathered, another syncs
//! it, a third watches both and mends what failed.
//!
//! Durability: [`Ticket::written`] resolves when write(2) has taken the leaf, so it survives the process;
//! [`Ticket::durable`] when fdatasync(2) has covered it, so it survives the machine as far as the disk is
//! honest. Order: sequence numbers are given out in the order of the appends and written in that order.
//! Concurrency: every method may be called from any thread; none waits for the disk, save [`Writer::close`].

mod keeper;
mod lane;
mod queue;
mod ticket;

use crate::disk::{self, Files, Medium};
use crate::recover::{OpenError, recover};
use ledger::Leaf;
use ledger::segment::NodeId;
use model::{Clock, Dice, ErrorKind, Timestamp};
use queue::Shared;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
pub use ticket::Ticket;

/// Where the record is, and how much may wait for it.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory of the record; made with mode 0700 if it does not exist.
    pub dir: PathBuf,
    /// A segment that has passed this many bytes is followed by a new one.
    pub segment_bytes: u64,
    /// The most leaves that may wait to be written.
    pub queue_records: u64,
    /// The most bytes that may wait to be written. After a failure this much must fit on the disk again.
    pub queue_bytes: usize,
    /// The longest a written leaf may stay unsynced, the time of the sync itself apart.
    pub sync_within: Duration,
    /// A write or a sync that takes longer is a failure.
    pub stall_after: Duration,
    /// How often a failed record is probed.
    pub probe_every: Duration,
}

impl Config {
    /// The defaults, in `dir`.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 32 << 20,
            queue_records: 1 << 14,
            queue_bytes: 4 << 20,
            sync_within: Duration::from_millis(100),
            stall_after: Duration::from_secs(5),
            probe_every: Duration::from_secs(1),
        }
    }
}

/// A leaf is not on record, or it is not known to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// More waits to be written than the queue may hold.
    #[error("the record's queue is full")]
    Full,
    /// The disk failed, and why.
    #[error("the record cannot be written: {0}")]
    Failed(Arc<str>),
    /// The writer was closed.
    #[error("the record is closed")]
    Closed,
}

impl AppendError {
    /// Always [`ErrorKind::Unavailable`]: no record, no call.
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Unavailable
    }
}

/// A handle on the one writer of a record; cheap to clone. When the last one is dropped the writer closes
/// without waiting for it.
#[derive(Clone, Debug)]
pub struct Writer {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.begin_close();
    }
}

impl Writer {
    /// Opens the record: takes its lock, cuts off a torn end, begins a new segment and puts `started` on record.
    /// Blocks for as long as that takes. On a full disk it opens failed, and begins once there is room.
    pub fn open(config: Config, clock: Arc<dyn Clock>, dice: &dyn Dice) -> Result<Self, OpenError> {
        let dir = config.dir.clone();
        let at_dir = |source| OpenError::Io { dir: dir.clone(), source };
        let files = Files::at(&dir).map_err(at_dir)?;
        Self::open_on(Arc::new(files), config, clock, dice)
    }

    fn open_on(
        medium: Arc<dyn Medium>,
        config: Config,
        clock: Arc<dyn Clock>,
        dice: &dyn Dice,
    ) -> Result<Self, OpenError> {
        let dir = config.dir.clone();
        let at_dir = |source| OpenError::Io { dir: dir.clone(), source };
        let lock = disk::lock(&dir).map_err(at_dir)?.ok_or_else(|| OpenError::Locked(dir.clone()))?;
        let end = recover(&dir)?;
        let node = end.node.unwrap_or_else(|| {
            let mut id = [0; 16];
            dice.fill(&mut id);
            NodeId(id)
        });
        let shared = Arc::new(Shared::new(config, clock, node, &end, lock));
        match keeper::begin(&shared, &medium) {
            // A disk that is full already is waited for like one that fills later.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                shared.fail(0, &format!("cannot begin a segment: {error}"), false);
            }
            begun => begun.map_err(at_dir)?,
        }
        keeper::watch(&shared, medium).map_err(at_dir)?;
        Ok(Self { handle: Arc::new(Handle { shared }) })
    }

    /// Queues a leaf made at `time` and gives it the next sequence number. Never blocks. The leaf is written
    /// within 20 ms even if nobody waits for its ticket.
    pub fn append(&self, time: Timestamp, leaf: &Leaf<'_>) -> Result<Ticket, AppendError> {
        let mut encoded = Vec::with_capacity(1024);
        ledger::encode(&mut encoded, time, leaf);
        let (sequence, epoch) = self.handle.shared.push(&encoded)?;
        Ok(Ticket::new(Arc::clone(&self.handle.shared), sequence, epoch))
    }

    /// The state of the record now. Takes the queue's lock for some nanoseconds.
    pub fn health(&self) -> Health {
        self.handle.shared.health()
    }

    /// Puts `stopped` on record, writes and syncs what waits, and gives the lock back. Later appends fail.
    /// Blocks until then or until the disk fails: call it from a thread that may.
    pub fn close(&self) -> Result<(), AppendError> {
        self.handle.shared.begin_close();
        self.handle.shared.wait_closed()
    }
}

/// Can the record be written?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Yes.
    Ready,
    /// No, and why. It is probed, and becomes ready by itself.
    Failed(Arc<str>),
    /// It was closed.
    Closed,
}

/// The state of the record at a moment.
#[derive(Clone, Debug)]
pub struct Health {
    /// Can it be written?
    pub state: State,
    /// Leaves that wait to be written.
    pub queued: u64,
    /// Bytes that wait to be written.
    pub queued_bytes: usize,
    /// The last sequence number written.
    pub written: u64,
    /// The last sequence number synced.
    pub durable: u64,
    /// How long there have been written leaves that are not synced; zero if there are none.
    pub unsynced_for: Duration,
    /// When the last sync succeeded.
    pub synced_at: Timestamp,
    /// Bytes of a torn write that were cut off at the start.
    pub cut_bytes: u64,
    /// How often the record has failed since the start.
    pub failures: u64,
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod ordeals;
#[cfg(test)]
mod tests;
