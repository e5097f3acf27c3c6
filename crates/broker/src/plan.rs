//! The plan of a server: what kind of credential, whose account, and where its parts are kept.

use crate::Reference;
use http::HeaderName;
use http::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use std::sync::Arc;

/// How a server's calls are authorized there. Known before any secret is read; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    account: Arc<str>,
    parts: Parts,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parts {
    None,
    Headers(Arc<[(HeaderName, Reference)]>),
    Environment(Arc<[(String, Reference)]>),
}

/// The kind of credential, as policy and record name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// No credential.
    None,
    /// Fixed headers on every request.
    Header,
    /// Variables in the environment of the child.
    Environment,
}

impl Strategy {
    /// The name in policies and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Header => "header",
            Self::Environment => "environment",
        }
    }
}

/// A plan that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A header that the protocol needs for itself.
    #[error("the header {0} belongs to the protocol and cannot carry a credential")]
    ProtocolHeader(HeaderName),
    /// Not the name of a variable.
    #[error("{0:?} is not the name of an environment variable")]
    VariableName(String),
    /// The same name twice.
    #[error("{0:?} is named twice")]
    Twice(String),
}

impl Plan {
    /// No credential.
    pub fn none() -> Self {
        Self { account: "".into(), parts: Parts::None }
    }

    /// Headers on every request. `account` says whose they are, for policy and record.
    ///
    /// # Errors
    /// [`PlanError::ProtocolHeader`] or [`PlanError::Twice`].
    pub fn headers(account: &str, headers: Vec<(HeaderName, Reference)>) -> Result<Self, PlanError> {
        for (at, (name, _)) in headers.iter().enumerate() {
            if PROTOCOL_HEADERS.contains(name) || name.as_str().starts_with("mcp-") {
                return Err(PlanError::ProtocolHeader(name.clone()));
            }
            if headers.iter().take(at).any(|(other, _)| other == name) {
                return Err(PlanError::Twice(name.to_string()));
            }
        }
        Ok(Self { account: account.into(), parts: Parts::Headers(headers.into()) })
    }

    /// Variables in the child's environment. `account` says whose they are.
    ///
    /// # Errors
    /// [`PlanError::VariableName`] or [`PlanError::Twice`].
    pub fn environment(account: &str, variables: Vec<(String, Reference)>) -> Result<Self, PlanError> {
        for (at, (name, _)) in variables.iter().enumerate() {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(PlanError::VariableName(name.clone()));
            }
            if variables.iter().take(at).any(|(other, _)| other == name) {
                return Err(PlanError::Twice(name.clone()));
            }
        }
        Ok(Self { account: account.into(), parts: Parts::Environment(variables.into()) })
    }

    /// The kind of credential.
    pub fn strategy(&self) -> Strategy {
        match self.parts {
            Parts::None => Strategy::None,
            Parts::Headers(_) => Strategy::Header,
            Parts::Environment(_) => Strategy::Environment,
        }
    }

    /// Whose account acts at the server; empty without a credential.
    pub fn account(&self) -> &str {
        &self.account
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }
}

/// Framing, routing and content headers.
const PROTOCOL_HEADERS: [HeaderName; 9] =
    [ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
