//! Codes, refresh tokens and transaction ids: 256 random bits as text, kept as a digest.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{Dice, Digest};

/// A fresh value: a prefix that tells leaked ones apart, and 256 bits.
pub(crate) fn fresh(prefix: &str, dice: &dyn Dice) -> String {
    let mut bytes = [0; 32];
    dice.fill(&mut bytes);
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// 256 fresh bits without a prefix: for cookies, states and links.
pub(crate) fn bare(dice: &dyn Dice) -> String {
    URL_SAFE_NO_PAD.encode(random::<32>(dice))
}

/// Fresh bytes.
pub(crate) fn random<const N: usize>(dice: &dyn Dice) -> [u8; N] {
    let mut bytes = [0; N];
    dice.fill(&mut bytes);
    bytes
}

/// A fresh public id: a prefix and 128 bits in hexadecimal.
pub(crate) fn id(prefix: &str, dice: &dyn Dice) -> String {
    let mut bytes = [0; 16];
    dice.fill(&mut bytes);
    format!("{prefix}{:032x}", u128::from_be_bytes(bytes))
}

/// What is kept of such a value.
pub(crate) fn digest(text: &str) -> String {
    Digest::of(text.as_bytes()).to_string()
}
