//! Traces: legs that have ended become spans, and spans go to a collector by OTLP.
//!
//! In: legs, through a bounded queue that never makes a call wait. Out: batches of spans, posted by one task. Never here:
//! the path of a call, a span that waits for room, a collector that holds up a call, the start or the end.
//! Specified in OTLP 1.x, OpenTelemetry's semantic conventions for MCP, and `docs/operations.md`.

mod collector;
mod otlp;
mod spans;

use crate::config;
use crate::metrics::Metrics;
use collector::Collector;
use model::Dice;
use net::egress::{Client, DestinationError};
use proxy::{Leg, LegSink, Share};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// The task that delivers.
pub(crate) struct Exporter {
    finish: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Starts delivering; what the data plane is given, and the task. Nothing is contacted yet.
///
/// # Errors
/// The collector's address can be no destination.
pub(crate) fn start(
    settings: &config::Traces,
    client: Client,
    dice: Arc<dyn Dice>,
    metrics: &Arc<Metrics>,
) -> Result<(proxy::Traces, Exporter), DestinationError> {
    let collector = Collector::new(settings, client)?;
    let (legs, queue) = mpsc::channel(QUEUE);
    let (finish, finishing) = watch::channel(false);
    let sink = Arc::new(Queue { legs, metrics: Arc::clone(metrics) });
    let delivery = Delivery { queue, finishing, collector, dice, metrics: Arc::clone(metrics) };
    let task = tokio::spawn(delivery.run());
    Ok((proxy::Traces { share: Share::of(settings.sample), sink }, Exporter { finish, task }))
}

impl Exporter {
    /// Delivers what waits and ends; gives up after a while.
    pub(crate) async fn finish(mut self) {
        self.finish.send_replace(true);
        if tokio::time::timeout(FINISH, &mut self.task).await.is_err() {
            tracing::warn!("the last spans were not taken in time, and are lost");
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The queue's near end.
struct Queue {
    legs: mpsc::Sender<Leg>,
    metrics: Arc<Metrics>,
}

impl LegSink for Queue {
    fn told(&self, leg: Box<Leg>) {
        if let Err(refused) = self.legs.try_send(*leg) {
            self.metrics.spans_dropped("queue", spans::count(&refused.into_inner()));
        }
    }
}

/// The queue's far end.
struct Delivery {
    queue: mpsc::Receiver<Leg>,
    finishing: watch::Receiver<bool>,
    collector: Collector,
    dice: Arc<dyn Dice>,
    metrics: Arc<Metrics>,
}

impl Delivery {
    async fn run(mut self) {
        let mut legs = Vec::new();
        while !*self.finishing.borrow() {
            tokio::select! {
                come = self.queue.recv_many(&mut legs, BATCH) => if come == 0 { break },
                _ = self.finishing.changed() => break,
            }
            self.linger(&mut legs).await;
            self.deliver(&mut legs).await;
        }
        self.queue.close();
        while self.queue.recv_many(&mut legs, BATCH).await > 0 {
            self.deliver(&mut legs).await;
        }
    }

    /// What comes soon goes along.
    async fn linger(&mut self, legs: &mut Vec<Leg>) {
        let soon =
            async { while legs.len() < BATCH && self.queue.recv_many(legs, BATCH - legs.len()).await > 0 {} };
        tokio::select! {
            _ = tokio::time::timeout(LINGER, soon) => {}
            _ = self.finishing.changed() => {}
        }
    }

    async fn deliver(&mut self, legs: &mut Vec<Leg>) {
        let mut made = Vec::new();
        for leg in legs.drain(..) {
            spans::of(&leg, self.dice.as_ref(), &mut made);
        }
        let all = u64::try_from(made.len()).unwrap_or(u64::MAX);
        let lost = self.collector.deliver(made, &mut self.finishing).await;
        self.metrics.spans_sent(all - lost);
        if lost > 0 {
            self.metrics.spans_dropped("collector", lost);
        }
    }
}

/// Legs that may wait: about a megabyte.
const QUEUE: usize = 2048;
/// Legs that go together: less than a millisecond's work at a time.
const BATCH: usize = 128;
/// How long the first leg of a batch waits for others.
const LINGER: Duration = Duration::from_millis(500);
/// How long the end waits for the last batches.
const FINISH: Duration = Duration::from_secs(3);
