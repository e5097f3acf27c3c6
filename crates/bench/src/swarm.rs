//! Many MCP servers of both eras in one process, quick enough to stay out of the measurement, and an issuer.
//!
//! `/s/<n>/mcp` is server `n`. Every tool echoes its `query`; a `query` that begins with `hang` is never answered.
//! `/tokens?audience=<resource>&count=<n>` hands out access tokens, one per line.

mod answer;

use crate::issuer::Issuer;
use anyhow::Context as _;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioIo, TokioTimer};
use model::Clock;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use tokio::net::TcpListener;

use answer::Answer;

/// How many servers there are and how many tools each has.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Servers, reached as `/s/0/mcp` to `/s/<servers - 1>/mcp`.
    pub servers: u32,
    /// Tools of each, named `tool_00` onwards.
    pub tools: u32,
}

/// Serves until the process ends.
///
/// # Errors
/// When `address` cannot be listened on, or no key can be made.
pub async fn serve(address: SocketAddr, size: Size, clock: Arc<dyn Clock>) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("failed to listen on {address}"))?;
    let issuer = Issuer::new(format!("http://{}", listener.local_addr()?))?;
    let swarm = Arc::new(Swarm { size, issuer, tools: answer::tool_list(size.tools), clock });
    loop {
        let (stream, _) = listener.accept().await?;
        // Without this a small answer waits for the acknowledgement of the one before it.
        stream.set_nodelay(true)?;
        let swarm = Arc::clone(&swarm);
        let service = hyper::service::service_fn(move |request| {
            let swarm = Arc::clone(&swarm);
            async move { Ok::<_, Infallible>(swarm.respond(request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(stream), service);
        // A client that goes away is not worth a word here.
        tokio::spawn(async move { connection.await.unwrap_or_default() });
    }
}

struct Swarm {
    size: Size,
    issuer: Issuer,
    tools: Bytes,
    clock: Arc<dyn Clock>,
}

impl Swarm {
    async fn respond(&self, request: Request<Incoming>) -> Response<Reply> {
        let path = request.uri().path();
        let server = path
            .strip_prefix("/s/")
            .and_then(|rest| rest.strip_suffix("/mcp"))
            .and_then(|number| number.parse::<u32>().ok());
        match (server, request.method(), path) {
            (Some(server), _, _) if server >= self.size.servers => plain(StatusCode::NOT_FOUND, ""),
            (Some(_), &Method::POST, _) => self.call(request).await,
            // The session era's stream for what a server says unasked: ours say nothing.
            (Some(_), &Method::GET, _) => stream(Bytes::from_static(b": open\n\n")),
            (Some(_), &Method::DELETE, _) => plain(StatusCode::OK, ""),
            (None, _, "/.well-known/openid-configuration") => json(self.issuer.discovery().into()),
            (None, _, "/jwks") => json(self.issuer.jwks().into()),
            (None, _, "/tokens") => self.tokens(request.uri().query().unwrap_or_default()),
            _ => plain(StatusCode::NOT_FOUND, ""),
        }
    }

    async fn call(&self, request: Request<Incoming>) -> Response<Reply> {
        let Ok(body) = Limited::new(request.into_body(), 1 << 20).collect().await else {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, "");
        };
        match answer::to(&body.to_bytes(), &self.tools) {
            Answer::Json(body) => json(body),
            Answer::Session(body) => {
                let mut response = json(body);
                response.headers_mut().insert("mcp-session-id", header::HeaderValue::from_static("swarm"));
                response
            }
            Answer::Stream(first) => stream(first),
            Answer::Accepted => plain(StatusCode::ACCEPTED, ""),
            Answer::Unknown(body) => with_type(StatusCode::NOT_FOUND, "application/json", Reply::whole(body)),
            Answer::Malformed => plain(StatusCode::BAD_REQUEST, ""),
            Answer::Never => std::future::pending().await,
        }
    }

    fn tokens(&self, query: &str) -> Response<Reply> {
        let value = |name: &str| {
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
        };
        let (audience, count) = (value("audience"), value("count").parse().unwrap_or(1));
        let now = self.clock.now();
        let tokens: anyhow::Result<Vec<String>> =
            (0..count).map(|serial| self.issuer.token(audience, serial, now)).collect();
        match tokens {
            Ok(tokens) => with_type(StatusCode::OK, "text/plain", Reply::whole(tokens.join("\n").into())),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, ""),
        }
    }
}

fn json(body: Bytes) -> Response<Reply> {
    with_type(StatusCode::OK, "application/json", Reply::whole(body))
}

fn stream(first: Bytes) -> Response<Reply> {
    with_type(StatusCode::OK, "text/event-stream", Reply { next: Some(first), held: true, waker: None })
}

fn plain(status: StatusCode, body: &'static str) -> Response<Reply> {
    with_type(status, "text/plain", Reply::whole(Bytes::from_static(body.as_bytes())))
}

fn with_type(status: StatusCode, content_type: &'static str, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

/// A body of one piece, after which it ends, or is `held` open for as long as the client stays.
struct Reply {
    next: Option<Bytes>,
    held: bool,
    waker: Option<Waker>,
}

impl Reply {
    const fn whole(body: Bytes) -> Self {
        Self { next: Some(body), held: false, waker: None }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.next.take() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None if self.held => {
                self.waker = Some(context.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_none() && !self.held
    }

    fn size_hint(&self) -> SizeHint {
        if self.held {
            return SizeHint::new();
        }
        SizeHint::with_exact(self.next.as_ref().map_or(0, |piece| piece.len() as u64))
    }
}
