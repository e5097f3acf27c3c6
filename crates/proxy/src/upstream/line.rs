//! Newline-delimited frames of the stdio transport, within a bound.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Splits a byte stream at newlines.
pub(crate) struct Lines<R> {
    source: R,
    pending: BytesMut,
    /// How much of `pending` holds no newline for sure.
    searched: usize,
    bound: usize,
}

/// Why no further line can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    /// The stream ended.
    #[error("it closed its output")]
    Closed,
    /// A line is over the bound; the rest of the stream cannot be trusted to be in step.
    #[error("it wrote a line of more than {0} bytes")]
    TooLong(usize),
    /// Reading failed.
    #[error("its output could not be read")]
    Io(#[from] std::io::Error),
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of at most `bound` bytes, without their newline.
    pub(crate) fn new(source: R, bound: usize) -> Self {
        Self { source, pending: BytesMut::with_capacity(READ_BYTES), searched: 0, bound }
    }

    /// The next line without its newline. Cancel safe: nothing that was read is lost.
    ///
    /// # Errors
    /// [`LineError`]; the reader is of no use afterwards.
    pub(crate) async fn next(&mut self) -> Result<Bytes, LineError> {
        loop {
            let fresh = self.pending.get(self.searched..).unwrap_or_default();
            if let Some(at) = memchr(fresh) {
                let mut line = self.pending.split_to(self.searched + at + 1);
                self.searched = 0;
                line.truncate(line.len() - 1);
                if line.last() == Some(&b'\r') {
                    line.truncate(line.len() - 1);
                }
                if line.len() > self.bound {
                    return Err(LineError::TooLong(self.bound));
                }
                return Ok(line.freeze());
            }
            self.searched = self.pending.len();
            if self.searched > self.bound {
                return Err(LineError::TooLong(self.bound));
            }
            self.pending.reserve(READ_BYTES);
            if self.source.read_buf(&mut self.pending).await? == 0 {
                return Err(LineError::Closed);
            }
        }
    }
}

fn memchr(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

/// Room made before each read.
const READ_BYTES: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(input: &[u8], bound: usize) -> (Vec<String>, LineError) {
        let mut lines = Lines::new(input, bound);
        let mut seen = Vec::new();
        loop {
            match lines.next().await {
                Ok(line) => seen.push(String::from_utf8(line.to_vec()).unwrap()),
                Err(error) => return (seen, error),
            }
        }
    }

    #[tokio::test]
    async fn splits_at_newlines_and_ends_with_the_stream() {
        let (seen, end) = lines(b"one\r\n\ntwo\nhalf", 10).await;
        assert_eq!(seen, ["one", "", "two"]);
        assert!(matches!(end, LineError::Closed));
    }

    #[tokio::test]
    async fn a_line_over_the_bound_is_refused_without_reading_it_whole() {
        let (seen, end) = lines(&[b"ok\n".as_slice(), &vec![b'x'; 1 << 20]].concat(), 100).await;
        assert_eq!(seen, ["ok"]);
        assert!(matches!(end, LineError::TooLong(100)));
    }
}
