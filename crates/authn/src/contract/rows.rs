//! Contracts as rows: drafts, the one in shadow, the one enforced, and those before it.
//!
//! Of each issuer and resource at most one contract is enforced and at most one in shadow; indices see to that, whoever
//! races. A version is written once and never changed: what changes is where it is in its life.

use super::{Contract, ContractFault, Document, SampleFault};
use model::{Clock, Timestamp};
use std::sync::Arc;
use storage::{Db, Notices, StorageError, on, sqlx, transaction};

/// Of what a contract is: an issuer, and one resource or all of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct ContractKey {
    /// The issuer.
    pub issuer: String,
    /// The resource; `None`: every resource without a contract of its own.
    pub resource: Option<String>,
}

/// Where a version is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Written, and used for nothing.
    Draft,
    /// Evaluated beside the enforced one; differences are counted and logged.
    Shadow,
    /// In force.
    Enforced,
    /// Was enforced or in shadow.
    Retired,
}

impl Status {
    /// The word in rows and APIs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Shadow => "shadow",
            Self::Enforced => "enforced",
            Self::Retired => "retired",
        }
    }

    fn parse(text: &str) -> Result<Self, StorageError> {
        [Self::Draft, Self::Shadow, Self::Enforced, Self::Retired]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| StorageError::Corrupt(format!("a contract in status {text:?}")))
    }
}

/// One version of a contract.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ContractRow {
    /// Of what it is.
    #[serde(flatten)]
    pub key: ContractKey,
    /// Counts up from one.
    pub version: i64,
    /// Where it is in its life.
    pub status: Status,
    /// The document, as JSON. Read it with [`ContractRow::parsed`].
    #[serde(skip)]
    pub document: String,
    /// When it was written, in milliseconds since the epoch.
    pub created_at: Timestamp,
    /// Who wrote it.
    pub created_by: String,
    /// When its status was set.
    pub changed_at: Timestamp,
    /// Who set it.
    pub changed_by: String,
    /// When it was first enforced.
    pub enforced_at: Option<Timestamp>,
}

impl ContractRow {
    /// The document.
    ///
    /// # Errors
    /// What the reader says: a row of a newer program may hold what this one does not know.
    pub fn parsed(&self) -> Result<Document, String> {
        serde_json::from_str(&self.document).map_err(|error| error.to_string())
    }

    /// The contract, compiled.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn compiled(&self) -> Result<Contract, String> {
        Contract::compile(&self.parsed()?, self.version)
            .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }
}

/// A contract could not be written or changed.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// The document is no contract.
    #[error("the contract has {} fault(s): {}", .0.len(), join(.0))]
    Faults(Vec<ContractFault>),
    /// Its samples do not do what they have to.
    #[error("{} sample(s) did not do what they have to: {}", .0.len(), join(.0))]
    Samples(Vec<SampleFault>),
    /// There is no such version, or none to go back to.
    #[error("there is no such version of a contract")]
    Unknown,
    /// The version is enforced already, or was never enforced.
    #[error("a version that is {0} cannot become that")]
    Status(&'static str),
    /// The row holds what this program cannot read.
    #[error("the contract cannot be read: {0}")]
    Unreadable(String),
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<sqlx::Error> for ContractError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}

fn join(faults: &[impl ToString]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The repository. Cheap to clone.
#[derive(Clone)]
pub struct Contracts {
    db: Db,
    clock: Arc<dyn Clock>,
}

type Raw = (String, String, i64, String, String, i64, String, i64, String, Option<i64>);

fn row(raw: Raw) -> Result<ContractRow, StorageError> {
    let (
        issuer,
        resource,
        version,
        status,
        document,
        created_at,
        created_by,
        changed_at,
        changed_by,
        enforced,
    ) = raw;
    Ok(ContractRow {
        key: ContractKey { issuer, resource: (!resource.is_empty()).then_some(resource) },
        version,
        status: Status::parse(&status)?,
        document,
        created_at: Timestamp(created_at),
        created_by,
        changed_at: Timestamp(changed_at),
        changed_by,
        enforced_at: enforced.map(Timestamp),
    })
}

impl ContractKey {
    fn resource_column(&self) -> &str {
        self.resource.as_deref().unwrap_or_default()
    }
}

impl Contracts {
    /// The contracts of a database.
    pub fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock }
    }

    /// Writes a draft under the next number. The document is checked; its samples are tried when it is published.
    ///
    /// # Errors
    /// [`ContractError::Faults`], or the database's.
    pub async fn draft(&self, document: &Document, by: &str) -> Result<ContractRow, ContractError> {
        Contract::compile(document, 1).map_err(ContractError::Faults)?;
        let key = ContractKey { issuer: document.issuer.clone(), resource: document.resource.clone() };
        let text =
            serde_json::to_string(document).map_err(|error| ContractError::Unreadable(error.to_string()))?;
        let now = self.clock.now().0;
        for _ in 0..TRIES {
            let written: Result<Option<Raw>, sqlx::Error> = on!(self.db, pool => {
                sqlx::query_as(DRAFT)
                    .bind(&key.issuer)
                    .bind(key.resource_column())
                    .bind(&text)
                    .bind(now)
                    .bind(by)
                    .fetch_optional(pool)
                    .await
            });
            match written.map_err(StorageError::from) {
                // Somebody else took the number.
                Err(StorageError::Conflict) | Ok(None) => {}
                Err(error) => return Err(error.into()),
                Ok(Some(raw)) => return Ok(row(raw)?),
            }
        }
        Err(StorageError::Conflict.into())
    }

    /// Puts a version in shadow, in place of another one there. Its samples have to pass.
    ///
    /// # Errors
    /// [`ContractError`].
    pub async fn shadow(
        &self,
        key: &ContractKey,
        version: i64,
        by: &str,
    ) -> Result<ContractRow, ContractError> {
        self.put(key, version, Status::Shadow, by).await
    }

    /// Enforces a version, in place of another one. Its samples have to pass.
    ///
    /// # Errors
    /// [`ContractError`].
    pub async fn enforce(
        &self,
        key: &ContractKey,
        version: i64,
        by: &str,
    ) -> Result<ContractRow, ContractError> {
        self.put(key, version, Status::Enforced, by).await
    }

    /// Takes the version in shadow out of it: the row as it is now.
    ///
    /// # Errors
    /// [`ContractError::Unknown`] when nothing is in shadow, or the database's.
    pub async fn end_shadow(&self, key: &ContractKey, by: &str) -> Result<ContractRow, ContractError> {
        let now = self.clock.now().0;
        let ended: Option<Raw> = on!(self.db, pool => {
            let end = sqlx::query_as(END_SHADOW).bind(&key.issuer).bind(key.resource_column());
            end.bind(now).bind(by).fetch_optional(pool).await
        })?;
        self.db.say(CHANNEL).await?;
        Ok(row(ended.ok_or(ContractError::Unknown)?)?)
    }

    /// Goes back: to `version`, which must have been enforced before, or to the one enforced last before the present
    /// one. Zero, or nothing before it: to what the configuration says. The row that is enforced now, if any.
    ///
    /// # Errors
    /// [`ContractError`]; with nothing enforced there is nothing to go back from.
    pub async fn rollback(
        &self,
        key: &ContractKey,
        version: Option<i64>,
        by: &str,
    ) -> Result<Option<ContractRow>, ContractError> {
        let rows = self.of(key).await?;
        let present = rows.iter().find(|row| row.status == Status::Enforced);
        let target = match (version, present) {
            (Some(0), _) => None,
            (Some(version), _) => {
                let found = rows.iter().find(|row| row.version == version).ok_or(ContractError::Unknown)?;
                if found.enforced_at.is_none() {
                    return Err(ContractError::Status(found.status.as_str()));
                }
                Some(found)
            }
            (None, None) => return Err(ContractError::Unknown),
            // By when it was enforced, not by number: that is what "before" means to whoever goes back.
            (None, Some(present)) => rows
                .iter()
                .filter(|row| row.enforced_at.is_some() && row.version != present.version)
                .filter(|row| row.enforced_at <= present.enforced_at)
                .max_by_key(|row| (row.enforced_at, row.version)),
        };
        match target {
            Some(row) if row.status == Status::Enforced => Ok(Some(row.clone())),
            Some(row) => self.put(key, row.version, Status::Enforced, by).await.map(Some),
            None => {
                let now = self.clock.now().0;
                on!(self.db, pool => {
                    let retire = sqlx::query(RETIRE).bind(&key.issuer).bind(key.resource_column());
                    retire.bind("enforced").bind(now).bind(by).execute(pool).await.map(drop)
                })?;
                self.db.say(CHANNEL).await?;
                Ok(None)
            }
        }
    }

    async fn put(
        &self,
        key: &ContractKey,
        version: i64,
        status: Status,
        by: &str,
    ) -> Result<ContractRow, ContractError> {
        let found = self.get(key, version).await?.ok_or(ContractError::Unknown)?;
        if found.status == status || (status == Status::Shadow && found.status == Status::Enforced) {
            return Err(ContractError::Status(found.status.as_str()));
        }
        let document = found.parsed().map_err(ContractError::Unreadable)?;
        let contract = Contract::compile(&document, version).map_err(ContractError::Faults)?;
        // SECURITY: nothing is published that was not seen to pass and to refuse (test:
        // `a_contract_is_not_published_unless_its_samples_do_what_they_have_to`).
        let faults = contract.try_samples(&document);
        if !faults.is_empty() {
            return Err(ContractError::Samples(faults));
        }
        let now = self.clock.now().0;
        let put: Result<Option<Raw>, ContractError> = transaction!(self.db, tx => {
            let retire = sqlx::query(RETIRE).bind(&key.issuer).bind(key.resource_column());
            retire.bind(status.as_str()).bind(now).bind(by).execute(&mut **tx).await?;
            let put = sqlx::query_as(PUT).bind(&key.issuer).bind(key.resource_column()).bind(version);
            Ok(put.bind(status.as_str()).bind(now).bind(by).fetch_optional(&mut **tx).await?)
        });
        self.db.say(CHANNEL).await?;
        Ok(row(put?.ok_or(ContractError::Unknown)?)?)
    }

    /// One version.
    ///
    /// # Errors
    /// The database's.
    pub async fn get(&self, key: &ContractKey, version: i64) -> Result<Option<ContractRow>, ContractError> {
        Ok(self.of(key).await?.into_iter().find(|row| row.version == version))
    }

    /// Every version of one issuer and resource, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(&self, key: &ContractKey) -> Result<Vec<ContractRow>, ContractError> {
        let raw: Vec<Raw> = on!(self.db, pool => {
            sqlx::query_as(OF).bind(&key.issuer).bind(key.resource_column()).fetch_all(pool).await
        })?;
        Ok(raw.into_iter().map(row).collect::<Result<_, _>>()?)
    }

    /// Every version of every contract, without more than `most` rows: by issuer, resource and version.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, most: u32) -> Result<Vec<ContractRow>, ContractError> {
        let raw: Vec<Raw> =
            on!(self.db, pool => sqlx::query_as(LIST).bind(i64::from(most)).fetch_all(pool).await)?;
        Ok(raw.into_iter().map(row).collect::<Result<_, _>>()?)
    }

    /// What is enforced and what is in shadow.
    ///
    /// # Errors
    /// The database's.
    pub async fn standing(&self) -> Result<Vec<ContractRow>, ContractError> {
        let raw: Vec<Raw> = on!(self.db, pool => sqlx::query_as(STANDING).fetch_all(pool).await)?;
        Ok(raw.into_iter().map(row).collect::<Result<_, _>>()?)
    }

    /// Hears when something changed.
    ///
    /// # Errors
    /// The database's.
    pub async fn notices(&self) -> Result<Notices, StorageError> {
        self.db.notices(CHANNEL).await
    }
}

const DRAFT: &str = "INSERT INTO token_contracts (issuer, resource, version, status, document, created_at, created_by, \
     changed_at, changed_by) \
     SELECT $1, $2, COALESCE(MAX(version), 0) + 1, 'draft', $3, $4, $5, $4, $5 \
     FROM token_contracts WHERE issuer = $1 AND resource = $2 \
     RETURNING issuer, resource, version, status, document, created_at, created_by, changed_at, changed_by, \
     enforced_at";
const RETIRE: &str = "UPDATE token_contracts SET status = 'retired', changed_at = $4, changed_by = $5 \
     WHERE issuer = $1 AND resource = $2 AND status = $3";
const END_SHADOW: &str = "UPDATE token_contracts SET status = 'retired', changed_at = $3, changed_by = $4 \
     WHERE issuer = $1 AND resource = $2 AND status = 'shadow' \
     RETURNING issuer, resource, version, status, document, created_at, created_by, changed_at, changed_by, \
     enforced_at";
const PUT: &str = "UPDATE token_contracts SET status = $4, changed_at = $5, changed_by = $6, \
     enforced_at = CASE WHEN $4 = 'enforced' THEN COALESCE(enforced_at, $5) ELSE enforced_at END \
     WHERE issuer = $1 AND resource = $2 AND version = $3 \
     RETURNING issuer, resource, version, status, document, created_at, created_by, changed_at, changed_by, \
     enforced_at";
const OF: &str = "SELECT issuer, resource, version, status, document, created_at, created_by, changed_at, changed_by, \
     enforced_at FROM token_contracts WHERE issuer = $1 AND resource = $2 ORDER BY version";
const LIST: &str = "SELECT issuer, resource, version, status, document, created_at, created_by, changed_at, \
     changed_by, enforced_at FROM token_contracts ORDER BY issuer, resource, version LIMIT $1";
const STANDING: &str = "SELECT issuer, resource, version, status, document, created_at, created_by, changed_at, \
     changed_by, enforced_at FROM token_contracts WHERE status IN ('enforced', 'shadow') \
     ORDER BY issuer, resource, version";
/// How often a number that somebody else took is asked for anew.
const TRIES: usize = 8;
/// Where changes are said.
const CHANNEL: &str = "token_contracts";
