//! The authorization server: it signs people and agents in, and issues the tokens that the gateway accepts.
//!
//! In: requests of clients and browsers, a [`Config`], and [`Parts`] of the house. Out: answers, by [`Issuer::answer`].
//! Never here: a token, code, secret, password or cookie in a log, an error, a row or the record in the clear; a
//! redirect to an address that was not registered; a rewritten document of another server.
//! One authorization server per gateway; its issuer is exactly the gateway's public URL.
//! Specified in OAuth 2.1, RFC 6749, 7009, 7591, 7636, 7662, 8252, 8414, 8707, 9068, 9207, OAuth Client ID Metadata
//! Document, and MCP 2026-07-28, basic/authorization.
//!
//! A value's way: [`client`] says who asks, [`authorize`] takes the request to a person and ends in a code,
//! [`token`] turns what proves a grant into tokens, [`grant`] keeps what was granted.
//! What ends with what is in `ending`; whether a provider still stands behind a person, in `voucher`.

pub mod agent;
pub mod authorize;
pub mod client;
mod config;
pub mod consent;
mod cors;
mod device;
mod ending;
mod fetch;
mod form;
pub mod grant;
mod introspect;
mod issuer;
mod kept;
mod metadata;
mod oauth_error;
mod pages;
pub mod person;
mod rate;
mod record;
mod replay;
mod revoke;
mod revoked;
mod router;
mod secret_text;
pub mod session;
pub mod sign_in;
mod tend;
pub mod token;
mod voucher;

pub use agent::ApiKeys;
pub use config::{AgentRules, Config, ConfiguredClient, Documents, Registration, ResourceConfig};
pub use ending::EndError;
pub use form::{Form, FormError};
pub use issuer::{Issuer, Parts};
pub use oauth_error::OauthError;
pub use router::{BODY_BYTES, answers};

#[cfg(test)]
mod tests;
