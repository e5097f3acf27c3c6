//! The door in: TCP and TLS, connection and head bounds, graceful drain.
//!
//! A connection that goes away drops the future of its handler: that is cancellation by disconnect.

mod client_certificate;
mod connection;
mod tls;

pub use client_certificate::{Certificate, ClientCertificates};
pub use tls::{Tls, TlsError, TlsFiles};

use crate::Body;
use connection::Bounds;
use http::{Request, Response};
use hyper::body::Incoming;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Who is at the other end of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address as the socket sees it; nothing a header says.
    pub address: SocketAddr,
    /// The connection is TLS.
    pub tls: bool,
    /// The certificate that the other end showed and proved to hold the key of.
    pub certificate: Option<Arc<Certificate>>,
}

/// How a listener listens.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to bind; port 0 picks one.
    pub address: SocketAddr,
    /// The most open connections; more wait in the kernel's queue.
    pub connections: usize,
    /// The largest head of a request, in bytes.
    pub head_bytes: usize,
    /// How long a client may take for the TLS handshake, for a head, and between two requests.
    pub head_timeout: Duration,
    /// How long open requests may take to end once the listener drains.
    pub drain_timeout: Duration,
}

impl Config {
    /// A listener at `address` with the given limits and 30 seconds to drain.
    pub fn new(address: SocketAddr, limits: &model::Limits) -> Self {
        Self {
            address,
            connections: limits.connections,
            head_bytes: limits.head_bytes,
            head_timeout: limits.head_timeout,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// A bound socket.
pub struct Listener {
    socket: TcpListener,
    config: Config,
    tls: Option<Tls>,
}

/// What became of the connections that were open when the listener was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Ended by themselves.
    pub ended: usize,
    /// Cut off at the deadline.
    pub cut: usize,
}

impl Listener {
    /// Binds the address.
    ///
    /// # Errors
    /// The operating system's, for instance that the address is in use.
    pub async fn bind(config: Config, tls: Option<Tls>) -> std::io::Result<Self> {
        let socket = TcpListener::bind(config.address).await?;
        Ok(Self { socket, config, tls })
    }

    /// The address that was bound, with the real port.
    ///
    /// # Errors
    /// The operating system's.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `stop` is ready, then drains. The handler's future is dropped when its connection
    /// goes away, and at the drain deadline.
    pub async fn serve<H, F>(self, handler: H, stop: impl Future<Output = ()>) -> Drained
    where
        H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let Self { socket, config, tls } = self;
        let permits = Arc::new(Semaphore::new(config.connections));
        let bounds = Bounds { head_bytes: config.head_bytes, head_timeout: config.head_timeout };
        let (draining, drain) = watch::channel(false);
        let mut open = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                // A connection that has ended gives its memory back at once, not at the next one's start.
                Some(_) = open.join_next() => continue,
                accepted = accept(&socket, &permits) => accepted,
            };
            let Some((stream, address, permit)) = accepted else { continue };
            let (handler, tls, drain) = (handler.clone(), tls.clone(), drain.clone());
            open.spawn(async move {
                connection::serve(stream, address, tls, bounds, handler, drain).await;
                drop(permit);
            });
        }
        drop(socket);
        draining.send_replace(true);
        let mut drained = Drained { ended: 0, cut: 0 };
        let all = async {
            while open.join_next().await.is_some() {
                drained.ended += 1;
            }
        };
        if tokio::time::timeout(config.drain_timeout, all).await.is_err() {
            drained.cut = open.len();
            open.shutdown().await;
        }
        drained
    }
}

/// The next connection, once there is room for it. Cancel safe. `None` when the system has no descriptor to give:
/// it is asked again after a pause.
async fn accept(
    socket: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match socket.accept().await {
        Ok((stream, address)) => Some((stream, address, permit)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// The pause after a failed accept: long enough not to spin, short enough not to be noticed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
