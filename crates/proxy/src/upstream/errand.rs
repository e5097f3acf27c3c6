//! Small things done for nobody in particular: withdrawing a call, ending a session or a child. Bounded in
//! number and time, so that an unhelpful server cannot make them pile up.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// The queue. Cheap to clone.
#[derive(Clone)]
pub(super) struct Errands {
    queue: mpsc::Sender<Errand>,
    /// All permits are there when nothing is queued or under way.
    room: Arc<Semaphore>,
}

struct Errand {
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
    _room: tokio::sync::OwnedSemaphorePermit,
}

impl Errands {
    /// Starts the task that runs them. It ends with the last clone.
    pub(super) fn start() -> Self {
        let (queue, errands) = mpsc::channel(QUEUED);
        tokio::spawn(run(errands));
        Self { queue, room: Arc::new(Semaphore::new(QUEUED)) }
    }

    /// Queues one; when the queue is full, it is not done.
    pub(super) fn send(&self, work: impl Future<Output = ()> + Send + 'static) {
        let errand = Arc::clone(&self.room)
            .try_acquire_owned()
            .map(|room| Errand { work: Box::pin(work), _room: room });
        if errand.is_ok_and(|errand| self.queue.try_send(errand).is_ok()) {
            return;
        }
        tracing::debug!("too many errands: a server is not told that its call or session has ended");
    }

    /// Waits until nothing is queued or under way.
    pub(super) async fn idle(&self) {
        let all = u32::try_from(QUEUED).unwrap_or(u32::MAX);
        let _ = self.room.acquire_many(all).await;
    }
}

async fn run(mut errands: mpsc::Receiver<Errand>) {
    let mut running = tokio::task::JoinSet::new();
    while let Some(errand) = errands.recv().await {
        while running.len() >= AT_ONCE {
            running.join_next().await;
        }
        while running.try_join_next().is_some() {}
        running.spawn(tokio::time::timeout(LONGEST, async move {
            errand.work.await;
            drop(errand._room);
        }));
    }
    while running.join_next().await.is_some() {}
}

/// Errands waiting or under way.
const QUEUED: usize = 1024;
/// Errands under way.
const AT_ONCE: usize = 64;
/// The longest errand.
const LONGEST: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test(start_paused = true)]
    async fn a_hanging_errand_delays_the_others_no_longer_than_its_bound() {
        let (errands, done) = (Errands::start(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..AT_ONCE {
            errands.send(std::future::pending());
        }
        for _ in 0..10 {
            let done = Arc::clone(&done);
            errands.send(async move {
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        errands.idle().await;
        assert_eq!(done.load(Ordering::Relaxed), 10);
    }
}
