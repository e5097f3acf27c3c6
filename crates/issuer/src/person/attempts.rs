//! How often somebody may try a password: by account and by address, with a waiting time that doubles.
//!
//! A try is counted as a failure before the password is looked at, in one statement, so that many at once cannot
//! be told apart from many in a row. A success takes the account's count back.

use model::{Clock, Digest, Timestamp};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use storage::{Db, StorageError, on, sqlx};

/// Come back then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many tries; wait {} s", .0.as_secs())]
pub struct Wait(pub Duration);

/// The tries of everybody.
#[derive(Clone)]
pub struct Attempts {
    db: Db,
    clock: Arc<dyn Clock>,
}

/// What a try counts against.
struct Line {
    who: String,
    /// Failures before there is a wait.
    free: i64,
    /// The longest wait.
    most: Duration,
}

impl Attempts {
    /// The tries counted in this database.
    pub fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock }
    }

    /// Counts a try; says how long to wait if it comes too soon after too many.
    ///
    /// # Errors
    /// [`StorageError`]; nothing may be tried then.
    pub async fn begin(
        &self,
        tenant: &str,
        account: &str,
        address: IpAddr,
    ) -> Result<Result<(), Wait>, StorageError> {
        for line in [by_account(tenant, account), by_address(address)] {
            if let Err(wait) = self.count(&line).await? {
                return Ok(Err(wait));
            }
        }
        Ok(Ok(()))
    }

    /// Takes the account's count back, and this try's of the address.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn succeeded(&self, tenant: &str, account: &str, address: IpAddr) -> Result<(), StorageError> {
        const FORGET: &str = "DELETE FROM sign_in_tries WHERE who = $1";
        const LESS: &str = "UPDATE sign_in_tries SET failures = failures - 1 WHERE who = $1 AND failures > 0";
        let (account, address) = (by_account(tenant, account).who, by_address(address).who);
        on!(self.db, pool => sqlx::query(FORGET).bind(&account).execute(pool).await.map(drop))?;
        on!(self.db, pool => sqlx::query(LESS).bind(&address).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Forgets who has not tried for a day.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn sweep(&self) -> Result<(), StorageError> {
        const SWEEP: &str = "DELETE FROM sign_in_tries WHERE last_at < $1";
        let before = self.clock.now().0.saturating_sub(REMEMBERED_MS);
        on!(self.db, pool => sqlx::query(SWEEP).bind(before).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// SECURITY: the count and the question whether one must wait are one statement (test:
    /// `fifty_guesses_at_once_are_no_more_than_fifty_in_a_row`).
    async fn count(&self, line: &Line) -> Result<Result<(), Wait>, StorageError> {
        // The wait after the n-th failure beyond the free ones: 2^n seconds, up to the most.
        const COUNT: &str =
            "INSERT INTO sign_in_tries (who, failures, wait_until, last_at) VALUES ($1, 1, 0, $2)
            ON CONFLICT (who) DO UPDATE SET
                failures = CASE WHEN sign_in_tries.last_at < $3 THEN 1 ELSE sign_in_tries.failures + 1 END,
                wait_until = CASE
                    WHEN sign_in_tries.last_at < $3 OR sign_in_tries.failures < $4 THEN 0
                    WHEN sign_in_tries.failures - $4 >= 20 THEN $2 + $5
                    WHEN (1000 * (1 << CAST(sign_in_tries.failures - $4 AS INTEGER))) > $5 THEN $2 + $5
                    ELSE $2 + 1000 * (1 << CAST(sign_in_tries.failures - $4 AS INTEGER)) END,
                last_at = $2
            WHERE sign_in_tries.wait_until <= $2
            RETURNING failures";
        const WHEN: &str = "SELECT wait_until FROM sign_in_tries WHERE who = $1";
        let now = self.clock.now();
        let most = i64::try_from(line.most.as_millis()).unwrap_or(i64::MAX);
        let forgotten = now.0.saturating_sub(REMEMBERED_MS);
        let counted: Option<i64> = on!(self.db, pool => {
            sqlx::query_scalar(COUNT).bind(&line.who).bind(now.0).bind(forgotten).bind(line.free).bind(most)
                .fetch_optional(pool).await
        })?;
        if counted.is_some() {
            return Ok(Ok(()));
        }
        let until: Option<i64> =
            on!(self.db, pool => sqlx::query_scalar(WHEN).bind(&line.who).fetch_optional(pool).await)?;
        let left = Timestamp(until.unwrap_or(now.0)).since(now);
        Ok(Err(Wait(Duration::from_secs(left.as_secs() + 1))))
    }
}

/// The name is hashed: people type passwords into the wrong field.
fn by_account(tenant: &str, account: &str) -> Line {
    let length = (tenant.len() as u64).to_be_bytes();
    let digest = Digest::of_parts(&[&length, tenant.as_bytes(), account.as_bytes()]);
    Line { who: format!("account {digest}"), free: FREE_OF_ACCOUNT, most: Duration::from_secs(300) }
}

/// An IPv6 network counts as one address, since whoever has one has all of it.
fn by_address(address: IpAddr) -> Line {
    let who = match address.to_canonical() {
        IpAddr::V4(address) => format!("address {address}"),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("address {a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    };
    Line { who, free: FREE_OF_ADDRESS, most: Duration::from_secs(900) }
}

/// Failures before an account waits.
const FREE_OF_ACCOUNT: i64 = 5;
/// Failures before an address waits: an office has one for all.
const FREE_OF_ADDRESS: i64 = 50;
/// How long failures are remembered.
const REMEMBERED_MS: i64 = 24 * 3600 * 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use model::FixedClock;
    use testdb::TestDb;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn the_wait_doubles_and_a_success_ends_it() {
        for test in TestDb::each().await {
            let clock = Arc::new(FixedClock::at(Timestamp(1_000_000)));
            let attempts = Attempts::new(test.db.clone(), Arc::<FixedClock>::clone(&clock));
            let mut waits = Vec::new();
            for _ in 0..9 {
                while let Err(Wait(wait)) = attempts.begin("acme", "alice", HERE).await.unwrap() {
                    waits.push(wait.as_secs());
                    clock.advance(wait);
                }
            }
            // Told a second more than needed, never less.
            assert_eq!(waits, [2, 3, 5]);
            // Another account is not held back, and another tenant's account of that name neither.
            assert_eq!(attempts.begin("acme", "bob", HERE).await.unwrap(), Ok(()));
            assert_eq!(attempts.begin("other", "alice", HERE).await.unwrap(), Ok(()));
            attempts.succeeded("acme", "alice", HERE).await.unwrap();
            assert_eq!(attempts.begin("acme", "alice", HERE).await.unwrap(), Ok(()));
            clock.advance(Duration::from_secs(48 * 3600));
            attempts.sweep().await.unwrap();
            for _ in 0..5 {
                assert_eq!(attempts.begin("acme", "alice", HERE).await.unwrap(), Ok(()));
            }
        }
    }

    #[tokio::test]
    async fn fifty_guesses_at_once_are_no_more_than_fifty_in_a_row() {
        for test in TestDb::each().await {
            let clock = Arc::new(FixedClock::at(Timestamp(1_000_000)));
            let attempts = Attempts::new(test.db.clone(), clock);
            let tasks: Vec<_> = (0..50)
                .map(|_| {
                    let attempts = attempts.clone();
                    tokio::spawn(async move { attempts.begin("acme", "alice", HERE).await.unwrap().is_ok() })
                })
                .collect();
            let mut allowed = 0;
            for task in tasks {
                allowed += i64::from(task.await.unwrap());
            }
            assert_eq!(allowed, FREE_OF_ACCOUNT + 1);
        }
    }

    #[tokio::test]
    async fn an_address_that_tries_every_account_waits_too() {
        for test in TestDb::each().await {
            let attempts = Attempts::new(test.db.clone(), Arc::new(FixedClock::at(Timestamp(1_000_000))));
            let mut allowed = 0;
            for number in 0..80 {
                allowed +=
                    i64::from(attempts.begin("acme", &format!("a{number}"), HERE).await.unwrap().is_ok());
            }
            assert_eq!(allowed, FREE_OF_ADDRESS + 1);
            let elsewhere = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
            assert_eq!(attempts.begin("acme", "a0", elsewhere).await.unwrap(), Ok(()));
        }
    }
}
