//! Passwords: argon2id with the parameters of RFC 9106, and a bound on how many are worked on at once.

use crate::secret_text::random;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use model::{Dice, Secret};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

/// A password could not be worked on, or is none to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Fewer characters than needed.
    #[error("a password has at least {MIN_CHARS} characters")]
    TooShort,
    /// More bytes than are read.
    #[error("a password has at most {MAX_BYTES} bytes")]
    TooLong,
    /// The account's own name, or one character over and over.
    #[error("a password is neither the account's name nor one character repeated")]
    Obvious,
    /// As many are being worked on and are waiting as may.
    #[error("too many passwords are being checked at once")]
    Busy,
    /// The hash function refused, or a row holds no hash.
    #[error("the password could not be worked on")]
    Broken,
}

/// Hashes and verifies. One for the process, so that its bound is one.
pub struct Hasher {
    argon: Argon2<'static>,
    working: Arc<Semaphore>,
    /// Working and waiting.
    crowd: Arc<AtomicUsize>,
    /// Verified against when there is no account, so that an unknown name costs the same work.
    nobody: String,
    dice: Arc<dyn Dice>,
}

impl Hasher {
    /// The second recommended parameters of RFC 9106 §4: 64 MiB, three passes, four lanes.
    pub fn recommended(dice: Arc<dyn Dice>) -> Self {
        Self::new(RECOMMENDED, dice)
    }

    fn new(params: Params, dice: Arc<dyn Dice>) -> Self {
        let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        // Nothing hashes to it, as far as anybody knows; it costs nothing to make and as much as any other to try.
        let (salt, hash) = (
            STANDARD_NO_PAD.encode(random::<16>(dice.as_ref())),
            STANDARD_NO_PAD.encode(random::<32>(dice.as_ref())),
        );
        let nobody = format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}");
        let (working, crowd) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::new(AtomicUsize::new(0)));
        Self { argon, working, crowd, nobody, dice }
    }

    /// The hash of a new password in its PHC form, if it may be one.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn hash(&self, account: &str, password: &Arc<Secret>) -> Result<String, PasswordError> {
        password.lend(|bytes| fits(account, bytes))?;
        let (argon, salt) = (self.argon.clone(), random::<16>(self.dice.as_ref()));
        let password = Arc::clone(password);
        self.work(move || {
            let hashed = password.lend(|bytes| argon.hash_password_with_salt(bytes, &salt));
            hashed.map(|hash| hash.to_string()).map_err(|_| PasswordError::Broken)
        })
        .await
    }

    /// Whether this is the password of `stored`; without one the same work is done for nothing.
    ///
    /// # Errors
    /// [`PasswordError::Busy`], [`PasswordError::TooLong`].
    pub async fn verify(
        &self,
        stored: Option<String>,
        password: &Arc<Secret>,
    ) -> Result<bool, PasswordError> {
        if password.lend(|bytes| bytes.len() > MAX_BYTES) {
            return Err(PasswordError::TooLong);
        }
        let (argon, exists) = (self.argon.clone(), stored.is_some());
        let stored = stored.unwrap_or_else(|| self.nobody.clone());
        let password = Arc::clone(password);
        self.work(move || {
            let parsed = PasswordHash::new(&stored).map_err(|_| PasswordError::Broken)?;
            let fits = password.lend(|bytes| argon.verify_password(bytes, &parsed).is_ok());
            Ok(fits && exists)
        })
        .await
    }

    /// SECURITY: memory for at most [`AT_ONCE`] passwords, and a queue with an end, so that a flood of sign-ins cannot
    /// exhaust the machine (test: `a_flood_of_passwords_is_turned_away_and_not_worked_on_at_once`).
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let _place = Place::take(&self.crowd)?;
        let permit = Arc::clone(&self.working).acquire_owned().await.map_err(|_| PasswordError::Broken)?;
        let working = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        working.await.map_err(|_| PasswordError::Broken)?
    }
}

/// A place among those who work and wait.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(crowd: &Arc<AtomicUsize>) -> Result<Self, PasswordError> {
        if crowd.fetch_add(1, Ordering::AcqRel) >= CROWD {
            crowd.fetch_sub(1, Ordering::AcqRel);
            return Err(PasswordError::Busy);
        }
        Ok(Self(Arc::clone(crowd)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Length is what counts (NIST SP 800-63B §3.1.1.2); there are no rules about kinds of characters.
fn fits(account: &str, password: &[u8]) -> Result<(), PasswordError> {
    let text = std::str::from_utf8(password).map_err(|_| PasswordError::Broken)?;
    if password.len() > MAX_BYTES {
        return Err(PasswordError::TooLong);
    }
    if text.chars().count() < MIN_CHARS {
        return Err(PasswordError::TooShort);
    }
    let first = text.chars().next();
    if text.eq_ignore_ascii_case(account) || text.chars().all(|c| Some(c) == first) {
        return Err(PasswordError::Obvious);
    }
    Ok(())
}

const RECOMMENDED: Params = match Params::new(64 << 10, 3, 4, None) {
    Ok(params) => params,
    Err(_) => Params::DEFAULT,
};
/// Passwords worked on at once: 64 MiB each.
const AT_ONCE: usize = 2;
/// Passwords worked on and waiting.
const CROWD: usize = 32;
/// The shortest password, in characters.
const MIN_CHARS: usize = 12;
/// The longest, in bytes.
const MAX_BYTES: usize = 256;

#[cfg(test)]
impl Hasher {
    /// With a thousandth of the work, for tests of what stands around it.
    pub(crate) fn quick(dice: Arc<dyn Dice>) -> Self {
        Self::new(Params::new(64, 1, 1, None).unwrap(), dice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::SystemDice;

    fn secret(text: &str) -> Arc<Secret> {
        Arc::new(Secret::new(text.as_bytes().to_vec()))
    }

    #[tokio::test]
    async fn a_password_is_kept_as_argon2id_with_the_parameters_of_the_rfc() {
        let hasher = Hasher::recommended(Arc::new(SystemDice));
        let hash = hasher.hash("alice", &secret("correct horse battery")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=65536,t=3,p=4$"), "{hash}");
        assert!(hasher.verify(Some(hash.clone()), &secret("correct horse battery")).await.unwrap());
        assert!(!hasher.verify(Some(hash), &secret("correct horse batter")).await.unwrap());
        // The hash that stands for nobody is made the same way, so that it costs the same.
        assert!(hasher.nobody.starts_with("$argon2id$v=19$m=65536,t=3,p=4$"));
        assert!(!hasher.verify(None, &secret("anything at all")).await.unwrap());
    }

    #[tokio::test]
    async fn short_long_and_obvious_passwords_are_refused() {
        let hasher = Hasher::quick(Arc::new(SystemDice));
        for (password, error) in [
            ("eleven char", PasswordError::TooShort),
            (&"ab".repeat(129), PasswordError::TooLong),
            ("Alice.Liddell", PasswordError::Obvious),
            ("aaaaaaaaaaaaaaaa", PasswordError::Obvious),
        ] {
            assert_eq!(hasher.hash("alice.liddell", &secret(password)).await, Err(error), "{password}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_flood_of_passwords_is_turned_away_and_not_worked_on_at_once() {
        let hasher = Arc::new(Hasher::quick(Arc::new(SystemDice)));
        let held = Arc::clone(&hasher.working).acquire_many_owned(2).await.unwrap();
        let attempts: Vec<_> = (0..200)
            .map(|_| {
                let hasher = Arc::clone(&hasher);
                tokio::spawn(async move { hasher.verify(None, &secret("a guess of somebody")).await })
            })
            .collect();
        // Whoever finds the queue full is turned away while nothing is worked on.
        let mut busy = 0;
        let mut waiting = Vec::new();
        while busy + waiting.len() < 200 - CROWD {
            tokio::task::yield_now().await;
            busy = attempts.iter().filter(|attempt| attempt.is_finished()).count();
        }
        drop(held);
        busy = 0;
        for attempt in attempts {
            match attempt.await.unwrap() {
                Err(PasswordError::Busy) => busy += 1,
                other => waiting.push(other),
            }
        }
        assert_eq!((busy, waiting.len()), (200 - CROWD, CROWD));
        assert!(waiting.iter().all(|verified| *verified == Ok(false)));
        assert_eq!(hasher.crowd.load(Ordering::Acquire), 0);
    }
}
