//! The sealing keys: `data_dir/keys/sealing-<id>.key`, 32 random bytes in base64url, readable by the owner only.
//! The highest id seals, all of them open: a new file with the next id rotates the key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{Dice, Sealer, SealingKey, Secret};
use rustix::fs::{Mode, OFlags};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The sealing keys could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
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

/// Reads the sealing keys below `data_dir`; makes the first one when there is none.
///
/// # Errors
/// [`KeysError`].
pub(crate) fn sealer(data_dir: &Path, dice: &dyn Dice) -> Result<Sealer, KeysError> {
    let folder = data_dir.join("keys");
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| KeysError::Io { path, source }
    };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(io(&folder))?;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(io(&folder))? {
        let entry = entry.map_err(io(&folder))?;
        let name = entry.file_name();
        let id =
            name.to_str().and_then(|name| name.strip_prefix("sealing-")?.strip_suffix(".key")?.parse().ok());
        found.extend(id.map(|id: u32| (id, entry.path())));
    }
    if found.is_empty() {
        let path = folder.join("sealing-1.key");
        make(&path, dice).map_err(io(&path))?;
        found.push((1, path));
    }
    found.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
    let mut keys = Vec::new();
    for (id, path) in found {
        let malformed = || KeysError::Malformed { path: path.clone() };
        keys.push(SealingKey::new(id, &read(&path)?).map_err(|_| malformed())?);
    }
    Sealer::new(keys).map_err(|_| KeysError::Malformed { path: folder })
}

fn make(path: &Path, dice: &dyn Dice) -> std::io::Result<()> {
    let mut key = Zeroizing::new([0; 32]);
    dice.fill(&mut *key);
    let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(*key));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut file = std::fs::File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn read(path: &Path) -> Result<Secret, KeysError> {
    let io = |source| KeysError::Io { path: path.to_owned(), source };
    let mut file = std::fs::File::open(path).map_err(io)?;
    let mode = file.metadata().map_err(io)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeysError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(io)?;
    let key =
        URL_SAFE_NO_PAD.decode(text.trim()).map_err(|_| KeysError::Malformed { path: path.to_owned() })?;
    Ok(Secret::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::SeededDice;

    #[test]
    fn keys_are_private_and_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let dice = SeededDice::new(1);
        let first = sealer(folder.path(), &dice).unwrap();
        let path = folder.path().join("keys/sealing-1.key");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = first.seal("x", b"hello", &dice).unwrap();
        assert_eq!(sealer(folder.path(), &dice).unwrap().open("x", &text).unwrap(), b"hello");

        make(&folder.path().join("keys/sealing-2.key"), &dice).unwrap();
        let rotated = sealer(folder.path(), &dice).unwrap();
        assert_eq!(rotated.open("x", &text).unwrap(), b"hello");
        assert!(first.open("x", &rotated.seal("x", b"new", &dice).unwrap()).is_err());

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(sealer(folder.path(), &dice), Err(KeysError::Exposed { .. })));
    }
}
