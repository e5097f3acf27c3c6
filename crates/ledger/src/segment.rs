//! The bytes of a segment: a header of [`HEADER_BYTES`], then frames, each a leaf.
//!
//! ```text
//! header  magic[8]  node[16]  first sequence u64  created i64 (ms)  zero[20]  crc32 u32 of the 60 bytes before
//! frame   length u32   crc32 u32 of length and payload   payload[length] = {"seq":N,…}
//! ```
//! Integers are little-endian. A payload is JSON and holds no NUL, which every length does, so no frame can hide in
//! another: after damage the next frame is found again, and that tells damage in the middle from a torn end.

use crate::LEAF_BYTES;
use memchr::memmem;
use model::Timestamp;
use std::fmt;

/// The writer's name: random, chosen when the record begins.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(pub [u8; 16]);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// How a segment begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Who writes.
    pub node: NodeId,
    /// The sequence number of the first frame.
    pub first: u64,
    /// When the segment was begun.
    pub created: Timestamp,
}

/// The bytes do not begin with a segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no segment header: {0}")]
pub struct HeaderError(&'static str);

impl Header {
    /// The header's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.node.0);
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.created.0.to_le_bytes());
        out.resize(HEADER_BYTES - 4, 0);
        let check = crc32fast::hash(&out);
        out.extend_from_slice(&check.to_le_bytes());
        out
    }

    /// Reads the header at the start of a segment.
    pub fn parse(segment: &[u8]) -> Result<Self, HeaderError> {
        let header = segment.get(..HEADER_BYTES).ok_or(HeaderError("too short"))?;
        let (body, check) = header.split_at_checked(HEADER_BYTES - 4).ok_or(HeaderError("too short"))?;
        if !body.starts_with(&MAGIC) {
            return Err(HeaderError("not a segment of this version"));
        }
        if crc32fast::hash(body).to_le_bytes() != check {
            return Err(HeaderError("its checksum does not match"));
        }
        let field = |at: usize| body.get(at..at + 8).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
        let node = body.get(8..24).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        let (Some(node), Some(first), Some(created)) = (node, field(24), field(32)) else {
            return Err(HeaderError("too short"));
        };
        let created = Timestamp(i64::from_le_bytes(created));
        Ok(Self { node: NodeId(node), first: u64::from_le_bytes(first), created })
    }
}

/// Frames `encoded` (from [`encode`](crate::encode())) as number `sequence` and appends it to `out`.
pub fn push(out: &mut Vec<u8>, sequence: u64, encoded: &[u8]) {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(sequence).as_bytes();
    let length = SEQUENCE.len() + digits.len() + encoded.len();
    // A leaf is at most `LEAF_BYTES`, which the encoder keeps; a longer one would be refused by every reader.
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let mut check = crc32fast::Hasher::new();
    for part in [&length, SEQUENCE, digits, encoded] {
        check.update(part);
    }
    out.reserve(FRAME_BYTES + SEQUENCE.len() + digits.len() + encoded.len());
    out.extend_from_slice(&length);
    out.extend_from_slice(&check.finalize().to_le_bytes());
    for part in [SEQUENCE, digits, encoded] {
        out.extend_from_slice(part);
    }
}

/// One leaf in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its sequence number.
    pub sequence: u64,
    /// Where its frame begins, in bytes from the start of the segment.
    pub offset: usize,
    /// The leaf, for [`decode`](crate::decode()).
    pub payload: &'a [u8],
}

/// Where a segment is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Nothing readable follows `offset`: a write that was cut off, or whose tail is lost.
    #[error("torn at byte {offset}: {bytes} bytes without a whole leaf")]
    Torn {
        /// Where the last whole frame ends.
        offset: usize,
        /// How many bytes follow.
        bytes: usize,
    },
    /// Whole leaves follow, so bytes were changed or lost in the middle.
    #[error("damaged at byte {offset}: after leaf {last} comes leaf {next} at byte {resumes}")]
    Damaged {
        /// Where the last whole frame before the damage ends.
        offset: usize,
        /// The last sequence number before the damage.
        last: u64,
        /// The next sequence number after it.
        next: u64,
        /// Where the next whole frame begins.
        resumes: usize,
    },
}

/// Reads the frames of a segment in order, and says where it is torn or damaged. After damage it goes on with
/// the next whole frame; after a torn end it stops. Memory: none of its own.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    segment: &'a [u8],
    offset: usize,
    expected: u64,
}

impl<'a> Frames<'a> {
    /// The frames after `header` in `segment`, which still has its header.
    pub fn new(segment: &'a [u8], header: &Header) -> Self {
        Self { segment, offset: HEADER_BYTES, expected: header.first }
    }

    /// Goes on in the same segment, grown meanwhile, from the end of a frame: its offset and the sequence
    /// number that comes next.
    pub fn resume(segment: &'a [u8], offset: usize, expected: u64) -> Self {
        Self { segment, offset, expected }
    }

    /// Where the last frame read ends.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The sequence number that comes next.
    pub fn expected(&self) -> u64 {
        self.expected
    }

    fn after_damage(&self) -> Option<Frame<'a>> {
        let from = self.offset.saturating_add(FRAME_BYTES);
        let rest = self.segment.get(from..)?;
        memmem::find_iter(rest, SEQUENCE)
            .filter_map(|at| frame_at(self.segment, self.offset + at))
            .find(|frame| frame.sequence >= self.expected)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, Flaw>;

    fn next(&mut self) -> Option<Self::Item> {
        let left = self.segment.len().saturating_sub(self.offset);
        if left == 0 {
            return None;
        }
        if let Some(frame) = frame_at(self.segment, self.offset)
            && frame.sequence == self.expected
        {
            self.offset += FRAME_BYTES + frame.payload.len();
            self.expected = self.expected.saturating_add(1);
            return Some(Ok(frame));
        }
        let (offset, last) = (self.offset, self.expected.saturating_sub(1));
        match self.after_damage() {
            Some(frame) => {
                (self.offset, self.expected) = (frame.offset, frame.sequence);
                Some(Err(Flaw::Damaged { offset, last, next: frame.sequence, resumes: frame.offset }))
            }
            None => {
                self.offset = self.segment.len();
                Some(Err(Flaw::Torn { offset, bytes: left }))
            }
        }
    }
}

/// The whole frame at `offset`, if there is one.
fn frame_at(segment: &[u8], offset: usize) -> Option<Frame<'_>> {
    let (head, rest) = segment.get(offset..)?.split_at_checked(FRAME_BYTES)?;
    let (length, check) = head.split_first_chunk::<4>()?;
    let bytes = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if bytes > LEAF_BYTES {
        return None;
    }
    let payload = rest.get(..bytes)?;
    let sequence = sequence_of(payload)?;
    let mut expected = crc32fast::Hasher::new();
    expected.update(length);
    expected.update(payload);
    (expected.finalize().to_le_bytes() == check).then_some(Frame { sequence, offset, payload })
}

fn sequence_of(payload: &[u8]) -> Option<u64> {
    let rest = payload.strip_prefix(SEQUENCE)?;
    let digits = rest.split(|byte| *byte == b',').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The size of a header.
pub const HEADER_BYTES: usize = 64;
/// The bytes of a frame before its payload.
pub const FRAME_BYTES: usize = 8;
const MAGIC: [u8; 8] = *b"PTNREC\x00\x01";
const SEQUENCE: &[u8] = b"{\"seq\":";

#[cfg(test)]
mod tests;
