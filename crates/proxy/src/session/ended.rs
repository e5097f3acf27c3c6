//! Sessions that have ended are remembered until they would have expired, in memory and in one private file.
//!
//! The file holds a line per ended session: `<expiry in ms> <64 hex digits>`. It is rewritten whole when it
//! has grown to twice the bound. Losing its last line in a crash lets a deleted session live on until its
//! expiry, so an ending is synced before it is acknowledged.

use model::{Digest, Timestamp};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The ended sessions could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("failed to keep the ended sessions in {path}")]
pub struct EndedError {
    /// The file.
    path: PathBuf,
    /// Why.
    #[source]
    source: std::io::Error,
}

/// The bounded memory of ended sessions.
pub struct Ended {
    path: PathBuf,
    bound: usize,
    expiries: Mutex<HashMap<Digest, Timestamp>>,
    /// Apart from the memory, so that nobody who looks there waits for the disk.
    log: Mutex<Log>,
}

struct Log {
    file: File,
    lines: usize,
}

impl Ended {
    /// Opens or creates the file (mode 0600) and forgets what has expired.
    ///
    /// # Errors
    /// [`EndedError`] when the file cannot be read or written. Lines that cannot be read are dropped.
    pub fn open(path: &Path, bound: usize, now: Timestamp) -> Result<Self, EndedError> {
        let fail = |source| EndedError { path: path.to_owned(), source };
        let mut expiries = HashMap::new();
        if path.exists() {
            for line in BufReader::new(File::open(path).map_err(fail)?).lines() {
                let line = line.map_err(fail)?;
                let parsed = line
                    .split_once(' ')
                    .and_then(|(expiry, id)| Some((Digest::parse(id)?, Timestamp(expiry.parse().ok()?))));
                if let Some((id, expiry)) = parsed
                    && expiry > now
                {
                    expiries.insert(id, expiry);
                }
            }
        }
        // Rewritten to forget what has expired; on a full disk the old file will do.
        let file = write_all(path, &expiries).or_else(|error| appending(path).map_err(|_| error));
        let file = file.map_err(fail)?;
        let log = Log { file, lines: expiries.len() };
        Ok(Self { path: path.to_owned(), bound, expiries: Mutex::new(expiries), log: Mutex::new(log) })
    }

    /// Whether the session has ended.
    pub fn contains(&self, id: &Digest) -> bool {
        self.expiries().contains_key(id)
    }

    /// Ends a session from here on, in memory only. At the bound, the session that would expire first is forgotten.
    pub fn add(&self, id: Digest, expiry: Timestamp, now: Timestamp) {
        let mut expiries = self.expiries();
        if expiries.len() >= self.bound {
            expiries.retain(|_, expiry| *expiry > now);
        }
        if expiries.len() >= self.bound {
            let first = expiries.iter().min_by_key(|(_, expiry)| **expiry).map(|(id, _)| *id);
            first.and_then(|id| expiries.remove(&id));
        }
        expiries.insert(id, expiry);
    }

    /// Writes down that a session has ended; durable when this returns.
    ///
    /// # Errors
    /// [`EndedError`] when the line cannot be written.
    pub fn write(&self, id: Digest, expiry: Timestamp) -> Result<(), EndedError> {
        let fail = |source| EndedError { path: self.path.clone(), source };
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.lines >= self.bound.saturating_mul(2) {
            let expiries = self.expiries().clone();
            log.file = write_all(&self.path, &expiries).map_err(fail)?;
            log.lines = expiries.len();
        } else {
            // The break comes first: a line that a full disk tore off does not spoil the next.
            write!(log.file, "\n{} {id}", expiry.0).map_err(fail)?;
            log.file.sync_data().map_err(fail)?;
            log.lines += 1;
        }
        Ok(())
    }

    fn expiries(&self) -> MutexGuard<'_, HashMap<Digest, Timestamp>> {
        self.expiries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the whole file beside itself, renames it into place, and returns it open for appending.
fn write_all(path: &Path, expiries: &HashMap<Digest, Timestamp>) -> std::io::Result<File> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
    let mut text = Vec::new();
    for (id, expiry) in expiries {
        writeln!(text, "{} {id}", expiry.0)?;
    }
    file.write_all(&text)?;
    file.sync_data()?;
    std::fs::rename(&beside, path)?;
    appending(path)
}

fn appending(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Ended {
        fn remember(&self, id: Digest, expiry: Timestamp) {
            self.add(id, expiry, Timestamp(0));
            self.write(id, expiry).unwrap();
        }
    }

    #[test]
    fn ended_sessions_outlive_a_restart_but_not_their_expiry() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ended-sessions");
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let ended = Ended::open(&path, 10, Timestamp(0)).unwrap();
        ended.remember(a, Timestamp(100));
        ended.remember(b, Timestamp(200));
        let again = Ended::open(&path, 10, Timestamp(150)).unwrap();
        assert!(!again.contains(&a) && again.contains(&b));
    }

    #[test]
    fn a_torn_line_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ended-sessions");
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let ended = Ended::open(&path, 10, Timestamp(0)).unwrap();
        ended.remember(a, Timestamp(100));
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"\n100 0123456");
        std::fs::write(&path, text).unwrap();
        ended.remember(b, Timestamp(200));
        let again = Ended::open(&path, 10, Timestamp(50)).unwrap();
        assert!(again.contains(&a) && again.contains(&b));
    }

    #[test]
    fn the_memory_is_bounded_and_so_is_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ended-sessions");
        let ended = Ended::open(&path, 4, Timestamp(0)).unwrap();
        for n in 0..100_u32 {
            ended.remember(Digest::of(&n.to_be_bytes()), Timestamp(1000 + i64::from(n)));
        }
        assert!(ended.contains(&Digest::of(&99_u32.to_be_bytes())));
        assert!(!ended.contains(&Digest::of(&1_u32.to_be_bytes())));
        assert!(std::fs::read_to_string(&path).unwrap().lines().count() <= 8);
    }
}
