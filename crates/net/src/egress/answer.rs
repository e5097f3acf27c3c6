//! The body of an answer, which carries its connection.

use super::live::Live;
use super::pool::Pool;
use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The body of an answer. Read to its end, it gives its connection back; dropped before, it closes it, and
/// the other side sees the call cancelled.
pub struct Answer {
    incoming: Incoming,
    live: Option<Live>,
    pool: Arc<Pool>,
}

/// Lends a connection to the answer it carries.
pub(super) fn lend(
    (response, live): (Response<Incoming>, Option<Live>),
    pool: &Arc<Pool>,
) -> Response<Answer> {
    response.map(|incoming| {
        let mut answer = Answer { incoming, live, pool: Arc::clone(pool) };
        answer.park_at_end();
        answer
    })
}

impl Answer {
    fn park_at_end(&mut self) {
        if self.incoming.is_end_stream() {
            self.park();
        }
    }

    fn park(&mut self) {
        if let Some(live) = self.live.take() {
            self.pool.park(live);
        }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        // Frames are made by driving the connection here, so there is nobody else to be woken by.
        let mut unwoken = Context::from_waker(Waker::noop());
        let mut frame = Pin::new(&mut this.incoming).poll_frame(&mut unwoken);
        if frame.is_pending() {
            // Asked for (above), driven (here), and taken (below).
            if this.live.as_mut().is_none_or(|live| live.poll(cx).is_ready()) {
                this.live = None;
            }
            frame = Pin::new(&mut this.incoming).poll_frame(&mut unwoken);
        }
        match &frame {
            Poll::Ready(None) => this.park(),
            Poll::Ready(Some(Ok(_))) => this.park_at_end(),
            Poll::Ready(Some(Err(_))) => this.live = None,
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
