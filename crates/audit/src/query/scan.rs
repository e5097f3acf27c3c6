//! The segments of a record, newest first.

use crate::disk;
use ledger::DecodeError;
use ledger::segment::{Flaw, Frame, Frames, Header};
use model::Timestamp;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The record cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the record at {path}: {source}")]
pub struct QueryError {
    /// The directory or segment.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// A part of the record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub segment: PathBuf,
    /// What is wrong, for a person.
    pub text: String,
}

pub(super) struct Scan {
    /// Oldest first.
    segments: Vec<(u64, PathBuf)>,
    /// Where the next newer segment begins: this one ends there, whatever else was left in it.
    successor: Option<(u64, Option<Timestamp>)>,
    writer_alive: bool,
}

/// One segment, read.
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// When the next newer one was begun.
    pub(super) ended: Option<Timestamp>,
    bytes: Vec<u8>,
    first: u64,
    end: Option<u64>,
    writer_alive: bool,
}

impl Scan {
    pub(super) fn of(dir: &Path) -> Result<Self, QueryError> {
        // Asked first: what a living writer adds after the listing is not missed, just not seen yet.
        let writer_alive = disk::is_locked(dir);
        let segments = disk::segments(dir).map_err(|source| QueryError { path: dir.to_owned(), source })?;
        Ok(Self { segments, successor: None, writer_alive })
    }

    /// The next older segment.
    pub(super) fn older(&mut self) -> Result<Option<Segment>, QueryError> {
        let Some((first, path)) = self.segments.pop() else { return Ok(None) };
        let bytes = match fs::read(&path) {
            // A segment that was replaced after the listing, since nothing in it counted.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(|source| QueryError { path: path.clone(), source })?,
        };
        let created = Header::parse(&bytes).ok().map(|header| header.created);
        let newer = self.successor.replace((first, created));
        Ok(Some(Segment {
            path,
            ended: newer.and_then(|(_, created)| created),
            bytes,
            first,
            end: newer.map(|(first, _)| first),
            writer_alive: self.writer_alive,
        }))
    }
}

impl Segment {
    /// The whole leaves, oldest first, and what is wrong besides.
    pub(super) fn frames(&self) -> (Vec<Frame<'_>>, Vec<Damage>) {
        let (mut frames, mut damage) = (Vec::new(), Vec::new());
        if Header::parse(&self.bytes).is_err() {
            // Just begun by a living writer, or cut off while it was.
            if self.bytes.len() >= ledger::segment::HEADER_BYTES {
                damage.push(self.damage("has lost its header".to_owned()));
            }
        }
        let begin = self.bytes.len().min(ledger::segment::HEADER_BYTES);
        let mut reader = Frames::resume(&self.bytes, begin, self.first);
        for read in reader.by_ref() {
            match read {
                Ok(frame) if self.end.is_some_and(|end| frame.sequence >= end) => break,
                Ok(frame) => frames.push(frame),
                Err(flaw @ Flaw::Damaged { last, .. }) => {
                    if self.end.is_none_or(|end| last + 1 < end) {
                        damage.push(self.damage(format!("is {flaw}")));
                    }
                }
                // Before the end of the record it is told by the gap; at its end it may be under way.
                Err(flaw @ Flaw::Torn { .. }) => {
                    if self.end.is_none() && !self.writer_alive {
                        damage.push(self.damage(format!("is {flaw}")));
                    }
                }
            }
        }
        let next = frames.last().map_or(self.first, |frame| frame.sequence + 1);
        if let Some(end) = self.end.filter(|end| *end > next) {
            damage.push(self.damage(format!("lacks leaves {next} to {}", end - 1)));
        }
        (frames, damage)
    }

    pub(super) fn undecodable(&self, sequence: u64, error: &DecodeError) -> Damage {
        self.damage(format!("holds leaf {sequence}, which is {error}"))
    }

    fn damage(&self, text: String) -> Damage {
        Damage { segment: self.path.clone(), text }
    }
}
