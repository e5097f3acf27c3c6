//! The rows of agents' credentials. Several are good at once, so that one can follow the other without a gap.

use super::registry::ended;
use super::row::Agent;
use crate::secret_text;
use authn::revocations::Revoke as _;
use model::{Clock, Dice, Timestamp};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use storage::{Db, StorageError, on, sqlx, transaction};

/// A credential, without what proves it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Credential {
    /// `crd_` and 32 hexadecimal digits.
    pub id: String,
    /// The agent.
    pub agent: String,
    /// What kind of proof it takes.
    pub kind: &'static str,
    /// What proofs are held against; `None` for a secret, of which there is a digest only.
    pub proof: Option<Proof>,
    /// Of an API key: the most scopes it has; `None`: its agent's.
    pub scopes: Option<Vec<String>>,
    /// From when on it is good.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// What a proof is held against.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Proof {
    /// A public key (RFC 7517) that verifies the agent's assertions.
    Jwk(Value),
    /// The SHA-256 of a certificate, 64 hexadecimal digits: `self_signed_tls_client_auth`, or one of an authority.
    Certificate(String),
    /// A DNS name in a certificate that an authority of ours vouches for (`tls_client_auth`).
    SanDns(String),
    /// A URI in such a certificate.
    SanUri(String),
    /// The one SPIFFE id in such a certificate (X509-SVID).
    Spiffe(String),
}

/// A credential to be added.
#[derive(Clone, Debug, PartialEq)]
pub enum NewCredential {
    /// A key or a certificate.
    Proof(Proof),
    /// A secret that we make; only where the tenant allows it.
    Secret,
    /// An API key that we make, with these scopes of its agent's at most.
    ApiKey {
        /// `None`: all of its agent's.
        scopes: Option<Vec<String>>,
    },
}

/// What was added.
#[derive(Debug)]
pub struct Fresh {
    /// The credential.
    pub credential: Credential,
    /// What proves it, if we made it: shown once and kept nowhere.
    pub secret: Option<String>,
}

/// A credential could not be added or revoked.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// There is no such agent or credential.
    #[error("no such agent or credential")]
    Unknown,
    /// As many are good already as may be.
    #[error("an agent has at most {MOST} credentials at once; revoke one that is no longer needed")]
    Many,
    /// It cannot be what it is said to be.
    #[error("{0}")]
    Invalid(&'static str),
    /// The tenant does without secrets.
    #[error("the tenant does not allow client secrets")]
    Secrets,
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<sqlx::Error> for CredentialError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}

/// The credentials of all agents.
#[derive(Clone)]
pub struct Credentials {
    db: Db,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    agent: String,
    kind: String,
    public: Option<String>,
    scopes: Option<String>,
    not_before: i64,
    not_after: Option<i64>,
    created_at: i64,
    revoked_at: Option<i64>,
    last_used_at: Option<i64>,
}

impl Credentials {
    /// The credentials of this database.
    pub fn new(db: Db, clock: Arc<dyn Clock>, dice: Arc<dyn Dice>) -> Self {
        Self { db, clock, dice }
    }

    /// Adds a credential. `allow_secrets` is what the tenant says of client secrets.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub async fn add(
        &self,
        agent: &str,
        new: &NewCredential,
        not_before: Option<Timestamp>,
        not_after: Option<Timestamp>,
        allow_secrets: bool,
    ) -> Result<Fresh, CredentialError> {
        // A row of the agent is written first: of two at once, one waits.
        const LOCK: &str = "UPDATE agents SET changed_at = changed_at WHERE id = $1 RETURNING id";
        const COUNT: &str = "SELECT COUNT(*) FROM agent_credentials
            WHERE agent = $1 AND revoked_at IS NULL AND (not_after IS NULL OR not_after > $2)";
        const INSERT: &str = "INSERT INTO agent_credentials
            (id, agent, kind, public, digest, scopes, not_before, not_after, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            RETURNING id, agent, kind, public, scopes, not_before, not_after, created_at, revoked_at, last_used_at";
        let now = self.clock.now();
        let (from, dice) = (not_before.unwrap_or(now), self.dice.as_ref());
        if not_after.is_some_and(|end| end <= now || end <= from) {
            return Err(CredentialError::Invalid("a credential ends after now and after it begins"));
        }
        let (secret, scopes) = match new {
            NewCredential::Proof(proof) => {
                proof.check()?;
                (None, None)
            }
            NewCredential::Secret if !allow_secrets => return Err(CredentialError::Secrets),
            NewCredential::Secret => (Some(secret_text::fresh("pts_", dice)), None),
            NewCredential::ApiKey { scopes } => (Some(secret_text::fresh(API_KEY, dice)), scopes.as_deref()),
        };
        let scopes = scopes.map(|all| serde_json::json!(all.iter().collect::<BTreeSet<_>>()).to_string());
        let public = match new {
            NewCredential::Proof(proof) => Some(serde_json::to_string(proof).unwrap_or_default()),
            NewCredential::Secret | NewCredential::ApiKey { .. } => None,
        };
        let digest = secret.as_deref().map(secret_text::digest);
        let id = secret_text::id("crd_", dice);
        let added: Result<Credential, CredentialError> = transaction!(self.db, tx => {
            let known: Option<String> = sqlx::query_scalar(LOCK).bind(agent).fetch_optional(&mut **tx).await?;
            known.ok_or(CredentialError::Unknown)?;
            let count: i64 = sqlx::query_scalar(COUNT).bind(agent).bind(now.0).fetch_one(&mut **tx).await?;
            if count >= MOST {
                return Err(CredentialError::Many);
            }
            let row: Row = sqlx::query_as(INSERT).bind(&id).bind(agent).bind(new.kind()).bind(&public).bind(&digest)
                .bind(&scopes).bind(from.0).bind(not_after.map(|end| end.0)).bind(now.0)
                .fetch_one(&mut **tx).await?;
            Ok(Credential::try_from(row)?)
        });
        Ok(Fresh { credential: added?, secret })
    }

    /// All of an agent's, the oldest first.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn list(&self, agent: &str) -> Result<Vec<Credential>, StorageError> {
        const LIST: &str =
            "SELECT id, agent, kind, public, scopes, not_before, not_after, created_at, revoked_at,
            last_used_at FROM agent_credentials WHERE agent = $1 ORDER BY created_at, id";
        let rows: Vec<Row> = on!(self.db, pool => sqlx::query_as(LIST).bind(agent).fetch_all(pool).await)?;
        rows.into_iter().map(Credential::try_from).collect()
    }

    /// Those of an agent that are good now.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn good(&self, agent: &str) -> Result<Vec<Credential>, StorageError> {
        let now = self.clock.now();
        Ok(self.list(agent).await?.into_iter().filter(|credential| credential.is_good(now)).collect())
    }

    /// The credential whose secret or API key this is, if it is good now.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn by_digest(
        &self,
        kind: &'static str,
        digest: &str,
    ) -> Result<Option<Credential>, StorageError> {
        const FIND: &str =
            "SELECT id, agent, kind, public, scopes, not_before, not_after, created_at, revoked_at,
            last_used_at FROM agent_credentials WHERE digest = $1 AND kind = $2";
        let row: Option<Row> = on!(self.db, pool => {
            sqlx::query_as(FIND).bind(digest).bind(kind).fetch_optional(pool).await
        })?;
        let now = self.clock.now();
        Ok(row.map(Credential::try_from).transpose()?.filter(|credential| credential.is_good(now)))
    }

    /// Revokes one. All tokens that its agent holds end, since any of them may have come by it; its other credentials
    /// get it new ones.
    ///
    /// # Errors
    /// [`CredentialError`]; one that is revoked already is unknown.
    pub async fn revoke(&self, agent: &str, id: &str, by: &str) -> Result<Credential, CredentialError> {
        const REVOKE: &str = "UPDATE agent_credentials SET revoked_at = $3
            WHERE id = $1 AND agent = $2 AND revoked_at IS NULL
            RETURNING id, agent, kind, public, scopes, not_before, not_after, created_at, revoked_at, last_used_at";
        let now = self.clock.now();
        let revoked: Result<Credential, CredentialError> = transaction!(self.db, tx => {
            let row: Option<Row> =
                sqlx::query_as(REVOKE).bind(id).bind(agent).bind(now.0).fetch_optional(&mut **tx).await?;
            let credential = Credential::try_from(row.ok_or(CredentialError::Unknown)?)?;
            tx.revoke(&ended(agent, "a credential was revoked", by, now), now).await?;
            Ok(credential)
        });
        drop(self.db.say(authn::revocations::CHANNEL).await);
        revoked
    }

    /// Notes that a credential was used; a row is written once a minute at most.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn used(&self, id: &str) -> Result<(), StorageError> {
        const USED: &str = "UPDATE agent_credentials SET last_used_at = $2
            WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)";
        let now = self.clock.now().0;
        on!(self.db, pool => {
            sqlx::query(USED).bind(id).bind(now).bind(now - 60_000).execute(pool).await.map(drop)
        })?;
        Ok(())
    }
}

impl Credential {
    /// Whether it proves anything now.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.not_before <= now && self.not_after.is_none_or(|end| now < end)
    }

    /// The most scopes that its agent's tokens have by it.
    pub fn scopes(&self, agent: &Agent) -> Vec<String> {
        match &self.scopes {
            None => agent.scopes.clone(),
            Some(own) => agent.scopes.iter().filter(|scope| own.contains(scope)).cloned().collect(),
        }
    }
}

impl NewCredential {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Proof(Proof::Jwk(_)) => "jwk",
            Self::Proof(Proof::Certificate(_) | Proof::SanDns(_) | Proof::SanUri(_)) => "x509",
            Self::Proof(Proof::Spiffe(_)) => "spiffe",
            Self::Secret => "secret",
            Self::ApiKey { .. } => "api_key",
        }
    }
}

impl Proof {
    fn check(&self) -> Result<(), CredentialError> {
        let bad = |why| Err(CredentialError::Invalid(why));
        match self {
            Self::Jwk(key) => {
                // SECURITY: the private half is not ours to keep (test: `what_is_registered_is_checked`).
                if key.get("d").is_some() || key.get("k").is_some() {
                    return bad("a private key; register its public half");
                }
                match super::assertion::key_of(key) {
                    Some(_) => Ok(()),
                    None => bad("not a public key for ES256, RS256 or EdDSA (RFC 7517)"),
                }
            }
            Self::Certificate(digest) if model::Digest::parse(digest).is_some() => Ok(()),
            Self::Certificate(_) => bad("the SHA-256 of a certificate has 64 hexadecimal digits"),
            Self::SanDns(name) if is_dns(name) => Ok(()),
            Self::SanDns(_) => bad("a DNS name in lower case, without wildcards"),
            Self::SanUri(uri) if uri.contains(':') && is_name(uri) && !uri.starts_with("spiffe:") => Ok(()),
            Self::SanUri(_) => bad("an absolute URI; a SPIFFE id has a kind of its own"),
            Self::Spiffe(id) => {
                let path = id.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/'));
                match path {
                    Some((domain, path)) if is_dns(domain) && !path.is_empty() && is_name(id) => Ok(()),
                    _ => bad("a SPIFFE id: spiffe://<trust domain>/<path>"),
                }
            }
        }
    }
}

fn is_dns(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
    (1..=253).contains(&name.len()) && name.bytes().all(plain)
}

fn is_name(text: &str) -> bool {
    text.len() <= 2048 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl TryFrom<Row> for Credential {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        let corrupt = || StorageError::Corrupt(format!("credential {}", row.id));
        let proof = row.public.as_deref().map(serde_json::from_str).transpose().map_err(|_| corrupt())?;
        let scopes = row.scopes.as_deref().map(serde_json::from_str).transpose().map_err(|_| corrupt())?;
        let kinds = ["jwk", "x509", "spiffe", SECRET, KEY];
        Ok(Self {
            kind: kinds.into_iter().find(|kind| *kind == row.kind).ok_or_else(corrupt)?,
            proof,
            scopes,
            not_before: Timestamp(row.not_before),
            not_after: row.not_after.map(Timestamp),
            created_at: Timestamp(row.created_at),
            revoked_at: row.revoked_at.map(Timestamp),
            last_used_at: row.last_used_at.map(Timestamp),
            id: row.id,
            agent: row.agent,
        })
    }
}

/// The kind of a secret.
pub(super) const SECRET: &str = "secret";
/// The kind of an API key.
pub(super) const KEY: &str = "api_key";
/// How API keys begin: what leaks is told apart, by us and by those who scan for it.
pub(super) const API_KEY: &str = "ptk_";
/// The most that are good at once: one in use, one to follow, and some room for the hand-over of several replicas.
const MOST: i64 = 5;
