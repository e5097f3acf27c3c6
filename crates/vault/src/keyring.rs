//! Values sealed for a tenant, each under a data key of its own.

use crate::{Root, VaultError, envelope};
use aws_lc_rs::aead::LessSafeKey;
use model::{Clock, Dice, Secret};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use storage::{Db, StorageError, on, sqlx};
use zeroize::Zeroizing;

/// Seals and opens. Shared by all who keep secrets in rows.
pub struct Keyring {
    db: Db,
    root: Root,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
    /// Wrapping keys by id, unwrapped.
    open: Mutex<HashMap<String, Arc<LessSafeKey>>>,
}

impl Keyring {
    /// A keyring over the rows of `db`. Wrapping keys that an older root wrapped are wrapped anew.
    ///
    /// # Errors
    /// [`VaultError::Root`] when a wrapping key opens under no root key: the key files do not belong to this database.
    pub async fn open(
        db: Db,
        root: Root,
        clock: Arc<dyn Clock>,
        dice: Arc<dyn Dice>,
    ) -> Result<Self, VaultError> {
        let keyring = Self { db, root, clock, dice, open: Mutex::new(HashMap::new()) };
        keyring.wrap_anew().await?;
        Ok(keyring)
    }

    /// Seals a value of `tenant`. `belongs_to` says what it is and where it is kept (`signing-key|<kid>`); it opens
    /// with the same words only, so that a row cannot take another's place.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn seal(&self, tenant: &str, belongs_to: &str, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let (id, wrapping) = self.current(tenant).await?;
        let mut data = Zeroizing::new([0; 32]);
        self.dice.fill(&mut *data);
        let place = place(tenant, belongs_to);
        let wrapped = envelope::seal(&wrapping, &place, &*data, self.dice.as_ref())?;
        let sealed = envelope::seal(&envelope::key(&*data)?, &place, plain, self.dice.as_ref())?;
        let length = u8::try_from(id.len()).map_err(|_| VaultError::Provider)?;
        Ok([&[VERSION, length], id.as_bytes(), &wrapped, &sealed].concat())
    }

    /// Opens what [`Keyring::seal`] made for the same tenant and words.
    ///
    /// # Errors
    /// [`VaultError::Sealed`] for anything else.
    pub async fn unseal(&self, tenant: &str, belongs_to: &str, sealed: &[u8]) -> Result<Secret, VaultError> {
        let parts = || {
            let ([VERSION, length], rest) = sealed.split_first_chunk::<2>()? else { return None };
            let (id, rest) = rest.split_at_checked(usize::from(*length))?;
            let (wrapped, sealed) = rest.split_at_checked(WRAPPED_BYTES)?;
            Some((std::str::from_utf8(id).ok()?, wrapped, sealed))
        };
        let (id, wrapped, sealed) = parts().ok_or(VaultError::Sealed)?;
        let wrapping = self.known(tenant, id).await?;
        let place = place(tenant, belongs_to);
        let data = envelope::open(&wrapping, &place, wrapped)?;
        envelope::open(&data.lend(envelope::key)?, &place, sealed)
    }

    /// From now on `tenant`'s values are sealed under a new wrapping key; older ones still open.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn rotate(&self, tenant: &str) -> Result<(), VaultError> {
        const RETIRE: &str =
            "UPDATE wrapping_keys SET retired_at = $1 WHERE tenant = $2 AND retired_at IS NULL";
        let now = self.clock.now().0;
        on!(self.db, pool => sqlx::query(RETIRE).bind(now).bind(tenant).execute(pool).await.map(drop))?;
        self.current(tenant).await.map(drop)
    }

    /// The wrapping key that seals for a tenant now; makes the first one.
    async fn current(&self, tenant: &str) -> Result<(String, Arc<LessSafeKey>), VaultError> {
        const CURRENT: &str = "SELECT id FROM wrapping_keys WHERE tenant = $1 AND retired_at IS NULL";
        loop {
            let found: Option<String> =
                on!(self.db, pool => sqlx::query_scalar(CURRENT).bind(tenant).fetch_optional(pool).await)?;
            if let Some(id) = found {
                let key = self.known(tenant, &id).await?;
                return Ok((id, key));
            }
            // Of several that make one at once, one succeeds and all use it.
            match self.make(tenant).await {
                Ok(()) | Err(VaultError::Storage(StorageError::Conflict)) => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn make(&self, tenant: &str) -> Result<(), VaultError> {
        const INSERT: &str =
            "INSERT INTO wrapping_keys (id, tenant, root, wrapped, created_at) VALUES ($1, $2, $3, $4, $5)";
        let mut noise = [0; 8];
        self.dice.fill(&mut noise);
        let id = format!("wk_{:016x}", u64::from_be_bytes(noise));
        let mut key = Zeroizing::new([0; 32]);
        self.dice.fill(&mut *key);
        let wrapped = self.root.wrap(&place(tenant, &id), &*key, self.dice.as_ref())?;
        let (root, now) = (i64::from(self.root.current()), self.clock.now().0);
        on!(self.db, pool => {
            let insert = sqlx::query(INSERT).bind(&id).bind(tenant).bind(root).bind(&wrapped).bind(now);
            insert.execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// A tenant's wrapping key by its id.
    async fn known(&self, tenant: &str, id: &str) -> Result<Arc<LessSafeKey>, VaultError> {
        const BY_ID: &str = "SELECT root, wrapped FROM wrapping_keys WHERE id = $1 AND tenant = $2";
        let cached = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(id).map(Arc::clone);
        if let Some(key) = cached {
            return Ok(key);
        }
        let row: Option<(i64, Vec<u8>)> =
            on!(self.db, pool => sqlx::query_as(BY_ID).bind(id).bind(tenant).fetch_optional(pool).await)?;
        let (root, wrapped) = row.ok_or(VaultError::Sealed)?;
        let root = u32::try_from(root).map_err(|_| VaultError::Root(id.to_owned()))?;
        let key = self.root.unwrap(root, &place(tenant, id), &wrapped);
        let key = Arc::new(key.ok_or_else(|| VaultError::Root(id.to_owned()))?.lend(envelope::key)?);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), Arc::clone(&key));
        Ok(key)
    }

    /// Puts every wrapping key under the current root, so that older root keys can be deleted after a start.
    async fn wrap_anew(&self) -> Result<(), VaultError> {
        const OLD: &str = "SELECT id, tenant, root, wrapped FROM wrapping_keys WHERE root <> $1";
        const REWRAP: &str = "UPDATE wrapping_keys SET root = $1, wrapped = $2 WHERE id = $3";
        let current = i64::from(self.root.current());
        let old: Vec<(String, String, i64, Vec<u8>)> =
            on!(self.db, pool => sqlx::query_as(OLD).bind(current).fetch_all(pool).await)?;
        for (id, tenant, root, wrapped) in old {
            let place = place(&tenant, &id);
            let root = u32::try_from(root).unwrap_or_default();
            let key = self.root.unwrap(root, &place, &wrapped).ok_or_else(|| VaultError::Root(id.clone()))?;
            let wrapped = key.lend(|key| self.root.wrap(&place, key, self.dice.as_ref()))?;
            on!(self.db, pool => {
                sqlx::query(REWRAP).bind(current).bind(&wrapped).bind(&id).execute(pool).await.map(drop)
            })?;
        }
        Ok(())
    }
}

/// Tenant and words with their lengths, so that no two places read alike.
fn place(tenant: &str, words: &str) -> Vec<u8> {
    let mut place = Vec::with_capacity(16 + tenant.len() + words.len());
    for part in [tenant, words] {
        place.extend_from_slice(&(part.len() as u64).to_be_bytes());
        place.extend_from_slice(part.as_bytes());
    }
    place
}

const VERSION: u8 = 1;
/// A sealed data key: nonce, 32 bytes, tag.
const WRAPPED_BYTES: usize = 12 + 32 + 16;

#[cfg(test)]
mod tests;
