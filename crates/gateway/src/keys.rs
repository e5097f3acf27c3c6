//! The sealing keys of ids that travel through callers' hands: `sealing-<id>.key` in the folder of the key files.

use model::{Dice, Sealer, SealingKey};
use std::path::Path;
use vault::{KeyFile, KeyFileError, key_files};

/// Reads the sealing keys in `folder`; makes the first one when there is none.
///
/// # Errors
/// [`KeyFileError`].
pub(crate) fn sealer(folder: &Path, dice: &dyn Dice) -> Result<Sealer, KeyFileError> {
    let malformed = || KeyFileError::Malformed { path: folder.to_owned() };
    let files = key_files(folder, "sealing", dice)?;
    let key = |file: &KeyFile| SealingKey::new(file.id, &file.key).map_err(|_| malformed());
    let keys = files.iter().map(key).collect::<Result<Vec<_>, _>>()?;
    Sealer::new(keys).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::SeededDice;

    #[test]
    fn what_was_sealed_opens_after_a_restart_and_a_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let dice = SeededDice::new(1);
        let first = sealer(folder.path(), &dice).unwrap();
        let text = first.seal("x", b"hello", &dice).unwrap();
        assert_eq!(sealer(folder.path(), &dice).unwrap().open("x", &text).unwrap(), b"hello");

        let another = tempfile::tempdir().unwrap();
        sealer(another.path(), &SeededDice::new(2)).unwrap();
        let file = |folder: &tempfile::TempDir, id: u32| folder.path().join(format!("sealing-{id}.key"));
        std::fs::copy(file(&another, 1), file(&folder, 2)).unwrap();
        let rotated = sealer(folder.path(), &dice).unwrap();
        assert_eq!(rotated.open("x", &text).unwrap(), b"hello");
        assert!(first.open("x", &rotated.seal("x", b"new", &dice).unwrap()).is_err());
    }
}
