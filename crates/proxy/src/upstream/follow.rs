//! Following one resource across the eras: what each side says in its own words reaches the other in its.

mod by_newer;
mod by_older;

pub(super) use by_newer::Followed;
pub(super) use by_older::Follows;

use super::Outbound;
use super::exchange::Opened;
use super::fault::UpstreamError;
use super::server::Server;
use protocol::{Era, Method};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Follows a resource at a server that is spoken to in `era`, for a client of the other.
///
/// # Errors
/// [`UpstreamError`].
pub(super) async fn across(
    server: &Arc<Server>,
    follows: &Follows,
    era: Era,
    out: Outbound,
    sent: &Arc<AtomicBool>,
) -> Result<Opened, UpstreamError> {
    match era {
        Era::Stateless => by_older::follow(server, follows, out, sent).await,
        Era::Session => by_newer::follow(server, out, sent).await,
    }
}

/// Whether a method is about following one resource and unknown to a server spoken to in `era`.
pub(super) fn is_across(method: Method, era: Era) -> bool {
    match era {
        Era::Stateless => matches!(method, Method::ResourcesSubscribe | Method::ResourcesUnsubscribe),
        Era::Session => method == Method::SubscriptionsListen,
    }
}
