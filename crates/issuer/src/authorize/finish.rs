//! The end of a transaction: a code or a refusal, on the way back to the client.

use super::transaction;
use crate::{Issuer, OauthError, secret_text};
use model::Timestamp;
use std::time::Duration;
use storage::{StorageError, on, sqlx};

/// What became of a request.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The person is signed in and agrees.
    Approved(Approval),
    /// No: the RFC's word (`access_denied`, `login_required`, `consent_required`, `server_error`, …) and a sentence.
    Refused(OauthError),
}

/// Who agreed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Approval {
    /// The person: `usr_…`.
    pub user: String,
    /// The person's tenant.
    pub tenant: String,
    /// Roles, as known now; read anew at each refresh.
    pub roles: Vec<String>,
    /// Groups, likewise.
    pub groups: Vec<String>,
    /// The browser session's public id (`sid`).
    pub session: String,
    /// When the person last proved who they are.
    pub auth_time: Timestamp,
    /// When they agreed: whatever ended since ends this too.
    #[serde(default)]
    pub given_at: Timestamp,
    /// Whether it stands on a consent that can be taken back before the client comes.
    #[serde(default)]
    pub by_consent: bool,
    /// What was agreed to: the transaction's scopes, or fewer.
    pub scopes: Vec<String>,
}

/// A transaction could not be ended.
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    /// There is none of that id: it expired, or was ended before.
    #[error("the request has expired or was answered already")]
    Gone,
    /// The rows.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Ends a transaction, once, and says where the browser goes: the client's redirect URI with a code or an error,
/// `state`, and `iss` in both cases (RFC 9207 §2).
///
/// # Errors
/// [`FinishError`]; the browser goes nowhere then.
pub async fn finish(issuer: &Issuer, id: &str, decision: Decision) -> Result<String, FinishError> {
    const INSERT: &str = "INSERT INTO authorization_codes (digest, request, approval, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5)";
    let request = transaction::take(issuer, id).await?.ok_or(FinishError::Gone)?;
    let approval = match decision {
        Decision::Refused(error) => return Ok(refused(issuer, &request, &error)),
        Decision::Approved(approval) => approval,
    };
    let code = secret_text::fresh("code_", issuer.dice.as_ref());
    let (digest, now) = (secret_text::digest(&code), issuer.now());
    let text = |value| serde_json::to_string(value).unwrap_or_default();
    let (kept, approval) = (text(&request), serde_json::to_string(&approval).unwrap_or_default());
    on!(issuer.db, pool => {
        let insert = sqlx::query(INSERT).bind(&digest).bind(&kept).bind(&approval);
        insert.bind(now.0).bind(now.after(CODE_LIFE).0).execute(pool).await.map(drop)
    })
    .map_err(StorageError::from)?;
    Ok(back(issuer, &request, &[("code", &code)]))
}

/// The way back with a refusal.
pub(crate) fn refused(issuer: &Issuer, request: &super::Transaction, error: &OauthError) -> String {
    back(issuer, request, &[("error", error.error), ("error_description", &error.description())])
}

/// The redirect URI with what is told to the client. Its own query stays (RFC 6749 §3.1.2).
fn back(issuer: &Issuer, request: &super::Transaction, told: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(told);
    query.extend_pairs(request.state.as_deref().map(|state| ("state", state)));
    query.append_pair("iss", &issuer.config().issuer);
    let joint = if request.redirect_uri.contains('?') { '&' } else { '?' };
    format!("{}{joint}{}", request.redirect_uri, query.finish())
}

/// How long a code may be redeemed.
const CODE_LIFE: Duration = Duration::from_secs(60);
