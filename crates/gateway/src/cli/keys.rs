//! `portunus keys`: the keys that sign our tokens, in the database of the configuration. A running gateway follows within
//! a second.

use super::ConfigFile;
use super::exit::Failure;
use super::out::Out;
use crate::config;
use crate::identity::Identity;
use authn::revocations::{Kind, Revocation, revoke_key};
use clap::Subcommand;
use model::{Clock, Dice, SystemClock, SystemDice, Timestamp};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use vault::{KeyState, SigningKeyRow};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Every key there is or was, the newest first.
    List(List),
    /// The next key signs from now on, and another one is published to follow it.
    Rotate(Rotate),
    /// Takes a key out of the published set at once. If it was the one that signs, the next one does.
    Revoke(Revoke),
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    file: ConfigFile,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Rotate {
    #[command(flatten)]
    file: ConfigFile,
    /// Even if the next key was published so lately that some may not know it yet.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Revoke {
    #[command(flatten)]
    file: ConfigFile,
    /// The key's id.
    kid: String,
}

pub(super) fn run(command: &Command, out: &mut Out) -> Result<(), Failure> {
    let file = match command {
        Command::List(List { file, .. }) | Command::Rotate(Rotate { file, .. }) => file,
        Command::Revoke(Revoke { file, .. }) => file,
    };
    let settings = config::load(&file.config)?;
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
        match command {
            Command::List(List { json, .. }) => list(&keys.list().await.map_err(found)?, *json, out),
            Command::Rotate(Rotate { force, .. }) => {
                if !force {
                    is_known(&keys.list().await.map_err(found)?, clock.now())?;
                }
                keys.rotate().await.map_err(found)?;
                list(&keys.list().await.map_err(found)?, false, out)
            }
            Command::Revoke(Revoke { kid, .. }) => {
                if !keys.list().await.map_err(found)?.iter().any(|key| key.kid == *kid) {
                    return Err(found(vault::VaultError::UnknownKey(kid.clone())));
                }
                // Out of the key set, and its tokens are refused on every replica.
                let revocation = Revocation::new(Kind::Key, kid, "operator").because("portunus keys revoke");
                let revoked = revoke_key(&identity.db, keys, revocation, clock.now()).await;
                revoked.map_err(|error| Failure::Database(error.to_string()))?;
                list(&keys.list().await.map_err(found)?, false, out)
            }
        }
    })
}

/// Whoever keeps a copy of the key set has fetched the next key by now.
fn is_known(keys: &[SigningKeyRow], now: Timestamp) -> Result<(), Failure> {
    let next = keys.iter().find(|key| key.state == KeyState::Next);
    let known = next.is_some_and(|next| now.since(next.created_at) >= COPIED * 2);
    if known {
        return Ok(());
    }
    Err(Failure::Found(format!(
        "the next key was published less than {} minutes ago, and who keeps a copy of the key set may not know it: wait, or --force",
        (COPIED * 2).as_secs() / 60
    )))
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

/// How long a copy of the key set is kept, as the set says (`Cache-Control`).
const COPIED: Duration = Duration::from_secs(300);
