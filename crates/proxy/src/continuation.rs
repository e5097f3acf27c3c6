//! The legs of one call (MCP 2026-07-28, multi round-trip requests). A server's `input_required` leaves with a
//! request state of ours that seals the server's own; the retry is authenticated and authorized anew, and what
//! the state says must agree with it: caller, endpoint, method, target, arguments, time.

pub(crate) mod keys;

use crate::admit::{Call, clip};
use crate::house::House;
use crate::parked::Bay;
use crate::stop::Refusal;
use http::StatusCode;
use model::{CallId, Code, Digest, ErrorKind, ServerName, Timestamp};
use protocol::{Edit, Members, Raw, reply, view};
use serde::{Deserialize, Serialize};

/// The later leg of a call: what the server sealed for itself, if anything, or where the call itself waits.
pub(crate) struct Leg {
    pub(crate) state: Option<Box<str>>,
    pub(crate) parked: Option<Bay>,
}

/// What a request state of ours holds.
#[derive(Serialize, Deserialize)]
struct Sealed {
    /// The call, over all its legs.
    call: CallId,
    /// How many legs the call has had.
    legs: u32,
    /// Caller, endpoint, method, server, name and arguments, in one digest.
    binding: Digest,
    /// When it stops opening anything.
    expires: Timestamp,
    /// The server's own state.
    state: Option<Box<str>>,
    /// The call that waits for its caller here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parked: Option<Bay>,
}

/// Legs of one call, and so times that its server may ask: what SDKs allow.
pub(crate) const LEGS: u32 = 10;
/// What the sealer binds request state to.
const PURPOSE: &str = "mcp-request-state";

/// Opens the request state of a retry and joins the call it belongs to.
pub(crate) fn open(
    house: &House,
    call: &mut Call,
    server: &ServerName,
    name: &str,
    arguments: &Raw,
    state: Option<Box<str>>,
) -> Result<Option<Leg>, Box<Refusal>> {
    let Some(text) = state else { return Ok(None) };
    // SECURITY: request state is the caller's to forge: `a_forged_or_foreign_request_state_is_refused`.
    let refuse = || {
        let text = "requestState was not issued for this call, or has expired";
        Box::new(
            Refusal::new(ErrorKind::Invalid, Code::REQUEST_STATE, reply::INVALID_PARAMS, text)
                .status(StatusCode::BAD_REQUEST)
                .because(clip(&format!("requestState refused for {server}"))),
        )
    };
    let plain = house.sealer.open(PURPOSE, &text).map_err(|_| refuse())?;
    let sealed: Sealed = serde_json::from_slice(&plain).map_err(|_| refuse())?;
    if sealed.expires <= call.trail.at || sealed.binding != binding(call, server, name, arguments) {
        return Err(refuse());
    }
    call.trail.call = sealed.call;
    call.trail.legs = sealed.legs;
    Ok(Some(Leg { state: sealed.state, parked: sealed.parked }))
}

/// Replaces the server's request state in an `input_required` result by one of ours, which also says where the call
/// waits if it does.
pub(crate) fn seal(
    house: &House,
    call: &Call,
    server: &ServerName,
    name: &str,
    arguments: &Raw,
    result: &Members,
    parked: Option<Bay>,
) -> Option<Raw> {
    let state = view::InputRequired::of(result).ok()?.state;
    let sealed = Sealed {
        parked,
        call: call.trail.call,
        legs: call.trail.legs.saturating_add(1),
        binding: binding(call, server, name, arguments),
        expires: house.clock.now().after(call.state.config.limits.question_timeout),
        state,
    };
    let plain = serde_json::to_vec(&sealed).ok()?;
    let text = house.sealer.seal(PURPOSE, &plain, house.dice.as_ref()).ok()?;
    let mut edit = Edit::new();
    edit.set(&["requestState"], Raw::of_str(&text));
    if let Some(questions) = keys::shown(&call.trail.endpoint, server, result) {
        edit.set(&["inputRequests"], questions);
    }
    Some(edit.apply(result))
}

fn binding(call: &Call, server: &ServerName, name: &str, arguments: &Raw) -> Digest {
    let owner = call.caller.owner();
    let arguments = protocol::canonical::digest(arguments).unwrap_or(Digest([0; 32]));
    let path = call.trail.endpoint.path();
    let parts = [path.as_str(), call.method.name(), server.as_str(), name];
    let mut text = Vec::with_capacity(192);
    text.extend_from_slice(&owner.0);
    text.extend_from_slice(&arguments.0);
    for part in parts {
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    Digest::of(&text)
}
