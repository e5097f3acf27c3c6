//! The mutable half of a session: it lives on this node and ends with it.

use super::Facts;
use super::replay::{Budget, Place, Replay, Replays};
use crate::upstream::Inbox;
use crate::used_by::UsedBy;
use authn::Verified;
use bytes::Bytes;
use futures_util::future::AbortHandle;
use model::{Digest, ServerName, Timestamp};
use protocol::meta::LogLevel;
use protocol::{Id, Raw, Response};
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// A session and what is under way in it.
pub(crate) struct Live {
    id: Arc<str>,
    key: Digest,
    name: Arc<str>,
    facts: Facts,
    used: AtomicI64,
    /// The GET stream; it has no number of its own.
    stream: Replay,
    /// The streams of calls.
    replays: Arc<Replays>,
    /// The revision of the catalog of which the client last heard on its GET stream.
    heard: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    log_level: Option<LogLevel>,
    used_by: UsedBy,
    inbox: Option<Inbox>,
    /// What the client answers each server, as policy narrowed it for the last call there.
    answers: HashMap<ServerName, Raw>,
    asked: u64,
    questions: HashMap<Id, Question>,
    calls: HashMap<Id, AbortHandle>,
    closed: bool,
}

/// Where the answer to a server's question goes: the relay that asked, and the server's own id.
struct Question {
    relay: mpsc::Sender<(Id, Response)>,
    upstream: Id,
}

/// A call under way in a session; forgotten on drop.
pub(crate) struct UnderWay {
    live: Arc<Live>,
    id: Id,
}

/// The number of the GET stream in event ids.
pub(crate) const GET_STREAM: u64 = 0;
/// No stream has more: what a session heard before its table was lost has lower numbers than anything after.
const EVENTS_PER_MILLISECOND: u64 = 1000;
/// Questions of servers waiting for one client at a time.
pub(crate) const QUESTIONS: usize = 64;

impl Live {
    pub(super) fn new(id: Arc<str>, facts: Facts, budget: &Arc<Budget>, now: Timestamp) -> Self {
        let key = Digest::of_parts(&[&facts.owner.0, &facts.nonce]);
        let name = key.to_string().get(..32).unwrap_or_default().into();
        let (used, state) = (AtomicI64::new(now.0), Mutex::default());
        let first = u64::try_from(now.0).unwrap_or(0).saturating_mul(EVENTS_PER_MILLISECOND);
        let stream = Replay::new(GET_STREAM, first, Arc::clone(budget));
        let replays = Arc::new(Replays::new(Arc::clone(budget), first));
        Self { id, key, name, facts, used, stream, replays, heard: AtomicU64::new(0), state }
    }

    /// The sealed id.
    pub(crate) fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// A short name for the session, safe to keep in records and tables.
    pub(crate) fn key(&self) -> Digest {
        self.key
    }

    /// The session's name in the record: sixteen bytes of its key.
    pub(crate) fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(super) fn touch(&self, now: Timestamp) {
        self.used.store(now.0, Ordering::Relaxed);
    }

    pub(super) fn last_used(&self) -> i64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Remembers by which token the session is used.
    pub(crate) fn used_by(&self, caller: &Verified) {
        self.state().used_by.note(caller);
    }

    /// By whom the session was used, if one of them was revoked and nobody is left.
    pub(super) fn is_over(
        &self,
        revoked: impl Fn(&Verified) -> bool,
        now: Timestamp,
    ) -> Option<Vec<Verified>> {
        let state = self.state();
        state.used_by.is_over(revoked, now).then(|| state.used_by.callers().to_vec())
    }

    /// What `logging/setLevel` asked for.
    pub(crate) fn log_level(&self) -> Option<LogLevel> {
        self.state().log_level
    }

    pub(crate) fn set_log_level(&self, level: LogLevel) {
        self.state().log_level = Some(level);
    }

    /// Hears the GET stream from now on; an earlier hearer ends.
    pub(crate) fn listen(&self) -> mpsc::Receiver<Bytes> {
        self.stream.hear()
    }

    /// Hears the GET stream from where the client was, if that is still known; an earlier hearer ends.
    pub(crate) fn listen_on(&self, place: Place) -> Option<mpsc::Receiver<Bytes>> {
        self.stream.resume(place)
    }

    pub(crate) fn is_listening(&self) -> bool {
        self.stream.is_heard()
    }

    /// Sends a JSON-RPC message on the GET stream. Says whether there was one with room.
    pub(crate) fn tell(&self, message: &[u8]) -> bool {
        self.stream.push(message)
    }

    /// The client has heard of this revision of the catalog, or will on its open stream; the one before.
    pub(crate) fn told_of(&self, revision: u64) -> u64 {
        self.heard.swap(revision, Ordering::Relaxed)
    }

    /// The streams of calls.
    pub(crate) fn replays(&self) -> &Arc<Replays> {
        &self.replays
    }

    /// Where this session's unsolicited messages go; `make` is asked when there is nowhere yet, or nowhere any more.
    pub(crate) fn inbox(&self, make: impl FnOnce() -> Inbox) -> Inbox {
        let mut state = self.state();
        match &state.inbox {
            Some(inbox) if !inbox.is_closed() => inbox.clone(),
            Some(_) | None => state.inbox.insert(make()).clone(),
        }
    }

    /// Whether something of it would be lost with its place in the table.
    pub(super) fn is_busy(&self) -> bool {
        self.is_listening() || !self.state().calls.is_empty()
    }

    /// Whether its client has neither listened nor asked for so long.
    pub(crate) fn is_forgotten(&self, now: Timestamp, after: Duration) -> bool {
        let used = Timestamp(self.used.load(Ordering::Relaxed));
        now.since(used) > after && !self.is_busy()
    }

    /// The client answers this server so much, from now on.
    pub(crate) fn answers(&self, server: &ServerName, capabilities: &Raw) {
        let mut state = self.state();
        if state.answers.get(server).is_none_or(|known| known.as_bytes() != capabilities.as_bytes()) {
            state.answers.insert(server.clone(), capabilities.clone());
        }
    }

    /// What the client answers a server: nothing, where no call of this session went.
    pub(crate) fn answered(&self, server: &ServerName) -> Raw {
        self.state().answers.get(server).cloned().unwrap_or_else(Raw::empty_object)
    }

    /// Gives a server's question an id of our own; its answer goes to `relay`. Nothing when too many wait.
    pub(crate) fn ask(&self, upstream: Id, relay: mpsc::Sender<(Id, Response)>) -> Option<Id> {
        let mut state = self.state();
        if state.closed || state.questions.len() >= QUESTIONS {
            return None;
        }
        state.asked += 1;
        let id = Id::Text(format!("ptn-{}", state.asked).into());
        state.questions.insert(id.clone(), Question { relay, upstream });
        Some(id)
    }

    /// Hands a client's response to the relay that asked. Says whether anyone had asked.
    pub(crate) fn answer(&self, response: Response) -> bool {
        let Some(id) = &response.id else { return false };
        let Some(question) = self.state().questions.remove(id) else { return false };
        question.relay.try_send((question.upstream, response)).is_ok()
    }

    /// Forgets a question whose relay has ended.
    pub(crate) fn withdraw(&self, id: &Id) {
        self.state().questions.remove(id);
    }

    /// Remembers a call under way, so that `notifications/cancelled` finds it. Nothing when its id is taken:
    /// ids are unique among calls under way (JSON-RPC 2.0 §4; MCP basic, requests).
    pub(crate) fn begin(self: &Arc<Self>, id: &Id, task: AbortHandle) -> Option<UnderWay> {
        let mut state = self.state();
        if state.closed || state.calls.contains_key(id) {
            return None;
        }
        state.calls.insert(id.clone(), task);
        Some(UnderWay { live: Arc::clone(self), id: id.clone() })
    }

    /// Cancels a call under way. Says whether there was one.
    pub(crate) fn cancel(&self, id: &Id) -> bool {
        let task = self.state().calls.remove(id);
        task.inspect(AbortHandle::abort).is_some()
    }

    /// Ends everything under way.
    pub(super) fn close(&self) {
        self.close_to_new();
        self.replays.close();
        for (_, task) in self.state().calls.drain() {
            task.abort();
        }
    }

    /// Ends everything but the calls under way. Whoever's caller was revoked notices by itself, and tells its client.
    pub(super) fn close_to_new(&self) {
        let mut state = self.state();
        state.closed = true;
        self.stream.end();
        state.inbox = None;
        state.questions.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    /// The call goes on in another task.
    pub(crate) fn hand_over(&self, task: AbortHandle) {
        match self.live.state().calls.get_mut(&self.id) {
            Some(slot) => *slot = task,
            // It was withdrawn just now.
            None => task.abort(),
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.live.state().calls.remove(&self.id);
    }
}
