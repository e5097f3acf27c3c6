//! What this replica knows of the table, and how old that knowledge is.

use super::marks::Facts;
use super::read::Reader;
use super::table::Table;
use super::{CHANNEL, Listed, prune};
use model::{Clock, Timestamp};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use storage::{Db, Notices, StorageError};
use tokio::sync::{Mutex, Notify, watch};

/// How old the view may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ages {
    /// Older than this it refuses whatever is no plain read.
    pub writes: Duration,
    /// Older than this it refuses everything.
    pub reads: Duration,
}

impl Default for Ages {
    fn default() -> Self {
        Self { writes: Duration::from_secs(1), reads: Duration::from_secs(30) }
    }
}

/// How old the view is, as far as anybody has to care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// Young enough for everything.
    Fresh,
    /// Good for plain reads only.
    Stale,
    /// Good for nothing.
    Lost,
}

impl Freshness {
    /// The word in health, metrics and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Lost => "lost",
        }
    }
}

/// What the view tells while it is kept.
#[derive(Debug)]
pub enum News<'a> {
    /// Rows that were taken up: from here on this replica goes by them.
    Rows(&'a [Listed]),
    /// It is stale, or lost, or fresh again, after so long without having read the table.
    Freshness(Freshness, Duration),
}

/// The view of one replica.
pub struct View {
    db: Db,
    ages: Ages,
    clock: Arc<dyn Clock>,
    table: RwLock<Table>,
    reader: Mutex<Reader>,
    /// When the last look that found everything began, in ticks of the clock.
    read_at: AtomicU64,
    /// Whether the last look failed.
    failing: AtomicBool,
    /// Counts the looks, however they ended.
    looks: watch::Sender<u64>,
    /// Somebody wants a look now.
    wanted: Notify,
    /// Counts what was taken up.
    pub(crate) epoch: Arc<watch::Sender<u64>>,
}

impl View {
    /// Reads the whole table. The view has connections of its own: however busy the others are, it is read.
    ///
    /// # Errors
    /// [`StorageError`]: a replica that does not know what is revoked does not start.
    pub async fn open(db: &Db, ages: Ages, clock: Arc<dyn Clock>) -> Result<Self, StorageError> {
        let view = Self {
            db: db.beside(CONNECTIONS, PATIENCE),
            ages,
            clock,
            table: RwLock::default(),
            reader: Mutex::default(),
            read_at: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            looks: watch::Sender::new(0),
            wanted: Notify::new(),
            epoch: Arc::new(watch::Sender::new(1)),
        };
        view.look(true).await?;
        Ok(view)
    }

    /// Keeps the view, for ever, and tells of what it finds. Run it in a task of its own.
    pub async fn keep(&self, tell: impl Fn(News<'_>) + Send + Sync) {
        tokio::join!(self.follow(&tell), self.age_on(&tell), self.prune_on());
    }

    /// How old the view is, as far as anybody has to care.
    pub fn freshness(&self) -> Freshness {
        let age = self.age();
        if age <= self.ages.writes {
            Freshness::Fresh
        } else if age <= self.ages.reads {
            Freshness::Stale
        } else {
            Freshness::Lost
        }
    }

    /// How long ago the last look began that found everything.
    pub fn age(&self) -> Duration {
        Duration::from_nanos(self.clock.ticks().saturating_sub(self.read_at.load(Ordering::Acquire)))
    }

    /// How many rows are in force.
    pub fn size(&self) -> usize {
        self.read().len()
    }

    /// Waits a moment for a look, if the view is not fresh although the last look did not fail: after the process, or
    /// the machine, stood still. Free otherwise.
    pub async fn settle(&self) {
        if self.freshness() == Freshness::Fresh || self.failing.load(Ordering::Acquire) {
            return;
        }
        let mut looks = self.looks.subscribe();
        self.wanted.notify_one();
        // A look may have been under way that began too early.
        for _ in 0..2 {
            let looked = tokio::time::timeout(MOMENT, looks.changed()).await.is_ok();
            if !looked || self.freshness() == Freshness::Fresh {
                return;
            }
            self.wanted.notify_one();
        }
    }

    /// Whether a row means this token.
    pub(crate) fn revokes(&self, facts: &Facts<'_>, now: Timestamp) -> bool {
        self.read().revokes(facts, now)
    }

    /// Whether a server is contained for a tenant; for everybody, without one.
    pub(crate) fn contains(&self, server: &str, tenant: Option<&str>, now: Timestamp) -> bool {
        self.read().contains(server, tenant, now)
    }

    /// Looks at the table; `whole`: as if for the first time. What is already in force stays in force.
    async fn look(&self, whole: bool) -> Result<Vec<Listed>, StorageError> {
        let began = self.clock.ticks();
        let mut reader = self.reader.lock().await;
        let first = Reader::default();
        let rows = if whole { first.read(&self.db).await? } else { reader.read(&self.db).await? };
        let now = self.clock.now();
        let recent = |row: &Listed| now.since(row.created_at) < RECENT;
        if whole {
            let mut table = Table::default();
            rows.iter().for_each(|row| table.apply(row));
            table.prune(now);
            *self.write() = table;
            *reader = first;
            reader.remember(&rows, began, recent);
        } else {
            if !rows.is_empty() {
                let mut table = self.write();
                rows.iter().for_each(|row| table.apply(row));
            }
            reader.remember(&rows, began, |_| true);
        }
        drop(reader);
        if whole || !rows.is_empty() {
            // INVARIANT: the rows are in force before the epoch says that there is something new.
            self.epoch.send_modify(|epoch| *epoch = epoch.wrapping_add(1));
        }
        self.read_at.store(began, Ordering::Release);
        Ok(rows)
    }

    async fn follow(&self, tell: &(impl Fn(News<'_>) + Send + Sync)) {
        let mut notices = None;
        let (mut whole, mut looked) = (false, 0_u32);
        // What was there at the start is nobody's news.
        let mut told = self.reader.lock().await.highest();
        loop {
            let due = looked >= WHOLE_AFTER && self.size() < MANY;
            let patience = if whole || due { WHOLE_PATIENCE } else { PATIENCE };
            match tokio::time::timeout(patience, self.look(whole || due)).await {
                Ok(Ok(rows)) => {
                    let fresh: Vec<Listed> = if whole || due {
                        rows.into_iter().filter(|row| row.seq > told).collect()
                    } else {
                        rows
                    };
                    told = fresh.iter().map(|row| row.seq).max().unwrap_or(told).max(told);
                    if self.failing.swap(false, Ordering::AcqRel) {
                        tracing::info!("the revocations can be read again");
                    }
                    if !fresh.is_empty() {
                        tell(News::Rows(&fresh));
                    }
                    (whole, looked) = (false, if due { 0 } else { looked + 1 });
                }
                failed => {
                    let reason = failed.map_or("it takes too long".to_owned(), |read| {
                        read.err().map_or(String::new(), |error| error.to_string())
                    });
                    if !self.failing.swap(true, Ordering::AcqRel) {
                        tracing::error!(reason, "the revocations cannot be read");
                    }
                    // The database may be another one when it is back.
                    whole = true;
                }
            }
            self.looks.send_modify(|looks| *looks = looks.wrapping_add(1));
            if notices.is_none() && !whole {
                let listening = tokio::time::timeout(PATIENCE, self.db.notices(CHANNEL)).await;
                notices = listening.ok().and_then(Result::ok);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.wanted.notified() => {}
                heard = hear(&mut notices) => {
                    if heard.is_err() {
                        notices = None;
                    }
                    // Many rows at once are read at once.
                    tokio::time::sleep(GATHER).await;
                }
            }
        }
    }

    async fn age_on(&self, tell: &(impl Fn(News<'_>) + Send + Sync)) {
        let mut before = Freshness::Fresh;
        loop {
            let now = self.freshness();
            if now != before {
                tell(News::Freshness(now, self.age()));
                before = now;
                // Streams ask again.
                self.epoch.send_modify(|epoch| *epoch = epoch.wrapping_add(1));
            }
            tokio::time::sleep(AGE_LOOK).await;
        }
    }

    async fn prune_on(&self) {
        loop {
            tokio::time::sleep(PRUNE).await;
            let now = self.clock.now();
            self.write().prune(now);
            if let Err(error) = prune(&self.db, now).await {
                tracing::debug!(%error, "revocations that are over could not be deleted");
            }
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a notice; for ever, where there is nothing to hear.
async fn hear(notices: &mut Option<Notices>) -> Result<(), StorageError> {
    match notices {
        Some(notices) => notices.next().await,
        None => std::future::pending().await,
    }
}

/// How often the table is looked at, heard of or not.
const LOOK: Duration = Duration::from_millis(250);
/// The pause between a notice and the look, in which others of a burst gather.
const GATHER: Duration = Duration::from_millis(10);
/// How often it is asked whether the view is stale.
const AGE_LOOK: Duration = Duration::from_millis(100);
/// The longest time of one look, or of one attempt to hear.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest time of reading everything.
const WHOLE_PATIENCE: Duration = Duration::from_secs(10);
/// So many rows are not read anew but after a fault: that would hold up the looks.
const MANY: usize = 20_000;
/// How long a request waits for a look.
const MOMENT: Duration = Duration::from_millis(500);
/// After so many looks, about five minutes, everything is read anew.
const WHOLE_AFTER: u32 = 1200;
/// Rows that were made within this time may have passed over others that are under way.
const RECENT: Duration = Duration::from_secs(120);
/// How often rows that are over are deleted.
const PRUNE: Duration = Duration::from_secs(60);
/// One reads, one hears.
const CONNECTIONS: u32 = 2;
