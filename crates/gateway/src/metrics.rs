//! Metrics in the OpenMetrics text format, and the observer that the data plane tells of every call.

use model::{Code, ErrorKind};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;

/// All metrics of one gateway.
pub(crate) struct Metrics {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    seconds: Family<MethodLabel, Histogram, fn() -> Histogram>,
    reloads: Family<ReloadLabels, Counter>,
    spans_sent: Counter,
    spans_dropped: Family<ReasonLabel, Counter>,
    shadow_differences: Family<ShadowLabels, Counter>,
    introspections: Family<IntrospectionLabels, Counter>,
    gauges: Gauges,
}

/// What is looked up at each scrape.
pub(crate) struct Gauges {
    servers: Family<ServerLabels, Gauge>,
    record_ready: Gauge,
    record_queued: Gauge,
    policy_age: Gauge<f64, AtomicU64>,
    revocation_age: Gauge<f64, AtomicU64>,
    revocations: Gauge,
    calls: Gauge,
    streams: Gauge,
    sessions: Gauge,
    parked: Gauge,
    resident: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    method: &'static str,
    decision: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabel {
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    what: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShadowLabels {
    issuer: String,
    version: i64,
    claim: &'static str,
    does: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IntrospectionLabels {
    issuer: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerLabels {
    server: String,
    state: &'static str,
}

/// The numbers of one scrape.
pub(crate) struct Reading {
    /// Servers, and the word for their state.
    pub(crate) servers: Vec<(String, &'static str)>,
    /// Whether the record can be written.
    pub(crate) record_ready: bool,
    /// Leaves that wait to be written.
    pub(crate) record_queued: u64,
    /// Seconds since the policies in force were put there.
    pub(crate) policy_age: f64,
    /// How much is under way.
    pub(crate) occupancy: proxy::Occupancy,
    /// Seconds since the table of revocations was read, and how many are in force; none without a database.
    pub(crate) revocations: Option<(f64, usize)>,
}

impl Metrics {
    /// Every metric at zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("portunus");
        let calls = Family::default();
        let seconds = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        let reloads = Family::default();
        registry.register("calls", "Requests by method, decision and outcome", Family::clone(&calls));
        registry.register_with_unit(
            "call_duration",
            "Time from head to reply",
            Unit::Seconds,
            Family::clone(&seconds),
        );
        registry.register("reloads", "Reloads of configuration and policies", Family::clone(&reloads));
        let (spans_sent, spans_dropped) = (Counter::default(), Family::default());
        registry.register("spans_sent", "Spans that the collector took", spans_sent.clone());
        registry.register("spans_dropped", "Spans that nobody will see", Family::clone(&spans_dropped));
        let (shadow_differences, introspections) = (Family::default(), Family::default());
        registry.register(
            "contract_shadow_differences",
            "Tokens that the contract in shadow takes otherwise than the one enforced, by the claim that makes it so",
            Family::clone(&shadow_differences),
        );
        registry.register(
            "introspections",
            "Opaque tokens judged by what their issuer said",
            Family::clone(&introspections),
        );
        let gauges = Gauges::register(&mut registry);
        Self {
            registry,
            calls,
            seconds,
            reloads,
            spans_sent,
            spans_dropped,
            shadow_differences,
            introspections,
            gauges,
        }
    }

    /// Counts a reload of `what`.
    pub(crate) fn reloaded(&self, what: &'static str, done: bool) {
        let outcome = if done { "done" } else { "refused" };
        self.reloads.get_or_create(&ReloadLabels { what, outcome }).inc();
    }

    /// Counts spans that the collector took.
    pub(crate) fn spans_sent(&self, spans: u64) {
        self.spans_sent.inc_by(spans);
    }

    /// Counts spans that are lost.
    pub(crate) fn spans_dropped(&self, reason: &'static str, spans: u64) {
        self.spans_dropped.get_or_create(&ReasonLabel { reason }).inc_by(spans);
    }

    /// The text of a scrape.
    pub(crate) fn render(&self, reading: &Reading) -> String {
        self.gauges.set(reading);
        let mut text = String::with_capacity(16 << 10);
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

impl authn::Watch for Metrics {
    fn shadow_differs(&self, difference: &authn::Difference<'_>) {
        let labels = ShadowLabels {
            issuer: difference.issuer.to_owned(),
            version: difference.shadow,
            claim: difference.claim,
            does: difference.does,
        };
        self.shadow_differences.get_or_create(&labels).inc();
    }

    fn introspected(&self, issuer: &str, outcome: &'static str) {
        self.introspections.get_or_create(&IntrospectionLabels { issuer: issuer.to_owned(), outcome }).inc();
    }
}

impl proxy::Observer for Metrics {
    fn ended(
        &self,
        method: &'static str,
        _server: Option<&str>,
        fault: Option<(ErrorKind, Code)>,
        micros: u32,
    ) {
        let (decision, outcome) = words(fault);
        self.calls.get_or_create(&CallLabels { method, decision, outcome }).inc();
        self.seconds.get_or_create(&MethodLabel { method }).observe(f64::from(micros) / 1e6);
    }
}

/// The decision and the outcome of a request, as labels. A request that ended before its decision has none.
fn words(fault: Option<(ErrorKind, Code)>) -> (&'static str, &'static str) {
    let Some((kind, code)) = fault else { return ("permit", "ok") };
    let decision = match code {
        Code::DENIED | Code::OBLIGATION_UNMET | Code::NOT_FOUND => "deny",
        Code(4000..=4999) | Code::RECORD_OUTCOME => "permit",
        _ => "none",
    };
    (decision, kind.as_str())
}

impl Gauges {
    fn register(registry: &mut Registry) -> Self {
        let gauges = Self {
            servers: Family::default(),
            record_ready: Gauge::default(),
            record_queued: Gauge::default(),
            policy_age: Gauge::default(),
            revocation_age: Gauge::default(),
            revocations: Gauge::default(),
            calls: Gauge::default(),
            streams: Gauge::default(),
            sessions: Gauge::default(),
            parked: Gauge::default(),
            resident: Gauge::default(),
        };
        registry.register("server_state", "1 for the state each server is in", gauges.servers.clone());
        registry.register("record_ready", "1 when the record can be written", gauges.record_ready.clone());
        registry.register("record_queued", "Leaves that wait to be written", gauges.record_queued.clone());
        let age = "Age of the policies in force";
        registry.register_with_unit("policy_age", age, Unit::Seconds, gauges.policy_age.clone());
        let age = "Time since the table of revocations was read";
        registry.register_with_unit("revocation_view_age", age, Unit::Seconds, gauges.revocation_age.clone());
        registry.register("revocations", "Revocations in force", gauges.revocations.clone());
        registry.register("calls_in_flight", "Calls under way", gauges.calls.clone());
        registry.register("streams_open", "Open streams", gauges.streams.clone());
        registry.register("sessions", "Sessions with state on this node", gauges.sessions.clone());
        registry.register("calls_parked", "Calls that wait for their callers", gauges.parked.clone());
        registry.register_with_unit(
            "resident_memory",
            "Resident memory",
            Unit::Bytes,
            gauges.resident.clone(),
        );
        gauges
    }

    fn set(&self, reading: &Reading) {
        self.servers.clear();
        for (server, state) in &reading.servers {
            self.servers.get_or_create(&ServerLabels { server: server.clone(), state }).set(1);
        }
        self.record_ready.set(i64::from(reading.record_ready));
        self.record_queued.set(i64::try_from(reading.record_queued).unwrap_or(i64::MAX));
        self.policy_age.set(reading.policy_age);
        let (age, rows) = reading.revocations.unwrap_or_default();
        self.revocation_age.set(age);
        self.revocations.set(i64::try_from(rows).unwrap_or(i64::MAX));
        let proxy::Occupancy { calls, streams, sessions, parked } = reading.occupancy;
        for (gauge, size) in [
            (&self.calls, calls),
            (&self.streams, streams),
            (&self.sessions, sessions),
            (&self.parked, parked),
        ] {
            gauge.set(i64::try_from(size).unwrap_or(i64::MAX));
        }
        self.resident.set(resident_bytes().unwrap_or(0));
    }
}

/// Resident memory of this process (proc(5), `/proc/self/statm`, in pages).
fn resident_bytes() -> Option<i64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    i64::try_from(rustix::param::page_size()).ok()?.checked_mul(pages)
}

/// From half a millisecond to the default deadline of a call, in seconds.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0];

#[cfg(test)]
mod tests {
    use super::*;
    use proxy::Observer as _;

    #[test]
    fn calls_are_counted_by_method_decision_and_outcome() {
        let metrics = Metrics::new();
        metrics.ended("tools/call", Some("git"), None, 1500);
        metrics.ended("tools/call", Some("git"), Some((ErrorKind::Denied, Code::DENIED)), 200);
        metrics.ended("tools/call", None, Some((ErrorKind::Unauthenticated, Code::TOKEN_INVALID)), 90);
        metrics.reloaded("policies", false);
        metrics.spans_sent(7);
        metrics.spans_dropped("queue", 2);
        let reading = Reading {
            servers: vec![("git".to_owned(), "ready")],
            record_ready: true,
            record_queued: 3,
            policy_age: 1.5,
            occupancy: proxy::Occupancy { calls: 1, streams: 2, sessions: 3, parked: 4 },
            revocations: Some((0.25, 7)),
        };
        let text = metrics.render(&reading);
        for line in [
            r#"portunus_calls_total{method="tools/call",decision="permit",outcome="ok"} 1"#,
            r#"portunus_calls_total{method="tools/call",decision="deny",outcome="denied"} 1"#,
            r#"portunus_calls_total{method="tools/call",decision="none",outcome="unauthenticated"} 1"#,
            r#"portunus_call_duration_seconds_count{method="tools/call"} 3"#,
            r#"portunus_reloads_total{what="policies",outcome="refused"} 1"#,
            r#"portunus_server_state{server="git",state="ready"} 1"#,
            "portunus_spans_sent_total 7",
            r#"portunus_spans_dropped_total{reason="queue"} 2"#,
            "portunus_record_ready 1",
            "portunus_calls_parked 4",
            "portunus_policy_age_seconds 1.5",
            "portunus_revocation_view_age_seconds 0.25",
            "portunus_revocations 7",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
