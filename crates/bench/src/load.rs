//! The load generator: a fixed number of connections, each with one request under way, for a fixed time.
//!
//! It speaks HTTP/1.1 by hand, because it shares a core with the servers it loads and every microsecond it spends
//! is one the measured process waits for. It believes an answer only with status 200, the right id and a result.

mod connection;
mod hold;
mod report;
mod template;

pub use hold::{Hold, hold};
pub use report::Report;
pub use template::{Era, Work};

use crate::usage::Usage;
use anyhow::Context as _;
use connection::Connection;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use template::Template;

/// One burst of load.
#[derive(Clone, Debug)]
pub struct Burst {
    /// Who is called.
    pub address: SocketAddr,
    /// The path, `/servers/bench/mcp` for instance.
    pub path: String,
    /// What is asked.
    pub work: Work,
    /// In which era.
    pub era: Era,
    /// Connections, each with one request under way.
    pub connections: u32,
    /// Before anything is counted.
    pub warm_up: Duration,
    /// While everything is counted.
    pub span: Duration,
    /// Access tokens, used in turn by all connections; with one, every request carries the same.
    pub tokens: Arc<Vec<String>>,
    /// The processes whose CPU and memory are read at both ends of the span.
    pub watch: Vec<u32>,
}

/// Runs one burst.
///
/// # Errors
/// When a connection or session could not be opened, or a watched process is gone. Wrong answers are counted instead.
pub async fn run(burst: Burst) -> anyhow::Result<Report> {
    let begin = now() + burst.warm_up;
    let end = begin + burst.span;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..burst.connections {
        let burst = burst.clone();
        tasks.spawn(async move { one_connection(&burst, number, begin, end).await });
    }
    tokio::time::sleep_until(begin.into()).await;
    let before = Usage::of_all(&burst.watch)?;
    tokio::time::sleep_until(end.into()).await;
    let after = Usage::of_all(&burst.watch)?;
    let mut report = Report::new(burst.span, after.cpu.saturating_sub(before.cpu), after.resident_kib);
    while let Some(samples) = tasks.join_next().await {
        report.add(samples??);
    }
    report.finish();
    Ok(report)
}

/// What one connection saw within the span.
#[derive(Default)]
pub(crate) struct Samples {
    /// Latency of each good answer, in microseconds.
    latencies: Vec<u32>,
    failures: u64,
    first_failure: Option<String>,
}

async fn one_connection(burst: &Burst, number: u32, begin: Instant, end: Instant) -> anyhow::Result<Samples> {
    let mut connection = Connection::open(burst.address).await.context("failed to open a connection")?;
    let token = |turn: u64| {
        let place =
            (u64::from(number) + turn * u64::from(burst.connections)) % (burst.tokens.len().max(1) as u64);
        usize::try_from(place).ok().and_then(|place| burst.tokens.get(place)).map_or("", String::as_str)
    };
    let session = match burst.era {
        Era::Stateless => None,
        Era::Session => Some(connection.initialize(&burst.path, token(0)).await?),
    };
    let template = Template::new(&burst.path, &burst.work, burst.era, session.as_deref());
    let mut samples = Samples::default();
    let mut request = Vec::with_capacity(4096);
    let mut turn = 0_u64;
    loop {
        let started = now();
        if started >= end {
            if let Some(session) = &session {
                connection.leave(&burst.path, token(0), session).await?;
            }
            return Ok(samples);
        }
        // Ten digits, never the same twice: distinct arguments and distinct ids.
        let serial = FIRST_SERIAL + u64::from(number) * STRIDE + turn;
        template.write(&mut request, token(turn), serial);
        let outcome = connection.exchange(&request).await?.check(serial);
        turn += 1;
        let done = now();
        if started < begin || done > end {
            continue;
        }
        match outcome {
            Ok(()) => samples
                .latencies
                .push(u32::try_from(done.duration_since(started).as_micros()).unwrap_or(u32::MAX)),
            Err(why) => {
                samples.failures += 1;
                samples.first_failure.get_or_insert(why);
            }
        }
    }
}

/// The lowest serial: ten digits, so that every request of a burst has the same length.
const FIRST_SERIAL: u64 = 1_000_000_000;
/// How far the serials of two connections lie apart; no connection makes as many requests in one burst.
const STRIDE: u64 = 5_000_000;

#[allow(clippy::disallowed_methods, reason = "a load generator measures real time; nothing here is replayed")]
fn now() -> Instant {
    Instant::now()
}
