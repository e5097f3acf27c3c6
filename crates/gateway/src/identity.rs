//! What the house knows of identities and keeps in its database: the keys that sign, and the rooms that stand on them.
//! There is none of it where nothing needs a database.

use crate::config::Settings;
use crate::health::{HealthCheck, Status};
use authn::revocations::View;
use broker::{Minter, Sign, SignError, Signed};
use ledger::{About, Event, Leaf, What};
use model::{Clock, Dice, Timestamp};
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use storage::{Db, StorageError};
use vault::{KeyFileError, KeyState, Keyring, Lifecycle, Root, SigningKeys, VaultError, key_files};

/// The database and what stands on it.
pub(crate) struct Identity {
    /// The database.
    pub(crate) db: Db,
    /// The keys that sign our tokens.
    pub(crate) keys: Arc<SigningKeys>,
    /// Opens and seals values of tenants.
    pub(crate) keyring: Arc<Keyring>,
    /// What has been revoked.
    pub(crate) view: Arc<View>,
    /// Why the last look at the rows failed, if it did.
    fault: Mutex<Option<String>>,
}

/// Identities could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The root keys.
    #[error(transparent)]
    Root(#[from] KeyFileError),
    /// Keys in the database.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Token contracts in the database.
    #[error(transparent)]
    Contracts(#[from] authn::contract::ContractError),
}

impl Identity {
    /// Opens the database that the settings name; `None` if they name none.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub(crate) async fn open(
        settings: &Settings,
        clock: &Arc<dyn Clock>,
        dice: &Arc<dyn Dice>,
    ) -> Result<Option<Arc<Self>>, IdentityError> {
        let Some(config) = &settings.storage else { return Ok(None) };
        let db = Db::open(config).await?;
        let root = Root::new(&key_files(&settings.keys_dir, "root", dice.as_ref())?)?;
        let keyring = Arc::new(Keyring::open(db.clone(), root, Arc::clone(clock), Arc::clone(dice)).await?);
        let keys =
            SigningKeys::open(db.clone(), Arc::clone(&keyring), Lifecycle::default(), Arc::clone(clock))
                .await?;
        let view = Arc::new(View::open(&db, settings.revocation.clone(), Arc::clone(clock)).await?);
        Ok(Some(Arc::new(Self { keys: Arc::new(keys), keyring, db, view, fault: Mutex::new(None) })))
    }

    /// How our own tokens are verified, where the settings say that we issue any: the keys are at hand.
    pub(crate) fn vouches(&self, settings: &Settings, public_url: &str) -> Option<authn::IssuerConfig> {
        let section = settings.authorization_server.as_ref()?;
        // The command line's tokens for the admin API are ours too.
        let longest = section.config(public_url, Vec::new()).access_token.max(admin::TOKEN_LIFETIME);
        Some(authn::IssuerConfig::own(public_url, Arc::clone(&self.keys), longest))
    }

    /// Looks after what needs it, forever.
    pub(crate) async fn tend(self: Arc<Self>, audit: audit::Writer, clock: Arc<dyn Clock>) {
        loop {
            tokio::time::sleep(TEND).await;
            let tended = self.keys.tend().await;
            for (kid, state) in self.keys.changes() {
                record(&audit, clock.now(), &kid, state);
            }
            let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
            if let (Err(error), None) = (&tended, &*fault) {
                // Once, and not every second for as long as it lasts; `/readyz` says so all the while.
                tracing::error!(error = error as &dyn std::error::Error, "the signing keys are not tended");
            }
            *fault = tended.err().map(|error| error.to_string());
        }
    }

    /// What signs the identity of callers for servers, as `issuer`.
    pub(crate) fn minter(
        self: &Arc<Self>,
        issuer: &str,
        clock: &Arc<dyn Clock>,
        dice: &Arc<dyn Dice>,
    ) -> Arc<Minter> {
        let signer = Arc::new(Signer(Arc::clone(self)));
        Arc::new(Minter::new(issuer, signer, Arc::clone(clock), Arc::clone(dice)))
    }

    /// Whether the database answers. Without it nobody can sign in; tokens that were issued are still verified.
    pub(crate) fn health(&self) -> HealthCheck {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = self.db.kind();
        match &*fault {
            None => HealthCheck::new("storage", Status::Ok, json!({"kind": kind})),
            Some(reason) => {
                HealthCheck::new("storage", Status::Degraded, json!({"kind": kind, "reason": reason}))
            }
        }
    }
}

/// Deletes rows that nobody will ask for any more, forever.
pub(crate) async fn sweep(issuer: Arc<issuer::Issuer>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        if let Err(error) = issuer.tend().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "what has ended is not deleted");
        }
    }
}

/// A key that came into another state, whoever moved it, is on record wherever it counts.
fn record(audit: &audit::Writer, now: Timestamp, kid: &str, state: KeyState) {
    let what = if state == KeyState::Revoked { What::KeyRevoked } else { What::KeyRotated };
    let event = Event {
        by: Some("portunus".into()),
        about: Some(About::new("key", kid)),
        detail: Some(state.as_str().into()),
        ..Event::of(what)
    };
    if audit.append(now, &Leaf::Event(event)).is_err() {
        tracing::warn!(kid, state = state.as_str(), "an event could not be recorded");
    }
}

/// Lends the broker the keys, and nothing but their signature.
struct Signer(Arc<Identity>);

impl Sign for Signer {
    fn sign(&self, typ: &str, claims: &[u8]) -> Result<Signed, SignError> {
        match self.0.keys.sign(typ, claims) {
            Ok(signed) => Ok(Signed { kid: signed.kid, token: signed.token }),
            Err(error) => Err(SignError(error.to_string())),
        }
    }
}

/// How often rows that have ended are deleted.
const SWEEP: Duration = Duration::from_secs(60);
/// How often the rows are looked at.
const TEND: Duration = Duration::from_secs(1);
