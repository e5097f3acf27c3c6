//! From the server back to the client: one answer, or a stream whose every frame is inspected and passed on.

mod answer;
pub(crate) mod question;
mod rounds;
mod stream;

use crate::house::House;
use crate::parked::{self, Put};
use crate::reply::{self, Reply};
use crate::send::{self, Sent};
use crate::session::UnderWay;
use crate::stop::Stop;
use crate::trail::Stage;
use crate::upstream::Inbound;
use http::StatusCode;
use std::sync::Arc;

/// Waits for the answer. If it comes first and soon, the reply is one JSON object; otherwise a stream.
pub(crate) async fn relay(
    house: &Arc<House>,
    mut sent: Sent,
    under_way: Option<UnderWay>,
) -> Result<Reply, Stop> {
    let patience = sent.call.state.config.limits.keep_alive;
    match tokio::time::timeout(patience, sent.exchange.next()).await {
        Ok(Ok(Inbound::Final(outcome))) if rounds::asked(&sent, &outcome).is_none() => {
            sent.call.trail.mark(house, Stage::Upstream);
            let id = sent.call.id.clone();
            let released = answer::release(house, sent, outcome, 0).await?;
            Ok(released.whole(&id))
        }
        Ok(Ok(Inbound::Request(request))) if parked::waits(&sent) => {
            sent.call.trail.mark(house, Stage::Upstream);
            match parked::put(house, sent, request, 0).await? {
                Put::Parked(body) => Ok(reply::json(StatusCode::OK, body)),
                Put::Declined(sent) => Ok(stream::begin(house, *sent, None, under_way)),
            }
        }
        Ok(Ok(first)) => Ok(stream::begin(house, sent, Some(first), under_way)),
        Err(_) => Ok(stream::begin(house, sent, None, under_way)),
        Ok(Err(error)) => {
            let upstream = sent.upstream_id();
            Err(send::failed(sent.call, sent.open, &error, upstream.as_deref()).await)
        }
    }
}
