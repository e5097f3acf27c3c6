//! Intent before effect, outcome after; a stop before it is a reply.
//!
//! An [`OpenCall`] is an intent without an outcome. Dropping it, because its caller went away or its task was
//! cancelled, appends the outcome `cancelled`: an append never blocks.

mod leaf;

use crate::house::House;
use crate::inspect::Vetted;
use crate::lease::{Ended, Lease};
use crate::parked::Bay;
use crate::resolve::Target;
use crate::stop::{Fault, Stop, Why};
use crate::trace::{self, Leg, Told};
use crate::trail::{Stage, Trail};
use audit::{AppendError, Ticket};
use ledger::{Attempt, Leaf, Status};
use model::{CallId, Code, ErrorKind};
use std::sync::Arc;

/// A vetted call whose intent is on record: durably, unless it is a plain read.
pub(crate) struct Recorded {
    target: Target,
    open: OpenCall,
}

impl Recorded {
    /// Where the call waits of which this is a later leg.
    pub(crate) fn parked(&self) -> Option<Bay> {
        self.target.parked
    }

    /// Its parts, for `attach`, and for `resume`.
    pub(crate) fn into_parts(self) -> (Target, OpenCall) {
        (self.target, self.open)
    }
}

/// An intent that waits for its outcome.
pub(crate) struct OpenCall {
    house: Arc<House>,
    call: CallId,
    plain_read: bool,
    /// What is known when the call ends by being dropped.
    sent: bool,
    latency: ledger::Latency,
    settled: bool,
    method: &'static str,
    server: Option<model::ServerName>,
    /// What is told of this leg for tracing.
    leg: Option<Box<Leg>>,
    /// Which token it carries, if it carries one of ours.
    shown: Option<Arc<broker::Shown>>,
    /// What the call stands on.
    lease: Lease,
}

/// How a call ended, for its outcome.
pub(crate) struct Ending<'a> {
    pub(crate) status: Status,
    pub(crate) attempt: Attempt,
    pub(crate) code: Option<Code>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) upstream: Option<&'a str>,
    pub(crate) findings: &'a [String],
    pub(crate) answer_bytes: usize,
    pub(crate) reply_bytes: usize,
}

/// Writes the intent.
pub(crate) async fn intent(house: &Arc<House>, vetted: Vetted) -> Result<Recorded, Stop> {
    let mut target = vetted.into_target();
    let leaf = leaf::intent(&target.call.trail);
    let appended = leaf.and_then(|leaf| house.audit.append(target.call.trail.at, &Leaf::Intent(leaf)).ok());
    let Some(ticket) = appended else {
        return Err(unavailable(target.call.trail, "the intent could not be queued"));
    };
    let trail = &target.call.trail;
    let mut leg = trace::leg(trail);
    if let Some(leg) = &mut leg {
        leg.goes_to(&target.call.state.config);
    }
    let mut open = OpenCall {
        house: Arc::clone(house),
        call: trail.call,
        plain_read: target.plain_read,
        sent: false,
        latency: ledger::Latency::default(),
        settled: false,
        method: trail.asked(),
        server: trail.server.clone(),
        leg,
        shown: None,
        lease: Lease::new(&house.authn, &target.call.caller.verified, &target.server),
    };
    if !target.plain_read
        && let Err(reason) = wait(ticket, true).await
    {
        let trail = target.call.trail;
        open.abandon(&reason);
        return Err(unavailable(trail, &reason));
    }
    target.call.trail.mark(house, Stage::Record);
    trace::catch_up(open.leg.as_mut(), &target.call.trail);
    Ok(Recorded { target, open })
}

impl OpenCall {
    /// A leg of a call that is under way already.
    pub(crate) fn gone_on(mut self) -> Self {
        self.sent = true;
        self
    }

    /// The call carries a token of ours.
    pub(crate) fn carries(&mut self, shown: Option<Arc<broker::Shown>>) {
        self.shown = shown;
    }

    /// Why the call may not go on, if something it stands on was revoked.
    pub(crate) fn stands(&self) -> Result<(), Ended> {
        self.lease.check()
    }

    /// From here on the call may have taken effect.
    pub(crate) fn sending(&mut self) {
        self.sent = true;
    }

    /// Writes the outcome and waits until it is written.
    ///
    /// # Errors
    /// The stop that tells the caller what is known: the effect may have happened.
    pub(crate) async fn settle(mut self, trail: Box<Trail>, ending: Ending<'_>) -> Result<Box<Trail>, Stop> {
        self.settled = true;
        self.latency = trail.latency(&self.house);
        let ticket = self.append(&ending);
        let told = fault_of(&ending);
        self.observe(told);
        trace::catch_up(self.leg.as_mut(), &trail);
        self.tell(&ending);
        let written = match ticket {
            Ok(ticket) => wait(ticket, false).await,
            Err(error) => Err(error.to_string()),
        };
        match written {
            Ok(()) => Ok(trail),
            Err(reason) => {
                let code = if self.plain_read { Code::RECORD_UNAVAILABLE } else { Code::RECORD_OUTCOME };
                Err(Stop::fault(trail, ErrorKind::Unavailable, code, reason).settled())
            }
        }
    }

    /// The call ended before anything was sent.
    pub(crate) async fn not_sent(self, trail: Box<Trail>, kind: ErrorKind, code: Code, reason: &str) -> Stop {
        self.failed(trail, Attempt::NotSent, kind, code, reason, None).await
    }

    /// The call failed; the outcome says how far it got.
    pub(crate) async fn failed(
        self,
        trail: Box<Trail>,
        attempt: Attempt,
        kind: ErrorKind,
        code: Code,
        reason: &str,
        upstream: Option<&str>,
    ) -> Stop {
        let ending = Ending {
            status: Status::Failed(kind),
            attempt,
            code: Some(code),
            reason: Some(reason),
            upstream,
            findings: &[],
            answer_bytes: 0,
            reply_bytes: 0,
        };
        match self.settle(trail, ending).await {
            Ok(trail) => Stop::fault(trail, kind, code, reason).settled(),
            Err(stop) => stop,
        }
    }

    /// The intent may or may not be on record; nothing was sent.
    fn abandon(mut self, reason: &str) {
        self.settled = true;
        let kind = ErrorKind::Unavailable;
        let ending = Ending {
            status: Status::Failed(kind),
            attempt: Attempt::NotSent,
            code: Some(Code::RECORD_UNAVAILABLE),
            reason: Some(reason),
            upstream: None,
            findings: &[],
            answer_bytes: 0,
            reply_bytes: 0,
        };
        drop(self.append(&ending));
        self.observe(Some((kind, Code::RECORD_UNAVAILABLE)));
    }

    fn append(&self, ending: &Ending<'_>) -> Result<Ticket, AppendError> {
        let carried = self.shown.as_ref().and_then(|shown| shown.last());
        let outcome = leaf::outcome(self.call, ending, self.latency, carried.as_ref());
        self.house.audit.append(self.house.clock.now(), &Leaf::Outcome(outcome))
    }

    /// Tells of this leg for tracing.
    fn tell(&mut self, ending: &Ending<'_>) {
        let Some(mut leg) = self.leg.take() else { return };
        if self.sent {
            leg.was_sent(self.house.clock.ticks());
        }
        let told = Told {
            status: ending.status,
            code: ending.code,
            // A stop of ours tells our code; what a server said stays between it and its caller.
            rpc: ending.code.map(|code| i64::from(code.0)),
            reply_bytes: ending.reply_bytes,
        };
        trace::tell(&self.house, leg, told);
    }

    fn observe(&self, fault: Option<(ErrorKind, Code)>) {
        let server = self.server.as_ref().map(model::ServerName::as_str);
        self.house.observer.ended(self.method, server, fault, self.latency.total);
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let attempt = if self.sent { Attempt::Unknown } else { Attempt::NotSent };
        // Its session may have been ended under it.
        let ended = self.stands().err();
        let ending = Ending {
            status: Status::Failed(ErrorKind::Cancelled),
            attempt,
            code: ended.map(Ended::code),
            reason: Some(ended.map_or("the caller withdrew or went away", Ended::reason)),
            upstream: None,
            findings: &[],
            answer_bytes: 0,
            reply_bytes: 0,
        };
        drop(self.append(&ending));
        self.observe(Some((ErrorKind::Cancelled, ended.map_or(Code::BUSY, Ended::code))));
        self.tell(&ending);
    }
}

/// Puts what the gateway answered by itself on record: an intent and an outcome, written before the reply.
pub(crate) async fn local(
    house: &House,
    mut trail: Box<Trail>,
    reply_bytes: usize,
) -> Result<Box<Trail>, Stop> {
    let Some(intent) = leaf::intent(&trail) else {
        return Err(unavailable(trail, "the caller is not known"));
    };
    let queued = house.audit.append(trail.at, &Leaf::Intent(intent));
    trail.mark(house, Stage::Record);
    let ending = Ending {
        status: Status::Ok,
        attempt: Attempt::Local,
        code: None,
        reason: None,
        upstream: None,
        findings: &[],
        answer_bytes: 0,
        reply_bytes,
    };
    let latency = trail.latency(house);
    let outcome = Leaf::Outcome(leaf::outcome(trail.call, &ending, latency, None));
    let written = match queued.and_then(|_| house.audit.append(house.clock.now(), &outcome)) {
        Ok(ticket) => wait(ticket, false).await,
        Err(error) => Err(error.to_string()),
    };
    let method = trail.asked();
    match written {
        Ok(()) => {
            house.observer.ended(method, None, None, latency.total);
            tell(house, &trail, Told { status: Status::Ok, code: None, rpc: None, reply_bytes });
            Ok(trail)
        }
        Err(reason) => Err(unavailable(trail, &reason)),
    }
}

/// Puts a stop on record before it becomes a reply. A stranger's is counted, under its own quota.
pub(crate) async fn stop(house: &House, stop: Stop) -> Stop {
    let (kind, code, reason) = stop.why.facts();
    if stop.is_settled() {
        return stop;
    }
    let Stop { trail, why, .. } = stop;
    let method = trail.asked();
    let latency = trail.latency(house);
    house.observer.ended(
        method,
        trail.server.as_ref().map(model::ServerName::as_str),
        Some((kind, code)),
        latency.total,
    );
    let Some(denial) = leaf::denial(&trail, kind, code, reason.as_deref(), latency) else {
        house.failures.count(trail.peer.ip(), code, None);
        return Stop { trail, why, settled: true };
    };
    let rpc = why.rpc(trail.method);
    tell(house, &trail, Told { status: Status::Failed(kind), code: Some(code), rpc, reply_bytes: 0 });
    let written = match house.audit.append(trail.at, &Leaf::Denial(denial)) {
        Ok(ticket) => wait(ticket, false).await,
        Err(error) => Err(error.to_string()),
    };
    let why = match written {
        Ok(()) => why,
        Err(reason) => Why::Fault(Fault {
            kind: ErrorKind::Unavailable,
            code: Code::RECORD_UNAVAILABLE,
            reason: reason.into(),
        }),
    };
    Stop { trail, why, settled: true }
}

/// Puts on record that a call ended because its caller, who was asked something, withdrew or did not answer. Never
/// blocks.
pub(crate) fn unanswered(house: &House, trail: &Trail, kind: ErrorKind) {
    let reason = "the caller was asked something and withdrew, went away or did not answer in time";
    ended(house, trail, kind, Code::INPUT_MISSING, reason);
}

/// Puts on record that a call that waited ended without another leg. Never blocks.
pub(crate) fn ended(house: &House, trail: &Trail, kind: ErrorKind, code: Code, reason: &str) {
    let latency = trail.latency(house);
    house.observer.ended(
        trail.asked(),
        trail.server.as_ref().map(model::ServerName::as_str),
        Some((kind, code)),
        latency.total,
    );
    if let Some(denial) = leaf::denial(trail, kind, code, Some(reason), latency) {
        // The legs that took effect have their outcomes; this one was never sent.
        drop(house.audit.append(house.clock.now(), &Leaf::Denial(denial)));
        tell(
            house,
            trail,
            Told { status: Status::Failed(kind), code: Some(code), rpc: None, reply_bytes: 0 },
        );
    }
}

/// Tells of a leg that had no intent, for tracing. A stranger's is none: it has no leaf either.
fn tell(house: &House, trail: &Trail, told: Told) {
    if let Some(leg) = trace::leg(trail) {
        trace::tell(house, leg, told);
    }
}

/// Waits for a leaf. The writer fails a ticket that takes longer than the record may, so no timer is needed.
async fn wait(mut ticket: Ticket, durable: bool) -> Result<(), String> {
    let waited = if durable { ticket.durable().await } else { ticket.written().await };
    waited.map_err(|error| error.to_string())
}

fn unavailable(trail: Box<Trail>, reason: &str) -> Stop {
    Stop::fault(trail, ErrorKind::Unavailable, Code::RECORD_UNAVAILABLE, reason)
}

fn fault_of(ending: &Ending<'_>) -> Option<(ErrorKind, Code)> {
    match ending.status {
        Status::Failed(kind) => Some((kind, ending.code.unwrap_or(Code::UPSTREAM_FAILED))),
        Status::Ok | Status::ToolError | Status::InputRequired | Status::Unknown => None,
    }
}
