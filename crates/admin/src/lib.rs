//! The admin API: what an operator, a tenant's administrator and every person may see and change, over HTTP.
//!
//! In: requests below `/api/v1` of the listener for clients, with a token for exactly that resource. Out: JSON, or a
//! problem (RFC 9457) with our code and its fix. Its description (OpenAPI 3.1) is made from the code that answers, and the
//! door asks of every caller what the description says the operation needs, so an operation cannot be there without
//! either. Never here: a secret in an answer, but for a credential shown once where it is made; a change that is not on
//! record before it happens; a row of another tenant, which answers exactly as one that does not exist.
//! Specified in RFC 6750, 9457, 9728 and `docs/admin-api.md`.

mod admin;
mod config;
mod need;

mod caller;
mod door;
mod idempotency;
mod journal;

mod answer;
mod page;
mod problem;
mod tag;
mod taken;

mod bootstrap;
mod description;
mod noun;

pub use admin::{Admin, Parts, TendError, resource};
pub use bootstrap::{BootstrapError, TOKEN_LIFETIME, mint};
pub use config::Config;
pub use description::openapi;
pub use need::SCOPES;
