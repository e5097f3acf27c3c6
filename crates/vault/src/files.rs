//! Key files: `<name>-<id>.key`, 32 random bytes in base64url, readable by the owner only. The highest id is the
//! current one, all of them are good: a new file with the next id rotates the key. Replicas share the folder.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{Dice, Secret};
use rustix::fs::{Mode, OFlags};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// One key and its id.
pub struct KeyFile {
    /// The number in its name.
    pub id: u32,
    /// The 32 bytes.
    pub key: Secret,
}

/// The key files could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// A file or the folder could not be made or read.
    #[error("open {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others than the owner may read a key.
    #[error("{} may be read by others than its owner (mode {mode:o}); run `chmod 600`", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file does not hold a key.
    #[error("{} does not hold 32 bytes in base64url", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// The keys called `name` in `folder`, the highest id first; makes the first one when there is none.
///
/// # Errors
/// [`KeyFileError`].
pub fn key_files(folder: &Path, name: &str, dice: &dyn Dice) -> Result<Vec<KeyFile>, KeyFileError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| KeyFileError::Io { path, source }
    };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io(folder))?;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let entry = entry.map_err(io(folder))?;
        let file = entry.file_name();
        let number = file.to_str().and_then(|file| file.strip_prefix(name)?.strip_prefix('-'));
        let id = number.and_then(|number| number.strip_suffix(".key")?.parse().ok());
        found.extend(id.map(|id: u32| (id, entry.path())));
    }
    if found.is_empty() {
        let path = folder.join(format!("{name}-1.key"));
        match make(&path, dice) {
            // Another process was quicker; its key is ours too.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => made.map_err(io(&path))?,
        }
        found.push((1, path));
    }
    found.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
    found.into_iter().map(|(id, path)| Ok(KeyFile { id, key: read(&path)? })).collect()
}

/// Written aside and then named, so that nobody reads half a key.
fn make(path: &Path, dice: &dyn Dice) -> std::io::Result<()> {
    let mut key = Zeroizing::new([0; 32]);
    dice.fill(&mut *key);
    let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(*key));
    let mut noise = [0; 8];
    dice.fill(&mut noise);
    let aside = path.with_extension(format!("{:016x}.new", u64::from_be_bytes(noise)));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut file = std::fs::File::from(rustix::fs::open(&aside, flags, Mode::RUSR | Mode::WUSR)?);
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    // A link, unlike a rename, does not replace what is there.
    let linked = written.and_then(|()| std::fs::hard_link(&aside, path));
    std::fs::remove_file(&aside)?;
    linked
}

fn read(path: &Path) -> Result<Secret, KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.to_owned(), source };
    let mut file = std::fs::File::open(path).map_err(io)?;
    let mode = file.metadata().map_err(io)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(io)?;
    let malformed = || KeyFileError::Malformed { path: path.to_owned() };
    let key = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim()).map_err(|_| malformed())?);
    if key.len() == 32 { Ok(Secret::new(key.to_vec())) } else { Err(malformed()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::SeededDice;

    #[test]
    fn keys_are_private_are_made_once_and_the_newest_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let dice = SeededDice::new(1);
        let ids = || {
            let files = key_files(folder.path(), "root", &dice)?;
            Ok::<_, KeyFileError>(
                files.iter().map(|file| (file.id, file.key.lend(<[u8]>::to_vec))).collect::<Vec<_>>(),
            )
        };
        let first = ids().unwrap();
        assert_eq!(first, ids().unwrap());
        let path = folder.path().join("root-1.key");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left aside");

        make(&folder.path().join("root-2.key"), &dice).unwrap();
        assert_eq!(ids().unwrap().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [2, 1]);
        assert!(make(&path, &dice).is_err(), "a key is never replaced");

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(ids(), Err(KeyFileError::Exposed { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "c2hvcnQ").unwrap();
        assert!(matches!(ids(), Err(KeyFileError::Malformed { .. })));
    }
}
