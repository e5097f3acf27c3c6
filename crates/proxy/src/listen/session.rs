//! What an older client hears by GET: the session's own stream, or the stream of a call that broke off (MCP 2025-11-25,
//! basic/transports, listening for messages; resumability and redelivery).

use super::hear::{self, Hearing, Told};
use super::{WAITING, until};
use crate::admit::Opening;
use crate::crowd::Place;
use crate::house::House;
use crate::record;
use crate::reply::{self, Reply};
use crate::session::{GET_STREAM, Live, replay};
use crate::stop::{Refusal, Stop};
use bytes::Bytes;
use futures_util::FutureExt as _;
use model::{Code, ErrorKind};
use protocol::view;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Opens the stream that is asked for. An earlier one of the same kind ends.
pub(crate) async fn open(house: &Arc<House>, opening: Opening) -> Result<Reply, Stop> {
    let limits = &opening.state.config.limits;
    let key = opening.caller.verified.key;
    let Some(place) = house.streams.enter(key, limits.streams, limits.streams_per_principal) else {
        return Err(Stop::busy(opening.trail));
    };
    match opening.last.filter(|last| last.stream != GET_STREAM) {
        Some(broken) => take_up(house, opening, broken, place).await,
        None => listen(house, opening, place).await,
    }
}

/// Takes up the stream of a call.
async fn take_up(
    house: &Arc<House>,
    opening: Opening,
    broken: replay::Place,
    place: Place,
) -> Result<Reply, Stop> {
    let Opening { trail, caller, session, .. } = opening;
    // SECURITY: a stream is found in the caller's own session only: `a_stream_is_taken_up_by_its_own_session_only`.
    let events = session.replays().find(broken).and_then(|replay| replay.resume(broken));
    let Some(events) = events else { return Err(Stop::refused(trail, gone())) };
    record::local(house, trail, 0).await?;
    let (sender, reader) = mpsc::channel(WAITING);
    let ended = until(house, &caller.verified);
    let work = async move {
        // SECURITY: the call goes by the token that sent it, whoever hears it by that of this request:
        // `a_stream_that_was_taken_up_ends_with_its_own_token`.
        tokio::select! {
            () = pass_on(events, &sender) => {}
            () = ended => {}
        }
        drop((place, caller));
    };
    Ok(reply::stream(Some(work.boxed()), reader))
}

/// Opens the session's own stream, from where its client was if it says so.
async fn listen(house: &Arc<House>, opening: Opening, place: Place) -> Result<Reply, Stop> {
    let Opening { trail, state, caller, session, last } = opening;
    let everything = view::Listen { tools: true, prompts: true, resources: true, uris: Vec::new() };
    let hearing = Hearing::new(house, trail.endpoint.clone(), &everything);
    record::local(house, trail, 0).await?;
    let (sender, reader) = mpsc::channel(WAITING);
    let ended = until(house, &caller.verified);
    let resumed = last.and_then(|last| session.listen_on(last));
    let gap = last.is_some() && resumed.is_none();
    let events = resumed.unwrap_or_else(|| session.listen());
    let listening = Listening { house: Arc::clone(house), session };
    if (listening.has_missed() && last.is_some()) || gap {
        // What the client was to be told is told anew, as far as it is not.
        hear::may_have_changed(&listening.session);
    }
    let quiet = state.config.limits.keep_alive;
    let work = async move {
        let Listening { house, session } = &listening;
        tokio::select! {
            _ = hear::run(house, hearing, Told::Session(session), &sender, ended, quiet) => {}
            () = pass_on(events, &sender) => {}
        }
        drop((place, caller));
    };
    Ok(reply::stream(Some(work.boxed()), reader))
}

async fn pass_on(mut events: mpsc::Receiver<Bytes>, sender: &mpsc::Sender<Bytes>) {
    while let Some(event) = events.recv().await {
        if sender.send(event).await.is_err() {
            return;
        }
    }
}

/// A session's stream, until it ends or is dropped with its connection.
struct Listening {
    house: Arc<House>,
    session: Arc<Live>,
}

impl Listening {
    /// Whether the catalog has changed since the client last heard.
    fn has_missed(&self) -> bool {
        let revision = self.house.catalog.snapshot().revision;
        self.session.told_of(revision) != revision
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.session.told_of(self.house.catalog.snapshot().revision);
    }
}

fn gone() -> Refusal {
    let message = "the stream cannot be taken up from there";
    let refusal =
        Refusal::new(ErrorKind::Invalid, Code::STREAM_GONE, protocol::reply::INVALID_PARAMS, message);
    refusal.status(http::StatusCode::BAD_REQUEST)
}
