//! Bodies that come in one piece, in many, or never.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// A response's body.
pub(super) enum Outgoing {
    /// All at once.
    Whole(Option<Bytes>),
    /// Piece by piece; an error breaks the connection.
    Pieces(mpsc::Receiver<io::Result<Bytes>>),
    /// The same piece this many times more.
    Again(Bytes, usize),
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Whole(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Self::Pieces(pieces) => {
                pieces.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
            Self::Again(_, 0) => Poll::Ready(None),
            Self::Again(piece, times) => {
                *times -= 1;
                Poll::Ready(Some(Ok(Frame::data(piece.clone()))))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Self::Pieces(_) | Self::Again(..) => SizeHint::new(),
        }
    }
}
