//! Reading the record: questions, newest first, and the tail. Works on the segments alone, so also while the
//! gateway runs and on a copy. An intent is joined with its outcome; without one the outcome is unknown.
//!
//! Concurrency: takes no lock that a writer would wait for. Memory: one segment, and the outcomes whose intents
//! lie in older ones.

mod scan;
mod tail;

use crate::disk;
use ledger::{Call, DecodeError, Effect, Entry, Event, Leaf, What, decode};
use model::{CallId, Timestamp};
use scan::Scan;
pub use scan::{Damage, QueryError};
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
pub use tail::{News, Tail};

/// What is asked for. Every field that is given must match.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The user.
    pub user: Option<String>,
    /// The agent.
    pub agent: Option<String>,
    /// The OAuth client.
    pub client: Option<String>,
    /// The tenant.
    pub tenant: Option<String>,
    /// The server.
    pub server: Option<String>,
    /// The name of the tool, prompt or resource, as its server knows it.
    pub tool: Option<String>,
    /// Permitted, or stopped for whatever reason.
    pub decision: Option<Effect>,
    /// One call.
    pub call: Option<CallId>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Only calls whose outcome is not on record.
    pub unknown: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Answer {
    /// Newest first.
    pub found: Vec<Found>,
    /// What could not be read on the way. An answer with damage may lack something.
    pub damage: Vec<Damage>,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Found {
    /// A call that was permitted.
    Call {
        /// Its intent.
        intent: Stored,
        /// Its outcome; `None` unless `ending` is [`Ending::Recorded`].
        outcome: Option<Stored>,
        /// What is known of its end.
        ending: Ending,
    },
    /// A denial, counted failures to authenticate, an event, or an outcome whose intent is not on record.
    Alone(Stored),
}

impl Found {
    /// The leaf that tells of it: of a call, its intent.
    pub fn leaf(&self) -> &Stored {
        match self {
            Self::Call { intent, .. } => intent,
            Self::Alone(leaf) => leaf,
        }
    }
}

/// What is known of a call's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its outcome is on record.
    Recorded,
    /// It has none yet, and the gateway that sent it still runs.
    UnderWay,
    /// It has none and never will: the effect may have happened.
    Unknown,
}

/// A leaf as it stands in the record: one JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored(Box<[u8]>);

impl Stored {
    /// The JSON, byte for byte.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The leaf, borrowed.
    pub fn entry(&self) -> Result<Entry<'_>, DecodeError> {
        decode(&self.0)
    }
}

/// Answers `filter` from the record in `dir`: at most `limit` findings, newest first.
pub fn query(dir: &Path, filter: &Filter, limit: usize) -> Result<Answer, QueryError> {
    let mut search = Search {
        filter,
        limit,
        alive: disk::is_locked(dir),
        restarted: false,
        outcomes: HashMap::new(),
        answer: Answer::default(),
    };
    let mut scan = Scan::of(dir)?;
    while let Some(segment) = scan.older()? {
        // Every leaf of this segment was made before the next one was begun.
        let over = |from: Timestamp| segment.ended.is_some_and(|ended| ended.after(SKEW) < from);
        if filter.from.is_some_and(over) {
            break;
        }
        let (frames, mut damage) = segment.frames();
        search.answer.damage.append(&mut damage);
        for frame in frames.into_iter().rev() {
            match decode(frame.payload) {
                Ok(entry) => search.meet(frame.payload, &entry),
                Err(error) => search.answer.damage.push(segment.undecodable(frame.sequence, &error)),
            }
            if search.answer.found.len() >= limit {
                return Ok(search.answer);
            }
        }
    }
    Ok(search.answer)
}

/// A search from the newest leaf to the oldest: it meets outcomes before their intents.
struct Search<'f> {
    filter: &'f Filter,
    limit: usize,
    alive: bool,
    /// A start or a stop was met: what is older and has no outcome will never have one.
    restarted: bool,
    outcomes: HashMap<CallId, Stored>,
    answer: Answer,
}

impl Search<'_> {
    fn meet(&mut self, payload: &[u8], entry: &Entry<'_>) {
        if self.limit == 0 {
            return;
        }
        let stored = || Stored(payload.into());
        let in_time = self.filter.from.is_none_or(|from| entry.time >= from)
            && self.filter.until.is_none_or(|until| entry.time < until);
        match &entry.leaf {
            Leaf::Outcome(outcome) => {
                if self.filter.call.is_none_or(|call| call == outcome.call) {
                    self.outcomes.insert(outcome.call, stored());
                }
            }
            Leaf::Intent(intent) => {
                let outcome = self.outcomes.remove(&intent.call.id);
                let ending = match outcome {
                    Some(_) => Ending::Recorded,
                    None if self.alive && !self.restarted => Ending::UnderWay,
                    None => Ending::Unknown,
                };
                let asked = !self.filter.unknown || ending != Ending::Recorded;
                if in_time && asked && self.filter.admits(&intent.call, Effect::Permit) {
                    self.answer.found.push(Found::Call { intent: stored(), outcome, ending });
                }
            }
            Leaf::Denial(denial) => {
                if in_time && !self.filter.unknown && self.filter.admits(&denial.call, Effect::Deny) {
                    self.answer.found.push(Found::Alone(stored()));
                }
            }
            Leaf::AuthnFailures(_) => {
                if in_time && self.filter.is_about_nobody() && self.filter.server.is_none() {
                    self.answer.found.push(Found::Alone(stored()));
                }
            }
            Leaf::Event(event) => {
                self.restarted |= matches!(event.what, What::Started | What::Stopped);
                if in_time && self.filter.admits_event(event) {
                    self.answer.found.push(Found::Alone(stored()));
                }
            }
        }
    }
}

impl Filter {
    fn admits(&self, call: &Call<'_>, effect: Effect) -> bool {
        let caller = &call.caller;
        let target = call.target.as_ref();
        let is = |asked: &Option<String>, given: Option<&str>| {
            asked.as_deref().is_none_or(|asked| given == Some(asked))
        };
        is(&self.user, Some(&caller.user))
            && is(&self.agent, caller.agent.as_deref())
            && is(&self.client, Some(&caller.client))
            && is(&self.tenant, Some(&caller.tenant))
            && is(&self.server, target.map(|target| target.server.as_ref()))
            && is(&self.tool, target.and_then(|target| target.name.as_deref()))
            && self.decision.is_none_or(|asked| asked == effect)
            && self.call.is_none_or(|asked| asked == call.id)
    }

    /// An event is of whoever did it and of whomever it is about.
    fn admits_event(&self, event: &Event<'_>) -> bool {
        let about = |kind: &str, asked: &str| {
            event.about.as_ref().is_some_and(|about| about.kind == kind && about.id == asked)
        };
        let by = |asked: &str| event.by.as_deref() == Some(asked);
        let given = |asked: &Option<String>, is: &dyn Fn(&str) -> bool| asked.as_deref().is_none_or(is);
        given(&self.user, &|user| by(user) || about("user", user))
            && given(&self.agent, &|agent| by(agent) || about("agent", agent))
            && given(&self.client, &|client| about("client", client))
            && given(&self.tenant, &|tenant| event.tenant.as_deref() == Some(tenant))
            && given(&self.server, &|server| {
                event.server.as_deref() == Some(server) || about("server", server)
            })
            && (self.tool.is_none() && self.decision.is_none() && self.call.is_none() && !self.unknown)
    }

    /// Whether leaves without a caller can match.
    fn is_about_nobody(&self) -> bool {
        let texts = [&self.user, &self.agent, &self.client, &self.tenant, &self.tool];
        let any = texts.into_iter().all(Option::is_none);
        any && self.decision.is_none() && self.call.is_none() && !self.unknown
    }
}

/// A leaf is made before it is appended: by a call's longest stage, and by what clocks were set back.
const SKEW: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
