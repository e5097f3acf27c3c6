//! Writing rows, alone or as part of a transaction, and listing them.

use super::row::listed;
use super::{CHANNEL, Kind, Listed, Revocation};
use model::Timestamp;
use std::time::Duration;
use storage::sqlx::{self, Postgres, Sqlite, Transaction};
use storage::{Db, StorageError, on, transaction};

/// Adds a row within a transaction of either kind, and yields its number.
macro_rules! insert {
    ($tx:expr, $revocation:expr, $lifts:expr, $now:expr) => {{
        let Revocation { kind, id, tenant, issuer, not_before, spares_grants, expires_at, reason, by } =
            $revocation;
        let insert = sqlx::query_scalar(INSERT)
            .bind(kind.as_str())
            .bind(id)
            .bind(tenant)
            .bind(issuer)
            .bind(not_before.map_or(i64::MAX, |moment| moment.0))
            .bind(expires_at.map(|moment| moment.0))
            .bind($lifts)
            .bind(reason.chars().take(REASON).collect::<String>())
            .bind(by)
            .bind($now.0)
            .bind(spares_grants);
        let seq: i64 = insert.fetch_one(&mut **$tx).await?;
        seq
    }};
}

/// Revokes. When this returns the row is committed and said; every replica that reaches the database refuses within a
/// second. Returns the row's number.
///
/// # Errors
/// [`StorageError`]: nothing is revoked. [`StorageError::Refused`] for an id that is empty or too long.
pub async fn revoke(db: &Db, revocation: &Revocation, now: Timestamp) -> Result<i64, StorageError> {
    let seq: Result<i64, StorageError> = transaction!(db, tx => { tx.revoke(revocation, now).await });
    let seq = seq?;
    said(db).await;
    Ok(seq)
}

/// Revoking within a transaction of the caller's: in [`transaction!`], `tx.revoke(&revocation, now).await?`. The notice
/// leaves with the commit; where the database cannot do that (SQLite), the views find the row by themselves within a
/// quarter of a second.
pub trait Revoke {
    /// Adds the row.
    ///
    /// # Errors
    /// [`StorageError`].
    fn revoke(
        &mut self,
        revocation: &Revocation,
        now: Timestamp,
    ) -> impl Future<Output = Result<i64, StorageError>> + Send;
}

impl Revoke for Transaction<'static, Sqlite> {
    async fn revoke(&mut self, revocation: &Revocation, now: Timestamp) -> Result<i64, StorageError> {
        Ok(insert!(self, revocation, false, now))
    }
}

impl Revoke for Transaction<'static, Postgres> {
    async fn revoke(&mut self, revocation: &Revocation, now: Timestamp) -> Result<i64, StorageError> {
        let seq = insert!(self, revocation, false, now);
        sqlx::query(NOTIFY).bind(CHANNEL).execute(&mut **self).await?;
        Ok(seq)
    }
}

/// Takes back what was said of this kind, id, tenant and issuer; says whether there was anything. `revocation` says
/// also who does it and why. What had ended by then does not come back.
///
/// # Errors
/// [`StorageError`].
pub async fn lift(db: &Db, revocation: &Revocation, now: Timestamp) -> Result<bool, StorageError> {
    // `IS NOT DISTINCT FROM` is what both databases say for "equal, or both NULL".
    const DELETE: &str = "DELETE FROM revocations WHERE kind = $1 AND id = $2 AND NOT lifts
        AND tenant IS NOT DISTINCT FROM $3 AND issuer IS NOT DISTINCT FROM $4 RETURNING seq";
    let until = revocation.clone().until(now.after(LIFTS_FOR));
    let lifted: Result<bool, StorageError> = transaction!(db, tx => {
        let delete = sqlx::query(DELETE)
            .bind(revocation.kind.as_str())
            .bind(&revocation.id)
            .bind(&revocation.tenant)
            .bind(&revocation.issuer);
        let any = !delete.fetch_all(&mut **tx).await?.is_empty();
        if any {
            insert!(tx, &until, true, now);
        }
        Ok(any)
    });
    let any = lifted?;
    if any {
        said(db).await;
    }
    Ok(any)
}

/// The rows that are not over, the newest first: all kinds or one, at most `limit`.
///
/// # Errors
/// [`StorageError`].
pub async fn revocations(
    db: &Db,
    kind: Option<Kind>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Listed>, StorageError> {
    const LIST: &str = "SELECT seq, kind, id, tenant, issuer, not_before, expires_at, lifts, reason, revoked_by, created_at
        FROM revocations WHERE (expires_at IS NULL OR expires_at > $1) AND NOT lifts AND ($2 IS NULL OR kind = $2)
        ORDER BY seq DESC LIMIT $3";
    let kind = kind.map(Kind::as_str);
    on!(db, pool => {
        let list = sqlx::query(LIST).bind(now.0).bind(kind).bind(i64::from(limit));
        let rows = list.fetch_all(pool).await?;
        rows.iter().map(|row| listed!(row)).collect()
    })
}

/// One row that is not over, by its number.
///
/// # Errors
/// [`StorageError`].
pub async fn revocation(db: &Db, seq: i64, now: Timestamp) -> Result<Option<Listed>, StorageError> {
    const FIND: &str =
        "SELECT seq, kind, id, tenant, issuer, not_before, expires_at, lifts, reason, revoked_by, created_at
        FROM revocations WHERE seq = $1 AND (expires_at IS NULL OR expires_at > $2) AND NOT lifts";
    on!(db, pool => {
        let row = sqlx::query(FIND).bind(seq).bind(now.0).fetch_optional(pool).await?;
        row.as_ref().map(|row| listed!(row)).transpose()
    })
}

/// Which rows a page of them is of, and where it begins.
#[derive(Clone, Debug, Default)]
pub struct Page<'a> {
    /// Of one kind only.
    pub kind: Option<Kind>,
    /// Of one tenant only; rows of no tenant in particular are the house's.
    pub tenant: Option<&'a str>,
    /// With a smaller number than this.
    pub before: Option<i64>,
}

/// A page of the rows that are not over, the newest first, at most `limit`.
///
/// # Errors
/// [`StorageError`].
pub async fn page(db: &Db, page: &Page<'_>, now: Timestamp, limit: i64) -> Result<Vec<Listed>, StorageError> {
    const LIST: &str = "SELECT seq, kind, id, tenant, issuer, not_before, expires_at, lifts, reason, revoked_by, created_at
        FROM revocations WHERE (expires_at IS NULL OR expires_at > $1) AND NOT lifts AND ($2 IS NULL OR kind = $2)
        AND ($3 IS NULL OR tenant = $3) AND seq < $4 ORDER BY seq DESC LIMIT $5";
    on!(db, pool => {
        let list = sqlx::query(LIST)
            .bind(now.0)
            .bind(page.kind.map(Kind::as_str))
            .bind(page.tenant)
            .bind(page.before.unwrap_or(i64::MAX))
            .bind(limit);
        let rows = list.fetch_all(pool).await?;
        rows.iter().map(|row| listed!(row)).collect()
    })
}

/// Deletes rows that were over an hour ago; says how many. A view drops them by itself.
///
/// # Errors
/// [`StorageError`].
pub async fn prune(db: &Db, now: Timestamp) -> Result<u64, StorageError> {
    const PRUNE: &str = "DELETE FROM revocations WHERE expires_at <= $1";
    let over = now.0.saturating_sub(KEPT_AFTER);
    Ok(on!(db, pool => sqlx::query(PRUNE).bind(over).execute(pool).await.map(|done| done.rows_affected()))?)
}

/// A notice that cannot be said is no failure: the views look by themselves.
async fn said(db: &Db) {
    if let Err(error) = db.say(CHANNEL).await {
        tracing::debug!(%error, "a revocation could not be announced");
    }
}

const INSERT: &str = "INSERT INTO revocations
    (kind, id, tenant, issuer, not_before, expires_at, lifts, reason, revoked_by, created_at, spares_grants)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING seq";
const NOTIFY: &str = "SELECT pg_notify($1, '')";
/// The longest reason, in characters.
const REASON: usize = 256;
/// How long a row that lifts others stays: every view takes it up long before.
const LIFTS_FOR: Duration = Duration::from_secs(24 * 3600);
/// How long a row stays after it is over, in milliseconds: longer than clocks differ.
const KEPT_AFTER: i64 = 3_600_000;
