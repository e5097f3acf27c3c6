//! What goes out and what comes back is read before it goes on.

use crate::admit::era;
use crate::authorize::Permit;
use crate::house::{House, State};
use crate::resolve::{Named, Target};
use crate::stop::{Refusal, Stop};
use crate::trail::Stage;
use http::StatusCode;
use model::{Code, Digest, ErrorKind};
use protocol::method::Inspect;
use protocol::{Era, Raw, header, reply};

/// A permitted target whose arguments are within bounds and agree with their headers.
pub(crate) struct Vetted {
    target: Target,
}

impl Vetted {
    /// The target.
    pub(crate) fn into_target(self) -> Target {
        self.target
    }
}

/// Reads what goes out.
pub(crate) fn request(house: &House, permit: Permit) -> Result<Vetted, Stop> {
    let (mut target, judged) = permit.into_parts();
    // INVARIANT: what was judged is what is sent (design §3.10).
    let still: Option<Digest> = target.call.trail.arguments;
    if still != Some(judged) {
        return Err(Stop::fault(
            target.call.trail,
            ErrorKind::Internal,
            Code::INTERNAL,
            "the arguments changed after the decision",
        ));
    }
    if let Named::Tool(item) = &target.named
        && target.call.client.version.era() == Era::Stateless
        && let Err(error) = header::check_params(&target.call.headers, &item.tool_headers, &target.arguments)
    {
        return Err(Stop::refused(target.call.trail, *era::mismatch(error)));
    }
    if matches!(target.call.method.row().inspect, Inspect::Arguments | Inspect::Both)
        && let Err(finding) = guard::request(&target.arguments, &target.call.state.arguments)
    {
        let refusal = Refusal::new(
            ErrorKind::TooMuch,
            Code::REQUEST_TOO_LARGE,
            reply::INVALID_PARAMS,
            finding.to_string(),
        )
        .status(StatusCode::BAD_REQUEST);
        return Err(Stop::refused(target.call.trail, refusal));
    }
    target.call.trail.mark(house, Stage::Inspect);
    Ok(Vetted { target })
}

/// Reads one message that comes back: an answer, or a frame of a stream.
pub(crate) fn answer(state: &State, value: &Raw) -> Result<(), guard::Finding> {
    guard::answer(value, &state.results)
}
