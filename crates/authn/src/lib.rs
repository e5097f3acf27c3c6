//! Who is calling: the OAuth 2.1 resource server's hot path.
//!
//! In: the headers and URI of one request, and the [`Resource`] it was sent to. Out: a [`Verified`] caller,
//! or a [`Rejection`] that becomes a challenge. Never here: a token in a log, an error or a `Debug`; a key
//! chosen by the token's header; trust in a connection, a session or a `Host` header.
//! Specified in RFC 6750, 7515, 7519, 8414, 8725, 9068, 9728 and MCP 2026-07-28, basic/authorization.

mod authn;
mod bearer;
mod cache;
mod challenge;
mod claims;
mod config;
pub mod contract;
mod discovery;
mod error;
mod groups;
mod issuer;
mod jwks;
mod jws;
mod opaque;
mod resource;
pub mod revocations;
mod shadow;
mod strict;

/// The strict reading of signed tokens and of key sets, for whoever verifies other tokens than access tokens: ID
/// tokens, client assertions, logout tokens.
pub mod jose {
    pub use crate::jwks::{Key, KeySet};
    pub use crate::jws::Jws;
    pub use crate::strict::object as strict_object;
}

pub use authn::{Authn, KeyHolder, KeyLookup, LookUp, LookUpError, Verified};
pub use challenge::{challenge, insufficient_scope};
pub use claims::{claim_at, is_named_elsewhere};
pub use config::{
    Algorithm, ClaimNames, ClaimPath, Config, ConfigError, IssuerConfig, KeySource, OwnKeys, TenantSource,
};
pub use contract::{Contract, Contracts, OpaqueRule};
pub use error::{AuthnError, Rejection};
pub use groups::GroupDirectory;
pub use opaque::{ClientAuth, OpaqueConfig, OpaqueFault, SecretSource};
pub use resource::{ROOT_METADATA_PATH, Resource, ResourceError};
pub use revocations::list::{RevocationError, RevocationList, Revoked};
pub use shadow::{Difference, Watch};
