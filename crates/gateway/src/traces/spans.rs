//! A leg as spans: one for the request, one below it for each stage. Names and attributes are those of OpenTelemetry's
//! semantic conventions for MCP; what they have no name for is under `portunus.`.
//!
//! Never in a span: a session's id, which opens the session to whoever also has its caller's token; arguments and
//! results, for which the conventions have names; a person's name, which is on record.

use super::otlp::{AnyValue, KeyValue, Link, Span, SpanKind, Status, StatusCode, Value};
use ledger::Status as Outcome;
use model::{Code, Dice};
use protocol::Id;
use protocol::method::Names;
use proxy::{Leg, LegTarget, Stage};

/// How many spans a leg becomes.
pub(super) fn count(leg: &Leg) -> u64 {
    1 + u64::try_from(leg.marks.len()).unwrap_or(0)
}

/// Appends the spans of a leg.
pub(super) fn of(leg: &Leg, dice: &dyn Dice, out: &mut Vec<Span>) {
    let begun = u64::try_from(leg.begun.0).unwrap_or(0).saturating_mul(1_000_000);
    let failure = failure(leg);
    let root = Span {
        trace_id: leg.context.trace.to_be_bytes().to_vec(),
        span_id: leg.context.span.to_be_bytes().to_vec(),
        parent_span_id: leg
            .context
            .parent
            .map(|parent| parent.span.to_be_bytes().to_vec())
            .unwrap_or_default(),
        flags: flags(leg.context.flags(), leg.context.parent.is_some()),
        name: name(leg),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: begun,
        end_time_unix_nano: begun.saturating_add(leg.took),
        attributes: of_request(leg, failure.as_deref()),
        links: leg.context.link.iter().map(link).collect(),
        status: failure.as_ref().map(|_| error(leg.code)),
    };
    let mut from = 0;
    let mut asked = false;
    for mark in &leg.marks {
        let (start, end) = (begun.saturating_add(from), begun.saturating_add(mark.ended));
        from = mark.ended;
        let upstream = mark.stage == Stage::Upstream;
        // The server was told one id; a second exchange of the same leg has its own.
        let id =
            if upstream && !std::mem::replace(&mut asked, true) { leg.context.upstream } else { roll(dice) };
        let mut stage = Span {
            trace_id: root.trace_id.clone(),
            span_id: id.to_be_bytes().to_vec(),
            parent_span_id: root.span_id.clone(),
            flags: flags(leg.context.flags(), false),
            name: mark.stage.as_str().to_owned(),
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes: vec![text("portunus.stage", mark.stage.as_str())],
            links: Vec::new(),
            status: None,
        };
        if upstream {
            stage.name.clone_from(&root.name);
            stage.kind = SpanKind::Client.into();
            of_server(leg, failure.as_deref(), &mut stage);
        }
        out.push(stage);
    }
    out.push(root);
}

fn of_request(leg: &Leg, failure: Option<&str>) -> Vec<KeyValue> {
    let mut out = vec![
        text("mcp.method.name", leg.method),
        text("network.transport", "tcp"),
        text("network.protocol.name", "http"),
        text("client.address", leg.peer.to_string()),
        text("portunus.call", leg.call.to_string()),
        text("portunus.endpoint", leg.endpoint.path()),
        text("portunus.outcome", leg.status.as_str()),
        number("portunus.request_bytes", leg.request_bytes),
        number("portunus.reply_bytes", leg.reply_bytes),
    ];
    if let Some(version) = leg.version {
        out.push(text("mcp.protocol.version", version.as_str()));
    }
    if let Some(id) = leg.request.as_ref().and_then(request_id) {
        out.push(text("jsonrpc.request.id", id));
    }
    if let Some(tenant) = &leg.tenant {
        out.push(text("portunus.tenant", &**tenant));
    }
    if let Some(effect) = leg.effect {
        out.push(text("portunus.effect", effect.as_str()));
    }
    if let Some(code) = leg.code {
        out.push(text("portunus.code", code.to_string()));
    }
    if let Some(target) = &leg.target {
        of_target(leg, target, &mut out);
    }
    of_failure(leg, failure, &mut out);
    out
}

/// What the way to the server says of itself.
fn of_server(leg: &Leg, failure: Option<&str>, span: &mut Span) {
    let out = &mut span.attributes;
    out.push(text("mcp.method.name", leg.method));
    let child = leg.target.as_ref().is_some_and(|target| target.child);
    out.push(text("network.transport", if child { "pipe" } else { "tcp" }));
    if let Some(target) = &leg.target {
        of_target(leg, target, out);
    }
    of_failure(leg, failure, out);
    if failure.is_some() {
        span.status = Some(error(leg.code));
    }
}

fn of_target(leg: &Leg, target: &LegTarget, out: &mut Vec<KeyValue>) {
    out.push(text("portunus.server", target.server.as_str()));
    match (target.names, &target.name) {
        (Names::Tool, Some(name)) => out.push(text("gen_ai.tool.name", clip(name))),
        (Names::Prompt, Some(name)) => out.push(text("gen_ai.prompt.name", clip(name))),
        (Names::ResourceUri, Some(uri)) => out.push(text("mcp.resource.uri", bare(uri))),
        (Names::Tool | Names::Prompt | Names::ResourceUri | Names::Completion | Names::Nothing, _) => {}
    }
    if leg.method == "tools/call" {
        out.push(text("gen_ai.operation.name", "execute_tool"));
    }
}

fn of_failure(leg: &Leg, failure: Option<&str>, out: &mut Vec<KeyValue>) {
    if let Some(failure) = failure {
        out.push(text("error.type", failure));
    }
    if let Some(code) = leg.rpc {
        out.push(text("rpc.response.status_code", code.to_string()));
    }
}

/// `error.type`: the code of the JSON-RPC error, where one was told; else `tool_error` for a tool's own; else what
/// kind of failure the record says it was.
fn failure(leg: &Leg) -> Option<String> {
    match leg.status {
        Outcome::Ok | Outcome::InputRequired | Outcome::Unknown => None,
        Outcome::ToolError => Some("tool_error".to_owned()),
        Outcome::Failed(kind) => {
            Some(leg.rpc.map_or_else(|| kind.as_str().to_owned(), |code| code.to_string()))
        }
    }
}

/// An error, in our own fixed words if the failure is ours: what else was said may hold what the caller wrote.
fn error(code: Option<Code>) -> Status {
    let message = code.and_then(|code| code.row()).map_or("", |row| row.title);
    Status { message: message.to_owned(), code: StatusCode::Error.into() }
}

/// `{method} {target}`; a URI is no target, there are too many of them.
fn name(leg: &Leg) -> String {
    let named = leg.target.as_ref().and_then(|target| match target.names {
        Names::Tool | Names::Prompt => target.name.as_deref(),
        Names::ResourceUri | Names::Completion | Names::Nothing => None,
    });
    named.map_or_else(|| leg.method.to_owned(), |named| format!("{} {}", leg.method, clip(named)))
}

/// The client's id of the request. A long text is no id that anybody counts by.
fn request_id(id: &Id) -> Option<String> {
    match id {
        Id::Number(number) => Some(number.to_string()),
        Id::Text(text) => (text.len() <= ID_BYTES).then(|| text.to_string()),
    }
}

/// A URI without what may be secret in it: user information, query, fragment.
fn bare(uri: &str) -> String {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = path.split_once("://") else { return clip(path) };
    let (authority, below) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    clip(&format!("{scheme}://{host}{below}"))
}

fn clip(name: &str) -> String {
    name.chars().take(NAME_CHARS).map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

fn link(parent: &proxy::Parent) -> Link {
    Link {
        trace_id: parent.trace.to_be_bytes().to_vec(),
        span_id: parent.span.to_be_bytes().to_vec(),
        flags: flags(parent.flags, true),
    }
}

fn flags(trace: u8, remote: bool) -> u32 {
    u32::from(trace) | IS_KNOWN | if remote { IS_REMOTE } else { 0 }
}

fn roll(dice: &dyn Dice) -> u64 {
    let mut id = [0; 8];
    dice.fill(&mut id);
    u64::from_be_bytes(id).max(1)
}

pub(super) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    let value = AnyValue { value: Some(Value::String(value.into())) };
    KeyValue { key: key.to_owned(), value: Some(value) }
}

fn number(key: &str, value: usize) -> KeyValue {
    let value = AnyValue { value: Some(Value::Int(i64::try_from(value).unwrap_or(i64::MAX))) };
    KeyValue { key: key.to_owned(), value: Some(value) }
}

/// The longest name shown, in characters.
const NAME_CHARS: usize = 200;
/// The longest id of a request shown.
const ID_BYTES: usize = 64;
/// Whether the parent is remote is known.
const IS_KNOWN: u32 = 1 << 8;
/// It is.
const IS_REMOTE: u32 = 1 << 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_shown_without_what_may_be_secret_in_it() {
        for (uri, shown) in [
            ("fake://note", "fake://note"),
            ("https://user:pass@host/a/b?token=x#y", "https://host/a/b"),
            ("https://u@p@host", "https://host"),
            ("https://host/a@b", "https://host/a@b"),
            ("urn:isbn:1?q", "urn:isbn:1"),
            ("a\u{7}b", "a\u{fffd}b"),
        ] {
            assert_eq!(bare(uri), shown, "{uri}");
        }
        assert_eq!(clip(&"é".repeat(300)).chars().count(), NAME_CHARS);
    }

    #[test]
    fn a_long_id_of_a_request_is_not_shown() {
        assert_eq!(request_id(&Id::Number(-3)).as_deref(), Some("-3"));
        assert_eq!(request_id(&Id::Text("a".into())).as_deref(), Some("a"));
        assert_eq!(request_id(&Id::Text("a".repeat(65).into())), None);
    }
}
