//! `portunus keys`: the keys that sign our tokens, in the database of the configuration. A running gateway follows within
//! a second.

use super::keys::KeysVerb;
use crate::cli::exit::Failure;
use crate::cli::out::Out;
use crate::config;
use crate::identity::Identity;
use authn::revocations::{Kind, Revocation, revoke_key};
use model::{Clock, Dice, SystemClock, SystemDice, Timestamp};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use vault::{SigningKeyRow, SigningKeys};

/// What the verb says, on the database that `file` names.
pub(super) fn run(verb: &KeysVerb, file: &Path, json: bool, out: &mut Out) -> Result<(), Failure> {
    let settings = config::load(file)?;
    let (clock, dice): (Arc<dyn Clock>, Arc<dyn Dice>) =
        (Arc::new(SystemClock::default()), Arc::new(SystemDice));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let opened = Identity::open(&settings, &clock, &dice).await;
        let identity = opened.map_err(|error| Failure::Start(error.into()))?.ok_or_else(|| {
            Failure::Usage(
                "this configuration needs no keys: it has neither `storage` nor what needs it".into(),
            )
        })?;
        let found = |error: vault::VaultError| Failure::Found(error.to_string());
        let keys = &identity.keys;
        match verb {
            KeysVerb::List => {}
            KeysVerb::Rotate { force } => {
                let rows = keys.list().await.map_err(found)?;
                if !force && !SigningKeys::next_is_known(&rows, clock.now()) {
                    return Err(Failure::Found(NOT_KNOWN.to_owned()));
                }
                keys.rotate().await.map_err(found)?;
            }
            KeysVerb::Revoke { key } => {
                if !keys.list().await.map_err(found)?.iter().any(|row| row.kid == *key) {
                    return Err(found(vault::VaultError::UnknownKey(key.clone())));
                }
                // Out of the key set, and its tokens are refused on every replica.
                let revocation = Revocation::new(Kind::Key, key, "operator").because("portunus keys revoke");
                let revoked = revoke_key(&identity.db, keys, revocation, clock.now()).await;
                revoked.map_err(|error| Failure::Database(error.to_string()))?;
            }
        }
        list(&keys.list().await.map_err(found)?, json, out)
    })
}

fn list(keys: &[SigningKeyRow], json: bool, out: &mut Out) -> Result<(), Failure> {
    if json {
        return Ok(out.json(&json!(keys))?);
    }
    let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let row = |key: &SigningKeyRow| {
        vec![
            key.kid.clone(),
            key.state.as_str().to_owned(),
            key.created_at.to_string(),
            time(key.activated_at),
            time(key.retired_at),
            time(key.ended_at),
        ]
    };
    let rows: Vec<Vec<String>> = keys.iter().map(row).collect();
    Ok(out.table(&["kid", "state", "published", "signs since", "signed until", "gone since"], &rows)?)
}

const NOT_KNOWN: &str = "the next key was published so lately that who keeps a copy of the key set may not know it: wait, or --force";
