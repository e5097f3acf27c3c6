//! Calls that wait here for their newer caller in the middle of an older server's work. The server's question leaves as
//! `input_required` (MCP 2026-07-28, multi round-trip requests), its request state seals where the call waits, and the
//! caller's retry, authenticated and authorized anew, goes on with the same call upstream: it is never sent twice.
//!
//! The table is bounded, in all and for each principal. A call that is not taken up in time ends: it is cancelled
//! upstream, and the record says so.

use crate::continuation::{self, LEGS};
use crate::crowd::{Crowd, Place};
use crate::house::House;
use crate::lease::Lease;
use crate::record::{self, Ending, Recorded};
use crate::relay::question;
use crate::reply;
use crate::send::{self, Sent};
use crate::stop::{Refusal, Stop};
use crate::trail::{Stage, Trail};
use crate::upstream::Exchange;
use bytes::Bytes;
use futures_util::future::AbortHandle;
use ledger::{Attempt, Status};
use model::{Code, ErrorKind};
use protocol::{Edit, Era, Members, Outcome, Raw, Request, Response};
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The number under which a call waits: random, and only ever seen sealed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Bay(u64);

/// The calls that wait.
pub(crate) struct Parked {
    table: Mutex<HashMap<Bay, Waiting>>,
    crowd: Arc<Crowd>,
}

struct Waiting {
    exchange: Exchange,
    question: Request,
    /// What the record says of it if nobody takes it up.
    trail: Box<Trail>,
    expiry: AbortHandle,
    _place: Place,
}

impl Parked {
    pub(crate) fn new() -> Self {
        Self { table: Mutex::default(), crowd: Crowd::new() }
    }

    /// How many calls wait.
    pub(crate) fn size(&self) -> usize {
        self.crowd.size()
    }

    fn take(&self, bay: Bay) -> Option<Waiting> {
        let waiting = self.table.lock().unwrap_or_else(PoisonError::into_inner).remove(&bay)?;
        waiting.expiry.abort();
        Some(waiting)
    }
}

/// What became of a question.
pub(crate) enum Put {
    /// It leaves as this JSON-RPC response, and the call waits.
    Parked(Bytes),
    /// It may not be put to the client; the server was told, and the call goes on.
    Declined(Box<Sent>),
}

/// Puts an older server's question to a newer client.
///
/// # Errors
/// The stop that ends the call, on record.
pub(crate) async fn put(
    house: &Arc<House>,
    mut sent: Sent,
    request: Request,
    streamed: usize,
) -> Result<Put, Stop> {
    let Some((place, params)) = welcome(house, &sent, &request) else {
        // A server that is gone is noticed by the next message.
        drop(sent.exchange.answer(reply::cannot_ask(&request.id)).await);
        return Ok(Put::Declined(Box::new(sent)));
    };
    let mut number = [0; 8];
    house.dice.fill(&mut number);
    let bay = Bay(u64::from_be_bytes(number));
    sent.call.trail.mark(house, Stage::Release);
    let upstream = sent.upstream_id();
    let sealed = seal(house, &sent, &request, params, bay);
    let Sent { call, open, exchange, .. } = sent;
    let Some(sealed) = sealed else {
        let (kind, code) = (ErrorKind::Internal, Code::INTERNAL);
        let reason = "its question could not be sealed";
        return Err(open.failed(call.trail, Attempt::Unknown, kind, code, reason, upstream.as_deref()).await);
    };
    let trail = call.trail.next_leg(house);
    let body = protocol::reply::result(&call.id, sealed.as_bytes());
    let ending = Ending {
        status: Status::InputRequired,
        attempt: Attempt::Answered,
        code: None,
        reason: None,
        upstream: upstream.as_deref(),
        findings: &[],
        answer_bytes: request.bytes.len().saturating_add(streamed),
        reply_bytes: body.len().saturating_add(streamed),
    };
    let patience = call.state.config.limits.question_timeout;
    open.settle(call.trail, ending).await?;
    let (expiry, expires) = AbortHandle::new_pair();
    let waiting = Waiting { exchange, question: request, trail, expiry, _place: place };
    house.parked.table.lock().unwrap_or_else(PoisonError::into_inner).insert(bay, waiting);
    let late = Arc::downgrade(house);
    tokio::spawn(futures_util::future::Abortable::new(
        async move {
            tokio::time::sleep(patience).await;
            let Some(house) = late.upgrade() else { return };
            if let Some(waiting) = house.parked.take(bay) {
                record::unanswered(&house, &waiting.trail, ErrorKind::TimedOut);
            }
        },
        expires,
    ));
    Ok(Put::Parked(body))
}

/// A place for the call, and the question as it is put, if it may be.
fn welcome(house: &House, sent: &Sent, request: &Request) -> Option<(Place, Option<Raw>)> {
    let (call, method) = (&sent.call, request.method.as_str());
    if !call.method.row().may_ask || call.trail.legs >= LEGS {
        return None;
    }
    let capabilities = &call.client.capabilities;
    let params =
        question::fit(&call.state, &sent.server, capabilities, method, request.params.as_ref()).ok()?;
    let place = house.parked.crowd.enter(call.caller.verified.key, PARKED, PARKED_EACH)?;
    Some((place, params))
}

fn seal(house: &House, sent: &Sent, request: &Request, params: Option<Raw>, bay: Bay) -> Option<Raw> {
    let mut asked = Edit::new();
    asked.set(&["method"], Raw::of_str(request.method.as_str()));
    asked.set(&["params"], params.unwrap_or_else(Raw::empty_object));
    let asked = asked.apply(&Members::empty());
    let result = Raw::of_value(&json!({"resultType": "input_required"})).members()?;
    let result = Edit::new().set(&["inputRequests", KEY], asked).apply(&result).members()?;
    let name = sent.call.trail.item.as_deref().unwrap_or_default();
    continuation::seal(house, &sent.call, &sent.server, name, &sent.arguments, &result, Some(bay))
}

/// Ends every call that waits: it is cancelled upstream, and on record.
pub(crate) fn withdraw(house: &House) {
    let waiting = std::mem::take(&mut *house.parked.table.lock().unwrap_or_else(PoisonError::into_inner));
    for (_, waiting) in waiting {
        waiting.expiry.abort();
        record::unanswered(house, &waiting.trail, ErrorKind::Cancelled);
    }
}

/// Ends the calls that wait for a caller, or in the middle of a server's work, that is no longer good.
pub(crate) fn end_revoked(house: &House) {
    let mut table = house.parked.table.lock().unwrap_or_else(PoisonError::into_inner);
    let ended = |waiting: &Waiting| waiting.exchange.lease().and_then(|lease| lease.check().err());
    let gone: Vec<_> = table.iter().filter_map(|(bay, waiting)| Some((*bay, ended(waiting)?))).collect();
    let taken: Vec<_> =
        gone.into_iter().filter_map(|(bay, ended)| Some((table.remove(&bay)?, ended))).collect();
    drop(table);
    for (waiting, ended) in taken {
        waiting.expiry.abort();
        record::ended(house, &waiting.trail, ErrorKind::Cancelled, ended.code(), ended.reason());
    }
}

/// Whether a question of this call's server reaches its client as `input_required`.
pub(crate) fn waits(sent: &Sent) -> bool {
    sent.call.client.version.era() == Era::Stateless
}

/// Goes on with the call that waits for this leg.
///
/// # Errors
/// The stop of a leg whose call has ended, or whose answer cannot be one.
pub(crate) async fn resume(house: &House, bay: Bay, recorded: Recorded) -> Result<Sent, Stop> {
    let (target, open) = recorded.into_parts();
    let answer = target
        .params
        .as_ref()
        .and_then(|params| params.object("inputResponses"))
        .and_then(|answers| answers.object(KEY));
    // INVARIANT: whoever takes a call out of the table is the only one to go on with it.
    let Some(Waiting { mut exchange, question, .. }) = house.parked.take(bay) else {
        let trail = target.call.trail;
        let reason = "the call that it belongs to has ended";
        let stop = open.not_sent(trail, ErrorKind::Invalid, Code::REQUEST_STATE, reason).await;
        if stop.why.facts().1 != Code::REQUEST_STATE {
            // The outcome could not be recorded, and that is what the caller has to know.
            return Err(stop);
        }
        let refusal = Refusal::new(
            ErrorKind::Invalid,
            Code::REQUEST_STATE,
            protocol::reply::INVALID_PARAMS,
            "requestState was not issued for this call, or has expired",
        );
        return Err(Stop::refused(stop.trail, refusal.status(http::StatusCode::BAD_REQUEST)).settled());
    };
    let progress = target.call.meta.progress_token.clone();
    let lease = Lease::new(&house.authn, &target.call.caller.verified, &target.server);
    let answered = match answer {
        Some(answer) => {
            let response = response(&question, answer);
            exchange.go_on(progress, None, lease);
            exchange.answer(response).await
        }
        // Not all that was asked was answered: it is asked again.
        None => {
            exchange.go_on(progress, Some(question), lease);
            Ok(())
        }
    };
    let sent = Sent {
        call: target.call,
        server: target.server,
        arguments: target.arguments,
        open: open.gone_on(),
        exchange,
    };
    match answered {
        Ok(()) => Ok(sent),
        Err(error) => {
            let upstream = sent.upstream_id();
            Err(send::failed(sent.call, sent.open, &error, upstream.as_deref()).await)
        }
    }
}

/// A client's answer as the server's own question gets it.
fn response(question: &Request, answer: Members) -> Response {
    let bytes = protocol::reply::result(&question.id, answer.raw().as_bytes());
    Response { id: Some(question.id.clone()), outcome: Outcome::Result(answer), bytes }
}

/// The key of the one question that a call waits with.
const KEY: &str = "question";
/// Calls that may wait, in all.
const PARKED: usize = 1024;
/// Calls of one principal that may wait.
const PARKED_EACH: usize = 32;
