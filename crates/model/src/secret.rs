//! Secrets: lent, never shown.

use zeroize::Zeroizing;

/// A secret value. INVARIANT (design §3.3): no `Debug`, `Display`, `Clone`, `Serialize`; lent to a
/// closure; wiped on drop.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes ownership of the bytes, which are wiped when the secret is dropped.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Lends the bytes for the length of `use_it`.
    pub fn lend<T>(&self, use_it: impl FnOnce(&[u8]) -> T) -> T {
        use_it(&self.0)
    }
}
