//! AES-256-GCM under a key, with what it belongs to as associated data: nonce (12 bytes) ‖ ciphertext ‖ tag (16).

use crate::VaultError;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use model::{Dice, Secret};
use zeroize::Zeroizing;

/// A key from 32 secret bytes.
pub(crate) fn key(bytes: &[u8]) -> Result<LessSafeKey, VaultError> {
    UnboundKey::new(&AES_256_GCM, bytes).map(LessSafeKey::new).map_err(|_| VaultError::Provider)
}

pub(crate) fn seal(
    key: &LessSafeKey,
    belongs_to: &[u8],
    plain: &[u8],
    dice: &dyn Dice,
) -> Result<Vec<u8>, VaultError> {
    let mut nonce = [0; NONCE_LEN];
    dice.fill(&mut nonce);
    let mut sealed = Zeroizing::new(plain.to_vec());
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(belongs_to), &mut sealed)
        .map_err(|_| VaultError::Provider)?;
    Ok([&nonce, sealed.as_slice(), tag.as_ref()].concat())
}

pub(crate) fn open(key: &LessSafeKey, belongs_to: &[u8], sealed: &[u8]) -> Result<Secret, VaultError> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(VaultError::Sealed)?;
    let mut plain = Zeroizing::new(rest.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let opened =
        key.open_in_place(nonce, Aad::from(belongs_to), &mut plain).map_err(|_| VaultError::Sealed)?;
    Ok(Secret::new(opened.to_vec()))
}
