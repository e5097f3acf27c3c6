//! Files that only their owner reads: written whole or not at all, and never over something else.

use model::Secret;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{Error, ErrorKind, Read as _, Result, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What is at the place of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing.
    Free,
    /// This secret.
    Same,
    /// Something else, or something that cannot be read.
    Other,
}

/// Who owns a file, so that what is written beside it is theirs too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) user: u32,
    pub(super) group: u32,
}

/// Compares what is at `path` with a secret, as the gateway reads it: without white space around.
pub(super) fn state(path: &Path, secret: &Secret) -> State {
    match read(path) {
        Ok(found) => {
            let same = secret.lend(|bytes| found.trim_ascii() == bytes.trim_ascii());
            if same { State::Same } else { State::Other }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => State::Free,
        Err(_) => State::Other,
    }
}

/// Whether a file of a secret holds anything.
pub(crate) fn is_filled(path: &Path) -> bool {
    read(path).is_ok_and(|found| !found.trim_ascii().is_empty())
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let mut found = Zeroizing::new(Vec::with_capacity(READ_BYTES));
    File::open(path)?.take(u64::try_from(READ_BYTES).unwrap_or(0)).read_to_end(&mut found)?;
    Ok(found)
}

/// Makes the folder, if it is not there; whether it was made.
pub(super) fn folder(path: &Path, owner: Option<Owner>) -> Result<bool> {
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => owner.map_or(Ok(()), |owner| given(&File::open(path)?, owner)).map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Puts a new file at `path`: other processes see nothing or all of it, and what is there stays.
///
/// # Errors
/// `AlreadyExists` if something is there.
pub(super) fn create(path: &Path, content: &[u8], mode: u32, owner: Option<Owner>) -> Result<()> {
    let beside = write_beside(path, content, mode, owner)?;
    // A link, unlike a rename, never replaces what somebody else has put there meanwhile.
    let linked = std::fs::hard_link(&beside, path);
    let removed = std::fs::remove_file(&beside);
    linked.and(removed).and_then(|()| sync_folder(path))
}

/// Puts a file in the place of the one at `path`, in one step.
pub(super) fn replace(path: &Path, content: &[u8], mode: u32, owner: Option<Owner>) -> Result<()> {
    let beside = write_beside(path, content, mode, owner)?;
    std::fs::rename(&beside, path).inspect_err(|_| drop(std::fs::remove_file(&beside)))?;
    sync_folder(path)
}

fn write_beside(path: &Path, content: &[u8], mode: u32, owner: Option<Owner>) -> Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| Error::from(ErrorKind::InvalidFilename))?;
    let beside = path.with_file_name(format!(".{}.{}.new", name.to_string_lossy(), std::process::id()));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(&beside, flags, Mode::RUSR | Mode::WUSR)?);
    let written = (|| {
        file.write_all(content)?;
        if let Some(owner) = owner {
            given(&file, owner)?;
        }
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        file.sync_all()
    })();
    written.inspect_err(|_| drop(std::fs::remove_file(&beside))).map(|()| beside)
}

/// Gives a file to its owner, if it is not theirs already.
fn given(file: &File, owner: Owner) -> Result<()> {
    let meta = file.metadata()?;
    if (meta.uid(), meta.gid()) == (owner.user, owner.group) {
        return Ok(());
    }
    std::os::unix::fs::fchown(file, Some(owner.user), Some(owner.group))
}

fn sync_folder(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// More than any secret the gateway reads.
const READ_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn new_files_are_private_and_replace_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = folder.path().join("secrets");
        assert!(super::folder(&secrets, None).unwrap());
        assert!(!super::folder(&secrets, None).unwrap());
        let path = secrets.join("a");
        create(&path, b"first", 0o600, None).unwrap();
        assert_eq!((mode(&secrets), mode(&path)), (0o700, 0o600));
        assert_eq!(create(&path, b"second", 0o600, None).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        replace(&path, b"third", 0o640, None).unwrap();
        assert_eq!((std::fs::read(&path).unwrap().as_slice(), mode(&path)), (&b"third"[..], 0o640));
        assert_eq!(std::fs::read_dir(&secrets).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_dangling_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("a"), folder.path().join("elsewhere"));
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert!(create(&path, b"x", 0o600, None).is_err());
        assert!(!elsewhere.exists());
    }

    #[test]
    fn what_is_at_a_secrets_place_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let secret = Secret::new(b"s3cret".to_vec());
        assert_eq!(state(&path, &secret), State::Free);
        std::fs::write(&path, " s3cret\n").unwrap();
        assert_eq!(state(&path, &secret), State::Same);
        std::fs::write(&path, "s3cret2").unwrap();
        assert_eq!(state(&path, &secret), State::Other);
        assert_eq!(state(folder.path(), &secret), State::Other);
        std::fs::write(&path, "\n").unwrap();
        assert!(!is_filled(&path));
    }
}
