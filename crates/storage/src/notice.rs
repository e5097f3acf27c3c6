//! Word that something changed, so that whoever keeps a view of it looks sooner than its next turn.
//!
//! A notice is a hint and may be lost: whoever listens also looks by itself at an interval.

use crate::db::Pool;
use crate::{Db, StorageError};
use sqlx::postgres::PgListener;
use tokio::sync::watch;

impl Db {
    /// Says on `channel` (a constant, `[a-z_]+`) that something changed. With PostgreSQL every process hears it, with
    /// SQLite this one.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn say(&self, channel: &'static str) -> Result<(), StorageError> {
        match &self.pool {
            Pool::Sqlite(_) => self.said.send_modify(|count| *count = count.wrapping_add(1)),
            Pool::Postgres(pool) => {
                sqlx::query("SELECT pg_notify($1, '')").bind(channel).execute(pool).await?;
            }
        }
        Ok(())
    }

    /// Listens to `channel` from now on.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn notices(&self, channel: &'static str) -> Result<Notices, StorageError> {
        match &self.pool {
            Pool::Sqlite(_) => Ok(Notices(Heard::Here(self.said.subscribe()))),
            Pool::Postgres(pool) => {
                let mut listener = PgListener::connect_with(pool).await?;
                listener.listen(channel).await?;
                Ok(Notices(Heard::There(Box::new(listener))))
            }
        }
    }
}

/// What is heard on a channel.
pub struct Notices(Heard);

enum Heard {
    Here(watch::Receiver<u64>),
    There(Box<PgListener>),
}

impl Notices {
    /// Waits for a notice. Cancel safe. The connection is made anew by itself when it is lost.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] while the database is away.
    pub async fn next(&mut self) -> Result<(), StorageError> {
        match &mut self.0 {
            Heard::Here(said) => {
                if said.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            Heard::There(listener) => drop(listener.recv().await?),
        }
        Ok(())
    }
}
