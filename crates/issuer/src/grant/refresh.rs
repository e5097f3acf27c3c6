//! Refresh tokens: rotated at each use. For a moment the old one yields the same successor again, for a client whose
//! answer was lost; later it is proof that there are two holders, and the grant ends (OAuth 2.1 §4.3.1).

use super::Grant;
use crate::{Issuer, OauthError, secret_text};
use model::Timestamp;
use std::time::Duration;
use storage::{StorageError, on, sqlx, transaction};

/// A refresh token as it was presented, before it is used.
pub(crate) struct Presented {
    /// What it was issued under.
    pub(crate) grant: Grant,
    digest: String,
    generation: i64,
    expires_at: Timestamp,
    rotated_at: Option<Timestamp>,
    successor: Option<Vec<u8>>,
}

impl Presented {
    /// Whether it would be rotated now.
    pub(crate) fn is_current(&self, now: Timestamp) -> bool {
        self.rotated_at.is_none() && self.expires_at > now
    }

    /// When it ends.
    pub(crate) fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

#[derive(sqlx::FromRow)]
struct TokenRow {
    grant_id: String,
    generation: i64,
    expires_at: i64,
    rotated_at: Option<i64>,
    successor: Option<Vec<u8>>,
}

/// What became of a presented token.
pub(crate) enum Rotation {
    /// Its successor: a new one, or within the grace the same as before.
    Successor(String),
    /// It was rotated longer ago than the grace: somebody has a copy.
    Reused,
}

pub(crate) const INSERT: &str =
    "INSERT INTO refresh_tokens (digest, grant_id, generation, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5)";

/// A fresh token.
pub(crate) fn fresh(issuer: &Issuer) -> String {
    secret_text::fresh(PREFIX, issuer.dice.as_ref())
}

/// When a token made now ends.
pub(crate) fn end(issuer: &Issuer, grant: &Grant, now: Timestamp) -> Timestamp {
    now.after(issuer.config().refresh_token).min(grant.expires_at)
}

/// Looks a token up.
pub(crate) async fn look(issuer: &Issuer, token: &str) -> Result<Option<Presented>, StorageError> {
    if token.starts_with(PREFIX) { by_digest(issuer, secret_text::digest(token)).await } else { Ok(None) }
}

async fn by_digest(issuer: &Issuer, digest: String) -> Result<Option<Presented>, StorageError> {
    const TOKEN: &str = "SELECT grant_id, generation, expires_at, rotated_at, successor FROM refresh_tokens
        WHERE digest = $1";
    let row: Option<TokenRow> =
        on!(issuer.db, pool => sqlx::query_as(TOKEN).bind(&digest).fetch_optional(pool).await)?;
    let Some(row) = row else { return Ok(None) };
    let Some(grant) = super::find(issuer, &row.grant_id).await? else { return Ok(None) };
    Ok(Some(Presented {
        grant,
        digest,
        generation: row.generation,
        expires_at: Timestamp(row.expires_at),
        rotated_at: row.rotated_at.map(Timestamp),
        successor: row.successor,
    }))
}

/// Uses a token up. Of many at once one makes the successor, and all get it.
///
/// # Errors
/// `invalid_grant` for one that has expired or whose grant was revoked; `temporarily_unavailable`.
pub(crate) async fn rotate(issuer: &Issuer, presented: &Presented) -> Result<Rotation, OauthError> {
    if presented.rotated_at.is_some() {
        return again(issuer, presented).await;
    }
    if presented.expires_at <= issuer.now() {
        return Err(OauthError::invalid_grant("the refresh token has expired; sign in again"));
    }
    let successor = fresh(issuer);
    let (tenant, place) = (&presented.grant.tenant, place(&presented.digest));
    // Sealed before the transaction, which must not wait for another connection while it holds its own.
    let sealed = issuer.keyring.seal(tenant, &place, successor.as_bytes()).await?;
    if replace(issuer, presented, &successor, &sealed).await? {
        return Ok(Rotation::Successor(successor));
    }
    // Somebody was quicker, or the grant was revoked meanwhile.
    let found = by_digest(issuer, presented.digest.clone()).await?;
    let found = found.ok_or_else(|| OauthError::invalid_grant("the refresh token is not known"))?;
    found.grant.stands(issuer.now())?;
    again(issuer, &found).await
}

/// Puts the successor in a token's place; `false` if it was rotated before, or its grant is revoked.
async fn replace(
    issuer: &Issuer,
    presented: &Presented,
    successor: &str,
    sealed: &[u8],
) -> Result<bool, StorageError> {
    const ROTATE: &str = "UPDATE refresh_tokens SET rotated_at = $1, successor = $2
        WHERE digest = $3 AND rotated_at IS NULL
          AND EXISTS (SELECT 1 FROM grants WHERE id = $4 AND revoked_at IS NULL)";
    const USED: &str = "UPDATE grants SET used_at = $1 WHERE id = $2";
    let (now, grant) = (issuer.now(), &presented.grant);
    let (digest, ends) = (secret_text::digest(successor), end(issuer, grant, now).0);
    transaction!(issuer.db, tx => {
        let rotate = sqlx::query(ROTATE).bind(now.0).bind(sealed).bind(&presented.digest).bind(&grant.id);
        let is_first = rotate.execute(&mut **tx).await?.rows_affected() == 1;
        if is_first {
            let insert = sqlx::query(INSERT).bind(&digest).bind(&grant.id).bind(presented.generation + 1);
            insert.bind(now.0).bind(ends).execute(&mut **tx).await?;
            sqlx::query(USED).bind(now.0).bind(&grant.id).execute(&mut **tx).await?;
        }
        Ok::<_, StorageError>(is_first)
    })
}

/// A token that was rotated before: within the grace its successor, the same one.
async fn again(issuer: &Issuer, presented: &Presented) -> Result<Rotation, OauthError> {
    let (Some(rotated_at), Some(sealed)) = (presented.rotated_at, &presented.successor) else {
        return Ok(Rotation::Reused);
    };
    if rotated_at.after(GRACE) <= issuer.now() {
        return Ok(Rotation::Reused);
    }
    let place = place(&presented.digest);
    let successor = issuer.keyring.unseal(&presented.grant.tenant, &place, sealed).await?;
    let successor = successor.lend(|bytes| String::from_utf8(bytes.to_vec()));
    successor.map(Rotation::Successor).map_err(|_| OauthError::unavailable())
}

/// Where a successor is kept: it opens in its predecessor's row and in no other.
fn place(digest: &str) -> String {
    format!("refresh-successor|{digest}")
}

/// How refresh tokens begin.
pub(crate) const PREFIX: &str = "rt_";
/// How long a token that was rotated yields its successor again.
const GRACE: Duration = Duration::from_secs(30);
