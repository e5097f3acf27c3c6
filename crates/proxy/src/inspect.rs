//! What goes out and what comes back is read before it goes on.

use crate::admit::era;
use crate::authorize::Permit;
use crate::house::{House, State};
use crate::resolve::{Named, Target};
use crate::stop::{Refusal, Stop};
use crate::trail::Stage;
use http::StatusCode;
use model::{Code, ErrorKind};
use protocol::method::{Inspect, Names};
use protocol::{Era, Members, Method, Raw, header, reply};

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
    if !carries(target.params.as_ref(), target.call.method, &judged) {
        let reason = "what would be sent is not what was judged";
        return Err(Stop::fault(target.call.trail, ErrorKind::Internal, Code::INTERNAL, reason));
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

/// Whether the params that go to the server hold what was judged: arguments byte for byte, a resource by its URI. What
/// follows a resource names it in its filter, and a completion was judged by what it completes.
fn carries(params: Option<&Members>, method: Method, judged: &Raw) -> bool {
    match method.row().names {
        Names::Tool | Names::Prompt => match params.and_then(|params| params.bytes_of("arguments")) {
            Some(sent) => sent == judged.as_bytes(),
            None => judged.as_bytes() == b"{}",
        },
        Names::ResourceUri => {
            let uri = |members: &Members| members.text("uri").map(|uri| uri.into_owned());
            params.and_then(uri) == judged.members().as_ref().and_then(uri)
        }
        Names::Completion | Names::Nothing => true,
    }
}

/// Reads one message that comes back: an answer, or a frame of a stream.
pub(crate) fn answer(state: &State, value: &Raw) -> Result<(), guard::Finding> {
    guard::answer(value, &state.results)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_is_sent_carries_what_was_judged() {
        let carried = |method, params: Value, judged: Value| {
            carries(Raw::of_value(&params).members().as_ref(), method, &Raw::of_value(&judged))
        };
        for (method, params, judged, expect) in [
            (Method::ToolsCall, json!({"name": "t", "arguments": {"a": 1}}), json!({"a": 1}), true),
            (Method::ToolsCall, json!({"name": "t", "arguments": {"a": 2}}), json!({"a": 1}), false),
            (Method::ToolsCall, json!({"name": "t"}), json!({}), true),
            (Method::ToolsCall, json!({"name": "t"}), json!({"a": 1}), false),
            (Method::PromptsGet, json!({"name": "p", "arguments": {"a": "1"}}), json!({}), false),
            (Method::ResourcesRead, json!({"uri": "a:b"}), json!({"uri": "a:b"}), true),
            (Method::ResourcesRead, json!({"uri": "a:c"}), json!({"uri": "a:b"}), false),
            (Method::CompletionComplete, json!({"argument": {"name": "a", "value": ""}}), json!({}), true),
        ] {
            assert_eq!(carried(method, params.clone(), judged.clone()), expect, "{params} {judged}");
        }
    }
}
