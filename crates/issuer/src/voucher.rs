//! Whether a provider still vouches for a person who signed in there. It is asked again, with a refresh token of its own,
//! before a token of ours is renewed (OpenID Connect Core 1.0 §11, §12), and says anew what the person's roles and groups
//! are. One that says no ends all that the person has here; one that cannot be asked is believed for the operator's grace.

use crate::grant::Why;
use crate::person::Arrival;
use crate::sign_in::{Again, Recheck, SignInError};
use crate::{Issuer, OauthError};
use ledger::{About, Event, What};
use model::Timestamp;
use std::time::Duration;
use storage::{StorageError, on, sqlx};
use vault::VaultError;

/// What is known of a person's provider.
#[derive(Clone, Debug, sqlx::FromRow)]
struct Voucher {
    tenant: String,
    provider: String,
    issuer: String,
    subject: String,
    token: Option<Vec<u8>>,
    vouched_at: i64,
    asking_until: i64,
}

/// What asking came to.
enum Answer {
    Vouched,
    /// It did not say anything that could be believed.
    Silent,
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
            (user_id, tenant, provider, issuer, subject, token, vouched_at, asking_until)
            VALUES ($1, $2, $3, $4, $5, $6, $7, 0)
        ON CONFLICT (user_id) DO UPDATE SET tenant = excluded.tenant, provider = excluded.provider,
            token = CASE WHEN vouchers.issuer = excluded.issuer AND vouchers.subject = excluded.subject
                THEN COALESCE(excluded.token, vouchers.token) ELSE excluded.token END,
            issuer = excluded.issuer, subject = excluded.subject, vouched_at = excluded.vouched_at, asking_until = 0";
    let desk = issuer.desk();
    let provider = desk.federation.provider(&arrival.tenant, &arrival.provider).ok();
    if provider.is_none_or(|provider| provider.config.recheck.is_none()) {
        return Ok(forget(issuer, user).await?);
    }
    let sealed = match token {
        Some(token) => Some(issuer.keyring.seal(&arrival.tenant, &place(user), token.as_bytes()).await?),
        None => None,
    };
    let now = issuer.now().0;
    on!(issuer.db, pool => {
        sqlx::query(KEEP).bind(user).bind(&arrival.tenant).bind(&arrival.provider).bind(&arrival.issuer)
            .bind(&arrival.subject).bind(&sealed).bind(now).execute(pool).await.map(drop)
    })
    .map_err(StorageError::from)?;
    Ok(())
}

/// Forgets what a provider said of a person.
///
/// # Errors
/// [`StorageError`].
pub(crate) async fn forget(issuer: &Issuer, user: &str) -> Result<(), StorageError> {
    const FORGET: &str = "DELETE FROM vouchers WHERE user_id = $1";
    on!(issuer.db, pool => sqlx::query(FORGET).bind(user).execute(pool).await.map(drop))?;
    Ok(())
}

/// Whether a person who signed in at a provider may have another token: the provider vouched lately, or does now.
/// SECURITY: whoever was removed there is out here at the next look, without anybody telling us
/// (tests: `whoever_their_provider_no_longer_vouches_for_is_out`, `a_provider_that_cannot_be_asked_is_believed_for_a_while`).
///
/// # Errors
/// `invalid_grant` when the provider says no, or was last heard too long ago and cannot be asked; `temporarily_unavailable`
/// when it is only away.
pub(crate) async fn check(issuer: &Issuer, user: &str) -> Result<(), OauthError> {
    // Whoever else asks has an answer by then.
    for _ in 0..WAITS {
        let Some(voucher) = find(issuer, user).await? else { return Ok(()) };
        let desk = issuer.desk();
        let provider = desk.federation.provider(&voucher.tenant, &voucher.provider).ok();
        let provider = provider.filter(|provider| provider.config.issuer == voucher.issuer);
        let provider = provider.ok_or_else(|| refused("the provider is no longer one of the tenant's"))?;
        let Some(Recheck { every, grace }) = provider.config.recheck else { return Ok(()) };
        let (now, age) = (issuer.now(), issuer.now().since(Timestamp(voucher.vouched_at)));
        if age < every {
            return Ok(());
        }
        let is_over = age >= grace;
        let Some(sealed) = &voucher.token else {
            return if is_over {
                Err(refused("the provider gave nothing to ask it with again"))
            } else {
                Ok(())
            };
        };
        if voucher.asking_until > now.0 {
            // Another request, here or at another replica.
            if !is_over {
                return Ok(());
            }
        } else if begins(issuer, user, &voucher, now).await? {
            let token = issuer.keyring.unseal(&voucher.tenant, &place(user), sealed).await?;
            let token = token.lend(|bytes| String::from_utf8_lossy(bytes).into_owned());
            let asked = desk.federation.again(provider, &voucher.subject, &token).await;
            return match heard(issuer, user, &voucher, asked).await? {
                Answer::Silent if is_over => Err(OauthError::unavailable()),
                Answer::Vouched | Answer::Silent => Ok(()),
            };
        }
        tokio::time::sleep(WAIT).await;
    }
    Err(OauthError::unavailable())
}

async fn find(issuer: &Issuer, user: &str) -> Result<Option<Voucher>, StorageError> {
    const FIND: &str = "SELECT tenant, provider, issuer, subject, token, vouched_at, asking_until
        FROM vouchers WHERE user_id = $1";
    Ok(on!(issuer.db, pool => sqlx::query_as(FIND).bind(user).fetch_optional(pool).await)?)
}

/// Takes the turn to ask: many providers take a refresh token once.
async fn begins(
    issuer: &Issuer,
    user: &str,
    voucher: &Voucher,
    now: Timestamp,
) -> Result<bool, StorageError> {
    const BEGIN: &str = "UPDATE vouchers SET asking_until = $1
        WHERE user_id = $2 AND asking_until <= $3 AND vouched_at = $4";
    let begun = on!(issuer.db, pool => {
        let begin = sqlx::query(BEGIN).bind(now.after(ASKING).0).bind(user).bind(now.0);
        begin.bind(voucher.vouched_at).execute(pool).await.map(|done| done.rows_affected())
    })?;
    Ok(begun == 1)
}

/// Takes up what the provider said.
async fn heard(
    issuer: &Issuer,
    user: &str,
    voucher: &Voucher,
    asked: Result<Again, SignInError>,
) -> Result<Answer, OauthError> {
    const VOUCHED: &str =
        "UPDATE vouchers SET token = $1, vouched_at = $2, asking_until = 0 WHERE user_id = $3";
    let again = match asked {
        Ok(again) => again,
        Err(error) if error.is_no() => {
            let by = format!("provider {}", voucher.provider);
            let why = Why { by: &by, reason: "the provider does not vouch for them any more" };
            issuer.note_after(Event {
                tenant: Some(voucher.tenant.as_str().into()),
                by: Some(by.as_str().into()),
                about: Some(About::new("user", user)),
                detail: Some(format!("{}: {error}", why.reason).into()),
                ..Event::of(What::SignedOut)
            });
            issuer.end_person(&voucher.tenant, user, why).await.map_err(|_| OauthError::unavailable())?;
            return Err(refused("the provider does not vouch for the person any more"));
        }
        Err(error) => {
            // The turn stays taken for a moment: one that is away is not asked by everybody at once.
            tracing::warn!(
                provider = voucher.provider,
                error = &error as &dyn std::error::Error,
                "a provider does not say whether it still vouches for a person"
            );
            return Ok(Answer::Silent);
        }
    };
    let sealed = match &again.refresh_token {
        Some(token) => Some(issuer.keyring.seal(&voucher.tenant, &place(user), token.as_bytes()).await?),
        None => voucher.token.clone(),
    };
    let now = issuer.now().0;
    on!(issuer.db, pool => {
        sqlx::query(VOUCHED).bind(&sealed).bind(now).bind(user).execute(pool).await.map(drop)
    })
    .map_err(StorageError::from)?;
    if let (Some(read), Some(person)) = (again.read, issuer.people.find(user).await?) {
        let (name, email) = (read.name.unwrap_or(person.name), read.email.or(person.email));
        let changed = issuer.people.change(user, &name, email.as_deref(), &read.roles, &read.groups).await;
        changed.map_err(|_| OauthError::unavailable())?;
    }
    Ok(Answer::Vouched)
}

impl Issuer {
    /// Forgets providers' words that no grant stands on any more.
    pub(crate) async fn sweep_vouchers(&self) -> Result<(), StorageError> {
        const SWEEP: &str = "DELETE FROM vouchers WHERE vouched_at <= $1";
        let before = self.now().0.saturating_sub(KEPT_MS);
        on!(self.db, pool => sqlx::query(SWEEP).bind(before).execute(pool).await.map(drop))?;
        Ok(())
    }
}

fn refused(why: &str) -> OauthError {
    OauthError::invalid_grant(format!("{why}; sign in again"))
}

/// What a sealed token belongs to: it opens in no other row.
fn place(user: &str) -> String {
    format!("voucher {user}")
}

/// How long one turn to ask lasts: longer than a provider may take, with its keys.
const ASKING: Duration = Duration::from_secs(30);
/// How often, and how long apart, it is looked whether another has asked.
const WAITS: u32 = 60;
const WAIT: Duration = Duration::from_millis(200);
/// Longer than a grant may live by default.
const KEPT_MS: i64 = 92 * 24 * 3600 * 1000;
