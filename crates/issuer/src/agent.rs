//! Agents: software with an identity of its own, for which a person answers.
//!
//! The registry says what an agent may use and for whom it may act; its credentials prove that it is the one. An agent
//! alone is the subject of its tokens; one that acts for a person is their actor (RFC 8693 §4.1) and never has more than
//! either of the two.

mod admission;
mod api_key;
mod assertion;
mod certificate;
mod consent;
mod credential;
mod registry;
mod row;

pub use admission::Actor;
pub(crate) use admission::admit;
pub use api_key::ApiKeys;
pub(crate) use assertion::{Assertion, Expected};
pub use certificate::Names;
pub use consent::{AgentConsent, AgentConsents};
pub use credential::{Credential, CredentialError, Credentials, Fresh, NewCredential, Proof};
pub use registry::{AgentError, Agents, Change, NewAgent};
pub use row::{Agent, Delegation, MayActFor, Status, Trust};
