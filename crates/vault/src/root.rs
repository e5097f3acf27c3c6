//! The root: keys from files, under which everything else is wrapped.

use crate::{KeyFile, VaultError, envelope};
use aws_lc_rs::aead::LessSafeKey;
use model::{Dice, Secret};

/// The root keys, the current one first.
pub struct Root(Vec<(u32, LessSafeKey)>);

impl Root {
    /// A root of these keys, the current one first (see [`crate::key_files`]).
    ///
    /// # Errors
    /// [`VaultError::NoRoot`].
    pub fn new(files: &[KeyFile]) -> Result<Self, VaultError> {
        let key = |file: &KeyFile| file.key.lend(envelope::key).map(|key| (file.id, key));
        match files.iter().map(key).collect::<Result<Vec<_>, _>>() {
            Ok(keys) if !keys.is_empty() => Ok(Self(keys)),
            Ok(_) | Err(_) => Err(VaultError::NoRoot),
        }
    }

    /// The id of the key that wraps now.
    pub(crate) fn current(&self) -> u32 {
        self.0.first().map_or(0, |(id, _)| *id)
    }

    pub(crate) fn wrap(
        &self,
        belongs_to: &[u8],
        plain: &[u8],
        dice: &dyn Dice,
    ) -> Result<Vec<u8>, VaultError> {
        let (_, key) = self.0.first().ok_or(VaultError::NoRoot)?;
        envelope::seal(key, belongs_to, plain, dice)
    }

    /// Opens what the key `id` wrapped; `None` if that key is not here.
    pub(crate) fn unwrap(&self, id: u32, belongs_to: &[u8], wrapped: &[u8]) -> Option<Secret> {
        let (_, key) = self.0.iter().find(|(known, _)| *known == id)?;
        envelope::open(key, belongs_to, wrapped).ok()
    }
}
