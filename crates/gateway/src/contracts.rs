//! Stored token contracts on their way to `authn`: looked at twice a second, and at once when somebody says that they
//! changed. What comes into force here is on record, whoever put it there.

use crate::health::{HealthCheck, Status};
use crate::inside::Inside;
use authn::Authn;
use authn::contract::{ContractError, ContractKey, ContractRow, Contracts, Standing, Status as Life};
use ledger::{About, Event, Leaf, What};
use model::Code;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// What became of one contract.
pub(crate) struct Change {
    key: ContractKey,
    by: String,
    /// `version 3 is enforced`.
    what: String,
}

/// Puts in force what the rows say, if that is something else than before.
///
/// # Errors
/// The database's; what was in force stays.
pub(crate) async fn take(contracts: &Contracts, authn: &Authn) -> Result<Vec<Change>, ContractError> {
    let rows = contracts.standing().await?;
    let before = authn.standing();
    if before.is_of(&rows) {
        return Ok(Vec::new());
    }
    let standing = Standing::of(&rows, &before);
    for why in standing.unreadable() {
        tracing::error!(contract = why, "a token contract cannot be read and is not in force");
    }
    authn.enforce(standing);
    let (mut changes, gone) = changes(&before, &rows);
    for (key, version, life) in gone {
        // Who ended it is in its row, which is not among those that stand.
        let by = contracts.get(&key, version).await?.map(|row| row.changed_by).unwrap_or_default();
        let what = format!("version {version} is no longer {}, and none is", word(life));
        changes.push(Change { key, by, what });
    }
    Ok(changes)
}

/// What has come into force or into shadow, and what has left it without another in its place.
type Gone = Vec<(ContractKey, i64, Life)>;

fn changes(before: &Standing, rows: &[ContractRow]) -> (Vec<Change>, Gone) {
    let is_known = |row: &ContractRow| {
        before
            .versions()
            .iter()
            .any(|(key, version, life)| (key, *version, *life) == (&row.key, row.version, row.status))
    };
    let come = rows.iter().filter(|row| !is_known(row)).map(|row| Change {
        key: row.key.clone(),
        by: row.changed_by.clone(),
        what: format!("version {} is {}", row.version, word(row.status)),
    });
    let stands = |key: &ContractKey, life: Life| rows.iter().any(|row| row.key == *key && row.status == life);
    let gone = before.versions().iter().filter(|(key, _, life)| !stands(key, *life)).cloned();
    (come.collect(), gone.collect())
}

const fn word(life: Life) -> &'static str {
    match life {
        Life::Enforced => "enforced",
        _ => "in shadow",
    }
}

/// Follows the rows, forever.
pub(crate) async fn follow(contracts: Contracts, inside: Arc<Inside>) {
    let mut is_told = false;
    loop {
        let mut notices = contracts.notices().await.ok();
        loop {
            let heard = async {
                match &mut notices {
                    Some(notices) => notices.next().await.is_ok(),
                    None => std::future::pending().await,
                }
            };
            // A lost connection is made anew after the next look.
            let stands = tokio::select! {
                heard = heard => heard,
                () = tokio::time::sleep(LOOK) => notices.is_some(),
            };
            match take(&contracts, &inside.authn).await {
                Ok(changes) => {
                    changes.iter().for_each(|change| record(&inside, change));
                    is_told = false;
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "token contracts are not looked at"
                        );
                    }
                    tokio::time::sleep(LOOK).await;
                }
            }
            if !stands {
                break;
            }
        }
    }
}

fn record(inside: &Inside, change: &Change) {
    let resource = change.key.resource.as_deref().unwrap_or("every resource");
    let name = format!("{} at {resource}", change.key.issuer);
    tracing::info!(contract = name, what = change.what, by = change.by, "token contract");
    let event = Event {
        by: Some(change.by.as_str().into()),
        about: Some(About::new("contract", &name)),
        detail: Some(change.what.as_str().into()),
        ..Event::of(What::ContractChanged)
    };
    if inside.audit.append(inside.clock.now(), &Leaf::Event(event)).is_err() {
        tracing::warn!(contract = name, "an event could not be recorded");
    }
}

/// Something only to say where a contract cannot be read.
pub(crate) fn health(authn: &Authn) -> Option<HealthCheck> {
    let standing = authn.standing();
    let unreadable = standing.unreadable();
    let facts = json!({"reason": unreadable.join("; "), "code": Code::CONTRACT_UNREADABLE.to_string()});
    (!unreadable.is_empty()).then(|| HealthCheck::new("contracts", Status::Degraded, facts))
}

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
