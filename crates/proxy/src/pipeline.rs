//! The way of a request, from its first byte to the reply. Read it beside `docs/request-path.md`.

use crate::admit::{Admitted, Call, admit};
use crate::attach::attach;
use crate::authenticate::authenticate;
use crate::authorize::authorize;
use crate::endpoint::receive;
use crate::house::House;
use crate::reply::Reply;
use crate::resolve::{Target, finds, resolve};
use crate::send::{Sent, send};
use crate::session::UnderWay;
use crate::stop::{Refusal, Stop};
use crate::{inspect, list, listen, local, parked, record, relay, reply, wellknown};
use futures_util::future::{AbortHandle, Abortable};
use hyper::body::Incoming;
use model::{Code, ErrorKind};
use net::listen::Peer;
use protocol::method::Shape;
use std::sync::Arc;

impl House {
    /// Answers one HTTP request. Cancel safety: dropping it cancels what it began, and the record says so.
    pub async fn handle(self: &Arc<Self>, request: http::Request<Incoming>, peer: Peer) -> Reply {
        if let Some(document) = wellknown::answer(self, &request) {
            return document;
        }
        match handle(self, request, peer).await {
            Ok(reply) => reply,
            Err(stop) => reply::stop(self, record::stop(self, stop).await),
        }
    }
}

async fn handle(house: &Arc<House>, request: http::Request<Incoming>, peer: Peer) -> Result<Reply, Stop> {
    let received = receive(house, request, &peer).await?;
    let authenticated = authenticate(house, received).await?;
    match admit(house, authenticated)? {
        Admitted::Call(call) => match call.method.row().shape {
            Shape::Local => local::answer(house, call).await,
            Shape::FanOut => list::answer(house, call).await,
            Shape::Stream => listen::subscribe(house, call).await,
            Shape::Target | Shape::Notification | Shape::Ask => one_target(house, call).await,
        },
        Admitted::Notice(notice) => local::notice(notice),
        Admitted::Answer(answer) => local::client_answer(house, answer),
        Admitted::Open(opening) => listen::open(house, opening).await,
        Admitted::End(opening) => local::end(house, opening).await,
    }
}

/// A call to one server, to its reply.
async fn line(house: Arc<House>, call: Box<Call>, under_way: Option<UnderWay>) -> Result<Reply, Stop> {
    // A call of what nobody lists yet waits until all servers were asked, as lists do; any other goes on at once.
    if !house.catalog.is_ready() && !finds(&house, &call) {
        house.catalog.ready(call.state.config.limits.discovery_timeout).await;
    }
    let target = resolve(&house, call)?;
    let sent = go(&house, target).await?;
    relay::relay(&house, sent, under_way).await
}

/// The way of a call to its server, stage by stage. A stage that is left out does not compile. Every leg of a call and
/// every resource that a stream follows goes it anew.
pub(crate) async fn go(house: &Arc<House>, target: Target) -> Result<Sent, Stop> {
    let permit = authorize(house, target)?;
    let vetted = inspect::request(house, permit)?;
    let recorded = record::intent(house, vetted).await?;
    if let Some(bay) = recorded.parked() {
        // The call is under way: it goes on, and nothing is sent a second time.
        return parked::resume(house, bay, recorded).await;
    }
    let armed = attach(house, recorded).await?;
    send(house, armed).await
}

/// A stateless client's call lives as long as its connection. A session client's call lives in a task of its
/// own: a broken connection does not cancel it, `notifications/cancelled` does (MCP 2025-11-25, cancellation).
async fn one_target(house: &Arc<House>, call: Box<Call>) -> Result<Reply, Stop> {
    let Some(session) = call.client.session.clone() else {
        // Requests that came together are all read before the first goes on: they share wake-ups, and writes of the
        // record. A tenth of a call's CPU under load (docs/performance.md).
        tokio::task::yield_now().await;
        return line(Arc::clone(house), call, None).await;
    };
    let (handle, registration) = AbortHandle::new_pair();
    let Some(under_way) = session.begin(&call.id, handle) else {
        let refusal = Refusal::params("a request with this id is under way in this session");
        return Err(Stop::refused(call.trail, refusal));
    };
    let work = line(Arc::clone(house), call, Some(under_way));
    match tokio::spawn(Abortable::new(work, registration)).await {
        Ok(Ok(answered)) => answered,
        Ok(Err(_)) => Ok(reply::accepted()),
        Err(_) => Ok(reply::fault(ErrorKind::Internal, Code::INTERNAL)),
    }
}
