//! `/oauth/authorize`: from a client's request to a code, by way of a person (OAuth 2.1 §4.1).
//!
//! The request is checked and kept as a [`Transaction`]; the browser goes to `/sign-in?tx=<id>`. Whoever signs the
//! person in reads it by [`transaction::look`] and ends it by [`finish`], which says where the browser goes next.

mod finish;
pub(crate) mod transaction;

pub use finish::{Approval, Decision, FinishError, finish};
pub use transaction::Transaction;

use crate::Issuer;
use axum::Router;
use std::sync::Arc;

pub(crate) fn routes() -> Router<Arc<Issuer>> {
    Router::new()
}
