//! Local accounts: for a machine without an identity provider.

use super::users::{INSERT_USER, fresh_id, list};
use super::{Attempts, Hasher, PasswordError, People, Person, PersonError, Wait};
use crate::secret_text;
use model::{Clock, Dice, Digest, Secret, Timestamp};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use storage::{Db, StorageError, on, sqlx, transaction};

/// An account to be.
#[derive(Clone, Debug, Default)]
pub struct NewAccount {
    /// The tenant.
    pub tenant: String,
    /// What is typed to sign in: 1 to 128 of a-z, 0-9 and `._@+-`, whatever the case.
    pub account: String,
    /// For display; the account's name if it is empty.
    pub name: String,
    /// For display.
    pub email: Option<String>,
    /// What the person is here.
    pub roles: Vec<String>,
    /// Likewise.
    pub groups: Vec<String>,
}

/// How the first password comes about.
pub enum Initial {
    /// By a link that sets it, once, within a day.
    Link,
    /// This one.
    Password(Arc<Secret>),
}

/// An account that was made.
pub struct Created {
    /// The person's id.
    pub user: String,
    /// What `/sign-in/password?link=` wants, if a link was asked for. Shown once; only its digest is kept.
    pub link: Option<String>,
}

/// An account as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AccountRow {
    /// The tenant.
    pub tenant: String,
    /// What is typed to sign in.
    pub account: String,
    /// The person's id.
    pub user: String,
    /// When the password was set; `None` while there is none.
    pub password_set_at: Option<Timestamp>,
}

/// Something about an account was not done.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The name and the password do not fit, or there is no such account. Never says which.
    #[error("the name or the password is wrong")]
    Wrong,
    /// Not yet again.
    #[error(transparent)]
    Wait(#[from] Wait),
    /// The person is disabled. Said only to whoever knows the password.
    #[error("the account is disabled")]
    Disabled,
    /// The name cannot be one.
    #[error("an account's name is 1 to 128 of a-z, 0-9 and ._@+-")]
    Name,
    /// There is an account of that name.
    #[error("there is an account of that name")]
    Taken,
    /// There is no such account.
    #[error("no such account")]
    Unknown,
    /// The link was used, has expired, or never was.
    #[error("the link was used already or has expired")]
    Link,
    /// The password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<sqlx::Error> for AccountError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}

impl From<PersonError> for AccountError {
    fn from(error: PersonError) -> Self {
        match error {
            PersonError::Disabled => Self::Disabled,
            PersonError::Unknown => Self::Unknown,
            PersonError::Storage(error) => Self::Storage(error),
        }
    }
}

/// The local accounts of all tenants.
#[derive(Clone)]
pub struct Accounts {
    db: Db,
    people: People,
    attempts: Attempts,
    hasher: Arc<Hasher>,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
}

impl Accounts {
    /// The accounts of this database.
    pub fn new(db: Db, hasher: Arc<Hasher>, clock: Arc<dyn Clock>, dice: Arc<dyn Dice>) -> Self {
        let people = People::new(db.clone(), Arc::clone(&clock), Arc::clone(&dice));
        let attempts = Attempts::new(db.clone(), Arc::clone(&clock));
        Self { db, people, attempts, hasher, clock, dice }
    }

    /// Makes an account and its person.
    ///
    /// # Errors
    /// [`AccountError::Name`], [`AccountError::Taken`], [`AccountError::Password`].
    pub async fn create(&self, new: &NewAccount, initial: Initial) -> Result<Created, AccountError> {
        const ACCOUNT: &str = "INSERT INTO local_accounts (tenant, name, user_id, password, password_set_at)
            VALUES ($1, $2, $3, $4, $5)";
        let account = account_name(&new.account).ok_or(AccountError::Name)?;
        let (hash, link) = match &initial {
            Initial::Password(password) => (Some(self.hasher.hash(&account, password).await?), None),
            Initial::Link => (None, Some(self.secret())),
        };
        let now = self.clock.now();
        let user = fresh_id(self.dice.as_ref());
        let (roles, groups) = (list(&new.roles), list(&new.groups));
        let name = if new.name.is_empty() { account.as_str() } else { new.name.as_str() };
        let set_at = hash.as_ref().map(|_| now.0);
        let done: Result<(), AccountError> = transaction!(self.db, tx => {
            sqlx::query(INSERT_USER).bind(&user).bind(&new.tenant).bind(name).bind(&new.email).bind(&roles)
                .bind(&groups).bind(now.0).execute(&mut **tx).await?;
            sqlx::query(ACCOUNT).bind(&new.tenant).bind(&account).bind(&user).bind(&hash).bind(set_at)
                .execute(&mut **tx).await?;
            if let Some(link) = &link {
                sqlx::query(INSERT_LINK).bind(digest(link)).bind(&user).bind(now.after(LINK_LIFE).0)
                    .execute(&mut **tx).await?;
            }
            Ok(())
        });
        match done {
            Err(AccountError::Storage(StorageError::Conflict)) => Err(AccountError::Taken),
            done => done.map(|()| Created { user, link }),
        }
    }

    /// A link that sets an account's password, once, within a day; links made before no longer do.
    ///
    /// # Errors
    /// [`AccountError::Unknown`].
    pub async fn link(&self, user: &str) -> Result<String, AccountError> {
        const KNOWN: &str = "SELECT user_id FROM local_accounts WHERE user_id = $1";
        const FORGET: &str = "DELETE FROM password_links WHERE user_id = $1";
        let link = self.secret();
        let until = self.clock.now().after(LINK_LIFE).0;
        transaction!(self.db, tx => {
            let known: Option<String> = sqlx::query_scalar(KNOWN).bind(user).fetch_optional(&mut **tx).await?;
            if known.is_none() {
                return Err(AccountError::Unknown);
            }
            sqlx::query(FORGET).bind(user).execute(&mut **tx).await?;
            sqlx::query(INSERT_LINK).bind(digest(&link)).bind(user).bind(until).execute(&mut **tx).await?;
            Ok(link.clone())
        })
    }

    /// The account's name that a link is for, without using it up.
    ///
    /// # Errors
    /// [`AccountError::Link`].
    pub async fn linked(&self, link: &str) -> Result<String, AccountError> {
        const FIND: &str =
            "SELECT a.name FROM password_links l JOIN local_accounts a ON a.user_id = l.user_id
            WHERE l.digest = $1 AND l.expires_at > $2";
        let (digest, now) = (digest(link), self.clock.now().0);
        let name: Option<String> = on!(self.db, pool => {
            sqlx::query_scalar(FIND).bind(&digest).bind(now).fetch_optional(pool).await
        })?;
        name.ok_or(AccountError::Link)
    }

    /// The person whom a link is for, without using it up.
    ///
    /// # Errors
    /// [`AccountError::Link`].
    pub async fn of_link(&self, link: &str) -> Result<String, AccountError> {
        const FIND: &str = "SELECT user_id FROM password_links WHERE digest = $1 AND expires_at > $2";
        let (digest, now) = (digest(link), self.clock.now().0);
        let user: Option<String> = on!(self.db, pool => {
            sqlx::query_scalar(FIND).bind(&digest).bind(now).fetch_optional(pool).await
        })?;
        user.ok_or(AccountError::Link)
    }

    /// Sets a password by a link, which is used up: of several at once one does. Returns the person's id; their
    /// sessions are the caller's to end.
    ///
    /// # Errors
    /// [`AccountError::Link`], [`AccountError::Password`]; a refused password leaves the link as it is.
    pub async fn set_by_link(&self, link: &str, password: &Arc<Secret>) -> Result<String, AccountError> {
        const TAKE: &str =
            "DELETE FROM password_links WHERE digest = $1 AND expires_at > $2 RETURNING user_id";
        let account = self.linked(link).await?;
        let hash = self.hasher.hash(&account, password).await?;
        let (digest, now) = (digest(link), self.clock.now().0);
        transaction!(self.db, tx => {
            let user: Option<String> =
                sqlx::query_scalar(TAKE).bind(&digest).bind(now).fetch_optional(&mut **tx).await?;
            let user = user.ok_or(AccountError::Link)?;
            sqlx::query(SET_PASSWORD).bind(&hash).bind(now).bind(&user).execute(&mut **tx).await?;
            Ok(user)
        })
    }

    /// Sets a password as an administrator says.
    ///
    /// # Errors
    /// [`AccountError::Unknown`], [`AccountError::Password`].
    pub async fn set(&self, user: &str, password: &Arc<Secret>) -> Result<(), AccountError> {
        const NAME: &str = "SELECT name FROM local_accounts WHERE user_id = $1";
        let name: Option<String> =
            on!(self.db, pool => sqlx::query_scalar(NAME).bind(user).fetch_optional(pool).await)?;
        let hash = self.hasher.hash(&name.ok_or(AccountError::Unknown)?, password).await?;
        let now = self.clock.now().0;
        on!(self.db, pool => {
            sqlx::query(SET_PASSWORD).bind(&hash).bind(now).bind(user).execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// The person whose name and password these are. Costs the same whether there is such an account or not.
    ///
    /// # Errors
    /// [`AccountError::Wrong`], [`AccountError::Wait`], [`AccountError::Disabled`], [`PasswordError::Busy`].
    pub async fn verify(
        &self,
        tenant: &str,
        account: &str,
        password: &Arc<Secret>,
        address: IpAddr,
    ) -> Result<Person, AccountError> {
        const FIND: &str = "SELECT user_id, password FROM local_accounts WHERE tenant = $1 AND name = $2";
        const SIGNED_IN: &str = "UPDATE users SET last_sign_in_at = $1 WHERE id = $2";
        // What can be no name is looked for all the same.
        let account = account_name(account).unwrap_or_else(|| digest(account));
        self.attempts.begin(tenant, &account, address).await??;
        let found: Option<(String, Option<String>)> = on!(self.db, pool => {
            sqlx::query_as(FIND).bind(tenant).bind(&account).fetch_optional(pool).await
        })?;
        let (user, hash) = found.map_or((None, None), |(user, hash)| (Some(user), hash));
        let (true, Some(user)) = (self.hasher.verify(hash, password).await?, user) else {
            return Err(AccountError::Wrong);
        };
        self.attempts.succeeded(tenant, &account, address).await?;
        let person = self.people.find(&user).await?.filter(|person| person.is_active);
        let person = person.ok_or(AccountError::Disabled)?;
        let now = self.clock.now().0;
        on!(self.db, pool => sqlx::query(SIGNED_IN).bind(now).bind(&user).execute(pool).await.map(drop))?;
        Ok(person)
    }

    /// The accounts of a tenant in the order of their names, from behind `after` on, at most `limit`.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn list(&self, tenant: &str, after: &str, limit: u32) -> Result<Vec<AccountRow>, StorageError> {
        const LIST: &str = "SELECT tenant, name, user_id, password_set_at FROM local_accounts
            WHERE tenant = $1 AND name > $2 ORDER BY name LIMIT $3";
        type Row = (String, String, String, Option<i64>);
        let rows: Vec<Row> = on!(self.db, pool => {
            sqlx::query_as(LIST).bind(tenant).bind(after).bind(i64::from(limit)).fetch_all(pool).await
        })?;
        let row = |(tenant, account, user, set): Row| AccountRow {
            tenant,
            account,
            user,
            password_set_at: set.map(Timestamp),
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Forgets links that have expired, and old tries.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn sweep(&self) -> Result<(), StorageError> {
        const SWEEP: &str = "DELETE FROM password_links WHERE expires_at <= $1";
        let now = self.clock.now().0;
        on!(self.db, pool => sqlx::query(SWEEP).bind(now).execute(pool).await.map(drop))?;
        self.attempts.sweep().await
    }

    fn secret(&self) -> String {
        secret_text::bare(self.dice.as_ref())
    }
}

const INSERT_LINK: &str = "INSERT INTO password_links (digest, user_id, expires_at) VALUES ($1, $2, $3)";
const SET_PASSWORD: &str = "UPDATE local_accounts SET password = $1, password_set_at = $2 WHERE user_id = $3";

fn digest(secret: &str) -> String {
    Digest::of(secret.as_bytes()).to_string()
}

/// The name as it is kept; `None` if it can be none.
fn account_name(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let fits = (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte));
    fits.then_some(text)
}

/// How long a link can be used.
const LINK_LIFE: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;
    use model::{FixedClock, SystemDice};
    use testdb::TestDb;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn secret(text: &str) -> Arc<Secret> {
        Arc::new(Secret::new(text.as_bytes().to_vec()))
    }

    fn accounts(db: &Db) -> (Accounts, Arc<FixedClock>) {
        let clock = Arc::new(FixedClock::at(Timestamp(1_000_000)));
        let hasher = Arc::new(Hasher::quick(Arc::new(SystemDice)));
        (Accounts::new(db.clone(), hasher, Arc::<FixedClock>::clone(&clock), Arc::new(SystemDice)), clock)
    }

    fn alice() -> NewAccount {
        NewAccount { tenant: "acme".into(), account: "Alice".into(), ..NewAccount::default() }
    }

    #[tokio::test]
    async fn an_account_is_made_by_a_link_that_works_once() {
        for test in TestDb::each().await {
            let (accounts, clock) = accounts(&test.db);
            let made = accounts.create(&alice(), Initial::Link).await.unwrap();
            let link = made.link.unwrap();
            // Without a password nobody gets in, not even with an empty one.
            let refused = accounts.verify("acme", "alice", &secret(""), HERE).await;
            assert!(matches!(refused, Err(AccountError::Wrong)));
            assert_eq!(accounts.linked(&link).await.unwrap(), "alice");
            let short = accounts.set_by_link(&link, &secret("short")).await;
            assert!(matches!(short, Err(AccountError::Password(PasswordError::TooShort))));
            let user = accounts.set_by_link(&link, &secret("wonderland is near")).await.unwrap();
            assert_eq!(user, made.user);
            let again = accounts.set_by_link(&link, &secret("another pass word")).await;
            assert!(matches!(again, Err(AccountError::Link)));
            let person =
                accounts.verify("acme", " ALICE ", &secret("wonderland is near"), HERE).await.unwrap();
            assert_eq!(person.id, user);
            let late = accounts.link(&user).await.unwrap();
            clock.advance(Duration::from_secs(25 * 3600));
            assert!(matches!(accounts.linked(&late).await, Err(AccountError::Link)));
            accounts.sweep().await.unwrap();
        }
    }

    #[tokio::test]
    async fn fifty_uses_of_one_link_at_once_set_one_password() {
        for test in TestDb::each().await {
            let (accounts, _) = accounts(&test.db);
            let link = accounts.create(&alice(), Initial::Link).await.unwrap().link.unwrap();
            // No more than the hasher's queue takes.
            let tasks: Vec<_> = (0..20)
                .map(|number| {
                    let (accounts, link) = (accounts.clone(), link.clone());
                    tokio::spawn(async move {
                        let password = secret(&format!("pass word number {number}"));
                        accounts.set_by_link(&link, &password).await.is_ok()
                    })
                })
                .collect();
            let mut set = 0;
            for task in tasks {
                set += usize::from(task.await.unwrap());
            }
            assert_eq!(set, 1);
        }
    }

    #[tokio::test]
    async fn a_wrong_name_and_a_wrong_password_are_told_alike_and_wait_alike() {
        for test in TestDb::each().await {
            let (accounts, _) = accounts(&test.db);
            let initial = Initial::Password(secret("wonderland is near"));
            accounts.create(&alice(), initial).await.unwrap();
            for name in ["alice", "nobody", "not/a name"] {
                for _ in 0..6 {
                    let refused = accounts.verify("acme", name, &secret("wrong"), HERE).await;
                    assert!(matches!(refused, Err(AccountError::Wrong)), "{name}");
                }
                let refused = accounts.verify("acme", name, &secret("wonderland is near"), HERE).await;
                assert!(matches!(refused, Err(AccountError::Wait(_))), "{name}");
            }
            // Another tenant has no such account.
            let elsewhere = accounts.verify("other", "alice", &secret("wonderland is near"), HERE).await;
            assert!(matches!(elsewhere, Err(AccountError::Wrong)));
        }
    }

    #[tokio::test]
    async fn names_are_one_and_taken_once() {
        for test in TestDb::each().await {
            let (accounts, _) = accounts(&test.db);
            accounts.create(&alice(), Initial::Link).await.unwrap();
            let again =
                accounts.create(&NewAccount { account: "ALICE".into(), ..alice() }, Initial::Link).await;
            assert!(matches!(again, Err(AccountError::Taken)));
            let other = NewAccount { tenant: "other".into(), ..alice() };
            assert!(accounts.create(&other, Initial::Link).await.is_ok());
            for bad in ["", "a b", "ä", "a/b"] {
                let refused =
                    accounts.create(&NewAccount { account: bad.into(), ..alice() }, Initial::Link).await;
                assert!(matches!(refused, Err(AccountError::Name)), "{bad}");
            }
            assert_eq!(accounts.list("acme", "", 10).await.unwrap().len(), 1);
        }
    }

    #[tokio::test]
    async fn a_disabled_account_is_not_let_in() {
        for test in TestDb::each().await {
            let (accounts, _) = accounts(&test.db);
            let initial = Initial::Password(secret("wonderland is near"));
            let made = accounts.create(&alice(), initial).await.unwrap();
            accounts.people.set_active(&made.user, false).await.unwrap();
            let refused = accounts.verify("acme", "alice", &secret("wonderland is near"), HERE).await;
            assert!(matches!(refused, Err(AccountError::Disabled)));
        }
    }
}
