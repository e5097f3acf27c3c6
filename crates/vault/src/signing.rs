//! The keys that sign our tokens: next → active → retiring → removed, or revoked at once.
//!
//! A key is published a while before it signs, so that whoever keeps a copy of our key set has it in time, and as long
//! after as a token of its may live. All replicas keep the same rows; whoever comes first does what is due.

use crate::{Keyring, PublicKey, VaultError};
use arc_swap::ArcSwap;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{Clock, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use storage::{Db, StorageError, on, sqlx, transaction};

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Published, and will sign.
    Next,
    /// Signs.
    Active,
    /// Still published: tokens of its may be under way.
    Retiring,
    /// At its end; its private half is gone.
    Removed,
    /// Taken out of use at once; its private half is gone.
    Revoked,
}

impl KeyState {
    /// The word in lists and on record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Removed => "removed",
            Self::Revoked => "revoked",
        }
    }

    fn parse(text: &str) -> Result<Self, VaultError> {
        Ok(match text {
            "next" => Self::Next,
            "active" => Self::Active,
            "retiring" => Self::Retiring,
            "removed" => Self::Removed,
            "revoked" => Self::Revoked,
            _ => return Err(StorageError::Corrupt(format!("signing key in state {text:?}")).into()),
        })
    }

    /// Whether it stands in the key set.
    pub const fn is_published(self) -> bool {
        matches!(self, Self::Next | Self::Active | Self::Retiring)
    }
}

/// How long a key is what.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    /// Published before it signs: at least twice as long as copies of the key set are kept.
    pub ahead: Duration,
    /// Signs.
    pub active: Duration,
    /// Published after it signed: the longest life of a token, and the difference of clocks.
    pub retiring: Duration,
}

impl Default for Lifecycle {
    fn default() -> Self {
        const DAY: u64 = 24 * 3600;
        Self {
            ahead: Duration::from_secs(DAY),
            active: Duration::from_secs(30 * DAY),
            retiring: Duration::from_secs(DAY),
        }
    }
}

/// One key, for lists.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SigningKeyRow {
    /// Its id.
    pub kid: String,
    /// Where it is in its life.
    pub state: KeyState,
    /// When it was made, in milliseconds since the epoch.
    pub created_at: Timestamp,
    /// Since when it signs.
    pub activated_at: Option<Timestamp>,
    /// Since when it no longer signs.
    pub retired_at: Option<Timestamp>,
    /// Since when it is no longer published.
    pub ended_at: Option<Timestamp>,
}

/// A signature and the key that made it.
pub struct SignedBy {
    /// The key's id.
    pub kid: Arc<str>,
    /// The token in its compact form (RFC 7515 §3.1).
    pub token: String,
}

/// The signing keys in force. Shared by all who sign and by who serves the key set.
pub struct SigningKeys {
    db: Db,
    keyring: Arc<Keyring>,
    lifecycle: Lifecycle,
    clock: Arc<dyn Clock>,
    view: ArcSwap<View>,
    known: Mutex<Known>,
}

/// The states of the keys, as the rows were read last, and what has changed since somebody asked.
#[derive(Default)]
struct Known {
    states: HashMap<String, KeyState>,
    changes: Vec<(String, KeyState)>,
}

/// The rows, made fit for use.
struct View {
    active: Option<Active>,
    published: Arc<Vec<PublicKey>>,
}

struct Active {
    kid: Arc<str>,
    pair: Arc<EcdsaKeyPair>,
}

impl SigningKeys {
    /// The keys of `db`; makes the first ones.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn open(
        db: Db,
        keyring: Arc<Keyring>,
        lifecycle: Lifecycle,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, VaultError> {
        let view = View { active: None, published: Arc::default() };
        let (view, known) = (ArcSwap::from_pointee(view), Mutex::default());
        let keys = Self { db, keyring, lifecycle, clock, view, known };
        keys.tend().await?;
        Ok(keys)
    }

    /// Signs a JWT with the active key. `typ` is the header's, `claims` are the bytes of a JSON object. Takes some
    /// thirty microseconds and never waits.
    ///
    /// # Errors
    /// [`VaultError::NoSigningKey`].
    pub fn sign(&self, typ: &str, claims: &[u8]) -> Result<SignedBy, VaultError> {
        let view = self.view.load();
        let active = view.active.as_ref().ok_or(VaultError::NoSigningKey)?;
        let header = serde_json::json!({"alg": "ES256", "typ": typ, "kid": &*active.kid}).to_string();
        let mut token = String::with_capacity((header.len() + claims.len() + 66) * 4 / 3 + 8);
        URL_SAFE_NO_PAD.encode_string(header, &mut token);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signed = active.pair.sign(&SystemRandom::new(), token.as_bytes());
        let signature = signed.map_err(|_| VaultError::Provider)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(SignedBy { kid: Arc::clone(&active.kid), token })
    }

    /// Whether everybody who keeps a copy of the key set has fetched the next key by now.
    pub fn next_is_known(rows: &[SigningKeyRow], now: Timestamp) -> bool {
        let next = rows.iter().find(|row| row.state == KeyState::Next);
        next.is_some_and(|next| now.since(next.created_at) >= COPIED * 2)
    }

    /// The keys that verify what we sign.
    pub fn published(&self) -> Arc<Vec<PublicKey>> {
        Arc::clone(&self.view.load().published)
    }

    /// The key set (RFC 7517 §5).
    pub fn jwks(&self) -> serde_json::Value {
        let keys: Vec<_> = self.published().iter().map(PublicKey::to_json).collect();
        serde_json::json!({ "keys": keys })
    }

    /// Does what is due, and reads the rows anew. To be called about every second, on every replica.
    ///
    /// # Errors
    /// [`VaultError`]; what was in force stays in force.
    pub async fn tend(&self) -> Result<(), VaultError> {
        let mut rows = self.list().await?;
        if self.advance(&rows).await? {
            rows = self.list().await?;
        }
        self.read(&rows).await?;
        self.notice(&rows);
        Ok(())
    }

    /// Which keys came into which state since this was asked last, whoever moved them; for the record.
    pub fn changes(&self) -> Vec<(String, KeyState)> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut known.changes)
    }

    fn notice(&self, rows: &[SigningKeyRow]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = known.states.is_empty();
        for row in rows {
            if known.states.insert(row.kid.clone(), row.state) != Some(row.state) && !is_first {
                known.changes.push((row.kid.clone(), row.state));
            }
        }
    }

    /// Every key there is or was, the newest first.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn list(&self) -> Result<Vec<SigningKeyRow>, VaultError> {
        const LIST: &str = "SELECT kid, state, created_at, activated_at, retired_at, ended_at
            FROM signing_keys ORDER BY created_at DESC, kid";
        type Row = (String, String, i64, Option<i64>, Option<i64>, Option<i64>);
        let rows: Vec<Row> = on!(self.db, pool => sqlx::query_as(LIST).fetch_all(pool).await)?;
        let row = |(kid, state, created, activated, retired, ended): Row| {
            Ok(SigningKeyRow {
                kid,
                state: KeyState::parse(&state)?,
                created_at: Timestamp(created),
                activated_at: activated.map(Timestamp),
                retired_at: retired.map(Timestamp),
                ended_at: ended.map(Timestamp),
            })
        };
        rows.into_iter().map(row).collect()
    }

    /// The next key signs from now on, however long it was published.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn rotate(&self) -> Result<(), VaultError> {
        self.promote().await?;
        self.tend().await
    }

    /// Takes a key out of use at once. If it was the active one, the next one signs. Tokens of its are refused by
    /// whoever fetches the key set; a revocation of kind `key` refuses them here.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`] if it is not published.
    pub async fn revoke(&self, kid: &str) -> Result<(), VaultError> {
        const REVOKE: &str = "UPDATE signing_keys SET state = 'revoked', private = NULL, ended_at = $1
            WHERE kid = $2 AND state IN ('next', 'active', 'retiring') RETURNING kid";
        let now = self.clock.now().0;
        let revoked: Option<String> =
            on!(self.db, pool => sqlx::query_scalar(REVOKE).bind(now).bind(kid).fetch_optional(pool).await)?;
        if revoked.is_none() {
            return Err(VaultError::UnknownKey(kid.to_owned()));
        }
        self.tend().await
    }

    /// Moves every key on whose time has come; says whether there was any.
    async fn advance(&self, rows: &[SigningKeyRow]) -> Result<bool, VaultError> {
        const REMOVE: &str = "UPDATE signing_keys SET state = 'removed', private = NULL, ended_at = $1
            WHERE state = 'retiring' AND retired_at <= $2";
        let now = self.clock.now();
        let of = |state: KeyState| rows.iter().find(|row| row.state == state);
        let is_past =
            |since: Option<Timestamp>, time: Duration| since.is_some_and(|at| now >= at.after(time));
        let mut changed = false;
        let (next, active) = (of(KeyState::Next), of(KeyState::Active));
        let due = match (active, next) {
            (None, _) => true,
            (Some(active), Some(next)) => {
                is_past(active.activated_at, self.lifecycle.active)
                    && is_past(Some(next.created_at), self.lifecycle.ahead)
            }
            (Some(_), None) => false,
        };
        if due {
            if next.is_none() {
                self.make().await?;
            }
            self.promote().await?;
            changed = true;
        }
        if due || next.is_none() {
            self.make().await?;
            changed = true;
        }
        let over = |row: &SigningKeyRow| {
            row.state == KeyState::Retiring && is_past(row.retired_at, self.lifecycle.retiring)
        };
        if rows.iter().any(over) {
            let kept = i64::try_from(self.lifecycle.retiring.as_millis()).unwrap_or(i64::MAX);
            let until = now.0.saturating_sub(kept);
            on!(self.db, pool => sqlx::query(REMOVE).bind(now.0).bind(until).execute(pool).await.map(drop))?;
            changed = true;
        }
        Ok(changed)
    }

    /// The next key becomes the active one, and the active one retires.
    async fn promote(&self) -> Result<(), VaultError> {
        const RETIRE: &str =
            "UPDATE signing_keys SET state = 'retiring', retired_at = $1 WHERE state = 'active'";
        const ACTIVATE: &str = "UPDATE signing_keys SET state = 'active', activated_at = $1
            WHERE state = 'next' RETURNING kid";
        let now = self.clock.now().0;
        let done: Result<bool, VaultError> = transaction!(self.db, tx => {
            sqlx::query(RETIRE).bind(now).execute(&mut **tx).await?;
            let next: Option<String> = sqlx::query_scalar(ACTIVATE).bind(now).fetch_optional(&mut **tx).await?;
            // Without a next one nothing retires: the transaction is rolled back.
            next.ok_or(VaultError::NoSigningKey).map(|_| true)
        });
        match done {
            // Another replica was quicker.
            Err(VaultError::Storage(StorageError::Conflict) | VaultError::NoSigningKey) => Ok(()),
            done => done.map(drop),
        }
    }

    /// Makes the next key, unless there is one.
    async fn make(&self) -> Result<(), VaultError> {
        const INSERT: &str = "INSERT INTO signing_keys (kid, state, public, private, created_at)
            VALUES ($1, 'next', $2, $3, $4) ON CONFLICT DO NOTHING";
        let made = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        let pair = made.map_err(|_| VaultError::Provider)?;
        let public = PublicKey::new(pair.public_key().as_ref()).ok_or(VaultError::Provider)?;
        let private = pair.to_pkcs8v1().map_err(|_| VaultError::Provider)?;
        let sealed = self.keyring.seal(HOUSE, &belongs_to(&public.kid), private.as_ref()).await?;
        let (point, now) = (URL_SAFE_NO_PAD.encode(&public.point), self.clock.now().0);
        on!(self.db, pool => {
            let insert = sqlx::query(INSERT).bind(&public.kid).bind(&point).bind(&sealed).bind(now);
            insert.execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// Puts the rows in force.
    async fn read(&self, rows: &[SigningKeyRow]) -> Result<(), VaultError> {
        const KEY: &str = "SELECT public, private FROM signing_keys WHERE kid = $1";
        let view = self.view.load();
        let mut published = Vec::new();
        let mut active = None;
        for row in rows.iter().filter(|row| row.state.is_published()) {
            let known = view.published.iter().find(|key| key.kid == row.kid);
            let signs = row.state == KeyState::Active;
            let is_active = view.active.as_ref().is_some_and(|active| *active.kid == *row.kid);
            if let Some(known) = known.filter(|_| is_active == signs) {
                published.push(known.clone());
                continue;
            }
            let found: Option<(String, Option<Vec<u8>>)> =
                on!(self.db, pool => sqlx::query_as(KEY).bind(&row.kid).fetch_optional(pool).await)?;
            // Removed since the list was read: the next turn sees it.
            let Some((point, private)) = found else { continue };
            let corrupt = || StorageError::Corrupt(format!("signing key {}", row.kid));
            let point = URL_SAFE_NO_PAD.decode(point).map_err(|_| corrupt())?;
            let public = PublicKey::new(&point).filter(|key| key.kid == row.kid).ok_or_else(corrupt)?;
            if let Some(private) = private.filter(|_| signs) {
                let secret = self.keyring.unseal(HOUSE, &belongs_to(&row.kid), &private).await?;
                let pair = secret.lend(|key| EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key));
                let pair = pair.map_err(|_| VaultError::Sealed)?;
                if pair.public_key().as_ref() != public.point {
                    return Err(corrupt().into());
                }
                active = Some(Active { kid: row.kid.as_str().into(), pair: Arc::new(pair) });
            }
            published.push(public);
        }
        let kids = |keys: &[PublicKey]| keys.iter().map(|key| key.kid.clone()).collect::<Vec<_>>();
        if active.is_none() && kids(&published) == kids(&view.published) {
            return Ok(());
        }
        let active = match active {
            Some(active) => Some(active),
            None => still_active(rows, &view),
        };
        self.view.store(Arc::new(View { active, published: Arc::new(published) }));
        Ok(())
    }
}

/// The key that signs, if it is the one that signed before.
fn still_active(rows: &[SigningKeyRow], view: &View) -> Option<Active> {
    let before = view.active.as_ref()?;
    let still = rows.iter().any(|row| row.state == KeyState::Active && *row.kid == *before.kid);
    still.then(|| Active { kid: Arc::clone(&before.kid), pair: Arc::clone(&before.pair) })
}

fn belongs_to(kid: &str) -> String {
    format!("signing-key|{kid}")
}

/// How long a copy of the key set is kept, as the set says (`Cache-Control`).
const COPIED: Duration = Duration::from_secs(300);
/// Whose wrapping key covers the keys of the house itself.
const HOUSE: &str = "portunus";

#[cfg(test)]
mod tests;
