//! One concrete body for every reply, and bounded reading for everything received.

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of a reply. Dropped by the connection as soon as its reader is gone, so whatever a stream
/// holds is cancelled by the disconnect.
pub struct Body(Kind);

enum Kind {
    Full(Bytes),
    Stream(Pin<Box<dyn Stream<Item = Result<Bytes, Abort>> + Send>>),
}

/// Ends a streamed body without a proper end, so that its reader sees it as broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream was broken off")]
pub struct Abort;

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Self(Kind::Full(Bytes::new()))
    }

    /// All bytes at once; sent with a `Content-Length`.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Full(bytes.into()))
    }

    /// Chunks as they come; each is flushed as soon as the stream waits.
    pub fn stream(chunks: impl Stream<Item = Result<Bytes, Abort>> + Send + 'static) -> Self {
        Self(Kind::Stream(Box::pin(chunks)))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Abort;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Abort>>> {
        match &mut self.0 {
            Kind::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Stream(chunks) => {
                chunks.as_mut().poll_next(cx).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Kind::Full(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Kind::Stream(_) => SizeHint::default(),
        }
    }
}

/// A body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// It is longer than the bound, as announced or as counted.
    #[error("the body is longer than {0} bytes")]
    TooLong(usize),
    /// The connection broke first.
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
}

/// Reads a body of at most `bound` bytes; a body that came in one piece is not copied. Time is bounded by
/// the caller (`tokio::time::timeout`). Cancel safety: what was read is lost.
///
/// # Errors
/// [`CollectError`]; nothing more is read after it.
pub async fn collect<B>(mut body: B, bound: usize) -> Result<Bytes, CollectError>
where
    B: http_body::Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    if body.size_hint().lower() > u64::try_from(bound).unwrap_or(u64::MAX) {
        return Err(CollectError::TooLong(bound));
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(CollectError::Broken)?.into_data() else { continue };
        if first.len() + rest.len() + data.len() > bound {
            return Err(CollectError::TooLong(bound));
        }
        if first.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.reserve(first.len() + data.len());
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
        if body.is_end_stream() {
            break;
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}
