//! Who calls: the person, the client or agent, the tenant.

use crate::{Digest, ServerName};
use std::sync::Arc;

/// The verified caller of one request. Three identities are never collapsed: the `user` who asked, the
/// `client` or `agent` that calls, and the downstream identity that acts (the broker's plan).
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Principal {
    /// The person or workflow: the claim mapped to `user`, `sub` by default. Unique within `issuer`.
    pub user: Arc<str>,
    /// The OAuth client the token was issued to (`client_id`, RFC 9068 §2.2).
    pub client: Arc<str>,
    /// The agent that acts for the user, if it is known apart from the client.
    pub agent: Option<Arc<str>>,
    /// Who acted before that agent, the nearest first: what is nested in its `act` (RFC 8693 §4.1). It is passed on and
    /// decides nothing, as the RFC wants it.
    #[serde(default)]
    pub actors: Vec<Arc<str>>,
    /// The tenant. Never empty.
    pub tenant: Arc<str>,
    /// Roles, sorted, without repeats.
    pub roles: Vec<Arc<str>>,
    /// Groups, sorted, without repeats.
    pub groups: Vec<Arc<str>>,
    /// Scopes of the token, sorted, without repeats.
    pub scopes: Vec<Arc<str>>,
    /// The issuer that vouches for all of the above.
    pub issuer: Arc<str>,
    /// What the registry says of a registered agent; `None` for everybody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<Arc<Registered>>,
}

/// A registered agent's bounds, as its token or its key carries them. They narrow what policy permits and never widen it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Registered {
    /// The trust tier that its owner's organisation gave it.
    pub trust: Arc<str>,
    /// The servers it may use, sorted; any other is to it as if it were not there. `None`: all that policy lets it.
    #[serde(default, skip_serializing)]
    pub servers: Option<Vec<Arc<str>>>,
}

/// A digest of everything in a [`Principal`]: equal keys mean equal decisions from equal attributes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct PrincipalKey(pub Digest);

impl Principal {
    /// The gateway's own identity, for discovery, probes and refresh (invariant 11).
    pub fn service() -> Self {
        Self {
            user: "service".into(),
            client: "portunus".into(),
            agent: None,
            actors: Vec::new(),
            tenant: "portunus".into(),
            roles: Vec::new(),
            groups: Vec::new(),
            scopes: Vec::new(),
            issuer: "portunus:self".into(),
            registered: None,
        }
    }

    /// Whether a server is there at all for this caller: a registered agent has those that it is registered for.
    pub fn has_server(&self, server: &ServerName) -> bool {
        let servers = self.registered.as_ref().and_then(|agent| agent.servers.as_ref());
        servers.is_none_or(|servers| servers.iter().any(|name| name.as_ref() == server.as_str()))
    }

    /// The key of this principal's attributes. Costs a SHA-256; callers keep it.
    pub fn key(&self) -> PrincipalKey {
        let mut text = Vec::with_capacity(256);
        let mut put = |part: &str| {
            text.extend_from_slice(&(part.len() as u64).to_be_bytes());
            text.extend_from_slice(part.as_bytes());
        };
        for part in [&self.user, &self.client, &self.tenant, &self.issuer] {
            put(part);
        }
        put(if self.agent.is_some() { "agent" } else { "" });
        put(self.agent.as_deref().unwrap_or_default());
        for list in [&self.actors, &self.roles, &self.groups, &self.scopes] {
            put(&list.len().to_string());
            for item in list {
                put(item);
            }
        }
        if let Some(agent) = &self.registered {
            put(&agent.trust);
            put(if agent.servers.is_some() { "servers" } else { "" });
            for server in agent.servers.iter().flatten() {
                put(server);
            }
        }
        PrincipalKey(Digest::of(&text))
    }
}

/// What a tool can do to the world, as the operator says (design §7). The server's own annotations are a
/// hint that is never trusted.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Impact {
    /// Reads what is not sensitive. Its record may follow the answer by 100 ms.
    Read,
    /// Reads what is sensitive.
    ReadSensitive,
    /// Writes what can be undone.
    WriteReversible,
    /// Acts outside, or is regulated. The default.
    #[default]
    ExternalOrRegulated,
}

impl Impact {
    /// The name used in configuration, policy and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadSensitive => "read-sensitive",
            Self::WriteReversible => "write-reversible",
            Self::ExternalOrRegulated => "external-or-regulated",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_lists_apart() {
        let mut a = Principal::service();
        let mut b = Principal::service();
        a.roles = vec!["x".into()];
        b.groups = vec!["x".into()];
        assert_ne!(a.key(), b.key());
        b = Principal { actors: vec!["x".into()], ..Principal::service() };
        assert_ne!(a.key(), b.key());
        assert_eq!(a.key(), a.clone().key());
    }

    #[test]
    fn a_registered_agent_has_its_servers_and_no_others() {
        let mut who = Principal::service();
        let (git, mail) = (ServerName::new("git").unwrap(), ServerName::new("mail").unwrap());
        assert!(who.has_server(&git));
        let agent =
            |servers: Option<Vec<Arc<str>>>| Some(Arc::new(Registered { trust: "low".into(), servers }));
        who.registered = agent(Some(vec!["git".into()]));
        let bound = who.key();
        assert!(who.has_server(&git) && !who.has_server(&mail));
        who.registered = agent(Some(Vec::new()));
        assert!(!who.has_server(&git));
        assert_ne!(who.key(), bound);
        who.registered = agent(None);
        assert!(who.has_server(&mail));
        assert_ne!(who.key(), Principal::service().key());
    }
}
