//! The conversation that the gateway holds for an older client with a newer server (MCP 2026-07-28, multi round-trip
//! requests). What `input_required` asks is put to the client on the stream of its call, as an older server would; with
//! the answers the call goes out again, another leg of the same call, through the same stages as the first.

use super::answer;
use super::stream::Flow;
use crate::admit::Call;
use crate::house::House;
use crate::pipeline::go;
use crate::record;
use crate::resolve::resolve;
use crate::send::Sent;
use crate::session::QUESTIONS;
use crate::stop::{Fault, Refusal, Stop, Why};
use crate::trail::Trail;
use futures_util::future::BoxFuture;
use model::{Code, ErrorKind};
use protocol::view::{self, ResultType};
use protocol::{Edit, Era, Id, Members, Method, Outcome, Raw, Response, bridge, frame};
use std::sync::Arc;
use tokio::sync::mpsc;

/// What an older client is asked, if that is what an answer is.
pub(super) fn asked(sent: &Sent, outcome: &Outcome) -> Option<Members> {
    let Outcome::Result(result) = outcome else { return None };
    let across =
        sent.call.client.version.era() == Era::Session && sent.exchange.server_era() == Some(Era::Stateless);
    let asks = across && matches!(view::result_type(result), Ok(ResultType::InputRequired));
    asks.then(|| result.clone())
}

/// Puts the questions of `result` to the client and sends the call again with what it answers.
///
/// # Errors
/// The stop that ends the call: no answer, a question that must not be put, a refusal on the second way.
pub(super) async fn next(
    house: &Arc<House>,
    sent: Sent,
    result: &Members,
    flow: &mut Flow,
    until: &mut BoxFuture<'static, ()>,
) -> Result<Sent, Stop> {
    let (mut call, asked) = answer::ask(house, sent, result, flow.streamed()).await?;
    let mut left = Left { house: Arc::clone(house), trail: Some(call.trail.next_leg(house)) };
    let answers = answers(house, &call, &asked, flow, until).await;
    left.trail = None;
    let answers = match answers {
        Ok(answers) => answers,
        Err(why) => return Err(Stop::new(call.trail, why)),
    };
    let params = with(call.params.as_ref(), &asked, answers);
    if params.as_bytes().len() > call.state.bounds.bytes {
        let refusal = Refusal::params("the answers are too large together");
        return Err(Stop::refused(call.trail, refusal));
    }
    call.params = params.members();
    // The caller may have lost its token while it thought; policy is asked again on the way.
    if let Err(error) = house.authn.recheck(&call.caller.verified) {
        return Err(Stop::new(call.trail, Why::Challenge(error)));
    }
    let target = resolve(house, call)?;
    go(house, target).await
}

/// A call whose caller is being asked. Dropped with its trail, because the call was withdrawn, it goes on record.
struct Left {
    house: Arc<House>,
    trail: Option<Box<Trail>>,
}

impl Drop for Left {
    fn drop(&mut self) {
        if let Some(trail) = self.trail.take() {
            record::unanswered(&self.house, &trail, ErrorKind::Cancelled);
        }
    }
}

/// Puts every question on the client's stream and waits for all answers: one object, by the server's own keys.
async fn answers(
    house: &House,
    call: &Call,
    asked: &Members,
    flow: &mut Flow,
    until: &mut BoxFuture<'static, ()>,
) -> Result<Raw, Why> {
    let Some(session) = &call.client.session else { return Err(fault(ErrorKind::Internal, "no session")) };
    let (answered, mut answers) = mpsc::channel(QUESTIONS);
    let mut open: Vec<(Id, Option<Method>)> = Vec::new();
    for (key, request) in asked.object("inputRequests").iter().flat_map(Members::iter) {
        let request = Members::of(&request).unwrap_or_else(Members::empty);
        let method = request.text("method").and_then(|method| Method::parse(&method));
        let key = Id::Text(key.as_ref().into());
        let Some(id) = session.ask(key.clone(), answered.clone()) else { return Err(Why::Busy) };
        flow.asks(&id);
        open.push((key, method));
        let params = bridge::question_to_session(request.object("params").as_ref(), || page_id(house));
        let name = method.map_or("unknown", Method::name);
        flow.send(&frame::request(&id, name, params.as_ref())).await;
    }
    let limits = &call.state.config.limits;
    let quiet = limits.keep_alive;
    let mut deadline = std::pin::pin!(tokio::time::sleep(limits.question_timeout));
    let mut given = Edit::new();
    let mut values: Vec<(Arc<str>, Raw)> = Vec::new();
    while !open.is_empty() {
        tokio::select! {
            biased;
            () = &mut *until => {
                let reason = "the token ended while the caller was asked";
                return Err(Why::Fault(Fault {
                    kind: ErrorKind::Unauthenticated, code: Code::TOKEN_INVALID, reason: reason.into(),
                }));
            }
            () = &mut deadline => return Err(fault(ErrorKind::TimedOut, "the caller did not answer in time")),
            Some((key, response)) = answers.recv() => {
                let Some(place) = open.iter().position(|(asked, _)| *asked == key) else { continue };
                let (key, method) = open.swap_remove(place);
                if let (Id::Text(key), Some(value)) = (key, value(method, response)) {
                    values.push((key, value));
                }
            }
            () = tokio::time::sleep(quiet) => drop(flow.keep_alive().await),
        }
    }
    for (key, value) in &values {
        given.set(&[key], value.clone());
    }
    Ok(given.apply(&Members::empty()))
}

/// What the server is given for an answer. It knows no errors there: a form that its client cannot show counts as one
/// that was closed, and what else could not be answered is left out, so that the server may ask again or fail.
fn value(method: Option<Method>, response: Response) -> Option<Raw> {
    match response.outcome {
        Outcome::Result(result) => Some(result.raw().clone()),
        Outcome::Error(_) if method == Some(Method::ElicitationCreate) => {
            Some(Raw::of_value(&serde_json::json!({"action": "cancel"})))
        }
        Outcome::Error(_) => None,
    }
}

/// The params of the next leg: those of the first, the answers, and the state as it was sealed.
fn with(params: Option<&Members>, asked: &Members, answers: Raw) -> Raw {
    let mut edit = Edit::new();
    edit.set(&["inputResponses"], answers);
    match asked.get("requestState") {
        Some(state) => edit.set(&["requestState"], state),
        None => edit.remove(&["requestState"]),
    };
    match params {
        Some(params) => edit.apply(params),
        None => edit.apply(&Members::empty()),
    }
}

/// An id for a page to visit, which older clients want and newer servers no longer give.
fn page_id(house: &House) -> String {
    let mut id = [0; 16];
    house.dice.fill(&mut id);
    format!("ptn-{:032x}", u128::from_be_bytes(id))
}

fn fault(kind: ErrorKind, reason: &str) -> Why {
    Why::Fault(Fault { kind, code: Code::INPUT_MISSING, reason: reason.into() })
}
