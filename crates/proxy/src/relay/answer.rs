//! The final answer of a call: checked, made fit for its client, on record, and then bytes.

use super::question;
use crate::admit::Call;
use crate::continuation::{self, LEGS};
use crate::house::House;
use crate::inspect;
use crate::record::Ending;
use crate::reply::{self, Reply};
use crate::send::Sent;
use crate::stop::Stop;
use crate::trail::Stage;
use http::StatusCode;
use ledger::{Attempt, Status};
use model::{Code, ErrorKind};
use protocol::view::{self, ResultType};
use protocol::{Edit, Era, Id, Members, Method, Outcome, Raw, bridge};

/// An answer that may leave: its outcome is on record.
pub(super) struct Released {
    body: Body,
    status: StatusCode,
}

enum Body {
    Result(Raw),
    /// The `error` object and its code.
    Error(Raw, i64),
}

impl Released {
    /// The whole reply.
    pub(super) fn whole(&self, id: &Id) -> Reply {
        reply::json(self.status, self.bytes(id))
    }

    /// The JSON-RPC response.
    pub(super) fn bytes(&self, id: &Id) -> bytes::Bytes {
        match &self.body {
            Body::Result(result) => protocol::reply::result(id, result.as_bytes()),
            Body::Error(error, _) => protocol::reply::passed_error(id, error),
        }
    }
}

/// Checks the answer and writes its outcome. `streamed` bytes went before it.
pub(super) async fn release(
    house: &House,
    mut sent: Sent,
    outcome: Outcome,
    streamed: usize,
) -> Result<Released, Stop> {
    let checked = check(house, &sent, outcome);
    sent.call.trail.mark(house, Stage::Release);
    let upstream = sent.upstream_id();
    match checked {
        Ok((body, ended, answer_bytes)) => {
            let length = match &body {
                Body::Result(raw) | Body::Error(raw, _) => raw.as_bytes().len(),
            };
            let status = status_of(&sent, &body);
            let ending = Ending {
                status: ended,
                attempt: Attempt::Answered,
                code: None,
                reason: None,
                upstream: upstream.as_deref(),
                findings: &[],
                answer_bytes: answer_bytes.saturating_add(streamed),
                reply_bytes: length.saturating_add(streamed),
            };
            sent.open.settle(sent.call.trail, ending).await?;
            Ok(Released { body, status })
        }
        Err(reason) => {
            let (kind, code) = (ErrorKind::Upstream, Code::UPSTREAM_FAILED);
            Err(sent
                .open
                .failed(sent.call.trail, Attempt::Answered, kind, code, &reason, upstream.as_deref())
                .await)
        }
    }
}

/// A server's error is an answer (200), but for the one that the transport itself must tell (MCP 2026-07-28,
/// streamable HTTP: a missing client capability is 400).
fn status_of(sent: &Sent, body: &Body) -> StatusCode {
    match body {
        Body::Error(_, protocol::reply::MISSING_CLIENT_CAPABILITY)
            if sent.call.client.version.era() == Era::Stateless =>
        {
            StatusCode::BAD_REQUEST
        }
        Body::Error(..) | Body::Result(_) => StatusCode::OK,
    }
}

fn check(house: &House, sent: &Sent, outcome: Outcome) -> Result<(Body, Status, usize), String> {
    match outcome {
        Outcome::Error(error) => {
            inspect::answer(&sent.call.state, &error.raw).map_err(|finding| finding.to_string())?;
            let length = error.raw.as_bytes().len();
            if let Some(asked) = pages(sent, &error) {
                return Ok(match questions(house, sent, &asked) {
                    Ok(sealed) => (Body::Result(sealed), Status::InputRequired, length),
                    Err(_) => {
                        let code = protocol::reply::MISSING_CLIENT_CAPABILITY;
                        let body = Body::Error(bridge::error_to_stateless(&error), code);
                        (body, Status::Failed(ErrorKind::Upstream), length)
                    }
                });
            }
            Ok((Body::Error(error.raw, error.code), Status::Failed(ErrorKind::Upstream), length))
        }
        Outcome::Result(result) => {
            inspect::answer(&sent.call.state, result.raw()).map_err(|finding| finding.to_string())?;
            let length = result.raw().as_bytes().len();
            let (raw, status) = fit(house, sent, &result)?;
            Ok((Body::Result(raw), status, length))
        }
    }
}

/// The pages that an older server wants a newer client to visit first.
fn pages(sent: &Sent, error: &protocol::RpcError) -> Option<Members> {
    let across =
        sent.call.client.version.era() == Era::Stateless && sent.exchange.server_era() == Some(Era::Session);
    bridge::pages_to_stateless(error).filter(|_| across)?.members()
}

/// Makes a result fit for its client, and says what kind of result it is.
fn fit(house: &House, sent: &Sent, result: &Members) -> Result<(Raw, Status), String> {
    let call = &sent.call;
    if call.client.version.era() == Era::Stateless {
        match view::result_type(result).map_err(|error| error.to_string())? {
            ResultType::Complete => {}
            ResultType::InputRequired => {
                return Ok((questions(house, sent, result)?, Status::InputRequired));
            }
            ResultType::Other(other) => return Err(format!("it answered with a result of type {other:?}")),
        }
    }
    let status = if call.method == Method::ToolsCall && view::is_error(result) {
        Status::ToolError
    } else {
        Status::Ok
    };
    let raw = if call.client.version.era() == Era::Stateless {
        bridge::private(call.method, result)
    } else {
        result.raw().clone()
    };
    Ok((raw, status))
}

/// An `input_required` result as it may leave: asked through a method that allows it, only what the client said it
/// answers, every question fit for it, and the server's state sealed (MCP 2026-07-28, multi round-trip requests).
fn questions(house: &House, sent: &Sent, result: &Members) -> Result<Raw, String> {
    let (call, method) = (&sent.call, sent.call.method);
    if !method.row().may_ask {
        return Err(format!("it asked for input in answer to {}", method.name()));
    }
    // SECURITY: nobody is asked for ever: `a_server_that_asks_for_ever_is_given_up`.
    if call.trail.legs >= LEGS {
        return Err(format!("it asked more than {LEGS} times"));
    }
    let asked = view::InputRequired::of(result).map_err(|error| error.to_string())?;
    let mut fit = Edit::new();
    let requests: Vec<_> = asked.requests.iter().flat_map(Members::iter).collect();
    for (key, request) in &requests {
        let request = Members::of(request).ok_or("a question that is no object")?;
        let asks = request.text("method").unwrap_or_default();
        let params = request.object("params");
        let capabilities = &call.client.capabilities;
        let put = question::fit(&call.state, &sent.server, capabilities, &asks, params.as_ref());
        if let Some(params) = put.map_err(|unasked| unasked.to_string())? {
            fit.set(&["inputRequests", key, "params"], params);
        }
    }
    let result = fit.apply(result).members().ok_or("a question that cannot be put")?;
    let name = call.trail.item.as_deref().unwrap_or_default();
    continuation::seal(house, call, &sent.server, name, &sent.arguments, &result, None)
        .ok_or_else(|| "its request state could not be sealed".to_owned())
}

/// Settles a leg whose server asks an older client for something: the call, ready for its next leg, and the
/// questions with the sealed state.
pub(super) async fn ask(
    house: &House,
    mut sent: Sent,
    result: &Members,
    streamed: usize,
) -> Result<(Box<Call>, Members), Stop> {
    sent.call.trail.mark(house, Stage::Release);
    let upstream = sent.upstream_id();
    let asked = inspect::answer(&sent.call.state, result.raw())
        .map_err(|finding| finding.to_string())
        .and_then(|()| questions(house, &sent, result))
        .and_then(|sealed| sealed.members().ok_or_else(|| "its questions could not be read".to_owned()));
    let Sent { mut call, open, .. } = sent;
    match asked {
        Ok(asked) => {
            let next = call.trail.next_leg(house);
            let trail = std::mem::replace(&mut call.trail, next);
            let ending = Ending {
                status: Status::InputRequired,
                attempt: Attempt::Answered,
                code: None,
                reason: None,
                upstream: upstream.as_deref(),
                findings: &[],
                answer_bytes: result.raw().as_bytes().len().saturating_add(streamed),
                reply_bytes: streamed,
            };
            open.settle(trail, ending).await?;
            Ok((call, asked))
        }
        Err(reason) => {
            let (kind, code) = (ErrorKind::Upstream, Code::UPSTREAM_FAILED);
            Err(open.failed(call.trail, Attempt::Answered, kind, code, &reason, upstream.as_deref()).await)
        }
    }
}
