//! The door out: every address that a caller, a server or a fetched document can influence is reached
//! through here (design §3.9).
//!
//! A destination carries the [`Rule`] of who configured it. Its name is resolved once per connection, every
//! address it resolves to is judged, and the judged address is the one dialled, so a name that changes
//! between the check and the connect gains nothing. Redirects are not followed. A connection is driven by
//! whoever waits on it, not by a task of its own: dropping the request or the answer closes it, which is how
//! a call is cancelled upstream; an answer read to its end gives it back to the pool.

mod address;
mod answer;
mod dial;
mod live;
mod pool;
mod resolve;
mod tls;

pub use address::{Rule, Scope};
pub use answer::Answer;
pub use dial::{DestinationError, DialError};
pub use resolve::Resolve;
pub use tls::RootsError;

use bytes::Bytes;
use dial::{Dialer, Target};
use http::header::{HOST, HeaderValue};
use http::{Request, Response, Uri};
use http_body_util::Full;
use live::{Live, SendFailure};
use model::ErrorKind;
use pool::Pool;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How the gateway reaches out.
#[derive(Clone, Debug)]
pub struct Config {
    /// For resolving, connecting and the TLS handshake together.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept; at least half of it, at most all of it.
    pub idle_timeout: Duration,
    /// Unused connections kept per destination.
    pub idle_connections: usize,
    /// PEM file of further certificate authorities to trust beside Mozilla's.
    pub extra_ca_file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            idle_connections: 128,
            extra_ca_file: None,
        }
    }
}

/// The HTTP client. Cheap to clone. HTTP/1.1 only.
#[derive(Clone)]
pub struct Client {
    dialer: Arc<Dialer>,
    idle_timeout: Duration,
    idle_connections: usize,
}

/// Where requests may go: an origin, its rule, and its idle connections. Cheap to clone; the clones share
/// the connections. Two destinations never share one.
#[derive(Clone)]
pub struct Destination {
    target: Arc<Target>,
    pool: Arc<Pool>,
    host: HeaderValue,
}

/// A request did not come back with an answer.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// Not a byte of the request left.
    #[error("the request was not sent")]
    NotSent(#[source] DialError),
    /// The request may have reached the other side.
    #[error("the connection failed after the request was sent")]
    Unknown(#[source] hyper::Error),
}

impl EgressError {
    /// What the failure means.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotSent(error) => error.kind(),
            Self::Unknown(_) => ErrorKind::Upstream,
        }
    }

    /// What an operator reads: the failure and its causes, one line.
    pub fn detail(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    /// Not a byte of the request left, so that it may be sent again.
    pub fn is_not_sent(&self) -> bool {
        matches!(self, Self::NotSent(_))
    }
}

impl Client {
    /// A client; reads the extra authorities.
    ///
    /// # Errors
    /// [`RootsError`] when the extra CA file cannot be used.
    pub fn new(config: &Config) -> Result<Self, RootsError> {
        let tls = tls::connector(config.extra_ca_file.as_deref())?;
        Ok(Self {
            dialer: Arc::new(Dialer::new(tls, config.connect_timeout)),
            idle_timeout: config.idle_timeout,
            idle_connections: config.idle_connections,
        })
    }

    /// The same client, for which names have the addresses that `resolver` says.
    #[must_use]
    pub fn resolving_by(&self, resolver: Arc<dyn Resolve>) -> Self {
        Self { dialer: Arc::new(self.dialer.resolving_by(resolver)), ..self.clone() }
    }

    /// The destination of a URL, under a rule. Its path is not part of it. Nothing is resolved yet.
    ///
    /// # Errors
    /// [`DestinationError`] when the URL is not an absolute `http` or `https` one, carries user
    /// information, or names an address its rule never allows.
    pub fn destination(&self, url: &Uri, rule: Rule) -> Result<Destination, DestinationError> {
        let target = Target::of(url, rule)?;
        let host = HeaderValue::try_from(target.authority()).map_err(|_| DestinationError::Host)?;
        let pool = Pool::new(self.idle_connections, self.idle_timeout);
        Ok(Destination { target: Arc::new(target), pool, host })
    }

    /// Sends one request and waits for the head of its answer. `Host` is set here; of the URI only path
    /// and query are used. There is no deadline but that of connecting: the caller has its own.
    ///
    /// Cancel safety: dropping the future closes the connection; the request may have been sent.
    ///
    /// # Errors
    /// [`EgressError`]. A request met by a pooled connection that had gone stale is sent once more on
    /// another one, only if not a byte of it had left.
    pub async fn send(
        &self,
        destination: &Destination,
        request: Request<Bytes>,
    ) -> Result<Response<Answer>, EgressError> {
        let (mut head, body) = request.into_parts();
        head.headers.insert(HOST, destination.host.clone());
        head.uri = origin_form(&head.uri);
        head.version = http::Version::HTTP_11;
        let mut request = Request::from_parts(head, Full::new(body));
        while let Some(live) = destination.pool.take() {
            match live.exchange(request).await {
                Ok(reply) => return Ok(answer::lend(reply, &destination.pool)),
                Err(SendFailure::NotSent(returned)) => request = *returned,
                Err(SendFailure::Unknown(error)) => return Err(EgressError::Unknown(error)),
            }
        }
        let stream = self.dialer.dial(&destination.target).await.map_err(EgressError::NotSent)?;
        let live = Live::open(stream).await.map_err(EgressError::Unknown)?;
        match live.exchange(request).await {
            Ok(reply) => Ok(answer::lend(reply, &destination.pool)),
            Err(SendFailure::NotSent(_)) => Err(EgressError::NotSent(DialError::Closed)),
            Err(SendFailure::Unknown(error)) => Err(EgressError::Unknown(error)),
        }
    }
}

impl Destination {
    /// The origin, for logs: scheme, host and port.
    pub fn origin(&self) -> String {
        self.target.origin()
    }

    /// Whether a URL is of the same origin: scheme, host and port.
    pub fn is_origin_of(&self, url: &Uri) -> bool {
        Target::of(url, self.target.rule()).is_ok_and(|target| target.origin() == self.target.origin())
    }

    /// Closes the idle connections, for instance when the destination leaves the configuration.
    pub fn close_idle(&self) {
        self.pool.clear();
    }
}

fn origin_form(uri: &Uri) -> Uri {
    if uri.authority().is_none() {
        return uri.clone();
    }
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = uri.path_and_query().cloned();
    Uri::from_parts(parts).unwrap_or_default()
}

#[cfg(test)]
mod tests;
