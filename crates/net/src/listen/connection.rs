//! One connection: handshake, version, bounds, drain.

use super::{Certificate, Peer, Tls};
use crate::Body;
use futures_util::FutureExt as _;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::{Sleep, Timer};
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// The bounds of one connection.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Bytes.
    pub(super) head_bytes: usize,
    /// For a handshake, a head, and the pause between requests.
    pub(super) head_timeout: Duration,
}

/// Serves one connection to its end. What goes wrong on it concerns its peer alone and is a debug line.
pub(super) async fn serve<H, F>(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<Tls>,
    bounds: Bounds,
    handler: H,
    mut drain: watch::Receiver<bool>,
) where
    H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    // Small frames go out at once: an answer is often one segment.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let mut call = Call { handler, peer: Peer { address, tls: tls.is_some(), certificate: None } };
    let opened = tokio::time::timeout(bounds.head_timeout, async {
        match tls {
            None => Ok(Opened::Plain(speaks_h2(&stream).await?, stream)),
            Some(tls) => {
                // Before the certificate is looked at: a change in between is seen.
                let changes = tls.trust_changes();
                let stream = tls.accept(stream).await?;
                let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let shown = Shown::of(&stream, tls, changes)?;
                Ok::<_, std::io::Error>(Opened::Tls(h2, Box::new(stream), shown))
            }
        }
    });
    let opened = tokio::select! {
        opened = opened => opened,
        // Whoever has not begun a request by now has nothing to finish.
        _ = drain.wait_for(|draining| *draining) => return,
    };
    match opened {
        Ok(Ok(Opened::Plain(h2, stream))) => speak(h2, stream, bounds, call, drain).await,
        Ok(Ok(Opened::Tls(h2, stream, None))) => speak(h2, stream, bounds, call, drain).await,
        Ok(Ok(Opened::Tls(h2, stream, Some(shown)))) => {
            call.peer.certificate = Some(Arc::clone(&shown.certificate));
            tokio::select! {
                () = speak(h2, stream, bounds, call, drain) => {}
                () = shown.refused() => tracing::debug!("a client's certificate is no longer accepted"),
            }
        }
        Ok(Err(error)) => tracing::debug!(%error, "connection ended before its first request"),
        Err(_) => tracing::debug!("no first request in time"),
    }
}

enum Opened {
    Plain(bool, TcpStream),
    Tls(bool, Box<tokio_rustls::server::TlsStream<TcpStream>>, Option<Shown>),
}

/// A certificate that a client showed, for as long as it is accepted.
struct Shown {
    certificate: Arc<Certificate>,
    chain: Vec<CertificateDer<'static>>,
    tls: Tls,
    changes: watch::Receiver<()>,
}

impl Shown {
    fn of(
        stream: &tokio_rustls::server::TlsStream<TcpStream>,
        tls: Tls,
        changes: Option<watch::Receiver<()>>,
    ) -> std::io::Result<Option<Self>> {
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let (Some(certificate), Some(changes)) = (tls.judge(chain)?, changes) else { return Ok(None) };
        let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        Ok(Some(Self { certificate: Arc::new(certificate), chain, tls, changes }))
    }

    /// Returns once the certificate is not what it was: revoked, or of an authority that is not ours any more. Its
    /// connection ends then, with all that is under way on it.
    async fn refused(mut self) {
        loop {
            // An error of the channel cannot be: this holds what tells. A timeout looks again, since time passes too.
            let _ = tokio::time::timeout(LOOK_AGAIN, self.changes.changed()).await;
            let now = self.tls.judge(&self.chain).ok().flatten();
            if now.as_ref() != Some(&*self.certificate) {
                return;
            }
        }
    }
}

/// Whether a plain connection opens with the HTTP/2 preface (RFC 9113 §3.4, prior knowledge). Clients
/// write it in one piece; one that dribbles it is taken for HTTP/1 and refused there.
async fn speaks_h2(stream: &TcpStream) -> std::io::Result<bool> {
    let mut start = [0; 4];
    let read = stream.peek(&mut start).await?;
    Ok(read == start.len() && &start == b"PRI ")
}

async fn speak<H, F, S>(h2: bool, stream: S, bounds: Bounds, call: Call<H>, drain: watch::Receiver<bool>)
where
    H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(stream);
    let ended = if h2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_PER_CONNECTION)
            .max_header_list_size(u32::try_from(bounds.head_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(bounds.head_timeout)
            .serve_connection(io, call);
        until_drained(connection, http2::Connection::graceful_shutdown, drain, bounds.head_timeout).await
    } else {
        let connection = http1::Builder::new()
            .timer(Coarse)
            .header_read_timeout(bounds.head_timeout)
            .max_buf_size(bounds.head_bytes.max(SMALLEST_BUFFER))
            .max_header_size(bounds.head_bytes)
            .serve_connection(io, call);
        until_drained(connection, http1::Connection::graceful_shutdown, drain, bounds.head_timeout).await
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
}

/// Drives a connection; once the listener drains, lets it finish what it has begun. Polls it twice per
/// `head_timeout` even when nothing happens, which is what [`Deadline`] stands on.
async fn until_drained<C>(
    connection: C,
    wind_down: fn(Pin<&mut C>),
    mut drain: watch::Receiver<bool>,
    head_timeout: Duration,
) -> Result<(), hyper::Error>
where
    C: Future<Output = Result<(), hyper::Error>>,
{
    let mut connection = std::pin::pin!(connection);
    let mut draining = std::pin::pin!(drain.wait_for(|draining| *draining));
    let mut winding_down = false;
    let mut ticks = tokio::time::interval((head_timeout / 2).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            ended = &mut connection => return ended,
            _ = &mut draining, if !winding_down => {
                wind_down(connection.as_mut());
                winding_down = true;
            }
            _ = ticks.tick() => {}
        }
    }
}

/// The timer of HTTP/1 heads. One is set and unset for every request, so it must cost next to nothing: it
/// enters no timer wheel and wakes nobody, and is late by half the timeout at most.
struct Coarse;

impl Timer for Coarse {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Deadline(deadline))
    }
}

/// Passes when it is looked at after its moment. INVARIANT: [`until_drained`] looks often enough.
struct Deadline(std::time::Instant);

impl Sleep for Deadline {}

impl Future for Deadline {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if Coarse.now() < self.0 { Poll::Pending } else { Poll::Ready(()) }
    }
}

/// The handler as hyper calls it.
struct Call<H> {
    handler: H,
    peer: Peer,
}

type Infallibly = fn(Response<Body>) -> Result<Response<Body>, Infallible>;

impl<H, F> Service<Request<Incoming>> for Call<H>
where
    H: Fn(Request<Incoming>, Peer) -> F,
    F: Future<Output = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = futures_util::future::Map<F, Infallibly>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        (self.handler)(request, self.peer.clone()).map(Ok as Infallibly)
    }
}

/// HTTP/2 streams of one connection.
const STREAMS_PER_CONNECTION: u32 = 256;
/// How often the certificate of an open connection is looked at again, which may have expired since.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How often a silent HTTP/2 peer is asked whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// hyper accepts no smaller read buffer.
const SMALLEST_BUFFER: usize = 8192;
