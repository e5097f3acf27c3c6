//! People on their way to a provider and back.
//!
//! The state is a secret of 256 bits that travels in URLs; the browser's cookie is another that does not. Both must
//! come back, together, once, within ten minutes. Nonce and code verifier are made of both and kept nowhere.

use crate::secret_text;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{Clock, Dice, Digest};
use std::sync::Arc;
use std::time::Duration;
use storage::{Db, StorageError, on, sqlx};

/// All departures.
#[derive(Clone)]
pub(crate) struct Departures {
    db: Db,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
}

/// What somebody takes along.
pub(crate) struct Ticket {
    /// `state`.
    pub(crate) state: String,
    /// The cookie's value.
    pub(crate) browser: String,
}

/// Where somebody left for, and what for.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Departure {
    pub(crate) tenant: String,
    pub(crate) provider: String,
    /// The issuer that must be behind whatever comes back.
    pub(crate) issuer: String,
    /// Where the browser goes on to.
    pub(crate) next: String,
}

impl Ticket {
    /// The `nonce` of the ID token.
    pub(crate) fn nonce(&self) -> String {
        self.derived("nonce")
    }

    /// The code verifier (RFC 7636 §4.1): 43 characters.
    pub(crate) fn verifier(&self) -> String {
        self.derived("verifier")
    }

    fn derived(&self, what: &str) -> String {
        let parts = [what.as_bytes(), b"|", self.browser.as_bytes(), b"|", self.state.as_bytes()];
        URL_SAFE_NO_PAD.encode(Digest::of_parts(&parts).0)
    }
}

impl Departures {
    pub(crate) fn new(db: Db, clock: Arc<dyn Clock>, dice: Arc<dyn Dice>) -> Self {
        Self { db, clock, dice }
    }

    /// Writes a departure down.
    pub(crate) async fn leave(&self, departure: &Departure) -> Result<Ticket, StorageError> {
        const LEAVE: &str =
            "INSERT INTO departures (state, browser, tenant, provider, issuer, next, left_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let secret = || secret_text::bare(self.dice.as_ref());
        let ticket = Ticket { state: secret(), browser: secret() };
        let now = self.clock.now();
        on!(self.db, pool => {
            sqlx::query(LEAVE).bind(digest(&ticket.state)).bind(digest(&ticket.browser)).bind(&departure.tenant)
                .bind(&departure.provider).bind(&departure.issuer).bind(&departure.next).bind(now.0)
                .bind(now.after(LIFE).0).execute(pool).await.map(drop)
        })?;
        Ok(ticket)
    }

    /// Takes a departure back: once, and for the browser that left alone. SECURITY: of several at once one gets it; a
    /// state without its cookie, or with another browser's, gets none (tests:
    /// `of_many_returns_with_one_state_one_is_taken`, `a_state_without_its_cookie_or_in_another_browser_is_refused`).
    pub(crate) async fn back(&self, ticket: &Ticket) -> Result<Option<Departure>, StorageError> {
        const BACK: &str = "DELETE FROM departures WHERE state = $1 AND browser = $2 AND expires_at > $3
            RETURNING tenant, provider, issuer, next";
        let (state, browser) = (digest(&ticket.state), digest(&ticket.browser));
        let now = self.clock.now().0;
        Ok(on!(self.db, pool => {
            sqlx::query_as(BACK).bind(&state).bind(&browser).bind(now).fetch_optional(pool).await
        })?)
    }

    /// Forgets who did not come back.
    pub(crate) async fn sweep(&self) -> Result<(), StorageError> {
        const SWEEP: &str = "DELETE FROM departures WHERE expires_at <= $1";
        let now = self.clock.now().0;
        on!(self.db, pool => sqlx::query(SWEEP).bind(now).execute(pool).await.map(drop))?;
        Ok(())
    }
}

fn digest(secret: &str) -> String {
    Digest::of(secret.as_bytes()).to_string()
}

/// How long somebody may stay at a provider.
pub const LIFE: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;
    use model::{FixedClock, SystemDice, Timestamp};
    use testdb::TestDb;

    fn departure() -> Departure {
        Departure {
            tenant: "acme".into(),
            provider: "main".into(),
            issuer: "https://idp.example".into(),
            next: "/connections".into(),
        }
    }

    #[tokio::test]
    async fn a_state_comes_back_once_in_its_own_browser_and_in_time() {
        for test in TestDb::each().await {
            let clock = Arc::new(FixedClock::at(Timestamp(1000)));
            let departures =
                Departures::new(test.db.clone(), Arc::<FixedClock>::clone(&clock), Arc::new(SystemDice));
            let ticket = departures.leave(&departure()).await.unwrap();
            let other = departures.leave(&departure()).await.unwrap();
            assert_ne!(ticket.nonce(), ticket.verifier());
            assert_eq!(ticket.verifier().len(), 43);
            let crossed = Ticket { state: ticket.state.clone(), browser: other.browser.clone() };
            assert_eq!(departures.back(&crossed).await.unwrap(), None);
            assert_eq!(departures.back(&ticket).await.unwrap(), Some(departure()));
            assert_eq!(departures.back(&ticket).await.unwrap(), None);
            clock.advance(LIFE);
            assert_eq!(departures.back(&other).await.unwrap(), None);
            departures.sweep().await.unwrap();
        }
    }

    #[tokio::test]
    async fn of_many_returns_with_one_state_one_is_taken() {
        for test in TestDb::each().await {
            let clock = Arc::new(FixedClock::at(Timestamp(1000)));
            let departures = Departures::new(test.db.clone(), clock, Arc::new(SystemDice));
            let ticket = Arc::new(departures.leave(&departure()).await.unwrap());
            let tasks: Vec<_> = (0..50)
                .map(|_| {
                    let (departures, ticket) = (departures.clone(), Arc::clone(&ticket));
                    tokio::spawn(async move { departures.back(&ticket).await.unwrap().is_some() })
                })
                .collect();
            let mut taken = 0;
            for task in tasks {
                taken += usize::from(task.await.unwrap());
            }
            assert_eq!(taken, 1);
        }
    }
}
