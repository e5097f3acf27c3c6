//! The first token: whoever can read the gateway's key files makes one for an operator, for ten minutes.
//!
//! A command line cannot write to the record of a running gateway. So the token's row is written before the token is
//! shown, and the gateway puts it on record within a second, and before the token is used for anything.

use crate::admin::{Inner, PREFIX, TendError};
use crate::{Config, SCOPES};
use ledger::{About, Event, Leaf, What};
use model::{Clock, Dice, Digest, Timestamp};
use std::time::Duration;
use storage::{Db, StorageError, on, sqlx};
use vault::{SigningKeys, VaultError};

/// The client that such tokens name.
pub(crate) const CLIENT: &str = "portunus-admin-token";

/// A token could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// Nobody is an operator: the configuration names no role.
    #[error("the configuration names no operator role: set `admin_api.operator_roles` and `operator_tenant`")]
    NoOperator,
    /// Its row could not be written.
    #[error("write down that a token is made")]
    Storage(#[from] StorageError),
    /// It could not be signed.
    #[error("sign the token")]
    Sign(#[from] VaultError),
}

/// Makes an operator's token for the API below `public_url`. `maker` says who and where, for the record.
///
/// # Errors
/// [`BootstrapError`]; there is no token then.
pub async fn mint(
    db: &Db,
    keys: &SigningKeys,
    config: &Config,
    public_url: &str,
    maker: &str,
    (clock, dice): (&dyn Clock, &dyn Dice),
) -> Result<String, BootstrapError> {
    const INSERT: &str = "INSERT INTO admin_tokens (id, maker, made_at, expires_at) VALUES ($1, $2, $3, $4)";
    let role = config.operator_roles.first().filter(|_| !config.operator_tenant.is_empty());
    let role = role.ok_or(BootstrapError::NoOperator)?;
    let mut noise = [0; 16];
    dice.fill(&mut noise);
    let (jti, now) = (format!("{:032x}", u128::from_be_bytes(noise)), clock.now());
    let until = now.after(TOKEN_LIFETIME);
    let id = Digest::of(jti.as_bytes()).to_string();
    // INVARIANT: no token without its row: `a_token_of_the_command_line_is_on_record`.
    on!(db, pool => {
        sqlx::query(INSERT).bind(&id).bind(maker).bind(now.0).bind(until.0).execute(pool).await.map(drop)
    })
    .map_err(StorageError::from)?;
    let claims = serde_json::json!({
        "iss": public_url,
        "aud": format!("{public_url}{PREFIX}"),
        "sub": USER,
        "client_id": CLIENT,
        "tenant_id": &*config.operator_tenant,
        "roles": [role],
        "groups": [],
        "scope": SCOPES.join(" "),
        "iat": now.seconds(),
        "exp": until.seconds(),
        "jti": jti,
    });
    Ok(keys.sign("at+jwt", claims.to_string().as_bytes())?.token)
}

/// Puts tokens that were made since the last look on record. One may be there twice after a crash, none is left out.
pub(crate) async fn put_on_record(rooms: &Inner) -> Result<(), TendError> {
    const NEW: &str = "SELECT id, maker, made_at, expires_at FROM admin_tokens WHERE recorded_at IS NULL
        ORDER BY made_at LIMIT 100";
    const TOLD: &str = "UPDATE admin_tokens SET recorded_at = $2 WHERE id = $1";
    const OLD: &str = "DELETE FROM admin_tokens WHERE expires_at <= $1 AND recorded_at IS NOT NULL";
    let parts = &rooms.parts;
    let new: Vec<(String, String, i64, i64)> =
        on!(parts.db, pool => sqlx::query_as(NEW).fetch_all(pool).await).map_err(StorageError::from)?;
    for (id, maker, made_at, expires_at) in &new {
        let event = Event {
            tenant: Some(rooms.config.load().operator_tenant.to_string().into()),
            by: Some("operator".into()),
            about: Some(About { kind: "token".into(), id: id.as_str().into() }),
            name: Some("admin token".into()),
            detail: Some(format!("made by {maker} at {made_at}, until {expires_at}").into()),
            ..Event::of(What::TokenIssued)
        };
        parts.audit.append(Timestamp(*made_at), &Leaf::Event(event))?.durable().await?;
        let now = parts.clock.now().0;
        on!(parts.db, pool => sqlx::query(TOLD).bind(id).bind(now).execute(pool).await.map(drop))
            .map_err(StorageError::from)?;
    }
    if !new.is_empty() {
        let now = parts.clock.now().0;
        on!(parts.db, pool => sqlx::query(OLD).bind(now).execute(pool).await.map(drop))
            .map_err(StorageError::from)?;
    }
    Ok(())
}

/// Who such a token says it is.
const USER: &str = "operator";
/// How long such a token is good.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(600);
