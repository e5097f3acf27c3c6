//! The files of the record: `lock`, and segments named by the first sequence number in them.

use ledger::segment::Header;
use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};
use rustix::io::Errno;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Where segments are begun. One implementation for files, one in the tests that breaks at will.
pub(crate) trait Medium: Send + Sync {
    /// Begins a segment in place of any leftover of the same name, and writes its header. Not synced.
    /// Fails if `reserve` more bytes would not fit.
    fn begin(&self, header: &Header, reserve: u64) -> io::Result<Arc<dyn Segment>>;
}

/// One segment being written.
pub(crate) trait Segment: Send + Sync {
    /// write(2) until all is taken. Durability: none.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    /// fdatasync(2), and fsync(2) of the directory the first time. After an error nothing is known of what was
    /// not synced before, and it is not asked again.
    fn sync(&self) -> io::Result<()>;
    /// Cuts off what lies behind the first `bytes`.
    fn cut(&self, bytes: u64) -> io::Result<()>;
}

/// Segments as files of mode 0600 in one directory.
pub(crate) struct Files {
    path: PathBuf,
    dir: Arc<File>,
}

impl Files {
    /// The record in `path`, which is made with mode 0700 if it does not exist. Durability: so are its parents.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        for made in missing {
            let parent = made.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
            File::open(parent)?.sync_all()?;
        }
        Ok(Self { path: path.to_owned(), dir: Arc::new(File::open(path)?) })
    }
}

impl Medium for Files {
    fn begin(&self, header: &Header, reserve: u64) -> io::Result<Arc<dyn Segment>> {
        let path = path_of(&self.path, header.first);
        // Nothing in a leftover was ever acknowledged: its first number is not taken yet. It is replaced and not
        // truncated, since a hung write may still hold it.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        let begun = room(&file, reserve).and_then(|()| (&file).write_all(&header.to_bytes()));
        if let Err(error) = begun {
            // A name without a header is passed over by readers; the next attempt replaces it.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(Arc::new(SegmentFile { file, dir: Arc::clone(&self.dir), fresh: AtomicBool::new(true) }))
    }
}

/// Tries whether `bytes` more would fit, and gives them back.
fn room(file: &File, bytes: u64) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::KEEP_SIZE, 0, bytes) {
        Ok(()) => file.set_len(0),
        Err(Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

struct SegmentFile {
    file: File,
    dir: Arc<File>,
    fresh: AtomicBool,
}

impl Segment for SegmentFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()?;
        if self.fresh.load(Ordering::Relaxed) {
            self.dir.sync_all()?;
            self.fresh.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    fn cut(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }
}

/// Takes the lock of the record, or `None` if another holds it. It is given back when the file is dropped.
pub(crate) fn lock(dir: &Path) -> io::Result<Option<File>> {
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(dir.join("lock"))?;
    for _ in 0..LOCK_TRIES {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(file)),
            // A reader holds it for a moment when it asks whether a writer lives.
            Err(Errno::WOULDBLOCK) => std::thread::sleep(LOCK_PAUSE),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Whether a writer lives. `true` if that cannot be told.
pub(crate) fn is_locked(dir: &Path) -> bool {
    File::open(dir.join("lock"))
        .is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK))
}

/// The segments in `dir`, oldest first: the first sequence number by name, and the path.
pub(crate) fn segments(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let first = path.file_name().and_then(|name| name.to_str()).and_then(first_of);
        found.extend(first.map(|first| (first, path)));
    }
    found.sort_unstable();
    Ok(found)
}

fn path_of(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.segment"))
}

fn first_of(name: &str) -> Option<u64> {
    name.strip_suffix(".segment").filter(|digits| digits.len() == 20)?.parse().ok()
}

const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(10);
