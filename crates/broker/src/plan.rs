//! The plan of a server: what kind of credential, whose account, and where its parts are kept.

use crate::{Assertion, AttachError, Reference, attach};
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
    assertion: Option<Arc<Assertion>>,
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
    /// A token that says who calls, fresh for every request.
    GatewayJwt,
}

impl Strategy {
    /// The name in policies and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Header => "header",
            Self::Environment => "environment",
            Self::GatewayJwt => "gateway_jwt",
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
    /// A child has no headers.
    #[error("a child process gets no headers, so nothing can say who calls")]
    NoHeaders,
    /// The same name twice.
    #[error("{0:?} is named twice")]
    Twice(String),
}

impl Plan {
    /// No credential.
    pub fn none() -> Self {
        Self { account: "".into(), parts: Parts::None, assertion: None }
    }

    /// Headers on every request. `account` says whose they are, for policy and record.
    ///
    /// # Errors
    /// [`PlanError::ProtocolHeader`] or [`PlanError::Twice`].
    pub fn headers(account: &str, headers: Vec<(HeaderName, Reference)>) -> Result<Self, PlanError> {
        for (at, (name, _)) in headers.iter().enumerate() {
            is_free(name)?;
            if headers.iter().take(at).any(|(other, _)| other == name) {
                return Err(PlanError::Twice(name.to_string()));
            }
        }
        Ok(Self { account: account.into(), parts: Parts::Headers(headers.into()), assertion: None })
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
        Ok(Self { account: account.into(), parts: Parts::Environment(variables.into()), assertion: None })
    }

    /// The same, saying who calls, in a header that carries nothing else. The account is then the caller's own.
    ///
    /// # Errors
    /// [`PlanError::ProtocolHeader`]; [`PlanError::Twice`] if the header carries something else already;
    /// [`PlanError::NoHeaders`] for children.
    pub fn asserting(self, assertion: Assertion) -> Result<Self, PlanError> {
        is_free(&assertion.header)?;
        match &self.parts {
            Parts::None => {}
            Parts::Headers(headers) => {
                if headers.iter().any(|(name, _)| *name == assertion.header) {
                    return Err(PlanError::Twice(assertion.header.to_string()));
                }
            }
            Parts::Environment(_) => return Err(PlanError::NoHeaders),
        }
        Ok(Self { account: "".into(), assertion: Some(Arc::new(assertion)), ..self })
    }

    /// Whether its secrets can be read now.
    ///
    /// # Errors
    /// [`AttachError`].
    pub fn read(&self) -> Result<(), AttachError> {
        attach::secrets(self).map(drop)
    }

    /// What says who calls, if anything does.
    pub fn assertion(&self) -> Option<&Arc<Assertion>> {
        self.assertion.as_ref()
    }

    /// Whom its tokens are for, where it mints any.
    pub fn audience(&self) -> Option<&str> {
        self.assertion.as_deref().map(|assertion| &*assertion.audience)
    }

    /// The kind of credential.
    pub fn strategy(&self) -> Strategy {
        if self.assertion.is_some() {
            return Strategy::GatewayJwt;
        }
        match self.parts {
            Parts::None => Strategy::None,
            Parts::Headers(_) => Strategy::Header,
            Parts::Environment(_) => Strategy::Environment,
        }
    }

    /// Whose account acts at the server; empty without a credential, and where the caller itself does.
    pub fn account(&self) -> &str {
        &self.account
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }
}

fn is_free(name: &HeaderName) -> Result<(), PlanError> {
    if PROTOCOL_HEADERS.contains(name) || name.as_str().starts_with("mcp-") {
        return Err(PlanError::ProtocolHeader(name.clone()));
    }
    Ok(())
}

/// Framing, routing and content headers; those of traces and of resuming.
const PROTOCOL_HEADERS: [HeaderName; 13] = [
    ACCEPT,
    CONNECTION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    HOST,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("baggage"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];
