//! Following the record as it grows.

use super::{Damage, QueryError, Stored};
use crate::disk;
use ledger::segment::{Flaw, Frames, HEADER_BYTES, Header};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// A place in the record, from which each look goes on.
#[derive(Debug)]
pub struct Tail {
    dir: PathBuf,
    place: Option<Place>,
}

#[derive(Debug)]
struct Place {
    /// The first sequence number of the segment.
    first: u64,
    /// Its header, once it was there: a segment may be replaced while nothing in it counts.
    header: Option<Header>,
    /// How far it was read, in bytes and in leaves.
    offset: u64,
    expected: u64,
}

impl Place {
    fn at(first: u64) -> Self {
        Self { first, header: None, offset: HEADER_BYTES as u64, expected: first }
    }
}

/// What a look brought.
#[derive(Debug, Default)]
pub struct News {
    /// Leaves, oldest first, as they stand: intents and outcomes are not joined.
    pub leaves: Vec<Stored>,
    /// What could not be read in between.
    pub damage: Vec<Damage>,
}

impl Tail {
    /// From the first leaf of the newest segment: the first look brings that segment up to now.
    pub fn of(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), place: None }
    }

    /// What has been written since the last look. Never waits; the caller pauses between looks.
    pub fn look(&mut self) -> Result<News, QueryError> {
        let mut news = News::default();
        let segments =
            disk::segments(&self.dir).map_err(|source| QueryError { path: self.dir.clone(), source })?;
        let from = self.place.as_ref().map(|place| place.first).or(segments.last().map(|(first, _)| *first));
        let mut ahead = segments.into_iter().skip_while(|(first, _)| Some(*first) < from).peekable();
        while let Some((first, path)) = ahead.next() {
            let successor = ahead.peek().map(|(first, _)| *first);
            let place = match self.place.take() {
                Some(place) if place.first == first => place,
                _ => Place::at(first),
            };
            let place = read(place, &path, successor, &mut news)
                .map_err(|source| QueryError { path: path.clone(), source })?;
            // A segment is whole before its successor begins, and the successor was there before it was read.
            if let Some(next) = successor.filter(|next| *next > place.expected) {
                let text = format!("lacks leaves {} to {}", place.expected, next - 1);
                news.damage.push(Damage { segment: path, text });
            }
            self.place = Some(place);
        }
        Ok(news)
    }
}

/// Reads on in one segment, up to where its successor begins.
fn read(mut place: Place, path: &Path, successor: Option<u64>, news: &mut News) -> io::Result<Place> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    file.by_ref().take(HEADER_BYTES as u64).read_to_end(&mut bytes)?;
    let header = Header::parse(&bytes).ok();
    if place.header.is_some() && place.header != header {
        place = Place::at(place.first);
    }
    place.header = header;
    bytes.clear();
    file.seek(SeekFrom::Start(place.offset))?;
    file.read_to_end(&mut bytes)?;
    let mut frames = Frames::resume(&bytes, 0, place.expected);
    let mut end = 0;
    while let Some(next) = frames.next() {
        match next {
            Ok(frame) if successor.is_some_and(|successor| frame.sequence >= successor) => break,
            Ok(frame) => {
                news.leaves.push(Stored(frame.payload.into()));
                (end, place.expected) = (frames.offset(), frames.expected());
            }
            Err(flaw @ Flaw::Damaged { .. }) => {
                news.damage.push(Damage { segment: path.to_owned(), text: format!("is {flaw}") });
            }
            // Under way; the next look reads it again.
            Err(Flaw::Torn { .. }) => {}
        }
    }
    place.offset = place.offset.saturating_add(u64::try_from(end).unwrap_or(0));
    Ok(place)
}
