//! Idle connections of one destination: last in, first out.

use super::live::Live;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The idle connections.
pub(super) struct Pool {
    idle: Mutex<Idle>,
    most: usize,
    sweep: Duration,
}

#[derive(Default)]
struct Idle {
    /// Oldest first, each with the sweep after which it was parked.
    connections: Vec<(u64, Live)>,
    sweeps: u64,
    sweeping: bool,
}

impl Pool {
    pub(super) fn new(most: usize, idle_timeout: Duration) -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), most, sweep: idle_timeout / 2 })
    }

    /// The youngest connection that is still open.
    pub(super) fn take(&self) -> Option<Live> {
        loop {
            let (_, mut live) = self.lock().connections.pop()?;
            if live.is_free() {
                return Some(live);
            }
        }
    }

    /// Keeps a connection for the next request, unless there are enough or it has ended.
    pub(super) fn park(self: &Arc<Self>, mut live: Live) {
        if !live.is_free() {
            return;
        }
        let mut idle = self.lock();
        if idle.connections.len() >= self.most {
            return;
        }
        let sweeps = idle.sweeps;
        idle.connections.push((sweeps, live));
        if !idle.sweeping {
            idle.sweeping = true;
            drop(idle);
            tokio::spawn(sweep(Arc::downgrade(self), self.sweep));
        }
    }

    /// Closes all idle connections.
    pub(super) fn clear(&self) {
        let closed = std::mem::take(&mut self.lock().connections);
        drop(closed);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().connections.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes what has been idle for one whole pause, until nothing is left. One runs per pool at most.
async fn sweep(pool: std::sync::Weak<Pool>, pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        let Some(pool) = pool.upgrade() else { return };
        let stale = {
            let mut idle = pool.lock();
            let young = idle.connections.partition_point(|(parked, _)| *parked < idle.sweeps);
            let rest = idle.connections.split_off(young);
            let stale = std::mem::replace(&mut idle.connections, rest);
            idle.sweeps += 1;
            idle.sweeping = !idle.connections.is_empty();
            stale
        };
        drop(stale);
        if !pool.lock().sweeping {
            return;
        }
    }
}
