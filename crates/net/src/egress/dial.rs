//! Resolve once, judge every address, dial a judged one.

use super::address::{Rule, Scope};
use super::resolve::{Resolve, System};
use http::Uri;
use http::uri::Scheme;
use model::ErrorKind;
use rustls::pki_types::ServerName;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A URL that is no destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// Neither `http` nor `https`.
    #[error("the scheme is neither http nor https")]
    Scheme,
    /// No host, or one that is no name and no address.
    #[error("the host is missing or malformed")]
    Host,
    /// `user:password@host`.
    #[error("the URL carries user information")]
    UserInfo,
    /// A literal address that the rule does not allow.
    #[error("{0} is not an address this destination may have")]
    Forbidden(IpAddr),
}

/// A connection could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name does not resolve.
    #[error("cannot resolve the name")]
    Resolve(#[source] std::io::Error),
    /// The name resolves to nothing.
    #[error("the name has no address")]
    NoAddress,
    /// The name resolves, among others, to an address that the rule does not allow.
    #[error("{0} is not an address this destination may have")]
    Forbidden(IpAddr),
    /// `http` to a public address: what is sent there could be read on the way.
    #[error("plain http is for loopback and private addresses only, not for {0}")]
    Plain(IpAddr),
    /// Nobody answered at any of the addresses.
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    /// The TLS handshake failed.
    #[error("the TLS handshake failed")]
    Tls(#[source] std::io::Error),
    /// It took too long.
    #[error("connecting took longer than {0:?}")]
    TimedOut(Duration),
    /// The other side closed a fresh connection before the request was written.
    #[error("the connection was closed at once")]
    Closed,
}

impl DialError {
    /// What the failure means.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TimedOut(_) => ErrorKind::TimedOut,
            Self::Forbidden(_) | Self::Plain(_) => ErrorKind::Denied,
            Self::Resolve(_) | Self::NoAddress | Self::Connect(_) | Self::Tls(_) | Self::Closed => {
                ErrorKind::Upstream
            }
        }
    }
}

/// An origin and its rule.
pub(super) struct Target {
    host: Box<str>,
    port: u16,
    /// The name that the certificate must carry; `None` for plain http.
    server_name: Option<ServerName<'static>>,
    default_port: bool,
    rule: Rule,
}

impl Target {
    pub(super) fn of(url: &Uri, rule: Rule) -> Result<Self, DestinationError> {
        let tls = match url.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(DestinationError::Scheme),
        };
        let authority = url.authority().ok_or(DestinationError::Host)?;
        if authority.as_str().contains('@') {
            return Err(DestinationError::UserInfo);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let usual = if tls { 443 } else { 80 };
        let port = authority.port_u16().unwrap_or(usual);
        let server_name = ServerName::try_from(host.clone()).map_err(|_| DestinationError::Host)?;
        if let Ok(literal) = host.parse::<IpAddr>()
            && !rule.allows(Scope::of(literal))
        {
            return Err(DestinationError::Forbidden(literal));
        }
        Ok(Self {
            host: host.into(),
            port,
            server_name: tls.then_some(server_name),
            default_port: port == usual,
            rule,
        })
    }

    /// `host` or `host:port`, as in a `Host` header.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_string() };
        if self.default_port { host } else { format!("{host}:{}", self.port) }
    }

    pub(super) fn rule(&self) -> Rule {
        self.rule
    }

    pub(super) fn origin(&self) -> String {
        let scheme = if self.server_name.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }
}

/// Makes connections.
pub(super) struct Dialer {
    tls: TlsConnector,
    timeout: Duration,
    resolver: Arc<dyn Resolve>,
}

impl Dialer {
    pub(super) fn new(tls: TlsConnector, timeout: Duration) -> Self {
        Self { tls, timeout, resolver: Arc::new(System) }
    }

    pub(super) fn resolving_by(&self, resolver: Arc<dyn Resolve>) -> Self {
        Self { tls: self.tls.clone(), timeout: self.timeout, resolver }
    }

    pub(super) async fn dial(&self, target: &Target) -> Result<Stream, DialError> {
        tokio::time::timeout(self.timeout, self.attempt(target))
            .await
            .unwrap_or(Err(DialError::TimedOut(self.timeout)))
    }

    async fn attempt(&self, target: &Target) -> Result<Stream, DialError> {
        let found = self.resolver.resolve(&target.host, target.port).await;
        let addresses = found.map_err(DialError::Resolve)?;
        if addresses.is_empty() {
            return Err(DialError::NoAddress);
        }
        for address in &addresses {
            judge(address.ip(), target)?;
        }
        let tcp = self.connect(&addresses).await?;
        // Small requests go out at once.
        tcp.set_nodelay(true).map_err(DialError::Connect)?;
        match &target.server_name {
            None => Ok(Stream::Plain(tcp)),
            Some(name) => {
                let tls = self.tls.connect(name.clone(), tcp).await.map_err(DialError::Tls)?;
                Ok(Stream::Tls(Box::new(tls)))
            }
        }
    }

    /// The first address that answers; each but the last has its share of the time.
    async fn connect(&self, addresses: &[SocketAddr]) -> Result<TcpStream, DialError> {
        let share = self.timeout / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        let mut last = DialError::NoAddress;
        for address in addresses {
            #[allow(clippy::disallowed_methods, reason = "this is the door out; the address has been judged")]
            let attempt = tokio::time::timeout(share, TcpStream::connect(address));
            match attempt.await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = DialError::Connect(error),
                Err(_) => last = DialError::TimedOut(share),
            }
        }
        Err(last)
    }
}

/// SECURITY: every address is judged, so that a name cannot hide a private address among public ones
/// (test: `a_name_that_turns_private_is_refused`).
fn judge(address: IpAddr, target: &Target) -> Result<(), DialError> {
    let scope = Scope::of(address);
    if !target.rule.allows(scope) {
        return Err(DialError::Forbidden(address));
    }
    if target.server_name.is_none() && scope == Scope::Public {
        return Err(DialError::Plain(address));
    }
    Ok(())
}

/// A connected stream.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Plain($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
            Stream::Tls($stream) => {
                let $stream = Pin::new($stream.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        either!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<std::io::Result<usize>> {
        either!(self, stream => stream.poll_write(cx, data))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(cx, data))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
