//! The life of a gateway: reload on SIGHUP, drain on SIGTERM or Ctrl-C, stop at once on the second.

use crate::compose::Gateway;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that matter, caught from now on.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Catches the signals.
    ///
    /// # Errors
    /// The operating system's.
    pub(crate) fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits until somebody asks for the end.
    pub(crate) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Runs a gateway to its end: soft when asked once (open calls may finish), hard when asked twice.
pub(crate) async fn live(gateway: Gateway, mut signals: Signals) {
    loop {
        tokio::select! {
            () = async { tokio::select! { _ = signals.terminate.recv() => {}, _ = signals.interrupt.recv() => {} } } => break,
            _ = signals.hangup.recv() => gateway.reload_logged("SIGHUP").await,
        }
    }
    tracing::info!("draining; once more to stop at once");
    tokio::select! {
        () = gateway.shutdown() => {}
        () = signals.stop() => tracing::warn!("stopped at once"),
    }
}
