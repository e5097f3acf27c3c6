//! One question to a provider. It goes on when whoever waits for it has gone: a provider that has taken its token has given
//! another, which must not be lost.

use super::rows::{ASKING, Voucher, place};
use crate::Issuer;
use crate::pages::Desk;
use crate::person::People;
use crate::sign_in::SignInError;
use model::{Clock, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use storage::{Db, StorageError, on, sqlx};
use vault::Keyring;

/// What asking came to.
#[derive(Debug)]
pub(super) enum Answer {
    /// Yes, and what it says is taken up.
    Vouched,
    /// No; its word.
    No(String),
    /// It could not be asked, or did not answer in time.
    Away,
    /// It said what cannot be believed.
    Unusable,
}

/// A question, with all that it needs to go on by itself.
pub(super) struct Question {
    user: String,
    voucher: Voucher,
    /// The end of the turn that was taken for it, which tells it from every other.
    turn: AtomicI64,
    began: Timestamp,
    desk: Arc<Desk>,
    db: Db,
    keyring: Arc<Keyring>,
    people: People,
    clock: Arc<dyn Clock>,
}

impl Question {
    /// About a row, to the provider as it was found at that desk.
    pub(super) fn of(
        issuer: &Issuer,
        desk: Arc<Desk>,
        user: &str,
        voucher: &Voucher,
        turn: Timestamp,
    ) -> Self {
        Self {
            user: user.to_owned(),
            voucher: voucher.clone(),
            turn: AtomicI64::new(turn.0),
            began: issuer.now(),
            desk,
            db: issuer.db.clone(),
            keyring: Arc::clone(&issuer.keyring),
            people: issuer.people.clone(),
            clock: Arc::clone(&issuer.clock),
        }
    }

    /// Asks, and waits for so long and no longer.
    pub(super) async fn ask(self) -> Answer {
        let provider = self.voucher.provider.clone();
        let asked = tokio::spawn(async move {
            match self.exchange().await {
                Ok(()) => Answer::Vouched,
                Err(error) if error.is_no() => match self.refused().await {
                    Ok(true) => Answer::No(error.to_string()),
                    // Whoever signed in meanwhile has another word of the provider's.
                    Ok(false) => Answer::Vouched,
                    // It stays with its turn, and is asked about again after it.
                    Err(_) => Answer::Away,
                },
                Err(error) => {
                    self.pause().await;
                    tracing::warn!(
                        provider,
                        error = &error as &dyn std::error::Error,
                        "a provider does not say whether it still vouches for a person"
                    );
                    if error.is_away() { Answer::Away } else { Answer::Unusable }
                }
            }
        });
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Answer::Away,
        }
    }

    async fn exchange(&self) -> Result<(), SignInError> {
        let Voucher { tenant, provider, subject, token, .. } = &self.voucher;
        let lost = || SignInError::Storage(StorageError::Corrupt("a provider's token".to_owned()));
        let federation = &self.desk.federation;
        let provider = federation.provider(tenant, provider)?;
        let sealed = token.as_deref().ok_or_else(lost)?;
        let token = self.keyring.unseal(tenant, &place(&self.user), sealed).await.map_err(|_| lost())?;
        let token = token.lend(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let metadata = federation.ready(provider).await?;
        if !self.still_has_the_turn().await? {
            return Err(SignInError::Storage(StorageError::Conflict));
        }
        let renewed = federation.renew(provider, &metadata, &token).await?;
        // Before anything else can fail: the token that was shown may be good no more.
        if let Some(token) = &renewed.refresh_token {
            let sealed = self.keyring.seal(tenant, &place(&self.user), token.as_bytes()).await;
            self.store(&sealed.map_err(|_| lost())?).await?;
        }
        let read = federation.again(provider, subject, &renewed).await?;
        // The person first: as soon as the row says that the provider has spoken, nobody asks for a while.
        if let Some(read) = read {
            let said = (read.name.as_deref(), read.email.as_deref());
            self.people.hear(&self.user, said, &read.roles, &read.groups, self.began).await?;
        }
        self.vouched(self.clock.now()).await?;
        Ok(())
    }

    /// Lets go of the turn, but for a moment: one that does not answer is not asked by everybody at once.
    async fn pause(&self) {
        const PAUSED: &str = "UPDATE vouchers SET asking_until = $1 WHERE user_id = $2 AND asking_until = $3";
        let until = self.clock.now().after(PAUSE).0;
        let paused = on!(self.db, pool => {
            sqlx::query(PAUSED).bind(until).bind(&self.user).bind(self.turn.load(Ordering::Relaxed))
                .execute(pool).await.map(drop)
        });
        // Else the turn ends by itself.
        drop(paused);
    }

    /// Takes the turn anew, unless it is another's by now: the token is shown once.
    async fn still_has_the_turn(&self) -> Result<bool, StorageError> {
        const AGAIN: &str = "UPDATE vouchers SET asking_until = $1
            WHERE user_id = $2 AND vouched_at = $3 AND asking_until = $4";
        // One moment later, so that it is another turn in any case.
        let before = self.turn.load(Ordering::Relaxed);
        let turn = self.clock.now().after(ASKING).0.max(before.saturating_add(1));
        let taken = on!(self.db, pool => {
            let again = sqlx::query(AGAIN).bind(turn).bind(&self.user).bind(self.voucher.vouched_at);
            again.bind(before).execute(pool).await.map(|done| done.rows_affected())
        })?;
        self.turn.store(turn, Ordering::Relaxed);
        Ok(taken == 1)
    }

    /// Keeps the next token in the place of the one that was shown, wherever that is by now.
    async fn store(&self, sealed: &[u8]) -> Result<(), StorageError> {
        const STORE: &str = "UPDATE vouchers SET token = $1 WHERE user_id = $2 AND token = $3";
        let shown = self.voucher.token.as_deref();
        on!(self.db, pool => {
            sqlx::query(STORE).bind(sealed).bind(&self.user).bind(shown).execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// The provider said no: from now on it was last heard too long ago, so that a no which nobody waited for, or by which
    /// not all was ended, is heard again at the next look. `false` if it was about a sign-in of before.
    async fn refused(&self) -> Result<bool, StorageError> {
        const REFUSED: &str = "UPDATE vouchers SET vouched_at = $1, asking_until = 0
            WHERE user_id = $2 AND vouched_at = $3";
        let before = self.voucher.vouched_at;
        let done = on!(self.db, pool => {
            let refused = sqlx::query(REFUSED).bind(before.saturating_sub(LONGEST_GRACE_MS)).bind(&self.user);
            refused.bind(before).execute(pool).await.map(|done| done.rows_affected())
        })?;
        Ok(done == 1)
    }

    async fn vouched(&self, now: Timestamp) -> Result<(), StorageError> {
        const VOUCHED: &str = "UPDATE vouchers SET vouched_at = $1, asking_until = 0
            WHERE user_id = $2 AND vouched_at = $3";
        on!(self.db, pool => {
            sqlx::query(VOUCHED).bind(now.0).bind(&self.user).bind(self.voucher.vouched_at)
                .execute(pool).await.map(drop)
        })?;
        Ok(())
    }
}

/// The longest grace that may be configured.
const LONGEST_GRACE_MS: i64 = 24 * 3600 * 1000;
/// How long a provider that gave no answer is left alone.
const PAUSE: Duration = Duration::from_secs(30);
/// How long a request waits for a provider; the question goes on.
const PATIENCE: Duration = Duration::from_secs(12);
