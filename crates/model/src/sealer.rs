//! Sealing of ids that travel through the caller's hands: AES-256-GCM with a key id.

use crate::{Dice, Secret};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A sealed text could not be opened. Says nothing more: the text came from a stranger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not sealed by this gateway, or for another purpose")]
pub struct SealError;

/// One sealing key and its id.
pub struct SealingKey {
    id: u32,
    key: LessSafeKey,
}

impl SealingKey {
    /// A key from 32 secret bytes.
    ///
    /// # Errors
    /// [`SealError`] when the secret is not 32 bytes.
    pub fn new(id: u32, secret: &Secret) -> Result<Self, SealError> {
        let key = secret.lend(|bytes| UnboundKey::new(&AES_256_GCM, bytes)).map_err(|_| SealError)?;
        Ok(Self { id, key: LessSafeKey::new(key) })
    }
}

/// Seals with the first key, opens with any of them.
pub struct Sealer {
    keys: Vec<SealingKey>,
}

impl Sealer {
    /// A sealer; `keys` must not be empty, the first one seals.
    ///
    /// # Errors
    /// [`SealError`] when there is no key.
    pub fn new(keys: Vec<SealingKey>) -> Result<Self, SealError> {
        if keys.is_empty() { Err(SealError) } else { Ok(Self { keys }) }
    }

    /// Seals `plain` for `purpose` (bound as associated data) into unpadded base64url:
    /// key id (4 bytes) ‖ nonce (12) ‖ ciphertext ‖ tag (16).
    ///
    /// # Errors
    /// [`SealError`] when the cipher refuses the input (longer than 64 GiB).
    pub fn seal(&self, purpose: &str, plain: &[u8], dice: &dyn Dice) -> Result<String, SealError> {
        let key = self.keys.first().ok_or(SealError)?;
        let mut nonce = [0; NONCE_LEN];
        dice.fill(&mut nonce);
        let mut sealed = plain.to_vec();
        key.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(purpose), &mut sealed)
            .map_err(|_| SealError)?;
        let mut out = Vec::with_capacity(4 + NONCE_LEN + sealed.len());
        out.extend_from_slice(&key.id.to_be_bytes());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        Ok(URL_SAFE_NO_PAD.encode(out))
    }

    /// Opens what [`Sealer::seal`] made for the same purpose.
    ///
    /// # Errors
    /// [`SealError`] for anything else.
    pub fn open(&self, purpose: &str, text: &str) -> Result<Vec<u8>, SealError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| SealError)?;
        let (id, rest) = bytes.split_first_chunk::<4>().ok_or(SealError)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError)?;
        let id = u32::from_be_bytes(*id);
        let key = self.keys.iter().find(|key| key.id == id).ok_or(SealError)?;
        let mut plain = sealed.to_vec();
        let length = key
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(purpose), &mut plain)
            .map_err(|_| SealError)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededDice;

    #[test]
    fn opens_only_what_was_sealed_for_the_same_purpose() {
        let dice = SeededDice::new(7);
        let key = |id: u8| SealingKey::new(id.into(), &Secret::new(vec![id; 32])).unwrap();
        let sealer = Sealer::new(vec![key(2), key(1)]).unwrap();
        let old = Sealer::new(vec![key(1)]).unwrap();
        let text = old.seal("session", b"hello", &dice).unwrap();
        assert_eq!(sealer.open("session", &text).unwrap(), b"hello");
        assert_eq!(sealer.open("state", &text), Err(SealError));
        assert_eq!(old.open("session", &sealer.seal("session", b"x", &dice).unwrap()), Err(SealError));
        for at in 0..text.len() {
            let mut bent = text.clone().into_bytes();
            bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
            assert!(sealer.open("session", &String::from_utf8(bent).unwrap()).is_err(), "byte {at}");
        }
    }
}
