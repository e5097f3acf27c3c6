//! The GET stream of a session: what the server says unasked (2025-11-25, listening for messages).

use super::backoff::pause;
use super::dialect::own_answer;
use super::door::{Events, Reply};
use super::session::{Hearing, Session};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use protocol::Message;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Hears until the session ends, the server offers no such stream, or it fails too often in a row.
pub(super) async fn run(session: Weak<Session>) {
    hear_on(&session).await;
    if let Some(session) = session.upgrade() {
        session.hearing.send_replace(Hearing::Never);
        session.followers.end();
    }
}

async fn hear_on(session: &Weak<Session>) {
    let (mut failures, mut last_id) = (0, None);
    loop {
        let Some(opened) = open(session, last_id.take()).await else { return };
        let mut wait = None;
        match opened {
            Some(mut events) => {
                if let Some(session) = session.upgrade() {
                    session.hearing.send_replace(Hearing::Open);
                }
                if hear(session, &mut events).await {
                    failures = 0;
                }
                wait = events.retry.map(Duration::from_millis);
                last_id = events.last_id;
            }
            None => failures += 1,
        }
        if failures >= TRIES {
            return;
        }
        tokio::time::sleep(wait.unwrap_or_else(|| pause(failures, 0)).min(LONGEST)).await;
        failures += 1;
    }
}

/// The stream; `None` when there will be none, `Some(None)` when it failed this time.
async fn open(session: &Weak<Session>, last_id: Option<HeaderValue>) -> Option<Option<Box<Events>>> {
    let session = session.upgrade()?;
    if session.is_lost() {
        return None;
    }
    let Ok(mut headers) = session.headers(None) else { return Some(None) };
    if let Some(id) = last_id {
        headers.insert(LAST_EVENT_ID, id);
    }
    let door = Arc::clone(&session.door);
    // The session must not live for this stream's sake.
    drop(session);
    match door.get(headers).await {
        Ok(Reply::Stream(_, events)) => Some(Some(events)),
        Ok(Reply::Refused(status, _)) if status.is_server_error() => Some(None),
        Ok(Reply::Refused(StatusCode::TOO_MANY_REQUESTS, _)) | Err(_) => Some(None),
        Ok(Reply::Refused(..) | Reply::Accepted | Reply::Json(..)) => None,
    }
}

/// Hears one stream to its end. Says whether anything came.
async fn hear(session: &Weak<Session>, events: &mut Events) -> bool {
    let mut heard = false;
    while let Ok(Some(data)) = events.next().await {
        heard = true;
        let Some(session) = session.upgrade() else { return heard };
        take(&session, data);
    }
    heard
}

fn take(session: &Arc<Session>, data: Bytes) {
    match session.door.decode(data) {
        Ok(Message::Request(request)) => match own_answer(&request) {
            Some(reply) => session.send_later(reply),
            None => session.unsolicited(Message::Request(request)),
        },
        Ok(message @ Message::Notification(_)) => session.unsolicited(message),
        // Answers belong on the stream of their request.
        Ok(Message::Response(_)) => {}
        Err(error) => tracing::debug!(error = %error.detail(), "a server sent what is not MCP, unasked"),
    }
}

/// Resumes a stream (2025-11-25, resumability).
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Streams that fail in a row before there is no more trying.
const TRIES: u32 = 8;
/// The longest pause a server can ask for.
const LONGEST: Duration = Duration::from_secs(60);
