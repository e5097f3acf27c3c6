//! What a start finds: where the record ends, and a torn end cut off.

use crate::disk;
use ledger::segment::{Flaw, Frames, Header, NodeId};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// The record cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another writer holds it.
    #[error("another process writes the record in {0}")]
    Locked(PathBuf),
    /// The last segment is damaged before its end: bytes were changed, not just lost. The record is left as it
    /// is; restore the segment from a copy, or start a new record in another directory.
    #[error("the record is damaged: {path} {flaw}")]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where, and how.
        flaw: String,
    },
    /// The directory or a segment cannot be read, made or written.
    #[error("cannot open the record in {dir}: {source}")]
    Io {
        /// The directory of the record.
        dir: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Where the record ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct End {
    /// Who wrote it; `None` for a new record.
    pub(crate) node: Option<NodeId>,
    /// The last sequence number; 0 for a new record.
    pub(crate) last: u64,
    /// Bytes of a torn write that were cut off.
    pub(crate) cut_bytes: u64,
}

/// Finds the end of the record in `dir` and cuts off a torn one. Only the last segment is read: each earlier one
/// was complete before its successor began. Durability: the cut is synced.
pub(crate) fn recover(dir: &Path) -> Result<End, OpenError> {
    let at_dir = |source| OpenError::Io { dir: dir.to_owned(), source };
    let mut cut_bytes = 0;
    for (first, path) in disk::segments(dir).map_err(at_dir)?.into_iter().rev() {
        let bytes = fs::read(&path).map_err(at_dir)?;
        let Ok(header) = Header::parse(&bytes) else {
            // A header is synced with the first leaf, so without any leaf this one was just begun.
            let mut frames = Frames::resume(&bytes, 0, first);
            if let Some(Ok(_) | Err(Flaw::Damaged { .. })) = frames.next() {
                return Err(OpenError::Damaged { path, flaw: "has lost its header".to_owned() });
            }
            fs::remove_file(&path).map_err(at_dir)?;
            cut_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            continue;
        };
        if header.first != first {
            return Err(OpenError::Damaged { path, flaw: format!("begins with leaf {}", header.first) });
        }
        let mut frames = Frames::new(&bytes, &header);
        match frames.find_map(Result::err) {
            None => {}
            Some(Flaw::Torn { offset, bytes }) => {
                let cut = || {
                    let file = OpenOptions::new().write(true).open(&path)?;
                    file.set_len(u64::try_from(offset).map_err(io::Error::other)?)?;
                    file.sync_all()
                };
                cut().map_err(at_dir)?;
                cut_bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
            }
            Some(flaw @ Flaw::Damaged { .. }) => {
                return Err(OpenError::Damaged { path, flaw: format!("is {flaw}") });
            }
        }
        let last = frames.expected().saturating_sub(1);
        return Ok(End { node: Some(header.node), last, cut_bytes });
    }
    Ok(End { cut_bytes, ..End::default() })
}
