//! Whose message is it: the calls that share one link, told apart by id and token.

use super::dialect::{own_answer, refusal};
use super::fault::{Sent, UpstreamError};
use super::followers::Followers;
use super::way::Back;
use super::{Inbox, Unsolicited};
use bytes::Bytes;
use model::ServerName;
use protocol::meta::SUBSCRIPTION_ID;
use protocol::{Era, Id, Message, Method, Notification, Request, Response};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, mpsc, oneshot};

/// The calls under way on one link.
pub(super) struct Calls {
    state: Mutex<State>,
    era: Era,
    /// Whether several principals share the child: then only what names its call is passed on.
    shared: bool,
    server: ServerName,
    followers: Followers,
    /// Says that the link ends at once.
    killed: Notify,
}

#[derive(Default)]
struct State {
    waiting: HashMap<i64, Waiting>,
    /// Ids whose calls were withdrawn: a late answer to one is no fault.
    withdrawn: VecDeque<i64>,
    inbox: Option<Inbox>,
    /// Why no answer will come any more.
    closed: Option<Arc<str>>,
    /// Lines of garbage in a row.
    strikes: usize,
}

struct Waiting {
    events: mpsc::Sender<Message>,
    answer: oneshot::Sender<Response>,
}

/// The receiving ends of one call.
pub(super) struct Heard {
    pub(super) events: mpsc::Receiver<Message>,
    pub(super) answer: oneshot::Receiver<Response>,
}

/// What the reader must do after a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Read on.
    Go,
    /// Write this to the child.
    Say(Bytes),
    /// The child cannot be trusted to be in step.
    Stop(&'static str),
}

impl Heard {
    /// The next message of the call. Cancel safe.
    ///
    /// # Errors
    /// Failed: no answer will come, and the call may have taken effect.
    pub(super) async fn next(&mut self, calls: &Calls) -> Result<Message, UpstreamError> {
        tokio::select! {
            biased;
            Some(event) = self.events.recv() => Ok(event),
            answer = &mut self.answer => answer.map(Message::Response).map_err(|_| {
                let reason = calls.closed();
                let reason = reason.map_or("it is gone".to_owned(), |reason| reason.to_string());
                UpstreamError::failed(reason).with_sent(Sent::Unknown)
            }),
        }
    }
}

impl Calls {
    pub(super) fn new(era: Era, shared: bool, server: ServerName) -> Self {
        Self {
            state: Mutex::default(),
            era,
            shared,
            server,
            followers: Followers::default(),
            killed: Notify::new(),
        }
    }

    /// Fails all calls, and ends the link at once.
    pub(super) fn kill(&self) {
        self.close("whoever it belonged to was revoked, or it was contained");
        // Whoever moves its messages may not be waiting yet.
        self.killed.notify_one();
    }

    /// Ready when the link ends at once. Cancel safe.
    pub(super) async fn killed(&self) {
        self.killed.notified().await;
    }

    /// Registers a call before it is written.
    ///
    /// # Errors
    /// Why the child takes no further call.
    pub(super) fn enter(&self, id: i64) -> Result<Heard, Arc<str>> {
        let (events, heard) = mpsc::channel(EVENTS);
        let (answer, answered) = oneshot::channel();
        let mut state = self.lock();
        if let Some(reason) = &state.closed {
            return Err(Arc::clone(reason));
        }
        if state.waiting.len() >= CALLS {
            return Err("too many calls are under way there".into());
        }
        state.waiting.insert(id, Waiting { events, answer });
        Ok(Heard { events: heard, answer: answered })
    }

    /// Forgets a call. Says whether it was still waiting for its answer.
    pub(super) fn leave(&self, id: i64) -> bool {
        let mut state = self.lock();
        let waited = state.waiting.remove(&id).is_some();
        if waited {
            if state.withdrawn.len() >= WITHDRAWN {
                state.withdrawn.pop_front();
            }
            state.withdrawn.push_back(id);
        }
        waited
    }

    /// Forgets a call that the server did not take.
    pub(super) fn forget(&self, id: i64) {
        self.lock().waiting.remove(&id);
    }

    /// Lets `inbox` hear what belongs to no call. INVARIANT: never for a shared child.
    pub(super) fn listen(&self, inbox: &Inbox) {
        if !self.shared {
            self.lock().inbox = Some(inbox.clone());
        }
    }

    /// Who follows the server's resources.
    pub(super) fn followers(&self) -> &Followers {
        &self.followers
    }

    pub(super) fn has_listener(&self) -> bool {
        self.lock().inbox.as_ref().is_some_and(|inbox| !inbox.is_closed())
    }

    /// Fails all calls under way, and all later ones.
    pub(super) fn close(&self, reason: &str) {
        let mut state = self.lock();
        if state.closed.is_none() {
            state.closed = Some(reason.into());
        }
        self.followers.end();
        // Dropping the senders tells the receivers.
        let failed = std::mem::take(&mut state.waiting);
        drop(state);
        drop(failed);
    }

    /// Why the child takes no further call.
    pub(super) fn closed(&self) -> Option<Arc<str>> {
        self.lock().closed.clone()
    }

    /// Takes one line that was no message.
    pub(super) fn garbage(&self, line: &[u8]) -> Step {
        let mut state = self.lock();
        state.strikes += 1;
        if state.strikes > STRIKES {
            return Step::Stop("it writes what is not MCP");
        }
        // Logging to the wrong stream is common and harmless; a broken object was meant for somebody.
        let object = line.trim_ascii_start().first() == Some(&b'{');
        if object && !state.waiting.is_empty() { Step::Stop("it sent what is not MCP") } else { Step::Go }
    }

    /// Takes one message to whom it belongs.
    pub(super) fn take(&self, message: Message, back: &Back) -> Step {
        self.lock().strikes = 0;
        match message {
            Message::Response(response) => self.answered(response),
            Message::Notification(notification) => {
                self.told(notification);
                Step::Go
            }
            Message::Request(request) => self.asked(request, back),
        }
    }

    fn answered(&self, response: Response) -> Step {
        let mut state = self.lock();
        let Some(id) = &response.id else {
            // The server could not read a request; with one call under way it is that one's.
            let sole = state.sole();
            if let Some(waiting) = sole.and_then(|id| state.waiting.remove(&id)) {
                let _ = waiting.answer.send(response);
            }
            return Step::Go;
        };
        let known = match id {
            Id::Number(id) => state.waiting.remove(id).map(|waiting| (*id, waiting)),
            Id::Text(_) => None,
        };
        match known {
            Some((_, waiting)) => {
                let _ = waiting.answer.send(response);
                Step::Go
            }
            None if matches!(id, Id::Number(id) if state.withdrawn.contains(id)) => Step::Go,
            None => Step::Stop("it answered with an id that was not asked"),
        }
    }

    fn told(&self, notification: Notification) {
        if self.followers.tell(&notification) {
            return;
        }
        let call = self.call_of(&notification);
        let state = self.lock();
        let waiting = call.and_then(|id| state.waiting.get(&id));
        if let Some(waiting) = waiting {
            // A call that does not listen loses its news, not its answer.
            let _ = waiting.events.try_send(Message::Notification(notification));
        } else if let Some(inbox) = state.inbox.clone().filter(|_| !self.shared) {
            drop(state);
            let message = Message::Notification(notification);
            let _ = inbox.try_send(Unsolicited { server: self.server.clone(), message, answer: None });
        }
    }

    /// The call a notification belongs to: by token, by subscription, or because there is only one.
    fn call_of(&self, notification: &Notification) -> Option<i64> {
        let params = notification.params.as_ref();
        match notification.method.known() {
            Some(Method::Progress) => params?.get("progressToken")?.to_i64(),
            Some(
                Method::ToolsListChanged
                | Method::PromptsListChanged
                | Method::ResourcesListChanged
                | Method::ResourcesUpdated
                | Method::SubscriptionsAcknowledged,
            ) => params?.object("_meta")?.get(SUBSCRIPTION_ID)?.to_i64(),
            _ if self.shared => None,
            _ => self.lock().sole(),
        }
    }

    fn asked(&self, request: Request, back: &Back) -> Step {
        if let Some(reply) = own_answer(&request) {
            return Step::Say(reply);
        }
        if self.era == Era::Stateless {
            return Step::Stop("it sent a request, which 2026-07-28 forbids");
        }
        let refused = Step::Say(refusal(&request));
        if self.shared {
            return refused;
        }
        let state = self.lock();
        let sole = state.sole().and_then(|id| state.waiting.get(&id));
        if let Some(waiting) = sole {
            let given = waiting.events.try_send(Message::Request(request));
            return if given.is_ok() { Step::Go } else { refused };
        }
        let Some(inbox) = state.inbox.clone() else { return refused };
        drop(state);
        let answer = Some(super::exchange::Answering::Link(back.clone()));
        let message = Message::Request(request);
        let given = inbox.try_send(Unsolicited { server: self.server.clone(), message, answer });
        if given.is_ok() { Step::Go } else { refused }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn sole(&self) -> Option<i64> {
        let mut ids = self.waiting.keys();
        ids.next().copied().filter(|_| ids.next().is_none())
    }
}

/// Calls under way on one link.
const CALLS: usize = 1024;
/// News waiting for one call.
const EVENTS: usize = 64;
/// Withdrawn ids remembered.
const WITHDRAWN: usize = 1024;
/// Lines of garbage in a row before a child is given up.
const STRIKES: usize = 64;
