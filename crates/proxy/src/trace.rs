//! What is told of a request for tracing: one plain value for each leg on record, once the leg has ended.
//!
//! In: the W3C trace context of a request and the end of each of its stages. Out: a [`Leg`], handed to a
//! [`LegSink`], and the context under which its server works. Never here: OpenTelemetry, a wait, a token, a
//! secret, an argument, an answer, a caller's name; anything at all while traces are off.
//! Specified in W3C Trace Context (level 1) and `docs/operations.md`.

mod context;
mod leg;

pub use context::{Context, Parent, Share};
pub use leg::{Leg, LegSink, LegTarget, Mark};

use crate::house::House;
use crate::trail::{Stage, Trail};
use crate::upstream;
use http::HeaderMap;
use ledger::Status;
use model::Code;
use protocol::meta::{RequestMeta, TRACEPARENT, TRACESTATE};
use protocol::{Edit, Members, Raw};
use std::sync::Arc;

/// Tracing, where it is on.
#[derive(Clone)]
pub struct Traces {
    /// The share of traces that begin here and are kept.
    pub share: Share,
    /// Who is told.
    pub sink: Arc<dyn LegSink>,
}

/// The span of a request that is under way.
pub(crate) struct OpenSpan {
    context: Context,
    marks: Vec<Mark>,
}

/// How a leg ended, as far as its record says, and the code of the JSON-RPC error that tells it.
pub(crate) struct Told {
    pub(crate) status: Status,
    pub(crate) code: Option<Code>,
    pub(crate) rpc: Option<i64>,
    pub(crate) reply_bytes: usize,
}

impl OpenSpan {
    /// The span of a request that has just arrived, the first of a trace until something else is known.
    pub(crate) fn begin(house: &House) -> Option<Box<Self>> {
        let traces = house.traces.as_ref()?;
        let context = Context::root(house.dice.as_ref(), traces.share);
        Some(Box::new(Self { context, marks: Vec::with_capacity(USUAL) }))
    }

    /// The span of another leg beside this one, in the same trace.
    pub(crate) fn beside(&self, house: &House) -> Box<Self> {
        let context = self.context.beside(house.dice.as_ref());
        Box::new(Self { context, marks: Vec::with_capacity(USUAL) })
    }

    /// Joins the trace that the request's headers name.
    pub(crate) fn join_headers(&mut self, headers: &HeaderMap) {
        let mut named = headers.get_all(TRACEPARENT).iter();
        if let (Some(only), None) = (named.next(), named.next()) {
            self.join(only.to_str().unwrap_or_default());
        }
    }

    /// Joins the trace that the message itself names. What is no trace context changes nothing.
    pub(crate) fn join(&mut self, traceparent: &str) {
        if let Some(parent) = Parent::parse(traceparent) {
            self.context.join(parent);
        }
    }

    /// A stage ends this many nanoseconds after the request came.
    pub(crate) fn mark(&mut self, stage: Stage, ended: u64) {
        let full = self.marks.len() >= MARKS;
        match self.marks.last_mut() {
            Some(last) if full || last.stage == stage => last.ended = ended,
            _ => self.marks.push(Mark { stage, ended }),
        }
    }

    /// The trace's id, if the trace begins here and is kept.
    pub(crate) fn own_trace(&self) -> Option<Arc<str>> {
        let own = self.context.sampled() && self.context.parent.is_none();
        own.then(|| self.context.trace_id().into())
    }
}

/// The leg of a request so far; nothing if traces are off or this one is not kept.
pub(crate) fn leg(trail: &Trail) -> Option<Box<Leg>> {
    let span = trail.span.as_ref().filter(|span| span.context.sampled())?;
    Some(Box::new(Leg::of(trail, span.context.clone(), span.marks.clone())))
}

/// Tells of a leg that has ended. Never waits.
pub(crate) fn tell(house: &House, mut leg: Box<Leg>, told: Told) {
    let Some(traces) = &house.traces else { return };
    leg.end(house.clock.ticks(), told);
    traces.sink.told(leg);
}

/// Takes over the stages that ended since the leg was made.
pub(crate) fn catch_up(leg: Option<&mut Box<Leg>>, trail: &Trail) {
    if let (Some(leg), Some(span)) = (leg, &trail.span) {
        leg.marks.clone_from(&span.marks);
    }
}

/// The params and the context with which a call goes to its server: the caller's own, untouched, unless this leg is
/// traced. Then the server works under the leg's own span: only the reserved key of `_meta` is replaced.
pub(crate) fn onward(
    trail: &Trail,
    meta: &RequestMeta,
    params: Option<Members>,
) -> (Option<Members>, upstream::Trace) {
    let Some(context) = trail.span.as_ref().map(|span| &span.context).filter(|context| context.sampled())
    else {
        let trace = upstream::Trace { parent: meta.traceparent.clone(), state: meta.tracestate.clone() };
        return (params, trace);
    };
    let parent = context.traceparent();
    let mut edit = Edit::new();
    edit.set(&["_meta", TRACEPARENT], Raw::of_str(&parent));
    let mut state = meta.tracestate.clone();
    if context.parent.is_none() {
        // It belongs to a context that could not be read (W3C Trace Context §4.3).
        edit.remove(&["_meta", TRACESTATE]);
        state = None;
    }
    let params = edit.apply(params.as_ref().unwrap_or(&Members::empty())).members();
    (params, upstream::Trace { parent: Some(parent.into()), state })
}

/// The stages of a call to a server.
const USUAL: usize = 10;
/// The most stages kept of one leg: one that goes on and on is told as one.
const MARKS: usize = 24;
