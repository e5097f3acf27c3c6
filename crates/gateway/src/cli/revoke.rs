//! `portunus revoke`, `portunus revoked`: what is no longer good, at a gateway that is named or in a gateway's own database.
//!
//! They need the database that the configuration names and nothing else, so they also work while no gateway answers. Every
//! gateway on that database goes by a new row within a second.

use super::ConfigFile;
use super::api::{self, Place};
use super::exit::Failure;
use super::out::Out;
use crate::config::{self, Settings};
use crate::identity::Identity;
use authn::revocations::{self, Kind, Listed, Revocation};
use clap::Subcommand;
use model::{Clock, Dice, SystemClock, SystemDice, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use storage::Db;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What kind of thing: token, grant, session, user, agent, client, key or server.
    #[arg(value_parser = kind)]
    kind: Kind,
    /// Which one: a `jti` or the SHA-256 of a token, the id of the others, a server's name.
    id: String,
    #[command(flatten)]
    scope: Scope,
    /// Only what was issued until now; what is issued later is good. For a person who may sign in again.
    #[arg(long)]
    issued_until_now: bool,
    /// How long the revocation is kept: at least as long as what it means can live. Default: for good.
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    period: Option<Duration>,
    /// Why, for the record. No token, no secret, no e-mail address.
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Lists what is revoked, the newest first.
    List {
        /// One kind only.
        #[arg(long, value_parser = kind)]
        kind: Option<Kind>,
        /// The most rows.
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Takes a revocation back. What has ended does not come back.
    Lift {
        /// What kind of thing.
        #[arg(value_parser = kind)]
        kind: Kind,
        /// Which one.
        id: String,
        #[command(flatten)]
        scope: Scope,
        /// Why, for the record.
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Scope {
    /// Of this tenant only.
    #[arg(long)]
    tenant: Option<String>,
    /// Of this issuer only, as in `iss`.
    #[arg(long)]
    issuer: Option<String>,
}

/// Revokes.
pub(super) fn revoke(arguments: &Arguments, out: &mut Out) -> Result<(), Failure> {
    if arguments.place.is_named() {
        let Arguments { kind, id, scope, reason, issued_until_now, period, .. } = arguments;
        let body = serde_json::json!({
            "kind": kind, "id": id, "tenant": scope.tenant, "issuer": scope.issuer, "reason": reason,
            "issued_until_now": issued_until_now,
            "expires_at": period.map(|period| SystemClock::default().now().after(period)),
        });
        return api::revoke(&arguments.place, body, out);
    }
    let settings = config::load(&arguments.file.config)?;
    let now = SystemClock::default().now();
    let revocation = Revocation {
        not_before: arguments.issued_until_now.then_some(now),
        expires_at: arguments.period.map(|period| now.after(period)),
        ..named(arguments.kind, &arguments.id, &arguments.scope, &arguments.reason)
    };
    with_database(&settings, async |db| match arguments.kind {
        Kind::Key => revoke_key(&settings, &db, revocation.clone(), now).await,
        _ => revocations::revoke(&db, &revocation, now)
            .await
            .map(drop)
            .map_err(|error| failed("revoke", &error)),
    })?;
    Ok(out.line(format!("{} {} is revoked", arguments.kind.as_str(), arguments.id))?)
}

/// Lists and lifts.
pub(super) fn run(command: &Command, out: &mut Out) -> Result<(), Failure> {
    let now = SystemClock::default().now();
    match command {
        Command::List { kind, limit, json, file } => {
            let settings = config::load(&file.config)?;
            let rows = with_database(&settings, async |db| {
                let rows = revocations::revocations(&db, *kind, now, *limit).await;
                rows.map_err(|error| failed("read the revocations", &error))
            })?;
            for row in rows {
                if *json {
                    out.line(serde_json::to_string(&row).unwrap_or_default())?;
                } else {
                    out.line(line(&row))?;
                }
            }
            Ok(())
        }
        Command::Lift { kind, id, scope, reason, file } => {
            let settings = config::load(&file.config)?;
            let revocation = named(*kind, id, scope, reason);
            let lifted = with_database(&settings, async |db| {
                let lifted = revocations::lift(&db, &revocation, now).await;
                lifted.map_err(|error| failed("take the revocation back", &error))
            })?;
            if !lifted {
                let text = format!("{} {id} is not revoked, not for this tenant and issuer", kind.as_str());
                return Err(Failure::Found(text.to_owned()));
            }
            Ok(out.line(format!("{} {id} is good again", kind.as_str()))?)
        }
    }
}

fn named(kind: Kind, id: &str, scope: &Scope, reason: &str) -> Revocation {
    Revocation {
        tenant: scope.tenant.clone(),
        issuer: scope.issuer.clone(),
        ..Revocation::new(kind, id, OPERATOR).because(reason)
    }
}

/// Its tokens are refused, and if it is ours the key set no longer has it.
async fn revoke_key(
    settings: &Settings,
    db: &Db,
    revocation: Revocation,
    now: Timestamp,
) -> Result<(), String> {
    let (clock, dice): (Arc<dyn Clock>, Arc<dyn Dice>) =
        (Arc::new(SystemClock::default()), Arc::new(SystemDice));
    let opened = Identity::open(settings, &clock, &dice).await;
    let identity = opened.map_err(|error| failed("open the keys", &error))?;
    let identity = identity.ok_or_else(|| "there are no keys".to_owned())?;
    let revoked = revocations::revoke_key(db, &identity.keys, revocation, now).await;
    revoked.map_err(|error| failed("revoke the key", &error))
}

fn with_database<T>(
    settings: &Settings,
    work: impl AsyncFnOnce(Db) -> Result<T, String>,
) -> Result<T, Failure> {
    let Some(config) = &settings.storage else {
        let text =
            "there is no database: the configuration has no section `storage` or `authorization_server`";
        return Err(Failure::Found(text.to_owned()));
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        let db = Db::open(config).await.map_err(|error| failed("open the database", &error))?;
        let done = work(db.clone()).await;
        db.close().await;
        done
    });
    done.map_err(Failure::Database)
}

/// What failed and why, one line.
fn failed(what: &str, error: &dyn std::error::Error) -> String {
    let mut text = format!("failed to {what}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn line(row: &Listed) -> String {
    let mut text = format!("{}  {} {}", row.created_at, row.kind.as_str(), row.id);
    let mut more = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            text.push_str(&format!("  {name} {value}"));
        }
    };
    more("tenant", row.tenant.clone());
    more("issuer", row.issuer.clone());
    more("issued-before", row.not_before.map(|moment| moment.to_string()));
    more("until", row.expires_at.map(|moment| moment.to_string()));
    more("by", Some(row.by.clone()));
    more("because", Some(row.reason.clone()));
    text
}

fn kind(word: &str) -> Result<Kind, String> {
    Kind::parse(word).ok_or_else(|| {
        let all: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("one of {}", all.join(", "))
    })
}

fn span(text: &str) -> Result<Duration, String> {
    config::span(text).ok_or_else(|| "a length of time such as 30s, 10m or 24h".to_owned())
}

/// Who revokes by the command line.
const OPERATOR: &str = "operator";
