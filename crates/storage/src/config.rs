//! Where the database is.

use model::Secret;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What the room is told.
#[derive(Clone)]
pub struct Config {
    /// Where the rows are kept.
    pub place: Place,
    /// The most connections at once.
    pub connections: u32,
    /// How long a statement may wait for a connection, or for another writer.
    pub patience: Duration,
}

/// One of two databases.
#[derive(Clone)]
pub enum Place {
    /// A file of SQLite; it and its folder's siblings (`-wal`, `-shm`) are readable by their owner only.
    Sqlite(PathBuf),
    /// PostgreSQL, by its connection URL, which may hold a password.
    Postgres(Arc<Secret>),
}

impl Config {
    /// A place with the usual bounds.
    pub fn at(place: Place) -> Self {
        Self { place, connections: 8, patience: Duration::from_secs(5) }
    }
}
