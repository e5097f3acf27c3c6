//! What servers say unasked to a client session: carried to its GET stream, and its answers back.

use crate::house::House;
use crate::inspect;
use crate::relay::question;
use crate::reply;
use crate::session::Live;
use crate::upstream::{Inbox, Unsolicited};
use protocol::{Called, Id, Message, Method, Notification, Response, frame};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use tokio::sync::mpsc;

/// Messages that may wait for one session.
const WAITING: usize = 64;
/// A session without a stream is heard for this many times as long as what is idle is kept.
const FORGOTTEN: u32 = 6;

/// The session's inbox; made, with the task that empties it, when it is first needed.
pub(crate) fn inbox(house: &Arc<House>, session: &Arc<Live>) -> Inbox {
    session.inbox(|| {
        let (inbox, mail) = mpsc::channel(WAITING);
        tokio::spawn(carry(Arc::clone(house), Arc::downgrade(session), mail));
        inbox
    })
}

async fn carry(house: Arc<House>, session: Weak<Live>, mut mail: mpsc::Receiver<Unsolicited>) {
    let (answered, mut answers) = mpsc::channel::<(Id, Response)>(WAITING);
    let mut waiting = Waiting::default();
    let idle = house.state().config.limits.idle_timeout;
    loop {
        tokio::select! {
            () = tokio::time::sleep(idle) => {
                // Whoever has gone without a word is no longer heard for: what it followed upstream ends with the inbox.
                let Some(session) = session.upgrade() else { return };
                if session.is_forgotten(house.clock.now(), idle.saturating_mul(FORGOTTEN)) {
                    return;
                }
            }
            unsolicited = mail.recv() => {
                let (Some(unsolicited), Some(session)) = (unsolicited, session.upgrade()) else { return };
                deliver(&house, &session, unsolicited, &answered, &mut waiting).await;
            }
            Some((place, response)) = answers.recv() => {
                if let Some((id, unsolicited)) = waiting.questions.remove(&place) {
                    drop(unsolicited.answer(reply::with_id(&response, id)).await);
                }
            }
        }
    }
}

/// Questions that wait for the client, by a number of our own: two servers may ask under the same id.
#[derive(Default)]
struct Waiting {
    asked: i64,
    questions: HashMap<Id, (Id, Unsolicited)>,
}

async fn deliver(
    house: &House,
    session: &Arc<Live>,
    unsolicited: Unsolicited,
    answered: &mpsc::Sender<(Id, Response)>,
    waiting: &mut Waiting,
) {
    match &unsolicited.message {
        // Lists come from the catalog, whose own change reaches every listener.
        Message::Notification(Notification { method, .. }) if is_list_change(method) => {
            house.catalog.refresh(&unsolicited.server);
        }
        Message::Notification(notification) => {
            // A session that does not listen has chosen not to hear.
            let fits = notification
                .params
                .as_ref()
                .is_none_or(|params| inspect::answer(&house.state(), params.raw()).is_ok());
            if fits {
                let told = session.tell(&notification.bytes);
                tracing::debug!(server = unsolicited.server.as_str(), told, "a server spoke unasked");
            }
        }
        Message::Request(request) => {
            let request_id = request.id.clone();
            let (server, method) = (&unsolicited.server, request.method.as_str());
            let capabilities = session.answered(server);
            let fit = question::fit(&house.state(), server, &capabilities, method, request.params.as_ref());
            waiting.asked += 1;
            let place = Id::Number(waiting.asked);
            let (id, params) = match fit {
                Ok(params) => (session.ask(place.clone(), answered.clone()), params),
                Err(_) => (None, None),
            };
            let told =
                id.as_ref().is_some_and(|id| session.tell(&frame::request(id, method, params.as_ref())));
            match id {
                Some(_) if told => {
                    waiting.questions.insert(place, (request_id, unsolicited));
                }
                id => {
                    id.iter().for_each(|id| session.withdraw(id));
                    drop(unsolicited.answer(reply::cannot_ask(&request_id)).await);
                }
            }
        }
        Message::Response(_) => {}
    }
}

fn is_list_change(method: &Called) -> bool {
    matches!(
        method.known(),
        Some(Method::ToolsListChanged | Method::PromptsListChanged | Method::ResourcesListChanged)
    )
}
