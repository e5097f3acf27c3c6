//! The floor: the least that a proxy on our two doors, with our record, can do.
//!
//! A token known beforehand is looked up by its digest, a tool by its name in a set; intent and outcome go on
//! record exactly as the gateway puts them there, synced before the call for a write. There is no JSON parser, no
//! signature, no policy, no session: what the gateway costs above this is what its security costs.

use anyhow::Context as _;
use audit::Writer;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use ledger::{
    Arguments, Attempt, Call, Caller, Decision, Downstream, Effect, Intent, Latency, Leaf, Named, Outcome,
    Target,
};
use memchr::memmem;
use model::{CallId, Clock, Dice, Digest, Impact, Limits, Principal};
use net::{Body, egress, listen};
use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// What the floor is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The MCP server, with its path.
    pub upstream: http::Uri,
    /// The tokens that are let in.
    pub tokens: Vec<String>,
    /// Where the record goes.
    pub record: PathBuf,
}

/// Serves until `stop` is ready.
///
/// # Errors
/// When the address, the upstream or the record cannot be used.
pub async fn serve(
    config: Config,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let limits = Limits::default();
    let client = egress::Client::new(&egress::Config::default())?;
    let destination = client.destination(&config.upstream, egress::Rule::LOOPBACK)?;
    let writer = Writer::open(audit::Config::at(config.record), Arc::clone(&clock), &*dice)?;
    let principal = Arc::new(Principal::service());
    let callers =
        config.tokens.iter().map(|token| (Digest::of(token.as_bytes()), Arc::clone(&principal))).collect();
    let tools =
        (0..40).map(|number| (format!("tool_{number:02}").into_bytes(), number >= FIRST_WRITE)).collect();
    let floor = Arc::new(Floor {
        client,
        destination,
        path: config.upstream.path_and_query().context("the upstream has no path")?.as_str().parse()?,
        writer: writer.clone(),
        callers,
        tools,
        revision: Digest::of(b"floor"),
        body_bytes: limits.request_bytes,
        clock,
        dice,
    });
    let listener = listen::Listener::bind(listen::Config::new(config.listen, &limits), None).await?;
    let handler = move |request, _peer| {
        let floor = Arc::clone(&floor);
        async move { floor.respond(request).await.unwrap_or_else(refused) }
    };
    listener.serve(handler, stop).await;
    tokio::task::spawn_blocking(move || writer.close()).await??;
    Ok(())
}

struct Floor {
    client: egress::Client,
    destination: egress::Destination,
    path: http::Uri,
    writer: Writer,
    callers: HashMap<Digest, Arc<Principal>>,
    /// Whether each tool writes.
    tools: HashMap<Vec<u8>, bool>,
    revision: Digest,
    body_bytes: usize,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
}

impl Floor {
    async fn respond(&self, request: Request<Incoming>) -> Result<Response<Body>, StatusCode> {
        let began = self.clock.ticks();
        let (head, body) = request.into_parts();
        let caller = self.caller(&head.headers).ok_or(StatusCode::UNAUTHORIZED)?;
        let body = net::collect(body, self.body_bytes).await.map_err(|_| StatusCode::BAD_REQUEST)?;
        // Whatever is not a call opens or lists, and is not measured.
        let Some(tool) = tool(&body) else { return self.forward(&head.headers, body).await };
        let writes = *self.tools.get(tool).ok_or(StatusCode::FORBIDDEN)?;
        let now = self.clock.now();
        let (id, request_bytes) = (CallId::new(now, &*self.dice), body.len() as u64);
        let intent = self.intent(id, caller, tool, writes, &body);
        let mut on_record = self.append(&intent)?;
        if writes {
            on_record.durable().await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        }
        let recorded = self.clock.ticks();
        let answer = self.forward(&head.headers, body).await?;
        let micros =
            |from: u64| u32::try_from(self.clock.ticks().saturating_sub(from) / 1000).unwrap_or(u32::MAX);
        let latency = Latency { upstream: micros(recorded), total: micros(began), ..Latency::default() };
        let outcome = Leaf::Outcome(Outcome {
            call: id,
            status: ledger::Status::Ok,
            attempt: Attempt::Answered,
            code: None,
            reason: None,
            upstream: Some(Cow::Borrowed("1")),
            token: None,
            findings: Vec::new(),
            answer_bytes: request_bytes,
            reply_bytes: request_bytes,
            latency,
        });
        self.append(&outcome)?.written().await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        Ok(answer)
    }

    fn caller(&self, headers: &HeaderMap) -> Option<&Principal> {
        let token = headers.get(AUTHORIZATION)?.as_bytes().strip_prefix(b"Bearer ")?;
        self.callers.get(&Digest::of(token)).map(|principal| &**principal)
    }

    fn intent<'a>(
        &self,
        id: CallId,
        caller: &'a Principal,
        tool: &'a [u8],
        writes: bool,
        body: &[u8],
    ) -> Leaf<'a> {
        let call = Call {
            id,
            caller: Caller::of(caller),
            conversation: None,
            endpoint: Cow::Borrowed("/servers/bench/mcp"),
            method: Cow::Borrowed("tools/call"),
            target: Some(Target {
                server: Cow::Borrowed("bench"),
                named: Some(Named::Tool),
                name: Some(String::from_utf8_lossy(tool)),
                definition: Some(self.revision),
            }),
            downstream: Some(Downstream { strategy: Cow::Borrowed("none"), account: None, audience: None }),
            impact: Some(if writes { Impact::WriteReversible } else { Impact::Read }),
            trace: None,
            request_bytes: body.len() as u64,
            arguments: Some(Arguments { digest: Digest::of(body), bytes: body.len() as u64, value: None }),
        };
        let decision = Decision {
            effect: Effect::Permit,
            rules: vec![Cow::Borrowed("floor")],
            obligations: Vec::new(),
            policy: Some(self.revision),
        };
        Leaf::Intent(Intent { call, decision })
    }

    fn append(&self, leaf: &Leaf<'_>) -> Result<audit::Ticket, StatusCode> {
        self.writer.append(self.clock.now(), leaf).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
    }

    async fn forward(&self, headers: &HeaderMap, body: Bytes) -> Result<Response<Body>, StatusCode> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        for name in FORWARDED {
            if let Some(value) = headers.get(name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        let answer =
            self.client.send(&self.destination, request).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        let (head, body) = answer.into_parts();
        let body = net::collect(body, self.body_bytes).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        let mut reply = Response::new(Body::full(body));
        *reply.status_mut() = head.status;
        for name in RETURNED {
            if let Some(value) = head.headers.get(name) {
                reply.headers_mut().insert(name, value.clone());
            }
        }
        Ok(reply)
    }
}

/// The tool a call names, found without parsing; the bench's own requests hold no other `name` before it.
fn tool(body: &[u8]) -> Option<&[u8]> {
    const BEFORE: &[u8] = br#""params":{"name":""#;
    let rest = body.get(memmem::find(body, BEFORE)? + BEFORE.len()..)?;
    rest.get(..memchr::memchr(b'"', rest)?)
}

fn refused(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

const FORWARDED: [&str; 6] =
    ["content-type", "accept", "mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id"];
const RETURNED: [&str; 2] = ["content-type", "mcp-session-id"];
/// `tool_20` and above write.
const FIRST_WRITE: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tool_is_found_where_the_load_generator_puts_it() {
        let body =
            br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"tool_20","arguments":{}}}"#;
        assert_eq!(tool(body), Some(&b"tool_20"[..]));
        assert_eq!(tool(br#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#), None);
    }
}
