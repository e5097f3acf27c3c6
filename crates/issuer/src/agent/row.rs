//! What is known of an agent.

use model::{Registered, Timestamp};
use std::sync::Arc;
use storage::StorageError;

/// A registered agent.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Agent {
    /// `agt_` and 32 hexadecimal digits: the `sub` of its own tokens, and the `act.sub` of those in which it acts.
    pub id: String,
    /// The tenant it belongs to.
    pub tenant: String,
    /// What people are shown.
    pub name: String,
    /// The person who answers for it.
    pub owner: String,
    /// How far the organisation trusts it; policy reads it.
    pub trust: Trust,
    /// Whether it may do anything.
    pub status: Status,
    /// The servers it may use, sorted; any other is to it as if it were not there. `None`: all that policy permits.
    pub servers: Option<Vec<String>>,
    /// The most scopes its tokens have, sorted.
    pub scopes: Vec<String>,
    /// For whom it may act without having been asked each time.
    pub may_act_for: MayActFor,
    /// How far acting for somebody goes.
    pub delegation: Delegation,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub changed_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it last proved who it is, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// How far an organisation trusts an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Tried out, or somebody else's.
    Low,
    /// Known.
    Medium,
    /// Reviewed.
    High,
}

/// Whether an agent may do anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It may.
    Active,
    /// It was stopped.
    Disabled,
    /// The person who answers for it was stopped.
    OwnerDisabled,
}

/// For whom an agent may act without that person's consent. With it, for anybody of its tenant.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "who", deny_unknown_fields)]
pub enum MayActFor {
    /// Nobody.
    Nobody,
    /// Its owner.
    Owner,
    /// Everybody of one of these groups of its tenant.
    Groups {
        /// The groups.
        groups: Vec<String>,
    },
    /// Everybody of its tenant.
    Tenant,
}

/// How far acting for somebody goes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// The most actors in a chain, itself included. One: it acts for people and not for other agents.
    pub depth: u8,
    /// The most scopes it has while it acts for somebody; `None`: its own.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
}

impl Default for Delegation {
    fn default() -> Self {
        Self { depth: 1, scopes: None }
    }
}

impl Agent {
    /// Whether it may do anything now.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.status == Status::Active && self.expires_at.is_none_or(|end| now < end)
    }

    /// What its tokens carry of it.
    pub fn registered(&self) -> Registered {
        let servers =
            self.servers.as_ref().map(|all| all.iter().map(|name| Arc::from(name.as_str())).collect());
        Registered { trust: self.trust.as_str().into(), servers }
    }

    /// Whether it may have tokens for an endpoint of this gateway. One that shows several servers is narrowed there.
    pub fn may_use(&self, issuer: &str, resource: &str) -> bool {
        let path = resource.strip_prefix(issuer).unwrap_or_default();
        match (&self.servers, path.strip_prefix("/servers/").and_then(|rest| rest.strip_suffix("/mcp"))) {
            (None, _) => true,
            (Some(servers), Some(name)) => servers.iter().any(|server| server == name),
            (Some(servers), None) => !servers.is_empty(),
        }
    }

    /// Whether a rule of its own lets it act for somebody of its tenant.
    pub fn may_act_for(&self, person: &str, groups: &[String]) -> bool {
        match &self.may_act_for {
            MayActFor::Nobody => false,
            MayActFor::Owner => self.owner == person,
            MayActFor::Groups { groups: named } => named.iter().any(|group| groups.contains(group)),
            MayActFor::Tenant => true,
        }
    }
}

impl Trust {
    /// The word in rows, tokens and policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Low, Self::Medium, Self::High].into_iter().find(|trust| trust.as_str() == word)
    }
}

impl Status {
    /// The word in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::OwnerDisabled => "owner_disabled",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Active, Self::Disabled, Self::OwnerDisabled].into_iter().find(|status| status.as_str() == word)
    }
}

/// The columns of an agent, in the order of [`Row`]. SECURITY: an agent whose owner is disabled is stopped even before
/// anybody has said so (test: `an_agent_without_an_active_owner_is_stopped_at_once`).
pub(super) const COLUMNS: &str = "id, tenant, name, owner, trust,
    CASE WHEN status = 'active' AND NOT EXISTS
        (SELECT 1 FROM users WHERE users.id = agents.owner AND users.status = 'active')
    THEN 'owner_disabled' ELSE status END AS status,
    servers, scopes, may_act_for, delegation, created_at, changed_at, expires_at, last_used_at";

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    id: String,
    tenant: String,
    name: String,
    owner: String,
    trust: String,
    status: String,
    servers: Option<String>,
    scopes: String,
    may_act_for: String,
    delegation: String,
    created_at: i64,
    changed_at: i64,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
}

impl TryFrom<Row> for Agent {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        let corrupt = || StorageError::Corrupt(format!("agent {}", row.id));
        fn read<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
            serde_json::from_str(text).ok()
        }
        Ok(Self {
            trust: Trust::parse(&row.trust).ok_or_else(corrupt)?,
            status: Status::parse(&row.status).ok_or_else(corrupt)?,
            servers: row.servers.as_deref().map(|text| read(text).ok_or_else(corrupt)).transpose()?,
            scopes: read(&row.scopes).ok_or_else(corrupt)?,
            may_act_for: read(&row.may_act_for).ok_or_else(corrupt)?,
            delegation: read(&row.delegation).ok_or_else(corrupt)?,
            created_at: Timestamp(row.created_at),
            changed_at: Timestamp(row.changed_at),
            expires_at: row.expires_at.map(Timestamp),
            last_used_at: row.last_used_at.map(Timestamp),
            id: row.id,
            tenant: row.tenant,
            name: row.name,
            owner: row.owner,
        })
    }
}
