//! Several statements as one.

use sqlx::{Sqlite, SqlitePool, Transaction};

/// Runs a block on a transaction and commits it when the block is `Ok`: everything in it happens, or nothing.
///
/// `transaction!(db, tx => { sqlx::query(A).execute(&mut **tx).await?; … Ok(value) })`; the block's error must be
/// made from [`crate::StorageError`] and from `sqlx::Error`. Dropped half-way, it is rolled back.
#[macro_export]
macro_rules! transaction {
    ($db:expr, $tx:ident => $body:block) => {
        match &$db.pool {
            $crate::__pool::Sqlite(pool) => {
                let mut begun = $crate::begin_sqlite(pool).await.map_err($crate::StorageError::from)?;
                let $tx = &mut begun;
                let done = async { $body }.await;
                if done.is_ok() {
                    begun.commit().await.map_err($crate::StorageError::from)?;
                }
                done
            }
            $crate::__pool::Postgres(pool) => {
                let mut begun = pool.begin().await.map_err($crate::StorageError::from)?;
                let $tx = &mut begun;
                let done = async { $body }.await;
                if done.is_ok() {
                    begun.commit().await.map_err($crate::StorageError::from)?;
                }
                done
            }
        }
    };
}

/// A transaction that may write from its first statement on: one that began by reading could lose its turn.
#[doc(hidden)]
pub async fn begin_sqlite(pool: &SqlitePool) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
    pool.begin_with("BEGIN IMMEDIATE").await
}
