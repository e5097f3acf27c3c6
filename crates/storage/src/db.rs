//! The pool, of one kind or the other.

use crate::{Config, Place, StorageError, migrate};
use rustix::fs::{Mode, OFlags};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The database. Cheap to clone; all clones share the pool.
#[derive(Clone, Debug)]
pub struct Db {
    /// The pool; use it through [`crate::on!`] and [`crate::transaction!`].
    #[doc(hidden)]
    pub pool: Pool,
    /// Rises when this process says that something changed: the notices of SQLite.
    pub(crate) said: Arc<watch::Sender<u64>>,
}

/// The two pools.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Runs one expression on whichever pool there is: `on!(db, pool => sqlx::query(TEXT).bind(id).execute(pool).await)`.
#[macro_export]
macro_rules! on {
    ($db:expr, $pool:ident => $body:expr) => {
        match &$db.pool {
            $crate::__pool::Sqlite($pool) => $body,
            $crate::__pool::Postgres($pool) => $body,
        }
    };
}

impl Db {
    /// Opens the database and brings its schema up to date. Several processes may do so at once.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn open(config: &Config) -> Result<Self, StorageError> {
        let db = Self::connect(config).await?;
        migrate::run(&db).await?;
        Ok(db)
    }

    async fn connect(config: &Config) -> Result<Self, StorageError> {
        let pool = match &config.place {
            Place::Sqlite(path) => Pool::Sqlite(sqlite(path, config).await?),
            Place::Postgres(url) => {
                let options = url.lend(|url| {
                    let url = std::str::from_utf8(url).map_err(|_| StorageError::Url)?.trim();
                    // The library takes any scheme for its own.
                    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
                        return Err(StorageError::Url);
                    }
                    PgConnectOptions::from_str(url).map_err(|_| StorageError::Url)
                })?;
                let patience = format!("{}ms", config.patience.as_millis());
                let options = options
                    .application_name("portunus")
                    .options([("statement_timeout", &patience), ("lock_timeout", &patience)])
                    // A process that stands still within a transaction holds nobody up for ever.
                    .options([("idle_in_transaction_session_timeout", "30s")]);
                let pool = PgPoolOptions::new().max_connections(config.connections);
                Pool::Postgres(pool.acquire_timeout(config.patience).connect_with(options).await?)
            }
        };
        Ok(Self { pool, said: Arc::new(watch::Sender::new(0)) })
    }

    /// The same database through connections of its own, at most so many, made when they are needed: for somebody who
    /// must not wait behind the others. `patience` is the longest wait for a connection.
    #[must_use]
    pub fn beside(&self, connections: u32, patience: Duration) -> Self {
        let pool = match &self.pool {
            Pool::Sqlite(pool) => {
                let beside = SqlitePoolOptions::new().max_connections(connections).acquire_timeout(patience);
                Pool::Sqlite(beside.connect_lazy_with((*pool.connect_options()).clone()))
            }
            Pool::Postgres(pool) => {
                let beside = PgPoolOptions::new().max_connections(connections).acquire_timeout(patience);
                Pool::Postgres(beside.connect_lazy_with((*pool.connect_options()).clone()))
            }
        };
        Self { pool, said: Arc::clone(&self.said) }
    }

    /// Opens it as a program would that knows only the first `steps` of the schema: for the tests of upgrades.
    ///
    /// # Errors
    /// [`StorageError`].
    #[doc(hidden)]
    pub async fn open_older(config: &Config, steps: usize) -> Result<Self, StorageError> {
        let db = Self::connect(config).await?;
        migrate::run_steps(&db, migrate::STEPS.get(..steps).unwrap_or(migrate::STEPS)).await?;
        Ok(db)
    }

    /// How many steps the schema has.
    #[doc(hidden)]
    pub const fn steps() -> usize {
        migrate::STEPS.len()
    }

    /// Whether a statement gets through.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] mostly.
    pub async fn ping(&self) -> Result<(), StorageError> {
        crate::on!(self, pool => sqlx::query("SELECT 1").execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Which of the two it is, for health and logs.
    pub const fn kind(&self) -> &'static str {
        match self.pool {
            Pool::Sqlite(_) => "sqlite",
            Pool::Postgres(_) => "postgresql",
        }
    }

    /// Ends all connections; statements under way finish.
    pub async fn close(&self) {
        crate::on!(self, pool => pool.close().await);
    }
}

async fn sqlite(path: &Path, config: &Config) -> Result<SqlitePool, StorageError> {
    private(path).map_err(|source| StorageError::File { path: path.to_owned(), source })?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // A redeemed code must stay redeemed after the power fails.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(config.patience);
    let pool = SqlitePoolOptions::new().max_connections(config.connections.min(SQLITE_CONNECTIONS));
    Ok(pool.acquire_timeout(config.patience).connect_with(options).await?)
}

/// Makes the file if there is none; refuses one that others may read. SQLite gives `-wal` and `-shm` its mode.
fn private(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
    let file = std::fs::File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let text = format!("it may be read by others than its owner (mode {mode:o}); run `chmod 600`");
        return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, text));
    }
    Ok(())
}

/// One writes at a time; the others read.
const SQLITE_CONNECTIONS: u32 = 4;
