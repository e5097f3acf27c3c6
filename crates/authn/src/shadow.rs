//! A contract in shadow: held against every token that is judged anew, and obeyed by nobody. Where it says something
//! else than the enforced one, that is counted and logged, by the names of claims only.

use crate::contract::{Claims, Contract, Presented};
use crate::{AuthnError, Resource};
use model::{Clock, Timestamp};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Hears what happens in the room, for metrics and the record. Every method does nothing by default.
pub trait Watch: Send + Sync {
    /// A contract in shadow says something else than the one enforced.
    fn shadow_differs(&self, _difference: &Difference<'_>) {}

    /// An opaque token was asked about: `active`, `inactive` or `unknown`.
    fn introspected(&self, _issuer: &str, _outcome: &'static str) {}
}

/// One difference.
#[derive(Clone, Copy, Debug)]
pub struct Difference<'a> {
    /// The issuer of the token.
    pub issuer: &'a str,
    /// The resource it was presented at.
    pub resource: &'a str,
    /// The version enforced; zero is the configuration.
    pub enforced: i64,
    /// The version in shadow.
    pub shadow: i64,
    /// The claim that makes the difference.
    pub claim: &'static str,
    /// What the shadow does about it: `refuses`, `accepts` or `maps`.
    pub does: &'static str,
}

/// When a difference was last in the log: once a minute is enough for people, metrics count all.
#[derive(Default)]
pub(crate) struct Told(Mutex<HashMap<(i64, &'static str, &'static str), Timestamp>>);

impl Told {
    /// Holds the shadow against what the enforced contract said, and tells of every difference.
    pub(crate) fn compare(
        &self,
        (enforced, said): (&Contract, &Result<Claims, AuthnError>),
        shadow: &Contract,
        (token, resource): (&Presented<'_>, &Resource),
        clock: &dyn Clock,
        watch: Option<&dyn Watch>,
    ) {
        let now = clock.now();
        for (claim, does) in differences(enforced, said, shadow, token, resource, now) {
            let difference = Difference {
                issuer: enforced.issuer(),
                resource: resource.canonical(),
                enforced: enforced.version(),
                shadow: shadow.version(),
                claim,
                does,
            };
            if let Some(watch) = watch {
                watch.shadow_differs(&difference);
            }
            if self.is_due((shadow.version(), claim, does), now) {
                let Difference { issuer, resource, enforced, shadow, .. } = difference;
                tracing::info!(
                    issuer,
                    resource,
                    enforced,
                    shadow,
                    claim,
                    does,
                    "the contract in shadow differs"
                );
            }
        }
    }

    fn is_due(&self, what: (i64, &'static str, &'static str), now: Timestamp) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(&what).is_some_and(|last| now.since(*last) < PAUSE) || told.len() >= MOST {
            return false;
        }
        told.insert(what, now);
        true
    }
}

fn differences(
    enforced: &Contract,
    said: &Result<Claims, AuthnError>,
    shadow: &Contract,
    token: &Presented<'_>,
    resource: &Resource,
    now: Timestamp,
) -> Vec<(&'static str, &'static str)> {
    let (report, claims) = shadow.report(token, Some(resource), now);
    match (said, claims) {
        (Ok(_), None) => {
            let failed = report.clauses.iter().filter(|clause| clause.error.is_some());
            failed.map(|clause| (clause.claim, "refuses")).collect()
        }
        (Err(_), Some(_)) => {
            let (report, _) = enforced.report(token, Some(resource), now);
            report.first_fault().map(|clause| (clause.claim, "accepts")).into_iter().collect()
        }
        (Ok(one), Some(other)) => {
            let (a, b) = (&one.principal, &other.principal);
            let members = [
                ("user", a.user != b.user),
                ("client", a.client != b.client),
                ("agent", a.agent != b.agent),
                ("tenant", a.tenant != b.tenant),
                ("roles", a.roles != b.roles),
                ("groups", a.groups != b.groups || one.groups_at != other.groups_at),
                ("scopes", a.scopes != b.scopes),
            ];
            members.into_iter().filter(|(_, differ)| *differ).map(|(name, _)| (name, "maps")).collect()
        }
        // Both refuse it.
        (Err(_), None) => Vec::new(),
    }
}

/// Between two lines of the log about the same difference.
const PAUSE: Duration = Duration::from_secs(60);
/// The most differences told of.
const MOST: usize = 1024;
