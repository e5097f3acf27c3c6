//! One question to a provider. It goes on when whoever waits for it has gone: a provider that has taken its token has given
//! another, which must not be lost.

use super::rows::{Voucher, place};
use crate::Issuer;
use crate::pages::Desk;
use crate::person::People;
use crate::sign_in::SignInError;
use model::{Clock, Timestamp};
use std::sync::Arc;
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
    desk: Arc<Desk>,
    db: Db,
    keyring: Arc<Keyring>,
    people: People,
    clock: Arc<dyn Clock>,
}

impl Question {
    pub(super) fn of(issuer: &Issuer, user: &str, voucher: &Voucher) -> Self {
        Self {
            user: user.to_owned(),
            voucher: voucher.clone(),
            desk: issuer.desk(),
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
            let done = self.exchange().await;
            if done.is_err() {
                self.pause().await;
            }
            done
        });
        let error = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(Ok(()))) => return Answer::Vouched,
            Ok(Ok(Err(error))) => error,
            Ok(Err(_)) | Err(_) => return Answer::Away,
        };
        if error.is_no() {
            return Answer::No(error.to_string());
        }
        tracing::warn!(
            provider,
            error = &error as &dyn std::error::Error,
            "a provider does not say whether it still vouches for a person"
        );
        if error.is_away() { Answer::Away } else { Answer::Unusable }
    }

    async fn exchange(&self) -> Result<(), SignInError> {
        let Voucher { tenant, provider, subject, token, .. } = &self.voucher;
        let lost = || SignInError::Storage(StorageError::Corrupt("a provider's token".to_owned()));
        let federation = &self.desk.federation;
        let provider = federation.provider(tenant, provider)?;
        let sealed = token.as_deref().ok_or_else(lost)?;
        let token = self.keyring.unseal(tenant, &place(&self.user), sealed).await.map_err(|_| lost())?;
        let token = token.lend(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let renewed = federation.renew(provider, &token).await?;
        // Before anything else can fail: the token that was shown may be good no more.
        if let Some(token) = &renewed.refresh_token {
            let sealed = self.keyring.seal(tenant, &place(&self.user), token.as_bytes()).await;
            self.store(&sealed.map_err(|_| lost())?).await?;
        }
        let read = federation.again(provider, subject, &renewed).await?;
        // The person first: as soon as the row says that the provider has spoken, nobody asks for a while.
        if let (Some(read), Some(person)) = (read, self.people.find(&self.user).await?)
            && self.is_current().await?
        {
            let (name, email) = (read.name.unwrap_or(person.name), read.email.or(person.email));
            let changed =
                self.people.change(&self.user, &name, email.as_deref(), &read.roles, &read.groups).await;
            changed.map_err(|_| SignInError::Storage(StorageError::Corrupt("a person".to_owned())))?;
        }
        self.vouched(self.clock.now()).await?;
        Ok(())
    }

    /// Lets go of the turn, but for a moment: one that does not answer is not asked by everybody at once.
    async fn pause(&self) {
        const PAUSED: &str = "UPDATE vouchers SET asking_until = $1 WHERE user_id = $2 AND vouched_at = $3";
        let until = self.clock.now().after(PAUSE).0;
        let paused = on!(self.db, pool => {
            sqlx::query(PAUSED).bind(until).bind(&self.user).bind(self.voucher.vouched_at)
                .execute(pool).await.map(drop)
        });
        // Else the turn ends by itself.
        drop(paused);
    }

    async fn store(&self, sealed: &[u8]) -> Result<(), StorageError> {
        const STORE: &str = "UPDATE vouchers SET token = $1 WHERE user_id = $2 AND vouched_at = $3";
        on!(self.db, pool => {
            sqlx::query(STORE).bind(sealed).bind(&self.user).bind(self.voucher.vouched_at)
                .execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// Whether nobody signed in, or was ended, since the question began.
    async fn is_current(&self) -> Result<bool, StorageError> {
        const CURRENT: &str = "SELECT COUNT(*) FROM vouchers WHERE user_id = $1 AND vouched_at = $2";
        let count: i64 = on!(self.db, pool => {
            sqlx::query_scalar(CURRENT).bind(&self.user).bind(self.voucher.vouched_at).fetch_one(pool).await
        })?;
        Ok(count == 1)
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

/// How long a provider that gave no answer is left alone.
const PAUSE: Duration = Duration::from_secs(30);
/// How long a request waits for a provider; the question goes on.
const PATIENCE: Duration = Duration::from_secs(12);
