//! A row of the table.

use model::Timestamp;

/// The kind of thing that is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One token: by its `jti`, or by the 64 hexadecimal digits of its SHA-256.
    Token,
    /// Every token of a grant (`grant_id`).
    Grant,
    /// Every token of a browser session (`sid`).
    Session,
    /// Every token of a person: whoever is its subject, or acts by it.
    User,
    /// Every token of an agent: as its subject, as its actor however deep, or as its client.
    Agent,
    /// Every token that a client got.
    Client,
    /// Every token that a key signed (`kid`).
    Key,
    /// An MCP server, by its configured name: it is contained, nothing is sent to it.
    Server,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Token,
        Self::Grant,
        Self::Session,
        Self::User,
        Self::Agent,
        Self::Client,
        Self::Key,
        Self::Server,
    ];

    /// The word in rows, records and commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Grant => "grant",
            Self::Session => "session",
            Self::User => "user",
            Self::Agent => "agent",
            Self::Client => "client",
            Self::Key => "key",
            Self::Server => "server",
        }
    }

    /// The kind of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What is to be revoked. The view of every replica puts it on record (`revoked`) when it takes it up; whoever writes
/// the row does not have to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// What kind of thing it is.
    pub kind: Kind,
    /// Which one. 1 to 512 characters.
    pub id: String,
    /// Of this tenant only.
    pub tenant: Option<String>,
    /// Of this issuer only, as in `iss`. External issuers may use the same ids as we do.
    pub issuer: Option<String>,
    /// Means the tokens that were issued before this moment: for a person who may sign in again. `None` means all,
    /// also those that are yet to come.
    pub not_before: Option<Timestamp>,
    /// Means only the tokens that there are: grants and sessions stand, and whoever refreshes is read anew.
    pub spares_grants: bool,
    /// When the row is over: not before the last token that it means has expired. `None` is never.
    pub expires_at: Option<Timestamp>,
    /// Why, for people. No token, no secret, no e-mail address. Clipped to 256 characters.
    pub reason: String,
    /// Who revokes: the id of a person or an agent, `operator` for the command line, `portunus` for the house itself.
    pub by: String,
}

impl Revocation {
    /// All of this, from now on and for good.
    pub fn new(kind: Kind, id: impl Into<String>, by: impl Into<String>) -> Self {
        Self {
            kind,
            id: id.into(),
            tenant: None,
            issuer: None,
            not_before: None,
            spares_grants: false,
            expires_at: None,
            reason: String::new(),
            by: by.into(),
        }
    }

    /// Of this tenant only.
    #[must_use]
    pub fn of_tenant(self, tenant: impl Into<String>) -> Self {
        Self { tenant: Some(tenant.into()), ..self }
    }

    /// Of this issuer only.
    #[must_use]
    pub fn of_issuer(self, issuer: impl Into<String>) -> Self {
        Self { issuer: Some(issuer.into()), ..self }
    }

    /// What was issued before this moment; what is issued later is good. Our own tokens carry whole seconds, and the
    /// clocks of replicas differ: within [`CLOCKS`](super::CLOCKS) after it, new tokens are refused too.
    #[must_use]
    pub fn issued_before(self, moment: Timestamp) -> Self {
        Self { not_before: Some(moment), ..self }
    }

    /// Only the tokens that there are; see [`Revocation::spares_grants`].
    #[must_use]
    pub fn sparing_grants(self) -> Self {
        Self { spares_grants: true, ..self }
    }

    /// Until this moment: when the last token that it means has expired.
    #[must_use]
    pub fn until(self, moment: Timestamp) -> Self {
        Self { expires_at: Some(moment), ..self }
    }

    /// Why.
    #[must_use]
    pub fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..self }
    }
}

/// A row as it stands in the table, for lists.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// Its number.
    pub seq: i64,
    /// What kind of thing.
    pub kind: Kind,
    /// Which one.
    pub id: String,
    /// Of this tenant only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Of this issuer only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// What was issued before, in milliseconds; `None` is everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// When it is over, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether it takes back what the rows before it say of the same thing.
    pub lifts: bool,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
    /// When, in milliseconds.
    pub created_at: Timestamp,
}

/// Reads a row of either database.
macro_rules! listed {
    ($row:expr) => {{
        let row = $row;
        let word: String = storage::sqlx::Row::try_get(row, "kind")?;
        let not_before: i64 = storage::sqlx::Row::try_get(row, "not_before")?;
        let expires_at: Option<i64> = storage::sqlx::Row::try_get(row, "expires_at")?;
        let created_at: i64 = storage::sqlx::Row::try_get(row, "created_at")?;
        Ok($crate::revocations::Listed {
            seq: storage::sqlx::Row::try_get(row, "seq")?,
            kind: $crate::revocations::Kind::parse(&word)
                .ok_or_else(|| storage::StorageError::Corrupt(format!("revocation of {word:?}")))?,
            id: storage::sqlx::Row::try_get(row, "id")?,
            tenant: storage::sqlx::Row::try_get(row, "tenant")?,
            issuer: storage::sqlx::Row::try_get(row, "issuer")?,
            not_before: (not_before != i64::MAX).then_some(model::Timestamp(not_before)),
            expires_at: expires_at.map(model::Timestamp),
            lifts: storage::sqlx::Row::try_get(row, "lifts")?,
            reason: storage::sqlx::Row::try_get(row, "reason")?,
            by: storage::sqlx::Row::try_get(row, "revoked_by")?,
            created_at: model::Timestamp(created_at),
        })
    }};
}

pub(super) use listed;
