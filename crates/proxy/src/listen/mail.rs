//! What servers say unasked to a client session: carried to its GET stream, and its answers back.

use crate::house::House;
use crate::inspect;
use crate::relay::question;
use crate::reply;
use crate::session::Live;
use crate::upstream::{Inbox, Unsolicited};
use model::Timestamp;
use protocol::{Called, Id, Message, Method, Notification, Response, frame};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

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
    let (idle, patience) = {
        let limits = &house.state().config.limits;
        (limits.idle_timeout, limits.question_timeout)
    };
    let mut rounds = tokio::time::interval(idle.min(patience).max(Duration::from_millis(1)));
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = rounds.tick() => {
                // Whoever has gone without a word is no longer heard for: what it followed upstream ends with the inbox.
                let Some(session) = session.upgrade() else { return };
                let now = house.clock.now();
                let forgotten = session.is_forgotten(now, idle.saturating_mul(FORGOTTEN));
                waiting.give_up(&session, |asked| forgotten || now.since(asked.at) >= patience);
                if forgotten {
                    return;
                }
            }
            unsolicited = mail.recv() => {
                let (Some(unsolicited), Some(session)) = (unsolicited, session.upgrade()) else { return };
                deliver(&house, &session, unsolicited, &answered, &mut waiting);
            }
            Some((place, response)) = answers.recv() => {
                if let Some(Asked { id, unsolicited, .. }) = waiting.questions.remove(&place) {
                    unsolicited.answer(&reply::with_id(&response, id));
                }
            }
        }
    }
}

/// Questions that wait for the client, by a number of our own: two servers may ask under the same id.
#[derive(Default)]
struct Waiting {
    asked: i64,
    questions: HashMap<Id, Asked>,
}

/// A question that was put to the client.
struct Asked {
    at: Timestamp,
    /// The server's own id, and the one the client knows.
    id: Id,
    shown: Id,
    unsolicited: Unsolicited,
}

impl Waiting {
    /// Declines for a client that does not answer.
    fn give_up(&mut self, session: &Live, chosen: impl Fn(&Asked) -> bool) {
        for (_, Asked { id, shown, unsolicited, .. }) in self.questions.extract_if(|_, asked| chosen(asked)) {
            session.withdraw(&shown);
            unsolicited.answer(&reply::cannot_ask(&id));
        }
    }
}

fn deliver(
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
        Message::Notification(notification) if notification.method.known() == Some(Method::Cancelled) => {
            let mut asked =
                waiting.questions.iter().filter(|(_, asked)| asked.unsolicited.server == unsolicited.server);
            let found = question::withdrawn(notification, |id| {
                asked.find(|(_, asked)| asked.id == *id).map(|(_, asked)| asked.shown.clone())
            });
            if let Some((shown, told)) = found {
                session.withdraw(&shown);
                waiting.questions.retain(|_, asked| asked.shown != shown);
                session.tell(&told);
            }
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
            // What nobody hears is not asked, and not kept for whoever comes back.
            let asked = fit.ok().filter(|_| session.is_listening()).and_then(|params| {
                let shown = session.ask(place.clone(), answered.clone())?;
                let told = session.tell(&frame::request(&shown, method, params.as_ref()));
                if !told {
                    session.withdraw(&shown);
                }
                told.then_some(shown)
            });
            match asked {
                Some(shown) => {
                    let asked = Asked { at: house.clock.now(), id: request_id, shown, unsolicited };
                    waiting.questions.insert(place, asked);
                }
                None => unsolicited.answer(&reply::cannot_ask(&request_id)),
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
