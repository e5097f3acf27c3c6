//! A client's request while its person signs in.

use crate::{Issuer, secret_text};
use model::Timestamp;
use std::time::Duration;
use storage::{StorageError, on, sqlx};

/// A checked request. It is true that its client, redirect URI and resource exist and fit together.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Transaction {
    /// The client.
    pub client: String,
    /// Where the browser goes at the end, exactly as it came.
    pub redirect_uri: String,
    /// The client's own state, given back unread.
    pub state: Option<String>,
    /// The one resource that tokens will be for.
    pub resource: String,
    /// Scopes, narrowed to what the resource has.
    pub scopes: Vec<String>,
    /// PKCE, S256 (RFC 7636 §4.2).
    pub code_challenge: String,
    /// The person shall sign in although there is a session (`prompt=login`).
    pub sign_in_again: bool,
    /// The person shall be asked although there is a consent (`prompt=consent`).
    pub ask_again: bool,
    /// Nobody shall be asked anything (`prompt=none`).
    pub ask_nothing: bool,
    /// Who the client thinks will sign in. A hint that is never trusted.
    pub login_hint: Option<String>,
    /// When it came.
    pub created_at: Timestamp,
}

/// Keeps a transaction; its id goes to the browser and is kept as a digest.
pub(crate) async fn keep(issuer: &Issuer, transaction: &Transaction) -> Result<String, StorageError> {
    const INSERT: &str = "INSERT INTO authorize_transactions (digest, request, created_at, expires_at) VALUES ($1, $2, $3, $4)";
    let id = secret_text::fresh("tx_", issuer.dice.as_ref());
    let digest = secret_text::digest(&id);
    let request = serde_json::to_string(transaction).unwrap_or_default();
    let (created, expires) = (transaction.created_at.0, transaction.created_at.after(LIFE).0);
    on!(issuer.db, pool => {
        let insert = sqlx::query(INSERT).bind(&digest).bind(&request).bind(created).bind(expires);
        insert.execute(pool).await.map(drop)
    })?;
    Ok(id)
}

/// The transaction of that id, which stays open; `None` when there is none, or no more.
///
/// # Errors
/// [`StorageError`].
pub async fn look(issuer: &Issuer, id: &str) -> Result<Option<Transaction>, StorageError> {
    const LOOK: &str = "SELECT request FROM authorize_transactions WHERE digest = $1 AND expires_at > $2";
    let (digest, now) = (secret_text::digest(id), issuer.now().0);
    let found: Option<String> =
        on!(issuer.db, pool => sqlx::query_scalar(LOOK).bind(&digest).bind(now).fetch_optional(pool).await)?;
    found.map(|request| read(&request)).transpose()
}

/// Takes the transaction of that id: of many who try, one gets it.
pub(crate) async fn take(issuer: &Issuer, id: &str) -> Result<Option<Transaction>, StorageError> {
    const TAKE: &str =
        "DELETE FROM authorize_transactions WHERE digest = $1 AND expires_at > $2 RETURNING request";
    let (digest, now) = (secret_text::digest(id), issuer.now().0);
    let found: Option<String> =
        on!(issuer.db, pool => sqlx::query_scalar(TAKE).bind(&digest).bind(now).fetch_optional(pool).await)?;
    found.map(|request| read(&request)).transpose()
}

fn read(request: &str) -> Result<Transaction, StorageError> {
    serde_json::from_str(request).map_err(|error| StorageError::Corrupt(format!("a transaction: {error}")))
}

/// How long a person has to sign in and decide.
pub const LIFE: Duration = Duration::from_secs(600);
