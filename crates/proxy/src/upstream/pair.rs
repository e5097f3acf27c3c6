//! HTTP+SSE, the transport before streamable HTTP (MCP 2024-11-05, transports): all that the server says comes on one event
//! stream, whose first event names the endpoint to which everything is POSTed.

use super::call::Refusal;
use super::door::{Door, Events, Reply, refused};
use super::era::Eras;
use super::errand::Errands;
use super::fault::{Sent, UpstreamError};
use super::link::{self, Link, Pipe};
use super::route::{Calls, Step};
use super::way::{Back, Way};
use super::{Outbound, Shared};
use arc_swap::ArcSwap;
use broker::Credential;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use protocol::Era;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::task::AbortHandle;

/// The endpoint that takes messages, and the stream beside it. Dropping it ends the stream, and with it the server's
/// session.
pub(super) struct Pair {
    door: Door,
    /// What carries what belongs to no call.
    credential: ArcSwap<Credential>,
    errands: Errands,
    reader: AbortHandle,
}

/// Opens the stream, learns the endpoint, and begins the conversation.
///
/// # Errors
/// [`UpstreamError`]: it offers no such stream, or names an endpoint of another origin.
pub(super) async fn open(
    door: &Door,
    shared: &Shared,
    out: &Outbound,
    eras: &Eras,
) -> Result<Link, UpstreamError> {
    let mut headers = HeaderMap::with_capacity(8);
    out.beside(None, &mut headers)?;
    let no_stream = || UpstreamError::unreachable("it offers no event stream that names an endpoint");
    let mut events = match tokio::time::timeout(PATIENCE, door.get(headers)).await {
        Ok(Ok(Reply::Stream(_, events))) => events,
        Ok(Ok(Reply::Refused(status, _))) => return Err(refused(status)),
        Ok(Ok(Reply::Json(..) | Reply::Accepted)) | Err(_) => return Err(no_stream()),
        Ok(Err(error)) => return Err(error),
    };
    let named = tokio::time::timeout(PATIENCE, events.endpoint()).await.map_err(|_| no_stream())??;
    let endpoint = door.beside(&named.ok_or_else(no_stream)?)?;
    let calls = Arc::new(Calls::new(Era::Session, false, out.server.clone()));
    let pair = Arc::new_cyclic(|pair| {
        let hearing = hear(*events, Arc::clone(&calls), Weak::clone(pair), endpoint.clone());
        let reader = tokio::spawn(hearing).abort_handle();
        let credential = ArcSwap::from_pointee(out.credential.aside());
        Pair { door: endpoint, credential, errands: shared.errands.clone(), reader }
    });
    link::begin(Pipe { way: Way::Pair(pair), calls }, shared, out, eras).await
}

/// Hears the server until its stream ends.
async fn hear(mut events: Events, calls: Arc<Calls>, pair: Weak<Pair>, door: Door) {
    let back = Back::Pair(pair);
    let reason = loop {
        let message = match events.next().await {
            Ok(Some(data)) => door.decode(data),
            Ok(None) => break "it ended its event stream".to_owned(),
            Err(error) => break error.detail(),
        };
        match message.map(|message| calls.take(message, &back)) {
            Ok(Step::Go) => {}
            Ok(Step::Say(reply)) => back.say(reply),
            Ok(Step::Stop(reason)) => break reason.to_owned(),
            Err(error) => break error.detail(),
        }
    };
    calls.close(&reason);
}

impl Pair {
    /// The headers of what belongs to no call.
    fn headers(&self) -> Result<HeaderMap, UpstreamError> {
        let mut headers = HeaderMap::with_capacity(8);
        self.credential.load().apply(None, &mut headers).map_err(UpstreamError::credential)?;
        Ok(headers)
    }

    /// A call of the same caller comes through: what belongs to no call goes on in the name of its caller.
    pub(super) fn renew(&self, out: &Outbound) {
        if out.credential.shown().is_some() {
            self.credential.store(Arc::new(out.credential.aside()));
        }
    }

    /// POSTs one message.
    ///
    /// # Errors
    /// [`Refusal`]; the session is lost when the endpoint does not know it.
    pub(super) async fn post(&self, headers: HeaderMap, message: Bytes) -> Result<(), Refusal> {
        match self.door.tell(headers, message).await? {
            status if status.is_success() => Ok(()),
            status if UNKNOWN.contains(&status) => Err(Refusal::SessionLost(Box::new(refused(status)))),
            status if status.is_server_error() => Err(refused(status).with_sent(Sent::Unknown).into()),
            status => Err(refused(status).into()),
        }
    }

    /// POSTs a message without waiting for it.
    pub(super) fn send_later(self: &Arc<Self>, message: Bytes) {
        let pair = Arc::clone(self);
        self.errands.send(async move {
            match pair.headers() {
                Ok(headers) => drop(pair.post(headers, message).await),
                Err(error) => tracing::debug!(error = %error.detail(), "a message to a server is lost"),
            }
        });
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// What an endpoint says to a session that it does not know.
const UNKNOWN: [StatusCode; 3] = [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::GONE];
/// How long the stream, and then its first event, are waited for.
const PATIENCE: Duration = Duration::from_secs(5);
