//! The inside of a running gateway: what it reloads, what it tends, what it says of its health.

use crate::config::Settings;
use crate::health::{Health, HealthCheck, Status};
use crate::identity::Identity;
use crate::metrics::{Metrics, Reading};
use crate::standing::Standing;
use crate::{revocations, snapshot};
use admin::Admin;
use audit::{Failures, Writer};
use authn::Authn;
use issuer::Issuer;
use model::{Clock, Code, Digest};
use net::listen::Tls;
use proxy::{House, Rules};
use serde_json::json;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::TryRecvError;

/// Everything of a running gateway but its sockets.
pub(crate) struct Inside {
    /// The configuration file.
    pub(crate) file: PathBuf,
    /// Scheme, host and port of every endpoint.
    pub(crate) public_url: String,
    /// The data plane.
    pub(crate) house: Arc<House>,
    /// Identities, if there is a database.
    pub(crate) identity: Option<Arc<Identity>>,
    /// The authorization server, if this is one.
    pub(crate) issuer: Option<Arc<Issuer>>,
    /// The admin API, if there is one.
    pub(crate) admin: Option<Arc<Admin>>,
    /// Who is calling.
    pub(crate) authn: Arc<Authn>,
    /// The policies in force.
    pub(crate) rules: Arc<Rules>,
    /// The record.
    pub(crate) audit: Writer,
    /// Failed authentications.
    pub(crate) failures: Arc<Failures>,
    /// Metrics.
    pub(crate) metrics: Arc<Metrics>,
    /// Time.
    pub(crate) clock: Arc<dyn Clock>,
    /// The listener's certificate.
    pub(crate) tls: Option<Tls>,
    /// What is in force.
    pub(crate) force: Mutex<Force>,
    /// One reload at a time.
    pub(crate) reloading: tokio::sync::Mutex<()>,
    /// Every server was asked once what it has, or had its time.
    pub(crate) asked: AtomicBool,
    /// No new requests should come.
    pub(crate) draining: AtomicBool,
}

/// What is in force.
pub(crate) struct Force {
    pub(crate) settings: Settings,
    pub(crate) configuration: Standing,
    pub(crate) policies: Standing,
    /// Of all texts that were last looked at, good or not.
    pub(crate) seen: Option<Digest>,
}

impl Inside {
    /// What is in force, for as long as `look` takes.
    pub(crate) fn in_force<T>(&self, look: impl FnOnce(&mut Force) -> T) -> T {
        look(&mut self.force.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on `/readyz` says that no new requests should come.
    pub(crate) fn begin_drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Looks after what needs it now and then, forever.
    pub(crate) async fn tend(self: Arc<Self>) {
        let mut changes = self.house.catalog().changes();
        let first = self.in_force(|force| force.settings.limits.discovery_timeout);
        self.house.catalog().ready(first).await;
        self.asked.store(true, Ordering::Relaxed);
        let mut stale = true;
        loop {
            self.failures.flush_due();
            // Not at every refresh: only when a list is another than before, or news of it was missed.
            while !matches!(changes.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {
                stale = true;
            }
            if std::mem::take(&mut stale) {
                self.keep_snapshot().await;
            }
            tokio::time::sleep(TEND).await;
        }
    }

    /// Writes what the servers list where `portunus policy` finds it.
    async fn keep_snapshot(&self) {
        let path = self.in_force(|force| force.settings.data_dir.join(snapshot::FILE));
        let listed = self.house.catalog().snapshot();
        let shapes: Vec<policy::Shape> = listed.servers.values().flat_map(|server| server.shapes()).collect();
        let kept = tokio::task::spawn_blocking(move || snapshot::write(&path, &shapes)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!(%error, "the catalog's snapshot was not written");
        }
    }

    /// Is it fit to serve?
    pub(crate) fn health(&self) -> Health {
        let now = self.clock.now();
        let mut checks = vec![self.record(), self.issuers()];
        self.in_force(|force| {
            for (name, standing) in [("configuration", &force.configuration), ("policies", &force.policies)] {
                checks.push(HealthCheck::new(name, standing.status(), standing.facts(now)));
            }
        });
        checks.extend(self.identity.iter().map(|identity| identity.health()));
        checks.extend(self.identity.iter().map(|identity| revocations::health(&identity.view)));
        checks.extend(crate::contracts::health(&self.authn));
        checks.extend(self.servers());
        if self.draining.load(Ordering::Relaxed) {
            checks.push(HealthCheck::new("draining", Status::Failed, json!({"reason": "shutting down"})));
        }
        Health(checks)
    }

    fn record(&self) -> HealthCheck {
        let health = self.audit.health();
        let (status, reason) = match &health.state {
            audit::State::Ready => (Status::Ok, None),
            audit::State::Failed(reason) => (Status::Failed, Some(reason.to_string())),
            audit::State::Closed => (Status::Failed, Some("closed".to_owned())),
        };
        let mut facts = json!({
            "queued": health.queued, "written": health.written, "durable": health.durable,
            "unsynced_ms": u64::try_from(health.unsynced_for.as_millis()).unwrap_or(u64::MAX),
        });
        if let (Some(reason), Some(facts)) = (reason, facts.as_object_mut()) {
            facts.insert("reason".to_owned(), reason.into());
            facts.insert("code".to_owned(), Code::RECORD_UNAVAILABLE.to_string().into());
        }
        HealthCheck::new("record", status, facts)
    }

    /// An issuer without keys turns its people away; no keys at all turns everybody away.
    fn issuers(&self) -> HealthCheck {
        let keys = self.authn.keys_in_force();
        let without: Vec<&str> =
            keys.iter().filter(|(_, keys)| *keys == 0).map(|(name, _)| name.as_str()).collect();
        let status = match without.len() {
            0 => Status::Ok,
            all if all == keys.len() && !self.in_force(|force| force.settings.listen.anonymous.is_some()) => {
                Status::Failed
            }
            _ => Status::Degraded,
        };
        let mut facts = json!({"keys": keys.iter().cloned().collect::<std::collections::BTreeMap<_, _>>()});
        if let (false, Some(facts)) = (without.is_empty(), facts.as_object_mut()) {
            facts.insert("reason".to_owned(), format!("no keys of {}", without.join(", ")).into());
            facts.insert("code".to_owned(), Code::ISSUER_UNAVAILABLE.to_string().into());
        }
        HealthCheck::new("issuers", status, facts)
    }

    /// A server that does not answer degrades the gateway; until all were asked once it is not ready.
    fn servers(&self) -> Vec<HealthCheck> {
        let asked = self.asked.load(Ordering::Relaxed);
        let check = |server: &proxy::ServerView| {
            let facts = |reason: Option<(Code, &str)>| {
                let mut facts = json!({"tools": server.tools.len(), "prompts": server.prompts.len()});
                if let (Some((code, reason)), Some(facts)) = (reason, facts.as_object_mut()) {
                    facts.insert("code".to_owned(), code.to_string().into());
                    facts.insert("reason".to_owned(), reason.into());
                }
                facts
            };
            let (status, facts) = match &server.state {
                proxy::State::Ready => (Status::Ok, facts(None)),
                proxy::State::Missing { code, reason } if asked => {
                    (Status::Degraded, facts(Some((*code, reason))))
                }
                proxy::State::Missing { .. } => {
                    (Status::Failed, json!({"reason": "it is being asked what it has"}))
                }
            };
            HealthCheck::new(format!("server:{}", server.name), status, facts)
        };
        self.house.catalog().snapshot().servers.values().map(|server| check(server)).collect()
    }

    /// The text of a scrape.
    pub(crate) fn metrics(&self) -> String {
        let (record, now) = (self.audit.health(), self.clock.now());
        self.metrics.render(&Reading {
            servers: self
                .house
                .catalog()
                .snapshot()
                .servers
                .values()
                .map(|server| state_of(server))
                .collect(),
            record_ready: record.state == audit::State::Ready,
            record_queued: record.queued,
            policy_age: now.since(self.in_force(|force| force.policies.since)).as_secs_f64(),
            occupancy: self.house.occupancy(),
            revocations: self
                .identity
                .as_ref()
                .map(|identity| (identity.view.age().as_secs_f64(), identity.view.size())),
        })
    }
}

fn state_of(server: &proxy::ServerView) -> (String, &'static str) {
    let word = match server.state {
        proxy::State::Ready => "ready",
        proxy::State::Missing { .. } => "missing",
    };
    (server.name.to_string(), word)
}

/// How often what needs it is looked after.
const TEND: Duration = Duration::from_millis(500);
