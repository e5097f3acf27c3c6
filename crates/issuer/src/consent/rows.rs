//! The rows of consents.

use super::Asked;
use crate::secret_text;
use model::{Clock, Dice, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use storage::{Db, StorageError, on, sqlx};

/// A consent as it was given.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Consent {
    /// `cns_` and 32 hexadecimal digits.
    pub id: String,
    /// The person.
    pub user: String,
    /// Their tenant.
    pub tenant: String,
    /// The client.
    pub client: String,
    /// What it called itself.
    pub client_name: String,
    /// The resource.
    pub resource: String,
    /// The scopes, sorted.
    pub scopes: Vec<String>,
    /// The host that codes are sent to.
    pub redirect_host: String,
    /// A digest of what the client said of itself.
    pub metadata_hash: String,
    /// When it was given.
    pub given_at: Timestamp,
    /// When a code was last given by it.
    pub last_used_at: Timestamp,
    /// When the person is asked again.
    pub expires_at: Timestamp,
}

/// All consents.
#[derive(Clone)]
pub struct Consents {
    db: Db,
    lasts: Duration,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    user_id: String,
    tenant: String,
    client: String,
    client_name: String,
    resource: String,
    scopes: String,
    redirect_host: String,
    metadata_hash: String,
    given_at: i64,
    last_used_at: i64,
    expires_at: i64,
}

impl Consents {
    /// The consents of this database; a new one `lasts` that long.
    pub fn new(db: Db, lasts: Duration, clock: Arc<dyn Clock>, dice: Arc<dyn Dice>) -> Self {
        Self { db, lasts, clock, dice }
    }

    /// What this person has allowed this client at this resource.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn find(
        &self,
        user: &str,
        client: &str,
        resource: &str,
    ) -> Result<Option<Consent>, StorageError> {
        const FIND: &str = "SELECT id, user_id, tenant, client, client_name, resource, scopes, redirect_host,
            metadata_hash, given_at, last_used_at, expires_at
            FROM consents WHERE user_id = $1 AND client = $2 AND resource = $3";
        let row: Option<Row> = on!(self.db, pool => {
            sqlx::query_as(FIND).bind(user).bind(client).bind(resource).fetch_optional(pool).await
        })?;
        row.map(Consent::try_from).transpose()
    }

    /// Writes down what a person allowed, in the place of what they allowed before.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn give(&self, user: &str, tenant: &str, asked: &Asked) -> Result<Consent, StorageError> {
        const GIVE: &str = "INSERT INTO consents (id, user_id, tenant, client, client_name, resource, scopes,
                redirect_host, metadata_hash, given_at, last_used_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11)
            ON CONFLICT (user_id, client, resource) DO UPDATE SET
                id = excluded.id, client_name = excluded.client_name, scopes = excluded.scopes,
                redirect_host = excluded.redirect_host, metadata_hash = excluded.metadata_hash,
                given_at = excluded.given_at, last_used_at = excluded.last_used_at,
                expires_at = excluded.expires_at
            RETURNING id, user_id, tenant, client, client_name, resource, scopes, redirect_host, metadata_hash,
                given_at, last_used_at, expires_at";
        let id = secret_text::id("cns_", self.dice.as_ref());
        let now = self.clock.now();
        let mut scopes: Vec<&str> = asked.scopes.iter().map(String::as_str).collect();
        scopes.sort_unstable();
        scopes.dedup();
        let scopes = serde_json::json!(scopes).to_string();
        let row: Row = on!(self.db, pool => {
            sqlx::query_as(GIVE).bind(&id).bind(user).bind(tenant).bind(&asked.client).bind(&asked.client_name)
                .bind(&asked.resource).bind(&scopes).bind(&asked.redirect_host).bind(&asked.metadata_hash)
                .bind(now.0).bind(now.after(self.lasts).0).fetch_one(pool).await
        })?;
        row.try_into()
    }

    /// Notes that a code was given by this consent.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn used(&self, id: &str) -> Result<(), StorageError> {
        const USED: &str = "UPDATE consents SET last_used_at = $1 WHERE id = $2";
        let now = self.clock.now().0;
        on!(self.db, pool => sqlx::query(USED).bind(now).bind(id).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// What a person has allowed, the latest first, at most 500.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn of_user(&self, user: &str) -> Result<Vec<Consent>, StorageError> {
        const LIST: &str = "SELECT id, user_id, tenant, client, client_name, resource, scopes, redirect_host,
            metadata_hash, given_at, last_used_at, expires_at
            FROM consents WHERE user_id = $1 ORDER BY last_used_at DESC, id LIMIT 500";
        let rows: Vec<Row> = on!(self.db, pool => sqlx::query_as(LIST).bind(user).fetch_all(pool).await)?;
        rows.into_iter().map(Consent::try_from).collect()
    }

    /// Takes a consent of a person back; `None` if they have no such one. The last step of
    /// [`crate::Issuer::withdraw`].
    ///
    /// # Errors
    /// [`StorageError`].
    pub(crate) async fn withdraw(&self, user: &str, id: &str) -> Result<Option<Consent>, StorageError> {
        const TAKE: &str = "DELETE FROM consents WHERE id = $1 AND user_id = $2
            RETURNING id, user_id, tenant, client, client_name, resource, scopes, redirect_host, metadata_hash,
                given_at, last_used_at, expires_at";
        let row: Option<Row> =
            on!(self.db, pool => sqlx::query_as(TAKE).bind(id).bind(user).fetch_optional(pool).await)?;
        row.map(Consent::try_from).transpose()
    }
}

impl TryFrom<Row> for Consent {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        let scopes = serde_json::from_str(&row.scopes)
            .map_err(|_| StorageError::Corrupt(format!("consent {}", row.id)))?;
        Ok(Self {
            id: row.id,
            user: row.user_id,
            tenant: row.tenant,
            client: row.client,
            client_name: row.client_name,
            resource: row.resource,
            scopes,
            redirect_host: row.redirect_host,
            metadata_hash: row.metadata_hash,
            given_at: Timestamp(row.given_at),
            last_used_at: Timestamp(row.last_used_at),
            expires_at: Timestamp(row.expires_at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::{Arrival, People};
    use model::{FixedClock, SystemDice};
    use testdb::TestDb;

    fn asked(client: &str) -> Asked {
        Asked {
            client: client.into(),
            client_name: "Client".into(),
            resource: "https://gw.example/mcp".into(),
            scopes: vec!["write".into(), "read".into(), "read".into()],
            redirect_host: "app.example".into(),
            is_local: false,
            metadata_hash: "m1".into(),
            is_approved: false,
        }
    }

    #[tokio::test]
    async fn a_consent_is_found_replaced_and_withdrawn_by_its_own_person_only() {
        for test in TestDb::each().await {
            let clock = Arc::new(FixedClock::at(Timestamp(1000)));
            let people = People::new(test.db.clone(), Arc::<FixedClock>::clone(&clock), Arc::new(SystemDice));
            let arrive = async |subject: &str| {
                let arrival = Arrival {
                    tenant: "acme".into(),
                    provider: "main".into(),
                    issuer: "https://idp.example".into(),
                    subject: subject.into(),
                    name: None,
                    email: None,
                    roles: Vec::new(),
                    groups: Vec::new(),
                };
                people.arrive(&arrival).await.unwrap().id
            };
            let (alice, bob) = (arrive("alice").await, arrive("bob").await);
            let lasts = Duration::from_secs(10);
            let consents =
                Consents::new(test.db.clone(), lasts, Arc::<FixedClock>::clone(&clock), Arc::new(SystemDice));
            let given = consents.give(&alice, "acme", &asked("one")).await.unwrap();
            assert_eq!(given.scopes, ["read", "write"]);
            let find = async |user: &str, client: &str| {
                consents.find(user, client, "https://gw.example/mcp").await.unwrap()
            };
            assert_eq!(find(&alice, "one").await, Some(given.clone()));
            assert_eq!(find(&bob, "one").await, None);
            assert_eq!(find(&alice, "two").await, None);
            let fewer = Asked { scopes: vec!["read".into()], ..asked("one") };
            let again = consents.give(&alice, "acme", &fewer).await.unwrap();
            assert_eq!(find(&alice, "one").await, Some(again.clone()));
            consents.give(&alice, "acme", &asked("two")).await.unwrap();
            assert_eq!(consents.of_user(&alice).await.unwrap().len(), 2);
            assert_eq!(consents.withdraw(&bob, &again.id).await.unwrap(), None);
            assert_eq!(consents.withdraw(&alice, &given.id).await.unwrap(), None, "replaced");
            assert_eq!(consents.withdraw(&alice, &again.id).await.unwrap(), Some(again));
            assert_eq!(find(&alice, "one").await, None);
        }
    }
}
