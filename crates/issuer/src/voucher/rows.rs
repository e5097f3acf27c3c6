//! One row a person. What an answer changes is the row that was asked about: a sign-in meanwhile makes it another.

use crate::Issuer;
use crate::person::Arrival;
use model::Timestamp;
use std::time::Duration;
use storage::{StorageError, on, sqlx};
use vault::VaultError;

/// What is known of a person's provider.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Voucher {
    pub(super) tenant: String,
    pub(super) provider: String,
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) client: String,
    pub(super) token: Option<Vec<u8>>,
    pub(super) vouched_at: i64,
    pub(super) asking_until: i64,
}

/// Keeps what a sign-in brought: that the provider vouched now, and the token it is asked with again. Nothing, where the
/// operator does not want it asked.
///
/// # Errors
/// The database's, the keyring's.
pub(crate) async fn keep(
    issuer: &Issuer,
    user: &str,
    arrival: &Arrival,
    token: Option<&str>,
) -> Result<(), VaultError> {
    // A provider that gives no second token (Google, after the first consent) goes on with the one it gave before.
    const KEEP: &str = "INSERT INTO vouchers
            (user_id, tenant, provider, issuer, subject, client, token, vouched_at, asking_until)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)
        ON CONFLICT (user_id) DO UPDATE SET tenant = excluded.tenant, provider = excluded.provider,
            token = CASE WHEN vouchers.issuer = excluded.issuer AND vouchers.subject = excluded.subject
                    AND vouchers.client = excluded.client
                THEN COALESCE(excluded.token, vouchers.token) ELSE excluded.token END,
            issuer = excluded.issuer, subject = excluded.subject, client = excluded.client,
            vouched_at = CASE WHEN vouchers.vouched_at >= excluded.vouched_at THEN vouchers.vouched_at + 1
                ELSE excluded.vouched_at END,
            asking_until = 0";
    let now = issuer.now();
    let desk = issuer.desk();
    let provider = desk.federation.provider(&arrival.tenant, &arrival.provider).ok();
    let provider = provider.filter(|provider| provider.config.recheck.is_some());
    let Some(provider) = provider else { return Ok(forget(issuer, user, now).await?) };
    let sealed = match token {
        Some(token) => Some(issuer.keyring.seal(&arrival.tenant, &place(user), token.as_bytes()).await?),
        None => None,
    };
    on!(issuer.db, pool => {
        sqlx::query(KEEP).bind(user).bind(&arrival.tenant).bind(&arrival.provider).bind(&arrival.issuer)
            .bind(&arrival.subject).bind(&provider.config.client_id).bind(&sealed).bind(now.0)
            .execute(pool).await.map(drop)
    })
    .map_err(StorageError::from)?;
    Ok(())
}

/// Forgets what a provider said of a person until then.
///
/// # Errors
/// [`StorageError`].
pub(crate) async fn forget(issuer: &Issuer, user: &str, until: Timestamp) -> Result<(), StorageError> {
    const FORGET: &str = "DELETE FROM vouchers WHERE user_id = $1 AND vouched_at <= $2";
    on!(issuer.db, pool => sqlx::query(FORGET).bind(user).bind(until.0).execute(pool).await.map(drop))?;
    Ok(())
}

pub(super) async fn find(issuer: &Issuer, user: &str) -> Result<Option<Voucher>, StorageError> {
    const FIND: &str = "SELECT tenant, provider, issuer, subject, client, token, vouched_at, asking_until
        FROM vouchers WHERE user_id = $1";
    Ok(on!(issuer.db, pool => sqlx::query_as(FIND).bind(user).fetch_optional(pool).await)?)
}

/// The tenant and the issuer of every provider that somebody signed in at.
pub(super) async fn providers_of(issuer: &Issuer, user: &str) -> Result<Vec<(String, String)>, StorageError> {
    const FIND: &str = "SELECT tenant, issuer FROM user_identities WHERE user_id = $1";
    Ok(on!(issuer.db, pool => sqlx::query_as(FIND).bind(user).fetch_all(pool).await)?)
}

/// Takes the turn to ask, until the moment that it returns: many providers take a refresh token once.
pub(super) async fn begin(
    issuer: &Issuer,
    user: &str,
    voucher: &Voucher,
    now: Timestamp,
) -> Result<Option<Timestamp>, StorageError> {
    const BEGIN: &str = "UPDATE vouchers SET asking_until = $1
        WHERE user_id = $2 AND asking_until <= $3 AND vouched_at = $4";
    let turn = now.after(ASKING);
    let begun = on!(issuer.db, pool => {
        let begin = sqlx::query(BEGIN).bind(turn.0).bind(user).bind(now.0);
        begin.bind(voucher.vouched_at).execute(pool).await.map(|done| done.rows_affected())
    })?;
    Ok((begun == 1).then_some(turn))
}

/// Deletes what no grant can stand on any more.
pub(super) async fn sweep(issuer: &Issuer) -> Result<(), StorageError> {
    const SWEEP: &str = "DELETE FROM vouchers WHERE vouched_at <= $1";
    let before = issuer.now().0.saturating_sub(KEPT_MS);
    on!(issuer.db, pool => sqlx::query(SWEEP).bind(before).execute(pool).await.map(drop))?;
    Ok(())
}

/// What a sealed token belongs to: it opens in no other row.
pub(super) fn place(user: &str) -> String {
    format!("voucher {user}")
}

/// How long one turn to ask lasts: longer than token, keys and userinfo may take together.
pub(super) const ASKING: Duration = Duration::from_secs(90);
/// Longer than the longest grant that may be configured.
const KEPT_MS: i64 = 367 * 24 * 3600 * 1000;
