//! One HTTP/1.1 connection, driven by whoever waits on it.
//!
//! There is no task behind a connection: a request costs no hand-over between tasks, a dropped request
//! closes its socket at once, and an unread answer is not read ahead.

use super::dial::Stream;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A connection and the hand that feeds it.
pub(super) struct Live {
    sender: http1::SendRequest<Full<Bytes>>,
    connection: Pin<Box<http1::Connection<TokioIo<Stream>, Full<Bytes>>>>,
}

/// Why no answer came.
pub(super) enum SendFailure {
    /// The connection had ended; here is the request, untouched.
    NotSent(Box<Request<Full<Bytes>>>),
    /// It ended later.
    Unknown(hyper::Error),
}

impl Live {
    pub(super) async fn open(stream: Stream) -> Result<Self, hyper::Error> {
        let (sender, connection) =
            http1::Builder::new().max_header_size(HEAD_BYTES).handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, connection: Box::pin(connection) })
    }

    /// Sends a request and waits for the head of the answer. Without a connection, the answer was its last
    /// act and is whole.
    pub(super) async fn exchange(
        mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Option<Self>), SendFailure> {
        let mut reply = std::pin::pin!(self.sender.try_send_request(request));
        let mut connection = Some(self.connection);
        let reply = std::future::poll_fn(|cx| {
            let ended = connection.as_mut().is_none_or(|connection| connection.as_mut().poll(cx).is_ready());
            // The reply is made by the poll above, so there is nobody else to be woken by.
            let mut unwoken = Context::from_waker(Waker::noop());
            let polled = reply.as_mut().poll(&mut unwoken);
            if !ended {
                return polled;
            }
            // Dropping the connection hands back a request that it never took.
            connection = None;
            if polled.is_ready() { polled } else { reply.as_mut().poll(&mut unwoken) }
        })
        .await;
        match reply {
            Ok(response) => {
                Ok((response, connection.map(|connection| Self { sender: self.sender, connection })))
            }
            Err(mut error) => Err(match error.take_message() {
                Some(request) => SendFailure::NotSent(Box::new(request)),
                None => SendFailure::Unknown(error.into_error()),
            }),
        }
    }

    /// Moves bytes. Ready when the connection has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.connection.as_mut().poll(cx).map(|_| ())
    }

    /// Whether the connection is open, has nothing under way and takes another request. Leaves no waker
    /// behind, so that nobody is woken for a connection in the pool.
    pub(super) fn is_free(&mut self) -> bool {
        self.poll(&mut Context::from_waker(Waker::noop())).is_pending() && self.sender.is_ready()
    }
}

/// The largest head of an answer, in bytes.
const HEAD_BYTES: usize = 64 << 10;
