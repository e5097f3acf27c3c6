//! The rows of people.

use crate::secret_text;
use model::{Clock, Dice, Timestamp};
use std::sync::Arc;
use storage::{Db, StorageError, on, sqlx, transaction};

/// Somebody who can sign in.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Person {
    /// `usr_` and 32 hexadecimal digits; the `sub` of their tokens. Stable.
    pub id: String,
    /// The tenant they belong to.
    pub tenant: String,
    /// Whether they may sign in and use what they have.
    pub is_active: bool,
    /// For display only.
    pub name: String,
    /// For display only.
    pub email: Option<String>,
    /// As last read at a sign-in, or as an administrator says; sorted.
    pub roles: Vec<String>,
    /// Likewise.
    pub groups: Vec<String>,
    /// When they were first seen.
    pub created_at: Timestamp,
    /// When they last signed in.
    pub last_sign_in_at: Option<Timestamp>,
}

/// Somebody whom a provider vouches for.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The tenant whose provider it is.
    pub tenant: String,
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's issuer.
    pub issuer: String,
    /// The provider's stable name for the person.
    pub subject: String,
    /// For display only.
    pub name: Option<String>,
    /// For display only.
    pub email: Option<String>,
    /// As mapped from the provider's claims.
    pub roles: Vec<String>,
    /// Likewise.
    pub groups: Vec<String>,
}

/// A person could not be let in or changed.
#[derive(Debug, thiserror::Error)]
pub enum PersonError {
    /// An administrator has disabled them.
    #[error("the person is disabled")]
    Disabled,
    /// There is no such person.
    #[error("no such person")]
    Unknown,
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<sqlx::Error> for PersonError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}

/// The people of all tenants.
#[derive(Clone)]
pub struct People {
    db: Db,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
}

type Row = (String, String, String, String, Option<String>, String, String, i64, Option<i64>);

impl People {
    /// The people of this database.
    pub fn new(db: Db, clock: Arc<dyn Clock>, dice: Arc<dyn Dice>) -> Self {
        Self { db, clock, dice }
    }

    /// Lets somebody in whom a provider vouches for: the person of that (issuer, subject), made at the first time.
    /// Roles, groups, name and e-mail are from now on what the provider says now. Of several at once one makes the row.
    ///
    /// # Errors
    /// [`PersonError::Disabled`].
    pub async fn arrive(&self, arrival: &Arrival) -> Result<Person, PersonError> {
        // A second look is enough: whoever was quicker has committed by then.
        for _ in 0..3 {
            match self.try_arrive(arrival).await {
                Err(PersonError::Storage(StorageError::Conflict)) => {}
                done => return done,
            }
        }
        Err(PersonError::Storage(StorageError::Conflict))
    }

    async fn try_arrive(&self, arrival: &Arrival) -> Result<Person, PersonError> {
        const FIND: &str =
            "SELECT user_id FROM user_identities WHERE tenant = $1 AND issuer = $2 AND subject = $3";
        const IDENTITY: &str = "INSERT INTO user_identities
            (tenant, issuer, subject, user_id, provider, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
        const UPDATE: &str =
            "UPDATE users SET name = $1, email = $2, roles = $3, member_of = $4, last_sign_in_at = $5
            WHERE id = $6 AND status = 'active'
            RETURNING id, tenant, status, name, email, roles, member_of, created_at, last_sign_in_at";
        let now = self.clock.now().0;
        let fresh = fresh_id(self.dice.as_ref());
        let name = arrival.name.clone().unwrap_or_else(|| "(no name)".to_owned());
        let (roles, groups) = (list(&arrival.roles), list(&arrival.groups));
        transaction!(self.db, tx => {
            let known: Option<String> = sqlx::query_scalar(FIND)
                .bind(&arrival.tenant).bind(&arrival.issuer).bind(&arrival.subject)
                .fetch_optional(&mut **tx).await?;
            let id = match known {
                Some(id) => id,
                None => {
                    sqlx::query(INSERT_USER).bind(&fresh).bind(&arrival.tenant).bind(&name)
                        .bind(&arrival.email).bind(&roles).bind(&groups).bind(now)
                        .execute(&mut **tx).await?;
                    sqlx::query(IDENTITY).bind(&arrival.tenant).bind(&arrival.issuer).bind(&arrival.subject)
                        .bind(&fresh).bind(&arrival.provider).bind(now).execute(&mut **tx).await?;
                    fresh.clone()
                }
            };
            let row: Option<Row> = sqlx::query_as(UPDATE).bind(&name).bind(&arrival.email).bind(&roles)
                .bind(&groups).bind(now).bind(&id).fetch_optional(&mut **tx).await?;
            person(row.ok_or(PersonError::Disabled)?).map_err(PersonError::from)
        })
    }

    /// The person of that id.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn find(&self, id: &str) -> Result<Option<Person>, StorageError> {
        const FIND: &str =
            "SELECT id, tenant, status, name, email, roles, member_of, created_at, last_sign_in_at
            FROM users WHERE id = $1";
        let row: Option<Row> =
            on!(self.db, pool => sqlx::query_as(FIND).bind(id).fetch_optional(pool).await)?;
        row.map(person).transpose()
    }

    /// The person whom a provider knows by that subject.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn known_as(
        &self,
        tenant: &str,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<Person>, StorageError> {
        const FIND: &str =
            "SELECT user_id FROM user_identities WHERE tenant = $1 AND issuer = $2 AND subject = $3";
        let id: Option<String> = on!(self.db, pool => {
            sqlx::query_scalar(FIND).bind(tenant).bind(issuer).bind(subject).fetch_optional(pool).await
        })?;
        match id {
            Some(id) => self.find(&id).await,
            None => Ok(None),
        }
    }

    /// The people of a tenant in the order of their ids, from behind `after` on, at most `limit`.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn list(&self, tenant: &str, after: &str, limit: u32) -> Result<Vec<Person>, StorageError> {
        const LIST: &str =
            "SELECT id, tenant, status, name, email, roles, member_of, created_at, last_sign_in_at
            FROM users WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3";
        let rows: Vec<Row> = on!(self.db, pool => {
            sqlx::query_as(LIST).bind(tenant).bind(after).bind(i64::from(limit)).fetch_all(pool).await
        })?;
        rows.into_iter().map(person).collect()
    }

    /// Disables somebody, or lets them in again. What they hold is ended by a revocation of kind `user`, which is the
    /// caller's to make; a disabled person opens no session, and theirs find nobody.
    ///
    /// # Errors
    /// [`PersonError::Unknown`].
    pub async fn set_active(&self, id: &str, is_active: bool) -> Result<Person, PersonError> {
        const SET: &str = "UPDATE users SET status = $1, disabled_at = $2 WHERE id = $3
            RETURNING id, tenant, status, name, email, roles, member_of, created_at, last_sign_in_at";
        let status = if is_active { "active" } else { "disabled" };
        let disabled_at = (!is_active).then(|| self.clock.now().0);
        let row: Option<Row> = on!(self.db, pool => {
            sqlx::query_as(SET).bind(status).bind(disabled_at).bind(id).fetch_optional(pool).await
        })?;
        Ok(person(row.ok_or(PersonError::Unknown)?)?)
    }

    /// Takes up what a provider says of somebody when it is asked again: name and e-mail where it says them, roles and groups.
    /// What a sign-in said since `began` is newer, and stays.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(crate) async fn hear(
        &self,
        id: &str,
        (name, email): (Option<&str>, Option<&str>),
        roles: &[String],
        groups: &[String],
        began: Timestamp,
    ) -> Result<(), StorageError> {
        const HEAR: &str =
            "UPDATE users SET name = COALESCE($1, name), email = COALESCE($2, email), roles = $3,
            member_of = $4 WHERE id = $5 AND (last_sign_in_at IS NULL OR last_sign_in_at < $6)";
        let (roles, groups) = (list(roles), list(groups));
        on!(self.db, pool => {
            sqlx::query(HEAR).bind(name).bind(email).bind(&roles).bind(&groups).bind(id).bind(began.0)
                .execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// Says what somebody is called and may do; for local accounts, since a provider's say so at each sign-in.
    ///
    /// # Errors
    /// [`PersonError::Unknown`].
    pub async fn change(
        &self,
        id: &str,
        name: &str,
        email: Option<&str>,
        roles: &[String],
        groups: &[String],
    ) -> Result<Person, PersonError> {
        const SET: &str = "UPDATE users SET name = $1, email = $2, roles = $3, member_of = $4 WHERE id = $5
            RETURNING id, tenant, status, name, email, roles, member_of, created_at, last_sign_in_at";
        let (roles, groups) = (list(roles), list(groups));
        let row: Option<Row> = on!(self.db, pool => {
            sqlx::query_as(SET).bind(name).bind(email).bind(&roles).bind(&groups).bind(id)
                .fetch_optional(pool).await
        })?;
        Ok(person(row.ok_or(PersonError::Unknown)?)?)
    }
}

pub(super) const INSERT_USER: &str = "INSERT INTO users
    (id, tenant, status, name, email, roles, member_of, created_at) VALUES ($1, $2, 'active', $3, $4, $5, $6, $7)";

/// A person's id.
pub(super) fn fresh_id(dice: &dyn Dice) -> String {
    secret_text::id("usr_", dice)
}

/// A sorted list without repeats, as JSON.
pub(super) fn list(items: &[String]) -> String {
    let mut items: Vec<&str> = items.iter().map(String::as_str).collect();
    items.sort_unstable();
    items.dedup();
    serde_json::json!(items).to_string()
}

pub(super) fn person(row: Row) -> Result<Person, StorageError> {
    let (id, tenant, status, name, email, roles, groups, created_at, last) = row;
    let read = |text: &str| {
        serde_json::from_str::<Vec<String>>(text).map_err(|_| StorageError::Corrupt(format!("person {id}")))
    };
    let (roles, groups) = (read(&roles)?, read(&groups)?);
    Ok(Person {
        is_active: status == "active",
        tenant,
        name,
        email,
        roles,
        groups,
        created_at: Timestamp(created_at),
        last_sign_in_at: last.map(Timestamp),
        id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{FixedClock, SystemDice};
    use testdb::TestDb;

    fn arrival(subject: &str, roles: &[&str]) -> Arrival {
        Arrival {
            tenant: "acme".into(),
            provider: "main".into(),
            issuer: "https://idp.example".into(),
            subject: subject.into(),
            name: Some("Alice".into()),
            email: Some("alice@acme.example".into()),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            groups: Vec::new(),
        }
    }

    fn people(db: &Db) -> People {
        People::new(db.clone(), Arc::new(FixedClock::at(Timestamp(1000))), Arc::new(SystemDice))
    }

    #[tokio::test]
    async fn people_are_found_by_issuer_and_subject_and_never_by_e_mail() {
        for test in TestDb::each().await {
            let people = people(&test.db);
            let first = people.arrive(&arrival("s1", &["reader"])).await.unwrap();
            assert_eq!(people.arrive(&arrival("s1", &[])).await.unwrap().id, first.id);
            // The same address at the same provider, and the same subject at another one or in another tenant.
            let other_subject = people.arrive(&arrival("s2", &[])).await.unwrap();
            let other_issuer = Arrival { issuer: "https://other.example".into(), ..arrival("s1", &[]) };
            let other_issuer = people.arrive(&other_issuer).await.unwrap();
            let other_tenant = Arrival { tenant: "other".into(), ..arrival("s1", &[]) };
            let other_tenant = people.arrive(&other_tenant).await.unwrap();
            let ids = [&first.id, &other_subject.id, &other_issuer.id, &other_tenant.id];
            let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
            assert_eq!(distinct.len(), 4);
            assert_eq!(people.list("acme", "", 10).await.unwrap().len(), 3);
            let known = people.known_as("acme", "https://idp.example", "s1").await.unwrap().unwrap();
            assert_eq!(known.id, first.id);
        }
    }

    #[tokio::test]
    async fn roles_are_what_the_provider_said_last() {
        for test in TestDb::each().await {
            let people = people(&test.db);
            let first = people.arrive(&arrival("s1", &["b", "a", "b"])).await.unwrap();
            assert_eq!(first.roles, ["a", "b"]);
            assert!(people.arrive(&arrival("s1", &[])).await.unwrap().roles.is_empty());
            assert!(people.find(&first.id).await.unwrap().unwrap().roles.is_empty());
        }
    }

    #[tokio::test]
    async fn a_disabled_person_does_not_arrive() {
        for test in TestDb::each().await {
            let people = people(&test.db);
            let alice = people.arrive(&arrival("s1", &[])).await.unwrap();
            assert!(!people.set_active(&alice.id, false).await.unwrap().is_active);
            assert!(matches!(people.arrive(&arrival("s1", &[])).await, Err(PersonError::Disabled)));
            people.set_active(&alice.id, true).await.unwrap();
            assert_eq!(people.arrive(&arrival("s1", &[])).await.unwrap().id, alice.id);
            assert!(matches!(people.set_active("usr_0", true).await, Err(PersonError::Unknown)));
        }
    }

    #[tokio::test]
    async fn of_many_first_sign_ins_at_once_one_makes_the_person() {
        for test in TestDb::each().await {
            let people = people(&test.db);
            let tasks: Vec<_> = (0..12)
                .map(|_| {
                    let people = people.clone();
                    tokio::spawn(async move { people.arrive(&arrival("s1", &[])).await.unwrap().id })
                })
                .collect();
            let mut ids = std::collections::BTreeSet::new();
            for task in tasks {
                ids.insert(task.await.unwrap());
            }
            assert_eq!(ids.len(), 1);
            assert_eq!(people.list("acme", "", 20).await.unwrap().len(), 1);
        }
    }
}
